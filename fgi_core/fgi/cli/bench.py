"""``fgi bench``: what fgi costs here, against the frameworks' own mechanisms and the limit."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

import fgi

from .shell import bars, console, missing, surrogate, words

__all__ = ["bench"]

DEFAULT = Path("bench-out/results.json")


def bench(
    context: typer.Context,
    workload: Annotated[
        list[str] | None, typer.Argument(help="Only these.", show_default=False)
    ] = None,
    frameworks: Annotated[str, typer.Option(help="Only these, comma-separated.")] = "",
    surrogates: Annotated[
        str, typer.Option(help="Only these, separated by semicolons: 'atan;gaussian:sigma=2'.")
    ] = "",
    executions: Annotated[
        str, typer.Option(help="Only these, separated by semicolons: 'eager;jit'.")
    ] = "",
    dtypes: Annotated[str, typer.Option(help="Only these: float32,bfloat16.")] = "",
    sizes: Annotated[str, typer.Option(help="Instead of the workload's own: 1024,4096.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="A few sizes only.")] = False,
    toy: Annotated[
        bool, typer.Option("--toy", help="Every workload at its smallest: does it run?")
    ] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Empty the caches before each run.")] = False,
    rounds: Annotated[int, typer.Option(min=3, help="At most so many turns a cell.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0, help="No further turn after so long, for a group.")
    ] = 20.0,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds for a group of cells, compilation included.")
    ] = 600.0,
    json: Annotated[
        Path, typer.Option(help="Where rows are kept as they are finished; goes on from there.")
    ] = DEFAULT,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Measure nothing: make the pages and pictures of the results in FOLDER.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Time fgi against every other mechanism, in turns; each function in its own process."""
    from ..bench import report as reporting

    if report is not None:
        _write_pages(report)
        return
    from ..bench import runner

    found = [name for name in fgi.available_backends() if name != "numpy"]
    names = words(frameworks) or found
    if device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"unknown device {device}; expected cpu or cuda")
    try:
        about = runner.settings(names, device, _asked(context))
        groups = runner.plan(
            frameworks=names,
            workloads=workload,
            surrogates=[surrogate(text) for text in words(surrogates, ";") or ()] or None,
            executions=words(executions, ";"),
            dtypes=words(dtypes),
            sizes=[int(text) for text in words(sizes) or ()] or None,
            device=device,
            quick=quick,
            toy=toy,
            cold=cold,
        )
        with bars(transient=True) as progress:
            bar = progress.add_task("", total=len(groups))
            rows = runner.run(
                groups,
                out=json,
                about=about,
                rounds=rounds,
                seconds=seconds,
                time_limit=time_limit,
                on_group=lambda group: progress.update(
                    bar,
                    advance=1,
                    description=f"{group.framework} {group.execution} {group.workload}",
                ),
            )
    except (ImportError, RuntimeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    console.print(reporting.table(about | {"rows": rows}))
    console.print(f"rows: {json}", markup=False)
    if failed := [row for row in rows if "error" in row]:
        console.print(f"{len(failed)} cells failed; their errors are in the rows")


def _asked(context: typer.Context) -> str:
    """The command as it was given, without the file that the rows go to."""
    asked = ["fgi", "bench"]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name != "json":
            value = context.params[name]
            if parameter.param_type_name == "argument":
                asked += value
            else:
                asked += [parameter.opts[0], *([] if value is True else [str(value)])]
    return shlex.join(asked)


def _write_pages(results: Path) -> None:
    try:
        from ..bench import report
        from ..bench.figures import figures
        from ..bench.page import pages
        from ..surrogates.plot import own_style, save
    except ModuleNotFoundError as error:
        raise missing("bench --report", "plot", error) from error
    from ..storage import write

    paths = sorted(results.glob("*.json"))
    try:
        found = {path.stem: report.load(path) for path in paths}
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    if not found:
        raise typer.BadParameter(f"{results} has no .json file; expected what --json wrote")
    folder = results.resolve().parent
    with own_style():
        pictures = figures(found)
        for path, figure in pictures.items():
            save(figure, folder / path)
    for path, text in pages(found, pictures).items():
        write(folder / path, text.encode())
        console.print(os.fspath(folder / path), markup=False)
