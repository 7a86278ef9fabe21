"""Where only values are computed: in ``inference_mode``, and where nothing can differentiate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..backend.protocol import Array, Minimal
from ..backend.scope import Scope

__all__ = ["frozen_copy", "in_traced_code", "inference_mode", "value_only"]

EAGER, TRACED = "eager", "traced"

_scope: Scope[str | None] = Scope("fgi.inference_mode", None)


def inference_mode(*, traced: bool = False) -> AbstractContextManager[None]:
    """Compute ``f(x)`` alone inside the block, in this thread and asyncio task.

        with fgi.inference_mode():
            y = spike(x)

    The mode reaches eager code. Code that a framework traces and keeps ignores it, so that it still
    has its gradient after the block: ``torch.compile``, ``torch.jit.trace``, ``torch.export``,
    ``tf.function`` and every transform of JAX. With ``traced=True`` the mode reaches traced code
    too, for a function that is exported and never trained: its gradient is zero for good.

    Often the mode is not needed. In PyTorch ``torch.no_grad()`` is enough, and no framework
    computes more than ``f(x)`` where it knows that nothing differentiates by ``x``.
    """
    return _scope.block(TRACED if traced else EAGER)


def in_traced_code() -> bool:
    """Whether code that is traced here is for inference alone."""
    return _scope.get() == TRACED


def value_only(xp: Minimal, *xs: Array, by_others: bool = False) -> bool:
    """Whether no derivative by the arrays ``xs`` can be asked for, nor by others where they are."""
    chosen = _scope.get()
    if chosen is not None and (chosen == TRACED or not xp.is_traced(*xs)):
        return True
    return not xp.may_differentiate(*(() if by_others else xs))


def frozen_copy(xp: Minimal, fx: Array, dtype: Any) -> Array:
    """``fx`` without a gradient, of this dtype, in memory of its own."""
    stopped = xp.stop_gradient(fx)
    return xp.copied(stopped) if fx.dtype == dtype else xp.astype(stopped, dtype)
