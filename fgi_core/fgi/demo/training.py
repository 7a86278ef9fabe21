"""The network of the demo, its loss and a step of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fgi

from ..backend.protocol import Array
from ..data import Sequences, batches as shuffled
from ..networks import Network, Weights, cross_entropy
from ..neurons import ALIF, normal
from ..training.optimiser import DECAYS, adam, clipped

__all__ = ["batches", "initial", "loss", "network", "rate", "update"]

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


def rate(progress: float) -> float:
    """The learning rate at ``progress`` from 0 to 1."""
    return LEARNING_RATE * DECAYS["cosine"](progress)


def update(spike: Callable[[Array], Array]) -> Callable[..., tuple[Weights, Any, Array]]:
    """One step of Adam on the gradient, its norm clipped.

    ``step(p, moments, xs, labels, rate, t) -> (p, moments, loss)``, with t = 1, 2, ...
    """

    def step(p: Weights, moments: Any, xs: Array, labels: Array, rate: Array, t: Array) -> Any:
        value, gradient = fgi.value_and_grad(lambda p: loss(p, spike, xs, labels))(p)
        return *adam(p, clipped(gradient, CLIP), moments, rate, t), value

    return step
