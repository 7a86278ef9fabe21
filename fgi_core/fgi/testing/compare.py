"""One row of numbers against what is expected of it: value, gradient, twin, second derivative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from fgi_backends.measure.mode import Mode

from ..backend.protocol import Autodiff
from ..injection.inference import inference_mode
from . import points
from .bounds import Bound, bound, domain
from .cell import Cell, Settings, numbers, of_dtype
from .diagnosis import Evidence, diagnose
from .modes import modes
from .precision import PRECISIONS, Floats, Precision
from .references import GRADIENT, VALUE, Evaluate, Expected, closed_form, expected
from .report import Element, Failure
from .subjects import Subject

__all__ = ["Judge", "Judgement"]

Known: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass
class Judgement:
    """What adds up to a row, over the seeds."""

    comparisons: int = 0
    ulps: float = 0.0
    relative: float = 0.0
    failures: list[Failure] = field(default_factory=list)


@dataclass
class Judge:
    """Compares one row with what is expected."""

    xp: Autodiff
    cell: Cell
    mode: Mode
    subject: Subject
    settings: Settings
    seed: int
    x: Floats
    u: Floats
    key: Floats | None

    def bound(self, quantity: str) -> Bound:
        cell = self.cell
        return bound(quantity, cell.dtype, cell.mode, self.definition, self.settings.bounds)

    @property
    def definition(self) -> str:
        return self.subject.name if self.subject.like is None else repr(self.subject.like)

    @property
    def precision(self) -> Precision:
        return PRECISIONS[self.cell.dtype]

    def judge(self, y: Floats, dx: Floats, into: Judgement) -> None:
        spike = self.subject.like
        evaluate = closed_form(spike) if spike else self._eager()
        with np.errstate(all="ignore"):
            wanted = expected(
                evaluate,
                spike,
                self.x,
                self.key,
                self.precision,
                self.definition,
                self.cell.mode,
                self.settings.bounds,
            )
            into.comparisons += 2 * len(self.x)
            if self.mode.order == 1:
                self._value(y, wanted, into)
                self._gradient(dx, self.u, wanted, into)
                if self.cell.mode == "eager" and self.subject.is_surrogate:
                    known = self._slope(wanted, into)
                    self._twin(y, dx, known, into)
            else:
                self._gradient(y, np.ones_like(self.u), wanted, into)
                self._second(dx, wanted, into)

    def _eager(self) -> Evaluate:
        """The function itself, in float64, operation by operation."""
        function = self.subject.function(self.cell.framework)
        eager = modes(self.cell.framework)["eager"]
        double = PRECISIONS["float64"]

        def evaluate(x: Floats, key: Floats | None) -> tuple[Floats, Floats]:
            ones = np.ones_like(x)
            assert function is not None
            y, dx = eager.run(
                function, of_dtype(self.xp, x, double), of_dtype(self.xp, ones, double)
            )
            return numbers(self.xp, y), numbers(self.xp, dx)

        return evaluate

    def _own(self) -> Floats | None:
        """f by the framework alone, where it is bit for bit what NumPy has."""
        spike = self.subject.like
        if spike is None:
            return None
        with inference_mode():
            keys = () if self.key is None else (of_dtype(self.xp, self.key, self.precision),)
            own = numbers(self.xp, spike(of_dtype(self.xp, self.x, self.precision), *keys))
        # NumPy may have no bfloat16; what computes, computes it in float32 and rounds once.
        kind = self.cell.dtype if self.cell.dtype != "bfloat16" else "float32"
        keys = () if self.key is None else (self.key.astype(kind),)
        numpys = self.precision.round(spike(self.x.astype(kind), *keys))
        normal = (self.x == 0) | ~(np.abs(self.x) < self.precision.tiny)
        return own if np.array_equal(own[normal], numpys[normal], equal_nan=True) else None

    def _numpys_slope_is(self, slope: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Where the definition has that slope in the dtype too, so that whoever follows it does."""
        spike = self.subject.like
        if spike is None:
            return np.zeros(len(slope), np.bool_)
        kind = self.precision.wide.name
        keys = () if self.key is None else (self.key.astype(kind),)
        x = np.where(np.isfinite(self.x), self.x, 0.0).astype(kind)
        return np.isclose(spike.derivative(x, *keys), slope, rtol=8 * self.precision.wide.eps)

    def _value(self, y: Floats, wanted: Expected, into: Judgement) -> None:
        subnormal = (self.x != 0) & (np.abs(self.x) < self.precision.tiny)
        own = self._own()
        if own is None and wanted.on_grid:
            own = wanted.value
        if own is not None:
            ulps = self.bound("value").ulps
            low = high = own
        else:
            ulps = self.bound(VALUE[self.subject.like is not None]).ulps
            low, high = wanted.value_low, wanted.value_high
        distance = self._distance(y, low, high, wanted.value_floor)
        flushed = subnormal & (y >= wanted.value_low) & (y <= wanted.value_high)
        same = (y == low) | (np.isnan(y) & np.isnan(wanted.value)) | flushed
        wrong = ~(same | (distance <= ulps))
        if wanted.on_grid and self.subject.like is None:
            # Nobody has said what f is; near 0 its own float64 shows that it is round, and what is
            # round has a number at infinity too.
            wrong = (wrong & (np.abs(self.x) <= 8)) | (np.isinf(self.x) & np.isnan(y))
        self._report("value", wrong, y, np.ones_like(y), wanted.value, distance, into)

    def _distance(self, got: Floats, low: Floats, high: Floats, floor: float) -> Floats:
        """In ulp of the nearest right number; infinite for NaN."""
        low, high = (
            np.clip(v, -self.precision.largest, self.precision.largest) for v in (low, high)
        )
        nearest = np.clip(got, low, high)
        distance = np.abs(got - nearest) / self.precision.ulp(nearest, floor)
        return np.where(np.isnan(distance), np.inf, distance)

    def _gradient(self, dx: Floats, u: Floats, wanted: Expected, into: Judgement) -> None:
        limit = self.bound(GRADIENT[self.subject.like is not None])
        finite = np.isfinite(self.x)
        # Where the product overflows, or nothing is promised, the slope cannot be had back.
        largest = np.maximum(np.abs(wanted.low), np.abs(wanted.high))
        beyond = (largest > self.precision.largest / 16) | (
            np.abs(self.x) > domain(self.definition)
        )
        slope = dx / u
        low, high = wanted.low - wanted.slack, wanted.high + wanted.slack
        if self.cell.mode == "eager":
            # XLA and TensorFlow read subnormal numbers as 0.
            normal = (self.x == 0) | ~(np.abs(self.x) < self.precision.tiny)
            at = normal & wanted.jump & self._numpys_slope_is(wanted.slope)
            low, high = (np.where(at, wanted.slope, end) for end in (low, high))
        distance = self._distance(slope, low, high, wanted.floor)
        away = np.where(np.isnan(dx) & np.isfinite(wanted.value), np.inf, 0.0)
        if self.subject.like is not None:
            # Of NaN, arithmetic that is not ours makes NaN.
            theirs = np.isnan(self.x) & (not self.subject.is_surrogate)
            away = np.where((dx == 0) | theirs, 0.0, np.inf)
        distance = np.where(finite, np.where(beyond, 0.0, distance), away)
        wrong = distance > limit.ulps
        seen = finite & ~beyond & np.isfinite(distance)
        into.ulps = max(into.ulps, float(np.max(distance, initial=0.0, where=seen)))
        at = np.abs(slope - wanted.slope) / np.maximum(np.abs(wanted.slope), wanted.floor)
        into.relative = max(into.relative, float(np.max(at, initial=0.0, where=seen)))
        self._report("gradient", wrong, dx, u, wanted.slope, distance, into)

    def _slope(self, wanted: Expected, into: Judgement) -> Known:
        """Where the slope is a number; where it is not, the gradient is 0 and says nothing."""
        target, given = self.subject.target, () if self.key is None else (self.key,)
        x, *keys = (of_dtype(self.xp, a, self.precision) for a in (self.x, *given))
        slope = numbers(self.xp, target.derivative(x, *keys))
        known: Known = np.isfinite(slope) | ~np.isfinite(self.x)
        wrong = ~known & (np.abs(wanted.slope) <= self.precision.largest / 16)
        distance = np.where(wrong, np.inf, 0.0)
        self._report("slope", wrong, slope, np.ones_like(slope), wanted.slope, distance, into)
        return known

    def _twin(self, y: Floats, dx: Floats, known: Known, into: Judgement) -> None:
        """The framework's own mechanism, operation by operation."""
        if self.subject.random or self.subject.target.arrays or not self.xp.mechanisms:
            return
        twin = self.subject.target.native()
        eager = modes(self.cell.framework)["eager"]
        pair = (of_dtype(self.xp, a, self.precision) for a in (self.x, self.u))
        values, gradients = (numbers(self.xp, a) for a in eager.run(twin, *pair))
        limit = self.bound("native twin").ulps
        for quantity, got, right in (("value", y, values), ("gradient", dx, gradients)):
            distance = self._distance(got, right, right, self.precision.tiny)
            same = (got == right) | (np.isnan(got) & np.isnan(right))
            # The product with a subnormal number may be flushed or not.
            normal = (self.x == 0) | ~(np.abs(self.x) < self.precision.tiny)
            wrong = normal & known & ~(same | (distance <= limit))
            u = np.ones_like(self.u) if quantity == "value" else self.u
            self._report("native twin", wrong, got, u, right / u, distance, into)

    def _second(self, dx: Floats, wanted: Expected, into: Judgement) -> None:
        if wanted.second is None:
            right = np.zeros_like(dx)
            self._report("zero second derivative", dx != 0, dx, self.u, right, np.abs(dx), into)
            return
        seen = np.isfinite(wanted.second)
        peaks = np.abs(wanted.second)
        scale = float(np.max(peaks, initial=self.precision.tiny, where=seen))
        distance = np.abs(dx / self.u - wanted.second) / scale
        distance = np.where(seen, np.where(np.isnan(distance), np.inf, distance), 0.0)
        allowed = self.bound("second derivative").ulps * self.precision.eps
        ulps = distance / self.precision.eps
        self._report("second derivative", distance > allowed, dx, self.u, wanted.second, ulps, into)

    def _report(
        self,
        quantity: str,
        wrong: np.ndarray[Any, np.dtype[np.bool_]],
        got: Floats,
        u: Floats,
        right: Floats,
        distance: Floats,
        into: Judgement,
    ) -> None:
        if not wrong.any():
            return
        worst = int(np.argmax(np.where(wrong, distance, -1)))
        first = int(np.argmax(wrong))

        def element(i: int) -> Element:
            found = (self.x[i], u[i], got[i], u[i] * right[i], distance[i])
            return Element(*(float(v) for v in found))

        evidence = Evidence(
            quantity, self.precision, self.x, u, got, right, wrong, points.kinks(self.subject)
        )
        count, of = int(wrong.sum()), len(wrong)
        cause = diagnose(evidence)
        into.failures.append(
            Failure(quantity, cause, count, of, self.seed, element(first), element(worst))
        )
