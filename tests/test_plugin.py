"""The plugin for pytest, in pytest runs of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

pytest_plugins = ["pytester"]

AUTODIFF = frameworks.INSTALLED_AUTODIFF
ONE = AUTODIFF[0]
# All are loaded before the first test: pytester forgets what a test has loaded.
VERSIONS = {name: str(frameworks.backend(name).version) for name in AUTODIFF}
ROOTS = [str(Path(fgi.__file__).parents[1]), str(Path(__file__).parents[1] / "backends")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(ROOTS))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(
        "-p", "fgi.pytest_plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider", "-rsf", *options
    )  # fmt: skip


def only(pytester: pytest.Pytester, *names: str) -> None:
    """As if only these frameworks were installed."""
    pytester.makeconftest(
        f"import fgi.pytest_plugin as plugin\nplugin.available_backends = lambda: {names!r}"
    )


def section(result: pytest.RunResult) -> list[str]:
    """The lines of the summary."""
    lines = result.outlines
    (start,) = (i for i, line in enumerate(lines) if line.strip("= ") == "fgi")
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith("="))
    return lines[start + 1 : end]


def test_a_run_without_fgi_loads_nothing_and_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_nothing():
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert "fgi" in loaded
            assert not loaded & {"torch", "jax", "tensorflow", "numpy", "rich", "typer"}
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= fgi =*")


def test_a_test_runs_in_every_framework_that_is_found(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import fgi, pytest
        def test_gradient(fgi_backend, request):
            assert fgi_backend.name in request.node.name
            x = fgi_backend.asarray([0.0, 1.0], dtype=fgi_backend.dtype("float64"))
            y, pullback = fgi.vjp(fgi.surrogates.Gaussian(sigma=0.5), x)
            dx, = pullback(fgi_backend.asarray([2.0, -4.0], dtype=x.dtype))
            assert fgi_backend.to_numpy(y).tolist() == [0, 1]
            # -4 exp(-2), with the digits that only float64 has
            assert fgi_backend.to_numpy(dx).tolist() == pytest.approx(
                [2, -0.5413411329464508], rel=1e-15)
        def test_names(fgi_backends):
            print("names", *[xp.name for xp in fgi_backends])
            assert all(fgi_backends)
        """
    )
    result = run(pytester, "-s")
    result.assert_outcomes(passed=len(AUTODIFF) + 1)
    result.stdout.fnmatch_lines([f"*names {' '.join(AUTODIFF)}*"])
    assert section(result)[: len(AUTODIFF)] == [f"{n} {VERSIONS[n]}: 2 tests" for n in AUTODIFF]


MISSING = """
    def test_one(fgi_backend):
        assert fgi_backend.name == "numpy"
    def test_all(fgi_backends):
        pass
"""


@pytest.mark.parametrize(
    ("options", "outcomes"),
    [
        (["--fgi-backends", "numpy,jax"], {"passed": 1, "skipped": 2}),
        (["--fgi-backends", "numpy,jax", "--fgi-require", "jax"], {"passed": 1, "errors": 2}),
        (["--fgi-backends", "numpy", "--fgi-require", "jax"], {"passed": 2}),
        (["--fgi-backends", "numpy", "--fgi-require", "numpy"], {"passed": 2}),
    ],
    ids=" ".join,
)
def test_a_framework_that_is_missing(
    options: list[str], outcomes: dict[str, int], pytester: pytest.Pytester
) -> None:
    only(pytester, "numpy")
    pytester.makepyfile(MISSING)
    result = run(pytester, *options)
    result.assert_outcomes(**outcomes)
    required = options[-1] == "jax"
    assert result.ret == (1 if required else 0)
    absent = "absent: jax is not installed"
    assert absent + (", and --fgi-require names it" if required else "") in section(result)
    assert section(result)[0] == f"numpy {np.__version__}: {outcomes['passed']} " + (
        "test" if outcomes["passed"] == 1 else "tests"
    )
    if outcomes.get("errors"):
        result.stdout.fnmatch_lines(["*jax is not installed, and --fgi-require names it"])
    if outcomes.get("skipped"):
        result.stdout.fnmatch_lines(["SKIPPED*jax is not installed"])


