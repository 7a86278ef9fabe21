"""Members of a backend that are made of its other members, where it does not write them.

The first argument is the backend. ``NEEDS`` says what each is made of, beyond tier 0.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from .messages import dtype_name
from .trees import leaves, map as tree_map

__all__ = ["ATTRIBUTES", "FUNCTIONS", "NEEDS"]

BITS_16 = 2.0**-11
"""Dtypes of 16 bits have a larger ``eps``, dtypes of 32 bits a smaller one."""


def half(xp: Any) -> tuple[Any, ...]:
    return tuple(d for d in xp.floating if float(xp.finfo(d).eps) > BITS_16)


def version(xp: Any) -> str:
    try:
        return metadata.version(xp.name)
    except metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(xp.name), "__version__", "unknown"))


def dtype(xp: Any, name: str, /) -> Any:
    for found in xp.floating:
        if dtype_name(found) == name:
            return found
    raise LookupError(
        f"fgi: the backend {xp.name} has no dtype {name!r}; expected one of "
        f"{', '.join(map(dtype_name, xp.floating))}"
    )


def is_traced(xp: Any, *xs: Any) -> bool:
    # Where a compiler may be at work; then inference_mode has no effect, and nothing is kept of it.
    return hasattr(xp, "compile")


def copied(xp: Any, x: Any, /) -> Any:
    return xp.where(x == x, x, x)


def step(xp: Any, x: Any, y: Any, /, *, at_zero: int = 0) -> Any:
    return xp.astype(x >= y if at_zero else x > y, x.dtype)


def abs(xp: Any, x: Any, /) -> Any:
    return builtins.abs(xp.where(x == 0, xp.stop_gradient(x), x))


def divide(xp: Any, x: Any, y: Any, /) -> Any:
    # A selection is no constant, whose rounded reciprocal a compiler would multiply by.
    return x / xp.where(x == x, y, xp.stop_gradient(x))


def grad(xp: Any, f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    both = xp.value_and_grad(f, argnums=argnums)
    return lambda *args, **named: both(*args, **named)[1]


def value_and_grad(
    xp: Any, f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        beside: list[Any] = []

        def of_one(x: Any) -> tuple[Any, list[Any]]:
            y = f(*args[:argnums], x, *args[argnums + 1 :], **named)
            y, beside[:] = (y[0], [y[1]]) if has_aux else (y, [()])
            # Through vjp, too: what is returned past it may be an array of its tracing.
            return y, [leaf for leaf in leaves(beside) if _is_floating(xp, leaf)]

        (y, arrays), pullback = xp.vjp(of_one, args[argnums])
        rest = iter(arrays)
        aux = tree_map(lambda leaf: next(rest) if _is_floating(xp, leaf) else leaf, beside[0])
        (gradient,) = pullback((xp.ones_like(y), [xp.zeros_like(a) for a in arrays]))
        return (y, aux) if has_aux else y, gradient

    return both


def _is_floating(xp: Any, x: Any) -> bool:
    return isinstance(x, xp.Array) and x.dtype in xp.floating


def scan(
    xp: Any,
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any,
    *,
    unroll: int | None,
    checkpoint: int | None,
    segmented: bool,
) -> tuple[Any, Any]:
    """Python's own loop; ``unroll`` and ``checkpoint`` are about time and memory alone."""
    if segmented:
        return step(carry, xs)
    collected = []
    for t in range(next(leaves(xs)).shape[0]):
        carry, y = step(carry, tree_map(lambda x, t=t: x[t, ...], xs))
        collected.append(y)
    return carry, tree_map(lambda *ys: xp.stack(ys), *collected)


ATTRIBUTES: Mapping[str, Callable[[Any], Any]] = {"half": half, "version": version}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f.__name__: f for f in (dtype, is_traced, copied, abs, step, divide, grad, value_and_grad, scan)
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "grad": ("value_and_grad",),
    "value_and_grad": ("vjp",),
    "scan": ("stack",),
}
