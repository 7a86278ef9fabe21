"""PyTorch's own custom-gradient mechanism: ``torch.autograd.Function``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["mechanisms"]

Elementwise = Callable[[Tensor], Tensor]


class _ValueAndSlope(torch.autograd.Function):
    """Forward ``value(x)``, backward ``slope(x)`` times what comes in.

    Without ``jvp``, and so without forward mode: with one, ``torch.compile`` refuses the function.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, value: Elementwise, slope: Elementwise) -> Tensor:
        y = value(x)
        # PyTorch refuses an input that comes back as it is, which an identity returns.
        return y.view_as(y) if y is x else y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, _, ctx.slope = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.slope(x), None, None


def autograd_function(value: Elementwise, slope: Elementwise) -> Elementwise:
    def function(x: Tensor) -> Tensor:
        y: Tensor = _ValueAndSlope.apply(x, value, slope)  # type: ignore[no-untyped-call]
        return y

    return function


mechanisms: Mapping[str, Callable[[Elementwise, Elementwise], Elementwise]] = {
    "autograd_function": autograd_function,
}
