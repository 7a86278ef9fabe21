"""A setting that ``with`` blocks change, private to the thread and the task that entered them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

__all__ = ["Scope"]

T = TypeVar("T")


class _Block(Generic[T]):
    """One ``with`` block; its identity tells it from others, so that it can remove itself."""

    def __init__(self, value: T) -> None:
        self.value = value


class _Thread(threading.local):
    """The blocks that are open in this thread, in whichever task."""

    def __init__(self) -> None:
        self.blocks: tuple[_Block[Any], ...] = ()


class Scope(Generic[T]):
    """The value of the innermost open block of this thread and task, or ``default``.

    Tasks of ``asyncio`` share a thread, so that the blocks of a task are kept in a ``ContextVar``.
    ``torch.compile`` cannot trace one: while it traces, it is told the blocks of the thread, and
    traces again when these change. A block that ends before one that was entered later removes
    itself and nothing else.
    """

    def __init__(self, name: str, default: T) -> None:
        self.default = default
        self._thread = _Thread()
        self._task: ContextVar[tuple[_Block[T], ...]] = ContextVar(name, default=())

    def get(self) -> T:
        if not self._thread.blocks:
            return self.default
        if _compiling():
            value: T = self._thread.blocks[-1].value
            return value
        blocks = self._task.get()
        return blocks[-1].value if blocks else self.default

    @contextmanager
    def block(self, value: T) -> Iterator[None]:
        block = _Block(value)
        self._thread.blocks = (*self._thread.blocks, block)
        if not _compiling():
            self._task.set((*self._task.get(), block))
        try:
            yield
        finally:
            self._thread.blocks = tuple(b for b in self._thread.blocks if b is not block)
            if not _compiling():
                self._task.set(tuple(b for b in self._task.get() if b is not block))


def _compiling() -> bool:
    """Whether ``torch.compile`` traces; nothing is imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()
