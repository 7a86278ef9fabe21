"""What finished rows say: ratios of neighbours, and the summary for the screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich import box
from rich.table import Table

from .measure import FLOOR
from .mechanisms import BASELINE, BY_HAND, VALUE_ALONE
from .workloads import WORKLOADS

__all__ = [
    "SUMMARY",
    "about",
    "groups",
    "load",
    "named",
    "native",
    "quartiles",
    "ratio",
    "summary",
    "table",
]

Row = Mapping[str, Any]


def load(path: Path) -> dict[str, Any]:
    """What ``fgi bench --json`` wrote.

    Errors: ValueError where it is no such file; OSError where it cannot be read.
    """
    content: dict[str, Any] = json.loads(path.read_text())
    if not {"machine", "date", "command", "frameworks", "rows"} <= set(content):
        raise ValueError(f"fgi bench: {path} is no result; expected what fgi bench --json wrote")
    return content


def groups(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    return list(found.values())


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return low, middle, high


def ratio(over: Row | None, under: Row | None, phase: str) -> float | None:
    """The median of the ratios of neighbours; None where one of the two has no such phase."""
    if over is None or under is None:
        return None
    pairs = zip(over["seconds"].get(phase, ()), under["seconds"].get(phase, ()), strict=False)
    ratios = [a / b for a, b in pairs if b > 0]
    return median(ratios) if ratios else None


def _ratio(over: Row | None, under: Row | None, phase: str) -> str:
    found = ratio(over, under, phase)
    return "" if found is None else f"{found:.2f}"


def summary(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """For each group: fgi over the best native mechanism, and at inference over f alone."""
    for group in groups(rows):
        by_name = {row["mechanism"]: row for row in group}
        ours = by_name.get(BASELINE)
        if ours is None or "error" in ours:
            first = group[0]
            yield (*named(first), "failed", "", "", "", "", "", first.get("error", "")[:40])
            continue
        best = native(by_name)
        yield (
            *named(ours),
            _ratio(ours, by_name.get(best), "both"),
            best,
            _ratio(ours, by_name.get(native(by_name, by_hand=True)), "both"),
            _ratio(ours, by_name.get("as published"), "both"),
            _ratio(ours, by_name.get(VALUE_ALONE), "inference"),
            _ratio(ours, by_name.get(FLOOR), "both"),
            f"{ours['differ']}" if "differ" in ours else "",
        )


def native(by_name: Mapping[str, Row], phase: str = "both", by_hand: bool = False) -> str:
    """The fastest of the framework's own mechanisms, or of its rules by hand; nothing for none."""
    own = {
        name: row
        for name, row in by_name.items()
        if "_" in name and name.endswith(BY_HAND) == by_hand
    }
    ours = by_name.get(BASELINE)
    others = {
        name: found for name, row in own.items() if (found := ratio(ours, row, phase)) is not None
    }
    return max(others, key=lambda name: others[name], default="")


SUMMARY = (
    "workload", "size", "surrogate", "framework", "execution", "training: fgi / native", "native",
    "fgi / by hand", "fgi / as published", "inference: fgi / f alone", "training / limit", "y != f",
)  # fmt: skip


def named(row: Row) -> tuple[str, ...]:
    dtype = "" if row["dtype"] == "float32" else f" {row['dtype']}"
    return (
        row["workload"],
        f"{WORKLOADS[row['workload']].unit}={row['size']}{dtype}",
        json.loads(row["surrogate"])["name"],
        row["framework"],
        row["execution"],
    )


def table(content: Mapping[str, Any]) -> Table:
    """The summary, for a screen of 100 columns."""
    result = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, caption=about(content))
    short = (
        "workload", "\nsize", "\nsurrogate", "\nframework", "\nexecution", "train:\n/native",
        "\nnative", "\n/hand", "\n/paper", "infer:\n/f", "train:\n/limit", "y\n!= f",
    )  # fmt: skip
    for i, heading in enumerate(short):
        result.add_column(heading, justify="right" if i in (5, 7, 8, 9, 10, 11) else "left")
    for cells in summary(content["rows"]):
        result.add_row(*cells)
    return result


def about(content: Mapping[str, Any]) -> str:
    """Hardware, versions, date and command, in one sentence."""
    frameworks = ", ".join(
        f"{name} {found['version']}"
        + (f" on {found['accelerator']}" if found["accelerator"] else "")
        + "".join(
            f", {key} {value}"
            for key, value in found.items()
            if key not in ("version", "accelerator")
        )
        for name, found in content["frameworks"].items()
    )
    return (
        f"{content['machine']}, load {content['load average before']} before; {frameworks}; "
        f"Python {content['python']}; {content['date']}; commit {content['commit']}; "
        f"{content['command']}"
    )
