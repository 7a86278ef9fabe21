"""The catalogue as the tests walk through it: each class with its defaults, and with none of them.

A class that is new in a module of ``fgi.surrogates`` is in here without a word of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fgi
from fgi.parameters import is_number

CLASSES: dict[str, type[fgi.Surrogate]] = dict(fgi.surrogates.catalogue())
RANDOM = {name for name, cls in CLASSES.items() if cls()._is_random}


def others(cls: type[fgi.Surrogate]) -> dict[str, Any]:
    """A value for each parameter other than its default, and far enough to be noticed."""
    found: dict[str, Any] = {}
    for name, range in cls._ranges:
        default = getattr(cls(), name)
        if "|" in range:
            found[name] = next(word for word in range.split("|") if word != default)
        elif range in ("integer", "count"):
            found[name] = default + 1
        elif range == "unit":
            found[name] = 0.25 if default != 0.25 else 0.75
        elif not np.isfinite(default):
            found[name] = 3.0 if default > 0 else -3.0
        elif range == "positive":
            found[name] = 1.5 * default
        else:
            found[name] = default + 0.5
    return found


def numbers(cls: type[fgi.Surrogate]) -> list[str]:
    """The parameters that may be arrays."""
    return [name for name, value in others(cls).items() if isinstance(value, float)]


DEFAULTS: list[Any] = [cls() for name, cls in CLASSES.items() if name not in RANDOM]
ALL: list[Any] = [
    spike for cls in CLASSES.values() if not cls.random for spike in (cls(), cls(**others(cls)))
]
WITH_PRIMITIVE: list[Any] = [
    spike for spike in ALL if type(spike).antiderivative is not fgi.Surrogate.antiderivative
]


def sample(spike: Any, dtype: str = "float64") -> np.ndarray[Any, Any]:
    """Numbers around everything that the surrogate has parameters for, kinks included."""
    x = [*np.arange(-24, 25) / 8, 0.01, -0.02, 0.3, -0.7, 7.3, -9.1]
    for value in spike.parameters.values():
        if is_number(value) and np.isfinite(value) and value:
            x += [k * v for v in (float(value), 1 / float(value)) for k in (-2, -1, -0.5, 0.25, 1)]
    return np.array([v for v in x if abs(v) <= 40]).astype(dtype)


def key(spike: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The random numbers of a call, where there are any."""
    if not spike._is_random:
        return None
    return np.random.default_rng(0).random(x.shape).astype(x.dtype)
