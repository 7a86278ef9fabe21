"""The command line: ``fgi demo``, ``fgi list``."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import fgi

__all__ = ["app"]

app = typer.Typer(
    help="Forward gradient injection: value of f, gradient of your choice, in every framework.",
    no_args_is_help=True,
    add_completion=False,
)
console = Console(width=None if sys.stdout.isatty() else 100)


class Reading(StrEnum):
    row = "row"
    pixel = "pixel"


def _surrogate(text: str) -> fgi.Surrogate:
    """A surrogate by name, or by name and parameters as JSON."""
    config = {"name": text}
    if text.startswith("{"):
        try:
            config = json.loads(text)
        except json.JSONDecodeError as error:
            raise typer.BadParameter(f"{text} is not JSON: {error}") from error
    try:
        return fgi.from_config(config)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def demo(
    backend: Annotated[
        list[str] | None,
        typer.Option(help="A framework to run; again for another. Default: all installed."),
    ] = None,
    surrogate: Annotated[
        str, typer.Option(help="A name that `fgi list` shows, or JSON with parameters.")
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
        from .demo import comparison, digits, report
    except ModuleNotFoundError as error:
        console.print(f"fgi demo needs {error.name}; write pip install 'fgi\\[demo]'", style="red")
        raise typer.Exit(2) from error

    spike = _surrogate(surrogate)
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
        outcomes = comparison.compare(
            names, spike, digits.digits(by.value), epochs=epochs, on_epoch=advance
        )
    console.print(report.table(outcomes))
    command = shlex.join(["fgi", *sys.argv[1:]])
    for path in report.save(outcomes, spike, out, command):
        console.print(f"written: {path}")


@app.command(name="list")
def list_(
    text: Annotated[str, typer.Argument(help="Only what has this in its name or libraries.")] = "",
) -> None:
    """The catalogue: names, parameters, and what the libraries call it."""
    table = Table("name", "class", "parameters", "known as")
    for class_name in fgi.surrogates.__all__:
        definition: type[fgi.Surrogate] = getattr(fgi.surrogates, class_name)
        known = [
            name + "".join(f", {key}={value:g}" for key, value in parameters.items())
            for name, parameters in definition.known_as.items()
        ]
        if not any(text.lower() in word.lower() for word in (class_name, definition.name, *known)):
            continue
        parameters = [f"{f.name}={f.default}" for f in fields(definition) if f.name != "forward"]
        table.add_row(definition.name, class_name, ", ".join(parameters), "\n".join(known))
    console.print(table)
