"""``inject`` and ``bypass`` again, typed, because ``torch.jit.script`` can follow no dispatch.

The one exception to "the formulas are written once": a test holds both to the core's.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bypass", "inject"]


def largest(x: Tensor) -> float:
    """The largest number of the dtype: ``torch.finfo(x.dtype).max``, which cannot be scripted."""
    if x.dtype == torch.float16:
        return 65504.0
    if x.dtype == torch.bfloat16:
        return 3.3895313892515355e38
    if x.dtype == torch.float32:
        return 3.4028234663852886e38
    return 1.7976931348623157e308


def keep_on_tape(d: Tensor) -> Tensor:
    """``d``, whose derivative a tape can differentiate, to zero."""
    return torch.nn.functional.leaky_relu(d, 1.0)


def inject(x: Tensor, fx: Tensor, gdx: Tensor) -> Tensor:
    """Return the value ``fx`` with the derivative ``gdx`` by ``x``; scriptable.

        y = fx - gdx * (sg(z) - z),   z = x where finite, else 0

    Shapes: ``fx`` and ``gdx`` are those of ``x`` or broadcast to it; dtype: that of ``x``. Where
    ``x`` or ``gdx`` is infinite or NaN, the derivative is 0.
    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11, as an expansion around ``sg(x)``.
    """
    inside = x.detach().abs() <= largest(x)
    z = torch.where(inside, x, 0.0)
    slope = gdx.detach().to(x.dtype)
    slope = torch.where(inside & (slope.abs() <= largest(x)), slope, 0.0)
    return fx.detach().to(x.dtype) - slope * keep_on_tape(z.detach() - z)


def bypass(fx: Tensor, gx: Tensor) -> Tensor:
    """Return the value ``fx`` with the gradient of ``gx``; scriptable.

        y = fx - (sg(h) - h),   h = gx where finite, else 0

    Shapes: equal, or ``fx`` broadcasts to ``gx``; dtype: that of ``gx``.
    Source: Otte 2024 (arXiv:2406.00177), Eq. 3 and Listing 1.
    """
    h = torch.where(gx.detach().abs() <= largest(gx), gx, 0.0)
    return fx.detach().to(gx.dtype) - keep_on_tape(h.detach() - h)
