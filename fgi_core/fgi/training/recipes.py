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

RECIPES: Mapping[str, Mapping[str, Any]] = {
    # A membrane that keeps half of what it had: eight steps are few.
    "alif-row": {
        "surrogate": GAUSSIAN,
        "gain": 10.0,
        "draws": {"alpha": ["normal", 0.0, 0.5], "rho": ["normal", 3.0, 0.5]},
        "readout_draws": {"beta": ["normal", 0.0, 0.5]},
    },
    "alif-pixel": {
        "surrogate": GAUSSIAN,
        "gain": 10.0,
        "draws": {"alpha": ["normal", 2.0, 1.0], "rho": ["normal", 3.0, 0.5]},
    },
    "brf-row": {"model": "brf", "current": 10.0, "gain": 10.0},
    "brf-pixel": {"model": "brf", "current": 10.0, "gain": 10.0},
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
