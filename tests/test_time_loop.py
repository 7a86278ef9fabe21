"""benchmarks/time_loop.py: what it times is one network, and its page is that of its numbers."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import fgi
from fgi.networks import Network, cross_entropy
from fgi.neurons import ALIF
from support import frameworks

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def time_loop() -> ModuleType:
    spec = importlib.util.spec_from_file_location("time_loop", ROOT / "benchmarks/time_loop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_ordinary_way_is_the_same_network(time_loop: ModuleType) -> None:
    frameworks.load("torch")
    rng = np.random.default_rng(0)
    given = {
        name: {key: array.astype(np.float64) for key, array in layer.items()}
        for name, layer in time_loop.weights(28).items()
    }
    xs, labels = (
        frameworks.to_framework("torch", a) for a in (rng.uniform(0, 3, (6, 4, 28)), np.eye(10)[:4])
    )
    answers = []
    for scores, params in (
        (Network(ALIF()).scores, given),
        (time_loop.ordinary(time_loop.by_hand()), time_loop.side_by_side(given)),
    ):
        both = fgi.value_and_grad(lambda p, f=scores: cross_entropy(f(p, xs), labels))
        value, gradient = both(fgi.convert(params, "torch"))
        answers.append((float(value), fgi.convert(gradient, "numpy")))
    (value, gradient), (expected, by_hand) = answers
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        time_loop.side_by_side(gradient)["hidden0"]["both"],
        by_hand["hidden0"]["both"],
        rtol=1e-9,
        atol=1e-15,
    )
    for layer, name in (("hidden0", "alpha"), ("hidden0", "rho"), ("readout", "input")):
        assert np.abs(gradient[layer][name]).max() > 0
        np.testing.assert_allclose(
            gradient[layer][name], by_hand[layer][name], rtol=1e-9, atol=1e-15
        )


def test_ratios_are_those_of_the_rounds(time_loop: ModuleType) -> None:
    row = {
        "framework": "torch",
        "steps": 10,
        "variants": {
            "compiled step": {
                "warm-up": 5.0, "train": [0.1, 0.2, 0.4], "infer": [0.01] * 3, "MB": 3.0,
            },
            time_loop.BASELINE: {
                "warm-up": 1.0, "train": [0.3, 0.8, 0.8], "infer": [0.05] * 3, "MB": 5.0,
            },
            "compiled step, checkpoint": {"warm-up": 0.5, "train": [0.1, 0.4, 0.8], "MB": 1.0},
            time_loop.FLOOR: {"train": [0.05, 0.05, 0.05], "infer": [0.01] * 3},
        },
    }  # fmt: skip
    line, _, recomputed, _ = time_loop.lines([row])
    assert dict(zip(time_loop.HEADINGS[:9], line, strict=False)) == {
        "framework": "torch",
        "variant": "compiled step",
        "T": "10",
        "warm-up s": "5.0",
        "compiling": "4.4",
        "train ms": "200.0",
        "a step": "20.000",
        "eager / this": "3.00",
        "this / products": "4.00",
    }
    assert line[9:] == ["10.0", "5.00", "3"]
    assert recomputed[4:] == ["0.0", "400.0", "40.000", "2.00", "8.00", "", "", "1"]


def test_the_page_is_that_of_the_committed_numbers(time_loop: ModuleType) -> None:
    content = json.loads((ROOT / "docs/time_loop/cpu.json").read_text())
    assert time_loop.page(content) == (ROOT / "docs/time_loop.md").read_text()
