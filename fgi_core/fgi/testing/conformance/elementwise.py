"""Functions of one number or two: values, infinities, zeros, kinks; against NumPy's float64."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..bounds import ONCE, Bound
from ..precision import Floats
from .case import EVERY, case
from .probe import Probe

__all__ = ["BOUNDS", "POINTS", "REFERENCE", "compare", "points"]

INF, NAN = np.inf, np.nan

UNROUNDED = {
    "abs": np.abs, "round": np.round, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
}  # fmt: skip
"""Exact: each result is a number of the dtype."""
REFERENCE: dict[str, Any] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "atan": np.arctan,
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
}

WIDTHS = {
    "sqrt": (1.0, 1.0),
    "exp": (2.0, 2.0),
    "log": (2.0, 2.0),
    "log1p": (2.0, 3.0),
    "sin": (2.0, 2.0),
    "cos": (2.0, 2.0),
    # XLA and TensorFlow approximate these two; most others are within 2.
    "tanh": (5.0, 8.0),
    "atan": (3.0, 2.0),
    "erfc": (5.0, 8.0),
    "pow": (2.0, 3.0),
    "remainder": (0.501, 0.501),
}
"""Ulp of the exact result, in float32 and float64, on a CPU."""

TAIL = "the tail turns half an ulp of x into x^2 ulp"
AS_THEY_ARE = "as frameworks have it"

BOUNDS: tuple[Bound, ...] = tuple(
    row
    for name, (single, double) in WIDTHS.items()
    for at, why in [(0.5, TAIL) if name == "erfc" else (0.0, AS_THEY_ARE)]
    for row in (
        Bound(name, "*16", 0.51, 0, ONCE),
        Bound(name, "float32", single, at, why),
        Bound(name, "float64", double, at, why),
    )
)
"""How far a function may be off; the first that fits counts."""

_DECADES = np.logspace(-4, 4, 33)
POINTS: Floats = np.array([*np.linspace(-10, 10, 81), *_DECADES, *-_DECADES])

# Where NumPy has nothing wider than float64, and of erfc, the reference is off by as much.
_WIDE: Any = np.longdouble
_EXACT = np.finfo(_WIDE).nmant > 60


def points(p: Probe) -> Floats:
    """Where functions are looked at: the same for each, as a compiler may ask for every shape."""
    return np.unique(p.round([*POINTS, p.precision.largest, -p.precision.largest]))


def normal(p: Probe, y: Any) -> Any:
    """Where the result is a normal number, or no subnormal one to be flushed."""
    return (abs(y) >= p.precision.tiny) & (abs(y) <= p.precision.largest)


def compare(p: Probe, function: str, x: Floats, got: Any) -> None:
    """Within the bound of the exact results."""
    limit = p.bound(function)
    reference = REFERENCE[function]
    step = limit.points * p.precision.ulp(x)
    wide = x.astype(_WIDE if function != "erfc" else np.float64)
    around = np.stack([reference(wide + k * step) for k in (-1, 0, 1)])
    slack = 0 if p.dtype != "float64" or (_EXACT and function != "erfc") else 1
    low, high = around.min(axis=0), around.max(axis=0)
    p.near(got, low, high, limit.ulps + slack, x, where=normal(p, around[1]))


@case("values", *REFERENCE)
def values(p: Probe, function: str) -> None:
    x = points(p)
    compare(p, function, x, p.call(function, x))


@case("dtype and shape", *REFERENCE, *UNROUNDED, "sign", "stop_gradient", dtypes=("float32",))
def dtype_and_shape(p: Probe, function: str) -> None:
    for shape in [(), (0, 2), (2, 1, 3)]:
        p.numbers(p.call(function, np.full(shape, 0.75)), shape, f"shape {shape}")
        p.comparisons += 1


@case("infinities, NaN, zeros", *REFERENCE, *UNROUNDED)
def special_values(p: Probe, function: str) -> None:
    largest = p.precision.largest
    x = np.array([0.0, -0.0, INF, -INF, NAN, -1, -largest, largest])
    if function in ("sin", "cos"):
        x = x[:5]  # what is not exact is one of the values
    elif function != "exp" and function not in UNROUNDED:
        x = x[:7]
    if function in ("exp", "tanh", "atan", "erfc"):
        x = x[x != -1]
    expected = {**REFERENCE, **UNROUNDED}[function](x)
    if function in ("atan",):
        expected = p.round(expected)
    p.same(p.call(function, x), expected, x)


@case("kinks", "round")
def half_to_even(p: Probe) -> None:
    # The last three: below a half, where floor(x + 1/2) fails; and the largest with a half.
    eps = p.precision.eps
    odd = 1 / (2 * eps) - 1
    x = np.array(
        [0, 0.5, 0.75, 1.5, 2.5, 3.5, 10.5, 64.5, INF, 0.5 - eps / 4, odd + 0.5, 1 / eps + 1]
    )
    expected = np.array([0, 0, 1, 2, 2, 4, 10, 64, INF, 0, odd + 1, 1 / eps + 1])
    held = p.round(x) == x
    for sign in (1, -1):
        p.same(p.call("round", sign * x[held]), sign * expected[held], sign * x[held])


@case("kinks", "floor", "ceil", "trunc")
def integers_beside(p: Probe, function: str) -> None:
    eps, tiny = p.precision.eps, p.precision.tiny
    odd = 1 / (2 * eps) - 1  # next to the largest number with a half
    x = np.array([0, tiny, 0.3, 0.5, 1 - eps / 2, 1, 1 + eps, 2.5, odd + 0.5, 1 / eps])
    x = p.round([*x, *np.negative(x)])
    # Python's integers have no -0.0: zero has the sign of what it came from.
    expected = np.copysign([float(getattr(math, function)(v)) for v in x], x)
    p.same(p.call(function, x), expected, x)


@case("subnormal numbers", "floor", "ceil")
def subnormal(p: Probe, function: str) -> None:
    sign, away = (-1, -1) if function == "floor" else (1, 1)
    x = np.array([sign * p.precision.subnormal])
    y = p.call(function, x)
    # XLA and TensorFlow read them as zero.
    flushed = np.asarray(p.xp.to_numpy(y)).astype(np.float64) == 0
    p.same(y, np.where(flushed, sign * 0.0, away), x)


@case("kinks", "sign")
def sign(p: Probe) -> None:
    tiny = p.precision.tiny
    x = np.array([-INF, -2.5, -tiny, -0.0, 0.0, tiny, 2.5, INF, NAN])
    # Zero keeps its sign in JAX and loses it elsewhere; the standard says 0.
    p.same(p.call("sign", x), [-1, -1, -1, 0, 0, 1, 1, 1, NAN], x, zeros=False)


@case("values", "maximum", "minimum")
def larger_and_smaller(p: Probe, function: str) -> None:
    reference = getattr(np, function)
    x = np.array([1.5, -2.5, NAN, 3.0, NAN, INF, -INF, 0.0, -0.0])
    y = np.array([-1.5, 2.5, 1.0, NAN, NAN, 1.0, 1.0, 1.0, -1.0])
    p.same(p.call(function, x, y), reference(x, y), x)
    row, point = np.array([[-1.0, 0.5, 4.0]]), np.array(0.5)
    for first, second in [(row, row.T), (row, point), (point, point)]:
        got = p.call(function, first, second)
        p.same(got, reference(first, second), quantity="value, broadcast")


DIVISORS = (0.3, 3, 0.7, 1 / 3, 255.0, 1e3)


@case("values", "divide")
def divide(p: Probe) -> None:
    """Rounded once, as NumPy's operator; float64's is more than enough for the others."""
    x = p.round([*np.linspace(-10, 10, 81), *np.arange(1, 33), 0.0, -0.0, INF, -INF, NAN])
    for number in DIVISORS:
        y = p.round(number)
        for divisor in (number, y, y.reshape(1), np.full(x.shape, y)):
            told = f"by {number:.3g}, {_kind(divisor)}"
            p.same(p.call("divide", x, divisor), x / y, x, quantity=told)
    ys = p.round([[0.3], [3.0], [0.7]])
    p.same(p.call("divide", np.stack([x] * 3), ys), x / ys, x, quantity="broadcast")


@case("values", "reciprocal")
def reciprocal(p: Probe) -> None:
    x = p.round([0.3, -3.0, 0.7, 1 / 3, 255.0, 1e3, 0.0, -0.0, INF, -INF, NAN])
    y, exact = p.call("reciprocal", x), 1 / x
    p.near(y, exact, exact, 1, x, where=np.isfinite(exact) & (exact != 0))
    special = x[6:]
    p.same(p.call("reciprocal", special), 1 / special, special)


@case("values", "remainder")
def remainder(p: Probe) -> None:
    """In Python's own fractions; where a framework divides, most of these are noise."""
    largest, tiny = p.precision.largest, p.precision.tiny
    above = [*np.linspace(0.25, 10, 40), *np.logspace(-6, 4, 31), 3e4, 1e20, 1e35, largest]
    x = np.unique(p.round([*above, *np.negative(above)]))
    x = x[np.isfinite(x) & (x != 0)]
    # Under the last two the quotient of the largest number overflows.
    for number in (1, 2.0, 0.3, 7.5, 1e-3, 0.75, tiny * 1024):
        y = float(p.round(number))
        remains = np.array([float(Fraction(float(v)) % Fraction(y)) for v in x])
        seen = (remains == 0) | (remains >= tiny)
        for divisor in (number if number == y else y, np.array(y), np.full(x.shape, y)):
            got = p.call("remainder", x, divisor)
            told = f"by {number:g}, {_kind(divisor)}"
            p.near(got, remains, remains, p.bound("remainder").ulps, x, quantity=told, where=seen)


