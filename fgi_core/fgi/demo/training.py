"""Initial weights, loss and optimiser: NumPy's numbers and one Adam for every framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fgi

from ..backend import Array, Backend
from .digits import Digits
from .network import Parameters, logits

__all__ = ["batches", "cosine_decay", "initial", "loss", "update", "zero_moments"]

HIDDEN = 128
CLASSES = 10
BATCH = 64
LEARNING_RATE = 0.02
CLIP = 1.0  # of the gradient's norm


def initial(features: int, *, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """The same weights for every framework, drawn once by NumPy, float64."""
    rng = np.random.default_rng(seed)

    def uniform(inputs: int, outputs: int, fan_in: int) -> np.ndarray[Any, Any]:
        bound = 1 / math.sqrt(fan_in)
        return rng.uniform(-bound, bound, (inputs, outputs))

    return {
        "input": uniform(features, HIDDEN, features),
        "recurrent": uniform(HIDDEN, HIDDEN, HIDDEN),
        "bias": np.zeros(HIDDEN),
        "alpha": rng.normal(0, 0.5, HIDDEN),
        "rho": rng.normal(3, 0.5, HIDDEN),
        "output": uniform(HIDDEN, CLASSES, HIDDEN),
        "output bias": np.zeros(CLASSES),
        "kappa": rng.normal(0, 0.5, CLASSES),
    }


def batches(data: Digits, *, epoch: int) -> Iterator[tuple[np.ndarray[Any, Any], Any]]:
    """The training set in an order that depends on the epoch alone: sequences, one-hot labels."""
    order = np.random.default_rng(epoch).permutation(data.train.shape[1])
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield data.train[:, chosen], np.eye(CLASSES)[data.train_labels[chosen]]


def loss(p: Parameters, spike: Callable[[Array], Array], xs: Array, labels: Array) -> Array:
    """Mean cross entropy of the softmax."""
    xp = fgi.namespace(xs)
    scores = logits(p, spike, xs)
    scores = scores - xp.stop_gradient(xp.max(scores, axis=1))[:, None]
    normaliser = xp.log(xp.sum(xp.exp(scores), axis=1))
    return xp.mean(normaliser - xp.sum(scores * labels, axis=1))


def cosine_decay(progress: float) -> float:
    """The learning rate at ``progress`` from 0 to 1."""
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * progress))


def zero_moments(xp: Backend, p: Parameters) -> Any:
    zeros = {name: xp.zeros_like(weights) for name, weights in p.items()}
    return zeros, dict(zeros)


def update(spike: Callable[[Array], Array]) -> Callable[..., tuple[Parameters, Any, Array]]:
    """One step of Adam (Kingma and Ba 2015) on the gradient, its norm clipped.

    ``step(p, moments, xs, labels, rate, t) -> (p, moments, loss)``, with t = 1, 2, ...
    """

    def step(p: Parameters, moments: Any, xs: Array, labels: Array, rate: Array, t: Array) -> Any:
        xp = fgi.namespace(xs)
        value, gradient = fgi.value_and_grad(lambda p: loss(p, spike, xs, labels))(p)
        norm = xp.sqrt(sum(xp.sum(g * g) for g in gradient.values()) + 1e-12)
        scale = CLIP / xp.maximum(norm, CLIP * xp.ones_like(norm))
        first, second = moments
        new, new_first, new_second = {}, {}, {}
        for name, g in gradient.items():
            g = g * scale
            new_first[name] = 0.9 * first[name] + 0.1 * g
            new_second[name] = 0.999 * second[name] + 0.001 * g * g
            m = new_first[name] / (1 - 0.9**t)
            v = new_second[name] / (1 - 0.999**t)
            new[name] = p[name] - rate * m / (xp.sqrt(v) + 1e-8)
        return new, (new_first, new_second), value

    return step
