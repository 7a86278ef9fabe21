"""Several spikes in one time step: the value counts thresholds, the slope may repeat with each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...backend.protocol import Array, Backend
from ...parameters import Number, number, positive
from ...values.formulas import clip, held, straight
from ...values.steps import Heaviside, SpikeCount
from ..surrogate import Surrogate


class StepPWL(Surrogate, name="step_pwl"):
    """A spike count whose slope is that of the line through its steps.

        f(x) = min(trunc(x / threshold), maximum) if x > 0 else 0
        g'(x) = 1 / threshold if x >= threshold - window else 0
        g(x) = max(x - (threshold - window), 0) / threshold
        dy/dthreshold = -x / threshold**2 if x >= threshold - window else 0

    ``threshold`` > 0, which may be learned, and ``window`` are in units of ``x``; ``maximum`` >= 1
    may be infinite.
    Source: Rockpool (rockpool.ai), StepPWL and step_pwl.
    """

    threshold: Number = positive(default=1.0)
    window: Number = number(default=0.5)
    maximum: Number = number(default=math.inf, range="extended")

    learnable = ("threshold",)
    presets = {
        "rockpool_torch.StepPWL": (
            lambda threshold=1.0, window=0.5, max_spikes_per_dt=2.0**16: StepPWL(
                threshold, window, max_spikes_per_dt
            )
        ),
        "rockpool_jax.step_pwl": (
            lambda threshold=1.0, window=0.5, max_spikes_per_dt=2.0**16: StepPWL(
                threshold, window, max_spikes_per_dt
            )
        ),
        "rockpool_torch.UpDown.StepPWL": lambda: StepPWL(),
    }

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return SpikeCount(self.threshold, self.maximum).evaluate(xp, x)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.step(x, self.threshold - self.window, at_zero=1) / self.threshold

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = x - (self.threshold - self.window)
        return xp.where(z >= 0, z, 0.0) / self.threshold

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        return {"threshold": -x / self.threshold * self.slope(xp, x)}


class PeriodicExponential(Surrogate):
    """A spike count with an exponential around each multiple of the threshold.

        f(x) = min(trunc(x / threshold), maximum) if x > 0 else 0
        g'(x) = exp(-abs(x - n * threshold) / width) / threshold
        n = min(max(round(x / threshold), 1), maximum)
        g(x) = width / threshold * (1 + (n - 1) * 2 * (1 - exp(-threshold / (2 * width)))
                + sign(x - n * threshold) * (1 - exp(-abs(x - n * threshold) / width)))
        dy/dthreshold = -x / threshold**2 * exp(-abs(x - n * threshold) / width)

    ``threshold`` > 0, which may be learned, and ``width`` > 0, the distance of an e-fold, are in
    units of ``x``; ``maximum`` >= 1 may be infinite.
    Source: Rockpool (rockpool.ai), PeriodicExponential. That of sinabs is SawtoothExponential.
    """

    threshold: Number = positive(default=1.0)
    width: Number = positive(default=0.5)
    maximum: Number = number(default=math.inf, range="extended")

    learnable = ("threshold",)
    presets = {
        "rockpool_torch.PeriodicExponential": (
            lambda threshold=1.0, window=0.5, max_spikes_per_dt=2.0**16: PeriodicExponential(
                threshold, window, max_spikes_per_dt
            )
        ),
    }

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return SpikeCount(self.threshold, self.maximum).evaluate(xp, x)

    def _nearest(self, xp: Backend, x: Array) -> Array:
        n = xp.maximum(xp.round(x / self.threshold), 1.0)
        return n if self._endless else xp.minimum(n, self.maximum)

    @property
    def _endless(self) -> bool:
        return isinstance(self.maximum, float) and self.maximum == math.inf

    def _between(self, x: Array) -> Array:
        """Where each half of a threshold is a kink."""
        above = x > self.threshold
        return above if self._endless else above & (x < self.maximum * self.threshold)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        d = xp.abs(x - self._nearest(xp, x) * self.threshold)
        if self._slope_differentiated:
            d = held(xp, d, (d >= self.threshold / 2) & self._between(x))
        # Of a large x the quotient may round to the next but one: half a threshold is the most
        # between two multiples. Before the first and after the last there is no bound.
        most = xp.maximum(2 * self.threshold - 2 * x, self.threshold / 2)
        if not self._endless:
            most = xp.maximum(2 * x - 2 * self.maximum * self.threshold, most)
        return xp.exp(-xp.minimum(d, most) / self.width) / self.threshold

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # The tail up to the threshold, the whole peaks below, and the part of the nearest.
        n = self._nearest(xp, x)
        d = x - n * self.threshold
        kink = (d == 0) | ((abs(d) == self.threshold / 2) & self._between(x))
        tail = xp.exp(-xp.abs(held(xp, d, kink)) / self.width)
        period = xp.exp(-self.threshold / (2 * self.width) * xp.ones_like(x))
        part = xp.where(d < 0, tail, 2 - tail)
        area = self.width / self.threshold
        peaks = (n - 1) * (2 * area * (1 - period)) + area * part
        return peaks + tail / self.threshold * straight(xp, d, kink)

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        return {"threshold": -x / self.threshold * self.slope(xp, x)}


class SawtoothExponential(Surrogate):
    """A spike count with an exponential of twice the distance around each multiple.

        f(x) = min(trunc(x / threshold), maximum) if x > 0 else 0
        g'(x) = height * exp(-abs(d) / width)
        d = threshold * (2 * frac(x / threshold - 1 / 2) - 1) if x > threshold else x - threshold
        frac(z) = z - floor(z)
        g(x) = height * width * (exp((x - threshold) / width) if x <= threshold else above)
        above = (1 + (n - 1) * (1 - exp(-threshold / width))
                + sign(r) * (1 - exp(-2 * abs(r) / width)) / 2)
        r = x - n * threshold
        n = round(x / threshold)

    ``threshold`` > 0 and ``width`` > 0, the distance of an e-fold below the threshold, are in units
    of ``x``; above it the distance grows from -threshold to threshold between two halves, twice as
    fast. ``maximum`` >= 1 may be infinite; ``height`` > 0 is the peak.
    Source: Weidel and Sheik 2021, WaveSense (arXiv:2111.01456), section 2.4; sinabs
    PeriodicExponential.
    """

    threshold: Number = positive(default=1.0)
    width: Number = positive(default=0.5)
    height: Number = positive(default=1.0)
    maximum: Number = number(default=math.inf, range="extended")

    presets = {
        "sinabs.SingleSpike+PeriodicExponential": (
            lambda threshold=1.0, grad_width=0.5, grad_scale=1.0: SawtoothExponential(
                threshold, grad_width, grad_scale, forward=Heaviside(1, threshold)
            )
        ),
        "sinabs.MultiSpike+PeriodicExponential": (
            lambda threshold=1.0, grad_width=0.5, grad_scale=1.0: SawtoothExponential(
                threshold, grad_width, grad_scale
            )
        ),
    }

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return SpikeCount(self.threshold, self.maximum).evaluate(xp, x)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Whole thresholds are taken off x, where that is exact, and not off a quotient, which may
        # overflow; and the half after that, as it would be lost in a large x.
        r = xp.remainder(x, self.threshold)
        if self._slope_differentiated:
            r = held(xp, r, r == self.threshold / 2)
        above = 2 * xp.where(r < self.threshold / 2, r, r - self.threshold)
        d = xp.where(x > self.threshold, above, x - self.threshold)
        return self.height * xp.exp(-xp.abs(d) / self.width)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # As of PeriodicExponential; above the threshold the peaks are half as wide.
        n = clip(xp, xp.round(x / self.threshold), 1.0, math.inf)
        r = x - n * self.threshold
        below, above = x < self.threshold, x > self.threshold
        first = xp.exp(xp.where(below, x - self.threshold, 0.0) / self.width)
        kink = ((r == 0) | (abs(r) == self.threshold / 2)) & (x >= self.threshold)
        distance = xp.abs(held(xp, xp.where(above, r, 0.0), kink))
        half = xp.exp(-2 * distance / self.width)
        period = xp.exp(-self.threshold / self.width * xp.ones_like(x))
        part = xp.where(r < 0, half - 1, 1 - half) / 2
        area = self.width * (first + (n - 1) * (1 - period) + part)
        return self.height * (area + half * straight(xp, r, kink))


class PeriodicFastSigmoid(Surrogate):
    """A spike count with a fast sigmoid around each integer.

        f(x) = min(max(round(x + 1 / 2), 0), maximum)
        g'(x) = 1 / (1 + beta * abs(x - max(round(x), 0)))**2
        g(x) = 1 / beta + n / (1 + beta / 2) + (x - n) / (1 + beta * abs(x - n))
        n = max(round(x), 0)

    ``beta`` > 0 is the steepness, in units of 1 / ``x``; ``maximum`` >= 1 may be infinite.
    Source: stork (github.com/fmi-basel/stork), MultiSpike.
    """

    beta: Number = positive(default=100.0)
    maximum: Number = number(default=10.0, range="extended")

    presets = {"stork.MultiSpike": lambda beta=100, maxspk=10: PeriodicFastSigmoid(beta, maxspk)}

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return clip(xp, xp.round(x + 0.5), 0.0, self.maximum)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        d = xp.abs(x - clip(xp, xp.round(x), 0.0, math.inf))
        if self._slope_differentiated:
            d = held(xp, d, (d == 0.5) & (x > 0))
        q = 1 + self.beta * d
        return 1 / q / q

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        n = clip(xp, xp.round(x), 0.0, math.inf)
        d = x - n
        kink = (d == 0) | ((abs(d) == 0.5) & (x > 0))
        tail = 1 / (1 + self.beta * xp.abs(held(xp, d, kink)))
        part = xp.where(d < 0, tail, 2 - tail) / self.beta
        return part + n / (1 + self.beta / 2) + tail * tail * straight(xp, d, kink)
