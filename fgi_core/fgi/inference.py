"""Where no derivative can be asked for, only values are computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .backend import Array, Backend

__all__ = ["inference_mode"]


class _Thread(threading.local):
    def __init__(self) -> None:
        self.inference = False


_thread = _Thread()


@contextmanager
def inference_mode() -> Iterator[None]:
    """Inside the block fgi computes and traces ``f(x)`` alone, in every framework.

    PyTorch is asked whether it is differentiating, so that ``torch.no_grad()`` is enough there, and
    each framework whether it does by the array at hand. In JAX and TensorFlow nothing tells a
    traced function whether its derivative will be taken.
    What was traced before entering the block keeps its derivative, except behind ``fgi.compile``,
    which traces again.
    """
    before = _thread.inference
    _thread.inference = True
    try:
        yield
    finally:
        _thread.inference = before


def in_inference_mode() -> bool:
    return _thread.inference


def value_only(xp: Backend, *xs: Array) -> bool:
    """Whether no derivative can be asked for; with arrays, none by these."""
    return _thread.inference or not xp.differentiating(*xs)
