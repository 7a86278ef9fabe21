"""``fgi.testing`` finds faults, names them, and finds none where there is none."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import fgi
import fgi.testing as T
from fgi.testing.precision import PRECISIONS
from support import faults, frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
every_framework = pytest.mark.parametrize("framework", AUTODIFF)
ATAN = faults.GOOD
STE = fgi.surrogates.StraightThrough()


# Faults

FAULTS: dict[str, tuple[Callable[[Any], Any], str, str, str]] = {
    # what it is like, in which dtype, what is off, and what is said
    "sign": (faults.sign, "float32", "gradient", "the sign is flipped"),
    "factor": (faults.factor, "float32", "gradient", "scaled by 2.5"),
    "another slope": (faults.another_slope, "float32", "gradient", "another slope"),
    "lost": (faults.lost, "float32", "gradient", "the gradient is lost"),
    "published": (faults.published, "float16", "value", "NaN where x is infinite or NaN"),
    "kink": (faults.kink, "float32", "gradient", "off at kinks alone, such as x = 0.5"),
    "kink of the value": (faults.kink_value, "bfloat16", "value", "off at kinks alone"),
    "tail": (faults.tail, "float32", "gradient", "zero in the tails, from |x| = 10"),
    "float32": (faults.float32_constant, "float64", "gradient", "as exact as float32"),
    "16 bits": (faults.half, "float32", "gradient", "as exact as 16 bits"),
    "16 bits in float64": (faults.half, "float64", "gradient", "as exact as 16 bits"),
    "rounded twice": (faults.half, "float16", "gradient", "rounded more than once"),
    "dtype": (faults.dtype, "float32", "dtype", "the dtype is changed"),
    "shape": (faults.shape, "float32", "shape", "the shape is broadcast"),
    "negative": (faults.negative, "float32", "gradient", "wrong for negative x alone"),
    "upstream": (faults.upstream, "float32", "gradient", "the upstream gradient is dropped"),
    "upstream twice": (
        faults.upstream_twice,
        "float32",
        "gradient",
        "upstream gradient is applied",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@every_framework
def test_a_fault_is_found_and_named(framework: str, fault: str) -> None:
    f, dtype, quantity, cause = FAULTS[fault]
    report = T.check(f, like=ATAN, backends=[framework], modes=["eager"], dtypes=[dtype])
    (row,) = report.failures
    assert not report.ok
    assert report.exit_status == 1
    found = {failure.quantity: failure.cause for failure in row.failures}
    assert cause in found[quantity]
    assert row.cell == (framework, "eager", dtype)


@every_framework
def test_the_folk_estimator_is_not_exact(framework: str) -> None:
    """x + sg(f - x): 1e19 + (1 - 1e19) is 0."""
    report = T.check(faults.folk, like=STE, backends=[framework], modes=["eager"])
    assert {row.dtype for row in report.failures} == set(PRECISIONS)
    for row in report.failures:
        assert row.failures[0].quantity == "value"
        assert "the value is not exact" in row.failures[0].cause


@every_framework
def test_a_value_of_one_ulp_off(framework: str) -> None:
    def f(x: Any) -> Any:
        return fgi.inject(x, fgi.heaviside(x) * (1 + 2.0**-23), ATAN.derivative)

    report = T.check(f, like=ATAN, backends=[framework], modes=["eager"], dtypes=["float32"])
    assert {failure.quantity for failure in report.failures[0].failures} == {"value"}
    element = report.failures[0].failures[0].first
    assert element is not None
    assert (element.got, element.expected, element.ulps) == (1 + 2.0**-23, 1, 1)


def test_the_elements_are_those_that_differ() -> None:
    (framework, *_) = AUTODIFF
    inputs = [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]
    report = T.check(
        faults.kink, inputs=inputs, like=ATAN, backends=[framework], modes=["eager"],
        dtypes=["float64"],
    )  # fmt: skip
    (failure,) = report.failures[0].failures
    assert (failure.count, failure.of) == (1, 6)
    assert failure.first == failure.worst
    assert failure.first is not None
    # u is -0.25 at the fourth point; the slope of ATan(2) at 0.5 is 1 / (1 + (pi / 2)**2).
    slope = 1 / (1 + (np.pi / 2) ** 2)
    assert failure.first.x == 0.5
    assert failure.first.u == -0.25
    assert failure.first.got == -0.25 * 0.125
    assert failure.first.expected == pytest.approx(-0.25 * slope, rel=1e-15)


@pytest.mark.skipif(len(AUTODIFF) < 2, reason="one framework alone")
def test_one_framework_that_differs_is_named_by_the_others() -> None:
    report = T.check(faults.one_framework, like=ATAN, modes=["eager"], dtypes=["float32"])
    assert {row.framework for row in report.failures} == {"torch"} & set(AUTODIFF)
    text = str(report)
    assert "scaled by 2.5" in text
    others = [name for name in AUTODIFF if name != "torch"]
    assert f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} right" in text


@pytest.mark.skipif(len(AUTODIFF) < 3, reason="who differs is seen by the two others")
def test_frameworks_against_each_other_where_nothing_is_defined() -> None:
    report = T.check(faults.one_framework, modes=["eager", "between frameworks"])
    (row,) = [row for row in report.failures if row.mode == "between frameworks"]
    assert row.framework == "torch"
    assert "scaled by 2.5" in row.failures[0].cause
    honest = T.check(faults.arc, modes=["eager", "between frameworks"])
    assert honest.ok, str(honest)
    assert {row.framework for row in honest.rows if row.mode == "between frameworks"} == set(
        AUTODIFF
    )


@pytest.mark.skipif("torch" not in AUTODIFF, reason="torch is not installed")
def test_the_gradient_that_compiled_functional_torch_loses() -> None:
    """torch 2.13 has no gradient of an autograd.Function under compile(func.grad)."""
    import torch

    report = T.check(
        {"torch": ATAN.native()}, like=ATAN, modes=["eager", "compile(func.grad)"],
        dtypes=["float32"],
    )  # fmt: skip
    if torch.__version__.startswith("2.13"):
        (row,) = report.failures
        assert row.mode == "compile(func.grad)"
        assert "the gradient is lost" in row.failures[0].cause
        assert "eager is right" in report.describe(row)


@every_framework
def test_the_second_derivative(framework: str) -> None:
    class Wrong(fgi.Surrogate):
        """Its slope is not differentiated as it should be."""

        def slope(self, xp: Any, x: Any, *u: Any) -> Any:
            return 1 / (1 + xp.stop_gradient(x) ** 2) if xp.name != "numpy" else 1 / (1 + x**2)

    try:
        settings: dict[str, Any] = {"backends": [framework], "dtypes": ["float64"]}
        modes = ["grad of grad", "jvp of grad"]
        assert T.check(fgi.surrogates.Gaussian(order=2), modes=modes, **settings).ok
        assert T.check(ATAN, modes=modes, **settings).ok
        report = T.check(Wrong(order=2), modes=modes, **settings)
        assert len(report.failures) == 2
        assert "the gradient is lost" in report.failures[0].failures[0].cause
        once = fgi.surrogates.Gaussian()
        twice = T.check(once.replace(order=2), like=once, modes=modes[:1], **settings)
        assert "although order is 1" in twice.failures[0].failures[0].cause
    finally:
        fgi.Surrogate._by_name.pop(Wrong.name)


# No faults


@every_framework
def test_right_functions_pass(framework: str) -> None:
    things = [faults.right, ATAN, fgi.surrogates.StochasticSpikeOperator, fgi.Round()]
    report = T.assert_gradients_match(things, like=None, backends=[framework], modes=["eager"])
    assert report.ok
    assert len(report.rows) == 4 * 4
    assert all(row.comparisons == 512 and row.ulps < 4 for row in report.rows)
    T.assert_value_exact(faults.right, like=ATAN, backends=[framework], modes=["eager"])


@every_framework
def test_what_is_asserted(framework: str) -> None:
    settings: dict[str, Any] = {"backends": [framework], "modes": ["eager"], "dtypes": ["float32"]}
    T.assert_value_exact(faults.factor, like=ATAN, **settings)
    with pytest.raises(AssertionError, match=rf"factor, {framework} .*, eager, float32: differs"):
        T.assert_gradients_match(faults.factor, like=ATAN, **settings)
    with pytest.raises(AssertionError, match=r"kinks alone, such as x = 0"):
        T.assert_value_exact(faults.kink_value, like=ATAN, **settings)
    with pytest.raises(AssertionError, match="RuntimeError: planted"):
        T.assert_gradients_match(faults.raises, like=ATAN, **settings)


@every_framework
def test_one_that_raises_hides_no_other(framework: str) -> None:
    things = [ATAN, faults.raises, faults.right, Picky(), fgi.surrogates.Triangle()]
    try:
        report = T.check(things, backends=[framework], modes=["eager"], dtypes=["float32"])
    finally:
        fgi.Surrogate._by_name.pop(Picky.name, None)
    assert [row.status for row in report.rows] == ["ok", "error", "ok", "error", "ok"]
    assert report.exit_status == 2
    assert "planted" in report.rows[1].reason
    assert "planted in the bank" in report.rows[3].reason


class Picky(fgi.Surrogate):
    """It takes the few numbers that the dtype is looked at with, and not a whole row."""

    def slope(self, xp: Any, x: Any, *u: Any) -> Any:
        if tuple(x.shape) != (5,):
            raise RuntimeError("planted in the bank")
        return x


# Subjects and settings


def test_what_is_no_subject() -> None:
    for wrong in (3.0, "atan", {"torch": 3}, {1: abs}):
        with pytest.raises(TypeError, match=r"expected a surrogate, a value function, a function"):
            T.check(wrong)


def test_unknown_settings() -> None:
    (framework, *_) = AUTODIFF
    with pytest.raises(ValueError, match=r"unknown dtype 'float8'; expected float16"):
        T.check(ATAN, dtypes=["float8"])
    with pytest.raises(ValueError, match=r"unknown mode eagre; expected .*eager"):
        T.check(ATAN, backends=[framework], modes=["eagre"], dtypes=["float32"])
    with pytest.raises(ValueError, match=r"repeat is 0; expected an integer >= 1"):
        T.check(ATAN, repeat=0)


def test_a_framework_that_is_missing_is_said_so() -> None:
    report = T.check(ATAN, backends=["nonsense"])
    assert report.exit_status == 2
    assert "nonsense: error" in str(report)
    assert "nonsense is not installed" in str(report)


def test_two_subjects_of_one_name_have_rows_of_their_own() -> None:
    (framework, *_) = AUTODIFF
    report = T.check(
        [ATAN, fgi.surrogates.ATan()], backends=[framework], modes=["eager"], dtypes=["float32"]
    )
    assert [row.subject for row in report.rows] == [repr(ATAN), f"{ATAN!r} #2"]


def test_loaded_subjects_travel_by_name() -> None:
    subject = T.load("support.faults:folk", STE)
    assert subject.name == "support.faults:folk"
    again = pickle.loads(pickle.dumps(subject))
    assert again.target is faults.folk
    made = T.load("fgi.surrogates:ATan(alpha=3)")
    assert made.target == fgi.surrogates.ATan(alpha=3.0)
    both = T.load("torch=support.faults:right;jax=support.faults:factor")
    assert both.function("jax") is faults.factor
    assert both.function("tensorflow") is None
    with pytest.raises(ValueError, match=r"support.faults has no nothing"):
        T.load("support.faults:nothing")
    with pytest.raises(ValueError, match=r"expected module:object"):
        T.load("support.faults")


def test_what_a_version_lacks_is_said_so() -> None:
    if "tensorflow" not in AUTODIFF:
        pytest.skip("tensorflow is not installed")
    report = T.check(ATAN, backends=["tensorflow"], modes=["mixed precision"])
    status = {row.dtype: row.status for row in report.rows}
    assert status == {
        "float16": "ok", "bfloat16": "ok", "float32": "absent", "float64": "absent",
    }  # fmt: skip
    assert report.ok
    assert "tensorflow, mixed precision, f32 f64: is for float16 and bfloat16" in str(report)


# Reports


def faulty() -> T.Report:
    (framework, *_) = AUTODIFF
    return T.check(
        [ATAN, faults.kink_value, faults.raises, faults.published],
        like=ATAN,
        backends=[framework],
        modes=["eager"],
        dtypes=["float32"],
    )


def test_json_has_every_row_and_comes_back(tmp_path: Path) -> None:
    report = faulty()
    text = report.to_json(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved == json.loads(text)
    assert saved["ok"] is False
    assert [row["status"] for row in saved["rows"]] == ["ok", "differs", "error", "differs"]
    rows = [T.Row.from_dict(row) for row in saved["rows"]]
    assert [repr(row) for row in rows] == [repr(row) for row in report.rows]  # NaN is not NaN


def test_junit_is_what_ci_servers_read(tmp_path: Path) -> None:
    report = faulty()
    report.to_junit(tmp_path / "report.xml")
    (suite,) = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "1")
    kinds = [[child.tag for child in case] for case in suite]
    assert kinds == [[], ["failure"], ["error"], ["failure"]]
    message = suite[1][0].get("message")
    assert message is not None
    assert "off at kinks alone" in message


def test_the_table_fits_a_page() -> None:
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    report = faulty()
    console.print(report)
    text = console.export_text()
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "1 error" in text
    assert all(len(line) <= 100 for line in str(report).split("\n\n")[0].splitlines())


# Precisions, against NumPy's own


@pytest.mark.parametrize("name", PRECISIONS)
def test_precisions(name: str) -> None:
    import ml_dtypes

    precision, dtype = PRECISIONS[name], frameworks.numpy_dtype(name)
    info = ml_dtypes.finfo(dtype)
    assert precision.eps == float(info.eps)
    assert precision.tiny == float(info.smallest_normal)
    assert precision.subnormal == float(info.smallest_subnormal)
    assert precision.largest == float(info.max)
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000) * 10.0 ** rng.uniform(-50, 50, 2000)
    if name == "bfloat16":  # it is reached by way of float32, and rounded twice
        with np.errstate(over="ignore"):
            x = x.astype("float32").astype("float64")
    with np.errstate(over="ignore"):
        wanted = x.astype(dtype).astype(np.float64)
        assert np.array_equal(precision.round(x), wanted)
    inside = wanted[np.isfinite(wanted)]
    steps = np.spacing(np.abs(inside).astype(dtype)) if name != "bfloat16" else None
    if steps is not None:
        assert np.array_equal(precision.ulp(inside), steps.astype(np.float64))


# What stands behind


@every_framework
def test_the_native_mechanism_is_a_reference(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mechanisms = frameworks.backend(framework).mechanisms
    name, make = next(iter(mechanisms.items()))
    monkeypatch.setitem(mechanisms, name, lambda value, slope: make(value, lambda x: 2 * slope(x)))
    report = T.check(ATAN, backends=[framework], modes=["eager"], dtypes=["float32"])
    (failure,) = report.failures[0].failures
    assert failure.quantity == "native twin"
    assert "scaled by 0.5" in failure.cause


@every_framework
def test_a_stop_gradient_that_is_forgotten(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks.backend(framework), "stop_gradient", lambda x: x)
    # The fast path of PyTorch and that of JAX have no stop gradient to forget.
    with fgi.use_fast_paths(False):
        report = T.check(ATAN, backends=[framework], modes=["eager"], dtypes=["float32"])
    assert report.failures or report.errors


@every_framework
def test_a_rule_that_is_not_linear_is_named(framework: str) -> None:
    report = T.check(faults.not_linear, backends=[framework], modes=["eager"], dtypes=["float32"])
    assert "rule is not linear in the tangents" in report.errors[0].reason


def test_a_source_of_an_unknown_framework() -> None:
    with pytest.raises(ValueError, match=r"unknown framework 'trch'; expected one of torch, jax"):
        fgi.testing.load("torch=fgi.surrogates:ATan();trch=fgi.surrogates:ATan()")
