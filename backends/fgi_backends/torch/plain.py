"""What can be done where operations run one by one on tensors that nobody looks into."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["expansion", "plain", "step", "unobserved"]

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


def expansion(x: Tensor, /) -> tuple[Tensor, Callable[[Tensor, Tensor | float], Tensor]] | None:
    if not plain(x):
        return None
    x0 = x.detach()
    # A sum is finite only if all is that is added up. A GPU would be waited for.
    if not (x.is_cpu and math.isfinite(x0.sum().item())):
        x = torch.where(x0.abs() <= torch.finfo(x.dtype).max, x, 0.0)
        x0 = x.detach()

    def y(fx: Tensor, slope: Tensor | float) -> Tensor:
        # Made after the slope and of the same memory throughout, of which there is little nearby.
        # Of all functions that are the identity, the one whose gradient depends on x in form and
        # costs least. x - x0 would be two passes more, there and back.
        d = torch.nn.functional.leaky_relu(x, 1.0)
        d.detach().zero_()
        if not isinstance(slope, Tensor):
            y = d if slope == 1 else d.mul_(slope)
        elif slope.shape == d.shape and slope.dtype == d.dtype and not slope.requires_grad:
            y = d.mul_(slope)
        else:
            y = d * slope
        if y.shape == fx.shape:
            y.detach().copy_(fx)
        return y

    return x0, y
