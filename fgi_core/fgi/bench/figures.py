"""Pictures of results: against the native mechanisms, and the paper's network by length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from .mechanisms import BASELINE
from .page import REFERENCE, lengths, speed_up
from .report import groups, native

__all__ = ["figures"]

COLOURS = {"torch": "C3", "jax": "C0", "tensorflow": "C1"}


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    """Every picture by its path, ``results`` by the name of their file; nothing without numbers."""
    found = {}
    for name, content in results.items():
        if "peers" in content:
            continue
        for kind, made in (("training", _training), ("network-by-length", _by_length)):
            figure = made(content["rows"])
            if figure is not None:
                found[f"benchmarks/{name}-{kind}.svg"] = figure
    return found


def _training(rows: Any) -> Figure | None:
    """fgi over the fastest native mechanism: the median, and the middle half of the turns."""
    lines = []
    for group in groups(rows):
        by_name = {row["mechanism"]: row for row in group}
        ours, theirs = by_name.get(BASELINE), by_name.get(native(by_name))
        if ours is None or theirs is None or ours["workload"] == "call":
            continue
        pairs = zip(ours["seconds"]["both"], theirs["seconds"]["both"], strict=False)
        what = ours["workload"]
        if what == "elementwise":
            what = json.loads(ours["surrogate"])["name"]
        label = f"{ours['framework']}, {ours['execution']}: {what} {ours['size']}"
        lines.append((sorted(a / b for a, b in pairs), ours["framework"], label))
    if not lines:
        return None
    figure = Figure(figsize=(7, 0.2 * len(lines) + 0.9), layout="constrained")
    ax = figure.subplots()
    for i, (ratios, framework, _) in enumerate(lines):
        quarter = len(ratios) // 4
        colour = COLOURS.get(framework, "black")
        ax.plot([ratios[quarter], ratios[-1 - quarter]], [i, i], color=colour, lw=3, alpha=0.4)
        ax.plot(median(ratios), i, "o", color=colour, markersize=4)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set(xscale="log", xlabel="training: fgi / fastest native mechanism; bar: the middle half")
    ax.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    ax.set_xticks([], minor=True)
    ax.set_yticks(range(len(lines)), [label for _, _, label in lines], fontsize=7)
    ax.invert_yaxis()
    return figure


def _by_length(rows: Any) -> Figure | None:
    """How many times as fast as eager PyTorch, training and inference, by the number of steps."""
    rows = [row for row in rows if row["workload"] == "alif"]
    steps = lengths(rows)
    if len(steps) < 2:
        return None
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (phase, title) in zip(
        axes, (("both", "training"), ("inference", "inference")), strict=True
    ):
        for framework, execution, mechanism in dict.fromkeys(
            (row["framework"], row["execution"], row["mechanism"])
            for row in rows
            if row["mechanism"] in (BASELINE, REFERENCE[2])
        ):
            points = [
                (row["size"], faster)
                for row in rows
                if (row["framework"], row["execution"], row["mechanism"])
                == (framework, execution, mechanism)
                and (faster := speed_up(rows, row, phase)) is not None
            ]
            if points:
                ax.plot(
                    *zip(*sorted(points), strict=True),
                    "o-" if mechanism == BASELINE else "x--",
                    markersize=4,
                    label=f"{framework} {execution}, {mechanism}",
                )
        ax.set(xscale="log", yscale="log", xlabel="steps T", title=title)
        ax.set_xticks(steps, [str(size) for size in steps])
        ax.set_xticks([], minor=True)
        ax.axhline(1, color="black", linewidth=0.8)
    axes[0].set_ylabel("times as fast as eager PyTorch\nwith autograd.Function")
    drawn, labels = axes[0].get_legend_handles_labels()
    figure.legend(drawn, labels, loc="outside right upper", fontsize=6)
    return figure
