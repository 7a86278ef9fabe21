"""One combination of surrogate, framework, mode and dtype against f and the exact slope.

``exhaustive`` runs all of them at every input; the tests run a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import fgi
from fgi.testing.bounds import bound
from fgi.testing.points import keys
from fgi.testing.precision import PRECISIONS

from . import exact, frameworks
from .exact_arrays import WIDE, Equations, ExactSlope
from .modes import MODES

Array = np.ndarray[Any, Any]

DTYPES = ("float16", "bfloat16", "float32")
DRAWN, SEED = 1_000_000, 17
UPSTREAM = np.array([1.5, -1.5, 0.75, -3.0, 2.5])
"""Exact in every dtype; none is 1, and most are not powers of two."""

WAYS = {
    "numpy": ("derivative",),
    "torch": ("eager", "compile"),
    "jax": ("eager", "jit"),
    "tensorflow": ("eager", "function", "XLA"),
}
"""Modes of ``fgi_backends.<framework>.measure.modes``; NumPy does not differentiate."""

READ_AS_ZERO = "a subnormal x is read as 0"
FLUSHED = "a subnormal gradient becomes 0"
SIGN_OF_ZERO = "the sign of a zero differs"
NOT_F = "the value is not f(x)"
NOT_ZERO = "the gradient is not 0 where x is infinite or NaN"
BEYOND = "the gradient is not within tolerance of the exact slope"
SUBNORMAL = (READ_AS_ZERO, FLUSHED)

HOLDS, HOLDS_BUT, FAILS = "holds", "holds but for subnormal numbers", "fails"


@dataclass(frozen=True)
class Way:
    """How a surrogate is run: a framework, a mode, the fast paths on or off."""

    framework: str
    mode: str
    fast: bool = True


@dataclass
class Fault:
    """Inputs at which one thing is not as promised, for one reason; and the worst of them."""

    quantity: str
    reason: str
    inputs: int
    x: float
    upstream: float
    got: float
    expected: float
    ulp: float


@dataclass
class Row:
    """One combination."""

    surrogate: str
    framework: str
    mode: str
    fast: bool
    dtype: str
    inputs: int
    ulp: float = 0.0
    """The largest error of a slope that is within tolerance."""
    nearby: int = 0
    """Inputs at which the slope is right only for a point within 2 ulp of x."""
    tiny: int = 0
    """Inputs at which it is right only as an ulp is never less than 256 smallest normal numbers."""
    faults: list[Fault] = field(default_factory=list)
    raised: str = ""
    code: str = ""
    """A digest of the code that was measured."""

    @property
    def key(self) -> tuple[str, Way, str]:
        return self.surrogate, Way(self.framework, self.mode, self.fast), self.dtype

    @property
    def outcome(self) -> str:
        if self.raised or any(fault.reason not in SUBNORMAL for fault in self.faults):
            return FAILS
        return HOLDS_BUT if self.faults else HOLDS

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Row:
        faults = [
            Fault(**{k: float(v) if k in NUMBERS else v for k, v in fault.items()})
            for fault in saved.get("faults", ())
        ]
        return cls(**{**saved, "faults": faults})

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity and no NaN: there they are words."""
        found = {k: v for k, v in asdict(self).items() if v != [] and v != ""}
        for fault in found.get("faults", ()):
            fault.update({k: v if np.isfinite(v := fault[k]) else str(v) for k in NUMBERS})
        return found


NUMBERS = ("x", "upstream", "got", "expected", "ulp")


def inputs(dtype: str, drawn: int = DRAWN) -> Array:
    """All numbers of 16 bits; of float32 the grid of ``exact`` and drawn bit patterns."""
    kind = frameworks.numpy_dtype(dtype)
    if kind.itemsize == 2:
        return np.arange(2**16, dtype=np.uint16).view(kind)
    patterns = np.random.default_rng(SEED).integers(0, 2**32, drawn, dtype=np.uint32)
    return np.concatenate([exact.grid(kind), patterns.view(kind)])


