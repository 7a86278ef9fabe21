"""The equations of a docstring, evaluated in 50 digits; and what "the same" means.

Every definition writes its equations in its docstring, in Python's notation. They are the textbook
form, where the code is arranged for floating point: neither is derived from the other.

A slope passes within 4 ulp of the exact slope at some point within 2 ulp of x: a tail such as
exp(-x^2 / 2) amplifies the rounding of x, and no code can undo that. Where the surrogate subtracts
a place of its own, mu or threshold, it is 2 ulp of the larger of the two.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from types import CodeType
from typing import Any

import ml_dtypes
import numpy as np
from mpmath import mp, mpf

mp.dps = 50

EQUATION = re.compile(r"^    (?P<left>[\w'/]+(?:\([\w, ]*\))?) = (?P<right>\S.*)$")


def equations(definition: type) -> dict[str, str]:
    """The left and right sides of the docstring's block, in their order."""
    found: dict[str, str] = {}
    left = ""
    for line in (inspect.getdoc(definition) or "").splitlines():
        if match := EQUATION.match(line):
            left = match["left"]
            found[left] = match["right"]
        elif left and line.startswith("        "):
            found[left] += " " + line.strip()
        elif not line.startswith("    "):
            left = ""
    return found


FUNCTIONS = {
    name: getattr(mp, name)
    for name in (
        "exp", "log", "sqrt", "atan", "tanh", "cosh", "sin", "cos", "floor", "ceil", "sign",
    )
} | {
    # 0 or 2 but for what is far below the smallest number of any dtype.
    "erfc": lambda x: mp.erfc(max(min(x, 1000), -1000)),
    "pi": mp.pi,
    "inf": mp.inf,
    "log2": lambda x: mp.log(x, 2),
    "round": mp.nint,
    "trunc": lambda x: mp.floor(x) if x > 0 else mp.ceil(x),
    "abs": abs, "min": min, "max": max, "sum": sum, "range": range,
}  # fmt: skip


class Exact:
    """The equations of one definition with its parameters: ``Exact(spike)("g'(x)", mpf(1))``."""

    def __init__(self, definition: Any) -> None:
        self.equations = equations(type(definition))
        self.parameters = {
            name: mpf(value) if isinstance(value, float) else value
            for name, value in definition.parameters.items()
        }
        if getattr(definition, "_is_random", False):
            self.parameters["u"] = mpf("0.5")  # any number will do
        self.helpers: list[tuple[str, tuple[str, ...] | None, CodeType]] = []
        self.code: dict[str, CodeType] = {}
        for left, right in self.equations.items():
            code = compile(right, f"{type(definition).__name__}: {left}", "eval")
            name, _, arguments = left.rstrip(")").partition("(")
            if "'" in name or "/" in name or left in ("f(x)", "g(x)"):
                self.code[left] = code
            else:
                named = tuple(arguments.split(", ")) if arguments else None
                self.helpers.append((name, named, code))

    def __contains__(self, left: str) -> bool:
        return left in self.code

    def __call__(self, left: str, x: Any, **more: Any) -> Any:
        """The right side to 25 digits at least: more are taken until two precisions agree."""
        # A large x needs the digits of x before those of a fraction of it.
        digits = 50 + max(0, int(mp.mag(x) * 0.302)) if x else 50
        with mp.workdps(digits):
            value = self.at_once(left, x, **more)
        while True:
            digits *= 2
            assert digits < 20000, (left, x)
            with mp.workdps(digits):
                again = self.at_once(left, x, **more)
            if abs(value - again) <= abs(again) * mpf(10) ** -25:
                return again
            if abs(again) < mpf(10) ** (-0.8 * digits):  # but for rounding
                return mpf(0)
            value = again

    def at_once(self, left: str, x: Any, **more: Any) -> Any:
        """The right side in the precision that mpmath is set to."""
        scope = {**FUNCTIONS, **self.parameters, "x": x, **more}

        def function(names: tuple[str, ...], code: CodeType) -> Callable[..., Any]:
            return lambda *args: eval(code, {**scope, **dict(zip(names, args, strict=True))})

        later = []
        for name, names, code in self.helpers:
            if names:
                scope[name] = function(names, code)
            else:
                later.append((name, code))
        # In whatever order they are written: one may need another.
        while later:
            waiting = []
            for name, code in later:
                try:
                    scope[name] = eval(code, scope)
                except NameError:
                    waiting.append((name, code))
            assert len(waiting) < len(later), f"undefined: {waiting}"
            later = waiting
        result = eval(self.code[left], scope)
        return mpf(result) if not isinstance(result, mpf) else result


def ulp(value: Any, dtype: np.dtype[Any], peak: Any = 1) -> Any:
    """The spacing at a number, and at least what frameworks may flush to zero.

    That is the smallest normal number, and 256 times the peak of it, as they flush a factor too:
    exp(-z) is gone before 100 z exp(-z) is.
    """
    info = ml_dtypes.finfo(dtype)
    eps, tiny = mpf(float(info.eps)), mpf(float(info.smallest_normal)) * 256 * peak
    return max(mp.ldexp(eps, mp.frexp(abs(value))[1] - 1), tiny) if value else tiny


def clamped(value: Any, dtype: np.dtype[Any]) -> Any:
    """A number beyond the largest of a dtype counts as the largest."""
    largest = mpf(float(ml_dtypes.finfo(dtype).max))
    return min(max(value, -largest), largest)


