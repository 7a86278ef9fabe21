"""A cell: a framework, a mode and a dtype; what all have in common; numbers in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend.protocol import Autodiff, Backend
from .bounds import TABLE, Bound
from .precision import Floats, Precision

__all__ = ["Cell", "Settings", "has", "numbers", "of_dtype"]


@dataclass(frozen=True)
class Cell:
    framework: str
    mode: str
    dtype: str


@dataclass(frozen=True)
class Settings:
    """What is the same in every cell."""

    seed: int = 0
    repeat: int = 1
    inputs: Floats | None = None
    bounds: tuple[Bound, ...] = TABLE


def has(xp: Backend, dtype: str) -> bool:
    """Whether the backend has a floating dtype of that name."""
    try:
        return xp.dtype(dtype) in xp.floating
    except Exception:  # each framework has its own for a name that it does not know
        return False


def of_dtype(xp: Autodiff, x: Floats, precision: Precision) -> Any:
    if precision.name != "bfloat16":
        return xp.asarray(x.astype(precision.name))
    return xp.astype(xp.asarray(x.astype(np.float32)), xp.dtype("bfloat16"))


def numbers(xp: Autodiff, x: Any) -> Floats:
    return np.asarray(xp.to_numpy(x)).astype(np.float64)
