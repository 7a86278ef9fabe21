"""A setting that ``with`` blocks change, private to the thread and the task that entered them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from typing import Any, Generic, TypeVar

__all__ = ["Scope"]

T = TypeVar("T")


class _Block(Generic[T]):
    """One ``with`` block. One that has ended has no effect anywhere, whoever still knows it."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.open = True


class _Thread(threading.local):
    """Blocks of this thread, for code that ``torch.compile`` traces."""

    def __init__(self) -> None:
        self.inside: tuple[_Block[Any], ...] = ()
        """Those that such code itself entered."""
        self.outside: tuple[_Block[Any], ...] = ()
        """Those around it, in whichever task; not those of ``async def``, which it may suspend."""


class Scope(Generic[T]):
    """The value of the innermost open block of this thread and task, or ``default``.

    Tasks share a thread, so that blocks are kept in a ``ContextVar``; what is started inside a
    block by ``asyncio.create_task`` or ``asyncio.to_thread`` is inside it too. Blocks need not end
    in the order in which they began.

    Code that ``torch.compile`` traces is traced again when a block around it begins or ends. Before
    PyTorch 2.14 it cannot read a ``ContextVar``: there it does not see blocks of ``async def``,
    which might be those of another task.
    """

    def __init__(self, name: str, default: T) -> None:
        self.default = default
        self._used = False
        self._in_context: ContextVar[tuple[_Block[T], ...]] = ContextVar(name, default=())
        self._in_thread = _Thread()

    def get(self) -> T:
        inside: tuple[_Block[T], ...] = self._in_thread.inside
        if inside:
            return _innermost(inside, self.default)
        if not self._used:
            return self.default
        outside: tuple[_Block[T], ...] = self._in_thread.outside
        blocks = outside if _compiling() and not _reads_context() else self._in_context.get()
        return _innermost(blocks, self.default)

    @contextmanager
    def block(self, value: T) -> Iterator[None]:
        block = _Block(value)
        traced = _compiling()
        if traced:
            self._in_thread.inside = (*self._in_thread.inside, block)
        else:
            self._used = True
            self._in_context.set((*self._in_context.get(), block))
            # The frame of the with statement, two up: contextlib's is between.
            if not sys._getframe(2).f_code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR):
                self._in_thread.outside = (*self._in_thread.outside, block)
        try:
            yield
        finally:
            block.open = False
            if traced:
                self._in_thread.inside = _open(self._in_thread.inside)
            else:
                self._in_context.set(_open(self._in_context.get()))
                self._in_thread.outside = _open(self._in_thread.outside)


def _open(blocks: tuple[_Block[T], ...]) -> tuple[_Block[T], ...]:
    return tuple(block for block in blocks if block.open)


def _innermost(blocks: tuple[_Block[T], ...], default: T) -> T:
    for block in reversed(blocks):
        if block.open:
            return block.value
    return default


def _compiling() -> bool:
    """Whether ``torch.compile`` traces; nothing is imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def _reads_context() -> bool:
    """Whether what ``torch.compile`` traces can read a ``ContextVar``."""
    return bool(sys.modules["torch"].__version__ >= "2.14")
