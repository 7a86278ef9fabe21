"""The forward-gradient examples at small sizes, and what is committed of the large ones."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.frameworks import INSTALLED_AUTODIFF, load
from support.reverse import no_reverse_mode

pytest.importorskip("sklearn", reason="the examples need scikit-learn")
pytest.importorskip("matplotlib", reason="the examples need matplotlib")

import matplotlib as mpl

Numpy = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs/examples/forward_gradient"
RESULTS = ROOT / "docs/forward_gradient"

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """The module of an example by its name, as its own folder imports it."""
    mpl.use("Agg")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in INSTALLED_AUTODIFF:
        load(name)
    yield importlib.import_module
    mpl.pyplot.close("all")
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


def beale_gradient(p: Numpy) -> Numpy:
    x, y = p
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    dx = 2 * a * (y - 1) + 2 * b * (y**2 - 1) + 2 * c * (y**3 - 1)
    return np.array([dx, 2 * a * x + 4 * b * x * y + 6 * c * x * y**2])


def rosenbrock_gradient(p: Numpy) -> Numpy:
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


@every_framework
@pytest.mark.parametrize("name", ["Beale", "Rosenbrock"])
def test_paths(name: str, framework: str, example: Callable[[str], Any]) -> None:
    """Every step of both descents, by the gradient written out by hand."""
    paths = example("paths")
    problem = paths.PROBLEMS[name]
    steps, runs = 30, 3
    got = paths.descend(problem, backend=framework, steps=steps, runs=runs, seed=4)
    gradient = {"Beale": beale_gradient, "Rosenbrock": rosenbrock_gradient}[name]
    rng = np.random.default_rng(4)
    xs, y = np.array([problem.start] * runs), np.array(problem.start)
    for t in range(steps):
        vs = rng.normal(size=(runs, 2))
        xs = np.array(
            [x - problem.rate * (gradient(x) @ v) * v for x, v in zip(xs, vs, strict=True)]
        )
        y = y - problem.rate * gradient(y)
        np.testing.assert_allclose(got[0][t + 1], xs, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(got[1][t + 1], y, rtol=1e-9, atol=1e-9)
    assert problem.f(np.array(problem.minimum)) == 0


@every_framework
def test_the_perceptron_learns(framework: str, example: Callable[[str], Any]) -> None:
    perceptron = example("perceptron")
    options = {
        "backend": framework, "eager": framework == "torch", "hidden": [32], "directions": 4,
        "steps": 400, "batch": 64, "rate": 0.01, "seed": 0,
    }  # fmt: skip
    losses, accuracy = perceptron.train("forward gradient", **options)
    reference, _ = perceptron.train("backpropagation", **options)
    assert losses[0] == pytest.approx(reference[0], rel=1e-6)
    assert np.mean(losses[-20:]) < 0.75 * np.mean(losses[:5])
    assert abs(np.mean(losses[-20:]) / np.mean(reference[-20:]) - 1) < 0.25
    assert accuracy > 0.5


@every_framework
def test_the_spiking_network_learns_by_forward_mode_alone(
    framework: str, example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss falls to less than half, and reverse mode is not there."""
    spiking = example("spiking")
    with no_reverse_mode(monkeypatch):
        losses, accuracy = spiking.train(
            backend=framework, eager=framework == "torch", hidden=16, directions=64, steps=600,
            batch=64, rate=0.02, seed=0,
        )  # fmt: skip
    assert len(losses) == 600
    assert np.mean(losses[-30:]) < np.mean(losses[:3]) / 2
    assert accuracy > 0.5


