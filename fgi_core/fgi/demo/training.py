"""The network of the demo, its loss and its optimiser: one Adam for every framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import fgi

from .. import trees
from ..backend import Array, Backend
from ..data import Sequences, batches as shuffled
from ..networks import Network, Weights, cross_entropy
from ..neurons import ALIF, normal

__all__ = [
    "adam",
    "batches",
    "cosine_decay",
    "initial",
    "loss",
    "network",
    "update",
    "zero_moments",
]

HIDDEN = 128
CLASSES = 10
BATCH = 64
LEARNING_RATE = 0.02
CLIP = 1.0  # of the gradient's norm
GAIN = 10.0  # of the readout, before the softmax


def network(spike: Callable[[Array], Array]) -> Network:
    """Recurrent adaptive neurons as in the paper, read out by the mean over time."""
    return Network(ALIF(spike), gain=GAIN)


def initial(features: int, *, hidden: int = HIDDEN, seed: int = 0) -> dict[str, Any]:
    """The same weights for every framework, drawn once by NumPy, float64.

    Eight steps are few: membranes forget faster than in the paper's 28 and more.
    """
    return network(fgi.surrogates.Gaussian()).init(
        (features, hidden, CLASSES),
        seed=seed,
        scale="fan_in",
        draws={"alpha": normal(0, 0.5), "rho": normal(3, 0.5)},
        readout_draws={"beta": normal(0, 0.5)},
        dtype="float64",
    )


def batches(data: Sequences, *, epoch: int) -> Iterator[tuple[Any, Any]]:
    """The training set in an order that depends on the epoch alone: sequences, one-hot labels."""
    return shuffled(data.train, data.train_labels, BATCH, classes=CLASSES, epoch=epoch)


def loss(p: Weights, spike: Callable[[Array], Array], xs: Array, labels: Array) -> Array:
    """Mean cross entropy of the softmax."""
    return cross_entropy(network(spike).scores(p, xs), labels)


def cosine_decay(progress: float) -> float:
    """The learning rate at ``progress`` from 0 to 1."""
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * progress))


def zero_moments(xp: Backend, p: Weights) -> Any:
    return trees.map(xp.zeros_like, p), trees.map(xp.zeros_like, p)


def adam(
    p: Weights, gradient: Weights, moments: Any, rate: Array, t: Array, *, memory: float = 0.999
) -> tuple[Weights, Any]:
    """A step of Adam (Kingma and Ba 2015), number t = 1, 2, ...; ``memory`` is its beta_2.

    m = 0.9 m + 0.1 g;  v = beta_2 v + (1 - beta_2) g^2
    w = w - rate * m / (1 - 0.9^t) / (sqrt(v / (1 - beta_2^t)) + 1e-8)
    """
    xp = fgi.namespace(rate)
    first = trees.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradient)
    second = trees.map(lambda v, g: memory * v + (1 - memory) * g * g, moments[1], gradient)

    def moved(w: Array, m: Array, v: Array) -> Array:
        m, v = m / (1 - 0.9**t), v / (1 - memory**t)
        return w - rate * m / (xp.sqrt(v) + 1e-8)

    return trees.map(moved, p, first, second), (first, second)


def update(spike: Callable[[Array], Array]) -> Callable[..., tuple[Weights, Any, Array]]:
    """One step of Adam on the gradient, its norm clipped.

    ``step(p, moments, xs, labels, rate, t) -> (p, moments, loss)``, with t = 1, 2, ...
    """

    def step(p: Weights, moments: Any, xs: Array, labels: Array, rate: Array, t: Array) -> Any:
        xp = fgi.namespace(xs)
        value, gradient = fgi.value_and_grad(lambda p: loss(p, spike, xs, labels))(p)
        norm = xp.sqrt(sum(xp.sum(g * g) for g in trees.named(gradient).values()) + 1e-12)
        scale = CLIP / xp.maximum(norm, CLIP * xp.ones_like(norm))
        gradient = trees.map(lambda g: g * scale, gradient)
        return *adam(p, gradient, moments, rate, t), value

    return step
