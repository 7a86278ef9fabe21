"""Every input against f and the exact slope: ``cd tests && python -m support.exhaustive``.

Each surrogate of the catalogue runs on all float16 and bfloat16 numbers and on a million float32
bit patterns, in each framework, eager and compiled, with the fast paths and without. Rows are saved
in ``benchmarks/results/exhaustive.json`` one by one, and an interrupted run resumes there;
``docs/exhaustive.md`` is made from them.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import logging
import os
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgi.bench.provenance import describe
from fgi.testing.bounds import bound

from . import catalogue, frameworks
from .combinations import (
    DRAWN,
    DTYPES,
    FAILS,
    FLUSHED,
    HOLDS,
    HOLDS_BUT,
    READ_AS_ZERO,
    SEED,
    SUBNORMAL,
    Fault,
    Reference,
    Row,
    Way,
    inputs,
    measure,
    ways,
)
from .exact_arrays import WIDE

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/exhaustive.json"
PAGE = ROOT / "docs/exhaustive.md"

BEGINNING = """\
# Every input

`make exhaustive` runs each surrogate of the catalogue, with its default parameters, at these inputs:

- all 65,536 numbers of float16 and all 65,536 of bfloat16,
- {drawn:,} float32 bit patterns drawn with the seed {seed}, and the kinks, subnormal numbers,
  infinities and NaN of `tests/support/exact.py`.

It runs each framework, eager and compiled, with the fast paths on and off (`fgi.use_fast_paths`). A
combination is one surrogate, one framework and mode, one dtype, and the fast paths on or off. It
holds if all of this is true at every input:

| what | compared with | tolerance |
| --- | --- | --- |
| value | f(x), computed by NumPy alone | none: the same bits; any NaN equals any NaN |
| gradient where x is finite | upstream gradient times the exact slope, rounded once | float32: {wide} ulp of the slope at a point within {points} ulp of x; 16 bits: {half} ulp of the slope at x |
| gradient where x is infinite or NaN | 0 | none |

The upstream gradients alternate between 1.5, -1.5, 0.75, -3 and 2.5. Random surrogates get the same
random numbers everywhere. An ulp is the spacing of the dtype at that number, but for a slope at least
256 times the smallest normal number of float32, times the peak of the slope. "Within 2 ulp of x" means
2 ulp of the larger of x and the place that the surrogate subtracts (`mu` or `threshold`). No surrogate
has a wider tolerance than this one.

