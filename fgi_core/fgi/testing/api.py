"""``check`` and the assertions: subjects times frameworks times modes times dtypes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.registry import available_backends
from ..surrogates.surrogate import Surrogate
from . import cross_framework as between
from .bounds import TABLE, Bound
from .cell import Cell, Settings
from .modes import AUTODIFF, backend, chosen
from .precision import PRECISIONS
from .report import CRASH, ERROR, LIMIT, Report, Row
from .resume import Journal
from .run import divide, run
from .subjects import Subject, subjects
from .workers import Crashed, Local, TookTooLong, Worker

__all__ = ["assert_gradients_match", "assert_value_exact", "check"]


def check(
    things: Any = None,
    *,
    like: Surrogate | None = None,
    inputs: Any = None,
    backends: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    quick: bool = False,
    seed: int = 0,
    repeat: int = 1,
    bounds: Sequence[Bound] = TABLE,
    isolate: bool = False,
    time_limit: float = 300.0,
    journal: str | Path | None = None,
    on_start: Callable[[str, int], None] | None = None,
    on_rows: Callable[[str, list[Row]], None] | None = None,
) -> Report:
    """Compare value and gradient with the definition, in every framework, mode and dtype.

        y = f(x),   u * dy/dx = u * g'(x)   within ``fgi.testing.BOUNDS``

    ``things`` is one of these or several: a surrogate, a value function, a function of an array
    written with fgi, or functions by framework, ``{"torch": f, "jax": g}``; without, the catalogue.
    Surrogates are compared with their own definition in float64 and with the native mechanism,
    others with the surrogate ``like``; without that, with their own float64 and between frameworks.
    Functions are element-wise.

    ``inputs`` are the points, otherwise kinks, zeros, infinities, NaN, the ends of the dtype and
    random numbers; ``repeat`` takes that many seeds. ``quick`` leaves out the modes that compile
    long. ``isolate`` runs each framework in a process of its own, where a call that crashes or
    takes more than ``time_limit`` seconds leaves the others to go on. With ``journal`` finished
    rows are appended to that file, and those in it are not run again. ``on_start`` hears how many
    calls a framework has, ``on_rows`` what each came to.

    An interrupt gives the report of what was finished, with ``complete`` False.

    Errors: TypeError for what is none of these; ValueError for an unknown mode or dtype, or a
    journal of other settings.
    """
    plugin = sys.modules.get("fgi.pytest_plugin")
    if backends is None and plugin is not None:
        backends = plugin.asked()
    found = subjects(things, like)
    names, missing = _frameworks(backends)
    kinds = list(PRECISIONS) if dtypes is None else list(dtypes)
    for kind in kinds:
        if kind not in PRECISIONS:
            raise ValueError(
                f"fgi.testing.check: unknown dtype {kind!r}; expected {', '.join(PRECISIONS)}"
            )
    if not isinstance(repeat, int) or repeat < 1:
        raise ValueError(f"fgi.testing.check: repeat is {repeat!r}; expected an integer >= 1")
    if inputs is not None:
        inputs = np.asarray(inputs, np.float64).reshape(-1)
    settings = Settings(seed, repeat, inputs, tuple(bounds))
    report = Report(
        settings={"seed": seed, "repeat": repeat, "modes": None if modes is None else list(modes)}
    )
    report.rows += [
        Row("", name, "*", "*", ERROR, reason=f"{name} is not installed") for name in missing
    ]
    kept = None
    if journal is not None:
        kept = Journal(journal, {"seed": seed, "repeat": repeat, "isolate": isolate})
        report.rows += kept.rows
    plan = _Plan(found, settings, modes, kinds, quick, report, kept, on_start, on_rows)
    runners = {name: Worker(time_limit) if isolate else Local() for name in names}
    collected: dict[str, Any] = {}
    try:
        _run(plan, runners, collected)
    except KeyboardInterrupt:
        report.complete = False
    finally:
        plan.stopped.set()
        for runner in runners.values():
            runner.close()
    asked = set(modes or ())
    unknown = asked - plan.seen - {between.MODE}
    # A mode of a framework that is not run is none of this run's; seen alone it is a mistake.
    every = set(AUTODIFF) <= set(report.versions) or asked == unknown
    if unknown and every and report.complete and plan.seen:
        raise ValueError(
            f"fgi.testing.check: unknown mode {', '.join(sorted(unknown))}; expected "
            f"{', '.join(sorted(plan.seen | {between.MODE}))}"
        )
    if modes is None or between.MODE in modes:
        plan.add("", between.compare(plan.undefined, collected, settings))
    order = {name: i for i, name in enumerate([*AUTODIFF, *names])}
    report.rows.sort(key=lambda row: order.get(row.framework, -1))
    if plugin is not None:
        plugin.heard(report)
    return report


class _Plan:
    """What all frameworks share while they run."""

    def __init__(
        self,
        found: tuple[Subject, ...],
        settings: Settings,
        modes: Sequence[str] | None,
        dtypes: Sequence[str],
        quick: bool,
        report: Report,
        journal: Journal | None,
        on_start: Callable[[str, int], None] | None,
        on_rows: Callable[[str, list[Row]], None] | None,
    ) -> None:
        self.subjects, self.settings, self.report = found, settings, report
        self.modes, self.dtypes, self.quick = modes, dtypes, quick
        self.journal, self.on_start, self.on_rows = journal, on_start, on_rows
        self.undefined = [subject for subject in found if subject.like is None]
        self.done = {row.key for row in report.rows}
        self.seen: set[str] = set()
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def add(self, framework: str, rows: list[Row]) -> None:
        with self._lock:
            self.report.rows += rows
            if self.journal is not None:
                self.journal.add(row for row in rows if row.mode != between.MODE)
            if self.on_rows is not None:
                self.on_rows(framework, rows)


def _frameworks(backends: Sequence[str] | None) -> tuple[list[str], list[str]]:
    available = available_backends()
    if isinstance(backends, str):
        backends = [backends]
    if backends is None:
        return [name for name in AUTODIFF if name in available], []
    ordered = sorted(backends, key=lambda name: (*AUTODIFF, *backends).index(name))
    return [n for n in ordered if n in available], [n for n in ordered if n not in available]


def _run(plan: _Plan, runners: dict[str, Any], collected: dict[str, Any]) -> None:
    if any(isinstance(runner, Local) for runner in runners.values()):
        for name, runner in runners.items():
            _framework(plan, name, runner, collected)
        return
    with ThreadPoolExecutor(max(1, min(len(runners), 2))) as pool:
        waiting = [
            pool.submit(_framework, plan, name, runner, collected)
            for name, runner in runners.items()
        ]
        try:
            for future in waiting:
                future.result()
        except KeyboardInterrupt:
            plan.stopped.set()
            for runner in runners.values():
                runner.close()
            raise


def _asked(framework: str, names: Sequence[str] | None, quick: bool) -> Any:
    """Version, modes asked for, all modes; in the process that has the framework."""
    return (
        backend(framework).version,
        chosen(framework, names, quick),
        chosen(framework, None),
    )


def _framework(plan: _Plan, name: str, runner: Any, collected: dict[str, Any]) -> None:
    try:
        version, asked, every = runner.call(_asked, name, plan.modes, plan.quick)
    except Exception as error:
        plan.add(name, [Row("", name, "*", "*", ERROR, reason=str(error))])
        return
    plan.report.versions[name] = version
    plan.seen |= set(every)
    cells = [Cell(name, mode, dtype) for mode in asked for dtype in plan.dtypes]
    if plan.on_start is not None:
        plan.on_start(name, len(cells))
    for cell in cells:
        if plan.stopped.is_set():
            return
        left = [s for s in plan.subjects if (s.name, *vars(cell).values()) not in plan.done]
        if ("", *vars(cell).values()) in plan.done:
            left = []
        plan.add(name, divide(*_calls(plan, cell, runner), left))
    if plan.undefined and not plan.stopped.is_set():
        try:
            collected[name] = runner.call(between.collect, name, plan.undefined, plan.settings)
        except (Crashed, TookTooLong, TypeError):
            collected[name] = {}


def _calls(plan: _Plan, cell: Cell, runner: Any) -> tuple[Any, Any]:
    def call(part: Sequence[Subject]) -> list[Row]:
        if plan.stopped.is_set():
            return []
        rows: list[Row] = runner.call(run, cell, tuple(part), plan.settings)
        return rows

    def failed(subject: Subject, error: Exception) -> Row:
        kinds: dict[type[Exception], str] = {Crashed: CRASH, TookTooLong: LIMIT}
        status = kinds.get(type(error), ERROR)
        return Row(subject.name, **vars(cell), status=status, reason=str(error))

    return call, failed


def assert_gradients_match(
    fn_or_surrogate: Any,
    inputs: Any = None,
    *,
    like: Surrogate | None = None,
    backends: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    seed: int = 0,
    bounds: Sequence[Bound] = TABLE,
) -> Report:
    """``check``, and an AssertionError that names what differs where; returns the report.

    Errors: AssertionError with the surrogate, framework, mode, dtype, the first and the worst
    number and a likely cause; those of ``check``.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    report = check(
        fn_or_surrogate,
        like=like,
        inputs=inputs,
        backends=backends,
        modes=modes,
        dtypes=dtypes,
        seed=seed,
        bounds=bounds,
    )
    return _asserted(report, [*report.failures, *report.errors])


