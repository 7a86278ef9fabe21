"""The value functions f: what a surrogate returns, as against the slope that it pretends to.

Each writes its equation in its docstring in Python's own notation; the tests read it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, cast

from .backend import Array, Backend
from .dispatch import describe
from .injection import floating_owner, shape_error
from .parameters import Definition, Number, choice, count, integer, number, positive, unit

__all__ = [
    "Absolute",
    "Bernoulli",
    "Ceil",
    "Clip",
    "Floor",
    "GradedSpike",
    "Heaviside",
    "Identity",
    "KBit",
    "LogSpikeCount",
    "PowerOfTwo",
    "Round",
    "Sign",
    "SpikeCount",
    "StochasticRound",
    "Ternary",
    "Truncate",
    "Value",
    "binary",
    "ceil",
    "floor",
    "heaviside",
    "identity",
    "round",
    "sign",
    "spike_at_zero",
    "truncate",
]


class Value(Definition):
    """An element-wise function whose own derivative is zero almost everywhere, or is not wanted.

    Subclasses write ``evaluate(xp, x)``. Shape and dtype: those of ``x``, real floating.
    A ``random`` one takes a key with each call and writes ``evaluate(xp, x, u)``, where ``u`` is
    uniform on [0, 1): see ``fgi.values.uniform``.
    """

    random: ClassVar[bool] = False
    arithmetic: ClassVar[bool] = False
    """Whether it computes, and not only selects: 16 bits are then computed in float32."""

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define evaluate(xp, x)")

    def __call__(self, x: Array, key: Any = None) -> Array:
        caller = f"fgi.{self.name}"
        xp = floating_owner(caller, x)
        y = self._evaluate(xp, x, *uniform(caller, xp, x, key, self.random))
        if not xp.same_shape(y, x):
            raise shape_error(caller, ", ".join(self.arrays), y, x)
        return y

    def _evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if self.arithmetic and x.dtype in xp.half:
            wide = xp.astype(x, xp.float32)
            return xp.astype(self.in_dtype(xp, xp.float32).evaluate(xp, wide, *u), x.dtype)
        return self.in_dtype(xp, x.dtype).evaluate(xp, x, *u)


def uniform(caller: str, xp: Backend, x: Array, key: Any, random: bool) -> tuple[Array, ...]:
    """The random numbers of one call: one array like ``x``, or none where nothing is random.

    ``key`` is the framework's own source of randomness: a ``torch.Generator``, a JAX key, a
    ``tf.random.Generator`` or the two integers that TensorFlow calls a stateless seed, a
    ``numpy.random.Generator``. Or it is the numbers themselves: a floating array shaped like
    ``x`` with numbers from [0, 1), which is how different frameworks get the same.

    Errors: TypeError where a key is missing, not needed or of another kind.
    """
    if not random:
        if key is not None:
            raise TypeError(f"{caller}: key is {describe(key)}; expected none, nothing is random")
        return ()
    if isinstance(key, xp.Array) and key.dtype in xp.floating:
        if not xp.same_shape(key, x):
            raise ValueError(
                f"{caller}: key is {describe(key)}; expected a key, or numbers from [0, 1) in the "
                f"shape of x, which is {describe(x)}"
            )
        return (xp.astype(key, xp.float32 if x.dtype in xp.half else x.dtype),)
    if key is None or not isinstance(key, xp.Key):
        raise TypeError(
            f"{caller}: key is {describe(key)}; expected {xp.name}'s own key or generator, or "
            f"numbers from [0, 1) in the shape of x: {caller}(..., key=...)"
        )
    return (xp.uniform(key, x),)


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

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if isinstance(self.at_zero, float):
            if self.at_zero == 0:
                return xp.astype(x > self.threshold, x.dtype)
            if self.at_zero == 1:
                return xp.astype(x >= self.threshold, x.dtype)
        above = xp.astype(x > self.threshold, x.dtype)
        return xp.where(x == self.threshold, self.at_zero, above)


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

        f(x) = sign(x) if abs(x) > threshold else 0

    NaN gives 0. ``threshold`` > 0 is in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    threshold: Number = positive(default=0.05)

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.where(abs(x) > self.threshold, xp.sign(x), 0.0)


class _Rounding(Value):
    step: Number = positive(default=1.0)
    low: Number = number(default=-math.inf, range="extended")
    high: Number = number(default=math.inf, range="extended")
    arithmetic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("low", "high")

    def integral(self, xp: Backend, x: Array) -> Array:
        """To an integer, in one of the ways."""
        raise NotImplementedError

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        x = clip(xp, x, self.low, self.high)
        if isinstance(self.step, float) and self.step == 1:
            return self.integral(xp, x)
        return self.integral(xp, x / self.step) * self.step


class Round(_Rounding):
    """To the nearest multiple of a step; NaN stays.

        f(x) = round(min(max(x, low), high) / step) * step

    ``step`` > 0, ``low`` and ``high``, which may be infinite, are in units of ``x``. ``ties`` says
    where halves go: "even", "up", or "up below zero" and to even above, as in Xilinx' deep-learning
    processor. Shape and dtype: those of ``x``, real floating.
    """

    ties: str = choice("up", "up below zero", default="even")

    def integral(self, xp: Backend, x: Array) -> Array:
        if self.ties == "even":
            return xp.round(x)
        half = x - xp.floor(x) == 0.5
        if self.ties == "up below zero":
            half = half & (x < 0)
        return xp.where(half, xp.ceil(x), xp.round(x))


class Floor(_Rounding):
    """To the next multiple of a step below; NaN stays.

        f(x) = floor(min(max(x, low), high) / step) * step

    ``step`` > 0, ``low`` and ``high``, which may be infinite, are in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    def integral(self, xp: Backend, x: Array) -> Array:
        return xp.floor(x)


