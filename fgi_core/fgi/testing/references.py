"""What is right: the definition in float64, or a function's own where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..definition import Surrogate
from ..parameters import is_number
from .bounds import Bound, bound
from .precision import Floats, Precision

__all__ = ["Evaluate", "Expected", "closed_form", "expected", "second_derivative"]

Evaluate: TypeAlias = Callable[[Floats, Floats | None], tuple[Floats, Floats]]
"""Value and slope at points of float64, with the random numbers of those points."""


def closed_form(spike: Surrogate) -> Evaluate:
    """The definition itself, by NumPy."""

    def evaluate(x: Floats, key: Floats | None) -> tuple[Floats, Floats]:
        keys = (key,) if spike._is_random else ()
        with np.errstate(all="ignore"):
            # The formulas are for finite x; elsewhere the derivative is 0.
            slope = spike.derivative(np.where(np.isfinite(x), x, 0.0), *keys)
            return spike(x, *keys), np.where(np.isfinite(x), slope, 0.0)

    return evaluate


@dataclass(frozen=True)
class Expected:
    """The least and the largest number that is right at each point, before any ulp is added."""

    x: Floats
    value: Floats
    value_low: Floats
    value_high: Floats
    on_grid: bool
    """Whether f takes round numbers alone, as a step does, and is exact whatever computes it."""
    slope: Floats
    low: Floats
    high: Floats
    floor: float
    """The smallest ulp of a slope."""
    second: Floats | None
    """NaN where it cannot be had."""


def expected(
    evaluate: Evaluate,
    spike: Surrogate | None,
    x: Floats,
    key: Floats | None,
    precision: Precision,
    name: str,
    mode: str,
    table: Iterable[Bound],
) -> Expected:
    points = bound("gradient", precision.name, mode, name, table).points
    wider = bound("value that is computed", precision.name, mode, name, table).points
    places = [getattr(spike, at, 0.0) for at in ("mu", "threshold")]
    place = max(abs(at) if is_number(at) else 0.0 for at in places)

    value, slope = evaluate(x, key)
    low, high = _around(evaluate, x, key, precision, points, place)[1]
    value_low, value_high = _around(evaluate, x, key, precision, wider, place)[0]
    _, peaks = evaluate(np.array([-1.0, 0.0, 0.5, 1.0, place]), None if key is None else key[:5])
    peak = max(1.0, float(np.max(np.abs(peaks), initial=0.0, where=np.isfinite(peaks))))
    # 16 bits are computed in float32: only the result and its product with u may be flushed.
    floor = precision.tiny * (4 if precision.bits < 24 else 256 * peak)
    near = np.abs(x) <= 8
    rounded = np.round(value * 1024) / 1024
    clip = np.array([-precision.largest, precision.largest])
    return Expected(
        x=x,
        value=precision.round(value),
        value_low=value_low,
        value_high=value_high,
        on_grid=bool(near.any() and np.all(np.abs(value - rounded)[near] < 1e-12)),
        slope=np.clip(slope, *clip),
        low=np.clip(low, *clip),
        high=np.clip(high, *clip),
        floor=floor,
        second=second_derivative(evaluate, x, key) if spike and spike.order > 1 else None,
    )


def _around(
    evaluate: Evaluate,
    x: Floats,
    key: Floats | None,
    precision: Precision,
    points: float,
    place: float,
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The least and the largest value, and slope, within so many ulp of x, by half ulp."""
    count = int(2 * points)
    step = precision.ulp(np.maximum(np.abs(x), place)) / 2
    moved = [np.clip(x + k * step, -precision.largest, precision.largest)
             for k in range(-count, count + 1) if k]  # fmt: skip
    # Compilers may read a subnormal number as zero.
    subnormal = np.abs(x) < precision.tiny
    zeros = [np.where(subnormal, zero, x) for zero in (0.0, -0.0)]
    moved = [x, *zeros, *(np.where(np.isfinite(x), m, x) for m in moved)]
    keys = None if key is None else np.tile(key, len(moved))
    both = evaluate(np.concatenate(moved), keys)
    shaped = [each.reshape(len(moved), -1) for each in both]
    (value, slope) = ((np.min(each, axis=0), np.max(each, axis=0)) for each in shaped)
    return value, slope


def second_derivative(evaluate: Evaluate, x: Floats, key: Floats | None) -> Floats:
    """The central difference of the slope, where two widths agree; NaN elsewhere."""
    inside = np.where(np.abs(x) <= 1e3, x, np.nan)
    found = []
    for width in (1, 2):
        h = width * 2.0**-17 * np.maximum(np.abs(inside), 1)
        ends = np.concatenate([inside + h, inside - h])
        slope = evaluate(ends, None if key is None else np.tile(key, 2))[1]
        up, down = slope.reshape(2, -1)
        found.append((up - down) / (2 * h))
    scale = float(np.max(np.abs(found[0]), initial=0.0, where=np.isfinite(found[0])))
    agree = np.abs(found[0] - found[1]) <= 1e-6 * scale
    result: Any = np.where(agree & np.isfinite(inside), found[0], np.nan)
    return np.asarray(result, np.float64)
