"""A plugin for pytest: the same test in every framework and mode, and a summary of what ran.

    def test_hat(fgi_backend):
        x = fgi_backend.asarray([-0.5, 0.25])

Fixtures: ``fgi_backend``, ``fgi_mode``, ``fgi_dtype``, ``fgi_backends``; the marker ``fgi`` limits
them. Options: ``--fgi-backends``, ``--fgi-require``, ``--fgi-device``, ``--fgi-report``.

Whoever has fgi installed loads this module in each of their pytest runs: it imports no framework,
and not NumPy, until a test asks for one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .backend.registry import BUILT_IN, available_backends, load

if TYPE_CHECKING:
    from fgi_backends.measure.mode import Mode

    from .backend.protocol import Autodiff
    from .testing import Report

__all__ = ["fgi_backend", "fgi_backends", "fgi_dtype", "fgi_mode"]

AUTODIFF = tuple(name for name in BUILT_IN if name != "numpy")
DTYPES = ("float16", "bfloat16", "float32", "float64")
DEVICES = ("cpu", "cuda")
MARKER = {"backends": AUTODIFF, "modes": None, "dtypes": DTYPES}
"""What the marker takes; which modes there are is seen where the framework is loaded."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fgi", "fgi: one test in every framework")
    group.addoption(
        "--fgi-backends", default="", metavar="NAMES",
        help="only these frameworks, comma-separated: torch,jax,tensorflow; one missing is skipped",
    )  # fmt: skip
    group.addoption(
        "--fgi-require", default="", metavar="NAMES",
        help="a framework of these that is missing fails instead of being skipped",
    )  # fmt: skip
    group.addoption("--fgi-device", choices=DEVICES, help="where the arrays of fgi_backend live")
    group.addoption(
        "--fgi-report", type=Path, metavar="FILE",
        help="write every comparison as JSON, in the form of `fgi check --json`",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fgi(backends=None, modes=None, dtypes=None): the frameworks, modes and dtypes, each a "
        "list of names, in which fgi_backend, fgi_mode and fgi_dtype run this test",
    )
    config.stash[RUN] = _Run(_names(config, "backends"), _names(config, "require"))
    config.pluginmanager.register(config.stash[RUN])


def _names(config: pytest.Config, option: str) -> tuple[str, ...]:
    names = tuple(n.strip() for n in config.getoption(f"fgi_{option}").split(",") if n.strip())
    known = dict.fromkeys((*AUTODIFF, *available_backends()))
    for name in names:
        if name not in known:
            raise pytest.UsageError(
                f"--fgi-{option}: unknown framework {name!r}; expected {', '.join(known)}"
            )
    return names


@dataclass
class _Ran:
    """What one test had to do with fgi; goes from a worker of xdist to its controller as a dict."""

    framework: str = ""
    absent: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False)
class _Run:
    """What this run asks for, and what its tests have done; it listens to their reports."""

    asked: tuple[str, ...]
    required: tuple[str, ...]
    tests: dict[str, tuple[str, _Ran]] = field(default_factory=dict)
    """Outcome and doings, by the test's id."""

    @property
    def backends(self) -> tuple[str, ...]:
        """Those that tests run in: the ones asked for, or all there are."""
        found = available_backends()
        names = self.asked or tuple(n for n in AUTODIFF if n in found or n in self.required)
        # torch goes first: TensorFlow before torch does not end well in one process.
        return tuple(sorted(names, key=lambda n: (*AUTODIFF, *names).index(n)))

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(n for n in self.backends if n not in available_backends())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "fgi"):
            self.tests[report.nodeid] = (report.outcome, _Ran(**report.fgi))


RUN = pytest.StashKey[_Run]()
RAN = pytest.StashKey[_Ran]()

_current: tuple[_Run, _Ran] | None = None
"""While a test runs."""


def asked() -> list[str] | None:
    """``fgi.testing.check`` asks in which frameworks, where the test does not say it."""
    if _current is None or not _current[0].asked:
        return None
    run = _current[0]
    return [n for n in run.backends if n not in run.missing or n in run.required]


def heard(report: Report) -> None:
    """``fgi.testing.check`` tells what it has found."""
    if _current is not None:
        ran = _current[1]
        ran.rows += [row.to_dict() for row in report.rows]
        compared = {row.framework for row in report.rows if row.comparisons}
        ran.versions |= {name: v for name, v in report.versions.items() if name in compared}


