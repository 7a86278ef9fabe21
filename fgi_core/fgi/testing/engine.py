"""One cell: a framework, a mode and a dtype, for several subjects at once.

Surrogates are rows of one x, so that one compilation serves them all. Where that does not run, the
half is tried, and so on: one bad subject does not hide the others. Other functions run alone, as
what stands around them may hide what is wrong: torch 2.13 loses the gradient of a lone
autograd.Function under compile(func.grad), and not of one that is a row of several.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fgi_backends.mode import AbsentError, Function, Mode

from ..backend import Autodiff
from ..dispatch import describe, namespace, use_backend
from ..inference import inference_mode
from . import points
from .bounds import TABLE, Bound, bound, domain
from .diagnosis import Evidence, diagnose
from .linearity import checking
from .modes import backend, modes
from .precision import PRECISIONS, Floats, Precision
from .references import GRADIENT, VALUE, Evaluate, Expected, closed_form, expected
from .report import ABSENT, DIFFERS, ERROR, OK, Element, Failure, Row
from .subjects import Subject

__all__ = ["Cell", "Settings", "divide", "run"]


@dataclass(frozen=True)
class Cell:
    framework: str
    mode: str
    dtype: str


@dataclass(frozen=True)
class Settings:
    """What is the same in every cell."""

    seed: int = 0
    repeat: int = 1
    inputs: Floats | None = None
    bounds: tuple[Bound, ...] = TABLE


@dataclass
class Judgement:
    """What adds up to a row, over the seeds."""

    comparisons: int = 0
    ulps: float = 0.0
    relative: float = 0.0
    failures: list[Failure] = field(default_factory=list)


def divide(
    run: Callable[[Sequence[Subject]], list[Row]],
    failed: Callable[[Subject, Exception], Row],
    subjects: Sequence[Subject],
) -> list[Row]:
    """Run all at once; where that raises, each half on its own, down to the one to blame."""
    if not subjects:
        return []
    try:
        return run(subjects)
    except Exception as error:
        if len(subjects) == 1:
            return [failed(subjects[0], error)]
    half = len(subjects) // 2
    return [row for part in (subjects[:half], subjects[half:]) for row in divide(run, failed, part)]


def run(cell: Cell, subjects: Sequence[Subject], settings: Settings) -> list[Row]:
    """The rows of one cell, in the order of the subjects."""
    xp = backend(cell.framework)
    mode = modes(cell.framework)[cell.mode]
    reason = mode.absent()
    if cell.dtype not in mode.dtypes:
        reason = f"is for {' and '.join(mode.dtypes)}"
    if reason is not None:
        return [Row("", **vars(cell), status=ABSENT, reason=reason)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(xp.double_precision())
        stack.enter_context(use_backend("auto"))
        # What frameworks say about themselves is not the subject's.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        found: dict[str, Row] = {}
        able: list[Subject] = []
        functions: dict[str, Callable[..., Any]] = {}
        for subject in subjects:
            function = subject.function(cell.framework)
            if function is None:
                continue
            if mode.order > 1 and subject.like is None:
                continue
            try:
                functions[subject.name] = mode.prepare(function)
                failure = contract(xp, subject, function, cell)
            except AbsentError as error:
                found[subject.name] = _row(subject, cell, ABSENT, reason=str(error))
            except Exception as error:
                found[subject.name] = _failed(subject, cell, error)
            else:
                if failure is None:
                    able.append(subject)
                else:
                    found[subject.name] = _row(subject, cell, DIFFERS, failures=(failure,))

        def bank(part: Sequence[Subject]) -> list[Row]:
            with checking() if cell.mode == "eager" else contextlib.nullcontext():
                return _bank(xp, mode, cell, part, functions, settings)

        together = [subject for subject in able if subject.is_surrogate]
        alone = [[subject] for subject in able if not subject.is_surrogate]
        for part in (together, *alone):
            for row in divide(bank, lambda subject, e: _failed(subject, cell, e), part):
                found[row.subject] = row
    return [found[subject.name] for subject in subjects if subject.name in found]


def _row(subject: Subject, cell: Cell, status: str, **more: Any) -> Row:
    return Row(subject.name, **vars(cell), status=status, **more)


def _failed(subject: Subject, cell: Cell, error: Exception) -> Row:
    text = f"{type(error).__name__}: {error}".strip()
    if len(text) > 2000:
        text = f"{text[:1500]} ... {text[-400:]}"
    return _row(subject, cell, ERROR, reason=text)


def _array(xp: Autodiff, x: Floats, precision: Precision) -> Any:
    if precision.name != "bfloat16":
        return xp.asarray(x.astype(precision.name))
    return xp.astype(xp.asarray(x.astype(np.float32)), xp.dtype("bfloat16"))


def _numbers(xp: Autodiff, x: Any) -> Floats:
    return np.asarray(xp.to_numpy(x)).astype(np.float64)


def contract(
    xp: Autodiff, subject: Subject, function: Callable[..., Any], cell: Cell
) -> Failure | None:
    """Dtype and shape are those of x, looked at before the subject is put into a bank."""
    precision = PRECISIONS[cell.dtype]
    x = _array(xp, precision.round([-1.5, -0.25, 0.0, 0.5, 2.0]), precision)
    keys = (_array(xp, points.keys(5, 0), precision),) if subject.random else ()
    y = function(x, *keys)
    if not isinstance(y, xp.Array):
        cause = f"f(x) is {describe(y)}; expected an array of {xp.name}"
        return Failure("type", cause, 1, 1, 0)
    if tuple(y.shape) != tuple(x.shape):
        cause = f"the shape is broadcast: x is {describe(x)}, f(x) {describe(y)}"
        return Failure("shape", cause, 1, 1, 0)
    if y.dtype != x.dtype:
        cause = f"the dtype is changed: x is {describe(x)}, f(x) {describe(y)}"
        return Failure("dtype", cause, 1, 1, 0)
    return None


def banked(
    functions: Sequence[Callable[..., Any]], keys: Sequence[int | None], rows: int
) -> Function:
    """Row i of x through function i; a row of random numbers is its key, and gives zeros."""

    def bank(x: Any) -> Any:
        xp = namespace(x)
        through = [
            f(x[i]) if k is None else f(x[i], xp.stop_gradient(x[k]))
            for i, (f, k) in enumerate(zip(functions, keys, strict=True))
        ]
        rest = [xp.zeros_like(x[i]) for i in range(len(functions), rows)]
        return xp.stack([*through, *rest])

    return bank


def _bank(
    xp: Autodiff,
    mode: Mode,
    cell: Cell,
    subjects: Sequence[Subject],
    functions: dict[str, Callable[..., Any]],
    settings: Settings,
) -> list[Row]:
    started = time.perf_counter()
    precision = PRECISIONS[cell.dtype]
    random = [subject for subject in subjects if subject.random]
    keys = [len(subjects) + random.index(s) if s.random else None for s in subjects]
    rows = len(subjects) + len(random)
    f = banked([functions[s.name] for s in subjects], keys, rows)
    if rows == 1:
        f = functions[subjects[0].name]
    judgements = [Judgement() for _ in subjects]
    call = None
    for seed in range(settings.seed, settings.seed + settings.repeat):
        own = [points.row(s, precision, seed, settings.inputs) for s in subjects]
        chance = [points.keys(len(own[0]), seed) for _ in random]
        x = np.stack([*own, *chance])
        u = np.stack([points.upstream(x.shape[1], seed + i) for i in range(rows)])
        x_, u_ = _array(xp, x, precision), _array(xp, u, precision)
        if call is None:
            call = mode.build(f, x_, u_)
        y_, dx_ = call(x_, u_)
        for quantity, array in (("value", y_), ("gradient", dx_)):
            if array is None:
                raise TypeError(f"the {quantity} is None; expected {describe(x_)}")
            if array.dtype != x_.dtype or tuple(array.shape) != tuple(x_.shape):
                raise TypeError(f"the {quantity} is {describe(array)}; expected {describe(x_)}")
        y, dx = _numbers(xp, y_), _numbers(xp, dx_)
        for i, subject in enumerate(subjects):
            key = None if keys[i] is None else x[keys[i]]
            judge = _Judge(xp, cell, mode, subject, settings, seed, x[i], u[i], key)
            judge.judge(y[i], dx[i], judgements[i])
    seconds = (time.perf_counter() - started) / len(subjects)
    return [
        _row(
            subject,
            cell,
            DIFFERS if j.failures else OK,
            ulps=j.ulps,
            relative=j.relative,
            comparisons=j.comparisons,
            failures=tuple({f.quantity: f for f in reversed(j.failures)}.values())[::-1],
            seconds=seconds,
        )
        for subject, j in zip(subjects, judgements, strict=True)
    ]


@dataclass
class _Judge:
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
                    self._twin(y, dx, into)
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
            y, dx = eager.run(function, _array(self.xp, x, double), _array(self.xp, ones, double))
            return _numbers(self.xp, y), _numbers(self.xp, dx)

        return evaluate

    def _own(self) -> Floats | None:
        """f by the framework alone, where it is bit for bit what NumPy has."""
        spike = self.subject.like
        if spike is None:
            return None
        with inference_mode():
            keys = () if self.key is None else (_array(self.xp, self.key, self.precision),)
            own = _numbers(self.xp, spike(_array(self.xp, self.x, self.precision), *keys))
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

    def _twin(self, y: Floats, dx: Floats, into: Judgement) -> None:
        """The framework's own mechanism, operation by operation."""
        if self.subject.random or self.subject.target.arrays:
            return
        twin = self.subject.target.native()
        eager = modes(self.cell.framework)["eager"]
        pair = (_array(self.xp, a, self.precision) for a in (self.x, self.u))
        values, gradients = (_numbers(self.xp, a) for a in eager.run(twin, *pair))
        limit = self.bound("native twin").ulps
        for quantity, got, right in (("value", y, values), ("gradient", dx, gradients)):
            distance = self._distance(got, right, right, self.precision.tiny)
            same = (got == right) | (np.isnan(got) & np.isnan(right))
            # The product with a subnormal number may be flushed or not.
            normal = (self.x == 0) | ~(np.abs(self.x) < self.precision.tiny)
            wrong = normal & ~(same | (distance <= limit))
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
            numbers = (self.x[i], u[i], got[i], u[i] * right[i], distance[i])
            return Element(*(float(v) for v in numbers))

        evidence = Evidence(
            quantity, self.precision, self.x, u, got, right, wrong, points.kinks(self.subject)
        )
        count, of = int(wrong.sum()), len(wrong)
        cause = diagnose(evidence)
        into.failures.append(
            Failure(quantity, cause, count, of, self.seed, element(first), element(worst))
        )
