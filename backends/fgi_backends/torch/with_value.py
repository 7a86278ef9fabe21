"""``with_value``: the numbers of one tensor in the history of another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

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


def attached(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, fx: Tensor, /) -> None:
    return None
