"""Chance, from a key of the call: in the slope, or in the value with a slope made for it."""

from __future__ import annotations

from ...backend.protocol import Array, Backend
from ...parameters import Number, number, positive, unit
from ...values.chance import Bernoulli, Logistic
from ...values.formulas import logistic, minus_abs, product, sin_turns
from ...values.value import Value
from ..surrogate import Surrogate


class Derivative(Value):
    """The slope of a surrogate as a value: a spike probability, where the slope is one.

        f(x) = slope(x)

    ``surrogate`` has the slope, which is not random.
    Shape and dtype: those of ``x``, real floating.
    """

    surrogate: Surrogate

    _nested = {"surrogate": Surrogate}

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.surrogate.derivative(x)


class StochasticSpikeOperator(Surrogate):
    """Noise for the slope where nothing fires.

        g'(x) = 1 if x > 0 else (u - 1 / 2 + mean) * scale

    ``mean`` and ``scale`` are any numbers; u is uniform on [0, 1), from the key of the call, so
    that recomputing with the same key gives the same gradient.
    Source: snnTorch (github.com/jeshraghian/snntorch), StochasticSpikeOperator, where the scale is
    called variance.
    """

    mean: Number = number(default=0.0)
    scale: Number = number(default=0.2)

    random = True
    presets = {"snntorch.SSO": lambda mean=0, variance=0.2: StochasticSpikeOperator(mean, variance)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        above = xp.step(x, 0)
        return above + (1 - above) * ((u[0] - 0.5 + self.mean) * self.scale)


class Softplus(Surrogate):
    """The logistic function itself as the slope: that of softplus, a spike probability.

        g'(x) = height * s(alpha * (x - threshold))
        g(x) = height / alpha * log(1 + exp(alpha * (x - threshold)))
        s(z) = 1 / (1 + exp(-z))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; at ``threshold``, in units of ``x``, the
    slope is half of ``height``, which is from 0 to 1.
    Source: Spyx (github.com/kmheckel/spyx), sigmoid_bernoulli, with spikes of that probability.
    """

    alpha: Number = positive(default=10.0)
    threshold: Number = number(default=1.0)
    height: Number = unit(default=0.8)

    presets = {
        "spyx.sigmoid_bernoulli": lambda k=10, threshold=1.0, max_prob=0.8: Softplus(
            k, threshold, max_prob, forward=Bernoulli(Logistic(k, threshold, max_prob))
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.height * logistic(xp, self.alpha * (x - self.threshold))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        v = x - self.threshold
        z = self.alpha * v
        tail = xp.log1p(xp.exp(minus_abs(xp, z))) / self.alpha
        return self.height * (xp.where(z < 0, 0.0, v) + tail)


class RefractorySigmoid(Surrogate):
    """The positive half-waves of a cosine that a logistic function switches on.

        g'(x) = max(cos(2 * pi * threshold * v) * s(alpha * v), 0)
        v = x - threshold
        s(z) = 1 / (1 + exp(-z))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; ``threshold`` > 0 is in units of ``x``
    and the frequency of the wave in units of 1 / ``x``, too.
    Source: Spyx (github.com/kmheckel/spyx), refractory_sigmoid_bernoulli, with spikes of that
    probability.
    """

    alpha: Number = positive(default=50.0)
    threshold: Number = positive(default=1.0)

    presets = {
        "spyx.refractory_sigmoid_bernoulli": lambda k=50, threshold=1: RefractorySigmoid(
            k, threshold, forward=Bernoulli(Derivative(RefractorySigmoid(k, threshold)))
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Where the wave falls as fast as the exponential rises, the rounding of either shows: both
        # are computed of the same v, with twice the digits.
        v = x - self.threshold
        turns, rest = product(xp, self.threshold, v)
        f = turns - xp.round(turns)
        f = xp.where(f == f, f, 0.0)  # inf - inf: so many turns are whole
        rest = rest - xp.round(rest)
        wave = sin_turns(xp, xp.where(f < 0, (0.25 + f) + rest, (0.25 - f) - rest))
        z, low = product(xp, self.alpha, v)
        e = xp.exp(minus_abs(xp, z))
        e = e + e * xp.where(z < 0, low, -low)
        return xp.where(wave > 0, wave, 0.0) * (xp.where(z < 0, e, 1.0) / (1 + e))
