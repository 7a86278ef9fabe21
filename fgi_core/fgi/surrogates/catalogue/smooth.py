"""Slopes without a kink: bells, and what rises or waves as smoothly."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...backend.protocol import Array, Backend
from ...parameters import Number, count, number, positive
from ...values.chance import Bernoulli, Logistic
from ...values.formulas import (
    bell,
    log_of,
    logistic,
    logistic_slope,
    minus_abs,
    scaled,
    shifted,
    sin_turns,
    squared,
)
from ...values.steps import Heaviside, Ternary, binary, spike_at_zero
from ...values.value import Value
from ..surrogate import Primitive, Surrogate
from .cusps import FastSigmoid
from .piecewise import Proportional, StraightThrough


class Gaussian(Surrogate):
    """The Gaussian slope.

        g'(x) = height * exp(-(x - mu)**2 / (2 * sigma**2))
        g(x) = height * sigma * sqrt(pi / 2) * erfc(-(x - mu) / (sigma * sqrt(2)))

    ``sigma`` > 0 is the standard deviation and ``mu`` the place of the peak, in units of ``x``;
    ``height`` > 0 is the peak.
    Source: Otte 2024 (arXiv:2406.00177), Listing 3; Yin et al. 2021
    (doi:10.1038/s42256-021-00397-w).
    """

    sigma: Number = positive(default=1.0)
    height: Number = positive(default=1.0)
    mu: Number = number(default=0.0)

    presets = {
        "fgi_reference.fgi(gaussian)": lambda: Gaussian(),
        "fgi_reference.autograd.StepGaussianGrad": lambda: Gaussian(),
        "spikingjelly.Erf": lambda alpha=2.0: Gaussian(
            1 / (alpha * math.sqrt(2)), alpha / math.sqrt(math.pi), forward=spike_at_zero
        ),
        "braintools.ERF": lambda alpha=1.0: Gaussian(
            1 / (alpha * math.sqrt(2)), alpha / math.sqrt(math.pi), forward=spike_at_zero
        ),
        "braintools.GaussianGrad": lambda sigma=0.5, alpha=0.5: Gaussian(
            sigma, alpha / (sigma * math.sqrt(2 * math.pi)), forward=spike_at_zero
        ),
        "norse.heavi_erfc": lambda k: Gaussian(1 / (k * math.sqrt(2)), 2 / math.sqrt(math.pi)),
        "sinabs.SingleSpike+Gaussian": (
            lambda threshold=1.0, mu=0.0, sigma=0.5, grad_scale=1.0: Gaussian(
                sigma,
                grad_scale / (sigma * math.sqrt(2 * math.pi)),
                threshold + mu,
                forward=Heaviside(1, threshold),
            )
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = shifted(x, self.mu)
        return scaled(
            self.height, bell(xp, z, self.sigma, differentiable=self._slope_differentiated)
        )

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        area = self.height * self.sigma * math.sqrt(2 * math.pi)
        return area / 2 * xp.erfc((self.mu - x) / (self.sigma * math.sqrt(2)))


class DoubleGaussian(Surrogate):
    """Two concentric Gaussians of opposite sign, a peak with negative lobes.

        g'(x) = (1 + p) * G(x, sigma) - m * p * G(x, width)
        g(x) = (1 + p) * E(x, sigma) - m * p * E(x, width)
        G(x, s) = exp(-x**2 / (2 * s**2))
        E(x, s) = s * sqrt(pi / 2) * erfc(-x / (s * sqrt(2)))

    ``p`` > 0 sets the depth of the lobes, ``sigma`` and ``width`` > 0 the standard deviations in
    units of ``x``, ``m`` > 0 weighs the wide one: 1 in the paper, so that the peak is 1; 2 in the
    code published with it, whose peak is 1 - p.
    Source: Otte 2024 (arXiv:2406.00177), Listing 5.
    """

    p: Number = positive(default=0.3)
    sigma: Number = positive(default=0.5)
    width: Number = positive(default=1.0)
    m: Number = positive(default=1.0)

    presets = {"fgi_reference.autograd.StepDoubleGaussianGrad": lambda: DoubleGaussian(m=2.0)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        narrow = bell(xp, x, self.sigma, differentiable=self._slope_differentiated)
        wide = bell(xp, x, self.width, differentiable=self._slope_differentiated)
        return (1 + self.p) * narrow - self.m * self.p * wide

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        narrow = (1 + self.p) * self.sigma * xp.erfc(-x / (self.sigma * math.sqrt(2)))
        wide = self.m * self.p * self.width * xp.erfc(-x / (self.width * math.sqrt(2)))
        return math.sqrt(math.pi / 2) * (narrow - wide)


class MultiGaussian(Surrogate):
    """A normal density less two wide ones, displaced to both sides.

        g'(x) = scale * ((1 + h) * N(z - skew, sigma)
                - h * N(z - sigma, s * sigma) - h * N(z + sigma, s * sigma))
        g(x) = scale * ((1 + h) * P(z - skew, sigma)
                - h * P(z - sigma, s * sigma) - h * P(z + sigma, s * sigma))
        N(t, d) = exp(-t**2 / (2 * d**2)) / (d * sqrt(2 * pi))
        P(t, d) = erfc(-t / (d * sqrt(2))) / 2
        z = x - mu

    ``sigma`` > 0 is the standard deviation of the centre and the displacement of the lobes,
    ``mu`` the place of all three, ``skew`` moves the centre alone, each in units of ``x``; ``h``
    > 0 is the weight of the lobes, ``s`` > 0 how much wider they are; ``scale`` > 0 multiplies.
    Source: Yin et al. 2021 (doi:10.1038/s42256-021-00397-w), Eq. 5.
    """

    sigma: Number = positive(default=0.5)
    h: Number = positive(default=0.15)
    s: Number = positive(default=6.0)
    scale: Number = positive(default=1.0)
    mu: Number = number(default=0.0)
    skew: Number = number(default=0.0)

    presets = {
        "sinabs.SingleSpike+MultiGaussian": (
            lambda threshold=1.0, mu=0.0, sigma=0.5, h=0.15, s=6.0, grad_scale=1.0: MultiGaussian(
                sigma, h, s, grad_scale, threshold, mu, forward=Heaviside(1, threshold)
            )
        ),
        "braintools.MultiGaussianGrad": (
            lambda h=0.15, s=6.0, sigma=0.5, scale=0.5: MultiGaussian(
                sigma, h, s, scale, forward=spike_at_zero
            )
        ),
        "slax.multi_gauss": (
            lambda gamma=0.5, lens=0.3, scale=6.0, height=0.15: MultiGaussian(
                lens, height, scale, gamma, forward=spike_at_zero
            )
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Each place is one subtraction from x, which is rounded once.
        left, right, wide = self.mu - self.sigma, self.mu + self.sigma, self.s * self.sigma
        lobes = bell(xp, x - right, wide, differentiable=self._slope_differentiated) + bell(
            xp, x - left, wide, differentiable=self._slope_differentiated
        )
        density = self.scale / (self.sigma * math.sqrt(2 * math.pi))
        centre = bell(
            xp, x - (self.mu + self.skew), self.sigma, differentiable=self._slope_differentiated
        )
        return density * ((1 + self.h) * centre - self.h / self.s * lobes)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z, narrow = x - self.mu, self.sigma * math.sqrt(2)
        wide = self.s * narrow
        lobes = xp.erfc((self.sigma - z) / wide) + xp.erfc(-(self.sigma + z) / wide)
        centre = xp.erfc((self.skew - z) / narrow)
        return self.scale / 2 * ((1 + self.h) * centre - self.h * lobes)


def _through_tanh(alpha: float | None, forward: Value) -> Surrogate:
    """QKeras' gradient: that of tanh, unless there is a scale."""
    if alpha is None:
        return Sigmoid(2.0, 2.0, forward=forward)
    if alpha != 1:
        raise ValueError(
            f"qkeras: alpha is {alpha!r}; expected None or 1.0; multiply what comes out, or write "
            f"fgi.functional.magnitude_aware_sign(x)"
        )
    return StraightThrough(forward=forward)


