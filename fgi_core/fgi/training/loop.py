"""Epochs: each in an order of its own, measured, and kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..backend import trees
from ..data import Sequences, batches
from ..data.sequences import Numbers
from .checkpoint import Checkpoint, Epoch
from .learner import Learner, State, hits
from .optimiser import DECAYS
from .sequences import sequences
from .settings import Settings

__all__ = ["first", "one_epoch", "train"]


def first(settings: Settings, data: Sequences) -> Checkpoint:
    """A run of which nothing is done."""
    params = settings.initial(data.train.shape[2], data.classes)
    return Checkpoint(settings, State.start(params), [])


def one_epoch(
    settings: Settings, data: Sequences, number: int
) -> Iterator[tuple[Numbers, Numbers, float]]:
    """Batches, one-hot labels and the rate; they depend on seed and number alone."""
    rate = settings.rate * DECAYS[settings.decay](number / settings.epochs)
    order = batches(
        data.train,
        data.train_labels,
        settings.batch,
        classes=data.classes,
        epoch=number,
        seed=settings.seed,
    )
    for xs, labels in order:
        yield xs, labels, rate


def train(
    run: Settings | Checkpoint,
    *,
    data: Sequences | None = None,
    folder: str | os.PathLike[str] | None = None,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Checkpoint:
    """Train until the epochs are done, from the start or from where a checkpoint stopped.

    With ``folder``, a checkpoint is written after each epoch. A run that was stopped and gone on
    with ends with the parameters of one that was not, bit for bit, on the same framework, device
    and number of threads. ``data`` is what the settings name unless it is given.

    Errors: FloatingPointError naming the step where the loss, a parameter or a moment is no finite
    number;
    ValueError for data that do not fit, and where parameters leave the range in which the neuron's
    equations hold; what ``Learner``, ``sequences`` and ``Checkpoint.write`` say. The checkpoint of
    the last whole epoch stays.
    """
    settings = run.settings if isinstance(run, Checkpoint) else run
    data = sequences(settings) if data is None else data
    done = run if isinstance(run, Checkpoint) else first(settings, data)
    learner = Learner(settings, done.state)
    for number in range(len(done.history), settings.epochs):
        started = time.perf_counter()
        seen: list[tuple[Any, Any, Numbers]] = []
        for xs, labels, rate in one_epoch(settings, data, number):
            seen.append((*learner.step(xs, labels, rate), labels))
            on_step()
        # Read at the end, so that no step waits for the one before.
        losses = [float(learner.xp.to_numpy(value)) for value, _, _ in seen]
        state = learner.state()
        _finite(losses, state, number)
        learner.check()
        right = sum(hits(learner.xp.to_numpy(s), labels.argmax(axis=1)) for _, s, labels in seen)
        epoch = Epoch(
            loss=float(np.mean(losses)),
            train_accuracy=right / sum(len(labels) for _, _, labels in seen),
            accuracy=learner.accuracy(data.test, data.test_labels),
            seconds=time.perf_counter() - started,
        )
        done = Checkpoint(settings, state, [*done.history, epoch])
        if folder is not None:
            done.write(folder)
        on_epoch(epoch)
    return done


def _finite(losses: list[float], state: State, number: int) -> None:
    remedy = "; expected finite numbers; lower the rate, or clip the gradient"
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            step = state.step - len(losses) + i + 1
            raise FloatingPointError(f"epoch {number + 1}, step {step}: the loss is {loss}{remedy}")
    # A moment that is infinite, as the square of a gradient, makes every further step none.
    kinds = {"": state.params, "Adam's mean of ": state.moments[0]}
    kinds["Adam's mean square of "] = state.moments[1]
    for kind, tree in kinds.items():
        for name, array in trees.named(tree).items():
            if not np.isfinite(array).all():
                raise FloatingPointError(
                    f"epoch {number + 1}, step {state.step}: {kind}{name} is not finite{remedy}"
                )
