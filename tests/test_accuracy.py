"""Every slope of the catalogue against its docstring's equation in 50 digits, at 10,000 points."""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support import accuracy, catalogue, frameworks

SAVED = json.loads((accuracy.DOCS / "accuracy.json").read_text())


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("spike", catalogue.DEFAULTS, ids=lambda spike: type(spike).__name__)
def test_within_4_ulp_in_every_framework(spike: Any, dtype: str) -> None:
    found = accuracy.measure(spike, dtype)
    assert set(found["ulp"]) == set(frameworks.INSTALLED)
    assert all(error <= accuracy.bound(spike) for error in found["ulp"].values()), found


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("spike", catalogue.ALL, ids=repr)
def test_whatever_the_parameters(spike: Any, dtype: str) -> None:
    if spike in catalogue.DEFAULTS:
        return
    found = accuracy.measure(spike, dtype, 300)
    assert all(error <= accuracy.bound(spike) for error in found["ulp"].values()), found


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("spike", catalogue.DEFAULTS, ids=lambda spike: type(spike).__name__)
def test_16_bits_are_those_of_float64_rounded(spike: Any, dtype: str) -> None:
    """Every number there is, within 2 ulp."""
    kind = frameworks.numpy_dtype(dtype)
    x = np.arange(2**16, dtype=np.uint16).view(kind)
    x = x[np.isfinite(x.astype(np.float64))]
    info = ml_dtypes.finfo(kind)
    with np.errstate(all="ignore"):
        expected = spike.derivative(x.astype(np.float64)).astype(kind).astype(np.float64)
    expected = np.clip(expected, -float(info.max), float(info.max))
    _, exponent = np.frexp(expected)
    ulp = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_normal))
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
