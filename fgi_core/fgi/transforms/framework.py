"""Differentiation, compilation and the time loop: thin, over the framework's own.

``f`` takes and returns arrays in nested dicts, lists and tuples. Which framework is decided when
the result is called, by the same rules as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from ..backend.dispatch import backend_of, chosen_backend, namespace
from ..backend.members import missing
from ..backend.protocol import Array
from ..backend.trees import leaves, rebuilt
from ..injection.inference import in_traced_code

if TYPE_CHECKING:
    from ..backend.protocol import Autodiff

__all__ = ["compile", "grad", "jvp", "scan", "value_and_grad", "vjp", "vmap"]


def _arrays(tree: Any) -> Iterator[Any]:
    """The arrays of a nested container, enough of them to see the framework."""
    return (leaf for leaf in leaves(tree) if hasattr(leaf, "dtype") and hasattr(leaf, "shape"))


def _backend(caller: str, *trees: Any) -> Autodiff:
    first = next(_arrays(trees), None)
    backend = namespace() if first is None else backend_of(first, caller, "the first array")
    facet = caller.removeprefix("fgi.")
    if not hasattr(backend, facet):
        raise missing(
            backend,
            facet,
            caller=caller,
            instead="expected arrays of torch, jax or tensorflow; convert them, or call "
            "derivative(x) for the slope itself",
        )
    return cast("Autodiff", backend)


def grad(f: Callable[..., Array], *, argnums: int = 0) -> Callable[..., Any]:
    """The gradient of a scalar function with respect to its argument ``argnums``.

        grad(f)(x, ...) = df/dx

    Returns a function of the same arguments whose result has structure, shapes and dtypes of that
    argument. Errors: TypeError for arrays that no framework differentiates.
    """

    @wraps(f)
    def gradient(*args: Any, **named: Any) -> Any:
        return _backend("fgi.grad", args, named).grad(f, argnums=argnums)(*args, **named)

    return gradient


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Value and gradient of a scalar function: ``(f(x, ...), df/dx)``.

    With ``has_aux``, ``f`` returns ``(value, anything)`` and so does the first of the pair.
    Errors: TypeError for arrays that no framework differentiates.
    """

    @wraps(f)
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        backend = _backend("fgi.value_and_grad", args, named)
        pair = backend.value_and_grad(f, argnums=argnums, has_aux=has_aux)
        value, gradient = pair(*args, **named)
        return value, gradient

    return both


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    """Forward mode: ``(f(x), J(x) v)`` for ``primals = (x, ...)`` and ``tangents = (v, ...)``.

    Structure, shapes and dtypes of the tangents are those of the primals. In TensorFlow compiled
    functions inside ``f`` run as they are, and ``scan`` is unrolled: its forward mode sees into
    neither. Compile around ``jvp``.
    Errors: TypeError for arrays that no framework differentiates.
    """
    return _backend("fgi.jvp", primals).jvp(f, primals, tangents)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Reverse mode: ``(f(x), u -> (u J(x), ...))``, one cotangent of an input for each primal.

    Errors: TypeError for arrays that no framework differentiates.
    """
    return _backend("fgi.vjp", primals).vjp(f, *primals)


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    """``f`` for each row: maps over the first axis of every array of every argument.

        vmap(f)(xs, ...)[i] = f(xs[i], ...)

    What is no array reaches ``f`` as it is; the results are stacked along a new first axis.
    ``torch.func.vmap``, ``jax.vmap``, ``tf.vectorized_map``.
    Errors: TypeError for arrays of a framework without one; ValueError where the arrays have no
    first axis, or not one length along it.
    """

    @wraps(f)
    def batched(*args: Any) -> Any:
        backend = _backend("fgi.vmap", args)
        every = list(leaves(args))
        mapped = [hasattr(leaf, "dtype") and hasattr(leaf, "shape") for leaf in every]
        arrays = [leaf for leaf, array in zip(every, mapped, strict=True) if array]
        shapes = [tuple(array.shape) for array in arrays]
        # TensorFlow does not always know a length while it traces.
        lengths = {shape[:1] for shape in shapes} - {(None,)}
        if not arrays or () in lengths or len(lengths) > 1:
            raise ValueError(
                f"fgi.vmap: the arguments hold arrays of shapes {shapes}; expected at least one "
                f"array, and one length along the first axis"
            )

        def row(*rows: Any) -> Any:
            rest = iter(rows)
            pairs = zip(every, mapped, strict=True)
            return f(*rebuilt(args, iter([next(rest) if of else leaf for leaf, of in pairs])))

        return backend.vmap(row)(*arrays)

    return batched


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    """``torch.compile``, ``jax.jit`` or ``tf.function``, whichever the arguments ask for.

    Traces again after ``set_backend``, ``use_backend`` and ``inference_mode(traced=True)``.
    Errors: TypeError for arrays that no framework compiles.
    """
    compiled: dict[Any, Callable[..., Any]] = {}

    @wraps(f)
    def call(*args: Any, **named: Any) -> Any:
        backend = _backend("fgi.compile", args, named)
        chosen = chosen_backend()
        state = (backend.name, isinstance(chosen, str), in_traced_code())
        if state not in compiled:
            # A function of its own for each state: jax.jit shares traces by the identity of f.
            compiled[state] = backend.compile(lambda *args, **named: f(*args, **named))
        return compiled[state](*args, **named)

    # For fgi.scan, which makes graphs of several steps.
    call.uncompiled = f  # type: ignore[attr-defined]
    return call


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any,
    *,
    unroll: int | None = None,
    checkpoint: int | None = None,
    segmented: bool = False,
) -> tuple[Any, Any]:
    """The time loop: ``carry, y = step(carry, x)`` for each ``x`` along the first axis of ``xs``.

    Returns the last carry and the outputs, stacked along a new first axis. ``jax.lax.scan`` in
    JAX, a while loop in TensorFlow; in PyTorch a Python loop, and of ``fgi.compile(step)`` a loop
    over compiled graphs, whose number does not depend on how many steps there are::

        carry, ys = fgi.scan(fgi.compile(step), carry, xs)

    ``unroll`` is how many steps one round of the loop, or one graph, has. ``checkpoint=k`` keeps
    the carry of each k-th step alone for reverse mode and computes the steps between again: memory
    for T / k + k steps in place of T, the same gradients. A ``segmented`` step takes any number of
    steps at a time, ``carry, ys = step(carry, xs)``: what a matrix product does for all of them
    need not be done for each, and its own loops are ``scan`` again.

    PyTorch runs the steps one by one, uncompiled and all of them kept, where a derivative is taken
    by ``torch.func`` or in forward mode, and all in one graph inside ``torch.compile``: compile
    the step, not what is around the loop.
    Errors: TypeError for arrays of a framework without one, and for options that are no integers;
    ValueError for no steps, arrays of different lengths, and options below 1.
    """
    backend = _backend("fgi.scan", xs, carry)
    shapes = [tuple(x.shape) for x in _arrays(xs)]
    if not shapes or not all(shape and shape[0] for shape in shapes):
        raise ValueError(
            f"fgi.scan: xs holds arrays of shapes {shapes}; expected at least one array and one "
            f"step along the first axis"
        )
    if len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            f"fgi.scan: xs holds arrays of shapes {shapes}; expected one length along the first "
            f"axis"
        )
    for name, option in (("unroll", unroll), ("checkpoint", checkpoint)):
        if option is None:
            continue
        error = f"fgi.scan: {name} is {option!r}; expected a number of steps >= 1, or None"
        if isinstance(option, bool) or not isinstance(option, int):
            raise TypeError(error)
        if option < 1:
            raise ValueError(error)
    return backend.scan(step, carry, xs, unroll=unroll, checkpoint=checkpoint, segmented=segmented)