The exact slope is the equation in the docstring, not the code. NumPy evaluates it in float64 and in
long double ({bits}). Where these two differ by more than 1/64 ulp, and for fractions of numbers from
2^60 on, mpmath evaluates it in 50 digits or more (`tests/support/exact_arrays.py`). f(x) is what the
NumPy backend returns. The column numpy compares that with the equation in the docstring too, up to
the sign of a zero and for every x but NaN, and compares `derivative(x)` with the exact slope.
"""  # noqa: E501


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def executions(found: Sequence[Way]) -> str:
    """Ways in words: those with the fast paths on and off together."""
    both: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for way in found:
        both[way.framework, way.mode].append(way.fast)
    words = []
    for (framework, mode), fast in both.items():
        alone = {(True,): ", fast paths on", (False,): ", fast paths off"}.get(tuple(fast), "")
        words.append(f"{framework} {mode}{alone if framework != 'numpy' else ''}")
    return "; ".join(words)


def mark(rows: Sequence[Row]) -> str:
    """How many of the dtypes hold; with an s where some of them do but for subnormal numbers."""
    if not rows:
        return "-"
    held = [row for row in rows if row.outcome != FAILS]
    return f"{len(held)}{'s' if any(row.outcome == HOLDS_BUT for row in held) else ''}"


def table(rows: Sequence[Row]) -> list[str]:
    columns = list(dict.fromkeys((way.framework, way.mode) for way in ways()))
    lines = [
        f"| surrogate | {' | '.join(f'{framework} {mode}' for framework, mode in columns)} |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for name in catalogue.CLASSES:
        found = []
        for framework, mode in columns:
            these = [
                row
                for row in rows
                if (row.surrogate, row.framework, row.mode) == (name, framework, mode)
            ]
            marks = [mark([row for row in these if row.fast is fast]) for fast in (True, False)]
            alone = framework == "numpy" or marks[0] == marks[1]
            found.append(marks[0] if alone else " / ".join(marks))
        lines.append(f"| {name} | {' | '.join(found)} |")
    return lines


def grouped(rows: Sequence[Row], reasons: Sequence[str]) -> list[str]:
    """Faults for these reasons: surrogates that have one in the same ways in one line."""
    places: dict[tuple[str, str, str, str], list[Way]] = defaultdict(list)
    counts: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for row in rows:
        for fault in row.faults:
            if fault.reason in reasons:
                key = fault.quantity, fault.reason, row.dtype, row.surrogate
                places[key].append(Way(row.framework, row.mode, row.fast))
                counts[key].append(fault.inputs)
    merged: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    most: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for (quantity, reason, dtype, surrogate), found in places.items():
        line = quantity, reason, executions(found), dtype
        merged[line].append(surrogate)
        most[line] = max(most[line], *counts[quantity, reason, dtype, surrogate])
    lines = [
        "| quantity | reason | where | dtype | surrogates | inputs, at most |",
        "| --- | --- | --- | --- | --- | ---: |",
    ]
    for line in sorted(merged):
        lines.append(f"| {' | '.join(line)} | {', '.join(merged[line])} | {most[line]} |")
    return lines


def number(value: float) -> str:
    return f"{value:.9g}"


def failures(rows: Sequence[Row]) -> list[str]:
    """Each failure by itself, with its worst input."""
    found: dict[tuple[str, str, str, str], list[tuple[Way, Fault]]] = defaultdict(list)
    for row in rows:
        for fault in row.faults:
            if fault.reason not in SUBNORMAL:
                key = row.surrogate, row.dtype, fault.quantity, fault.reason
                found[key].append((Way(row.framework, row.mode, row.fast), fault))
    lines = [
        "| surrogate | dtype | what is wrong | where | inputs, at most | worst x | upstream | got "
        "| expected | error in ulp |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (surrogate, dtype, _, reason), faults in sorted(found.items()):
        worst = max((fault for _, fault in faults), key=lambda fault: fault.ulp)
        most = max(fault.inputs for _, fault in faults)
        numbers = [number(v) for v in (worst.x, worst.upstream, worst.got, worst.expected)]
        lines.append(
            f"| {surrogate} | {dtype} | {reason} | {executions([way for way, _ in faults])} "
            f"| {most} | {' | '.join(numbers)} | {worst.ulp:.3g} |"
        )
    raised = [row for row in rows if row.raised]
    if not found:
        lines = []
    if raised:
        lines += ["", "These raised an error:", ""]
        lines += [
            f"- {row.surrogate}, {row.dtype}, {executions([row.key[1]])}: `{row.raised}`"
            for row in raised
        ]
    return lines


def errors(rows: Sequence[Row]) -> list[str]:
    """The largest error of each surrogate that is within tolerance, over all ways to run it."""
    lines = [
        "| surrogate | float32, ulp | 16 bits, ulp | right for a point beside x | tiny |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in catalogue.CLASSES:
        these = [row for row in rows if row.surrogate == name]
        wide = [row.ulp for row in these if row.dtype == "float32"]
        half = [row.ulp for row in these if row.dtype != "float32"]
        numbers = [f"{max(ulps):.2f}" if ulps else "-" for ulps in (wide, half)]
        nearby = max((row.nearby for row in these), default=0)
        tiny = max((row.tiny for row in these), default=0)
        lines.append(f"| {name} | {' | '.join(numbers)} | {nearby} | {tiny} |")
    return lines


def page(saved: Saved) -> str:
    rows, header = saved.rows, saved.header
    order = {way: i for i, way in enumerate(ways())}
    rows = sorted(rows, key=lambda row: order[row.key[1]])
    wide, half = (bound("gradient", dtype, "*", "") for dtype in ("float32", "float16"))
    counts = {o: sum(row.outcome == o for row in rows) for o in (HOLDS, HOLDS_BUT, FAILS)}
    wanted = len(catalogue.CLASSES) * len(DTYPES) * len(order)
    compared = sum(row.inputs for row in rows)
    measured = [
        f"{made['date']} at commit {made['commit']} ({sum(row.code == k for row in rows):,} rows)"
        for k, made in saved.sources.items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in header["versions"].items())
    lines = [
        BEGINNING.format(
            drawn=header["drawn"], seed=header["seed"], bits=header["long double"],
            wide=f"{wide.ulps:g}", points=f"{wide.points:g}", half=f"{half.ulps:g}",
        ),
        "## Results",
        "",
        f"`{header['command']}`; {header['machine']}; Python {header['python']}; {versions}. "
        f"Measured {listed(measured)}.",
        "",
        "| combinations | |",
        "| --- | ---: |",
        f"| measured, of {wanted:,} | {len(rows):,} |",
        f"| hold at every input | {counts[HOLDS]:,} |",
        f"| hold but for subnormal numbers | {counts[HOLDS_BUT]:,} |",
        f"| fail | {counts[FAILS]:,} |",
        f"| values and gradients compared | {2 * compared:,} |",
        "",
        "Each entry is the number of dtypes that hold, of three. An s says that some of them hold "
        "only but for subnormal numbers. Where the fast paths make a difference, there are two "
        "entries: on / off.",
        "",
        *table(rows),
        "",
    ]  # fmt: skip
    if counts[FAILS]:
        lines += ["## Failures", "", *failures(rows), ""]
    if any(fault.reason in SUBNORMAL for row in rows for fault in row.faults):
        lines += [
            "## Subnormal numbers",
            "",
            "XLA and TensorFlow take a float32 or bfloat16 below the smallest normal number for 0. "
            "Their own `x > 0` is False there too.",
            "",
            *grouped(rows, [READ_AS_ZERO, FLUSHED]),
            "",
        ]
    lines += [
        "## Errors within tolerance",
        "",
        "The largest error of a slope in any framework and mode, without the failures above. It is "
        "the gradient divided by the upstream gradient, so that it includes the rounding of that "
        "product. The next column counts inputs whose slope is within 4 ulp only at a point beside "
        "x, the last those that differ by less than 256 smallest normal numbers times the peak. "
        "Both are the largest count in one combination.",
        "",
        *errors(rows),
    ]
    return "\n".join(lines).rstrip() + "\n"


def code() -> str:
    """A digest of what is measured and of what measures it."""
    folders = (ROOT / "fgi_core", ROOT / "backends")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    files += [
        Path(__file__).with_name(f"{n}.py") for n in ("combinations", "exact_arrays", "exact")
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def settings() -> dict[str, Any]:
    """What rows of one table have in common."""
    made = describe()
    return {
        "command": "make exhaustive",
        "machine": made["machine"],
        "python": made["python"],
        "versions": {name: frameworks.backend(name).version for name in frameworks.INSTALLED},
        "drawn": DRAWN,
        "seed": SEED,
        "long double": f"{np.finfo(WIDE).nmant + 1} bits",
    }


class Saved:
    """The rows in the file, and those that are added to it."""

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any] | None = None,
        keep: Callable[[Row], bool] = lambda row: True,
    ) -> None:
        """Rows of these settings that are to be kept; without settings, whatever is in the file."""
        saved = json.loads(path.read_text("utf-8")) if path.exists() else None
        self.path, self.header = path, dict(saved["settings"] if header is None else header)
        self.rows: list[Row] = []
        self.sources: dict[str, dict[str, str]] = {}
        """When, and from which commit, the code of a digest was measured."""
        if saved is None:
            return
        differ = [k for k in self.header if saved["settings"].get(k) != self.header[k]]
        if differ:
            print(f"{path.name} was measured with another {', '.join(differ)}: begun anew")
            return
        self.rows = [row for row in map(Row.from_dict, saved["rows"]) if keep(row)]
        if left := len(saved["rows"]) - len(self.rows):
            print(f"{left} rows of {path.name} are measured anew")
        used = {row.code for row in self.rows}
        self.sources = {k: v for k, v in saved["sources"].items() if k in used}

    def add(self, row: Row) -> None:
        """Keep the row, in the file too: whole before or whole after, whenever it is killed."""
        self.rows.append(row)
        if row.code not in self.sources:
            made = describe()
            commit = made["commit"] or "unknown"
            self.sources[row.code] = {"commit": commit, "date": made["date"]}
        head = {"settings": self.header, "sources": self.sources}
        lines = ",\n".join(json.dumps(row.to_dict(), allow_nan=False) for row in self.rows)
        text = json.dumps(head)[:-1] + f',\n"rows": [\n{lines}\n]}}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".part")
        temporary.write_text(text, "utf-8")
        os.replace(temporary, self.path)


def selection() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m support.exhaustive")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--surrogates", default=",".join(catalogue.CLASSES))
    parser.add_argument("--frameworks", default=",".join(frameworks.INSTALLED))
    parser.add_argument(
        "--keep", action="store_true",
        help="keep rows of other code that are not selected; else they are measured anew",
    )  # fmt: skip
    found = parser.parse_args()
    for name in ("dtypes", "surrogates", "frameworks"):
        setattr(found, name, getattr(found, name).split(","))
    return found


def main() -> None:
    asked, now = selection(), code()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # TensorFlow counts how often it traces

    def keep(row: Row) -> bool:
        selected = (
            row.dtype in asked.dtypes
            and row.surrogate in asked.surrogates
            and row.framework in asked.frameworks
        )
        known = row.surrogate in catalogue.CLASSES
        return known and (row.code == now or (asked.keep and not selected))

    saved = Saved(RESULTS, settings(), keep)
    done = {row.key for row in saved.rows}
    for dtype in asked.dtypes:
        x = inputs(dtype)
        for name in asked.surrogates:
            todo = [way for way in ways(asked.frameworks) if (name, way, dtype) not in done]
            if not todo:
                continue
            start = time.monotonic()
            reference = Reference(catalogue.CLASSES[name](), x)
            for way in todo:
                row = measure(way, reference)
                row.code = now
                saved.add(row)
                if row.outcome == FAILS:
                    reasons = [f"{fault.reason} at {fault.inputs}" for fault in row.faults]
                    print(f"{dtype} {name} {way}: {row.raised or '; '.join(reasons)}", flush=True)
            print(f"{dtype} {name}: {time.monotonic() - start:.0f} s", flush=True)
            gc.collect()
    PAGE.write_text(page(saved), "utf-8")
    failed = sum(row.outcome == FAILS for row in saved.rows)
    if failed:
        sys.exit(f"{failed} of {len(saved.rows)} combinations fail: see {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
