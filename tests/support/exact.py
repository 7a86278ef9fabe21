"""The eight slopes once more, from their definitions and in 50 digits; and what "the same" means.

A slope passes within 4 ulp of the exact slope at some point within 2 ulp of x: a tail such as
exp(-x^2 / 2) amplifies the rounding of x, and no code can undo that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from mpmath import mp, mpf

mp.dps = 50

EXACT: dict[str, Callable[[Any], Any]] = {
    "gaussian": lambda x: mp.exp(-(x**2) / 2),
    "double_gaussian": lambda x: mpf("1.3") * mp.exp(-2 * x**2) - mpf("0.3") * mp.exp(-(x**2) / 2),
    "sigmoid": lambda x: mp.sech(2 * x) ** 2,
    "tanh": lambda x: mp.sech(x) ** 2,
    "atan": lambda x: 1 / (1 + (mp.pi * x) ** 2),
    "triangle": lambda x: max(mpf(0), 1 - abs(x)),
    "fast_sigmoid": lambda x: 1 / (1 + 25 * abs(x)) ** 2,
    "straight_through": lambda x: mpf(1),
}


def grid(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The whole range: zeros, subnormals, kinks and their neighbours, the middle, the ends."""
    info = ml_dtypes.finfo(dtype)
    tiny, largest = float(info.smallest_normal), float(info.max)
    step = float(info.eps)
    positive = [
        0.0, float(info.smallest_subnormal), tiny / 4, tiny, 1e-30, 1e-6, 1e-3,
        *np.arange(1, 33) / 8, 1 / 3, 2 / 3, 0.1, 0.05, 0.3,
        0.5 - step / 4, 0.5 + step / 2, 1 - step / 2, 1 + step,
        5.5, 10, 12.3, 30, 88.5, 100, 1e3, 65504, min(1e19, largest), min(3e38, largest), largest,
    ]  # fmt: skip
    with np.errstate(over="ignore", under="ignore"):
        half = np.array(positive).astype(dtype)
    return np.concatenate([half, -half, np.array([np.inf, -np.inf, np.nan], dtype)])


def bounds(
    name: str, x: np.ndarray[Any, Any], *, points: int = 2, ulps: int = 4
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The least and the largest slope that passes at each finite x, as float64.

    Within ``ulps`` of the exact slope at a point within ``points`` ulp of x.
    """
    exact = EXACT[name]
    info = ml_dtypes.finfo(x.dtype)
    eps, tiny = mpf(float(info.eps)), mpf(float(info.smallest_normal))

    def ulp(value: Any) -> Any:
        # Spacing at a normal number. Below, frameworks flush to zero: pass anything down there.
        return max(eps * mp.power(2, mp.floor(mp.log(abs(value), 2))), tiny) if value else tiny

    least, largest = [], []
    for value in x.astype(np.float64):
        at = mpf(float(value))
        near = [exact(at + k * ulp(at) / 2) for k in range(-2 * points, 2 * points + 1)]
        least.append(float(min(g - ulps * ulp(g) for g in near)))
        largest.append(float(max(g + ulps * ulp(g) for g in near)))
    return np.array(least), np.array(largest)


def smallest_normal(dtype: np.dtype[Any]) -> float:
    return float(ml_dtypes.finfo(dtype).smallest_normal)
