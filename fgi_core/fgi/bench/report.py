"""Tables from finished rows: for the screen, and for the page, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich import box
from rich.table import Table

from .measure import FLOOR
from .mechanisms import BASELINE, VALUE_ALONE
from .workloads import WORKLOADS

__all__ = ["load", "markdown", "page", "summary", "table"]

Row = Mapping[str, Any]

COLUMNS = (
    "framework", "execution", "surrogate", "size", "mechanism", "phase", "ms", "quartiles", "n",
    "fgi / this", "times the limit",
)  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    """What ``fgi bench --json`` wrote.

    Errors: ValueError where it is no such file; OSError where it cannot be read.
    """
    content: dict[str, Any] = json.loads(path.read_text())
    if not {"machine", "date", "command", "frameworks", "rows"} <= set(content):
        raise ValueError(f"fgi bench: {path} is no result; expected what fgi bench --json wrote")
    return content


def lines(rows: Sequence[Row]) -> Iterator[dict[str, str]]:
    """A line for each mechanism and phase, ratios within the turns of one process."""
    for group in _groups(rows):
        by_name = {row["mechanism"]: row for row in group}
        for row in group:
            known = {
                "framework": row["framework"],
                "execution": row["execution"],
                "surrogate": json.loads(row["surrogate"])["name"],
                "size": f"{WORKLOADS[row['workload']].unit} = {row['size']}"
                + (f", {row['dtype']}" if row["dtype"] != "float32" else ""),
                "mechanism": row["mechanism"],
            }
            if "error" in row:
                yield known | {"phase": "failed", "ms": row["error"][:60]}
                continue
            for phase, seconds in row["seconds"].items():
                low, middle, high = _quartiles(seconds)
                yield known | {
                    "phase": phase,
                    "ms": f"{1e3 * middle:.3g}",
                    "quartiles": f"{1e3 * low:.3g} to {1e3 * high:.3g}",
                    "n": str(len(seconds)),
                    "fgi / this": _ratio(by_name.get(BASELINE), row, phase),
                    "times the limit": _ratio(row, by_name.get(FLOOR), phase),
                }
            if "warm-up" in row and row["mechanism"] != FLOOR:
                yield known | {"phase": "warm-up", "ms": f"{1e3 * row['warm-up']:.0f}", "n": "1"}


def _groups(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    return list(found.values())


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
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
    for group in _groups(rows):
        by_name = {row["mechanism"]: row for row in group}
        ours = by_name.get(BASELINE)
        if ours is None or "error" in ours:
            first = group[0]
            yield (*_names(first), "failed", "", "", "", "", first.get("error", "")[:40])
            continue
        others = {
            name: found
            for name, row in by_name.items()
            if "_" in name and (found := ratio(ours, row, "both")) is not None
        }
        best = max(others, key=lambda name: others[name], default="")
        yield (
            *_names(ours),
            _ratio(ours, by_name.get(best), "both"),
            best,
            _ratio(ours, by_name.get("as published"), "both"),
            _ratio(ours, by_name.get(VALUE_ALONE), "inference"),
            _ratio(ours, by_name.get(FLOOR), "both"),
            f"{ours['differ']}" if "differ" in ours else "",
        )


SUMMARY = (
    "workload", "size", "surrogate", "framework", "execution", "training: fgi / native", "native",
    "fgi / as published", "inference: fgi / f alone", "training / limit", "y != f",
)  # fmt: skip


def _names(row: Row) -> tuple[str, ...]:
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
        "\nnative", "\n/paper", "infer:\n/f", "train:\n/limit", "y\n!= f",
    )  # fmt: skip
    for i, heading in enumerate(short):
        result.add_column(heading, justify="right" if i in (5, 7, 8, 9, 10) else "left")
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


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    made = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    made += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(made) + "\n"


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of all results, ``results`` by the name of their file."""
    parts = [INTRODUCTION]
    if not any(content["device"] != "cpu" for content in results.values()):
        parts.append(
            "**No GPU results yet**: no machine with a GPU could be had. `make bench` with "
            "`--device cuda` makes them.\n"
        )
    for name, content in results.items():
        parts.append(f"## {name}\n\n{about(content)}\n")
        for workload in dict.fromkeys(row["workload"] for row in content["rows"]):
            rows = [row for row in content["rows"] if row["workload"] == workload]
            parts.append(f"### {workload}\n\n{WORKLOADS[workload].covers.capitalize()}.\n")
            parts.append(markdown(SUMMARY[1:], (cells[1:] for cells in summary(rows))))
            every = ([line.get(c, "") for c in COLUMNS] for line in lines(rows))
            parts.append(
                f"<details><summary>every mechanism and phase</summary>\n\n"
                f"{markdown(COLUMNS, every)}\n</details>\n"
            )
    return "\n".join(parts)


INTRODUCTION = """# Timings

Made by `fgi bench --report` from the committed results; do not edit.

*fgi / native* is the time of forward and backward with fgi over that with the fastest of the
framework's own custom-gradient mechanisms; below 1 fgi is faster. *Inference* is fgi where no
derivative can be asked for, over f alone. *Limit* is, element by element, the time to read and
write the arrays once at the speed of a negation in the same process, and for networks that of
their matrix products alone; the ratio to it is below 1 where a negation, too, mostly waits for
memory to be handed out. Mechanisms run in turns in one process; every ratio is the median over the
ratios of neighbours. `y != f` counts the elements whose value is not f(x).
"""
