"""``fgi demo``: one network, written once, trained in every framework on handwritten digits."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import fgi

from . import shell
from .shell import console, invoked, missing

__all__ = ["demo"]


class Reading(StrEnum):
    row = "row"
    pixel = "pixel"


def demo(
    backend: Annotated[
        list[str] | None,
        typer.Option(help="A framework to run; again for another. Default: all installed."),
    ] = None,
    surrogate: Annotated[
        str, typer.Option(help="As for `fgi plot`: atan, atan:alpha=3, or JSON.")
    ] = '{"name": "gaussian", "sigma": 0.5, "height": 0.5}',
    by: Annotated[Reading, typer.Option(help="Read the digits in 8 rows or in 64 pixels.")] = (
        Reading.row
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 60,
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")] = Path(
        "demo-out"
    ),
) -> None:
    """Train one spiking network, written once, in every framework, on handwritten digits."""
    # Start-up messages of TensorFlow are not the demo's.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Matrices this small gain nothing from a second thread, and wait for it on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        from ..data import digits
        from ..demo import comparison, report

        data = digits(by.value)
    except ModuleNotFoundError as error:
        raise missing("demo", "demo", error) from error

    spike = shell.surrogate(surrogate)
    differentiating = ("torch", "jax", "tensorflow")
    available = [name for name in fgi.available_backends() if name in differentiating]
    for name in backend or []:
        if name not in differentiating:
            raise typer.BadParameter(f"{name}; expected one of {', '.join(differentiating)}")
    names = [name for name in backend or differentiating if name in available]
    for name in backend or differentiating:
        if name not in available:
            console.print(f"{name}: not installed, left out (pip install 'fgi\\[{name}]')")
    if not names:
        console.print("No framework to run: install at least one.", style="red")
        raise typer.Exit(2)

    with report.progress(console, names, epochs) as advance:
        outcomes = comparison.compare(names, spike, data, epochs=epochs, on_epoch=advance)
    console.print(report.table(outcomes))
    for path in report.save(outcomes, spike, out, invoked()):
        console.print(f"written: {path}")
