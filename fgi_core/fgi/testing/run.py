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
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError, Function, Mode

from ..backend.dispatch import namespace, use_backend
from ..backend.members import MissingMemberError
from ..backend.messages import describe
from ..backend.protocol import Autodiff
from . import points
from .cell import Cell, Settings, has, numbers, of_dtype
from .compare import Judge, Judgement
from .linearity import checking
from .modes import backend, modes
from .precision import PRECISIONS
from .report import ABSENT, DIFFERS, ERROR, OK, Failure, Row
from .subjects import Subject

__all__ = ["divide", "failed", "in_mode", "run"]


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
    return in_mode(xp, modes(cell.framework)[cell.mode], cell, subjects, settings)


def in_mode(
    xp: Autodiff, mode: Mode, cell: Cell, subjects: Sequence[Subject], settings: Settings
) -> list[Row]:
    """The same, of a mode that is not in the framework's own list."""
    reason = mode.absent()
    if cell.dtype not in mode.dtypes:
        reason = f"is for {' and '.join(mode.dtypes)}"
    if not has(xp, cell.dtype):
        reason = f"{xp.name} has no {cell.dtype}"
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
                found[subject.name] = failed(subject, cell, error)
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
            for row in divide(bank, lambda subject, e: failed(subject, cell, e), part):
                found[row.subject] = row
    return [found[subject.name] for subject in subjects if subject.name in found]


def _row(subject: Subject, cell: Cell, status: str, **more: Any) -> Row:
    return Row(subject.name, **vars(cell), status=status, **more)


def failed(subject: Subject, cell: Cell, error: Exception) -> Row:
    if isinstance(error, MissingMemberError):
        return _row(subject, cell, ABSENT, reason=f"{cell.framework} has no {error.name}")
    text = f"{type(error).__name__}: {error}".strip()
    if len(text) > 2000:
        text = f"{text[:1500]} ... {text[-400:]}"
    return _row(subject, cell, ERROR, reason=text)


def contract(
    xp: Autodiff, subject: Subject, function: Callable[..., Any], cell: Cell
) -> Failure | None:
    """Dtype and shape are those of x, looked at before the subject is put into a bank."""
    precision = PRECISIONS[cell.dtype]
    x = of_dtype(xp, precision.round([-1.5, -0.25, 0.0, 0.5, 2.0]), precision)
    keys = (of_dtype(xp, points.keys(5, 0), precision),) if subject.random else ()
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
            f(x[i, ...]) if k is None else f(x[i, ...], xp.stop_gradient(x[k, ...]))
            for i, (f, k) in enumerate(zip(functions, keys, strict=True))
        ]
        rest = [xp.zeros_like(x[i, ...]) for i in range(len(functions), rows)]
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
        x_, u_ = of_dtype(xp, x, precision), of_dtype(xp, u, precision)
        if call is None:
            call = mode.build(f, x_, u_)
        y_, dx_ = call(x_, u_)
        for quantity, array in (("value", y_), ("gradient", dx_)):
            if array is None:
                raise TypeError(f"the {quantity} is None; expected {describe(x_)}")
            if array.dtype != x_.dtype or tuple(array.shape) != tuple(x_.shape):
                raise TypeError(f"the {quantity} is {describe(array)}; expected {describe(x_)}")
        y, dx = numbers(xp, y_), numbers(xp, dx_)
        for i, subject in enumerate(subjects):
            key = None if keys[i] is None else x[keys[i]]
            judge = Judge(xp, cell, mode, subject, settings, seed, x[i], u[i], key)
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
