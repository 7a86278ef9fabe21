"""``fgi.testing.check`` finds each planted fault and says what it is; and finds none elsewhere."""

from __future__ import annotations

import random
import re

import pytest

import fgi
import fgi.testing
from support import frameworks
from support.mutations import SPIKE, Fault
from support.mutations_inside import FAULTS, HONEST

FRAMEWORKS = frameworks.INSTALLED_AUTODIFF
LOADED = [frameworks.backend(name) for name in FRAMEWORKS]


def test_there_are_forty() -> None:
    assert len(FAULTS) >= 40


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_found_and_named(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    where = set(fault.frameworks) & set(FRAMEWORKS)
    if not where:
        pytest.skip(f"is one of {' and '.join(fault.frameworks)}")
    fault.plant(monkeypatch)
    report = fgi.testing.check(
        fault.things(),
        like=fault.like,
        backends=FRAMEWORKS,
        modes=list(dict.fromkeys(["eager", fault.mode])),
        dtypes=[fault.dtype],
    )
    monkeypatch.undo()
    assert not report.ok
    assert report.exit_status == (1 if fault.status == "differs" else 2)
    found = {row.framework for row in report.rows if row.mode == fault.mode}
    assert found >= where
    for row in report.rows:
        told = report.describe(row)
        if row.framework in where and row.mode == fault.mode:
            assert row.status == fault.status, told
            assert re.search(fault.says, told), told
            assert f", {fault.mode}, {fault.dtype}: " in told
        else:
            assert row.status == "ok", told


def test_a_report_names_the_framework_that_is_wrong() -> None:
    if len(FRAMEWORKS) < 2:
        pytest.skip("needs a second framework")
    wrong, *rest = FRAMEWORKS
    fault = FAULTS[f"{wrong}: half the slope"]
    report = fgi.testing.check(fault.things(), like=SPIKE, modes=["eager"], dtypes=["float32"])
    (row,) = report.failures
    assert row.framework == wrong
    agree = f"{' and '.join(rest)} {'is' if len(rest) == 1 else 'are'} right"
    assert report.describe(row).endswith(agree)


def test_between_frameworks_the_odd_one_out_is_named() -> None:
    """Without a definition: two of three tell which is wrong."""
    if len(FRAMEWORKS) < 3:
        pytest.skip("needs three frameworks")
    for wrong in FRAMEWORKS:
        things = FAULTS[f"{wrong}: half the slope"].things()
        report = fgi.testing.check(things, modes=["eager", "between frameworks"])
        (row,) = (row for row in report.failures if row.mode == "between frameworks")
        assert row.framework == wrong
        assert "gradient: scaled by 0.5" in report.describe(row)


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@pytest.mark.parametrize("name", HONEST)
def test_what_is_right_passes(name: str, dtype: str) -> None:
    if dtype.endswith("16") and name in ("inject", "custom_jvp", "mechanisms"):
        pytest.skip("computes in 16 bits, which rounds more than once")
    report = fgi.testing.check(HONEST[name](), like=SPIKE, modes=["eager"], dtypes=[dtype])
    assert report.ok, str(report)
    assert {row.framework for row in report.rows} == set(FRAMEWORKS)


COMPILED = {"torch": "func.grad", "jax": "jit", "tensorflow": "function"}
"""In PyTorch, whose compiler takes minutes for them all, what is next to it."""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_catalogue_passes(framework: str) -> None:
    modes = ["eager", COMPILED[framework]]
    report = fgi.testing.check(
        backends=[framework], modes=modes, dtypes=["float32"], seed=1, repeat=3
    )
    assert report.ok, str(report)
    assert len({row.subject for row in report.rows if row.subject}) == len(
        fgi.surrogates.catalogue()
    )


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_catalogue_passes_with_twenty_fresh_seeds(framework: str, dtype: str) -> None:
    seed = random.SystemRandom().randrange(2**31)  # a failure names the one that it is of
    report = fgi.testing.check(backends=[framework], dtypes=[dtype], seed=seed, repeat=20)
    assert report.ok, str(report)