def assert_value_exact(
    fn_or_surrogate: Any,
    inputs: Any = None,
    *,
    like: Surrogate | None = None,
    backends: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    seed: int = 0,
) -> Report:
    """Only the value is asserted: y is f(x), bit for bit, where f is a step or the like.

    Errors: AssertionError as ``assert_gradients_match``; those of ``check``.
    """
    __tracebackhide__ = True
    report = check(
        fn_or_surrogate,
        like=like,
        inputs=inputs,
        backends=backends,
        modes=modes,
        dtypes=dtypes,
        seed=seed,
    )
    kinds = {"value", "type", "shape", "dtype"}
    wrong = [row for row in report.failures if kinds & {f.quantity for f in row.failures}]
    return _asserted(report, [*wrong, *report.errors])


def _asserted(report: Report, wrong: Iterable[Row]) -> Report:
    __tracebackhide__ = True
    told = [report.describe(row) for row in wrong]
    if told:
        raise AssertionError("\n".join([report.verdict(), *told[:10], *_more(told)]))
    if not report.ok and not report.failures:
        raise AssertionError(f"fgi.testing: nothing was compared.\n{report}")
    return report


def _more(told: list[str]) -> list[str]:
    return [f"... and {len(told) - 10} more"] if len(told) > 10 else []
