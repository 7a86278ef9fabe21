"""Slopes in pieces: constant, straight, or with a formula for each side."""

from __future__ import annotations

import math

from ...backend.protocol import Array, Backend
from ...parameters import Number, choice, number, positive, unit
from ...values.chance import Bernoulli, Logistic, StochasticRound, StochasticTernary
from ...values.formulas import held, logistic, logistic_slope, over, scaled, straight
from ...values.rounding import Ceil, Floor, KBit, MidRise, PowerOfTwo, Quantize, Round, Truncate
from ...values.shapes import Absolute, Clip
from ...values.steps import Heaviside, Sign, Ternary, binary, sign, spike_at_zero
from ...values.value import Value
from ..surrogate import Surrogate


def _quantized_bits(
    bits: int = 8, integer: int = 0, symmetric: bool = False, keep_negative: bool = True
) -> StraightThrough:
    """QKeras': its alpha is None or 1 here."""
    high, step = 2.0**integer, 2.0 ** (integer - bits + keep_negative)
    low = symmetric * step - high if keep_negative else 0.0
    return StraightThrough(forward=Round(step, low, high - step))


def _quantized_po2(bits: int = 8, max_value: float | None = None) -> StraightThrough:
    # A bit for the sign of x, one for that of the exponent unless all are negative.
    below = 2 ** (bits - 1 - (max_value is None or max_value >= 1))
    highest = below - 1
    if max_value is not None:
        highest = min(highest, round(math.log2(max_value)))
    return StraightThrough(forward=PowerOfTwo(-below, highest))


