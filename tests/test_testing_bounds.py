"""The bounds are those of the page, and none is wider than honest surrogates need."""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path
from typing import Any

import pytest

import fgi.testing as T
from fgi.definition import Primitive
from fgi.testing.bounds import Bound, page
from support import catalogue, faults, frameworks

PAGE = Path(__file__).parents[1] / "docs" / "testing_bounds.md"
FRAMEWORK = frameworks.INSTALLED_AUTODIFF[0]


def primitives() -> list[Any]:
    """But for those whose primitive overflows at the largest numbers."""
    left_out = ("PeriodicExponential", "Reciprocal", "SwishSign", "Softplus", "OneSidedExponential")
    found = [s for s in catalogue.WITH_PRIMITIVE if type(s).__name__ not in left_out]
    # Not smooth(), whose derivative is that of the primitive's formula.
    return [spike.replace(forward=Primitive(spike.replace(forward=None))) for spike in found]


def second_order() -> list[Any]:
    """But for those whose slope cannot be differentiated at each x."""
    left_out = (
        "DoubleGaussian", "MultiGaussian", "ATan", "SquarewaveFourierSeries", "RefractorySigmoid",
    )  # fmt: skip
    found = [s for s in catalogue.ALL if type(s).__name__ not in left_out]
    return [spike.replace(order=2) for spike in found]


def tails() -> list[Any]:
    """Functions without a definition."""
    return [faults.arc, faults.softplus, faults.smooth]


HONEST: dict[str, tuple[Any, str]] = {
    "value that is computed": (primitives, "eager"),
    "gradient": (lambda: catalogue.ALL, "eager"),
    "value of a function": (tails, "eager"),
    "gradient of a function": (tails, "eager"),
    "gradient that changes its sign": (lambda: catalogue.ALL, "eager"),
    "second derivative": (second_order, "grad of grad"),
}
"""Who needs a bound, and the mode that shows it."""


def halved(bound: Bound, field: str) -> tuple[Bound, ...]:
    half = dataclasses.replace(bound, **{field: getattr(bound, field) / 2})
    return tuple(half if row == bound else row for row in T.BOUNDS)


def dtypes(bound: Bound) -> list[str]:
    return [name for name in frameworks.DTYPES if fnmatch.fnmatchcase(name, bound.dtype)]


@pytest.mark.parametrize(
    ("bound", "field"),
    [
        pytest.param(bound, field, id=f"{bound.quantity}, {bound.dtype}, {field}")
        for bound in T.BOUNDS
        for field in ("ulps", "points")
        if getattr(bound, field)
    ],
)
def test_half_of_a_bound_is_too_little(bound: Bound, field: str) -> None:
    subjects, mode = HONEST[bound.quantity]
    settings: dict[str, Any] = {"modes": [mode], "repeat": 4}
    if "function" not in bound.quantity:  # those differ between frameworks
        settings["backends"] = [FRAMEWORK]
    found = [
        T.check(subjects(), dtypes=[dtype], bounds=halved(bound, field), **settings)
        for dtype in dtypes(bound)
    ]
    assert any(report.failures for report in found)
    assert not any(report.errors for report in found)


@pytest.mark.parametrize("quantity", HONEST)
def test_the_bounds_themselves_suffice(quantity: str) -> None:
    subjects, mode = HONEST[quantity]
    # The exception of docs/accuracy.md: far out, where its wave crosses zero, a draw may be off.
    honest = [s for s in subjects() if type(s).__name__ != "RefractorySigmoid"]
    report = T.check(honest, backends=[FRAMEWORK], modes=[mode], seed=100)
    assert report.ok, str(report)


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_bound_that_is_not_zero_is_tried() -> None:
    assert {bound.quantity for bound in T.BOUNDS if bound.ulps} == set(HONEST)
    assert all(bound.why for bound in T.BOUNDS)
