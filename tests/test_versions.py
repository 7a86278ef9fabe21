"""The ranges of pyproject.toml are those that are tested, and docs/versions.md says what passed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support import versions

ROOT = Path(__file__).parents[1]


def lower_bounds() -> dict[str, str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [line for extra in extras["optional-dependencies"].values() for line in extra]
    pairs = [line.split(">=") for line in wanted if ">=" in line]
    return {name: bound for name, bound in pairs if name in ("torch", "jax", "tensorflow", "numpy")}


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    lines = (ROOT / "lowest.txt").read_text().splitlines()
    lowest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert lowest["jaxlib"] == lowest["jax"]
    assert {name.removesuffix("-cpu"): v for name, v in lowest.items() if name != "jaxlib"} == (
        lower_bounds()
    )


def test_the_page_is_that_of_the_results() -> None:
    rows = json.loads(versions.RESULTS.read_text())
    assert versions.PAGE.read_text() == versions.page(rows)


def test_each_lower_bound_has_a_row() -> None:
    rows = json.loads(versions.RESULTS.read_text())
    for name, bound in lower_bounds().items():
        tested = [row["versions"].get(name, "").partition("+")[0] for row in rows]
        assert bound in tested, name


@pytest.mark.parametrize("failed", [0, 2])
def test_a_row_holds_where_nothing_failed(failed: int) -> None:
    part: dict[str, Any] = {"torch": {"passed": 7, "failed": failed, "skipped": 1}}
    assert versions.holds(part) == (failed == 0)
    assert not versions.holds({"error": "not through after 3600 s"})