@every_framework
def test_the_cosine_is_as_expected(framework: str, example: Callable[[str], Any]) -> None:
    cosine = example("cosine")
    n, found = cosine.cosines(
        backend=framework, hidden=[4], directions=[1, 30, 300], repeats=10, seed=0
    )
    assert n == 64 * 4 + 4 + 4 * 10 + 10
    for k, values in found.items():
        size = np.sqrt(np.mean(np.square(values)))
        # A root of ten squares: one direction's cosine is nearly normal, and off by 1 / sqrt(20).
        assert abs(size / np.sqrt(k / (k + n - 1)) - 1) < (0.7 if k == 1 else 0.2)
    assert min(found[300]) > 0.5


def run(example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / f"{example}.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MPLBACKEND": "Agg"},
    )


def test_as_a_program(tmp_path: Path) -> None:
    if "jax" not in INSTALLED_AUTODIFF:
        pytest.skip("jax is not installed")
    done = run("paths", "--steps", "3", "--backend", "jax", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Rosenbrock" in done.stdout
    saved = json.loads((tmp_path / "paths.json").read_text())
    assert {"command", "date", "machine", "python", "threads", "Beale"} <= set(saved)
    assert (tmp_path / "paths.png").stat().st_size > 10_000


SMALL = {
    "perceptron": ["--hidden", "8", "--steps", "3"],
    "spiking": ["--hidden", "4", "--directions", "2", "--steps", "2"],
    "cosine": ["--hidden", "2", "--directions", "1", "2", "--repeats", "2"],
}


@pytest.mark.parametrize("name", SMALL)
def test_files(name: str, tmp_path: Path, example: Callable[[str], Any]) -> None:
    backend = INSTALLED_AUTODIFF[-1]
    example(name).main([*SMALL[name], "--backend", backend, "--out", str(tmp_path)])
    (path,) = tmp_path.glob("*.json")
    saved = json.loads(path.read_text())
    assert saved["backend"] == backend
    assert {"command", "date", "machine", "python", "threads"} <= set(saved)


def test_the_cost_at_toy_size(tmp_path: Path, example: Callable[[str], Any]) -> None:
    cost = example("cost")
    backend = INSTALLED_AUTODIFF[-1]
    cost.main(
        ["--backend", backend, "--rounds", "2", "--batch", "2", "--hidden", "4", "--out",
         str(tmp_path)]
    )  # fmt: skip
    rows = json.loads((tmp_path / "cost.json").read_text())["rows"]
    assert [(row["model"], row["mode"]) for row in rows] == [
        (model, mode)
        for model in ("perceptron", "spiking network")
        for mode in ("eager", "compiled")
    ]
    for row in rows:
        assert {name: len(times) for name, times in row["seconds"].items()} == dict.fromkeys(
            ("f", "jvp", "forward_gradient", "value_and_grad"), 2
        )
    assert (tmp_path / "cost.md").read_text() == cost.table(rows)


def test_ratios_are_taken_within_a_turn(example: Callable[[str], Any]) -> None:
    seconds = {"f": [1.0, 10.0, 2.0], "jvp": [2.0, 30.0, 8.0]}
    assert example("cost").ratio(seconds, "jvp") == [2.0, 3.0, 4.0]


# What is committed.


def committed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    assert {"command", "date", "machine", "python", "threads"} <= set(found)
    return found


def test_committed_spiking_networks_learned() -> None:
    for framework in ("torch", "jax", "tensorflow"):
        losses = committed("spiking")[framework]["losses"]
        assert len(losses) == 1000
        assert np.mean(losses[-20:]) < np.mean(losses[:5]) / 2


def test_committed_cosines_are_as_expected() -> None:
    found = committed("cosine")
    for k, values in found["cosines"].items():
        size = np.sqrt(np.mean(np.square(values)))
        assert abs(size / np.sqrt(int(k) / (int(k) + found["n"] - 1)) - 1) < 0.5


def test_the_page_has_the_committed_table(example: Callable[[str], Any]) -> None:
    table = example("cost").table(committed("cost")["rows"])
    page = (ROOT / "docs/forward_gradient.md").read_text()
    assert table in page
    for figure in RESULTS.glob("*.png"):
        assert f"forward_gradient/{figure.name}" in page
