"""``fgi check``: ``fgi.testing`` from the shell, each framework in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .shell import bars, console, missing, surrogate, words

if TYPE_CHECKING:
    from ..testing import Report, Row

__all__ = ["check"]


def check(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT",
            help="As for `fgi plot`: atan:alpha=3, 'snntorch.atan()', JSON; a group of the "
            "catalogue; or module:object, module:make(alpha=2), torch=module:f jax=module:g. "
            "Default: the whole catalogue.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        str, typer.Option(help="What functions are compared with: a surrogate, as above.")
    ] = "",
    backends: Annotated[
        str,
        typer.Option(
            "--backends", "--frameworks", help="Only these, comma-separated; one missing: 2."
        ),
    ] = "",
    modes: Annotated[
        str, typer.Option(help="Only these, separated by semicolons: 'eager;compile'.")
    ] = "",
    dtypes: Annotated[str, typer.Option(help="Only these: float32,float64.")] = "",
    seed: Annotated[int, typer.Option(help="Of the random points.")] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="This many seeds, from --seed on.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="float32, and the modes that compile quickly.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write all rows as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Keep finished rows in this file, and go on from them.")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Seconds for one mode in one dtype.")
    ] = 300.0,
) -> None:
    """Compare value and gradient everywhere; exit status 0: all agree, 1: not, 2: not run."""
    try:
        from .. import testing
    except ModuleNotFoundError as error:
        raise missing("check", "testing", error) from error
    # As for `python -m`: what is checked may lie in the folder one is in.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    definition = surrogate(like) if like else None
    try:
        found = [thing for text in _joined(what or []) for thing in _subjects(text)]
        found = [
            testing.load(thing, definition) if isinstance(thing, str) else thing for thing in found
        ]
    except (ImportError, ValueError, TypeError) as error:
        raise typer.BadParameter(str(error)) from error
    with bars(transient=True) as progress:
        started: dict[str, Any] = {}

        def on_start(framework: str, cells: int) -> None:
            started[framework] = progress.add_task(framework, total=cells)

        def on_rows(framework: str, rows: list[Row]) -> None:
            if framework in started:
                progress.advance(started[framework])

        try:
            report = testing.check(
                found or None,
                like=definition,
                backends=words(backends),
                modes=words(modes, ";"),
                dtypes=words(dtypes) or (["float32"] if quick else None),
                quick=quick,
                seed=seed,
                repeat=repeat,
                isolate=True,
                time_limit=time_limit,
                journal=resume,
                on_start=on_start,
                on_rows=on_rows,
            )
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(str(error)) from error
    _show(report)
    for path, write in ((json, report.to_json), (junit, report.to_junit)):
        if path is not None:
            write(path)
    raise typer.Exit(report.exit_status)


def _joined(what: list[str]) -> list[str]:
    """The functions by framework are one subject."""
    from ..testing.subjects import by_framework

    apart = [text for text in what if not by_framework(text)]
    together = [text for text in what if by_framework(text)]
    return [*apart, *([";".join(together)] if together else [])]


def _subjects(text: str) -> list[Any]:
    from .. import surrogates
    from ..testing.subjects import by_framework

    if text in surrogates.groups():
        everything = surrogates.catalogue().values()
        return [cls() for cls in everything if cls.__module__.endswith(f".{text}")]
    head = text.partition("(")[0]
    # atan:alpha=3 has its parameters after the colon, module:object a name.
    if "=" not in head.partition(":")[2] and ":" in head and not text.startswith("{"):
        return [text]
    if by_framework(text):
        return [text]
    return [surrogate(text)]


def _show(report: Report) -> None:
    console.print(report)
    for text in report.told():
        console.print(text, markup=False, highlight=False, end="\n\n")
    if absences := report.absences():
        console.print("absent:", *absences, sep="\n  ", markup=False, highlight=False)
    if not report.complete:
        console.print("Interrupted; with --resume FILE the rest can be run later.", style="red")
    console.print(report.verdict(), markup=False)
