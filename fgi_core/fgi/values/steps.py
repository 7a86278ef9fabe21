"""Steps and signs, and what counts spikes: values that jump at a threshold."""

from __future__ import annotations

import math

from ..backend.protocol import Array, Backend
from ..parameters import Number, number, positive, unit
from .formulas import clip
from .value import Value

__all__ = [
    "GradedSpike",
    "Heaviside",
    "LogSpikeCount",
    "Sign",
    "SpikeCount",
    "Ternary",
    "binary",
    "heaviside",
    "sign",
    "spike_at_zero",
]


class Heaviside(Value):
    """The unit step: a spike where the membrane exceeds the threshold.

        f(x) = 1 if x > threshold else (at_zero if x == threshold else 0)

    NaN gives 0. ``at_zero`` is 0 in Otte 2024, Norse, snnTorch and Spyx; ``Heaviside(at_zero=1)``
    is the step of SpikingJelly, sinabs and lava-dl, which counts zero as a spike. ``threshold`` is
    in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    at_zero: Number = unit(default=0.0)
    threshold: Number = number(default=0.0)
    arithmetic = True

    def _evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if isinstance(self.threshold, float) and self.threshold == 0:
            return self.in_dtype(xp, x.dtype).evaluate(xp, x)  # the same in every dtype
        return super()._evaluate(xp, x)

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if isinstance(self.at_zero, float) and (self.at_zero == 0 or self.at_zero == 1):
            return xp.step(x, self.threshold, at_zero=int(self.at_zero))
        return xp.where(x == self.threshold, self.at_zero, xp.step(x, self.threshold))


class Sign(Value):
    """The sign, for binary networks.

        f(x) = 1 if x > 0 else (at_zero if x == 0 else -1)

    NaN stays NaN. ``at_zero`` is 0 as in NumPy; binary networks write ``Sign(at_zero=1)``.
    Shape and dtype: those of ``x``, real floating.
    """

    at_zero: Number = number(default=0.0)

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if isinstance(self.at_zero, float) and self.at_zero == 0:
            return xp.sign(x)
        return xp.where(x == 0, self.at_zero, xp.sign(x))


class Ternary(Value):
    """Three levels: the sign of what is large enough.

        f(x) = 0 if abs(x) < threshold else sign(x)

    NaN stays NaN. ``threshold`` > 0 is in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    threshold: Number = positive(default=0.05)
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.where(abs(x) < self.threshold, 0.0, xp.sign(x))


class SpikeCount(Value):
    """How many thresholds the membrane has passed: several spikes in one time step.

        f(x) = min(trunc(x / threshold), maximum) if x > 0 else 0

    ``threshold`` > 0 is in units of ``x``; ``maximum`` >= 1 may be infinite. NaN gives 0.
    Shape and dtype: those of ``x``, real floating.
    """

    threshold: Number = positive(default=1.0)
    maximum: Number = number(default=math.inf, range="extended")
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        n = clip(xp, xp.trunc(xp.divide(x, self.threshold)), -math.inf, self.maximum)
        return xp.where(x > 0, n, 0.0)


class LogSpikeCount(Value):
    """How many e-folds above the threshold: spikes for a current, in a log-domain circuit.

        f(x) = min(max(ceil(log(x / threshold)), 0), maximum) if x > 0 else 0

    ``threshold`` > 0 is in units of ``x``; ``maximum`` >= 1 may be infinite. NaN gives 0.
    Shape and dtype: those of ``x``, real floating.
    """

    threshold: Number = positive(default=1.0)
    maximum: Number = number(default=math.inf, range="extended")
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Below the threshold the logarithm is not wanted, and at 0 it is not there.
        q = xp.where(x > self.threshold, xp.divide(x, self.threshold), 1.0)
        return clip(xp, xp.ceil(xp.log(q)), 0.0, self.maximum)


class GradedSpike(Value):
    """A spike that carries the membrane, scaled.

        f(x) = x / scale if x >= threshold else 0

    ``threshold`` and ``scale`` > 0 are in units of ``x``. NaN gives 0.
    Shape and dtype: those of ``x``, real floating.
    """

    threshold: Number = number(default=0.0)
    scale: Number = positive(default=1.0)
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.where(x >= self.threshold, xp.divide(x, self.scale), 0.0)


heaviside = Heaviside()
spike_at_zero = Heaviside(at_zero=1.0)
sign = Sign()
binary = Sign(at_zero=1.0)