class Ceil(_Rounding):
    """To the next multiple of a step above; NaN stays.

        f(x) = ceil(min(max(x, low), high) / step) * step

    ``step`` > 0, ``low`` and ``high``, which may be infinite, are in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    def integral(self, xp: Backend, x: Array) -> Array:
        return xp.ceil(x)


class Truncate(_Rounding):
    """To the next multiple of a step towards zero; NaN stays.

        f(x) = trunc(min(max(x, low), high) / step) * step

    ``step`` > 0, ``low`` and ``high``, which may be infinite, are in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    def integral(self, xp: Backend, x: Array) -> Array:
        return xp.trunc(x)


class KBit(Value):
    """One of 2^bits levels on [0, 1], and as finely beyond, as far as ``low`` and ``high``.

        f(x) = round(min(max(x, low), high) * (2**bits - 1)) / (2**bits - 1)

    ``low`` and ``high`` are in units of ``x``, and infinite by default; DoReFa has 0 and 1.
    Shape and dtype: those of ``x``, real floating.
    Source: Zhou et al. 2016, DoReFa-Net (arXiv:1606.06160), Eq. 5.
    """

    bits: int = count(default=2)
    low: Number = number(default=-math.inf, range="extended")
    high: Number = number(default=math.inf, range="extended")
    arithmetic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("low", "high")

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        levels = float(2**self.bits - 1)
        return xp.round(clip(xp, x, self.low, self.high) * levels) / levels


class PowerOfTwo(Value):
    """The nearest power of two, on a logarithmic scale, with the sign of x.

        f(x) = sign(x) * 2**min(max(round(log2(abs(x))), lowest), highest) if x != 0 else 2**lowest

    ``lowest`` and ``highest`` are the exponents. NaN gives NaN.
    Shape and dtype: those of ``x``, real floating.
    """

    lowest: int = integer(default=-7)
    highest: int = integer(default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("lowest", "highest")

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        # By comparison, which is exact, where log2 and exp2 are not in every framework.
        y = xp.ones_like(x) * 2.0**self.lowest
        for exponent in range(self.lowest + 1, self.highest + 1):
            y = xp.where(abs(x) > 2.0 ** (exponent - 0.5), 2.0**exponent, y)
        return xp.where(x < 0, -y, xp.where(x == x, y, math.nan))


class Clip(Value):
    """Into an interval; NaN stays.

        f(x) = min(max(x, low), high)

    ``low`` < ``high`` are in units of ``x``, and may be infinite.
    Shape and dtype: those of ``x``, real floating.
    """

    low: Number = number(default=-1.0, range="extended")
    high: Number = number(default=1.0, range="extended")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("low", "high")

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return clip(xp, x, self.low, self.high)


class Absolute(Value):
    """The absolute value.

        f(x) = abs(x)

    Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return abs(x)


class Identity(Value):
    """What came.

        f(x) = x

    Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return x


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
        n = clip(xp, xp.trunc(x / self.threshold), -math.inf, self.maximum)
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
        q = xp.where(x > self.threshold, x / self.threshold, 1.0)
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
        return xp.where(x >= self.threshold, x / self.scale, 0.0)


class Bernoulli(Value):
    """One with a probability that depends on x, else zero.

        f(x) = 1 if u < probability(x) else 0

    ``probability`` is a function of an array: ``fgi.identity``, ``fgi.surrogates.Sigmoid().smooth``
    or one of your own. u is uniform on [0, 1), from the key of the call.
    Shape and dtype: those of ``x``, real floating.
    """

    probability: Callable[[Array], Array] = cast(Any, None)
    random = True
    arithmetic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probability is None:
            object.__setattr__(self, "probability", identity)
        if not callable(self.probability):
            raise TypeError(
                f"Bernoulli: probability is {describe(self.probability)}; expected a function of "
                f"an array such as fgi.identity"
            )

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.astype(u[0] < self.probability(x), x.dtype)


class StochasticRound(Value):
    """To the integer below or above, with the probabilities that make the mean x.

        f(x) = floor(x) + (1 if u < x - floor(x) else 0)

    u is uniform on [0, 1), from the key of the call. Infinities and NaN stay.
    Shape and dtype: those of ``x``, real floating.
    """

    random = True
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        down = xp.floor(x)
        return down + xp.astype(u[0] < x - down, x.dtype)


def clip(xp: Backend, x: Array, low: Number, high: Number) -> Array:
    """min(max(x, low), high), for numbers, infinite ones too, or arrays; NaN stays."""
    if not (isinstance(low, float) and low == -math.inf):
        x = xp.where(x < low, low, x)
    if not (isinstance(high, float) and high == math.inf):
        x = xp.where(x > high, high, x)
    return x


heaviside = Heaviside()
spike_at_zero = Heaviside(at_zero=1.0)
sign = Sign()
binary = Sign(at_zero=1.0)
round = Round()
floor = Floor()
ceil = Ceil()
truncate = Truncate()
identity = Identity()
