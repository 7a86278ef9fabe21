"""Slopes with a point at the threshold: exponentials and powers of the distance |x|."""

from __future__ import annotations

import math

from ...backend.protocol import Array, Backend
from ...parameters import Number, is_number, number, positive
from ...values.formulas import log_of, over, scaled, shifted, straight
from ...values.steps import GradedSpike, Heaviside, SpikeCount, spike_at_zero
from ..surrogate import Surrogate


class Exponential(Surrogate):
    """The two-sided exponential, the shape of the Laplace density.

        g'(x) = height * exp(-abs(x - mu) / tau)
        g(x) = height * tau * (exp((x - mu) / tau) if x < mu else 2 - exp((mu - x) / tau))

    ``tau`` > 0 is the distance of an e-fold and ``mu`` the place of the peak, in units of ``x``;
    ``height`` > 0 is the peak.
    Source: Shrestha and Orchard 2018, SLAYER (arXiv:1810.08646), Eq. 12.
    """

    tau: Number = positive(default=1.0)
    height: Number = positive(default=1.0)
    mu: Number = number(default=0.0)

    presets = {
        "fgi_reference.fgi(exp_decay)": lambda: Exponential(),
        "fgi_reference.autograd.StepExpGrad": lambda: Exponential(),
        "spikingjelly.PiecewiseExp": (
            lambda alpha=1.0: Exponential(1 / alpha, alpha / 2, forward=spike_at_zero)
        ),
        "braintools.PiecewiseExp": (
            lambda alpha=1.0: Exponential(1 / alpha, alpha / 2, forward=spike_at_zero)
        ),
        "braintools.SlayerGrad": lambda alpha=1.0: Exponential(1 / alpha, forward=spike_at_zero),
        "snntorch.spike_rate_escape": lambda beta=1, slope=25: Exponential(1 / beta, slope, 1.0),
        "lava_dl.slayer.spike.Spike": (
            lambda threshold=1.0, tau_rho=1.0, scale_rho=1.0: Exponential(
                tau_rho, scale_rho / (2 * tau_rho), threshold, forward=Heaviside(1, threshold)
            )
        ),
        "sinabs.SingleSpike+SingleExponential": (
            lambda threshold=1.0, grad_width=0.5, grad_scale=1.0: Exponential(
                threshold * grad_width,
                grad_scale / (threshold * grad_width),
                threshold,
                forward=Heaviside(1, threshold),
            )
        ),
        "sinabs.MultiSpike+SingleExponential": (
            lambda threshold=1.0, grad_width=0.5, grad_scale=1.0: Exponential(
                threshold * grad_width,
                grad_scale / (threshold * grad_width),
                threshold,
                forward=SpikeCount(threshold),
            )
        ),
        "sinabs.MaxSpike+SingleExponential": (
            lambda threshold=1.0, max_num_spikes_per_bin=2, grad_width=0.5, grad_scale=1.0: (
                Exponential(
                    threshold * grad_width,
                    grad_scale / (threshold * grad_width),
                    threshold,
                    forward=SpikeCount(threshold, max_num_spikes_per_bin),
                )
            )
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = xp.abs(shifted(x, self.mu))
        return scaled(self.height, xp.exp(over(-z, self.tau)))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = x - self.mu
        tail = xp.exp(-xp.abs(z) / self.tau)
        side = xp.where(z < 0, tail, 2 - tail)
        return self.height * (self.tau * side + straight(xp, z, z == 0))


class OneSidedExponential(Surrogate):
    """An exponential below the threshold, constant above: for graded spikes.

        g'(x) = height * exp(min(x - mu, 0) / tau)
        g(x) = height * (tau * exp((x - mu) / tau) if x < mu else tau + x - mu)

    ``tau`` > 0 is the distance of an e-fold and ``mu`` the place of the kink, in units of ``x``;
    ``height`` > 0 is the slope above it.
    Source: lava-dl (github.com/lava-nc/lava-dl), slayer.spike.Spike with graded_spike.
    """

    tau: Number = positive(default=1.0)
    height: Number = positive(default=1.0)
    mu: Number = number(default=0.0)

    presets = {
        "lava_dl.slayer.spike.Spike(graded)": (
            lambda threshold=1.0, tau_rho=1.0, scale_rho=1.0, scale=1.0: OneSidedExponential(
                tau_rho, scale_rho, threshold, forward=GradedSpike(threshold, scale)
            )
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = xp.where(x < self.mu, x - self.mu, 0.0)
        return self.height * xp.exp(z / self.tau)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = x - self.mu
        tail = self.tau * xp.exp(xp.where(z < 0, z, 0.0) / self.tau)
        return self.height * (tail + xp.where(z < 0, 0.0, z))


class FastSigmoid(Surrogate):
    """The derivative of the fast sigmoid x / (1 + |x|); the SuperSpike slope.

        g'(x) = height / (1 + alpha * abs(x))**2
        g(x) = height / alpha * (1 / (1 - alpha * x) if x < 0 else 2 - 1 / (1 + alpha * x))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``height`` > 0 the peak.
    Source: Zenke and Ganguli 2018 (doi:10.1162/neco_a_01086), SuperSpike, section 2.
    """

    alpha: Number = positive(default=25.0)
    height: Number = positive(default=1.0)

    presets = {
        "spikingjelly.SoftSign": (
            lambda alpha=2.0: FastSigmoid(alpha, alpha / 2, forward=spike_at_zero)
        ),
        "spikingjelly.SuperSpike": (
            lambda alpha=1.0: FastSigmoid(1.0, alpha, forward=spike_at_zero)
        ),
        "braintools.SoftSign": (
            lambda alpha=1.0: FastSigmoid(alpha, alpha / 2, forward=spike_at_zero)
        ),
        "braintools.InvSquareGrad": lambda alpha=100.0: FastSigmoid(alpha, forward=spike_at_zero),
        "snntorch.fast_sigmoid": lambda slope=25: FastSigmoid(slope),
        "slax.fast_sigmoid": lambda slope=25: FastSigmoid(slope, forward=spike_at_zero),
        "spyx.superspike": lambda k=25: FastSigmoid(k),
        "jaxsnn.superspike": lambda alpha=80.0: FastSigmoid(alpha, forward=Heaviside(0.5)),
        "stork.SuperSpike": lambda beta=20: FastSigmoid(beta),
        "stork.SuperSpike_asymptote": lambda beta=100: FastSigmoid(beta, beta),
        "stork.SuperSpike_rescaled": lambda beta=20.0: FastSigmoid(beta, (beta + 1) ** 2),
        # The release ignores alpha in the gradient; the development version does not.
        "norse.super": (
            lambda alpha=100.0, version="1.1.0": FastSigmoid(1.0 if version == "1.1.0" else alpha)
        ),
        "norse_git.super": lambda alpha=100.0: FastSigmoid(alpha),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        r = xp.reciprocal(1 + scaled(self.alpha, xp.abs(x)))
        return scaled(self.height, r * r)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        tail = 1 / (1 + self.alpha * xp.abs(x))
        side = xp.where(x < 0, tail, 2 - tail)
        return self.height * (side / self.alpha + straight(xp, x, x == 0))


class OneSidedFastSigmoid(Surrogate):
    """The fast sigmoid below the threshold, constant above.

        g'(x) = height / (1 + alpha * max(-x, 0))**2
        g(x) = height / alpha * (1 / (1 - alpha * x) if x < 0 else 1 + alpha * x)

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``height`` > 0 the slope above.
    Source: stork (github.com/fmi-basel/stork), SuperSpike_MemClamp.
    """

    alpha: Number = positive(default=20.0)
    height: Number = positive(default=1.0)

    presets = {"stork.SuperSpike_MemClamp": lambda beta=20.0: OneSidedFastSigmoid(beta)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        r = xp.reciprocal(1 - scaled(self.alpha, xp.where(x < 0, x, 0.0)))
        return scaled(self.height, r * r)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        tail = 1 / (1 - self.alpha * xp.where(x < 0, x, 0.0))
        return self.height * (tail / self.alpha + xp.where(x < 0, 0.0, x))


class SparseFastSigmoid(Surrogate):
    """The fast sigmoid where x exceeds a bound, else nothing.

        g'(x) = height / (1 + alpha * abs(x))**2 if x > bound else 0
        g(x) = max(F(x) - F(bound), 0)
        F(x) = height * x / (1 + alpha * abs(x))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``bound`` in units of ``x``, ``height``
    > 0 multiplies.
    Source: Perez-Nieves and Goodman 2021 (arXiv:2105.08810); snnTorch SFS.
    """

    alpha: Number = positive(default=25.0)
    bound: Number = number(default=1.0)
    height: Number = positive(default=1.0)

    presets = {"snntorch.SFS": lambda slope=25, B=1: SparseFastSigmoid(slope, B)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        r = xp.reciprocal(1 + scaled(self.alpha, xp.abs(x)))
        return xp.where(x > self.bound, scaled(self.height, r * r), 0.0)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # F(x) - F(bound), without the cancellation where both are on one side of 0. Beyond ``far``
        # F does not rise any more, and alpha x may overflow.
        far = 2.0**80 / self.alpha
        z = xp.where(abs(x) < far, x, far)
        qz, qb = 1 + self.alpha * xp.abs(z), 1 + self.alpha * abs(self.bound)
        rise = xp.where(z * self.bound <= 0, z / qz - self.bound / qb, (z - self.bound) / qz / qb)
        return self.height * xp.where(x > self.bound, rise, 0.0)


class Reciprocal(Surrogate):
    """The reciprocal of the distance, whose primitive is logarithmic: a heavy tail.

        g'(x) = height / (1 + alpha * abs(x))
        g(x) = height / alpha * sign(x) * log(1 + alpha * abs(x))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``height`` > 0 the peak.
    Source: SpikingJelly (doi:10.1126/sciadv.adi1480), NonzeroSignLogAbs.
    """

    alpha: Number = positive(default=1.0)
    height: Number = positive(default=1.0)

    presets = {
        "spikingjelly.NonzeroSignLogAbs": (
            lambda alpha=1.0: Reciprocal(alpha, alpha, forward=spike_at_zero)
        ),
        "braintools.NonzeroSignLog": (
            lambda alpha=1.0: Reciprocal(alpha, alpha, forward=spike_at_zero)
        ),
        "snnax.superspike_surrogate": lambda beta=10.0: Reciprocal(beta, forward=spike_at_zero),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return scaled(self.height, xp.reciprocal(1 + scaled(self.alpha, xp.abs(x))))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        size = xp.abs(x)
        z = self.alpha * size
        near = z < math.sqrt(float(xp.finfo(x.dtype).max))
        far = xp.log(xp.where(near, 1.0, size)) + log_of(xp, self.alpha)
        tail = xp.where(near, xp.log1p(xp.where(near, z, 0.0)), far)
        side = xp.where(x < 0, -tail, tail)
        return self.height * (side / self.alpha + straight(xp, x, x == 0))


class QPseudoSpike(Surrogate, name="q_pseudo_spike"):
    """A power of the distance; the exponent sets the tail.

        g'(x) = (1 + 2 / (alpha + offset) * abs(x))**(-alpha)
        g(x) = A * tail if x < 0 else A * (2 - tail)
        A = (alpha + offset) / (2 * (alpha - 1))
        tail = (1 + 2 / (alpha + offset) * abs(x))**(1 - alpha)

    ``alpha`` > 0 is the exponent, with alpha + offset > 0; ``offset`` is -1 in the paper and in
    SpikingJelly, 1 in braintools. The primitive wants alpha > 1.
    Source: Herranz-Celotti and Rouat 2022 (arXiv:2202.00282), Eq. 11.
    """

    alpha: Number = positive(default=2.0)
    offset: Number = number(default=-1.0)

    presets = {
        "spikingjelly.QPseudoSpike": lambda alpha=2.0: QPseudoSpike(alpha, forward=spike_at_zero),
        "braintools.QPseudoSpike": (
            lambda alpha=2.0: QPseudoSpike(alpha, 1.0, forward=spike_at_zero)
        ),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_number(self.alpha) and is_number(self.offset) and not self.alpha + self.offset > 0:
            raise ValueError(
                f"QPseudoSpike: alpha is {self.alpha!r} and offset is {self.offset!r}; expected "
                f"alpha + offset > 0, that is alpha > {-self.offset:g}"
            )

    def _power(self, xp: Backend, x: Array, exponent: Number) -> Array:
        """(1 + 2 / (alpha + offset) |x|)^exponent."""
        q = 2 / (self.alpha + self.offset) * xp.abs(x)
        q = xp.minimum(q, float(xp.finfo(x.dtype).max))
        base = 1 + q
        # The sum is rounded, and the power multiplies that by the exponent: it is put back.
        lost = (q - (base - 1)) / base
        return xp.pow(base, exponent) * (1 + exponent * lost)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self._power(xp, x, -self.alpha)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        if is_number(self.alpha) and self.alpha <= 1:
            raise TypeError(f"QPseudoSpike: alpha is {self.alpha}; expected > 1 for a primitive")
        area = (self.alpha + self.offset) / (2 * (self.alpha - 1))
        tail = self._power(xp, x, 1 - self.alpha)
        return area * xp.where(x < 0, tail, 2 - tail) + straight(xp, x, x == 0)


class FakeNumericalGradient(Surrogate):
    """The difference quotient of the sign function between 0 and x, capped.

        g'(x) = min(1 / abs(x), alpha) if x != 0 else alpha
        g(x) = sign(x) * (alpha * abs(x) if alpha * abs(x) < 1 else 1 + log(alpha * abs(x)))

    ``alpha`` > 0 is the cap, in units of 1 / ``x``.
    Source: SpikingJelly (doi:10.1126/sciadv.adi1480), FakeNumericalGradient.
    """

    alpha: Number = positive(default=0.3)

    presets = {
        "spikingjelly.FakeNumericalGradient": (
            lambda alpha=0.3: FakeNumericalGradient(alpha, forward=spike_at_zero)
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = self.alpha * xp.abs(x)
        return self.alpha / xp.where(z <= 1, 1.0, z)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = self.alpha * x
        size = xp.abs(x)
        near = size * self.alpha <= 1
        far = 1 + (xp.log(xp.where(near, 1 / self.alpha, size)) + log_of(xp, self.alpha))
        return xp.where(near, z, xp.where(x < 0, -far, far))
