"""``fgi plot`` and ``fgi gallery``: the catalogue in pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from .shell import console, missing, surrogate

__all__ = ["gallery", "plot"]


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
    spikes = [(text, surrogate(text)) for text in surrogates]
    asked = {"value": value, "slope": slope, "primitive": primitive}
    curves = [curve for curve, wanted in asked.items() if wanted]
    x = _range(range) if range else None
    try:
        from matplotlib.figure import Figure

        from ..surrogates.plot import CURVES, FORMATS, draw, own_style, save
    except ModuleNotFoundError as error:
        raise missing("plot", "plot", error) from error
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


def gallery(
    out: Annotated[Path, typer.Option(help="Folder for the page and the pictures.")] = Path(
        "docs/gallery"
    ),
) -> None:
    """The page with every surrogate: picture, equations, parameters, names elsewhere."""
    try:
        from ..surrogates.gallery import write

        files = write(out)
    except ImportError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from error
    console.print(f"written: {files[0]}, and {len(files) - 1} pictures")