# Which frameworks, modes and dtypes a test has: fixtures and the marker.


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = _marked(metafunc.definition)
    run = metafunc.config.stash[RUN]
    wanted = metafunc.fixturenames
    backends = [n for n in run.backends if n in marked.get("backends", run.backends)]
    if "fgi_dtype" in wanted:
        metafunc.parametrize("fgi_dtype", marked.get("dtypes", DTYPES), indirect=True)
    if "fgi_mode" in wanted:
        pairs = _modes(metafunc.definition, run, backends, marked.get("modes"))
        metafunc.parametrize(
            ("fgi_backend", "fgi_mode"), pairs, indirect=True, ids=[" ".join(p) for p in pairs]
        )
    elif "fgi_backend" in wanted:
        metafunc.parametrize("fgi_backend", backends, indirect=True)


def _marked(item: pytest.Item) -> dict[str, list[str]]:
    """The arguments of the marker that is nearest to the test."""
    found: dict[str, list[str]] = {}
    for marker in item.iter_markers("fgi"):
        expected = "pytest.mark.fgi(backends=['torch'], modes=['eager'], dtypes=['float32'])"
        if marker.args:
            raise _error(item, f"came {marker.args[0]!r} without a name; expected {expected}")
        for argument, names in marker.kwargs.items():
            if argument not in MARKER:
                raise _error(item, f"unknown argument {argument!r}; expected {expected}")
            if isinstance(names, str) or not isinstance(names, Iterable) or not names:
                raise _error(item, f"{argument} is {names!r}; expected a list, as in {expected}")
            known = MARKER[argument]
            for name in names:
                if known is not None and name not in (*known, *available_backends()):
                    of = argument.removesuffix("s")
                    raise _error(item, f"unknown {of} {name!r}; expected {', '.join(known)}")
            found.setdefault(argument, list(names))
    return found


def _error(item: pytest.Item, text: str) -> Exception:
    return pytest.Collector.CollectError(f"{item.nodeid}: pytest.mark.fgi: {text}")


def _modes(
    item: pytest.Item, run: _Run, backends: Sequence[str], named: Sequence[str] | None
) -> list[tuple[str, str]]:
    """Framework and mode, each pair a test; a framework that is missing has one, to be skipped."""
    from .testing import modes

    found: list[tuple[str, str]] = []
    known: dict[str, None] = {}
    for framework in backends:
        if framework in run.missing:
            found.append((framework, "*"))
            continue
        _loaded(run, framework)
        every = modes(framework)
        known |= dict.fromkeys(every)
        found += [(framework, mode) for mode in every if named is None or mode in named]
    for name in named or ():
        if known and name not in known and not set(backends) & set(run.missing):
            raise _error(item, f"unknown mode {name!r}; expected {', '.join(known)}")
    return found


def _loaded(run: _Run, name: str) -> Autodiff:
    """The backend; torch before TensorFlow, which is what the two need in one process."""
    if name == "tensorflow" and "torch" in run.backends and "torch" not in run.missing:
        load("torch")
    return load(name)  # type: ignore[return-value]


@pytest.fixture
def fgi_backend(request: pytest.FixtureRequest) -> Generator[Autodiff]:
    """The backend module of a framework, one test for each: ``asarray``, ``to_numpy``, ``name``.

    float64 is float64 inside the test, in JAX too. Where the framework is missing the test is
    skipped, or with ``--fgi-require`` fails.
    """
    yield from _entered(request, request.param)


@pytest.fixture
def fgi_backends(request: pytest.FixtureRequest) -> Generator[tuple[Autodiff, ...]]:
    """The backend modules of all frameworks that were found or asked for, for one test.

    As ``fgi_backend``: it is skipped, or fails, where one of those asked for is missing.
    """
    run = request.config.stash[RUN]
    marked = _marked(request.node).get("backends", run.backends)
    with contextlib.ExitStack() as stack:
        enter = contextlib.contextmanager(_entered)
        names = [name for name in run.backends if name in marked]
        yield tuple([stack.enter_context(enter(request, name)) for name in names])


@pytest.fixture
def fgi_mode(request: pytest.FixtureRequest, fgi_backend: Autodiff) -> Mode:
    """A way to run and differentiate in ``fgi_backend``, one test for each pair of the two.

        y, dx = fgi_mode.run(f, x, u)

    f is element-wise, ``x`` has two dimensions, ``u`` is the upstream gradient. Where the
    installed version lacks the mode, or it cannot run f, the test is skipped.
    """
    from .testing import modes

    mode = modes(fgi_backend.name)[request.param]
    if reason := mode.absent():
        _absent(request.node, f"{fgi_backend.name}, {mode.name}: {reason}")
    return mode


@pytest.fixture
def fgi_dtype(request: pytest.FixtureRequest) -> str:
    """The name of a dtype, one test for each; ``fgi_backend.dtype(name)`` is the dtype."""
    return str(request.param)