def _kind(argument: Any) -> str:
    if isinstance(argument, np.ndarray):
        return f"an array of shape {argument.shape}"
    return "a number"


@case("infinities, NaN, zeros", "remainder")
def special_remainders(p: Probe) -> None:
    x = np.array([0.0, -0.0, -2.0, 4.0, INF, -INF, NAN])
    # The sign of a zero is the framework's own.
    p.same(p.call("remainder", x, 2.0), [0, 0, 0, 0, NAN, NAN, NAN], x, zeros=False)
    x, y = np.array([[1.25, -1.25, 6.0]]), np.array([[1.0], [2.5]])
    expected = [[0.25, 0.75, 0.0], [1.25, 1.25, 1.0]]
    p.same(p.call("remainder", x, y), expected, x, zeros=False, quantity="broadcast")


EXPONENTS = (0, 1, 2, 3, 10, -1, 2.0, 0.5, 1.5, -0.3, -2.0, 1.7)


@case("values", "pow")
def pow(p: Probe) -> None:
    x = np.unique(p.round([*np.linspace(0.125, 10, 80), *_DECADES, 1e20, 1e30]))
    x = x[np.isfinite(x)]
    limit = p.bound("pow").ulps + (0 if p.dtype != "float64" or _EXACT else 1)
    for number in EXPONENTS:
        y = float(p.round(number))
        exact = x.astype(_WIDE) ** _WIDE(y)
        for exponent in (number if number == y else y, np.array(y), np.full(x.shape, y)):
            got, told = p.call("pow", x, exponent), f"to {number:g}, {_kind(exponent)}"
            p.near(got, exact, exact, limit, x, quantity=told, where=normal(p, exact))


