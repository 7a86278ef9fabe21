"""The fast paths, all of them. Switched off, every promised number is the same.

Only time and memory change. This file is the only place that asks a backend for something faster
than the expansion:

- ``first_order``: the value fx and the derivative slope(x), by the framework's own mechanism where
  nothing can see the difference; None where the backend has nothing faster.
- ``assume_value``: the expansion, whose value a compiler is told, so that it skips computing it.

The tests of the promises run with the fast paths and without. ``docs/paths.md`` says which path
runs when.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ..backend.protocol import Array, Minimal
from ..backend.scope import Scope
from .expansion import apply_slope, expand

__all__ = ["assume_value", "by_slope", "fast_paths_enabled", "set_fast_paths", "use_fast_paths"]

VARIABLE = "FGI_FAST_PATHS"

_process = os.environ.get(VARIABLE, "1") != "0"
_scope: Scope[bool | None] = Scope("fgi.use_fast_paths", None)


def set_fast_paths(enabled: bool) -> None:
    """Switch the fast paths on or off for the whole process; numbers stay the same.

    At start they are on, unless the environment variable ``FGI_FAST_PATHS`` is 0.
    """
    global _process
    _process = bool(enabled)


def use_fast_paths(enabled: bool) -> AbstractContextManager[None]:
    """Switch the fast paths on or off inside a ``with`` block, for this thread and task."""
    return _scope.block(bool(enabled))


def fast_paths_enabled() -> bool:
    """Whether the fast paths are on."""
    chosen = _scope.get()
    return _process if chosen is None else chosen


def by_slope(
    xp: Minimal, fx: Array, slope: Callable[[Array], Array | float], x: Array, *, order: int = 1
) -> Array:
    """The value ``fx``, the derivative ``slope(x)``.

    ``slope`` depends on nothing that has a derivative. ``fx`` is stopped, and no other array has
    its memory.
    """
    if order == 1 and fast_paths_enabled():
        y = xp.first_order(fx, slope, x)
        if y is not None:
            return y

    def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        return [apply_slope(xp, slope(points[0]), tangents[0])]

    [y] = expand(xp, [fx], rule, [x], order=order)
    return assume_value(xp, y, fx)


def assume_value(xp: Minimal, y: Array, fx: Array) -> Array:
    """``y``, whose value is that of ``fx``."""
    return xp.assume_value(y, fx) if fast_paths_enabled() else y
