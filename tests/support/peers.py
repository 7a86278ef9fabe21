"""What 24 libraries returned, against the presets that bear their names.

A record is one function of a library with its parameters, on one grid, in one dtype: the numbers
that the library itself returned, right or wrong. Values have to be equal; a slope has to be within
4 ulp of ours, or of the exact slope at a point within 2 ulp of x. What differs beyond that is in
``known_differences.toml``, with the reason, and nothing may be in there that does not differ.
"""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fgi
from fgi.surrogates.surrogate import Primitive

from . import exact

DATA = Path(__file__).parents[1] / "data"
DOCS = Path(__file__).parents[2] / "docs"
Numpy = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Record:
    """One entry of a golden index, with its arrays."""

    index: Mapping[str, Any]
    arrays: Any = field(repr=False)

    @property
    def preset(self) -> str:
        return f"{self.index['peer']}.{self.index['function']}"

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.index["params"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the input; float32 where the library made float32 of it on the way."""
        dtypes = [
            self.index[k] for k in ("dtype", "forward_dtype", "grad_dtype") if k in self.index
        ]
        return np.dtype("float32" if "float32" in dtypes else "float64")

    def __str__(self) -> str:
        i = self.index
        return f"{self.preset}({i['params']}) {i['dtype']} {i['grid']}"

    def __getitem__(self, key: str) -> Numpy | None:
        name = self.index.get(key)
        return None if name is None else self.arrays[name]


@dataclass(frozen=True)
class Difference:
    """A known difference: where, how much at most, and why."""

    presets: list[str]
    reason: str
    what: str = "slope"
    where: str = "True"
    within: float = float("inf")
    """In eps times the largest value or slope of the record."""
    eps: str = ""
    """Of this dtype; else of the record's."""
    dtype: str = "*"
    grid: str = "*"

    def concerns(self, record: Record, what: str) -> bool:
        return (
            what == self.what
            and record.preset in self.presets
            and fnmatch.fnmatch(record.index["dtype"], self.dtype)
            and fnmatch.fnmatch(record.index["grid"], self.grid)
        )

    def region(self, record: Record) -> Numpy:
        x = record["x"]
        assert x is not None
        scope = {"x": x, "abs": np.abs, "isinf": np.isinf, "isnan": np.isnan, "inf": np.inf}
        with np.errstate(all="ignore"):
            inside = eval(self.where, {**scope, "isfinite": np.isfinite, **record.params})
        return np.broadcast_to(np.asarray(inside, bool), x.shape)


@cache
def records() -> tuple[Record, ...]:
    found = []
    for path in sorted((DATA / "golden").glob("*.json")):
        index = json.loads(path.read_text())
        arrays = dict(np.load(path.with_name(index["arrays"])))
        found += [Record(record, arrays) for record in index["records"]]
    return tuple(found)


@cache
def differences() -> tuple[Difference, ...]:
    table = tomllib.loads((DATA / "known_differences.toml").read_text())
    return tuple(Difference(**entry) for entry in table["difference"])


@cache
def not_expressible() -> Mapping[str, str]:
    """Functions that no local linear rule can be, and why."""
    table = tomllib.loads((DATA / "known_differences.toml").read_text())
    return dict(table["not_expressible"])


def spike(record: Record) -> fgi.Surrogate:
    return fgi.surrogates.preset(record.preset, **record.params)


def compare(record: Record) -> Iterator[tuple[str, Numpy, Numpy, Numpy]]:
    """("value" or "slope", ours, theirs, where they differ) for what the library returned."""
    surrogate: Any = spike(record)
    x = record["x"]
    assert x is not None
    # Any numbers will do: what depends on them was not recorded.
    key = np.full(x.shape, 0.5, x.dtype) if surrogate._is_random else None
    smooth = isinstance(surrogate.forward, Primitive)
    with np.errstate(all="ignore"):
        value, slope = surrogate(x, key), surrogate.derivative(x, key)
        slope = np.where(np.isfinite(x), slope, 0.0).astype(x.dtype)
    for what, ours, theirs in (
        ("value", value, record["forward"]),
        ("slope", slope, record["grad"]),
    ):
        if theirs is None:
            continue
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        if what == "slope" or smooth:
            left = "g'(x)" if what == "slope" else "g(x)"
            same |= close(surrogate, x, ours, theirs, record.dtype, left)
        yield what, ours, theirs, ~same


def close(
    surrogate: Any, x: Numpy, ours: Numpy, theirs: Numpy, dtype: np.dtype[Any], left: str
) -> Numpy:
    """Within 4 ulp of ours; else, of the exact slope at a point within 2 ulp of x."""
    tiny = float(np.finfo(dtype).tiny)
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(ours.astype(np.float64)), tiny)
        ulp = np.maximum(np.spacing(scale.astype(dtype)).astype(np.float64), tiny)
        found = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)) <= 4 * ulp
    right = exact.Slope(surrogate, dtype, left)
    if left in right.exact:
        for i in np.flatnonzero(~found & np.isfinite(x) & np.isfinite(theirs)):
            found[i] = right.error(x[i], theirs[i], 2) <= 4
    return found


