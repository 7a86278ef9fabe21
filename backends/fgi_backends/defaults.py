"""What a backend need not write: hooks that have an answer which is always right.

They are about time and memory, and about arrays that can be written to. A backend module that does
not define one of these names gets it from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "assume_value",
    "copied",
    "first_order",
    "is_traced",
    "keep_on_tape",
    "may_differentiate",
    "reciprocal",
    "same_shape",
]


def keep_on_tape(d: Any, /) -> Any:
    return d


def assume_value(y: Any, fx: Any, /) -> Any:
    return y


def first_order(fx: Any, slope: Callable[[Any], Any], x: Any, /) -> Any | None:
    return None


def may_differentiate(*xs: Any) -> bool:
    return True


def is_traced(*xs: Any) -> bool:
    return False


def copied(x: Any, /) -> Any:
    return x


def reciprocal(x: Any, /) -> Any:
    return 1 / x


def same_shape(x: Any, y: Any, /) -> bool:
    return bool(x.shape == y.shape)
