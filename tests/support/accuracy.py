"""How far each slope is from the exact one, in each framework: ``python -m support.accuracy``.

Writes ``docs/accuracy.json`` and the table in ``docs/accuracy.md``; the tests measure the same and
hold it to the promise.
"""

from __future__ import annotations

import json
import platform
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from . import catalogue, exact, frameworks

DOCS = Path(__file__).parents[2] / "docs"
POINTS = 10_000
DTYPES = ("float32", "float64")
ULPS = 4.0
FARTHEST = {"RefractorySigmoid": 1e4}
"""Up to which |x|: of a larger one, the phase of the wave depends on digits of the threshold that no
number of the dtype has."""
BEGIN, END = "<!-- table -->", "<!-- /table -->"


def points(spike: Any, dtype: str, count: int = POINTS) -> np.ndarray[Any, Any]:
    """The grid over the whole range, the kinks of this surrogate, and random numbers."""
    kind = np.dtype(dtype)
    x = [exact.grid(kind), catalogue.sample(spike, dtype), exact.random(kind, count)]
    found = exact.finite(np.concatenate(x))
    return found[np.abs(found) <= FARTHEST.get(type(spike).__name__, np.inf)]


def slopes(spike: Any, x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """By framework; what is subnormal may be flushed to zero, which is no error."""
    found = {}
    for framework in frameworks.INSTALLED:
        with np.errstate(all="ignore"):
            y = spike.derivative(frameworks.to_framework(framework, x))
        found[framework] = frameworks.to_numpy(framework, y)
    return found


def measure(spike: Any, dtype: str, count: int = POINTS) -> dict[str, Any]:
    """The largest error of each framework and the largest difference between two, in ulp."""
    x = points(spike, dtype, count)
    reference = exact.Reference(spike, x)
    got = slopes(spike, x)
    wide = np.stack([y.astype(np.float64) for y in got.values()])
    normal = np.abs(x) >= exact.smallest_normal(x.dtype)  # below, some read x as 0
    between = float(np.max(((wide.max(0) - wide.min(0)) / reference.ulp)[normal]))
    errors = {framework: reference.worst(y) for framework, y in got.items()}
    return {
        "surrogate": type(spike).__name__,
        "dtype": dtype,
        "points": len(x),
        "ulp": {framework: round(error, 2) for framework, (error, _) in errors.items()},
        "at": {framework: where for framework, (_, where) in errors.items() if where == where},
        "between": round(between, 2),
    }


def table(rows: list[dict[str, Any]]) -> str:
    names = list(frameworks.ALL)
    lines = [
        f"| surrogate | dtype | {' | '.join(names)} | between two |",
        "| --- | --- |" + " ---: |" * (len(names) + 1),
    ]
    for row in rows:
        errors = " | ".join(f"{row['ulp'].get(name, float('nan')):.2f}" for name in names)
        lines.append(f"| {row['surrogate']} | {row['dtype']} | {errors} | {row['between']:.4g} |")
    return "\n".join(lines)


def main() -> None:
    from rich.progress import track

    jobs = [(spike, dtype) for spike in catalogue.DEFAULTS for dtype in DTYPES]
    rows = [measure(spike, dtype) for spike, dtype in track(jobs, "accuracy")]
    saved = {
        "command": "make accuracy",
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, CPU, Python {platform.python_version()}",
        "versions": {n: frameworks.backend(n).version for n in frameworks.INSTALLED},
        "rows": rows,
    }
    (DOCS / "accuracy.json").write_text(json.dumps(saved, indent=1) + "\n")
    page = (DOCS / "accuracy.md").read_text()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    versions = ", ".join(f"{name} {version}" for name, version in saved["versions"].items())
    made = f"`make accuracy`, {saved['date']}; {saved['machine']}; {versions}."
    (DOCS / "accuracy.md").write_text(f"{before}{BEGIN}\n{made}\n\n{table(rows)}\n{END}{after}")
    bounds = {type(spike).__name__: bound(spike) for spike in catalogue.DEFAULTS}
    over = [row for row in rows if max(row["ulp"].values()) > bounds[row["surrogate"]]]
    if over:
        raise SystemExit(f"over the bound:\n{table(over)}")


if __name__ == "__main__":
    main()