@case("infinities, NaN, zeros", "pow")
def special_powers(p: Probe) -> None:
    x, y = np.array([[0.0], [1.0], [4.0], [INF], [NAN]]), np.array([0.0, 1.0, 0.5, 2.0, -0.5])
    # By the C standard's pow; NaN to the power of 0 is 1 too.
    expected = np.array(
        [
            [1, 0, 0, 0, INF],
            [1, 1, 1, 1, 1],
            [1, 4, 2, 16, 0.5],
            [1, INF, INF, INF, 0],
            [1, NAN, NAN, NAN, NAN],
        ]
    )
    p.same(p.call("pow", x, y), expected, np.broadcast_to(x, expected.shape))
    for exponent, column in zip(y, expected.T, strict=True):
        for number in (float(exponent), *([int(exponent)] if exponent % 1 == 0 else [])):
            got = p.call("pow", x[:, 0], number)
            p.same(got, column, x[:, 0], quantity=f"to the number {number!r}")


@case("numbers beside 16 bits", "pow", "remainder", dtypes=EVERY[:2])
def not_rounded_to_16_bits(p: Probe, function: str) -> None:
    x = np.array([0.75, 1.625, 3.0, 10.0])
    for y in (0.3, 1.7):
        # As float32, in which 16 bits are computed.
        exact = x**y if function == "pow" else np.fmod(x, float(np.float32(y)))
        p.near(p.call(function, x, y), exact, exact, 0.51, x, quantity=f"with {y}")


@case("bits", "stop_gradient")
def bits(p: Probe) -> None:
    x = p.round([0.1, -0.0, NAN, INF])
    p.same(p.call("stop_gradient", x), x, x)
