"""The numbers of a dtype, held in float64: their spacing, their ends, rounding to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = ["PRECISIONS", "Floats", "Precision"]

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Precision:
    """A binary format; NumPy has no bfloat16 of its own, so none is asked for."""

    name: str
    bits: int
    """Of the significand, the leading one included."""
    least: int
    """The exponent of the smallest normal number."""

    @property
    def wide(self) -> Precision:
        """What slopes are computed in."""
        return self if self.bits >= 24 else PRECISIONS["float32"]

    @property
    def eps(self) -> float:
        return 2.0 ** (1 - self.bits)

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0**self.least

    @property
    def subnormal(self) -> float:
        """The smallest number above 0."""
        return 2.0 ** (self.least + 1 - self.bits)

    @property
    def largest(self) -> float:
        return (2 - self.eps) * 2.0 ** (1 - self.least)

    def ulp(self, value: Floats, floor: float = 0.0) -> Floats:
        """The spacing of the numbers at ``value``, and at least ``floor``."""
        _, exponent = np.frexp(np.where(np.isfinite(value), value, 1.0))
        exponent = np.where(value == 0, self.least, np.maximum(exponent - 1, self.least))
        spacing = np.ldexp(1.0, exponent + 1 - self.bits)
        found: Floats = np.maximum(spacing, floor)
        return found

    def round(self, value: Any) -> Floats:
        """The nearest numbers of the dtype, half to even; infinite beyond the largest."""
        x = np.asarray(value, np.float64)
        if self.bits == 53:
            return x
        with np.errstate(invalid="ignore"):
            quantum = self.ulp(x)
            rounded = np.round(x / quantum) * quantum
            over = np.abs(rounded) > self.largest
        found: Floats = np.where(over, np.copysign(np.inf, x), np.where(np.isfinite(x), rounded, x))
        return found


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float16", 11, -14),
        Precision("bfloat16", 8, -126),
        Precision("float32", 24, -126),
        Precision("float64", 53, -1022),
    )
}