class Reference:
    """The right numbers of a surrogate at given inputs, computed apart from every framework."""

    def __init__(self, spike: Any, x: Array) -> None:
        self.spike, self.x_, self.kind = spike, x, x.dtype
        self.precision = PRECISIONS[x.dtype.name]
        self.tolerance = bound("gradient", x.dtype.name, "*", "")  # that of every surrogate
        self.u_ = np.resize(UPSTREAM, x.shape).astype(x.dtype)
        self.key_ = keys(len(x), SEED).astype(x.dtype) if spike._is_random else None
        self.x, self.u = x.astype(np.float64), self.u_.astype(np.float64)
        self.finite = np.isfinite(self.x)
        self.subnormal = (self.x != 0) & (np.abs(self.x) < self.precision.tiny)
        self.value, self.value_at_zero = self._value(x), self._value(np.zeros_like(x))
        self._slopes()

    def _keys(self) -> tuple[Array, ...]:
        return () if self.key_ is None else (self.key_,)

    def _value(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            found: Array = self.spike(x, *self._keys())
        return found

    def _slopes(self) -> None:
        key = None if self.key_ is None else self.key_.astype(np.float64)
        exactly = self.exactly = ExactSlope(self.spike, self.precision)
        self.slope = exactly(np.where(self.finite, self.x, 0.0), key)
        self.least, self.largest = self.slope.copy(), self.slope.copy()
        self.looked = np.zeros(len(self.x), np.bool_)  # where these two are those around x
        at_zero = exactly(np.zeros_like(self.x), key)
        self.at_zero = self._products(at_zero, at_zero)
        # Of the places that are asked for the peak, as in exact.Slope.
        places = [self.spike.parameters.get(name, 0.0) for name in ("mu", "threshold")]
        self.place = max(abs(place) for place in places)
        peaks = exactly(
            np.array([-1.0, 0.0, 0.5, 1.0, self.place]), None if key is None else key[:5]
        )
        self.peak = max(1.0, float(np.abs(peaks).max()))

    def _ulp(self, value: Array) -> Array:
        return self.precision.ulp(value.astype(np.float64))

    def _products(self, least: Array, largest: Array) -> tuple[Array, Array]:
        """The smallest and the largest gradient that is right for slopes from least to largest.

        Rounding does not change an order: what is between before is between after.
        """
        ulps, u = self.tolerance.ulps, self.u.astype(WIDE)
        with np.errstate(over="ignore"):
            ends = (
                u * (least - ulps * self._ulp(least)),
                u * (largest + ulps * self._ulp(largest)),
            )
            return tuple(
                self.precision.round(choose(*ends).astype(np.float64))
                for choose in (np.minimum, np.maximum)
            )  # type: ignore[return-value]

    def _look_around(self, where: Array) -> None:
        """The exact slopes within so many ulp of x, at these inputs."""
        new = np.flatnonzero(where & ~self.looked)
        if not self.tolerance.points or not len(new):
            return
        assert self.tolerance.points == 2, "ExactSlope.around looks within two"
        key = None if self.key_ is None else self.key_.astype(np.float64)[new]
        step = self.precision.ulp(np.maximum(np.abs(self.x[new]), self.place))
        self.least[new], self.largest[new] = self.exactly.around(self.x[new], step, key)
        self.looked[new] = True

    def own_value(self) -> Array:
        """f by the docstring's equation, in float32 at least, operation by operation."""
        equation = Equations(self.spike)
        if "f(x)" not in equation:
            return (self.x > 0).astype(self.kind)
        wide = self.x_.astype(np.float32) if self.kind.itemsize == 2 else self.x_
        with np.errstate(all="ignore"):
            return equation("f(x)", wide).astype(self.kind)

    def judge(self, row: Row, y: Array, dx: Array) -> Row:
        """The row, with what is wrong about these values and gradients."""
        for name, found in (("value", y), ("gradient", dx)):
            if found.dtype != self.kind or found.shape != self.x_.shape:
                raise TypeError(f"the {name} is {found.dtype} {found.shape}")
        if row.framework == "numpy":
            # It is f for the others. Here the equation is, which does not say what NaN gives.
            own = np.where(np.isnan(self.x), y, self.own_value())
            self._judge_value(row, y, np.where(y == own, y, own))
        else:
            self._judge_value(row, y, self.value)
        with np.errstate(over="ignore", invalid="ignore"):
            self._judge_gradient(row, dx.astype(np.float64))
        return row

    def _judge_value(self, row: Row, y: Array, f: Array) -> None:
        unsigned = np.dtype(f"u{self.kind.itemsize}")
        both_nan = np.isnan(y.astype(np.float64)) & np.isnan(f.astype(np.float64))
        wrong = (y.view(unsigned) != f.view(unsigned)) & ~both_nan
        reasons = {
            SIGN_OF_ZERO: y == f,
            READ_AS_ZERO: self.subnormal & (y == self.value_at_zero),
            NOT_F: wrong,
        }
        wide = f.astype(np.float64)
        distance = np.abs(y.astype(np.float64) - wide) / self._ulp(wide)
        self._report(row, "value", wrong, reasons, y.astype(np.float64), wide, distance)

    def _judge_gradient(self, row: Row, dx: Array) -> None:
        low, high = self._products(self.slope, self.slope)
        off = self.finite & ~((low <= dx) & (dx <= high))
        self._look_around(off)
        near = self._products(self.least, self.largest)
        wrong = np.where(self.finite, ~((near[0] <= dx) & (dx <= near[1])), dx != 0)

        product = (self.u * self.slope).astype(np.float64)
        # The least ulp that is promised, in the precision that slopes are computed in.
        least = 256 * self.peak * self.precision.wide.tiny
        tiny = wrong & self.finite & (np.abs(dx - product) <= least * np.abs(self.u))
        wrong &= ~tiny
        reasons = {
            NOT_ZERO: ~self.finite,
            READ_AS_ZERO: self.subnormal & (self.at_zero[0] <= dx) & (dx <= self.at_zero[1]),
            FLUSHED: (dx == 0) & (np.abs(product) < self.precision.tiny),
            BEYOND: wrong,
        }
        nearest = np.clip(dx / self.u, self.least, self.largest)
        distance = (np.abs(dx / self.u - nearest) / self._ulp(nearest)).astype(np.float64)
        distance = np.where(np.isnan(distance), np.inf, distance)
        expected = np.where(self.finite, product, 0.0)
        self._report(row, "gradient", wrong, reasons, dx, expected, distance)
        seen = self.finite & ~wrong & ~tiny & np.isfinite(dx)
        row.ulp = round(float(np.max(distance, initial=0.0, where=seen)), 2)
        row.nearby, row.tiny = int((off & ~wrong & ~tiny).sum()), int(tiny.sum())

    def _report(
        self,
        row: Row,
        quantity: str,
        wrong: Array,
        reasons: Mapping[str, Array],
        got: Array,
        expected: Array,
        distance: Array,
    ) -> None:
        left = wrong
        for reason, fits in reasons.items():
            found, left = left & fits, left & ~fits
            if not found.any():
                continue
            worst = int(np.argmax(np.where(found, np.nan_to_num(distance, nan=np.inf), -1.0)))
            numbers = (self.x, self.u, got, expected, distance)
            example = (float(each[worst]) for each in numbers)
            row.faults.append(Fault(quantity, reason, int(found.sum()), *example))


def run(way: Way, f: Callable[..., Any], reference: Reference) -> tuple[Array, Array]:
    """Values and gradients of a function in one way, as NumPy's arrays."""
    x, u = reference.x_, reference.u_
    if way.framework == "numpy":
        with np.errstate(all="ignore"):
            inside = np.where(reference.finite, x, np.zeros_like(x))
            slope = f.derivative(inside, *reference._keys())  # type: ignore[attr-defined]
            dx = np.where(reference.finite, u * slope, np.zeros_like(x))
            return f(x, *reference._keys()), dx
    keys_ = [frameworks.to_framework(way.framework, key) for key in reference._keys()]
    pair = (frameworks.to_framework(way.framework, each) for each in (x, u))
    with fgi.use_fast_paths(way.fast):
        found = MODES[way.framework][way.mode].run((lambda x: f(x, *keys_)) if keys_ else f, *pair)
    y, dx = (frameworks.to_numpy(way.framework, each) for each in found)
    return y, dx


def measure(way: Way, reference: Reference, f: Callable[..., Any] | None = None) -> Row:
    """One combination; of ``f`` in place of the surrogate, where it is given."""
    spike = reference.spike
    row = Row(
        type(spike).__name__, way.framework, way.mode, way.fast, reference.kind.name,
        len(reference.x),
    )  # fmt: skip
    try:
        return reference.judge(row, *run(way, spike if f is None else f, reference))
    except Exception as error:
        row.raised = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return row


def ways(installed: Iterable[str] = frameworks.INSTALLED) -> Iterator[Way]:
    for framework in installed:
        for mode in WAYS[framework]:
            yield Way(framework, mode, True)
            if framework != "numpy":
                yield Way(framework, mode, False)
