"""What works for which neuron and which sequences, as data.

A recipe says what differs from ``Settings``; "alif-pixel" is what ``--model alif`` means where a
step has one number, "alif-row" where it has more, "alif" where there is neither. Draws are
distributions by name: ["normal", mean, deviation] or ["uniform", low, high].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MODELS", "RECIPES", "recipe"]

MODELS = {
    "alif": "alif",
    "brf": "brf",
    "lif": "lif",
    "rf": "rf",
    "slif": "synaptic_lif",
    "yin": "yin_alif",
}
"""The neurons by the names of the command line, and as their definitions are called."""

GAUSSIAN = {"name": "gaussian", "sigma": 0.5, "height": 0.5}

# A step leaves dt = 0.01 of what comes in: without a larger current nothing fires. Frequencies from
# less than one oscillation in 64 steps up to near 1 / dt.
BRF = {
    "model": "brf",
    "epochs": 40,
    "rate": 0.05,
    "decay": "linear",
    "current": 30.0,
    "gain": 10.0,
    "draws": {"omega": ["uniform", 5.0, 85.0], "b_off": ["uniform", 0.1, 1.0]},
}

RECIPES: Mapping[str, Mapping[str, Any]] = {
    # Of eight steps a membrane has to forget some at once: decays around a half.
    "alif-row": {
        "model": "alif",
        "surrogate": GAUSSIAN,
        "epochs": 60,
        "batch": 32,
        "rate": 0.01,
        "current": 5.0,
        "gain": 10.0,
        "draws": {"alpha": ["normal", 0.0, 0.5], "rho": ["normal", 3.0, 0.5]},
        "readout_draws": {"beta": ["normal", 0.0, 0.5]},
    },
    # One number a step: membranes of all speeds, from one step to hundreds.
    "alif-pixel": {
        "model": "alif",
        "surrogate": GAUSSIAN,
        "epochs": 40,
        "current": 20.0,
        "gain": 10.0,
        "draws": {"alpha": ["normal", 1.0, 3.0], "rho": ["normal", 3.0, 2.0]},
    },
    "brf-row": BRF,
    "brf-pixel": BRF,
    # Higuchi et al. 2024 (arXiv:2402.14603), table of the appendix and the code published with it:
    # 784 steps; 99.1 % was reached. There, the readout's decay is exp(-1 / tau), tau ~ N(20, 5):
    # about N(2.96, 0.25) before the sigmoid.
    "brf-smnist": {
        "model": "brf",
        "seq_length": 784,
        "hidden": 256,
        "epochs": 300,
        "batch": 256,
        "rate": 0.1,
        "decay": "linear",
        "clip": 1.0,
        "output": "last",
        "scale": "xavier",
        "bias": False,
        "draws": {"omega": ["uniform", 15.0, 50.0], "b_off": ["uniform", 0.1, 1.0]},
        "readout_draws": {"beta": ["normal", 2.96, 0.25]},
    },
    # The same source, the permuted pixels: faster oscillations, and every output counts.
    "brf-psmnist": {
        "model": "brf",
        "seq_length": 784,
        "permuted": True,
        "hidden": 256,
        "epochs": 300,
        "batch": 256,
        "rate": 0.1,
        "decay": "linear",
        "clip": 1.0,
        "scale": "xavier",
        "bias": False,
        "draws": {"omega": ["uniform", 15.0, 85.0], "b_off": ["uniform", 0.1, 1.0]},
        "readout_draws": {"beta": ["normal", 2.96, 0.05]},
    },
}


def recipe(model: str, reading: str) -> Mapping[str, Any]:
    """The recipe for a neuron, and sequences by "row" or by "pixel"; {} where there is none."""
    return RECIPES.get(f"{model}-{reading}", RECIPES.get(model, {}))
