"""What is right: the definition in float64, or a function's own where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..parameters import is_number
from ..surrogates.surrogate import Surrogate
from .bounds import Bound, bound
from .precision import Floats, Precision

__all__ = [
    "GRADIENT",
    "VALUE",
    "Evaluate",
    "Expected",
    "closed_form",
    "expected",
    "second_derivative",
]

# Of a function, and of a definition.
GRADIENT = ("gradient of a function", "gradient")
VALUE = ("value of a function", "value that is computed")

Evaluate: TypeAlias = Callable[[Floats, Floats | None], tuple[Floats, Floats]]
"""Value and slope at points of float64, with the random numbers of those points."""


def closed_form(spike: Surrogate) -> Evaluate:
    """The definition itself, by NumPy."""

    def evaluate(x: Floats, key: Floats | None) -> tuple[Floats, Floats]:
        keys = (key,) if spike._is_random else ()
        with np.errstate(all="ignore"):
            # The formulas are for finite x; elsewhere the derivative is 0, and where they overflow.
            slope = spike.derivative(np.where(np.isfinite(x), x, 0.0), *keys)
            return spike(x, *keys), np.where(np.isfinite(x) & np.isfinite(slope), slope, 0.0)

    return evaluate


@dataclass(frozen=True)
class Expected:
    """The least and the largest number that is right at each point, before any ulp is added."""

    x: Floats
    value: Floats
    value_low: Floats
    value_high: Floats
    value_floor: float
    """The smallest ulp of a value that is computed: that of its terms, seen at a moderate x."""
    on_grid: bool
    """Whether f takes round numbers alone, as a step does, and is exact whatever computes it."""
    slope: Floats
    low: Floats
    high: Floats
    floor: float
    """The smallest ulp of a slope."""
    slack: float
    """How far a slope may be off wherever it is, as it is a difference of larger numbers."""
    jump: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    """Where the slope jumps, at x itself, so that its neighbours say nothing about it."""
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
    points = bound(GRADIENT[spike is not None], precision.name, mode, name, table).points
    wider = bound(VALUE[spike is not None], precision.name, mode, name, table).points
    wide = precision.wide if spike is not None else precision
    places = [getattr(spike, at, 0.0) for at in ("mu", "threshold")]
    place = max(abs(at) if is_number(at) else 0.0 for at in places)

    value, slope = evaluate(x, key)
    low, high = _around(evaluate, x, key, precision, wide.ulp, points, place)[1]
    value_low, value_high = _around(evaluate, x, key, precision, wide.ulp, wider, place)[0]
    _, peaks = evaluate(np.array([-1.0, 0.0, 0.5, 1.0, place]), None if key is None else key[:5])
    peak = max(1.0, float(np.max(np.abs(peaks), initial=0.0, where=np.isfinite(peaks))))
    # A slope that changes its sign is as exact as the terms that it is the difference of.
    difference = bound("gradient that changes its sign", precision.name, mode, name, table).ulps
    top = float(np.max(np.abs(slope), initial=0.0, where=np.isfinite(slope)))
    slack = difference * wide.eps * top if (slope < 0).any() and (slope > 0).any() else 0
    # A factor of the slope may be flushed to zero, in float32 at least, or its product with u.
    floor = max(256 * peak * precision.wide.tiny, 4 * precision.tiny)
    near = np.abs(x) <= 8
    if spike is None:
        # What a framework differentiates is as exact as the terms: 1 - tanh(x)**2 is 0 before long.
        steep = np.max(np.abs(slope), initial=0.0, where=near & np.isfinite(slope))
        floor = max(floor, float(precision.eps * steep))
    rounded = np.round(value * 1024) / 1024
    clip = np.array([-precision.largest, precision.largest])
    return Expected(
        x=x,
        value=precision.round(value),
        value_low=value_low,
        value_high=value_high,
        value_floor=float(
            precision.eps * np.max(np.abs(value), initial=precision.tiny, where=near)
        ),
        on_grid=bool(near.any() and np.all(np.abs(value - rounded)[near] < 1e-12)),
        slope=np.clip(slope, *clip),
        low=np.clip(low, *clip),
        high=np.clip(high, *clip),
        floor=floor,
        slack=slack,
        jump=_jumps(evaluate, x, key, slope),
        second=(
            second_derivative(evaluate, x, key, precision.largest)
            if spike and spike.order > 1
            else None
        ),
    )


def _around(
    evaluate: Evaluate,
    x: Floats,
    key: Floats | None,
    precision: Precision,
    ulp: Callable[[Floats], Floats],
    points: float,
    place: float,
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The least and the largest value, and slope, within so many ulp of x, by half ulp."""
    # 16 bits are computed in float32, and it is there that x is rounded.
    # Closer together near x: what is steep there may be as steep on one side alone.
    step = ulp(np.maximum(np.abs(x), place)) * points
    moved = [
        np.clip(x + k * step, -precision.largest, precision.largest)
        for k in (-1, -0.75, -0.5, -0.25, -0.125, 0.125, 0.25, 0.5, 0.75, 1)
        if points
    ]
    # Compilers may read a subnormal number as zero.
    subnormal = np.abs(x) < precision.tiny
    zeros = [np.where(subnormal, zero, x) for zero in (0.0, -0.0)]
    moved = [x, *zeros, *(np.where(np.isfinite(x), m, x) for m in moved)]
    keys = None if key is None else np.tile(key, len(moved))
    both = evaluate(np.concatenate(moved), keys)
    shaped = [each.reshape(len(moved), -1) for each in both]
    (value, slope) = ((np.min(each, axis=0), np.max(each, axis=0)) for each in shaped)
    return value, slope


