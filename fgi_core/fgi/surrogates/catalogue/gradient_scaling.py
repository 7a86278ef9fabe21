"""The value as it came, the gradient changed on its way back."""

from __future__ import annotations

from ...backend.protocol import Array, Backend
from ...parameters import Number, number
from ..surrogate import Surrogate


class GradientScale(Surrogate):
    """The identity, whose gradient is multiplied by a constant.

        f(x) = x
        g'(x) = scale
        g(x) = scale * x

    ``scale`` is any number; where it is a negative array, -0.0 becomes 0.0.
    Source: Esser et al. 2020, LSQ (arXiv:1902.08153), where the gradient of a step size is scaled.
    """

    scale: Number = number(default=1.0)

    presets = {"lsq_net.grad_scale": lambda scale: GradientScale(scale)}

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return x

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.scale

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self.scale * x


class GradientReversal(Surrogate):
    """The identity, whose gradient turns round: for adversaries within one network.

        f(x) = x
        g'(x) = -alpha
        g(x) = -alpha * x

    ``alpha`` is the strength, any number; where it is a positive array, -0.0 becomes 0.0.
    Source: Ganin and Lempitsky 2015 (arXiv:1409.7495).
    """

    alpha: Number = number(default=1.0)

    presets = {"pytorch_revgrad.RevGrad": lambda alpha=1.0: GradientReversal(alpha)}

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return x

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return -self.alpha

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return -self.alpha * x
