"""Where PyTorch only computes: operations run one by one, on tensors that nobody looks into."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["plain", "unobserved"]

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
