"""Where a subject is looked at: kinks, zeros, infinities, NaN, the ends of a dtype, and chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parameters import is_number
from .precision import Floats, Precision
from .subjects import Subject

__all__ = ["COUNT", "keys", "kinks", "row", "upstream"]

COUNT = 256
"""Of a row: the same for every subject, so that one compilation serves them all."""

UPSTREAM = np.array([-2.0, 0.5, 4.0, -0.25, 1.0, -8.0])
"""Powers of two: a product with one has no rounding of its own."""

MIDDLE = (
    *(k / 8 for k in range(1, 33)), 1 / 3, 2 / 3, 0.1, 0.05, 0.3, 5.5, 10.0, 12.3, 30.0, 88.5,
    100.0,
)  # fmt: skip
AFAR = (1e-30, 1e-6, 1e-3, 1e3, 65504.0, 1e19, 3e38)


def kinks(subject: Subject) -> list[float]:
    """Where the parameters may put a kink, a jump or a pole; 0 and 1 always."""
    found = {0.0, 0.5, 1.0}
    definition = subject.like
    for value in definition.parameters.values() if definition else ():
        if is_number(value) and np.isfinite(value) and value:
            found |= {float(value), 1 / float(value), 0.5 * float(value), 0.5 / float(value)}
    return sorted(v for v in found if abs(v) <= 1e4)


def row(subject: Subject, precision: Precision, seed: int, inputs: Floats | None = None) -> Floats:
    """The points of one subject; those of the caller instead, rounded to the dtype."""
    if inputs is not None:
        return precision.round(inputs)
    places = [0.0, precision.subnormal, precision.tiny / 4, precision.tiny, precision.largest]
    for kink in kinks(subject)[:10]:
        at = float(precision.round(kink))
        step = float(precision.ulp(np.array(at)))
        places += [at, at - step / 2, at + step]
    places += [v for v in (*MIDDLE, *AFAR) if v < precision.largest]
    half = precision.round(places)
    fixed = np.concatenate([half, -half, [np.inf, -np.inf, np.nan]])
    rng = np.random.default_rng([seed, precision.bits])
    left = COUNT - len(fixed)
    share = left // 3
    signs = rng.choice([-1, 1], (3, share))
    middle = rng.normal(0, 2, left - 2 * share)
    # Where a slope ends, a difference of nearly equal numbers has lost its digits.
    near = rng.choice([k for k in kinks(subject) if k], share)
    near *= signs[0] * (1 + signs[1] * 10 ** rng.uniform(-4, -1, share))
    low, high = np.log10(precision.tiny), np.log10(precision.largest)
    afar = 10 ** rng.uniform(low, high - 1e-3, share)
    chance = precision.round(np.concatenate([middle, near, signs[2] * afar]))
    return np.concatenate([fixed, chance])


def keys(count: int, seed: int) -> Floats:
    """Uniform numbers for what is random, which 8 bits hold, and none a round one."""
    rng = np.random.default_rng([seed, 1])
    drawn: Any = (2 * rng.integers(0, 128, count) + 1) / 256
    return np.asarray(drawn, np.float64)


def upstream(count: int, seed: int) -> Floats:
    """Never 1 throughout, never constant."""
    return np.resize(np.roll(UPSTREAM, seed), count)
