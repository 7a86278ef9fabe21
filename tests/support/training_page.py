"""Writes the table of docs/training.md from docs/training/*.json, what `fgi train --json` wrote.

cd tests && python -m support.training_page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fgi.training.report import table

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"


def results() -> list[dict[str, Any]]:
    """The committed runs: by row before by pixel, ALIF before BRF, the frameworks in order."""
    runs = [json.loads(path.read_text()) for path in sorted((DOCS / "training").glob("*.json"))]
    order = ("torch", "jax", "tensorflow")
    return sorted(
        (run for run in runs if "history" in run),
        key=lambda run: (
            run["settings"]["seq_length"],
            run["settings"]["model"],
            order.index(run["settings"]["backend"]),
        ),
    )


def page() -> str:
    """The page with the table in its place."""
    text = (DOCS / "training.md").read_text()
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table(results()) + END + rest.partition(END)[2]


if __name__ == "__main__":
    (DOCS / "training.md").write_text(page())
