"""What PyTorch has that is faster than the expansion: a custom function, and a known value.

``first_order`` is a ``torch.autograd.Function`` in plain eager mode. In a graph that
``torch.compile`` makes it is ``slope * z``, whose gradient is the slope, and whose value the
compiler is told. Everywhere else, and where a private name is missing, it is the expansion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .private import in_forward_mode, in_transform, is_exporting, is_plain_eager

__all__ = ["assume_value", "first_order"]

Slope = Callable[[Tensor], Tensor | float]

# A checkpoint in a compiled graph: untested before.
COMPILES_CHECKPOINTS = torch.__version__ >= "2.13"


def assume_value(y: Tensor, fx: Tensor, /) -> Tensor:
    """``y``, whose value is said to be ``fx``, so that a compiler leaves out what computes it."""
    if not _compiles_a_tape():
        return y
    z = y.clone()
    z.detach().copy_(fx)
    return z


def first_order(fx: Tensor, slope: Slope, x: Tensor, /) -> Tensor | None:
    if is_plain_eager(x):
        y: Tensor = _FirstOrder.apply(x, (fx,), slope)  # type: ignore[no-untyped-call]
        return y
    if not _compiles_a_tape():
        return None

    def product(x: Tensor) -> Tensor:
        z = torch.where(_is_finite(x), x, 0.0)
        s = slope(z.detach())
        return (torch.where(_is_finite(s), s, 0.0) if isinstance(s, Tensor) else s) * z

    # The compiler would keep for the backward pass what the slope compares, as booleans are smaller
    # than x, and on a CPU it writes booleans many times as slowly as numbers. In a checkpoint it
    # keeps x.
    kept = x.device.type == "cpu" and x.requires_grad and torch.is_grad_enabled()
    if kept and COMPILES_CHECKPOINTS:
        h = checkpoint(product, x, use_reentrant=False, preserve_rng_state=False)
    else:
        h = product(x)
    return assume_value(h, fx)


def _compiles_a_tape() -> bool:
    """Whether a graph is compiled for the tape alone, not exported nor transformed."""
    return (
        torch.compiler.is_compiling()
        and not is_exporting()
        and not in_forward_mode()
        and not in_transform()
    )


def _is_finite(x: Tensor) -> Tensor:
    return x.detach().abs() <= torch.finfo(x.dtype).max


class _FirstOrder(torch.autograd.Function):
    """The value ``fx``, the derivative ``slope(x)``; x is what is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fx: tuple[Tensor], slope: Slope) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return fx[0]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _on_tape(u, ctx.slope(x.detach()), x), None, None
        s = ctx.slope(x)
        g = u * s
        return g if _all_finite(x, g) else _guarded(u, s, x), None, None


def _guarded(u: Tensor, s: Tensor | float, x: Tensor) -> Tensor:
    """u s, and 0 where x or the slope is not finite."""
    if isinstance(s, Tensor):
        s = torch.where(_is_finite(s), s, 0.0)
    return torch.where(_is_finite(x), u * s, 0.0)


def _on_tape(u: Tensor, s: Tensor | float, x: Tensor) -> Tensor:
    """The same, recorded: linear in u, with the derivative zero by x."""
    z = torch.where(_is_finite(x), x, 0.0)
    if isinstance(s, Tensor):
        s = torch.where(_is_finite(s), s, 0.0)
    y = torch.nn.functional.leaky_relu(z, 1.0)
    (g,) = torch.autograd.grad(y, x, u * s, create_graph=True)
    return g


def _all_finite(x: Tensor, g: Tensor) -> bool:
    """Whether x and g are known to be finite throughout: one pass, on a CPU alone.

    A number that is not finite, times any other, is not, and a sum does not become finite again.
    """
    if not x.is_cpu or x.dtype not in (torch.float32, torch.float64):
        return False
    if not (x.is_contiguous() and g.is_contiguous()):
        return False
    if x.dim() != 1:
        x, g = x.view(-1), g.view(-1)
    return math.isfinite(torch.dot(x, g).item())
