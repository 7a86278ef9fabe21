"""The command line, a module for each command or two; ``shell`` is what they share."""

from __future__ import annotations

import typer

from . import bench, catalogue, check, demo, pictures, train

__all__ = ["app"]

app = typer.Typer(
    help="Forward gradient injection: value of f, gradient of your choice, in every framework.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(demo.demo)
app.command(name="list")(catalogue.list_)
for command in (
    catalogue.show,
    pictures.plot,
    pictures.gallery,
    check.check,
    train.train,
    bench.bench,
):
    app.command()(command)