def covered(entry: Difference, record: Record, ours: Numpy, theirs: Numpy) -> Numpy:
    """Where the entry allows what the two are to differ."""
    with np.errstate(all="ignore"):
        peak = np.max(np.abs(ours[np.isfinite(ours)]), initial=0.0)
        bound = entry.within * np.finfo(entry.eps or record.dtype).eps * peak
        return entry.region(record) & ~(np.abs(ours - theirs) > bound)


def unexplained(
    record: Record, leaving_out: Difference | None = None
) -> dict[str, tuple[Numpy, Numpy, Numpy]]:
    """What differs and is not in the table: (x, ours, theirs) by "value" or "slope"."""
    found = {}
    for what, ours, theirs, differ in compare(record):
        x = record["x"]
        assert x is not None
        for entry in differences():
            if entry is not leaving_out and entry.concerns(record, what):
                differ = differ & ~covered(entry, record, ours, theirs)
        if differ.any():
            found[what] = (x[differ], ours[differ], theirs[differ])
    return found


def needed(entry: Difference, record: Record) -> bool:
    """Whether something in the record differs that this entry alone explains."""
    if "error" in record.index:
        return entry.what == "error"
    return entry.what in unexplained(record, leaving_out=entry)


def verdict(record: Record) -> str:
    """One word for the tally."""
    if record.preset in not_expressible():
        return "not expressible"
    if "error" in record.index:
        return "library raises"
    if not any(differ.any() for _, _, _, differ in compare(record)):
        return "reproduced"
    return (
        "known difference, x not finite"
        if record.index["grid"] == "special"
        else "known difference"
    )


def tally() -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for record in records():
        found.setdefault(record.index["peer"], Counter())[verdict(record)] += 1
    return found


COLUMNS = (
    "reproduced",
    "known difference",
    "known difference, x not finite",
    "library raises",
    "not expressible",
)


def table(found: Mapping[str, Counter[str]]) -> str:
    lines = [f"| library | records | {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * 6]
    total: Counter[str] = Counter()
    for peer, counts in sorted(found.items()):
        total += counts
        cells = [str(sum(counts.values())), *(str(counts[column]) for column in COLUMNS)]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    cells = [str(sum(total.values())), *(str(total[column]) for column in COLUMNS)]
    return "\n".join([*lines, f"| all | {' | '.join(cells)} |"])


def known() -> str:
    """The table of known differences."""
    lines = ["| what | where | reason | functions |", "| --- | --- | --- | --- |"]
    for entry in differences():
        where = entry.where.replace("|", "\\|")
        at = {"error": "", "value": f"`{where}`", "slope": f"`{where}`"}[entry.what]
        names = ", ".join(f"`{preset}`" for preset in entry.presets)
        lines.append(f"| {entry.what} | {at} | {entry.reason} | {names} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tally and write both tables into ``docs/peers.md``: ``make peers``."""
    counts = table(tally())
    print(counts)
    page = (DOCS / "peers.md").read_text()
    for name, text in (("tally", counts), ("known", known())):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, after = page.partition(begin)[0], page.partition(end)[2]
        page = f"{before}{begin}\n{text}\n{end}{after}"
    (DOCS / "peers.md").write_text(page)


if __name__ == "__main__":
    main()
