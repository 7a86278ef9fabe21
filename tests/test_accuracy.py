"""Every slope of the catalogue against its docstring's equation in 50 digits, at 2,000 points.

``make accuracy`` takes 10,000, and writes the table.
"""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fgi
from support import accuracy, catalogue, exact, frameworks

SAVED = json.loads((accuracy.DOCS / "accuracy.json").read_text())


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("spike", catalogue.DEFAULTS, ids=lambda spike: type(spike).__name__)
def test_within_4_ulp_in_every_framework(spike: Any, dtype: str) -> None:
    found = accuracy.measure(spike, dtype, 2000)
    assert set(found["ulp"]) == set(frameworks.INSTALLED)
    assert all(error <= accuracy.bound(spike) for error in found["ulp"].values()), found


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("spike", catalogue.ALL, ids=repr)
def test_whatever_the_parameters(spike: Any, dtype: str) -> None:
    x = accuracy.points(spike, dtype, 300)
    reference = exact.Reference(spike, x)
    for framework, slope in accuracy.slopes(spike, x).items():
        error, where = reference.worst(slope)
        if error > accuracy.bound(spike) and (reference.high < 0).any():
            # A difference, near where it vanishes: as exact as its terms are, to half an eps.
            rest = np.abs(slope - reference.high) / (np.finfo(dtype).eps * reference.high.max() / 2)
            error, where = reference.worst(np.where(rest < 1, reference.high, slope))
        assert error <= accuracy.bound(spike), (framework, error, where)


def test_what_is_far_narrower_than_its_place_is_far_is_looser() -> None:
    """As the page says; XLA multiplies by the rounded reciprocal where it should divide."""
    spike = fgi.surrogates.SawtoothExponential(threshold=2.9, width=0.05)
    x = np.linspace(-3.6, -3.1, 400)
    reference = exact.Reference(spike, x)
    for framework, slope in accuracy.slopes(spike, x).items():
        error, _ = reference.worst(slope)
        most = 100 if framework == "jax" else 40
        assert accuracy.ULPS < error < most, (framework, error)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("spike", catalogue.DEFAULTS, ids=lambda spike: type(spike).__name__)
def test_16_bits_are_those_of_float64_rounded(spike: Any, dtype: str) -> None:
    """Every number there is, within 2 ulp."""
    kind = frameworks.numpy_dtype(dtype)
    x = np.arange(2**16, dtype=np.uint16).view(kind)
    info = ml_dtypes.finfo(kind)
    with np.errstate(all="ignore"):
        size = np.abs(x.astype(np.float64))
        x = x[np.isfinite(size) & ((size == 0) | (size >= float(info.smallest_normal)))]
        expected = spike.derivative(x.astype(np.float64)).astype(kind).astype(np.float64)
    expected = np.clip(expected, -float(info.max), float(info.max))
    _, exponent = np.frexp(expected)
    # Computed in float32, where a factor may be flushed to zero: see exact.ulp.
    floor = 256 * float(np.finfo("float32").tiny) * max(np.abs(expected).max(), 1)
    ulp = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_normal) + floor)
    for framework, y in accuracy.slopes(spike, x).items():
        assert y.dtype == kind
        got = np.clip(y.astype(np.float64), -float(info.max), float(info.max))
        wrong = ~(np.abs(got - expected) <= 2 * ulp)
        assert not wrong.any(), (framework, x[wrong][:3], got[wrong][:3], expected[wrong][:3])


def test_the_table_has_the_whole_catalogue() -> None:
    measured = {(row["surrogate"], row["dtype"]) for row in SAVED["rows"]}
    wanted = {(type(s).__name__, dtype) for s in catalogue.DEFAULTS for dtype in accuracy.DTYPES}
    assert measured == wanted
    bounds = {type(spike).__name__: accuracy.bound(spike) for spike in catalogue.DEFAULTS}
    assert all(max(row["ulp"].values()) <= bounds[row["surrogate"]] for row in SAVED["rows"])
    page = (accuracy.DOCS / "accuracy.md").read_text()
    assert accuracy.table(SAVED["rows"]) in page
    assert SAVED["command"] in page
    assert SAVED["date"] in page