class Slope:
    """The slopes that are right for a surrogate in a dtype."""

    def __init__(self, spike: Any, dtype: np.dtype[Any], left: str = "g'(x)") -> None:
        self.exact, self.dtype, self.left = Exact(spike), dtype, left
        places = [spike.parameters.get(name, 0.0) for name in ("mu", "threshold")]
        self.half = mpf(spike.parameters.get("threshold", 0.0)) / 2
        self.place = max(abs(mpf(place)) for place in places)
        self.peak = max(abs(self.at(x)) for x in (-1, 0, 0.5, 1, self.place))
        self.peak = max(self.peak, mpf(1))

    def at(self, x: Any) -> Any:
        return clamped(self.exact(self.left, x if isinstance(x, mpf) else mpf(x)), self.dtype)

    def near(self, x: Any, points: int) -> tuple[Any, Any]:
        """The least and the largest exact slope within so many ulp of x."""
        x = mpf(float(x))
        step = ulp(max(abs(x), self.place), self.dtype) / 2
        places = [x + k * step for k in range(-2 * points, 2 * points + 1)]
        if self.half and points:
            # What repeats with each threshold has its extremes at the halves.
            with mp.workdps(50 + max(0, int(mp.mag(x) * 0.302))):
                n = mp.nint(x / self.half)
                halves = [(n + k) * self.half for k in (-1, 0, 1)]
            places += [half for half in halves if places[0] <= half <= places[-1]]
        found = [self.at(place) for place in places]
        return min(found), max(found)

    def error(self, x: Any, got: Any, points: int) -> float:
        """How far ``got`` is from the right slopes, in ulp of the nearest."""
        if not math.isfinite(got):
            return math.inf
        got = mpf(float(got))
        least, largest = self.near(x, points)
        nearest = min(max(got, least), largest)
        return float(abs(got - nearest) / ulp(nearest, self.dtype, self.peak))


def bounds(
    spike: Any, x: np.ndarray[Any, Any], *, points: int = 2, ulps: int = 4
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The least and the largest slope that passes at each finite x, as float64."""
    slope = Slope(spike, x.dtype)
    near = [slope.near(value, points) for value in x.astype(np.float64)]
    least = [float(g - ulps * ulp(g, x.dtype, slope.peak)) for g, _ in near]
    largest = [float(g + ulps * ulp(g, x.dtype, slope.peak)) for _, g in near]
    return np.array(least), np.array(largest)


class Reference:
    """The exact slopes at many points, computed once for every framework that is compared."""

    def __init__(self, spike: Any, x: np.ndarray[Any, Any], left: str = "g'(x)") -> None:
        self.x, self.slope = x.astype(np.float64), Slope(spike, x.dtype, left)
        exact = [self.slope.at(value) for value in self.x]
        # Two floats: differences of less than an ulp of float64 are asked for.
        self.high = np.array([float(value) for value in exact])
        self.low = np.array([float(v - mpf(h)) for v, h in zip(exact, self.high, strict=True)])
        self.ulp = np.array([float(ulp(value, x.dtype, self.slope.peak)) for value in exact])

    def worst(self, got: np.ndarray[Any, Any], points: int = 2) -> tuple[float, float]:
        """The largest error in ulp, and where.

        The error at x itself is an upper bound, so that of the points around it, which is costly,
        is asked for only where it can be the largest.
        """
        wide = got.astype(np.float64)
        if not np.isfinite(wide).all():
            return math.inf, float(self.x[~np.isfinite(wide)][0])
        direct = np.abs(wide - self.high - self.low) / self.ulp
        largest, where = 0.0, math.nan
        for i in np.argsort(-direct):
            if direct[i] <= largest:
                break
            mixed = self.slope.error(self.x[i], wide[i], points)
            if mixed > largest:
                largest, where = mixed, float(self.x[i])
        return largest, where


def grid(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The whole range: zeros, subnormals, kinks and their neighbours, the middle, the ends."""
    info = ml_dtypes.finfo(dtype)
    tiny, largest = float(info.smallest_normal), float(info.max)
    step = float(info.eps)
    positive = [
        0.0, float(info.smallest_subnormal), tiny / 4, tiny, 1e-30, 1e-6, 1e-3,
        *np.arange(1, 33) / 8, 1 / 3, 2 / 3, 0.1, 0.05, 0.3,
        0.5 - step / 4, 0.5 + step / 2, 1 - step / 2, 1 + step,
        5.5, 10, 12.3, 30, 88.5, 100, 1e3, 65504, min(1e19, largest), min(3e38, largest), largest,
    ]  # fmt: skip
    with np.errstate(over="ignore", under="ignore"):
        half = np.array(positive).astype(dtype)
    return np.concatenate([half, -half, np.array([np.inf, -np.inf, np.nan], dtype)])


def random(dtype: np.dtype[Any], count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Half of them near the middle, half of them of any magnitude, of both signs."""
    rng = np.random.default_rng(seed)
    info = ml_dtypes.finfo(dtype)
    low, high = np.log10(float(info.smallest_normal)), np.log10(float(info.max))
    near = rng.normal(0, 2, count - count // 2)
    far = 10 ** rng.uniform(low, high - 1e-3, count // 2) * rng.choice([-1, 1], count // 2)
    return np.concatenate([near, far]).astype(dtype)


def finite(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x[np.isfinite(x.astype(np.float64))]


def smallest_normal(dtype: np.dtype[Any]) -> float:
    return float(ml_dtypes.finfo(dtype).smallest_normal)
