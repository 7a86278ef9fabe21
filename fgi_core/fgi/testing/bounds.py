"""How far from its reference a number may be: one table, which ``page`` renders for the docs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["DOMAINS", "TABLE", "Bound", "bound", "domain", "page"]


@dataclass(frozen=True)
class Bound:
    """``ulps`` from the nearest right number at a point within ``points`` ulp of x.

    For the definitions of fgi the latter are those of float32 in 16 bits, which compute in float32.
    """

    quantity: str
    dtype: str
    ulps: float
    points: float
    why: str
    mode: str = "*"
    subject: str = "*"

    def holds_for(self, quantity: str, dtype: str, mode: str, subject: str) -> bool:
        return quantity == self.quantity and all(
            fnmatchcase(name, pattern)
            for name, pattern in (
                (dtype, self.dtype),
                (mode, self.mode),
                (subject.partition("(")[0], self.subject),
            )
        )


ONCE = "computed in float32 and rounded once: half an ulp, and what is off in float32"
EXACT = "a step, a sign, a rounded number is one number in every framework"
TERMS = "in ulp of the largest |value| where |x| <= 8: a sum is as exact as its terms"
PROMISED = (
    "frameworks have exp and its like within 1 or 2 ulp, and a tail amplifies the rounding of x"
)
DOUBLE = "the reference is a float64 too, by the same formula: exp and its like alone differ"
DIFFERENCE = "in eps of the largest slope of the row: a difference is as exact as its terms"
OWN = "in ulp of the largest where |x| <= 8: no definition is known, and autodiff's terms cancel"
TWIN = "the same operations, run one by one: the same bits"
WAVE = "a wave times an exponential: they react to x in opposite directions, and round on their own"
BOTH = (
    "the reference is a float64 too, so that the errors of both add up; and XLA multiplies by the "
    "rounded reciprocal of a number"
)
FROZEN = "at order 1 nothing depends on x any more"
LARGEST = "in eps of the largest of the row; order 2 differentiates the formula of the slope"
NUMERICAL = "as above; the reference is a difference of slopes, itself good to 1e-10"

TABLE: tuple[Bound, ...] = (
    Bound("value", "*", 0, 0, EXACT),
    Bound("value that is computed", "*16", 0.51, 0, f"{TERMS}; {ONCE}"),
    Bound("value that is computed", "float32", 8, 1, TERMS),
    Bound("value that is computed", "float64", 8, 0, f"{TERMS}; {DOUBLE}"),
    Bound("gradient", "float32", 32, 1, WAVE, subject="RefractorySigmoid"),
    Bound("gradient", "*16", 0.51, 0.25, f"{WAVE}; {ONCE}", subject="RefractorySigmoid"),
    Bound("gradient", "*16", 0.51, 0, ONCE),
    Bound("gradient", "float32", 4, 2, PROMISED),
    Bound("gradient", "float64", 12, 1, BOTH),
    Bound("value of a function", "*", 2, 0, OWN),
    Bound("gradient of a function", "*", 4, 0, OWN),
    Bound("gradient that changes its sign", "*", 0.25, 0, DIFFERENCE),
    Bound("native twin", "*", 0, 0, TWIN),
    Bound("zero second derivative", "*", 0, 0, FROZEN),
    Bound("second derivative", "*16", 0.51, 0, f"{LARGEST}; {ONCE}"),
    Bound("second derivative", "float32", 32, 0, LARGEST),
    Bound("second derivative", "float64", 2.0**19, 0, NUMERICAL),
)
"""The first that fits counts."""


DOMAINS = {
    "RefractorySigmoid": (
        3.0,
        "a wave times an exponential: of a large x the phase of the wave is not to be had",
    )
}
"""The |x| beyond which nothing is compared, and why."""


def domain(subject: str) -> float:
    return DOMAINS.get(subject.partition("(")[0], (math.inf, ""))[0]


def bound(
    quantity: str, dtype: str, mode: str, subject: str, table: Iterable[Bound] = TABLE
) -> Bound:
    """The bound of that quantity; where the table has none, ``LookupError``."""
    for row in table:
        if row.holds_for(quantity, dtype, mode, subject):
            return row
    raise LookupError(f"no bound for {quantity} in {dtype}")


INTRODUCTION = """\
`fgi.testing` and `fgi check` compare every number with a reference. A number passes within so many
ulp of a right number at a point within so many ulp of x: of the larger of x and the place that the
surrogate subtracts, `mu` or `threshold`; in 16 bits in ulp of float32, in which definitions
compute. An ulp is the spacing of the dtype at the reference, of a slope at least 256 times the
smallest normal number, times the peak of the slope: frameworks may flush to zero what is subnormal,
a factor of the slope as well. The first row that fits counts. `tests/test_testing_bounds.py` halves
each number and sees an honest surrogate fail."""


def page(table: Iterable[Bound] = TABLE) -> str:
    """The table in Markdown."""
    lines = [
        "# What passes",
        "",
        *INTRODUCTION.splitlines(),
        "",
        "| quantity | dtype | mode | subject | ulp | ulp of x | because |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in table:
        cells = (row.quantity, row.dtype, row.mode, row.subject)
        named = " | ".join(
            "every" if cell == "*" else cell.replace("*16", "16 bits") for cell in cells
        )
        lines.append(
            f"| {named} | {row.ulps:g} | {row.points:g} | {row.why.replace('|', '&#124;')} |"
        )
    lines += ["", "Nothing is compared beyond these |x|:", ""]
    lines += [f"- {name}, {limit:g}: {why}." for name, (limit, why) in DOMAINS.items()]
    return "\n".join(lines) + "\n"