def test_a_required_framework_that_no_test_asks_for(pytester: pytest.Pytester) -> None:
    only(pytester, "numpy")
    pytester.makepyfile("def test_nothing(): pass")
    result = run(pytester, "--fgi-require", "jax")
    result.assert_outcomes(passed=1)
    assert result.ret == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ["--fgi-backends", "torch,keras"],
            "*--fgi-backends: unknown framework 'keras'; expected torch, jax, tensorflow, numpy*",
        ),
        (["--fgi-require", "pytorch"], "*--fgi-require: unknown framework 'pytorch'; expected*"),
        (["--fgi-device", "tpu"], "*--fgi-device: invalid choice: 'tpu'*cpu*cuda*"),
    ],
    ids=["backends", "require", "device"],
)
def test_an_option_that_is_wrong(options: list[str], error: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = run(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([error])


MARKERS = {
    "backend=['torch']": "unknown argument 'backend'; expected pytest.mark.fgi(backends=['torch']*",
    "'torch'": "came 'torch' without a name; expected pytest.mark.fgi(backends=['torch']*",
    "backends='torch'": "backends is 'torch'; expected a list, as in pytest.mark.fgi(*",
    "dtypes=[]": "dtypes is []; expected a list, as in pytest.mark.fgi(*",
    "backends=['pytorch']": "unknown backend 'pytorch'; expected torch, jax, tensorflow",
    "dtypes=['float8']": "unknown dtype 'float8'; expected float16, bfloat16, float32, float64",
    "modes=['lazy']": "unknown mode 'lazy'; expected eager, *",
}


def test_a_marker_that_is_wrong(pytester: pytest.Pytester) -> None:
    for i, arguments in enumerate(MARKERS):
        pytester.makepyfile(
            **{
                f"test_marker_{i}": f"""
                import pytest
                @pytest.mark.fgi({arguments})
                def test_marked(fgi_mode): pass
                """
            }
        )
    result = run(pytester, "--fgi-backends", ONE)
    result.assert_outcomes(errors=len(MARKERS))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    lines = [
        f"test_marker_{i}.py::test_marked: pytest.mark.fgi: {error}"
        for i, error in enumerate(MARKERS.values())
    ]
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in lines])


def test_the_marker_limits_frameworks_and_dtypes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.fgi(backends=["numpy"])
        @pytest.mark.fgi(dtypes=["float64", "float32"])
        def test_marked(fgi_backend, fgi_dtype):
            x = fgi_backend.asarray([0.1], dtype=fgi_backend.dtype(fgi_dtype))
            print("ran", fgi_backend.name, fgi_dtype, float(x[0]) == 0.1)
        """
    )
    result = run(pytester, "-s", "--fgi-backends", f"{ONE},numpy")
    result.assert_outcomes(passed=2)
    expected = ["*ran numpy float32 False*", "*ran numpy float64 True*"]
    result.stdout.fnmatch_lines_random(expected)


MODES = {
    "torch": ["eager", "func.grad", "jit.script"],
    "jax": ["eager", "jit(vmap(grad))"],
    "tensorflow": ["eager", "XLA"],
}


def test_modes(pytester: pytest.Pytester) -> None:
    """Frameworks times modes; a function that a mode cannot run is skipped, with the reason."""
    names = sorted({name for framework in AUTODIFF for name in MODES[framework]})
    pytester.makepyfile(
        f"""
        import fgi, pytest, numpy as np
        def double(x):
            return fgi.inject(x, x + 1, 3.0) if fgi.namespace(x) else x
        @pytest.mark.fgi(modes={names!r})
        def test_mode(fgi_backend, fgi_mode):
            x, u = (fgi_backend.asarray(np.array([v], np.float32)) for v in ([1, 2], [5, -7]))
            y, dx = fgi_mode.run(double, x, u)
            assert fgi_backend.to_numpy(y).tolist() == [[2, 3]]
            assert fgi_backend.to_numpy(dx).tolist() == [[15, -21]]
        """
    )
    result = run(pytester, "-v")
    count = sum(len(MODES[framework]) for framework in AUTODIFF)
    scripted = "torch" in AUTODIFF
    result.assert_outcomes(passed=count - scripted, skipped=scripted)
    for framework in AUTODIFF:
        for mode in MODES[framework]:
            result.stdout.fnmatch_lines([f"*::test_mode[[]{framework} {mode}]*"])
    if scripted:
        assert any("torch.jit.script cannot compile it" in line for line in section(result))


def test_an_absent_mode_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"""
        import dataclasses, fgi.testing, importlib
        table = importlib.import_module("fgi_backends.{ONE}.modes").MODES
        table["eager"] = dataclasses.replace(table["eager"], absent=lambda: "it is too old")
        """
    )
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.fgi(modes=["eager"])
        def test_mode(fgi_mode): pass
        """
    )
    result = run(pytester, "--fgi-backends", ONE)
    result.assert_outcomes(skipped=1)
    assert f"absent: {ONE}, eager: it is too old" in section(result)


