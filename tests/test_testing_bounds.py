"""The bounds are those of the page, and none is wider than honest surrogates need."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fgi
import fgi.testing as T
from fgi.surrogates.surrogate import Primitive
from fgi.testing.bounds import Bound, page
from support import catalogue, faults, frameworks

PAGE = Path(__file__).parents[1] / "docs" / "testing_bounds.md"
FRAMEWORK = frameworks.INSTALLED_AUTODIFF[0]


def primitives() -> list[Any]:
    found = catalogue.WITH_PRIMITIVE
    return [spike.replace(forward=Primitive(spike.replace(forward=None))) for spike in found]


def second_order() -> list[Any]:
    return [spike.replace(order=2) for spike in catalogue.ALL]


def tails() -> list[Any]:
    """Functions without a definition."""
    return [faults.arc, faults.softplus, faults.smooth]


def sensitive() -> list[Any]:
    """Steep tails, jumps, and differences."""
    names = ("DoubleGaussian", "ExponentialEscape", "MultiGaussian", "QPseudoSpike",
             "SawtoothExponential", "Softplus")  # fmt: skip
    return [s for s in catalogue.ALL if type(s).__name__ in names]


def waves() -> list[Any]:
    make = fgi.surrogates.RefractorySigmoid
    return [make(), make(alpha=75.0, threshold=1.5), make(alpha=10.0)]


COMPILED = [name for name in ("jax",) if name in frameworks.INSTALLED_AUTODIFF]
"""XLA is less exact than eager code, and on every processor; it needs the bounds in float64."""

Honest = tuple[Callable[[], list[Any]], str, int, list[str] | None]
HONEST: dict[str, Honest] = {
    "value that is computed": (primitives, "eager", 4, [FRAMEWORK]),
    "gradient, RefractorySigmoid": (waves, "eager", 400, [FRAMEWORK]),
    "gradient, *": (sensitive, "eager", 40, [FRAMEWORK]),
    "gradient, float64": (sensitive, "jit", 200, COMPILED),
    "value of a function": (tails, "eager", 4, None),
    "gradient of a function": (tails, "eager", 4, None),
    "gradient that changes its sign": (sensitive, "jit", 50, COMPILED),
    "second derivative": (second_order, "grad of grad", 12, [FRAMEWORK]),
}
"""Who needs a bound: the subjects, the mode, how many seeds, and the frameworks that show it."""


def honest(bound: Bound) -> Honest:
    if bound.quantity != "gradient":
        return HONEST[bound.quantity]
    by_dtype = "gradient, float64" if bound.dtype == "float64" else "gradient, *"
    return HONEST["gradient, RefractorySigmoid" if bound.subject != "*" else by_dtype]


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
    subjects, mode, repeat, backends = honest(bound)
    if backends == []:
        pytest.skip("jax is not installed")
    settings: dict[str, Any] = {"modes": [mode], "repeat": repeat, "backends": backends}
    found = [
        T.check(subjects(), dtypes=[dtype], bounds=halved(bound, field), **settings)
        for dtype in dtypes(bound)
    ]
    assert any(report.failures for report in found)
    assert not any(report.errors for report in found)


@pytest.mark.parametrize(
    ("subjects", "mode"),
    [
        (primitives, "eager"), (lambda: catalogue.ALL, "eager"), (tails, "eager"),
        (second_order, "grad of grad"),
    ],
)  # fmt: skip
def test_the_bounds_themselves_suffice(subjects: Any, mode: str) -> None:
    report = T.check(subjects(), backends=[FRAMEWORK], modes=[mode], seed=100)
    assert report.ok, str(report)


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_bound_that_is_not_zero_is_tried() -> None:
    tried = {name.partition(",")[0] for name in HONEST}
    assert {bound.quantity for bound in T.BOUNDS if bound.ulps} == tried
    assert all(bound.why for bound in T.BOUNDS)
