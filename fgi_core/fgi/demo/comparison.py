"""Each framework in turn: the same first gradients, then training, then time against the twin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np

import fgi

from ..backend import trees
from ..backend.protocol import Array, Backend
from ..data import Sequences
from ..surrogates.surrogate import Surrogate
from ..training.optimiser import zero_moments
from .training import batches, initial, loss, network, rate, update

__all__ = ["Outcome", "compare"]

TIMED_EPOCHS = 7


@dataclass
class Outcome:
    """What one framework did."""

    backend: str
    version: str
    first_loss: float
    gradient_difference: float
    """Largest |gradient - reference gradient| over the largest |reference gradient|, per array."""
    accuracy: float = 0.0
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Of an epoch with fgi and with the native twin, in turns."""
    raster: list[list[float]] = field(default_factory=list)
    """Spikes (steps, hidden) for the first test image."""

    @property
    def ratio(self) -> float:
        """Time with fgi over time with the twin: the median over neighbouring epochs."""
        return median(
            a / b for a, b in zip(self.seconds["fgi"], self.seconds["native"], strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    names: Iterable[str],
    spike: Surrogate,
    data: Sequences,
    *,
    epochs: int,
    on_epoch: Callable[[str, str], None] = lambda backend, phase: None,
) -> list[Outcome]:
    """Train with each backend from the same weights on the same batches; the first is
    the reference.

    ``on_epoch(backend, phase)`` is called after each epoch, for progress.
    """
    outcomes: list[Outcome] = []
    reference: Mapping[str, np.ndarray[Any, Any]] | None = None
    for name in names:
        with fgi.use_backend(name):
            xp = fgi.namespace()
            first_loss, gradient = first_gradient(xp, spike, data)
            reference = gradient if reference is None else reference
            outcome = Outcome(name, xp.version, first_loss, largest_difference(gradient, reference))
            train(xp, spike, data, outcome, epochs, on_epoch)
            outcomes.append(outcome)
    return outcomes


def first_gradient(
    xp: Backend, spike: Surrogate, data: Sequences
) -> tuple[float, dict[str, np.ndarray[Any, Any]]]:
    """Loss and gradients of the first batch, in float64."""
    with xp.double_precision():
        weights = trees.map(xp.asarray, initial(data.train.shape[2]))
        xs, labels = (xp.asarray(a) for a in next(iter(batches(data, epoch=0))))
        value, gradient = fgi.value_and_grad(lambda p: loss(p, spike, xs, labels))(weights)
        return float(value), trees.map(xp.to_numpy, trees.named(gradient))


def largest_difference(
    gradient: Mapping[str, np.ndarray[Any, Any]], reference: Mapping[str, np.ndarray[Any, Any]]
) -> float:
    return max(
        float(np.max(np.abs(gradient[name] - g)) / np.max(np.abs(g)))
        for name, g in reference.items()
    )


def train(
    xp: Backend,
    spike: Surrogate,
    data: Sequences,
    outcome: Outcome,
    epochs: int,
    on_epoch: Callable[[str, str], None],
) -> None:
    def single(a: np.ndarray[Any, Any]) -> Array:
        return xp.asarray(a.astype(np.float32))

    def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
        # PyTorch runs eagerly: on so small a network compiling takes longer than training.
        return f if xp.name == "torch" else fgi.compile(f)

    step = {
        "fgi": compiled(update(spike)),
        "native": compiled(update(spike.native())),
    }
    scores = compiled(network(spike).scores)
    test = single(data.test)

    def accuracy(p: Any) -> float:
        with fgi.inference_mode():
            guess = xp.to_numpy(scores(p, test)).argmax(axis=1)
        return float(np.mean(guess == data.test_labels))

    def epoch(kind: str, state: Any, number: int) -> tuple[Any, float]:
        p, moments, t = state
        total = []
        now = single(np.array(rate(min(number, epochs) / epochs)))
        for xs, labels in batches(data, epoch=number):
            t += 1
            clock = single(np.array(t))
            p, moments, value = step[kind](p, moments, single(xs), single(labels), now, clock)
            total.append(value)
        return (p, moments, t), float(np.mean([float(v) for v in total]))

    weights = trees.map(single, initial(data.train.shape[2]))
    state: Any = (weights, zero_moments(weights), 0)
    for number in range(epochs):
        state, value = epoch("fgi", state, number)
        outcome.losses.append(value)
        outcome.accuracies.append(accuracy(state[0]))
        on_epoch(outcome.backend, "training")
    outcome.accuracy = outcome.accuracies[-1]
    outcome.raster = xp.to_numpy(network(spike).apply(state[0], test[:, :1]).spikes[0])[
        :, 0
    ].tolist()

    # In turns, so that a machine that slows down slows both; the first round is the warm-up.
    outcome.seconds = {kind: [] for kind in step}
    for round in range(TIMED_EPOCHS + 1):
        for kind, seconds in outcome.seconds.items():
            start = time.perf_counter()
            epoch(kind, state, epochs)  # ends by reading the losses, so all work is done
            if round:
                seconds.append(time.perf_counter() - start)
        on_epoch(outcome.backend, "timing")
