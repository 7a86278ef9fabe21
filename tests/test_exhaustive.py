"""A few surrogates of ``make exhaustive`` at all float16 numbers; planted faults are found.

The whole of it is in docs/exhaustive.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mpf

import fgi
from fgi.testing.precision import PRECISIONS
from support import catalogue, exact, exhaustive, frameworks
from support.combinations import (
    BEYOND,
    DTYPES,
    FAILS,
    HOLDS,
    NOT_F,
    NOT_ZERO,
    READ_AS_ZERO,
    Fault,
    Reference,
    Row,
    Way,
    inputs,
    measure,
    run,
    ways,
)
from support.exact_arrays import ExactSlope

NAMES = ("ATan", "PACT", "StochasticSpikeOperator")
EAGER = [way for way in ways() if way.mode in ("eager", "derivative")]


@cache
def reference(name: str) -> Reference:
    return Reference(catalogue.CLASSES[name](), inputs("float16"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", EAGER, ids=lambda way: f"{way.framework}-{way.fast}")
def test_every_float16(way: Way, name: str) -> None:
    row = measure(way, reference(name))
    assert row.inputs == 2**16
    assert row.outcome == HOLDS, row


def value_off(x: Any) -> Any:
    """One ulp of float16 above 1, at one number."""
    xp = fgi.namespace(x)
    fx = xp.where(x == 0.75, 1 + 2.0**-10, fgi.heaviside(x))
    return fgi.inject(x, fx, fgi.surrogates.ATan().derivative)


def sign_off(x: Any) -> Any:
    xp, slope = fgi.namespace(x), fgi.surrogates.ATan().derivative

    def wrong(x: Any) -> Any:
        return xp.where(x == 0.75, -slope(x), slope(x))

    return fgi.inject(x, fgi.heaviside(x), wrong)


def one_at_nan(x: Any) -> Any:
    xp = fgi.namespace(x)
    return fgi.surrogates.ATan()(x) + xp.where(x != x, x - xp.stop_gradient(x), 0.0)


@pytest.mark.parametrize(
    ("f", "quantity", "reason", "count"),
    [
        (value_off, "value", NOT_F, 1),
        (sign_off, "gradient", BEYOND, 1),
        (one_at_nan, "gradient", NOT_ZERO, 2046),
    ],
)
@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_a_planted_fault_is_found(
    framework: str, f: Callable[[Any], Any], quantity: str, reason: str, count: int
) -> None:
    row = measure(Way(framework, "eager"), reference("ATan"), f)
    assert row.outcome == FAILS
    [found] = [fault for fault in row.faults if fault.quantity == quantity]
    assert (found.reason, found.inputs) == (reason, count)
    assert found.x == 0.75 or np.isnan(found.x)


def test_the_limits_of_the_tolerance_are_sharp() -> None:
    """A gradient that is rounded as it should be is the largest, or the smallest, that passes."""
    right = reference("ATan")
    y, dx = run(Way("numpy", "derivative"), right.spike, right)
    at = int(np.flatnonzero(right.x == 0.75)[0])
    for direction in (-np.inf, np.inf):
        off = dx.copy()
        off[at] = np.nextafter(np.nextafter(dx[at], np.float16(direction)), np.float16(direction))
        row = right.judge(Row("ATan", "torch", "eager", True, "float16", 2**16), y, off)
        assert [(fault.reason, fault.inputs) for fault in row.faults] == [(BEYOND, 1)]


def test_an_error_is_a_row_that_fails() -> None:
    def raises(x: Any) -> Any:
        raise RuntimeError("planted")

    row = measure(EAGER[0], reference("ATan"))
    assert row.outcome == HOLDS
    row = measure(Way("torch", "eager"), reference("ATan"), raises)
    assert row.outcome == FAILS
    assert row.raised == "RuntimeError: planted"


@pytest.mark.parametrize("name", catalogue.CLASSES)
def test_exact_slopes_of_arrays_are_those_of_mpmath(name: str) -> None:
    """At large numbers too, where a fraction is lost in long double."""
    spike = catalogue.CLASSES[name]()
    x = exact.finite(np.concatenate([exact.grid(np.dtype("float32"))[::5], inputs("float32", 30)]))
    wide, key = PRECISIONS["float32"], np.full(x.shape, 0.375)
    slope = ExactSlope(spike, wide)
    found = slope(x, key if spike._is_random else None).astype(np.float64)
    one = exact.Exact(spike)
    more = {"u": mpf(0.375)} if spike._is_random else {}
    expected = np.array([float(one("g'(x)", mpf(float(v)), **more)) for v in x])
    expected = np.clip(expected, -wide.largest, wide.largest)
    assert np.all(np.abs(found - expected) <= wide.ulp(expected) / 32)


def test_rows_are_kept_and_resumed(tmp_path: Path) -> None:
    path, header = tmp_path / "rows.json", {"seed": 1}
    saved = exhaustive.Saved(path, header)
    fault = Fault("gradient", NOT_ZERO, 3, np.nan, 1.5, np.inf, 0.0, np.inf)
    rows = [
        Row("ATan", "torch", "eager", True, "float16", 9, 0.5, 1, 2, code="new"),
        Row("ATan", "jax", "jit", False, "float32", 9, faults=[fault], code="old"),
        Row("ATan", "jax", "eager", False, "float32", 9, raised="TypeError: planted", code="old"),
    ]
    for row in rows:
        saved.add(row)
        again = exhaustive.Saved(path, header)
        assert repr(again.rows) == repr(saved.rows)  # a NaN is not equal to itself
    assert again.sources == saved.sources
    assert set(saved.sources) == {"new", "old"}
    some = exhaustive.Saved(path, header, lambda row: row.code == "new")
    assert (some.rows, set(some.sources)) == (rows[:1], {"new"})
    assert exhaustive.Saved(path, {"seed": 2}).rows == []
    assert len(exhaustive.Saved(path).rows) == len(rows)


def test_the_page_is_made_from_the_rows() -> None:
    saved = exhaustive.Saved(exhaustive.RESULTS)
    assert exhaustive.PAGE.read_text() == exhaustive.page(saved)
    wanted = {
        (name, way, dtype) for name in catalogue.CLASSES for way in ways() for dtype in DTYPES
    }
    # The page says how many of them have been measured so far.
    assert {row.key for row in saved.rows} <= wanted
    assert len({row.key for row in saved.rows}) == len(saved.rows) > 0
    reasons = {f.reason for row in saved.rows for f in row.faults if row.framework == "torch"}
    assert READ_AS_ZERO not in reasons