class StraightThrough(Surrogate):
    """The straight-through estimator: the gradient passes as if f were the identity.

        g'(x) = height
        g(x) = height * x

    ``height`` is the constant, any number.
    Source: Bengio, Leonard and Courville 2013 (arXiv:1308.3432).
    """

    height: Number = number(default=1.0)

    presets = {
        "norse.heaviside": lambda: StraightThrough(0.0),
        "spikingjelly.DeterministicPass": lambda: StraightThrough(forward=spike_at_zero),
        "snntorch.straight_through_estimator": lambda: StraightThrough(),
        "braincog.straight_through_estimator": lambda: StraightThrough(forward=spike_at_zero),
        "brevitas.round_ste": lambda: StraightThrough(forward=Round()),
        "brevitas.ceil_ste": lambda: StraightThrough(forward=Ceil()),
        "brevitas.floor_ste": lambda: StraightThrough(forward=Floor()),
        "brevitas.round_to_zero_ste": lambda: StraightThrough(forward=Truncate()),
        "brevitas.dpu_round_ste": lambda: StraightThrough(forward=Round(ties="up below zero")),
        "brevitas.binary_sign_ste": lambda: StraightThrough(forward=binary),
        "brevitas.ternary_sign_ste": lambda: StraightThrough(forward=sign),
        "brevitas.scalar_clamp_ste": (
            lambda min_val=-1.0, max_val=1.0: StraightThrough(forward=Clip(min_val, max_val))
        ),
        "brevitas.scalar_clamp_min_ste": (
            lambda min_val: StraightThrough(forward=Clip(min_val, math.inf))
        ),
        "torchao._Round": lambda: StraightThrough(forward=Round()),
        "spikingjelly.quantize.round": lambda: StraightThrough(forward=Round()),
        "spikingjelly.quantize.ceil": lambda: StraightThrough(forward=Ceil()),
        "spikingjelly.quantize.floor": lambda: StraightThrough(forward=Floor()),
        "spikingjelly.quantize.step_quantize": (
            lambda step=1.0: StraightThrough(forward=Round(step))
        ),
        "spikingjelly.quantize.k_bit_quantize": lambda k: StraightThrough(forward=KBit(k)),
        "lava_dl.slayer.utils.quantize(ROUND)": (
            lambda step=1: StraightThrough(forward=Round(step))
        ),
        "lava_dl.slayer.utils.quantize(FLOOR)": (
            lambda step=1: StraightThrough(forward=Floor(step))
        ),
        "lava_dl.slayer.utils.int_utils.Q2Zero": lambda: StraightThrough(forward=Truncate()),
        "sinabs.Quantize": lambda: StraightThrough(forward=Floor()),
        "rockpool_torch.floor_passthrough": lambda: StraightThrough(forward=Floor()),
        "rockpool_torch.round_passthrough": lambda: StraightThrough(forward=Round()),
        "qkeras._round_through": lambda: StraightThrough(forward=Round()),
        "qkeras._sign_through": lambda: StraightThrough(forward=sign),
        "qkeras._ceil_through": lambda: StraightThrough(forward=Ceil()),
        "qkeras._floor_through": lambda: StraightThrough(forward=Floor()),
        "qkeras.quantized_bits": _quantized_bits,
        "qkeras.quantized_po2": _quantized_po2,
        "spikingjelly.PoissonPass": lambda: StraightThrough(forward=Bernoulli()),
        "sinabs.StochasticRounding": lambda: StraightThrough(forward=StochasticRound()),
        "brevitas.StochasticRoundSte": lambda: StraightThrough(forward=StochasticRound()),
        # QKeras divides x by its standard deviation, where its alpha is "auto": so may you.
        "qkeras.bernoulli": lambda temperature=6.0: StraightThrough(
            forward=Bernoulli(Logistic(temperature))
        ),
        "qkeras.stochastic_binary": lambda temperature=6.0: StraightThrough(
            forward=Bernoulli(Logistic(temperature), low=-1.0)
        ),
        "qkeras.stochastic_ternary": lambda threshold=0.33, temperature=8.0: StraightThrough(
            forward=StochasticTernary(temperature, threshold)
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.height

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return self.height * x


def _clipped(clip_value: float | None, forward: Value | None = None) -> Surrogate:
    """Larq's estimator: a window, or none."""
    if clip_value is None:
        return StraightThrough(forward=forward)
    return Rectangle(-clip_value, clip_value, closed="both", forward=forward)


def _dorefa(k_bit: int = 2, mode: str = "activations") -> Rectangle:
    if mode != "activations":
        raise ValueError(
            f"larq.DoReFa: mode is {mode!r}; expected 'activations'; for weights, which depend on "
            f"the largest of them, write fgi.functional.dorefa_weight(x, bits)"
        )
    return Rectangle(0.0, 1.0, closed="both", forward=KBit(k_bit, 0.0, 1.0))


def _int_symmetric(
    bits: int = 8,
    preserve_zero: bool = True,
    preserve_max_val: bool = False,
    clip_gradient: bool = False,
) -> Surrogate:
    """AQT's; ``preserve_max_val`` is about the scale alone, by which x was divided before."""
    largest = 2.0 ** (bits - 1) - (1.0 if preserve_zero else 0.5)
    forward = (Round if preserve_zero else MidRise)(low=-largest, high=largest)
    return _clipped(largest if clip_gradient else None, forward)


def _quantized_relu(bits: int = 8, integer: int = 0) -> Rectangle:
    step = 2.0 ** (integer - bits)
    high = 2.0**integer - step
    return Rectangle(0.0, high, closed="right", forward=Round(step, 0.0, high))


def _quantized_tanh(bits: int = 8, symmetric: bool = False) -> Rectangle:
    step = 2.0 ** (1 - bits)
    # What rounds to 1 is out; without symmetry -1 is a level.
    forward = Round(step, symmetric * step - 1, 1 - step)
    if symmetric:
        return Rectangle(step / 2 - 1, 1 - step / 2, forward=forward)
    return Rectangle(-1.0, 1 - step / 2, closed="left", forward=forward)


def _quantize_and_dequantize(
    input_min: float = -1.0,
    input_max: float = 1.0,
    signed_input: bool = True,
    num_bits: int = 8,
    narrow_range: bool = False,
) -> Rectangle:
    """TensorFlow's with a given range: its gradient passes there, though one end is moved."""
    highest = 2 ** (num_bits - signed_input) - 1
    lowest = narrow_range - highest - 1 if signed_input else 0
    scale = max(input_max / highest, input_min / lowest if lowest else 0.0)
    forward = Quantize(scale, 0.0, lowest, highest)
    return Rectangle(input_min, input_max, closed="both", forward=forward)


class Rectangle(Surrogate):
    """The rectangle, boxcar or gate: a window in which the gradient passes.

        g'(x) = height if inside(x) else 0
        g(x) = height * (min(max(x, low), high) - low)
        inside(x) = low < x < high or x == low and left or x == high and right
        left = closed in ("both", "left")
        right = closed in ("both", "right")

    ``low`` < ``high`` are the edges, in units of ``x``; ``height`` > 0 is the slope between them.
    ``closed`` says which of the edges are inside: "neither", "both", "left" or "right".
    Source: Hubara et al. 2016, the clipped straight-through estimator (arXiv:1602.02830), Eq. 4;
    Wu et al. 2018 (doi:10.3389/fnins.2018.00331), Eq. 24.
    """

    low: Number = number(default=-0.5)
    high: Number = number(default=0.5)
    height: Number = positive(default=1.0)
    closed: str = choice("both", "left", "right", default="neither")

    presets = {
        "spikingjelly.Rect": lambda alpha=1.0: Rectangle(
            -0.5 / alpha, 0.5 / alpha, alpha, forward=spike_at_zero
        ),
        "spikingjelly.MultiLevelSpikeCount": lambda max_spike_count, grad_window=None: Rectangle(
            (grad_window or (0.0, max_spike_count))[0],
            (grad_window or (0.0, max_spike_count))[1],
            closed="both",
            forward=Round(low=0.0, high=max_spike_count),
        ),
        "spyx.boxcar": lambda width=2, height=0.5: Rectangle(-width / 2, width / 2, height),
        "snnax.piecewise_surrogate": lambda beta=0.5: Rectangle(-beta, beta, forward=spike_at_zero),
        "braincog.GateGrad": lambda alpha=2.0: Rectangle(-1 / alpha, 1 / alpha),
        "braincog.BackEIGateGrad": lambda: Rectangle(-0.5, 0.5),
        "braincog.EIGrad": lambda: Rectangle(-0.5, 0.5, forward=sign),
        "braincog.RoundGrad": lambda: Rectangle(-0.5, 4.5, forward=Ceil(low=-0.5, high=4.5)),
        "larq.ste_heaviside": lambda clip_value=1.0: _clipped(clip_value),
        "larq.ste_sign": lambda clip_value=1.0: _clipped(clip_value, binary),
        "larq.ste_tern": lambda threshold_value=0.05, clip_value=1.0: _clipped(
            clip_value, Ternary(threshold_value)
        ),
        "larq.DoReFa": _dorefa,
        "spikingjelly.quantize.clamp": lambda min_value=-1.0, max_value=1.0: Rectangle(
            min_value, max_value, closed="both", forward=Clip(min_value, max_value)
        ),
        "qkeras.binary_tanh": lambda: Rectangle(
            -1.0, 1.0, closed="both", forward=Sign(at_zero=-1.0)
        ),
        "qkeras.binary_sigmoid": lambda: Rectangle(-1.0, 1.0, 0.5, "both"),
        "qkeras.quantized_relu": _quantized_relu,
        "qkeras.quantized_tanh": _quantized_tanh,
        "aqt.IntSymmetric": _int_symmetric,
        "tf_builtin.quantize_and_dequantize_v2": _quantize_and_dequantize,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("low", "high")

    def _inside(self, x: Array) -> Array:
        above = x >= self.low if self.closed in ("both", "left") else x > self.low
        below = x <= self.high if self.closed in ("both", "right") else x < self.high
        return above & below

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return scaled(self.height, xp.astype(self._inside(x), x.dtype))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        area = (self.high - self.low) * xp.step(x, self.low)
        return self.height * xp.where(self._inside(x), x - self.low, area)


class Triangle(Surrogate):
    """The triangle, or piecewise linear slope.

        g'(x) = height * max(0, 1 - abs(x) / width)
        g(x) = height * width * (half if x < 0 else 1 - half)
        half = max(0, 1 - abs(x) / width)**2 / 2

    ``width`` > 0 is half the base, in units of ``x``, ``height`` > 0 the peak.
    Source: Esser et al. 2016 (doi:10.1073/pnas.1604850113); Bellec et al. 2018
    (arXiv:1803.09574).
    """

    width: Number = positive(default=1.0)
    height: Number = positive(default=1.0)

    presets = {
        "fgi_reference.fgi(linear_peak)": lambda: Triangle(),
        "fgi_reference.autograd.StepLinearGrad": lambda: Triangle(),
        "spikingjelly.PiecewiseQuadratic": (
            lambda alpha=1.0: Triangle(1 / alpha, alpha, forward=spike_at_zero)
        ),
        "braintools.PiecewiseQuadratic": (
            lambda alpha=1.0: Triangle(1 / alpha, alpha, forward=spike_at_zero)
        ),
        "braintools.ReluGrad": (
            lambda alpha=0.3, width=1.0: Triangle(width, alpha * width, forward=spike_at_zero)
        ),
        "braincog.QGateGrad": lambda alpha=2.0: Triangle(1 / alpha, alpha),
        "norse.triangle": lambda alpha=0.3: Triangle(height=alpha),
        "norse.sign.triangle": (
            lambda alpha=0.3: Triangle(height=2 * alpha, forward=Sign(at_zero=-1.0))
        ),
        "spyx.triangular": lambda k=2: Triangle(1 / k),
        "stork.EsserSpike": lambda beta=1: Triangle(1 / beta),
        "larq.approx_sign": lambda: Triangle(height=2.0, forward=binary),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        u_ = 1 - over(xp.abs(x), self.width)
        # At its ends, too, the derivative is 0: a maximum has half of it.
        top = xp.where(u_ > 0, u_, 0.0) if self._slope_differentiated else xp.maximum(u_, 0.0)
        return scaled(self.height, top)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        # Left of 0 it is u^2 / 2, right of 0 the whole triangle less the same.
        side = 1 - xp.abs(x) / self.width
        side = xp.where(side > 0, side, 0.0)
        half = side * side / 2
        area = xp.where(x < 0, half, 1 - half)
        return self.height * (self.width * area + straight(xp, x, x == 0))


class PiecewiseLeakyReLU(Surrogate, name="piecewise_leaky_relu"):
    """A rectangle with a leak: constant near the threshold, another constant far from it.

        g'(x) = 1 / (2 * width) if inside(x) else leak
        g(x) = leak * (x - middle) + (middle + width) / (2 * width)
        middle = min(max(x, -width), width)
        inside(x) = abs(x) < width or abs(x) == width and closed == "both"

    ``width`` > 0 is where the leak begins, in units of ``x``; ``leak`` is the slope from there.
    ``closed`` says whether |x| = width is inside: "neither" or "both".
    Source: SpikingJelly (doi:10.1126/sciadv.adi1480), PiecewiseLeakyReLU.
    """

    width: Number = positive(default=1.0)
    leak: Number = number(default=0.01)
    closed: str = choice("both", default="neither")

    presets = {
        "spikingjelly.PiecewiseLeakyReLU": (
            lambda w=1.0, c=0.01: PiecewiseLeakyReLU(w, c, forward=spike_at_zero)
        ),
        "braintools.PiecewiseLeakyRelu": (
            lambda c=0.01, w=1.0: PiecewiseLeakyReLU(w, c, "both", forward=spike_at_zero)
        ),
    }

    def _inside(self, x: Array) -> Array:
        return abs(x) <= self.width if self.closed == "both" else abs(x) < self.width

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        inside = xp.astype(self._inside(x), x.dtype)
        return inside / (2 * self.width) + (1 - inside) * self.leak

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        end = xp.step(x, 0)
        outside = end + self.leak * (x - (2 * end - 1) * self.width)
        return xp.where(self._inside(x), x / (2 * self.width) + 0.5, outside)


class LeakyStep(Surrogate):
    """One constant above a point and another below it: the slope of a leaky ReLU.

        g'(x) = height if above(x) else leak
        g(x) = (height if x > shift else leak) * (x - shift)
        above(x) = x > shift or x == shift and closed == "left"

    ``height`` and ``leak`` are any numbers, ``shift`` is the point, in units of ``x``; it counts as
    above where ``closed`` is "left", and not where it is "neither".
    Source: Maas et al. 2013, leaky ReLU; SpikingJelly (doi:10.1126/sciadv.adi1480), LeakyKReLU.
    """

    height: Number = number(default=1.0)
    leak: Number = number(default=0.0)
    shift: Number = number(default=0.0)
    closed: str = choice("neither", default="left")

    presets = {
        "spikingjelly.LeakyKReLU": (
            lambda leak=0.0, k=1.0: LeakyStep(k, leak, forward=spike_at_zero)
        ),
        "braintools.LeakyRelu": (
            lambda alpha=0.1, beta=1.0: LeakyStep(beta, alpha, forward=spike_at_zero)
        ),
        "snntorch.heaviside": lambda: LeakyStep(closed="neither"),
        # As documented: the library's own raises a TypeError.
        "snntorch.LSO": lambda slope=0.1: LeakyStep(1.0, slope),
        # The derivative of a tent, in spite of its name: it turns negative above the threshold.
        "snntorch.triangular": lambda threshold=1: LeakyStep(-threshold, threshold),
        "sinabs.SingleSpike+Heaviside": lambda threshold=1.0, window=1.0: LeakyStep(
            1 / threshold, shift=threshold - window, forward=Heaviside(1, threshold)
        ),
        "braincog.STDPGrad": lambda: LeakyStep(closed="neither"),
        "braincog.ReLUGrad": lambda alpha=2.0: LeakyStep(
            alpha, closed="neither", forward=spike_at_zero
        ),
        "brevitas.abs_binary_sign_grad": lambda: LeakyStep(1.0, -1.0, forward=Absolute()),
    }

    def _above(self, x: Array) -> Array:
        return x >= self.shift if self.closed == "left" else x > self.shift

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        above = xp.astype(self._above(x), x.dtype)
        return above * self.height + (1 - above) * self.leak

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        above = xp.astype(self._above(x), x.dtype)
        return (above * self.height + (1 - above) * self.leak) * (x - self.shift)


class LogTailedReLU(Surrogate, name="log_tailed_relu"):
    """A ReLU with a logarithmic tail.

        g'(x) = 1 / x if x > 1 else (1 if x > 0 else alpha)
        g(x) = 1 + log(x) if x > 1 else (x if x > 0 else alpha * x)

    ``alpha`` is the slope below the threshold, any number.
    Source: Cai et al. 2017 (arXiv:1702.00953), Eq. 8; SpikingJelly LogTailedReLU.
    """

    alpha: Number = number(default=0.0)

    presets = {
        "spikingjelly.LogTailedReLU": lambda alpha=0.0: LogTailedReLU(alpha, forward=spike_at_zero),
        "braintools.LogTailedRelu": lambda alpha=0.0: LogTailedReLU(alpha, forward=spike_at_zero),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        above = xp.step(x, 0)
        return above / xp.where(x > 1, x, 1.0) + (1 - above) * self.alpha

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        above = xp.step(x, 0)
        far = 1 + xp.log(xp.where(x > 1, x, 1.0))
        return xp.where(x > 1, far, above * x + (1 - above) * self.alpha * x)


class S2NN(Surrogate, name="s2nn"):
    """A logistic slope below the threshold, a logarithmic tail above; with a jump between.

        g'(x) = alpha * s(alpha * x) * s(-alpha * x) if x < 0 else beta / (1 + x)
        g(x) = s(alpha * x) if x < 0 else beta * log(1 + x) + 1 / 2
        s(z) = 1 / (1 + exp(-z))

    ``alpha`` > 0 is the steepness below, in units of 1 / ``x``; ``beta`` > 0 is the slope at 0. It
    is continuous where alpha = 4 beta, as by default.
    Source: Suetake et al. 2022, S2NN (arXiv:2201.10879), Eq. 9.
    """

    alpha: Number = positive(default=4.0)
    beta: Number = positive(default=1.0)

    presets = {
        "spikingjelly.S2NN": lambda alpha=4.0, beta=1.0: S2NN(alpha, beta, forward=spike_at_zero),
        "braintools.S2NN": (
            lambda alpha=4.0, beta=1.0, epsilon=1e-8: S2NN(alpha, beta, forward=spike_at_zero)
        ),
    }

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        below = self.alpha * logistic_slope(xp, self.alpha * x)
        return xp.where(x < 0, below, self.beta / (1 + xp.where(x > 0, x, 0.0)))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        tail = xp.log1p(xp.where(x > 0, x, 0.0)) + straight(xp, x, x == 0)
        above = self.beta * tail + 0.5
        return xp.where(x < 0, logistic(xp, self.alpha * x), above)


class HardTanhSpike(Surrogate):
    """One more than a clipped line: a ramp from 0 to 2.

        g'(x) = 1 + min(max(beta * x, -1), 1)
        g(x) = 2 * x if beta * x > 1 else max(1 + beta * x, 0)**2 / (2 * beta)

    ``beta`` > 0 is the steepness, in units of 1 / ``x``.
    Source: stork (github.com/fmi-basel/stork), HardTanhSpike.
    """

    beta: Number = positive(default=100.0)

    presets = {"stork.HardTanhSpike": lambda beta=100: HardTanhSpike(beta)}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = self.beta * x
        return 1 + xp.where(abs(z) < 1, z, xp.sign(z))

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        z = self.beta * x
        ramp = 1 + xp.where(z <= -1, -1.0, xp.where(z >= 1, 0.0, z))
        return xp.where(z >= 1, 2 * x, ramp * ramp / (2 * self.beta))


class Proportional(Surrogate):
    """The slope is the membrane itself.

        g'(x) = x if x > 0 else leak * x
        g(x) = (1 if x > 0 else leak) * x**2 / 2

    ``leak``, from 0 to 1, is 1 in two libraries that seem to have meant something else, and 0 where
    the slope of a probability has to stay positive.
    Source: spyx axn.custom; stork CustomSpike, MultilayerSpiker; Rockpool step_pwl_ae.
    """

    leak: Number = unit(default=1.0)

    presets = {"spyx.custom": lambda: Proportional()}

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        above = xp.step(x, 0)
        if self._slope_differentiated:
            x = self._held(xp, x)
        return (above + (1 - above) * self.leak) * x

    def _held(self, xp: Backend, x: Array) -> Array:
        straight = isinstance(self.leak, float) and self.leak == 1
        return x if straight else held(xp, x, x == 0)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        above, x = xp.step(x, 0), self._held(xp, x)
        return (above + (1 - above) * self.leak) * (x / 2) * x
