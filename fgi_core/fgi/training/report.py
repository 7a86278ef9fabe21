"""What is said about a run: how it came about, its numbers, a table of several."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fgi

from ..backend.dispatch import namespace, use_backend
from ..bench import provenance as machine
from ..storage import write
from .checkpoint import Checkpoint
from .compare import Comparison
from .settings import Settings

__all__ = ["of_comparison", "of_run", "save", "table", "verdict"]


def of_run(run: Checkpoint, command: str) -> dict[str, Any]:
    """Everything about a run, as what JSON can hold."""
    last = run.history[-1]
    return {
        **_how([run.settings.backend], command),
        "settings": run.settings.to_json(),
        "accuracy": last.accuracy,
        "train_accuracy": last.train_accuracy,
        "loss": last.loss,
        "seconds": sum(epoch.seconds for epoch in run.history),
        "history": [asdict(epoch) for epoch in run.history],
    }


def of_comparison(settings: Settings, found: Comparison, command: str) -> dict[str, Any]:
    """Everything about a comparison, as what JSON can hold."""
    return {
        **_how(found.backends, command),
        "settings": settings.to_json(),
        "comparison": found.to_json(),
    }


def _how(backends: Sequence[str], command: str) -> dict[str, Any]:
    versions = {}
    for name in backends:
        with use_backend(name):
            versions[name] = namespace().version
    made = machine.describe()
    made.pop("load average before", None)  # it is over
    return {
        "command": command,
        **made,
        "threads": os.environ.get("OMP_NUM_THREADS", "as the framework has it"),
        "fgi": fgi.__version__,
        "versions": versions,
    }


def save(content: Mapping[str, Any], path: Path) -> None:
    """One line of JSON. Errors: OSError where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, line(content).encode())


def line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, allow_nan=False) + "\n"


def verdict(run: Checkpoint) -> str:
    """The run in one sentence."""
    last, seconds = run.history[-1], sum(epoch.seconds for epoch in run.history)
    return (
        f"{run.settings.backend}: {run.settings.model}, {len(run.history)} epochs in "
        f"{seconds:.0f} s; test accuracy {100 * last.accuracy:.1f} %"
    )


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Runs as a table in Markdown, from what ``of_run`` returned."""
    rows = [
        "| data | steps | model | hidden | framework | test accuracy | train | epochs | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        of = run["settings"]
        (framework, version), *_ = run["versions"].items()
        cells = (
            of["data"],
            of["seq_length"],
            of["model"].upper(),
            of["hidden"],
            f"{framework} {version}",
            f"{100 * run['accuracy']:.1f} %",
            f"{100 * run['train_accuracy']:.1f} %",
            len(run["history"]),
            f"{run['seconds'] / 60:.1f}",
        )
        rows.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(rows) + "\n"
