"""The checks of arguments that the functions of this package share, and their errors."""

from __future__ import annotations

from typing import Any

from ..backend.dispatch import backend_of
from ..backend.messages import describe
from ..backend.protocol import Array, Backend

__all__ = ["check_order", "floating_backend", "shape_error"]


def floating_backend(caller: str, x: Array, argument: str = "x") -> Backend:
    """The backend for ``x``, which must be a real floating array."""
    xp = backend_of(x, caller, argument)
    if x.dtype not in xp.floating:
        raise TypeError(
            f"{caller}: {argument} is {describe(x)}; expected float16, bfloat16, float32 or "
            f"float64; cast it first: fgi.namespace({argument}).astype({argument}, ...)"
        )
    return xp


def check_order(caller: str, order: Any) -> None:
    """TypeError for what is not an integer, ValueError for one below 1."""
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"{caller}: order is {describe(order)}; expected an integer >= 1")
    if order < 1:
        raise ValueError(f"{caller}: order is {order}; expected an integer >= 1")


def shape_error(caller: str, cause: str, y: Array, x: Array) -> ValueError:
    """The error for a ``cause`` that has broadcast the result away from the shape of ``x``."""
    return ValueError(
        f"{caller}: x is {describe(x)}, {cause} makes the result {describe(y)}; expected the shape "
        f"of x; reshape {cause} so that it broadcasts to x"
    )