class Sigmoid(Surrogate):
    """The derivative of the logistic function; of tanh, too, which is the same shape.

        g'(x) = scale * alpha * s(alpha * x) * s(-alpha * x)
        g(x) = scale * s(alpha * x)
        s(z) = 1 / (1 + exp(-z))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``scale`` > 0 multiplies; the peak is
    scale * alpha / 4. ``Sigmoid(2 * k, 2 / k)`` is sech(k x)^2 = 1 - tanh(k x)^2, with peak 1.
    Source: Zenke and Ganguli 2018 (doi:10.1162/neco_a_01086); default of SpikingJelly; tanh is
    the bypass example of Otte 2024 (arXiv:2406.00177), Listing 2.
    """

    alpha: Number = positive(default=4.0)
    scale: Number = positive(default=1.0)

    presets = {
        "spikingjelly.Sigmoid": lambda alpha=4.0: Sigmoid(alpha, forward=spike_at_zero),
        "braintools.Sigmoid": lambda alpha=4.0: Sigmoid(alpha, forward=spike_at_zero),
        "snntorch.sigmoid": lambda slope=25: Sigmoid(slope),
        "braincog.SigmoidGrad": lambda alpha=1.0: Sigmoid(alpha, forward=spike_at_zero),
        "fgi_reference.bypass(sigmoid)": lambda k: Sigmoid(k),
        "norse.tanh": lambda k: Sigmoid(2 * k, 2 / k),
        "norse.logistic": lambda k: Sigmoid(2 * k, 2 / k, forward=Bernoulli(Logistic(2 * k))),
        "spyx.tanh": lambda k=1: Sigmoid(2 * k, 2 / k),
        "qkeras.binary": lambda use_01=False, alpha=None: _through_tanh(
            alpha, spike_at_zero if use_01 else binary
        ),
        "qkeras.ternary": lambda alpha=None, threshold=None: _through_tanh(
            alpha, Ternary(0.33 if threshold is None else threshold)
        ),
        "snnax.sigmoid_surrogate": lambda beta=1.0: Sigmoid(beta, forward=spike_at_zero),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = scaled(self.alpha, x)
        return scaled(
            self.scale * self.alpha,
            logistic_slope(xp, z, differentiable=self._slope_differentiated),
        )

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self.scale * logistic(xp, self.alpha * x)


class TanhSpike(Surrogate):
    """One more than the derivative of tanh: the gradient never fades.

        g'(x) = 2 - tanh(beta * x)**2
        g(x) = x + tanh(beta * x) / beta

    ``beta`` > 0 is the steepness, in units of 1 / ``x``; the peak is 2.
    Source: stork (github.com/fmi-basel/stork), TanhSpike.
    """

    beta: Number = positive(default=100.0)

    presets = {"stork.TanhSpike": lambda beta=100: TanhSpike(beta)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return 1 + 4 * logistic_slope(xp, 2 * self.beta * x)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return x + xp.tanh(self.beta * x) / self.beta


class ATan(Surrogate):
    """The derivative of the arctangent.

        g'(x) = scale * alpha / 2 / (1 + (pi / 2 * alpha * x)**2)
        g(x) = scale * (atan(pi / 2 * alpha * x) / pi + 1 / 2)

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``scale`` > 0 multiplies; the peak is
    scale * alpha / 2.
    Source: Fang et al. 2021 (arXiv:2007.05785), Eq. 8.
    """

    alpha: Number = positive(default=2.0)
    scale: Number = positive(default=1.0)

    presets = {
        "spikingjelly.ATan": lambda alpha=2.0: ATan(alpha, forward=spike_at_zero),
        "snntorch.atan": lambda alpha=2.0: ATan(alpha),
        "slax.atan": lambda alpha=2.0: ATan(alpha, forward=spike_at_zero),
        "braintools.Arctan": lambda alpha=1.0: ATan(alpha, forward=spike_at_zero),
        "braincog.AtanGrad": lambda alpha=2.0: ATan(alpha),
        "spyx.arctan": lambda k=2: ATan(2 * k, 1 / (math.pi * k)),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = math.pi / 2 * self.alpha * x
        q = 1 + squared(xp, z, differentiable=self._slope_differentiated)
        return scaled(self.scale * self.alpha / 2, xp.reciprocal(q))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self.scale * (xp.atan(math.pi / 2 * self.alpha * x) / math.pi + 0.5)


class Circular(Surrogate):
    """The derivative of the algebraic sigmoid x / sqrt(x^2 + alpha^2), scaled to a peak of its own.

        g'(x) = height * alpha**3 / (x**2 + alpha**2)**(3 / 2)
        g(x) = height * (alpha + alpha * x / sqrt(x**2 + alpha**2))

    ``alpha`` > 0 is the width, in units of ``x``, ``height`` > 0 the peak; the primitive is a
    probability where the height is 1 / (2 alpha).
    Source: Norse (doi:10.5281/zenodo.4422025), heavi_circ_fn.
    """

    alpha: Number = positive(default=1.0)
    height: Number = positive(default=1.0)

    presets = {
        "norse.circ": lambda k: Circular(k),
        "norse.circ_dist": lambda k: Circular(
            k, forward=Bernoulli(Primitive(Circular(k, 1 / (2 * k))))
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # TensorFlow's forward mode takes the logarithm of the base; the power is 0 before that is
        # infinite.
        z2 = squared(xp, x / self.alpha, differentiable=self._slope_differentiated, ends=0.5)
        return self.height * xp.pow(1 + z2, -1.5)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # 1 - |z| / r without the cancellation; left of 0 that is the primitive, right of 0 two
        # less it.
        z = xp.where(x < 0, -x, x) / self.alpha
        near = z < math.sqrt(float(xp.finfo(x.dtype).max)) / 2
        z = xp.where(near, z, 0.0)
        r = xp.sqrt(1 + z * z)
        tail = xp.where(near, 1 / (r * (r + z)), 0.0)
        return self.height * self.alpha * xp.where(x < 0, tail, 2 - tail)


class SquarewaveFourierSeries(Surrogate):
    """The first terms of the Fourier series of a square wave: periodic, and negative in parts.

        g'(x) = 4 / period * sum(cos((2 * i - 1) * 2 * pi * x / period) for i in range(1, n + 1))
        g(x) = 1 / 2 + 2 / pi * sum(sin((2 * i - 1) * 2 * pi * x / period) / (2 * i - 1)
                for i in range(1, n + 1))

    ``n`` >= 1 is the number of terms (SpikingJelly's n counts one more), ``period`` > 0 is in
    units of ``x``; the peak is 4 n / period.
    Source: SpikingJelly (doi:10.1126/sciadv.adi1480), SquarewaveFourierSeries.
    """

    n: int = count(default=2)
    period: Number = positive(default=8.0)

    presets = {
        "spikingjelly.SquarewaveFourierSeries": (
            lambda n=2, T_period=8.0: SquarewaveFourierSeries(
                n - 1, T_period, forward=spike_at_zero
            )
        ),
        "braintools.SquarewaveFourierSeries": (
            lambda n=2, t_period=8.0: SquarewaveFourierSeries(n, t_period, forward=spike_at_zero)
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # x is folded into a quarter of the period, exact as an angle is not; and by selections, as
        # where two are equal a minimum has half the derivative of each.
        r = xp.remainder(xp.where(x < 0, -x, x), self.period)
        r = xp.where(r > self.period / 2, self.period - r, r)
        turns = xp.where(r > self.period / 4, self.period / 2 - r, r) / self.period
        # In sin(2 n z) / (2 sin z) no term cancels another, but in its derivative where z is small.
        # There all terms of the sum are positive.
        small = turns < 1 / (16 * self.n)
        apart = xp.where(small, 0.125, turns)
        ratio = sin_turns(xp, 2 * self.n * apart) / xp.sin(2 * math.pi * apart)
        angle = 2 * math.pi * xp.where(small, turns, 0.0)
        terms = 2 * sum(xp.cos(i * angle) for i in range(1, 2 * self.n, 2))
        sign = xp.where(r > self.period / 4, -2 / self.period, 2 / self.period * xp.ones_like(r))
        return sign * xp.where(small, terms, ratio)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        r = xp.remainder(x, self.period)
        z = 2 * math.pi / self.period * xp.where(r > self.period / 2, r - self.period, r)
        return 0.5 + 2 / math.pi * sum(xp.sin(i * z) / i for i in range(1, 2 * self.n, 2))


def _custom_spike(
    surrogate_type: str = "SuperSpike",
    escape_noise_type: str = "step",
    beta: float = 10.0,
    p0: float = 0.01,
    delta_u: float = 0.133,
) -> Surrogate:
    """The slopes and escape noises of stork's CustomSpike, with one set of parameters for both."""
    escape = ExponentialEscape(p0, delta_u)
    noises = {
        "step": None,
        "sigmoid": Bernoulli(Logistic(beta)),
        "exponential": Bernoulli(Primitive(escape)),
    }
    surrogates: dict[str, Surrogate] = {
        "SuperSpike": FastSigmoid(beta),
        "sigmoid": Sigmoid(beta),
        "MultilayerSpiker": Proportional(),
        "exponential": escape,
    }
    for name, came, known in (
        ("escape_noise_type", escape_noise_type, noises),
        ("surrogate_type", surrogate_type, surrogates),
    ):
        if came not in known:
            raise ValueError(
                f"stork.CustomSpike: {name} is {came!r}; expected one of {', '.join(known)}"
            )
    return surrogates[surrogate_type].replace(forward=noises[escape_noise_type])


class ExponentialEscape(Surrogate):
    """The escape rate of a noisy neuron: it grows without bound.

        g'(x) = rate / width * exp(x / width)
        g(x) = rate * exp(x / width)

    ``rate`` > 0 is the probability at x = 0, ``width`` > 0 is in units of ``x``. What is larger
    than any number of the dtype is the largest.
    Source: Gerstner et al. 2014, Neuronal Dynamics, Eq. 9.5; stork
    (github.com/fmi-basel/stork), CustomSpike.
    """

    rate: Number = positive(default=0.01)
    width: Number = positive(default=0.133)

    presets = {"stork.CustomSpike": _custom_spike}

    def _exponential(self, xp: Backend, x: Array, factor: Number) -> Array:
        """factor * exp(x / width), or the largest number."""
        # In two halves, as the exponential may be infinite where its product with the factor is not;
        # and the logarithm of the factor, in the exponent, would be rounded with it.
        largest = float(xp.finfo(x.dtype).max)
        half = x / (2 * self.width)
        inside = half < (math.log(largest) - log_of(xp, factor)) / 2
        e = xp.exp(xp.where(inside, half, 0.0))
        return xp.where(inside, factor * e * e, largest)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self._exponential(xp, x, self.rate / self.width)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self._exponential(xp, x, self.rate)

    def _computed(self, xp: Backend, x: Array, formula: Callable[..., Array], *u: Array) -> Array:
        # In 16 bits the largest of float32 is infinite, and the value of the expansion 0 * inf.
        result = super()._computed(xp, x, formula, *u)
        largest = float(xp.finfo(x.dtype).max)
        return xp.where(result <= largest, result, largest)


class SwishSign(Surrogate):
    """The derivative of the SignSwish of BNN+, a smooth sign with overshoot.

        f(x) = -1 if x < 0 else 1
        g'(x) = beta * (2 - beta * x * tanh(beta * x / 2)) / (1 + cosh(beta * x))
        g(x) = 2 * s(beta * x) * (1 + beta * x * s(-beta * x))
        s(z) = 1 / (1 + exp(-z))

    ``beta`` > 0 is the steepness, in units of 1 / ``x``; the peak is beta.
    Source: Darabi et al. 2018, BNN+ (arXiv:1812.11800), Eq. 4; larq swish_sign.
    """

    beta: Number = positive(default=5.0)

    presets = {"larq.swish_sign": lambda beta=5.0: SwishSign(beta)}

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return binary.evaluate(xp, x)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # With e = exp(-|z|): tanh and cosh overflow, or are approximated, where e is exact.
        z = -minus_abs(xp, self.beta * x)
        z = xp.where(z < 1e4, z, 1e4)  # 0 beyond, and not 0 * inf
        e = xp.exp(-z)
        w = e / (1 + e)
        return 2 * self.beta * (w / (1 + e) * ((2 - z) + 2 * z * w))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = self.beta * x
        # z s(z) s(-z) is 0 beyond, and not inf * 0.
        near = xp.where(abs(z) < 1e4, z, 0.0)
        return 2 * (logistic(xp, z) + near * logistic_slope(xp, near))
