"""The numbers of one tensor in the history of another: copied by the compiler, or written."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import NoneType

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

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


# Before, it was not tried.
has_compiled_checkpoints = torch.__version__ >= "2.13"


def _compiled_for_a_cpu(x: Tensor) -> bool:
    """Whether a backward pass is compiled along, by the tape: nothing else has a checkpoint."""
    return (
        has_compiled_checkpoints
        and torch.compiler.is_compiling()
        and not is_exporting()
        and x.device.type == "cpu"
        and x.requires_grad
        and torch.is_grad_enabled()
        and forward_ad._current_level < 0
        # To the compiler this None is an object that is not None.
        and isinstance(torch._C._functorch.peek_interpreter_stack(), NoneType)
    )


def attached(slope: Callable[..., Tensor | float], x: Tensor, fx: Tensor, /) -> Tensor | None:
    if _compiled_for_a_cpu(x):

        def product(x: Tensor) -> Tensor:
            return slope(x) * torch.nn.functional.leaky_relu(x, 1.0)

        # Kept for the backward pass is x itself. The compiler would keep what the slope compares,
        # as booleans are smaller, and on a CPU writes them many times as slowly as numbers.
        y = checkpoint(product, x, use_reentrant=False, preserve_rng_state=False)
        return with_value(y, fx)
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