def test_the_device(pytester: pytest.Pytester) -> None:
    only(pytester, ONE)
    pytester.makepyfile("def test_one(fgi_backend): assert fgi_backend.asarray([1.0]) is not None")
    result = run(pytester, "--fgi-device", "cpu")
    result.assert_outcomes(passed=1)
    assert section(result)[0] == f"{ONE} {VERSIONS[ONE]} on cpu: 1 test"


@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_device_that_is_not_there(framework: str, pytester: pytest.Pytester) -> None:
    try:
        frameworks.backend(framework).device("cuda")
    except LookupError as error:
        reason = str(error.args[0])
    else:
        pytest.skip(f"{framework} has a CUDA device")
    assert reason == f"{framework} {VERSIONS[framework]} sees no cuda device"
    if framework != ONE:
        return  # the rest is the same
    pytester.makepyfile("def test_one(fgi_backend): pass")
    result = run(pytester, "--fgi-backends", ONE, "--fgi-device", "cuda")
    result.assert_outcomes(skipped=1)
    assert f"absent: {reason}" in section(result)
    result = run(pytester, "--fgi-backends", ONE, "--fgi-require", ONE, "--fgi-device", "cuda")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{reason}, and --fgi-require names it"])


CHECKED = f"""
    import fgi, fgi.testing, pytest
    settings = {{"dtypes": ["float32"], "modes": ["eager"], "inputs": [-1.0, 0.0, 0.5, 2.0]}}
    @pytest.mark.fgi(backends=[{ONE!r}])
    @pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
    def test_right(alpha, fgi_backend):
        fgi.testing.assert_gradients_match(
            fgi.surrogates.ATan(alpha=alpha), backends=[fgi_backend.name], **settings)
    def test_wrong():
        fgi.testing.assert_gradients_match(
            fgi.surrogates.ATan(alpha=2.0), like=fgi.surrogates.ATan(alpha=4.0),
            backends=[{ONE!r}], **settings)
"""


def test_the_summary_and_the_report_count_what_was_compared(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CHECKED)
    found: dict[str, tuple[Any, list[str]]] = {}
    for workers in ("0", "2"):
        path = pytester.path / "out" / f"{workers}.json"
        result = run(pytester, "-n", workers, "--fgi-report", str(path))
        result.assert_outcomes(passed=3, failed=1)
        report = json.loads(path.read_text())
        for row in report["rows"]:
            row.pop("seconds")
        found[workers] = report, section(result)
    report, lines = found["0"]
    # Value and gradient at four points, for four surrogates.
    assert lines[0].startswith(f"{ONE} {VERSIONS[ONE]}: 4 tests, 32 numbers compared, at most ")
    assert "ulp off (ATan(alpha=2.0, scale=1.0), eager, float32), 1 differ" in lines[0]
    assert found["2"] == found["0"]
    assert report["versions"] == {ONE: VERSIONS[ONE]}
    assert not report["ok"]
    ran = [row for row in report["rows"] if row["status"] != "absent"]
    assert [row["status"] for row in ran] == ["ok", "ok", "ok", "differs"]
    assert all(row["comparisons"] == 8 for row in ran)
    outcomes = list(report["tests"].values())
    assert outcomes == ["passed", "passed", "passed", "failed"]


def test_what_ran_before_a_worker_crashed_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        def test_before(fgi_backend): pass
        def test_crash(): os._exit(3)
        """
    )
    result = run(pytester, "-n", "1", "--fgi-backends", "numpy")
    result.assert_outcomes(passed=1, failed=1)
    assert section(result)[0] == f"numpy {np.__version__}: 1 test"
