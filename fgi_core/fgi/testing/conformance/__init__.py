"""Whether a backend does what ``fgi.backend`` says: for whoever writes one.

    report = fgi.testing.backend_conformance(my_backend)
    test_conformance = fgi.testing.conformance_test(my_backend)      # in a file of tests
    tiers(my_backend)                                                # ("injection", "hooks")

``case.py``         one thing that is asked, and the list of all
``probe.py``        numbers in and out, and what is wrong with those that come
``protocol.py``     tiers, attributes, and whether the core finds the backend
``elementwise.py``  functions of one number or two
``arrays.py``       selections, reductions, orders, dtypes, operators
``randomness.py``   random numbers
``derivatives.py``  differentiation, batching, compilation, the time loop
``promises.py``     injection and surrogates: what all of it is for

A row of the report is one name of the protocol, or one surrogate, in one dtype. What a backend does
not have, a dtype, a tier or a way to differentiate, is absent, and no failure.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError

from ...backend.dispatch import use_backend
from ...backend.members import MissingMemberError, tier_of
from ...backend.protocol import Backend
from ...backend.registry import under_test
from ..bounds import TABLE, Bound
from ..cell import Settings, has
from ..precision import PRECISIONS
from ..report import ABSENT, DIFFERS, ERROR, OK, Report, Row
from . import arrays, derivatives, elementwise, promises, protocol, randomness  # noqa: F401
from .case import CASES, WIDEST, Case
from .probe import Keys, Probe
from .promises import MODES
from .protocol import AUTODIFF, REQUIRED, tiers

__all__ = [
    "AUTODIFF",
    "BOUNDS",
    "CASES",
    "MODES",
    "REQUIRED",
    "backend_conformance",
    "conformance_test",
    "tiers",
]

BOUNDS: tuple[Bound, ...] = (*elementwise.BOUNDS, *derivatives.BOUNDS, *TABLE)
"""How far each number may be off; the first that fits counts."""


def backend_conformance(
    module: Any,
    *,
    keys: Keys | None = None,
    subjects: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    bounds: Sequence[Bound] = BOUNDS,
    seed: int = 0,
) -> Report:
    """Whether a module is a backend: its names, what each of them does, and what fgi promises.

        y = f(x),   u * dy/dx = u * g'(x)   within ``bounds``

    ``module`` is a module, or any object, with ``asarray`` and ``to_numpy`` and the members of some
    tiers of ``fgi.backend``; it need not be registered. ``report.settings["tiers"]`` are those that
    it holds, each a row of mode "tier"; one that it has begun is to be complete, except for
    "autodiff". Functions are compared with NumPy in float64, derivatives with those by hand,
    surrogates with their definition. ``keys`` makes the framework's own sources of
    randomness of a seed, one of each kind: ``lambda seed: [key(seed)]``; without it nothing is
    drawn. ``subjects``, ``modes`` and ``dtypes`` are the only ones that are asked, by the names in
    the report. ``bounds`` are how far numbers may be off: put your own, with their reasons, before
    ``fgi.testing.conformance.BOUNDS``.

    Errors: TypeError for what has no name, no ``asarray`` or no ``to_numpy``; ValueError where a
    built-in backend has the name, and for an unknown subject, mode or dtype.
    """
    parts = _parts(module, keys, subjects, modes, dtypes, tuple(bounds), seed)
    report = _empty(module)
    report.settings["seed"] = seed
    for part in parts:
        report.rows += part.run()
    _tell(report)
    return report


def conformance_test(module: Any, **options: Any) -> Callable[..., None]:
    """``backend_conformance`` as a test of pytest, one for each thing that is asked.

        test_conformance = fgi.testing.conformance_test(my_backend)

    ``options`` are those of ``backend_conformance``. What the backend does not have is skipped.
    Errors: those of ``backend_conformance``, while the tests are collected.
    """
    import pytest

    options = {"keys": None, "subjects": None, "modes": None, "dtypes": None, "seed": 0} | options
    options["bounds"] = tuple(options.get("bounds", BOUNDS))
    parts = _parts(module, **options)

    @pytest.mark.parametrize("part", parts, ids=[part.name for part in parts])
    def test_conformance(part: _Part) -> None:
        __tracebackhide__ = True
        report = _empty(module)
        report.rows += part.run()
        _tell(report)
        if told := report.told():
            raise AssertionError("\n\n".join(told))
        if all(row.status == ABSENT for row in report.rows):
            pytest.skip(report.rows[0].reason)

    return test_conformance


def _empty(module: Any) -> Report:
    with under_test(module) as xp:
        return Report(versions={xp.name: xp.version}, settings={"tiers": list(tiers(xp))})


def _tell(report: Report) -> None:
    if plugin := sys.modules.get("fgi.pytest_plugin"):
        plugin.heard(report)


@dataclass(frozen=True)
class _Part:
    """What is run, and fails, at once."""

    name: str
    run: Callable[[], list[Row]]


def _parts(
    module: Any,
    keys: Keys | None,
    subjects: Sequence[str] | None,
    modes: Sequence[str] | None,
    dtypes: Sequence[str] | None,
    bounds: tuple[Bound, ...],
    seed: int,
) -> list[_Part]:
    with under_test(module) as xp:
        _ = xp.asarray, xp.to_numpy
    known = (
        ("subject", subjects, {case.subject for case in CASES} | {SURROGATES}),
        ("mode", modes, {case.mode for case in CASES} | set(MODES)),
        ("dtype", dtypes, set(PRECISIONS)),
    )
    for kind, asked, names in known:
        for name in asked or ():
            if name not in names:
                raise ValueError(
                    f"fgi.testing.backend_conformance: unknown {kind} {name!r}; expected one of "
                    f"{', '.join(sorted(names))}"
                )

    def wanted(subject: str, mode: str, dtype: str) -> bool:
        pairs = ((subject, subjects), (mode, modes), (dtype, None if dtype == "*" else dtypes))
        return all(asked is None or name in asked for name, asked in pairs)

    with _quiet(xp):
        widest = "float64" if has(xp, "float64") else "float32"
    found = []
    for case in CASES:
        for dtype in (widest,) if case.dtypes == WIDEST else case.dtypes:
            if wanted(case.subject, case.mode, dtype):
                name = f"{case.subject}, {case.mode}" + (f", {dtype}" if dtype != "*" else "")
                found.append(_Part(name, _asking(xp, case, dtype, keys, bounds)))
    settings = Settings(seed, bounds=bounds)
    for mode in MODES:
        for dtype in promises.dtypes(xp, mode):
            if wanted(SURROGATES, mode, dtype):
                name = f"{SURROGATES}, {mode}, {dtype}"
                found.append(_Part(name, _promising(xp, mode, dtype, settings)))
    return found


SURROGATES = "surrogates"


@contextlib.contextmanager
def _quiet(xp: Backend) -> Iterator[None]:
    """What frameworks and NumPy say about infinities is not looked at, nor what was chosen."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(under_test(xp))
        stack.enter_context(use_backend(xp.name))
        stack.enter_context(xp.double_precision())
        yield