def _entered(request: pytest.FixtureRequest, name: str) -> Generator[Autodiff]:
    run, ran = request.config.stash[RUN], request.node.stash[RAN]
    if name in run.missing:
        _missing(request.node, run, name, f"{name} is not installed")
    backend = _loaded(run, name)
    with contextlib.ExitStack() as stack:
        if kind := request.config.getoption("fgi_device"):
            try:
                stack.enter_context(backend.device(kind))
            except LookupError as error:
                _missing(request.node, run, name, str(error.args[0]))
        stack.enter_context(backend.double_precision())
        ran.framework = " ".join(filter(None, (ran.framework, name)))
        ran.versions[name] = backend.version
        yield backend


def _missing(item: pytest.Item, run: _Run, name: str, reason: str) -> None:
    if name in run.required:
        pytest.fail(f"{reason}, and --fgi-require names it", pytrace=False)
    _absent(item, reason)


def _absent(item: pytest.Item, reason: str) -> None:
    item.stash[RAN].absent.append(reason)
    pytest.skip(reason)


# What the tests have done, from where they run to where it is told.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    global _current
    item.stash[RAN] = _Ran()
    _current = item.config.stash[RUN], item.stash[RAN]
    try:
        return (yield)
    finally:
        _current = None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    from fgi_backends.measure.mode import AbsentError

    try:
        return (yield)
    except AbsentError as error:
        _absent(pyfuncitem, str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    ran = item.stash.get(RAN, _Ran())
    if (ran != _Ran()) and (call.when == "call" or report.outcome != "passed"):
        # xdist carries plain data with a report, which the version of torch is not.
        report.fgi = json.loads(json.dumps(vars(ran)))  # type: ignore[attr-defined]
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    run, config = session.config.stash[RUN], session.config
    if hasattr(config, "workerinput"):
        return
    absent = set(run.required) - set(available_backends())
    if absent and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        # No test was there to fail for it.
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if path := config.getoption("fgi_report"):
        _write(run, path)


def _write(run: _Run, path: Path) -> None:
    outcomes = {nodeid: outcome for nodeid, (outcome, _) in sorted(run.tests.items())}
    found = json.loads(_report(run).to_json()) | {"tests": outcomes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _report(run: _Run) -> Report:
    """Everything that was compared, and what was absent."""
    from .testing.report import ABSENT, Report, Row

    merged = Report(settings={"asked": list(run.asked), "required": list(run.required)})
    for _, (_, ran) in sorted(run.tests.items()):
        merged.rows += [Row.from_dict(row) for row in ran.rows]
        merged.versions |= ran.versions
    for name in dict.fromkeys((*AUTODIFF, *run.required)):
        if name not in available_backends():
            reason = f"{name} is not installed"
            merged.rows.append(Row("", name, "*", "*", ABSENT, reason=reason))
    return merged


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    run = config.stash[RUN]
    if not run.tests and not run.asked and not run.required:
        return
    terminalreporter.section("fgi")
    for line in _summary(run, config.getoption("fgi_device")):
        terminalreporter.line(line)


def _summary(run: _Run, device: str | None) -> list[str]:
    """A line for each framework that ran, and one for each that did not, with the reason."""
    versions: dict[str, str] = {}
    for _, ran in run.tests.values():
        versions |= ran.versions
    lines = []
    rows = [row for _, ran in run.tests.values() for row in ran.rows]
    for name in dict.fromkeys((*(n for n in AUTODIFF if n in versions), *versions)):
        tests = sum(name in ran.versions for _, ran in run.tests.values())
        mine = [r for r in rows if r["framework"] == name and r["status"] in ("ok", "differs")]
        told = [f"{name} {versions[name]}" + (f" on {device}" if device else "")]
        told.append(f"{tests} {'test' if tests == 1 else 'tests'}")
        if mine:
            worst = max(mine, key=lambda row: float(row["ulps"]))
            at = ", ".join(worst[key] for key in ("subject", "mode", "dtype"))
            told.append(f"{sum(row['comparisons'] for row in mine)} numbers compared")
            told.append(f"at most {float(worst['ulps']):.3g} ulp off ({at})")
            if differing := sum(row["status"] == "differs" for row in mine):
                told.append(f"{differing} differ")
        lines.append(": ".join((told[0], ", ".join(told[1:]))))
    reasons = [reason for _, ran in run.tests.values() for reason in ran.absent]
    reasons += [
        f"{row['framework']}, {row['mode']}, {row['dtype']}: {row['reason']}"
        for row in rows if row["status"] == "absent"
    ]  # fmt: skip
    reasons += [
        f"{name} is not installed"
        + (", and --fgi-require names it" if name in run.required else "")
        for name in (*AUTODIFF, *run.required)
        if name not in available_backends()
    ]
    if run.asked:
        reasons += [f"{n} was not asked for" for n in AUTODIFF if n not in (*run.asked, *versions)]
    return [*lines, *(f"absent: {reason}" for reason in dict.fromkeys(reasons))]
