"""What the commands share: the console, and how they read and show things."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import fgi

__all__ = ["bars", "console", "invoked", "missing", "surrogate", "words"]

console = Console(width=None if sys.stdout.isatty() else 100)


def surrogate(text: str) -> fgi.Surrogate:
    """What was named, in any of the ways that ``fgi.get`` reads."""
    try:
        return fgi.get(text)
    except (TypeError, ValueError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error


def words(text: str, separator: str = ",") -> list[str] | None:
    """The parts of an option that takes several; None where it was not given."""
    return [word.strip() for word in text.split(separator) if word.strip()] or None


def bars(**options: Any) -> Progress:
    """A bar for each task, while it runs. On a terminal alone: in a file a bar is noise."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, **options)


def invoked() -> str:
    """The command as it was given."""
    return shlex.join(["fgi", *sys.argv[1:]])


def missing(command: str, extra: str, error: ModuleNotFoundError) -> typer.Exit:
    """A package of an extra is not installed."""
    text = f"fgi {command} needs {error.name}; write pip install 'fgi[{extra}]'"
    console.print(text, style="red", markup=False)
    return typer.Exit(2)