def _asking(
    xp: Backend, case: Case, dtype: str, keys: Keys | None, bounds: tuple[Bound, ...]
) -> Callable[[], list[Row]]:
    def run() -> list[Row]:
        row = Row(case.subject, xp.name, case.mode, dtype, OK)
        needed = (case.subject, *case.needs) if tier_of(case.subject) else case.needs
        missing = [name for name in dict.fromkeys(needed) if not hasattr(xp, name)]
        if missing:
            return [_with(row, ABSENT, protocol.without(xp, *missing))]
        probe = Probe(xp, dtype, bounds, keys)
        started = time.perf_counter()
        with _quiet(xp):
            if dtype != "*" and not has(xp, dtype):
                return [_with(row, ABSENT, f"{xp.name} has no {dtype}")]
            try:
                case.run(probe)
            except AbsentError as error:
                return [_with(row, ABSENT, str(error))]
            except MissingMemberError as error:
                return [_with(row, ABSENT, protocol.without(xp, error.name))]
            except Exception as error:
                return [_with(row, ERROR, f"{type(error).__name__}: {error}"[:2000])]
        seconds = time.perf_counter() - started
        found = replace(row, ulps=probe.ulps, comparisons=probe.comparisons, seconds=seconds)
        if probe.failures:
            # Of what is wrong in one way several times, once.
            alike = {(f.quantity, f.cause): f for f in reversed(probe.failures)}
            found = replace(found, status=DIFFERS, failures=tuple(alike.values())[::-1])
        return [found]

    return run


def _with(row: Row, status: str, reason: str) -> Row:
    return replace(row, status=status, reason=reason)


def _promising(xp: Backend, mode: str, dtype: str, settings: Settings) -> Callable[[], list[Row]]:
    def run() -> list[Row]:
        with _quiet(xp):
            return promises.rows(xp, mode, dtype, settings)

    return run
