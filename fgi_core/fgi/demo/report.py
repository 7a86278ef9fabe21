"""What the demo shows: progress bars, the table, the figure."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import fgi

from ..surrogates.surrogate import Surrogate
from .comparison import TIMED_EPOCHS, Outcome

__all__ = ["figure", "progress", "save", "table"]


@contextmanager
def progress(console: Console, names: Sequence[str], epochs: int) -> Iterator[Any]:
    """A bar for each framework; yields what ``compare`` calls after an epoch."""
    columns = (
        TextColumn("{task.fields[framework]:<11}"),
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        total = epochs + TIMED_EPOCHS + 1
        tasks = {
            name: bars.add_task("waiting", framework=name, total=total, start=False)
            for name in names
        }

        def advance(name: str, phase: str) -> None:
            bars.start_task(tasks[name])
            bars.update(tasks[name], advance=1, description=phase)

        yield advance


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def table(outcomes: Sequence[Outcome]) -> Table:
    """Framework by framework, against the first of them."""
    reference = outcomes[0].backend
    result = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        caption=f"{machine()}, {date.today().isoformat()}; float64 gradients, float32 training",
    )
    for heading in (
        "\nframework",
        "\nversion",
        "first batch\nloss",
        f"gradient\n-{reference}'s",
        "test\naccuracy",
        "s/epoch\nfgi",
        "s/epoch\nnative",
        "fgi/\nnative",
    ):
        result.add_column(heading, justify="right", no_wrap=True)
    for o in outcomes:
        result.add_row(
            o.backend,
            o.version,
            f"{o.first_loss:.10f}",
            f"{o.gradient_difference:.1e}",
            f"{100 * o.accuracy:.1f} %",
            f"{median(o.seconds['fgi']):.3f}",
            f"{median(o.seconds['native']):.3f}",
            f"{o.ratio:.2f}",
        )
    return result


def figure(outcomes: Sequence[Outcome], spike: Surrogate) -> Figure:
    """Learning curves, a spike raster and the slope, side by side."""
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        drawn = Figure(figsize=(10, 3), layout="constrained")
        curves, raster, slope = drawn.subplots(1, 3)
        for o in outcomes:
            curves.plot(
                range(1, len(o.accuracies) + 1), 100 * np.array(o.accuracies), label=o.backend
            )
        curves.set(xlabel="epoch", ylabel="test accuracy, %", title="one network, every framework")
        curves.legend(frameon=False)

        steps, neurons = np.nonzero(np.array(outcomes[0].raster))
        raster.scatter(steps + 1, neurons, s=5, marker="|", color="black")
        raster.set(xlabel="time step", ylabel="neuron", title="spikes of a test digit")

        x = np.linspace(-2, 2, 401)
        slope.plot(x, spike(x), color="black", label="value f(x)")
        slope.plot(x, spike.derivative(x), color="C3", label="derivative g'(x)")
        slope.set(xlabel="membrane - threshold", title=repr(spike))
        slope.legend(frameon=False, loc="center right")
    return drawn


def save(outcomes: Sequence[Outcome], spike: Surrogate, out: Path, command: str) -> list[Path]:
    """The figure and the numbers behind the table, as files; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    picture, numbers = out / "demo.png", out / "demo.json"
    figure(outcomes, spike).savefig(picture, dpi=120)
    content = {
        "command": command,
        "date": date.today().isoformat(),
        "machine": machine(),
        "fgi": fgi.__version__,
        "surrogate": repr(spike),
        "frameworks": [o.to_json() for o in outcomes],
    }
    numbers.write_text(json.dumps(content, indent=1))
    return [picture, numbers]
