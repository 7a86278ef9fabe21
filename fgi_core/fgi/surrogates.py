"""The catalogue. One class, one definition: equation, parameters, source, who calls it what.

``known_as`` names functions of published libraries, "library.function", and the parameters of ours
that give theirs at its defaults; a test compares each with what that library returned.
"""

from __future__ import annotations

import math

from .backend import Array, Backend
from .definition import Surrogate
from .parameters import Number, number, positive

__all__ = [
    "ATan",
    "DoubleGaussian",
    "FastSigmoid",
    "Gaussian",
    "Sigmoid",
    "StraightThrough",
    "Tanh",
    "Triangle",
]


def bell(xp: Backend, x: Array, sigma: Number) -> Array:
    """exp(-x^2 / (2 sigma^2))."""
    u = x / sigma
    return xp.exp(-0.5 * (u * u))


class Gaussian(Surrogate):
    """The Gaussian slope.

        g'(x) = height exp(-x^2 / (2 sigma^2))

    ``sigma`` > 0 is the standard deviation in units of ``x``, ``height`` > 0 the peak.
    Source: Otte 2024 (arXiv:2406.00177), Listing 3; Yin et al. 2021
    (doi:10.1038/s42256-021-00397-w).
    """

    sigma: Number = positive(default=1.0)
    height: Number = positive(default=1.0)

    known_as = {
        "fgi_reference.fgi(gaussian)": {},
        "fgi_reference.autograd.StepGaussianGrad": {},
        "spikingjelly.Erf": {"sigma": math.sqrt(0.5) / 2, "height": 2 / math.sqrt(math.pi)},
        "braintools.ERF": {"sigma": math.sqrt(0.5), "height": 1 / math.sqrt(math.pi)},
        "braintools.GaussianGrad": {"sigma": 0.5, "height": 1 / math.sqrt(2 * math.pi)},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        return self.height * bell(xp, x, self.sigma)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        area = self.height * self.sigma * math.sqrt(2 * math.pi)
        return area / 2 * xp.erfc(-x / (self.sigma * math.sqrt(2)))


class DoubleGaussian(Surrogate):
    """Two concentric Gaussians of opposite sign, a peak with negative lobes.

        g'(x) = (1 + p) G(x; sigma) - m p G(x; width),   G(x; s) = exp(-x^2 / (2 s^2))

    ``p`` > 0 sets the depth of the lobes, ``sigma`` and ``width`` > 0 the standard deviations in
    units of ``x``, ``m`` > 0 weighs the wide one: 1 in the paper, so that the peak is 1; 2 in the
    code published with it, whose peak is 1 - p.
    Source: Otte 2024 (arXiv:2406.00177), Listing 5.
    """

    p: Number = positive(default=0.3)
    sigma: Number = positive(default=0.5)
    width: Number = positive(default=1.0)
    m: Number = positive(default=1.0)

    known_as = {"fgi_reference.autograd.StepDoubleGaussianGrad": {"m": 2.0}}

    def slope(self, xp: Backend, x: Array) -> Array:
        return (1 + self.p) * bell(xp, x, self.sigma) - self.m * self.p * bell(xp, x, self.width)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        narrow = (1 + self.p) * self.sigma * xp.erfc(-x / (self.sigma * math.sqrt(2)))
        wide = self.m * self.p * self.width * xp.erfc(-x / (self.width * math.sqrt(2)))
        return math.sqrt(math.pi / 2) * (narrow - wide)


class Sigmoid(Surrogate):
    """The derivative of the logistic function.

        g'(x) = alpha s(alpha x) (1 - s(alpha x)),   s(z) = 1 / (1 + exp(-z))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; the peak is alpha / 4.
    Source: Zenke and Ganguli 2018 (doi:10.1162/neco_a_01086); default of SpikingJelly.
    """

    alpha: Number = positive(default=4.0)

    known_as = {
        "spikingjelly.Sigmoid": {},
        "braintools.Sigmoid": {},
        "braincog.SigmoidGrad": {"alpha": 1.0},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        # e / (1 + e)^2 with e <= 1: s (1 - s) would cancel on one side and overflow on the other.
        e = xp.exp(-abs(self.alpha * x))
        return self.alpha * e / ((1 + e) * (1 + e))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return logistic(xp, self.alpha * x)


class Tanh(Surrogate):
    """The derivative of the hyperbolic tangent, the bypass example of the paper.

        g'(x) = sech^2(alpha x) = 1 - tanh^2(alpha x)

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; the peak is 1. The same shape as
    ``Sigmoid(2 alpha)``, scaled.
    Source: Otte 2024 (arXiv:2406.00177), Listing 2.
    """

    alpha: Number = positive(default=1.0)

    known_as = {"spyx.tanh": {}}

    def slope(self, xp: Backend, x: Array) -> Array:
        e = xp.exp(-2 * abs(self.alpha * x))
        return 4 * e / ((1 + e) * (1 + e))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # (1 + tanh(alpha x)) / alpha, without the cancellation at negative x.
        return 2 / self.alpha * logistic(xp, 2 * self.alpha * x)


class ATan(Surrogate):
    """The derivative of the arctangent.

        g'(x) = (alpha / 2) / (1 + (pi alpha x / 2)^2)

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; the peak is alpha / 2.
    Source: Fang et al. 2021 (arXiv:2007.05785), Eq. 8.
    """

    alpha: Number = positive(default=2.0)

    known_as = {
        "spikingjelly.ATan": {},
        "snntorch.atan": {},
        "braintools.Arctan": {"alpha": 1.0},
        "braincog.AtanGrad": {},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        u = math.pi / 2 * self.alpha * x
        return self.alpha / 2 / (1 + u * u)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return xp.atan(math.pi / 2 * self.alpha * x) / math.pi + 0.5


class Triangle(Surrogate):
    """The triangle, or piecewise linear slope.

        g'(x) = height max(0, 1 - |x| / width)

    ``width`` > 0 is half the base, in units of ``x``, ``height`` > 0 the peak.
    Source: Bellec et al. 2018 (arXiv:1803.09574), Eq. 3; Esser et al. 2016 (arXiv:1603.08270).
    """

    width: Number = positive(default=1.0)
    height: Number = positive(default=1.0)

    known_as = {
        "fgi_reference.fgi(linear_peak)": {},
        "fgi_reference.autograd.StepLinearGrad": {},
        "spikingjelly.PiecewiseQuadratic": {},
        "braintools.PiecewiseQuadratic": {},
        "braintools.ReluGrad": {"height": 0.3},
        "norse.triangle": {"height": 0.3},
        "spyx.triangular": {"width": 0.5},
        "stork.EsserSpike": {},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        u = 1 - abs(x) / self.width
        return self.height * xp.maximum(u, xp.zeros_like(u))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # Left of 0 it is u^2 / 2, right of 0 the whole triangle less the same.
        u = 1 + minus_abs(xp, x) / self.width
        u = xp.maximum(u, xp.zeros_like(u))
        half = u * u / 2
        return self.height * self.width * xp.where(x < 0, half, 1 - half)


class FastSigmoid(Surrogate):
    """The derivative of the fast sigmoid x / (1 + |x|); the SuperSpike slope.

        g'(x) = height / (1 + alpha |x|)^2

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``height`` > 0 the peak.
    Source: Zenke and Ganguli 2018 (doi:10.1162/neco_a_01086), SuperSpike, section 2.
    """

    alpha: Number = positive(default=25.0)
    height: Number = positive(default=1.0)

    known_as = {
        "snntorch.fast_sigmoid": {},
        "slax.fast_sigmoid": {},
        "spyx.superspike": {},
        "spikingjelly.SoftSign": {"alpha": 2.0},
        "spikingjelly.SuperSpike": {"alpha": 1.0},
        "braintools.SoftSign": {"alpha": 1.0, "height": 0.5},
        "braintools.InvSquareGrad": {"alpha": 100.0},
        "jaxsnn.superspike": {"alpha": 80.0},
        "stork.SuperSpike": {"alpha": 20.0},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        q = 1 + self.alpha * abs(x)
        return self.height / q / q

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        tail = 1 / (1 - self.alpha * minus_abs(xp, x))
        return self.height / self.alpha * xp.where(x < 0, tail, 2 - tail)


class StraightThrough(Surrogate):
    """The straight-through estimator: the gradient passes as if f were the identity.

        g'(x) = height

    ``height`` is the constant, any number; 1 by default.
    Source: Bengio, Leonard and Courville 2013 (arXiv:1308.3432).
    """

    height: Number = number(default=1.0)

    known_as = {
        "spikingjelly.DeterministicPass": {},
        "snntorch.straight_through_estimator": {},
        "braincog.straight_through_estimator": {},
    }

    def slope(self, xp: Backend, x: Array) -> Array:
        return self.height

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self.height * x


def minus_abs(xp: Backend, x: Array) -> Array:
    """-|x|, with derivative -1 at 0, where that of abs is 0 in PyTorch and TensorFlow."""
    return xp.where(x < 0, x, -x)


def logistic(xp: Backend, z: Array) -> Array:
    """1 / (1 + exp(-z)), never overflowing, exact to rounding on both sides."""
    e = xp.exp(minus_abs(xp, z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1 + e)
