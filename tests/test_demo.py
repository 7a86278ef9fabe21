"""The main job: the same network in every framework; its table, its files, its options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.backend import trees
from support import frameworks

pytest.importorskip("typer", reason="the command line needs typer")
pytest.importorskip("sklearn", reason="the demo needs scikit-learn")
pytest.importorskip("matplotlib", reason="the demo needs matplotlib")

from typer.testing import CliRunner

from fgi.cli import app
from fgi.data import digits
from fgi.demo import comparison, training

AUTODIFF = frameworks.INSTALLED_AUTODIFF


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], float, Path]:
    """`fgi demo` as the README has it, in a process of its own."""
    out = tmp_path_factory.mktemp("demo")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "fgi", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    taken = time.perf_counter() - start
    return done.stdout, json.loads((out / "demo.json").read_text()), taken, out


def test_every_framework_learns_and_has_the_same_gradients(full: Any) -> None:
    printed, saved, _, out = full
    outcomes = saved["frameworks"]
    assert [o["backend"] for o in outcomes] == list(AUTODIFF)
    assert len({round(o["first_loss"], 12) for o in outcomes}) == 1
    for o in outcomes:
        assert o["gradient_difference"] <= 1e-9
        assert o["accuracy"] >= 0.93
        assert o["losses"][-1] < o["losses"][0] / 10
        assert len(o["accuracies"]) == len(o["losses"]) == 60
        assert set(o["seconds"]) == {"fgi", "native"}
        assert o["version"] in printed
        assert f"{100 * o['accuracy']:.1f} %" in printed
        assert np.array(o["raster"]).shape == (8, 128)
        assert 0 < np.mean(o["raster"]) < 0.5
    # A few numbers at rounding level, not all the same zero.
    assert [o["gradient_difference"] for o in outcomes].count(0.0) <= 1
    assert (out / "demo.png").stat().st_size > 10_000


def test_the_same_gradients_as_the_native_twin() -> None:
    """And that they are gradients at all: central differences of a smooth parameter."""
    data = digits()
    spike = fgi.surrogates.Gaussian(sigma=0.5, height=0.5)
    xs_, labels_ = next(iter(training.batches(data, epoch=0)))
    weights = training.initial(8)
    for framework in AUTODIFF:
        xs, labels = (
            frameworks.to_framework(framework, a[:, :4] if a.ndim == 3 else a[:4])
            for a in (xs_, labels_)
        )
        p = fgi.convert(weights, framework)
        gradients = [
            fgi.grad(lambda p, s=s: training.loss(p, s, xs, labels))(p)  # noqa: B023
            for s in (spike, spike.native())
        ]
        ours_, twin_ = (trees.named(fgi.convert(g, "numpy")) for g in gradients)
        for name, ours in ours_.items():
            twin = twin_[name]
            np.testing.assert_allclose(ours, twin, rtol=1e-12, atol=1e-15, err_msg=name)

        def shifted(
            by: float, framework: Any = framework, xs: Any = xs, labels: Any = labels
        ) -> float:
            bias = weights["readout"]["bias"] + by * np.eye(10)[3]
            p = weights | {"readout": weights["readout"] | {"bias": bias}}
            return float(training.loss(fgi.convert(p, framework), spike, xs, labels))

        slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5
        np.testing.assert_allclose(ours_["readout.bias"][3], slope, rtol=1e-6)


def test_the_network_is_the_equations() -> None:
    """Three steps of one neuron with hand-made weights, by hand."""
    spike = fgi.surrogates.Gaussian()
    half = np.array([0.0])  # the sigmoid of 0: alpha = rho = beta = 1/2
    p = {
        "hidden0": {
            "input": np.array([[2.0]]), "recurrent": np.array([[-1.0]]), "bias": np.array([0.1]),
            "alpha": half, "rho": half,
        },
        "readout": {"input": np.array([[3.0]]), "bias": np.array([0.5]), "beta": half},
    }  # fmt: skip
    # Without the reset of the first spike, u = 0.475 would be 0.525 and spike at threshold 0.5.
    xs = np.array([[[1.0]], [[0.45]], [[0.6]]])
    expected_z, expected_v = [], []
    u = a = z = v = 0.0
    for x in xs[:, 0, 0]:
        current = 2 * x - z + 0.1
        threshold = 0.1 + 0.8 * a
        u = 0.5 * u + 0.5 * current
        z = float(u > threshold)
        u -= z * threshold
        a = 0.5 * a + 0.5 * z
        v = 0.5 * v + 0.5 * (3 * z + 0.5)
        expected_z.append(z)
        expected_v.append(v)
    assert set(expected_z) == {0.0, 1.0}
    for framework in AUTODIFF:
        network = training.network(spike)
        given = fgi.convert(p, framework), frameworks.to_framework(framework, xs)
        v_, (z_,) = fgi.convert(tuple(network.apply(*given)), "numpy")
        assert z_[:, 0, 0].tolist() == expected_z
        np.testing.assert_allclose(v_[:, 0, 0], expected_v, rtol=1e-14)
        mean = frameworks.to_numpy(framework, network.scores(*given)).item()
        np.testing.assert_allclose(mean, 10 * np.mean(expected_v), rtol=1e-14)


def test_a_missing_framework_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not AUTODIFF:
        pytest.skip("no framework that differentiates is installed")
    there = AUTODIFF[-1]
    monkeypatch.setattr(fgi, "available_backends", lambda: (there, "numpy"))
    monkeypatch.setattr(comparison, "TIMED_EPOCHS", 1)
    done = run("demo", "--epochs", "1", "--surrogate", "atan", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    for name in set(frameworks.AUTODIFF) - {there}:
        assert f"{name}: not installed, left out (pip install 'fgi[{name}]')" in done.output
    saved = json.loads((tmp_path / "demo.json").read_text())
    assert [o["backend"] for o in saved["frameworks"]] == [there]
    assert saved["surrogate"] == "ATan(alpha=2.0, scale=1.0)"
    assert "error" not in done.output.lower()

    monkeypatch.setattr(fgi, "available_backends", lambda: ("numpy",))
    done = run("demo", "--epochs", "1", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "No framework to run" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--surrogate", "atam"], "did you mean atan"),
        (["--surrogate", '{"name": "atan", "alpha": -1}'], "alpha is -1"),
        (["--surrogate", "{"], "is not JSON"),
        (["--backend", "theano"], "expected one of torch"),
        (["--epochs", "0"], "or equal to 1"),
        (["--by", "column"], "column"),
    ],
)
def test_wrong_options(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run("demo", *arguments, "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_list() -> None:
    done = run("list")
    assert done.exit_code == 0
    for name in fgi.surrogates.__all__:
        assert name in done.output
    only = run("list", "superspike").output
    assert "FastSigmoid" in only
    assert "Gaussian" not in only
