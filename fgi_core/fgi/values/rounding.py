"""Rounding and quantising: values on a grid."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..backend.protocol import Array, Backend
from ..parameters import Number, choice, count, integer, is_number, number, positive
from .formulas import clip
from .value import Value

__all__ = [
    "BitShiftDecay",
    "Cast",
    "Ceil",
    "Floor",
    "KBit",
    "Lookup",
    "MidRise",
    "PowerOfTwo",
    "Quantize",
    "Round",
    "Truncate",
    "ceil",
    "floor",
    "round",
    "smaller_than_largest_times",
    "truncate",
    "unfused",
]


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
            if is_number(z) and z == 0 and xp.is_traced(x):
                # -0.0 + 0.0 is 0.0, but a compiler leaves out the addition of a constant 0.
                z = xp.where(x == x, 0.0, x)
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
        # The same number, as x / 2^shift is exact; but for one that is subnormal.
        return x * (1 - 2.0**-self.shift)


def smaller_than_largest_times(xp: Backend, x: Array, step: Number) -> Array:
    """Where ``x`` / ``step`` does not overflow, so that what is larger is left as it is."""
    least = min(step, 1.0) if isinstance(step, float) else xp.minimum(step, xp.ones_like(step))
    return abs(x) <= least * float(xp.finfo(x.dtype).max)


def unfused(xp: Backend, product: Array, other: Array) -> Array:
    """The product as the result of a selection: no compiler fuses it into the sum it enters.

    ``other`` is any array, for what is NaN.
    """
    return xp.where(product == product, product, other)


round = Round()
floor = Floor()
ceil = Ceil()
truncate = Truncate()
