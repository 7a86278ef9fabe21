"""The benchmark runs at toy size, and what it times is the same function. No time is judged."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

pytest.importorskip("rich", reason="the table needs rich")
ROOT = Path(__file__).parents[1] / "benchmarks"
AUTODIFF = frameworks.INSTALLED_AUTODIFF


@pytest.fixture(scope="module")
def mechanisms() -> Any:
    spec = importlib.util.spec_from_file_location("mechanisms", ROOT / "mechanisms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_toy_size(mechanisms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["mechanisms.py", "--size", "64", "--rounds", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    mechanisms.main()
    saved = json.loads((tmp_path / "mechanisms-cpu.json").read_text())
    assert {"machine", "date", "size", "command", "rows"} <= set(saved)
    assert {row["framework"] for row in saved["rows"]} == set(AUTODIFF)
    for row in saved["rows"]:
        assert len(row["seconds"]) == 2
        assert min(row["seconds"]) > 0
        assert {"version", "mode", "variant"} <= set(row)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_variants_compute_the_same(mechanisms: Any, framework: str) -> None:
    x_ = np.array([-2.0, -0.1, 0.3, 1.5])
    x = frameworks.to_framework(framework, x_)
    for variant in (mechanisms.spike, mechanisms.unguarded, mechanisms.clamped):
        y, dy = fgi.jvp(variant, (x,), (3 * x,))
        np.testing.assert_array_equal(frameworks.to_numpy(framework, y), x_ > 0)
        expected = 3 * x_ * np.exp(-(x_**2) / 2)
        np.testing.assert_allclose(frameworks.to_numpy(framework, dy), expected, rtol=1e-14)


def test_committed_results_name_their_machine() -> None:
    committed = sorted((ROOT / "results").glob("*.json"))
    assert committed
    for path in committed:
        content = json.loads(path.read_text())
        assert {"machine", "date", "size", "command", "rows"} <= set(content)
