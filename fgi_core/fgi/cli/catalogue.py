"""``fgi list`` and ``fgi show``: the catalogue in words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from ..parameters import did_you_mean
from ..surrogates import description
from ..surrogates.description import Description
from .shell import console

__all__ = ["list_", "show"]


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
