"""A network in one framework: its arrays, and the compiled step that changes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..backend import trees
from ..backend.dispatch import namespace, use_backend
from ..data.sequences import Numbers
from ..injection.inference import inference_mode
from ..networks import cross_entropy
from ..transforms.framework import compile, value_and_grad
from .optimiser import adam, clipped, zero_moments
from .settings import Settings

if TYPE_CHECKING:
    from ..backend.protocol import Autodiff

__all__ = ["Learner", "State"]

EVALUATED = 1000  # sequences at a time: what MNIST's test images leave behind fits into memory


class State(NamedTuple):
    """What a step changes, as NumPy arrays, in any framework the same."""

    params: Any
    moments: tuple[Any, Any]
    step: int
    """How many have been made."""

    @classmethod
    def start(cls, params: Any) -> State:
        return cls(params, zero_moments(params), 0)


class Learner:
    """A network in one framework, from ``state`` on.

    Errors: ImportError where the framework is missing; LookupError where it does not see the
    device; TypeError where it does not differentiate.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self.settings = settings
        with use_backend(settings.backend):
            xp = namespace()
        if not hasattr(xp, "value_and_grad"):
            raise TypeError(
                f"backend is {xp.name!r}, which has no automatic differentiation; expected torch, "
                f"jax or tensorflow"
            )
        self.xp = cast("Autodiff", xp)
        with self._at_work():
            self.params, self.moments = self._placed(state.params), self._placed(state.moments)
        self.made = state.step
        network, whole = settings.network(), self.xp.compiles_loops

        def scores(params: Any, xs: Any) -> Any:
            return network.scores(params, xs, compiled=not whole)

        def update(params: Any, moments: Any, xs: Any, labels: Any, rate: Any, t: Any) -> Any:
            def loss(p: Any) -> tuple[Any, Any]:
                found = scores(p, xs)
                return cross_entropy(found, labels), found

            (value, found), gradient = value_and_grad(loss, has_aux=True)(params)
            if settings.clip:
                gradient = clipped(gradient, settings.clip)
            return *adam(params, gradient, moments, rate, t), value, found

        self._update = compile(update) if whole else update
        self._scores = compile(scores) if whole else scores
        self._check = network.check

    def step(self, xs: Numbers, labels: Numbers, rate: float) -> tuple[Any, Any]:
        """One step of Adam on a batch: its loss and its scores, as arrays of the framework."""
        self.made += 1
        with self._at_work():
            given = self._placed((xs, labels, np.array(rate), np.array(self.made)))
            result = self._update(self.params, self.moments, *given)
            self.params, self.moments, value, scores = result
        return value, scores

    def accuracy(self, xs: Numbers, labels: Numbers) -> float:
        """The share of sequences whose largest score is that of their label."""
        right = 0
        with self._at_work(), inference_mode():
            for start in range(0, xs.shape[1], EVALUATED):
                part = slice(start, start + EVALUATED)
                scores = self._scores(self.params, self._placed(xs[:, part]))
                right += hits(self.xp.to_numpy(scores), labels[part])
        return right / len(labels)

    def state(self) -> State:
        """The parameters and moments of now, as NumPy arrays."""
        with self._at_work():
            params, moments = trees.map(self.xp.to_numpy, (self.params, self.moments))
        return State(params, moments, self.made)

    def check(self) -> None:
        """Errors: ValueError where parameters leave the range in which the equations hold."""
        with self._at_work():
            self._check(self.params)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(use_backend(self.settings.backend))
            if self.settings.device:
                stack.enter_context(self.xp.device(self.settings.device))
            if self.settings.dtype == "float64":
                stack.enter_context(self.xp.double_precision())
            yield

    def _placed(self, tree: Any) -> Any:
        """The same numbers in the framework, on its device, in the dtype that is trained in."""
        return trees.map(lambda a: self.xp.asarray(a.astype(self.settings.dtype)), tree)


def hits(scores: Numbers, labels: Numbers) -> int:
    """How many rows are largest where the label says."""
    return int(np.sum(scores.argmax(axis=1) == labels))
