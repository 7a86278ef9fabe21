"""The numbers of one tensor in the history of another: copied by the compiler, or written."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .plain import plain

__all__ = ["attached", "with_value"]

# PyTorch 2.6 does not tell the two apart.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


def with_value(y: Tensor, fx: Tensor, /) -> Tensor:
    # Operation by operation it would only cost. The compiler makes arithmetic of it again, and
    # leaves out y; a program that is exported is to be arithmetic before that.
    if not torch.compiler.is_compiling() or is_exporting() or forward_ad._current_level >= 0:
        return y
    z = y.clone()
    z.detach().copy_(fx)
    return z


def attached(slope: Callable[..., Tensor | float], x: Tensor, fx: Tensor, /) -> Tensor | None:
    if not plain(x):
        return None
    # A sum is finite only if all is that is added up. A GPU would be waited for.
    s = slope(x, checked=x.is_cpu and math.isfinite(x.detach().sum().item()))
    # From here on in the same memory throughout, of which there is little nearby. Of all functions
    # that are the identity, the one whose gradient depends on x in form and costs least; x - x0
    # would be two passes more, there and back.
    y = torch.nn.functional.leaky_relu(x, 1.0)
    y.detach().zero_()
    if not isinstance(s, Tensor):
        y = y if s == 1 else y.mul_(s)
    elif s.shape == y.shape and s.dtype == y.dtype and not s.requires_grad:
        y = y.mul_(s)
    else:
        y = y * s
    if y.shape == fx.shape:
        y.detach().copy_(fx)
    return y
