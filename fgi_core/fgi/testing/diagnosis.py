"""A guess of the cause, from the numbers: a table of rules, of which the first that fits tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .precision import PRECISIONS, Floats, Precision

__all__ = ["RULES", "Evidence", "diagnose"]


@dataclass(frozen=True)
class Evidence:
    """The numbers of one row: ``got`` is f(x), or u times the derivative."""

    quantity: str
    precision: Precision
    x: Floats
    u: Floats
    got: Floats
    expected: Floats
    """f(x), or the derivative without ``u``."""
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    kinks: Sequence[float]

    @property
    def finite(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where x and what came are finite."""
        return np.isfinite(self.x) & np.isfinite(self.got)

    @property
    def live(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where there is a derivative to be seen."""
        size = np.abs(self.expected)
        return (
            self.finite & (size > 1e3 * self.precision.tiny) & (size < self.precision.largest / 64)
        )

    def agrees(self, times: Floats) -> bool:
        """Whether ``times`` the expected derivative is what came, to 64 eps, at nearly every x."""
        live = self.live
        if live.sum() < 3:
            return False
        wanted = (times * self.expected)[live]
        off = np.abs(self.got[live] - wanted) > 64 * self.precision.eps * np.abs(wanted)
        return bool(off.mean() < 0.02)

    @property
    def factor(self) -> float:
        """The middle ratio of what came to what was expected."""
        live = self.live
        if not live.any():
            return np.nan
        return float(np.median(self.got[live] / (self.u * self.expected)[live]))

    def near_kinks(self) -> bool:
        away = [
            np.abs(np.abs(self.x) - abs(k)) > 4 * self.precision.ulp(np.array(k), 1e-30)
            for k in self.kinks
        ]
        return not np.any(self.wrong & np.all(away, axis=0))

    def beside_kinks(self) -> bool:
        """Whether all that is wrong is beside a kink, and small, as rounding errors are."""
        beside = [np.abs(np.abs(self.x) - abs(k)) <= abs(k) / 8 for k in self.kinks if k]
        size = np.max(np.abs(self.expected), initial=0.0, where=self.live)
        with np.errstate(invalid="ignore"):
            small = np.abs(self.got / self.u - self.expected) <= 8 * self.precision.eps * size
        return bool(np.all((small & np.any(beside, axis=0))[self.wrong]))

    def relative(self, narrow: str, share: float = 0.0) -> float:
        """The largest relative distance, where a narrower dtype can hold the derivative.

        Infinite where fewer than that share of the derivatives are wrong, or some are not finite.
        """
        size, of = np.abs(self.expected), PRECISIONS[narrow]
        live = self.live & self.wrong & (size > 4 * of.tiny) & (size < of.largest / 64)
        few = not live.any() or live.sum() < share * self.live.sum()
        if few or np.any(self.wrong & ~self.finite):
            return np.inf
        wanted = (self.u * self.expected)[live]
        return float(np.max(np.abs(self.got[live] / wanted - 1)))


MOST = 0.4
"""A cast or a constant is seen at nearly every x; the rest are beyond the narrower dtype."""


def _shift(e: Evidence) -> bool:
    scale = np.maximum(np.maximum(np.abs(e.x), np.abs(e.expected)), 1)
    where = e.wrong & np.isfinite(e.x)
    small = np.abs(e.got - e.expected) <= 8 * e.precision.eps * scale
    lost = e.wrong & np.isfinite(e.x) & ~np.isfinite(e.got)
    return bool(where.any() and np.all(small[where]) and not lost.any())


def _grows(e: Evidence) -> bool:
    size = np.abs(e.x[e.wrong & np.isfinite(e.x)])
    return bool(size.size and np.all(size > 1))


def _overflows(e: Evidence) -> bool:
    """Wrong where |x| is large, and not finite where it is largest."""
    at = np.where(e.wrong & np.isfinite(e.x), np.abs(e.x), 0.0)
    return _grows(e) and not np.isfinite(e.got[np.argmax(at)])


DERIVATIVES = ("gradient", "native twin", "second derivative", "zero second derivative")

Rule = tuple[tuple[str, ...], Callable[[Evidence], bool], str]
RULES: tuple[Rule, ...] = (
    (
        ("value", "gradient", "native twin"),
        lambda e: bool(not np.any(e.wrong & np.isfinite(e.x)) and np.any(np.isnan(e.got[e.wrong]))),
        "NaN where x is infinite or NaN: inf - inf or 0 * inf inside",
    ),
    (
        DERIVATIVES,
        lambda e: not np.any(e.wrong & np.isfinite(e.x)),
        "not zero where x is infinite or NaN",
    ),
    (
        ("value",),
        lambda e: not np.any(e.wrong & np.isfinite(e.x)),
        "another value where x is infinite or NaN",
    ),
    (
        ("value", "slope", "gradient", "native twin", "second derivative"),
        _overflows,
        "not finite where |x| is large: something on the way overflows",
    ),
    (
        ("value", "slope", "gradient", "native twin", "second derivative"),
        lambda e: not np.any(np.isfinite(e.got[e.wrong])),
        "not finite: 0 / 0, or a branch that `where` does not select but whose derivative counts",
    ),
    (
        ("gradient", "native twin", "second derivative"),
        lambda e: bool(e.live.any() and not np.any(e.got[e.live])),
        "the gradient is lost: zero everywhere",
    ),
    (
        ("zero second derivative",),
        lambda e: True,
        "a second derivative although order is 1: the slope is not frozen",
    ),
    (DERIVATIVES, lambda e: e.agrees(-e.u), "the sign is flipped"),
    (
        DERIVATIVES,
        lambda e: bool(np.any(e.u != 1)) and e.agrees(np.ones_like(e.u)),
        "the upstream gradient is dropped: multiply by what comes in",
    ),
    (
        DERIVATIVES,
        lambda e: bool(np.any(e.u != 1)) and e.agrees(e.u * e.u),
        "the upstream gradient is applied twice",
    ),
    (
        DERIVATIVES,
        # Where the slope is a tail it amplifies what a narrower x has lost.
        lambda e: e.precision.bits == 53 and e.relative("float32", MOST) < 2.0**-15,
        "as exact as float32: a float32 constant or cast in a float64 slope",
    ),
    (
        DERIVATIVES,
        lambda e: bool(abs(e.factor - 1) > 64 * e.precision.eps and e.agrees(e.factor * e.u)),
        "scaled by {factor:.6g}",
    ),
    (
        ("value",),
        _shift,
        "the value is not exact: f(x) + x - sg(x), or the like, adds a rounding error",
    ),
    (("value", *DERIVATIVES), Evidence.near_kinks, "off at kinks alone, such as x = {x:.6g}"),
    (
        DERIVATIVES,
        Evidence.beside_kinks,
        "digits are lost beside a kink, such as x = {x:.6g}: a difference of nearly equal numbers",
    ),
    (
        DERIVATIVES,
        lambda e: (
            e.precision.bits >= 24
            and (e.relative("bfloat16", MOST) < 2.0**-6 or e.relative("float16", MOST) < 2.0**-9)
        ),
        "as exact as 16 bits: a cast to float16 or bfloat16 on the way",
    ),
    (
        DERIVATIVES,
        lambda e: e.precision.bits < 24 and e.relative(e.precision.name) < 8 * e.precision.eps,
        "rounded more than once: 16 bits are to be computed in float32",
    ),
    (
        ("value", *DERIVATIVES),
        lambda e: not np.any(e.wrong & (e.x >= 0)),
        "wrong for negative x alone",
    ),
    (
        ("value", *DERIVATIVES),
        lambda e: not np.any(e.wrong & (e.x <= 0)),
        "wrong for positive x alone",
    ),
    (
        DERIVATIVES,
        lambda e: _grows(e) and not np.any(e.got[e.wrong & np.isfinite(e.x)]),
        "zero in the tails, from |x| = {least:.6g}: cut off, or not finite, which counts as 0",
    ),
    (("value", *DERIVATIVES), _grows, "wrong in the tails, from |x| = {least:.6g}"),
    (("value",), lambda e: True, "another value than that of the definition"),
    (DERIVATIVES, lambda e: True, "another slope than that of the definition"),
)
"""For which quantities, when, and what is said."""


def diagnose(evidence: Evidence) -> str:
    """What is most likely the matter."""
    with np.errstate(all="ignore"):
        for quantities, fits, text in RULES:
            if evidence.quantity in quantities and fits(evidence):
                wrong = evidence.x[evidence.wrong]
                least = np.min(np.abs(wrong), initial=np.inf, where=~np.isnan(wrong))
                return text.format(factor=evidence.factor, x=wrong[0], least=least)
    raise AssertionError(f"no rule for {evidence.quantity}")
