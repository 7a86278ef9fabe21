"""What a check found: rows, their summary, and the forms that other programs read."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["BAD", "Element", "Failure", "Report", "Row"]

OK, DIFFERS, ABSENT = "ok", "differs", "absent"
ERROR, CRASH, LIMIT = "error", "crash", "time limit"
BAD = (ERROR, CRASH, LIMIT)
"""What could not run."""


@dataclass(frozen=True)
class Element:
    """One number that differs. ``got`` and ``expected`` belong to the upstream gradient ``u``."""

    x: float
    u: float
    got: float
    expected: float
    ulps: float

    def __str__(self) -> str:
        distance = f"{self.ulps:.3g} ulp" if math.isfinite(self.ulps) else "no distance"
        return f"x = {self.x!r}: got {self.got!r}, expected {self.expected!r} ({distance})"


@dataclass(frozen=True)
class Failure:
    """What differs: the quantity, how often, the first and the worst element, the likely cause."""

    quantity: str
    cause: str
    count: int
    of: int
    seed: int
    first: Element | None = None
    worst: Element | None = None


@dataclass(frozen=True)
class Row:
    """One subject in one mode of one framework in one dtype."""

    subject: str
    framework: str
    mode: str
    dtype: str
    status: str
    ulps: float = 0.0
    """The largest distance of a gradient from the nearest right one."""
    relative: float = 0.0
    """The largest relative distance of a gradient from the reference at x itself."""
    comparisons: int = 0
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    @property
    def cell(self) -> tuple[str, str, str]:
        return self.framework, self.mode, self.dtype

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.subject, *self.cell

    def to_dict(self) -> dict[str, Any]:
        return _plain(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Row:
        def element(found: Any) -> Element | None:
            return None if found is None else Element(**{k: float(v) for k, v in found.items()})

        failures = tuple(
            Failure(**{**f, "first": element(f["first"]), "worst": element(f["worst"])})
            for f in row["failures"]
        )
        numbers = {name: float(row[name]) for name in ("ulps", "relative", "seconds")}
        return cls(**{**row, **numbers, "failures": failures})


def _plain(value: Any) -> Any:
    """As JSON has it: infinities and NaN are words."""
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


@dataclass
class Report:
    """What was checked, row by row. ``print(report)`` shows the table and every failure."""

    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    """False where the run was interrupted."""

    @property
    def failures(self) -> list[Row]:
        """The rows that differ."""
        return [row for row in self.rows if row.status == DIFFERS]

    @property
    def errors(self) -> list[Row]:
        """The rows that could not run; what an installed version lacks is not among them."""
        return [row for row in self.rows if row.status in BAD]

    @property
    def ok(self) -> bool:
        """Whether something ran, and all of it agreed."""
        ran = any(row.status == OK for row in self.rows)
        return ran and self.complete and not self.failures and not self.errors

    @property
    def exit_status(self) -> int:
        """0 where all agree, 1 where something differs, 2 where something could not run."""
        return 1 if self.failures else 0 if self.ok else 2

    def context(self, row: Row) -> str:
        """Who disagrees with a failing row: what the same subject does elsewhere."""
        same = [r for r in self.rows if r.subject == row.subject and r.dtype == row.dtype]
        mine = {r.mode: r.status for r in same if r.framework == row.framework}
        others = {
            name: [r.status for r in same if r.framework == name and r.status in (OK, DIFFERS)]
            for name in dict.fromkeys(r.framework for r in same)
            if name != row.framework
        }
        agree = [name for name, found in others.items() if found and set(found) == {OK}]
        told = []
        if mine.get("eager") == OK and row.mode != "eager":
            told.append("eager is right")
        if agree:
            told.append(f"{' and '.join(agree)} {'is' if len(agree) == 1 else 'are'} right")
        return "; ".join(told)

    def describe(self, row: Row) -> str:
        """One failing row in full."""
        framework = f"{row.framework} {self.versions.get(row.framework, '')}".strip()
        where = [row.subject, framework, row.mode, row.dtype]
        lines = [f"{', '.join(part for part in where if part not in ('', '*'))}: {row.status}"]
        if row.reason:
            lines.append(f"  {row.reason}")
        for failure in row.failures:
            lines.append(f"  {failure.quantity}: {failure.cause}")
            if failure.first is not None:
                lines.append(f"    {failure.count} of {failure.of}, seed {failure.seed}")
                lines.append(f"    first: {failure.first}")
            if failure.worst is not None and failure.worst != failure.first:
                lines.append(f"    worst: {failure.worst}")
        if context := self.context(row):
            lines.append(f"  {context}")
        return "\n".join(lines)

    def told(self) -> list[str]:
        """Every failing row, those of one subject, framework and cause together."""
        alike: dict[tuple[Any, ...], list[Row]] = {}
        for row in (*self.failures, *self.errors):
            causes = tuple((f.quantity, f.cause) for f in row.failures)
            alike.setdefault(
                (row.subject, row.framework, row.status, causes, row.reason), []
            ).append(row)
        found = []
        for first, *rest in alike.values():
            again = [f"{row.mode} {_short(row.dtype)}" for row in rest]
            same = f"\n  the same: {', '.join(again)}" if again else ""
            found.append(self.describe(first) + same)
        return found

    def summary(self) -> list[tuple[str, ...]]:
        """A line a framework and mode: cells, comparisons, the largest distance, the status."""
        grouped: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            grouped.setdefault((row.framework, row.mode), []).append(row)
        lines: list[tuple[str, ...]] = []
        for (framework, mode), rows in grouped.items():
            ran = [row for row in rows if row.status in (OK, DIFFERS)]
            counts = Counter(row.status for row in rows)
            bad = [f"{counts[status]} {status}" for status in (DIFFERS, *BAD) if counts[status]]
            status = ", ".join(bad) or (OK if ran else ABSENT)
            dtypes = " ".join(dict.fromkeys(_short(row.dtype) for row in ran))
            distance = max((row.ulps for row in ran), default=0.0)
            lines.append(
                (
                    framework,
                    mode,
                    dtypes,
                    str(len(ran)),
                    str(sum(row.comparisons for row in ran)),
                    f"{distance:.3g}" if ran else "",
                    status,
                )
            )
        return lines

    HEADINGS = ("framework", "mode", "dtypes", "cells", "numbers", "ulp", "status")

    def absences(self) -> list[str]:
        """What could not be asked for, each with its reason, once."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in self.rows:
            if row.status == ABSENT:
                found.setdefault((row.framework, row.mode, row.reason), []).append(row.dtype)
        return [
            f"{framework}, {mode}, {' '.join(dict.fromkeys(map(_short, dtypes)))}: {reason}"
            for (framework, mode, reason), dtypes in found.items()
        ]

    def verdict(self) -> str:
        subjects = len({row.subject for row in self.rows if row.subject})
        numbers = sum(row.comparisons for row in self.rows)
        counts = Counter(row.status for row in self.rows)
        told = ", ".join(f"{counts[s]} {s}" for s in (OK, DIFFERS, *BAD) if counts[s]) or "nothing"
        unfinished = "" if self.complete else "; interrupted"
        return f"{subjects} subjects, {numbers} numbers compared: {told}{unfinished}."

    def __str__(self) -> str:
        parts = [_text_table(self.HEADINGS, self.summary())]
        parts += self.told()
        if absences := self.absences():
            parts.append("\n".join(("absent:", *(f"  {line}" for line in absences))))
        if tiers := self.settings.get("tiers"):
            parts.append(f"tiers: {', '.join(tiers)}")
        return "\n\n".join((*parts, self.verdict()))

    def __rich__(self) -> Any:
        """The table alone, for ``rich.print``; rich is loaded where it is."""
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in self.HEADINGS:
            right = heading in ("cells", "numbers", "ulp")
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        for line in self.summary():
            colour = {OK: "green", ABSENT: "dim"}.get(line[-1], "red")
            table.add_row(*line[:-1], f"[{colour}]{line[-1]}[/]")
        return table

    def to_json(self, path: str | Path | None = None) -> str:
        """All of it as JSON; infinities and NaN are words. With ``path``, into that file too."""
        text = json.dumps(
            {
                "ok": self.ok,
                "complete": self.complete,
                "versions": self.versions,
                "settings": _plain(self.settings),
                "rows": [row.to_dict() for row in self.rows],
            },
            indent=1,
            allow_nan=False,
        )
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_junit(self, path: str | Path | None = None) -> str:
        """As JUnit's XML, which CI servers show: a suite a framework, a case a row."""
        root = ElementTree.Element("testsuites", name="fgi check")
        for framework in dict.fromkeys(row.framework for row in self.rows):
            rows = [row for row in self.rows if row.framework == framework]
            suite = ElementTree.SubElement(
                root,
                "testsuite",
                name=framework,
                tests=str(len(rows)),
                failures=str(sum(row.status == DIFFERS for row in rows)),
                errors=str(sum(row.status in BAD for row in rows)),
                skipped=str(sum(row.status == ABSENT for row in rows)),
            )
            for row in rows:
                case = ElementTree.SubElement(
                    suite,
                    "testcase",
                    classname=f"{framework}.{row.mode}",
                    name=f"{row.subject} {row.dtype}".strip(),
                    time=f"{row.seconds:.3f}",
                )
                if row.status == DIFFERS:
                    cause = row.failures[0].cause if row.failures else row.reason
                    ElementTree.SubElement(case, "failure", message=cause).text = self.describe(row)
                elif row.status in BAD:
                    found = ElementTree.SubElement(case, "error", message=row.status)
                    found.text = self.describe(row)
                elif row.status == ABSENT:
                    ElementTree.SubElement(case, "skipped", message=row.reason)
        text = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text


def _short(dtype: str) -> str:
    return {"bfloat16": "bf16"}.get(dtype, dtype.replace("float", "f"))


def _text_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = [headings, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 3 <= i <= 5 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )
