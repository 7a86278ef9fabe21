"""The value functions f: what a surrogate returns, as against the slope that it pretends to.

Each writes its equation in its docstring in Python's own notation; the tests read it there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, ClassVar, cast

from .backend import Array, Backend
from .dispatch import describe
from .formulas import logistic
from .injection import finite, floating_owner, shape_error
from .parameters import (
    Definition,
    Number,
    choice,
    count,
    integer,
    is_number,
    number,
    positive,
    unit,
)

__all__ = [
    "Absolute",
    "Bernoulli",
    "BitShiftDecay",
    "Cast",
    "Ceil",
    "Clip",
    "Compose",
    "Floor",
    "GradedSpike",
    "Heaviside",
    "Identity",
    "KBit",
    "LogSpikeCount",
    "Logistic",
    "Lookup",
    "MidRise",
    "PowerOfTwo",
    "Quantize",
    "Round",
    "Sign",
    "SpikeCount",
    "StochasticRound",
    "StochasticTernary",
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
    """Whether it computes, or compares with a parameter: 16 bits are then computed in float32."""

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
    ``x`` with numbers from [0, 1), which is how different frameworks get the same, and what
    ``torch.compile`` takes, which knows no ``torch.Generator``.

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
        small = smaller_than_largest_times(xp, x, self.step)
        n = self.integral(xp, xp.divide(xp.where(small, x, 0.0), self.step))
        return xp.where(small, n * self.step, xp.stop_gradient(x))


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
        half = x == xp.floor(x) + 0.5
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


class MidRise(_Rounding):
    """To the middle of a step, so that no level is zero; NaN stays.

        f(x) = (floor(min(max(x, low), high) / step) + 1 / 2) * step

    ``step`` > 0, ``low`` and ``high``, which may be infinite, are in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    """

    def integral(self, xp: Backend, x: Array) -> Array:
        return xp.floor(x) + 0.5


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
        x = clip(xp, x, self.low, self.high)
        small = smaller_than_largest_times(xp, x, 1 / levels)
        y = xp.divide(xp.round(xp.where(small, x, 0.0) * levels), levels)
        return xp.where(small, y, xp.stop_gradient(x))


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
        # By comparison, which is exact, where log2 and exp2 are not in every framework; and with
        # the last number below the root of a half, which in every dtype stays below.
        below = 0.7071067811865475
        y = xp.where(x == x, 2.0**self.lowest, xp.stop_gradient(x))
        for exponent in range(self.lowest + 1, self.highest + 1):
            y = xp.where(abs(x) > below * 2.0**exponent, 2.0**exponent, y)
        return xp.where(x < 0, -y, y)


class Quantize(Value):
    """The nearest of equal levels, counted by integers, as an integer network has them.

        f(x) = (min(max(code, lowest), highest) - z) * scale
        code = (round(x / scale) if ties == "even" else floor(x / scale + 1 / 2)) + z
        z = min(max(floor(zero_point + 1 / 2), lowest), highest)

    ``scale`` > 0 is the distance of two levels, in units of ``x``; ``zero_point`` is the integer
    that stands for 0, of ``lowest`` to ``highest``; ``ties`` says where halves go, "even" or "up".
    NaN stays NaN. Shape and dtype: those of ``x``, real floating.
    """

    scale: Number = positive(default=1.0)
    zero_point: Number = number(default=0.0)
    lowest: int = integer(default=-8)
    highest: int = integer(default=7)
    ties: str = choice("up", default="even")
    arithmetic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("lowest", "highest")

    def zero(self, xp: Backend) -> Number:
        """z, the zero point as an integer."""
        if isinstance(self.zero_point, float):
            return float(min(max(math.floor(self.zero_point + 0.5), self.lowest), self.highest))
        return clip(xp, xp.floor(self.zero_point + 0.5), float(self.lowest), float(self.highest))

    def ends(self, xp: Backend) -> tuple[Number, Number]:
        """The lowest and the highest level, in units of x."""
        z = self.zero(xp)
        return (self.lowest - z) * self.scale, (self.highest - z) * self.scale

    def code(self, xp: Backend, x: Array) -> Array:
        """The integer of the level; of what is out of range, any integer out of range."""
        low, high = self.ends(xp)
        x = clip(xp, x, low - self.scale, high + self.scale)
        # Times the reciprocal as PyTorch, and from the lowest level as TensorFlow: what is a half
        # but for rounding is then a half as it is there.
        z = self.zero(xp)
        if self.ties == "even":
            return xp.round(x * (1 / self.scale)) + z
        n = unfused(xp, (x - low) * (1 / self.scale), x)
        return xp.floor(n + (self.lowest - z) + 0.5) + z

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        n = clip(xp, self.code(xp, x), float(self.lowest), float(self.highest))
        return (n - self.zero(xp)) * self.scale


class Lookup(Value):
    """The nearest of given levels, the lower one where two are; NaN stays.

        f(x) = min(levels, key=lambda level: abs(x - level))

    ``levels`` are two or more ascending numbers, in units of ``x``.
    Shape and dtype: those of ``x``, real floating.
    Source: snnTorch functional.quant.state_quant.
    """

    levels: tuple[float, ...] = (-1.0, 0.0, 1.0)
    arithmetic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = self.levels
        if not isinstance(levels, tuple | list) or not all(is_number(v) for v in levels):
            raise TypeError(f"Lookup: levels is {levels!r}; expected numbers such as (-1.0, 1.0)")
        levels = tuple(float(v) for v in levels)
        if len(levels) < 2 or not all(a < b for a, b in itertools.pairwise(levels)):
            raise ValueError(f"Lookup: levels is {levels!r}; expected two or more, ascending")
        if not all(math.isfinite(v) for v in levels):
            raise ValueError(f"Lookup: levels is {levels!r}; expected finite numbers")
        object.__setattr__(self, "levels", levels)

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        y = xp.ones_like(x) * self.levels[0]
        for below, level in itertools.pairwise(self.levels):
            y = xp.where(x > below + (level - below) / 2, level, y)
        return xp.where(x == x, y, x)

    def to_config(self) -> dict[str, Any]:
        return {"name": self.name, "levels": list(self.levels)}


class Cast(Value):
    """The nearest number of an 8-bit floating format, or its largest; NaN stays.

        f(x) = round(c / ulp) * ulp
        c = min(max(x, -largest), largest)
        ulp = 2**(floor(log2(max(abs(c), 2**lowest))) - digits)
        largest = 448 if format == "float8_e4m3fn" else 57344
        lowest = -6 if format == "float8_e4m3fn" else -14
        digits = 3 if format == "float8_e4m3fn" else 2

    ``format`` is "float8_e4m3fn" or "float8_e5m2". A float64 is rounded to float32 first.
    Shape and dtype: those of ``x``, real floating.
    Source: Micikevicius et al. 2022 (arXiv:2209.05433).
    """

    format: str = choice("float8_e5m2", default="float8_e4m3fn")
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Out of range the frameworks differ: the largest, infinity or NaN.
        largest = 448.0 if self.format == "float8_e4m3fn" else 57344.0
        y = xp.astype(clip(xp, x, -largest, largest), xp.float32)
        return xp.astype(xp.astype(y, xp.dtype(self.format)), x.dtype)


class BitShiftDecay(Value):
    """A decay by shifting bits: what an integer circuit has for x times a constant below 1.

        f(x) = x - x / 2**shift

    ``shift`` >= 1 is the number of bits.
    Shape and dtype: those of ``x``, real floating.
    Source: Rockpool (rockpool.ai), Bitshift.
    """

    shift: int = count(default=4)
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        # Without the selection inf - inf would make NaN of an infinity.
        return x - xp.where(abs(x) <= float(xp.finfo(x.dtype).max), x * 2.0**-self.shift, 0.0)


class Compose(Value):
    """One value function after another, such as a quantised activation.

        f(x) = outer(inner(x))

    ``outer`` is a value function, ``inner`` one too or any function of an array:
    ``Compose(Round(step=1 / 16), Primitive(Sigmoid(alpha=1)))``.
    Shape and dtype: those of ``x``, real floating.
    """

    outer: Value = cast(Any, None)
    inner: Callable[[Array], Array] = cast(Any, None)

    _nested = {"outer": Value, "inner": Value}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, default in (("outer", round), ("inner", identity)):
            value = getattr(self, name)
            if value is None:
                object.__setattr__(self, name, default)
            elif not callable(value):
                raise TypeError(
                    f"Compose: {name} is {describe(value)}; expected a function of an array such "
                    f"as fgi.round"
                )

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.outer(self.inner(x))


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


class Bernoulli(Value):
    """One with a probability that depends on x, else zero; or minus one, for a stochastic sign.

        f(x) = 1 if u < probability(x) else low

    ``probability`` is a function of an array: ``fgi.values.Logistic()``, ``fgi.identity`` or one of
    your own; ``low`` is any number. u is uniform on [0, 1), from the key of the call. NaN gives
    ``low``.
    Shape and dtype: those of ``x``, real floating.
    """

    probability: Callable[[Array], Array] = cast(Any, None)
    low: Number = number(default=0.0)

    random = True
    arithmetic = True
    _nested = {"probability": Value}

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
        spike = u[0] < self.probability(x)
        if isinstance(self.low, float) and self.low == 0:
            return xp.astype(spike, x.dtype)
        return xp.where(spike, xp.ones_like(x), self.low)


class Logistic(Value):
    """A probability that rises with x.

        f(x) = height / (1 + exp(-alpha * (x - threshold)))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; at ``threshold``, in units of ``x``, the
    probability is half of ``height``, which is from 0 to 1.
    Shape and dtype: those of ``x``, real floating.
    """

    alpha: Number = positive(default=1.0)
    threshold: Number = number(default=0.0)
    height: Number = unit(default=1.0)
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.height * logistic(xp, self.alpha * (x - self.threshold))


class StochasticTernary(Value):
    """Half the sum of two stochastic signs, one on each side of zero.

        f(x) = 1 if u < p(x) * p(x + 2 * threshold) else (-1 if 1 - u <= q else 0)
        p(x) = 1 / (1 + exp(-alpha * (x - threshold)))
        q = (1 - p(x)) * (1 - p(x + 2 * threshold))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``threshold`` > 0 in units of ``x``. u is
    uniform on [0, 1), from the key of the call. NaN gives 0.
    Shape and dtype: those of ``x``, real floating.
    """

    alpha: Number = positive(default=8.0)
    threshold: Number = positive(default=0.33)

    random = True
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        upper, lower = (self.alpha * (x + t) for t in (-self.threshold, self.threshold))
        one = u[0] < logistic(xp, upper) * logistic(xp, lower)
        minus_one = 1 - u[0] <= logistic(xp, -upper) * logistic(xp, -lower)
        return xp.astype(one, x.dtype) - xp.astype(minus_one, x.dtype)


class StochasticRound(Value):
    """To the integer below or above, with the probabilities that make the mean x.

        f(x) = floor(x) + (1 if u < x - floor(x) else 0)

    u is uniform on [0, 1), from the key of the call. Infinities and NaN stay.
    Shape and dtype: those of ``x``, real floating.
    """

    random = True
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = xp.where(finite(xp, x), x, 0.0)  # inf - inf is NaN
        return xp.floor(x) + xp.step(z - xp.floor(z), u[0])


def clip(xp: Backend, x: Array, low: Number, high: Number) -> Array:
    """min(max(x, low), high), for numbers, infinite ones too, or arrays; NaN stays."""
    if not (isinstance(low, float) and low == -math.inf):
        x = xp.where(x < low, low, x)
    if not (isinstance(high, float) and high == math.inf):
        x = xp.where(x > high, high, x)
    return x


def smaller_than_largest_times(xp: Backend, x: Array, step: Number) -> Array:
    """Where ``x`` / ``step`` does not overflow, so that what is larger is left as it is."""
    least = min(step, 1.0) if isinstance(step, float) else xp.minimum(step, xp.ones_like(step))
    return abs(x) <= least * float(xp.finfo(x.dtype).max)


def unfused(xp: Backend, product: Array, other: Array) -> Array:
    """The product as the result of a selection: no compiler fuses it into the sum it enters.

    ``other`` is any array, for what is NaN.
    """
    return xp.where(product == product, product, other)


heaviside = Heaviside()
spike_at_zero = Heaviside(at_zero=1.0)
sign = Sign()
binary = Sign(at_zero=1.0)
round = Round()
floor = Floor()
ceil = Ceil()
truncate = Truncate()
identity = Identity()
