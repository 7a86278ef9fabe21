"""The time loop in Python; a compiled step in graphs of a few steps, the same for every length."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recomputed

from .private import pytree
from .transforms import on_tape, with_own_code

__all__ = ["compiles_loops", "for_many_rows", "scan"]

Step = Callable[[Any, Any], tuple[Any, Any]]

compiles_loops = False  # torch.compile lays out every step

FEW_COLUMNS = 32

STEPS_PER_GRAPH = 14  # by benchmarks/time_loop.py: beyond, it is compilation that grows

_compiled: dict[Any, Any] = {}


def scan(
    step: Step,
    carry: Any,
    xs: Any,
    *,
    unroll: int | None,
    checkpoint: int | None,
    segmented: bool,
) -> tuple[Any, Any]:
    """A Python loop; of a step behind ``fgi.compile``, over graphs of ``unroll`` steps."""
    several = _segment if segmented else _steps
    uncompiled = getattr(step, "uncompiled", None)
    leaves, structure = pytree().tree_flatten(xs)
    if not on_tape():
        # Neither compiled functions nor hooks for what is saved work there.
        return several(uncompiled or step, carry, leaves, structure)
    if checkpoint is not None:

        def segment(carry: Any, *leaves: Tensor) -> tuple[Any, Any]:
            part = pytree().tree_unflatten(list(leaves), structure)
            return scan(step, carry, part, unroll=unroll, checkpoint=None, segmented=segmented)

        def again(carry: Any, leaves: Any, _: Any) -> tuple[Any, Any]:
            carry, ys = recomputed(segment, carry, *leaves, use_reentrant=False)
            return carry, ys

        return _chunks(lambda _: again, _in_parts(checkpoint), carry, leaves, structure)
    if uncompiled is None:
        return several(step, carry, leaves, structure)

    on_cpu = all(leaf.device.type == "cpu" for leaf in leaves)

    def graph(size: int) -> Callable[..., tuple[Any, Any]]:
        compiled = _graph_of(several, uncompiled, size, on_cpu)
        return lambda carry, leaves, structure: compiled(uncompiled, carry, leaves, structure)

    carry = _rooted(carry, uncompiled, leaves)
    return _chunks(graph, _alike(unroll or STEPS_PER_GRAPH), carry, leaves, structure)


def for_many_rows(weights: Tensor, /) -> Tensor:
    """The same matrix, laid out for a product with many more rows than it has columns.

    Column by column, where these are few: MKL takes half the time for the product, and as autograd
    lays out the gradient like the matrix, less than half for that.
    """
    few = weights.shape[1] <= min(FEW_COLUMNS, weights.shape[0])
    return weights.T.contiguous().T if few and weights.device.type == "cpu" else weights


class _Root(torch.autograd.Function):
    """Constants that are part of the tape where ``anchor`` is, though nothing depends on it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        return tuple(constant.clone() for constant in constants)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        return (None,) * (1 + len(gradients))


def _rooted(carry: Any, step: Step, xs: list[Tensor]) -> Any:
    """``carry`` as later graphs will have it: differentiated, where what makes it is.

    A first state without a gradient would be a reason to compile the first graph apart.
    """
    leaves, structure = pytree().tree_flatten(carry)
    constants = [leaf for leaf in leaves if _is_constant(leaf)]
    anchor = next(filter(_is_differentiated, [*xs, *_held(step)]), None)
    if not torch.is_grad_enabled() or not constants or anchor is None:
        return carry
    rooted = iter(_Root.apply(anchor, *constants))  # type: ignore[no-untyped-call]
    return pytree().tree_unflatten(
        [next(rooted) if _is_constant(leaf) else leaf for leaf in leaves], structure
    )


