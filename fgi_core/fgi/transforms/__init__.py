"""Differentiation, compilation, the time loop, and gradients by forward mode alone."""

from .forward_gradient import forward_gradient
from .framework import compile, grad, jvp, scan, value_and_grad, vjp, vmap

__all__ = ["compile", "forward_gradient", "grad", "jvp", "scan", "value_and_grad", "vjp", "vmap"]
