"""Differentiation by tape or ``torch.func``, compilation by ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from .private import is_compiled, is_eager, pytree

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp", "vmap"]


def on_tape() -> bool:
    """Whether PyTorch differentiates what it computes, if at all, by its tape alone.

    ``torch.compile`` takes a function for unsuitable, for good, that it meets under ``torch.func``.
    """
    return is_eager() and not torch.is_inference_mode_enabled()


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    both = value_and_grad(f, argnums=argnums)
    return lambda *args, **named: both(*args, **named)[1]


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """By the tape where that is enough, as compiled functions inside ``f`` run compiled there.

    ``f`` runs once. The results keep the history of tensors that ``f`` closes over, as those of
    ``torch.func`` do.
    """
    reversed_pair = torch.func.grad_and_value(f, argnums=argnums, has_aux=has_aux)

    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        if not on_tape() or _has_history((args, named)):
            gradient, value = reversed_pair(*args, **named)
            return value, gradient
        leaves, structure = pytree().tree_flatten(args[argnums])
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        argument = pytree().tree_unflatten(leaves, structure)
        with torch.enable_grad():
            result = f(*args[:argnums], argument, *args[argnums + 1 :], **named)
        value = result[0] if has_aux else result
        if not isinstance(value, Tensor):
            raise TypeError(
                f"fgi.value_and_grad: f returned a {type(value).__name__}; expected a scalar tensor"
            )
        tape = _Tape(leaves)
        # Under torch.no_grad nothing outside can ask for a derivative.
        outside = tape.leads_outside if torch.is_grad_enabled() else lambda x: False
        kept = [x for x in pytree().tree_leaves(result) if isinstance(x, Tensor) and outside(x)]
        gradient = _gradient(value, leaves, tape, outside, retain_graph=bool(kept))
        result = pytree().tree_map_only(
            Tensor, lambda x: x if any(x is y for y in kept) else x.detach(), result
        )
        for leaf in leaves:  # nobody outside has it
            leaf.requires_grad_(False)
        return result, pytree().tree_unflatten(gradient, structure)

    return both


def _gradient(
    value: Tensor,
    leaves: list[Tensor],
    tape: _Tape,
    outside: Callable[[Tensor], bool],
    *,
    retain_graph: bool,
) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    again = outside(value)
    compiled = tape.compiled(value)
    gradient = torch.autograd.grad(
        value,
        leaves,
        create_graph=again and not compiled,
        retain_graph=retain_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    if again and compiled:
        return [_Once.apply(g, *tape.others) for g in gradient]  # type: ignore[no-untyped-call]
    return [g if outside(g) else g.detach() for g in gradient]


def _has_history(tree: Any) -> bool:
    leaves = pytree().tree_leaves(tree)
    return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves)


class _Tape:
    """What the tape of some tensors leads to: the arguments, or tensors that ``f`` closes over."""

    def __init__(self, leaves: list[Tensor]) -> None:
        self.own = {id(leaf) for leaf in leaves}
        self.others: list[Tensor] = []
        """The leaves of the tape that are not arguments, as far as it has been looked at."""
        self._found: dict[Any, tuple[bool, bool, bool]] = {}

    def leads_outside(self, x: Tensor) -> bool:
        """Whether ``x`` has a derivative by a tensor that is not an argument."""
        if x.grad_fn is None:
            return x.requires_grad and id(x) not in self.own
        return self._look(x.grad_fn)[1]

    def compiled(self, x: Tensor) -> bool:
        """Whether the derivative of ``x`` by an argument passes through compiled code."""
        return x.grad_fn is not None and self._look(x.grad_fn)[2]

    def _look(self, root: Any) -> tuple[bool, bool, bool]:
        """Whether a node leads to arguments, to other leaves, to arguments by compiled code."""
        nodes = [root]
        while nodes:
            node = nodes[-1]
            following = [n for n, _ in node.next_functions if n is not None]
            missing = [n for n in following if n not in self._found]
            if node in self._found or not missing:
                nodes.pop()
                self._found.setdefault(node, self._sum(node, following))
            else:
                nodes += missing
        return self._found[root]

    def _sum(self, node: Any, following: list[Any]) -> tuple[bool, bool, bool]:
        if not following:
            variable = getattr(node, "variable", None)
            if not isinstance(variable, Tensor) or not variable.requires_grad:
                return False, False, False
            if id(variable) in self.own:
                return True, False, False
            self.others.append(variable)
            return False, True, False
        inside, outside, compiled = map(any, zip(*(self._found[n] for n in following), strict=True))
        return inside, outside, compiled or (inside and is_compiled(node))


class _Once(torch.autograd.Function):
    """A gradient that cannot be differentiated again; that of compiled code is silently wrong."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *others: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        raise RuntimeError(
            "fgi.grad: the function closes over tensors and calls compiled code, whose gradient "
            "PyTorch cannot differentiate by them; expected it uncompiled: compile around fgi.grad"
        )


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    y, dy, *_ = torch.func.jvp(f, primals, tangents)
    return y, dy


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    y, pullback, *_ = torch.func.vjp(f, *primals)
    return y, pullback


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    mapped: Callable[..., Any] = torch.func.vmap(f)
    return mapped


def with_own_code(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of a code object of its own.

    PyTorch keeps what it compiled by code object, and gives up after eight.
    """
    if not isinstance(f, FunctionType) or torch.compiler.is_compiling():
        return f
    copy = FunctionType(
        f.__code__.replace(), f.__globals__, f.__name__, f.__defaults__, f.__closure__
    )
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(with_own_code(f))
    return compiled