def _is_constant(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and not x.requires_grad


def _is_differentiated(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _held(step: Step) -> Iterator[Any]:
    """What ``step`` closes over, looked for in nested containers."""
    cells = getattr(step, "__closure__", None) or ()
    for cell in cells:
        yield from pytree().tree_iter(cell.cell_contents)


def _segment(step: Step, carry: Any, leaves: Any, structure: Any) -> tuple[Any, Any]:
    carry, ys = step(carry, pytree().tree_unflatten(leaves, structure))
    return carry, ys


def _steps(step: Step, carry: Any, leaves: Any, structure: Any) -> tuple[Any, Any]:
    ys = []
    for slices in zip(*(leaf.unbind(0) for leaf in leaves), strict=True):
        carry, y = step(carry, pytree().tree_unflatten(list(slices), structure))
        ys.append(y)
    return carry, pytree().tree_map(lambda *steps: torch.stack(steps), *ys)


def _chunks(
    chunk: Callable[[int], Callable[..., tuple[Any, Any]]],
    sizes: Callable[[int], list[int]],
    carry: Any,
    leaves: list[Tensor],
    structure: Any,
) -> tuple[Any, Any]:
    """The loop over several steps at a time: ``chunk(size)`` does so many."""
    lengths = sizes(leaves[0].shape[0])
    of_size = {size: chunk(size) for size in set(lengths)}
    ys = []
    # Split, not sliced: the gradient of each slice would be as long as the whole.
    for part in zip(*(leaf.split_with_sizes(lengths) for leaf in leaves), strict=True):
        carry, y = of_size[part[0].shape[0]](carry, list(part), structure)
        ys.append(y)
    return carry, pytree().tree_map(lambda *parts: torch.cat(parts), *ys)


def _in_parts(size: int) -> Callable[[int], list[int]]:
    def sizes(steps: int) -> list[int]:
        whole, rest = divmod(steps, size)
        return [size] * whole + [rest] * (rest > 0)

    return sizes


def _alike(most: int) -> Callable[[int], list[int]]:
    """Chunks of one size where a large one divides the steps, else of two: each is a graph."""

    def sizes(steps: int) -> list[int]:
        for size in range(most, (most - 1) // 2, -1):
            if steps % size == 0:
                return [size] * (steps // size)
        chunks = -(-steps // most)
        size, longer = divmod(steps, chunks)
        return [size + 1] * longer + [size] * (chunks - longer)

    return sizes


def _values(step: Step) -> tuple[Any, ...]:
    """What ``step`` closes over and is equal to others of its kind, as definitions are."""
    cells = [cell.cell_contents for cell in getattr(step, "__closure__", None) or ()]
    return tuple(value for value in cells if _is_value(value))


def _is_value(x: Any) -> bool:
    """Whether ``x`` is the same in the next call: compared by its parts, none of them a tensor."""
    if not dataclasses.is_dataclass(x) or type(x).__hash__ is object.__hash__ or _has_tensors(x):
        return False
    try:
        hash(x)
    except TypeError:
        return False
    return True


def _has_tensors(x: Any) -> bool:
    if isinstance(x, dict):
        x = list(x.values())
    elif dataclasses.is_dataclass(x):
        x = [getattr(x, field.name) for field in dataclasses.fields(x)]
    return any(map(_has_tensors, x)) if isinstance(x, list | tuple) else isinstance(x, Tensor)


def _graph_of(
    several: Callable[..., Any], step: Step, size: int, on_cpu: bool
) -> Callable[..., tuple[Any, Any]]:
    """``several`` compiled for this step and size.

    PyTorch keeps graphs by code object, checks what a closure holds, and gives up after eight. Each
    step and size has a code object of its own therefore, and so has each neuron or surrogate that
    the step closes over; a step that is defined anew on each call, around the weights of that
    moment, has the graphs of before.
    """
    named = getattr(step, "__code__", step)
    key = several, named, _values(step), size, on_cpu, torch.is_grad_enabled()
    if key not in _compiled:
        # Some 200 kernels in a row are called from C++, not from Python, in this graph alone. On a
        # GPU, and before PyTorch 2.13, it was not tried.
        called = on_cpu and torch.__version__ >= "2.13"
        options: dict[str, Any] | None = {"cpp_wrapper": True} if called else None
        _compiled[key] = torch.compile(with_own_code(several), dynamic=False, options=options)
    compiled: Callable[..., tuple[Any, Any]] = _compiled[key]
    return compiled