def _jumps(
    evaluate: Evaluate, x: Floats, key: Floats | None, slope: Floats
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether a few ulp of float64 beside x there is another slope, and not only another zero."""
    step = 4 * np.spacing(np.where(np.isfinite(x), np.abs(x), 0.0))
    keys = None if key is None else np.tile(key, 2)
    beside = evaluate(np.concatenate([x - step, x + step]), keys)[1].reshape(2, -1)
    size = np.max(np.abs(np.stack([*beside, slope])), axis=0)
    top = np.max(np.abs(slope), initial=0.0, where=np.isfinite(slope))
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    found = np.ptp(np.stack([*beside, slope]), axis=0) > np.maximum(1e-3 * size, 2.0**-16 * top)
    return found


def second_derivative(evaluate: Evaluate, x: Floats, key: Floats | None, largest: float) -> Floats:
    """By differences of the slope, extrapolated from two widths; NaN where there is a kink."""
    inside = np.where(np.abs(x) <= 1e3, x, np.nan)
    h = 2.0**-17 * np.maximum(np.abs(inside), 1)
    ends = np.concatenate([inside + k * h for k in (-2, -1, 0, 1, 2)])
    keys = None if key is None else np.tile(key, 5)
    slopes = evaluate(ends, keys)[1].reshape(5, -1)
    s = np.where(np.all(np.abs(slopes) < largest / 16, axis=0), slopes, np.nan)
    central = (4 * (s[3] - s[1]) / 2 - (s[4] - s[0]) / 4) / 3 / h
    sides = np.diff(s, axis=0) / h
    size = np.where(np.isfinite(central), np.abs(central), 0.0)
    # On a smooth stretch neighbouring differences are nearly the same, at a kink they are not.
    smooth = np.ptp(sides, axis=0) <= 1e-2 * np.max(np.abs(sides), axis=0) + 1e-8 * size.max()
    # And so are the changes between them: a kink near the end of the stretch shows in one alone.
    bends = np.diff(sides, axis=0)
    noise = 16 * np.finfo(np.float64).eps * np.max(np.abs(s), axis=0) / h
    smooth &= np.ptp(bends, axis=0) <= 0.05 * np.max(np.abs(bends), axis=0) + noise
    result: Floats = np.where(smooth & (size < largest / 16), central, np.nan)
    return result
