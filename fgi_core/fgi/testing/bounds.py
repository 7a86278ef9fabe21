"""How far from its reference a number may be: one table, rendered into ``docs/testing_bounds.md``.

``python -m fgi.testing.bounds`` prints the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["DOMAINS", "TABLE", "Bound", "bound", "domain", "page"]


@dataclass(frozen=True)
class Bound:
    """``ulps`` from the nearest right number at a point within ``points`` ulp of x.

    The latter are those of float32 in 16 bits, which are computed in float32.
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
PROMISED = (
    "the promise: frameworks evaluate exp and its like to 1 or 2 ulp, a tail amplifies the "
    "rounding of x"
)

TABLE: tuple[Bound, ...] = (
    Bound("value", "*", 0, 0, "a step, a sign, a rounded number is one number in every framework"),
    Bound("value that is computed", "*", 8, 2, "the terms of a primitive, in ulp of the largest"),
    Bound("gradient", "*16", 0.51, 0.5, ONCE),
    Bound("gradient", "float32", 4, 2, PROMISED),
    Bound(
        "gradient",
        "float64",
        3,
        1,
        "the reference is a float64 as well, by the same formula: exp and its like alone differ",
    ),
    Bound(
        "gradient that changes its sign",
        "*",
        0.5,
        0,
        "in eps of the largest slope of the row: a difference is as exact as its terms",
    ),
    Bound("native twin", "*", 0, 0, "the same operations, run one by one: the same bits"),
    Bound("zero second derivative", "*", 0, 0, "at order 1 nothing depends on x any more"),
    Bound(
        "second derivative",
        "*",
        64,
        0,
        "in eps of the largest second derivative of the row; the reference is a finite difference "
        "of the slope, itself good to 1e-7 of that",
    ),
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


def page(table: Iterable[Bound] = TABLE) -> str:
    """The table in Markdown."""
    lines = [
        "# What passes",
        "",
        "`fgi.testing` and `fgi check` compare every number with a reference. A number passes",
        "within so many ulp of a right number at a point within so many ulp of x (of the larger of",
        "x and the place that the surrogate subtracts, `mu` or `threshold`; for 16 bits in ulp of",
        "float32, which computes them). An ulp is the spacing of the dtype at the reference; of a",
        "slope at least 256 times the smallest normal number, times the peak of the slope:",
        "frameworks may flush to zero what is subnormal, a factor of the slope as well. The first",
        "row that fits counts.",
        "`tests/test_testing_bounds.py` halves each number and sees the catalogue fail.",
        "",
        "| quantity | dtype | mode | subject | ulp | ulp of x | because |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in table:
        cells = (row.quantity, row.dtype, row.mode, row.subject)
        named = " | ".join(
            "every" if cell == "*" else cell.replace("*16", "16 bits") for cell in cells
        )
        lines.append(f"| {named} | {row.ulps:g} | {row.points:g} | {row.why} |")
    lines += ["", "Nothing is compared beyond these |x|:", ""]
    lines += [f"- {name}, {limit:g}: {why}." for name, (limit, why) in DOMAINS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
