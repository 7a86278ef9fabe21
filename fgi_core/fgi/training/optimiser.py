"""Adam, the clipped gradient and the decay of the rate: the same steps in every framework.

Parameters and gradients are nested dicts of arrays; the moments are a pair of such dicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..backend import trees
from ..backend.dispatch import namespace
from ..backend.protocol import Array

__all__ = ["DECAYS", "adam", "clipped", "zero_moments"]

DECAYS: Mapping[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "none": lambda progress: 1.0,
}
"""What becomes of the learning rate, as a factor, at ``progress`` from 0 to 1."""


def zero_moments(params: Any) -> tuple[Any, Any]:
    """Where Adam starts."""

    def zeros(w: Array) -> Array:
        return namespace(w).zeros_like(w)

    return trees.map(zeros, params), trees.map(zeros, params)


def clipped(gradient: Any, limit: float) -> Any:
    """The gradient, shortened to the norm ``limit`` where it is longer.

    g * limit / max(limit, sqrt(sum g^2))
    """
    leaves = list(trees.leaves(gradient))
    xp = namespace(leaves[0])
    # In units of the largest number: the square of 1e20 is no float32.
    largest = xp.max(xp.stack([xp.max(abs(g)) for g in leaves]))
    one = xp.ones_like(largest)
    # XLA multiplies by the reciprocal, and 1 / 1e38 is too small for it.
    unit = xp.where(largest == 0, one, xp.minimum(largest, 1e30 * one))
    length = xp.sqrt(xp.maximum(sum(xp.sum((g / unit) * (g / unit)) for g in leaves), one))
    long = largest * length > limit
    return trees.map(lambda g: xp.where(long, (g / unit) * (limit / length), g), gradient)


def adam(
    params: Any, gradient: Any, moments: Any, rate: Array, t: Array, *, memory: float = 0.999
) -> tuple[Any, tuple[Any, Any]]:
    """A step of Adam, number t = 1, 2, ...; ``memory`` is its beta_2.

        m = 0.9 m + 0.1 g;  v = beta_2 v + (1 - beta_2) g^2
        w = w - rate * m / (1 - 0.9^t) / (sqrt(v / (1 - beta_2^t)) + 1e-8)

    ``rate`` and ``t`` are scalar arrays of the dtype of the parameters, so that a compiled step is
    the same for all of them. Source: Kingma and Ba 2015 (arXiv:1412.6980), Algorithm 1.
    """
    xp = namespace(rate)
    first = trees.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradient)
    second = trees.map(lambda v, g: memory * v + (1 - memory) * g * g, moments[1], gradient)

    def moved(w: Array, m: Array, v: Array) -> Array:
        m, v = m / (1 - 0.9**t), v / (1 - memory**t)
        return w - rate * m / (xp.sqrt(v) + 1e-8)

    return trees.map(moved, params, first, second), (first, second)
