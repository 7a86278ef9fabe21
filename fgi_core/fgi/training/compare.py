"""Several frameworks in step: the same weights, the same batches; when and where they part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..backend import trees
from ..backend.dispatch import use_backend
from ..data import Sequences
from ..data.sequences import Numbers
from .learner import Learner
from .loop import first, one_epoch
from .sequences import sequences
from .settings import Settings

__all__ = ["Comparison", "Difference", "Parting", "compare"]

TOLERANCES = {"float32": 1e-3, "float64": 1e-9}
FIRST_STEPS = 10


@dataclass(frozen=True)
class Difference:
    """Of one framework from the first, after ``step`` steps: relative to the largest number."""

    backend: str
    epoch: int
    step: int
    loss: float
    params: dict[str, float]

    def largest(self) -> tuple[str, float]:
        """Where the frameworks differ most, and by how much."""
        return max((self.params | {"loss": self.loss}).items(), key=lambda pair: pair[1])


@dataclass(frozen=True)
class Parting:
    """The first step at which one framework is further from the first than the tolerance."""

    backend: str
    epoch: int
    step: int
    what: str
    """A parameter by path, or "loss": what differs most there."""
    difference: float


@dataclass(frozen=True)
class Comparison:
    """What was seen: each of the first steps, and of each epoch the largest differences."""

    backends: tuple[str, ...]
    tolerance: float
    first_steps: list[Difference]
    epochs: list[Difference]
    accuracies: dict[str, list[float]]
    partings: list[Parting]
    """At most one for each framework but the first."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    settings: Settings,
    backends: Sequence[str],
    *,
    data: Sequences | None = None,
    tolerance: float | None = None,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[list[Difference]], None] = lambda differences: None,
) -> Comparison:
    """Train each framework from the same weights on the same batches, in step with the first.

    A difference is max|a - b| / max|b|, b of the first framework. ``tolerance`` is 1e-9 in
    float64; in float32, where one spike that falls otherwise changes all that follows, 1e-3.

    Errors: ValueError for fewer than two frameworks, or one named twice; as ``train``.
    """
    if len(backends) < 2 or len(set(backends)) < len(backends):
        raise ValueError(
            f"compare is {','.join(backends) or 'empty'}; expected two or three of torch, jax, "
            f"tensorflow"
        )
    tolerance = TOLERANCES[settings.dtype] if tolerance is None else tolerance
    data = sequences(settings) if data is None else data
    start = first(settings, data).state
    # PyTorch before TensorFlow, which is what the two need in one process.
    for name in sorted(backends, reverse=True):
        with use_backend(name):
            pass
    learners = [Learner(replace(settings, backend=name), start) for name in backends]
    seen = Comparison(tuple(backends), tolerance, [], [], {b: [] for b in backends}, [])
    parted: set[str] = set()
    for number in range(settings.epochs):
        largest: dict[str, Difference] = {}
        for xs, labels, rate in one_epoch(settings, data, number):
            reference, *others = [_seen(learner, xs, labels, rate) for learner in learners]
            for learner, numbers in zip(learners[1:], others, strict=True):
                found = _difference(learner, number + 1, numbers, reference)
                if learner.made <= FIRST_STEPS:
                    seen.first_steps.append(found)
                largest[found.backend] = _worse(largest.get(found.backend, found), found)
                what, size = found.largest()
                if found.backend not in parted and not size <= tolerance:
                    parted.add(found.backend)
                    seen.partings.append(
                        Parting(found.backend, found.epoch, found.step, what, size)
                    )
            on_step()
        seen.epochs.extend(largest.values())
        for learner in learners:
            seen.accuracies[learner.settings.backend].append(
                learner.accuracy(data.test, data.test_labels)
            )
        on_epoch(list(largest.values()))
    return seen


def _seen(learner: Learner, xs: Numbers, labels: Numbers, rate: float) -> dict[str, Numbers]:
    value, _ = learner.step(xs, labels, rate)
    return {"loss": learner.xp.to_numpy(value), **trees.named(learner.state().params)}


def _difference(
    learner: Learner, epoch: int, a: dict[str, Numbers], b: dict[str, Numbers]
) -> Difference:
    apart = {
        name: float(np.max(np.abs(a[name] - right)) / (np.max(np.abs(right)) or 1.0))
        for name, right in b.items()
    }
    loss = apart.pop("loss")
    return Difference(learner.settings.backend, epoch, learner.made, loss, apart)


def _worse(a: Difference, b: Difference) -> Difference:
    """The later of the two, with the larger of each difference."""
    params = {name: max(a.params[name], size) for name, size in b.params.items()}
    return replace(b, loss=max(a.loss, b.loss), params=params)
