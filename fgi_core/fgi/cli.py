"""The command line: ``fgi demo``, ``train``, ``check``, ``bench``, and what shows the catalogue."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

import fgi

from . import cli_bench, cli_check, cli_train, description
from .description import Description
from .presets import did_you_mean

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
    try:
        return fgi.get(text)
    except (TypeError, ValueError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
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
        from .data import digits
        from .demo import comparison, report

        data = digits(by.value)
    except ModuleNotFoundError as error:
        raise _missing("demo", error) from error

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
        outcomes = comparison.compare(names, spike, data, epochs=epochs, on_epoch=advance)
    console.print(report.table(outcomes))
    command = shlex.join(["fgi", *sys.argv[1:]])
    for path in report.save(outcomes, spike, out, command):
        console.print(f"written: {path}")


@app.command(name="list")
def list_(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="Only what has this in name, docstring or names elsewhere."
        ),
    ] = "",
    group: Annotated[str, typer.Option(help="Only this module of fgi.surrogates.")] = "",
    library: Annotated[
        str, typer.Option(help="What this library calls it, and what that is here; or 'all'.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs; infinities are strings.")
    ] = False,
) -> None:
    """The catalogue: names, parameters and their defaults, and who else has it."""
    everything = description.catalogue()
    groups = list(dict.fromkeys(d.group for d in everything))
    if group and group not in groups:
        raise typer.BadParameter(f"{group}; expected one of {', '.join(groups)}")
    found = [d for d in everything if group in ("", d.group)]
    if library:
        _mapping(found, _libraries(library, everything), text, as_json)
        return
    found = [d for d in found if d.mentions(text)]
    if not found:
        raise _nothing(text, f" of the group {group}" if group else "", everything)
    if as_json:
        typer.echo(json.dumps([d.to_json() for d in found], indent=1, allow_nan=False))
        return
    table = _table("class\nand name", "parameters", "group", "libraries")
    for d in found:
        parameters = ", ".join(f"{p.name}={p.default!r}" for p in d.parameters)
        libraries = ", ".join(d.libraries)
        table.add_row(f"{d.class_name}\n{d.name}", parameters, d.group, libraries)
    console.print(table)
    console.print(
        f"{len(found)} of {len(everything)} surrogates. `fgi show NAME` has the equation, "
        f"`fgi list --library NAME` the presets: what that library calls them.",
        markup=False,
    )


def _libraries(name: str, descriptions: Iterable[Description]) -> list[str]:
    """The libraries of that name, or whose names begin with it: rockpool_torch, rockpool_jax."""
    known = sorted({library for d in descriptions for library in d.libraries})
    word = name.lower().replace("-", "_")
    if word == "all":
        return known
    found = [word] if word in known else [library for library in known if library.startswith(word)]
    if not found:
        raise typer.BadParameter(
            f"{name}; {did_you_mean(word, known)}expected one of {', '.join(known)}, or all"
        )
    return found


def _mapping(
    descriptions: list[Description], libraries: list[str], text: str, as_json: bool
) -> None:
    """The functions of a library, and which surrogate each of them is."""
    rows = [
        (preset, d)
        for library in libraries
        for d in descriptions
        for preset in d.presets
        if preset.library == library and (text.lower() in preset.name.lower() or d.mentions(text))
    ]
    if not rows:
        where = f" of {', '.join(libraries)}" if len(libraries) < 3 else ""
        raise _nothing(text, where, descriptions)
    if as_json:
        mapping = [preset.to_json() | {"class": d.class_name} for preset, d in rows]
        typer.echo(json.dumps(mapping, indent=1, allow_nan=False))
        return
    table = _table("library's function", "at its defaults")
    for preset, _ in rows:
        table.add_row(preset.signature, preset.ours)
    console.print(table)
    console.print(
        f'In Python: fgi.surrogates.preset("{rows[0][0].name}"), with the library\'s parameters.',
        markup=False,
    )


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, no_wrap=i == 0 and len(headings) > 2, overflow="fold")
    return table


def _nothing(text: str, where: str, descriptions: Iterable[Description]) -> typer.Exit:
    words = [w for d in descriptions for w in (d.name, d.class_name)]
    said = f"fgi list: nothing{where} has {text!r}" if text else f"fgi list: nothing{where}"
    typer.echo(f"{said}; {did_you_mean(text, words)}`fgi list` shows all", err=True)
    return typer.Exit(1)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="As `fgi list` shows it, or a library's name for it.")
    ],
) -> None:
    """One surrogate: its equations, parameters, source, and what the libraries call it."""
    everything = description.catalogue()
    for d in everything:
        if name in (d.name, d.class_name, *(preset.name for preset in d.presets)):
            break
    else:
        words = [w for d in everything for w in (d.name, d.class_name)]
        words += [preset.name for d in everything for preset in d.presets]
        raise typer.BadParameter(f"{name}; {did_you_mean(name, words)}`fgi list` shows all")

    def plain(text: str) -> None:
        console.print(text.replace("``", ""), markup=False, highlight=False)

    plain(f"{d.class_name}, {d.name} ({d.group})\n\n{d.sentence}\n")
    plain("\n".join(f"    {line}" for line in d.equations.splitlines()))
    plain(f"\n{d.text}\nSource: {d.source}\n")
    parameters = _table("parameter", "default", "range")
    for p in d.parameters:
        parameters.add_row(p.name + ", learnable" * p.learnable, repr(p.default), p.range)
    if d.parameters:
        console.print(parameters)
    presets = _table("known as", "that is")
    for preset in d.presets:
        presets.add_row(preset.signature, preset.ours)
    if d.presets:
        console.print(presets)


@app.command()
def plot(
    surrogates: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME",
            help="atan, atan:alpha=3, 'ATan(alpha=3)', 'spikingjelly.ATan(alpha=3)', or JSON.",
        ),
    ],
    value: Annotated[bool, typer.Option("--value", help="Draw the value f(x).")] = False,
    slope: Annotated[bool, typer.Option("--slope", help="Draw the slope g'(x).")] = False,
    primitive: Annotated[
        bool, typer.Option("--primitive", help="Draw the primitive g(x).")
    ] = False,
    range: Annotated[
        str, typer.Option(metavar="LO:HI", help="Of x. Default: where something happens.")
    ] = "",
    out: Annotated[Path, typer.Option(help="The picture: .png, .svg or .pdf.")] = Path("fgi.png"),
) -> None:
    """A picture of one surrogate (all its curves), or of several (their slopes), into a file."""
    spikes = [(text, _surrogate(text)) for text in surrogates]
    asked = {"value": value, "slope": slope, "primitive": primitive}
    curves = [curve for curve, wanted in asked.items() if wanted]
    x = _range(range) if range else None
    try:
        from matplotlib.figure import Figure

        from .plot import CURVES, FORMATS, draw, own_style, save
    except ModuleNotFoundError as error:
        raise _missing("plot", error) from error
    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{out}: expected a file that ends in {', '.join(FORMATS)}")
    if len(spikes) > 1 and not curves:
        curves = ["slope"]
    with own_style():
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        ax = figure.subplots()
        try:
            draw(spikes, curves, x, ax)
            if len(curves) == 1:
                ax.set_ylabel(f"{curves[0]} {CURVES[curves[0]]}")
            save(figure, out)
        except (TypeError, OSError) as error:
            raise typer.BadParameter(str(error)) from error
    console.print(f"written: {out}")


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        x = float(low), float(high)
    except ValueError:
        x = math.nan, math.nan
    if not -math.inf < x[0] < x[1] < math.inf:
        raise typer.BadParameter(f"--range {text}: expected two numbers such as -2:2")
    return x


@app.command()
def gallery(
    out: Annotated[Path, typer.Option(help="Folder for the page and the pictures.")] = Path(
        "docs/gallery"
    ),
) -> None:
    """The page with every surrogate: picture, equations, parameters, names elsewhere."""
    try:
        from .gallery import write

        files = write(out)
    except ImportError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from error
    console.print(f"written: {files[0]}, and {len(files) - 1} pictures")


app.command()(cli_check.command(_surrogate, console))
app.command()(cli_train.command(_surrogate, console))
app.command()(cli_bench.command(_surrogate, console))


def _missing(command: str, error: ModuleNotFoundError) -> typer.Exit:
    text = f"fgi {command} needs {error.name}; write pip install 'fgi[{command}]'"
    console.print(text, style="red", markup=False)
    return typer.Exit(2)
