"""What can be done where operations run one by one on tensors that nobody looks into."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["attached", "plain", "step", "unobserved"]

TYPES = (Tensor, torch.nn.Parameter)


def unobserved() -> bool:
    """Whether PyTorch only computes: not for a compiler, tracer, ``torch.func`` or forward AD."""
    return (
        not torch.compiler.is_compiling()
        and forward_ad._current_level < 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._get_tracing_state() is None
    )


def plain(x: Tensor) -> bool:
    """Whether ``x`` is a tensor as such: what is written into it is there, and nothing else is."""
    return unobserved() and type(x) in TYPES


def step(x: Tensor, y: Tensor | float, /, *, at_zero: int = 0) -> Tensor:
    compare = torch.ge if at_zero else torch.gt
    if plain(x) and not isinstance(y, Tensor):
        # Booleans and their conversion take six times as long as comparing into floats.
        x0 = x.detach() if x.requires_grad else x
        return compare(x0, y, out=torch.empty_like(x0))
    return compare(x, y).to(x.dtype)


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
