"""The gallery: a page with every surrogate of the catalogue, made from the definitions alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .description import Description, catalogue, group_sentence

__all__ = ["page", "write"]

COMMAND = "make gallery"

HEAD = """\
# The catalogue

<!-- Written by `{command}` from the definitions in fgi_core/fgi/surrogates: change it there. -->

{count} surrogates, and {presets} functions of {libraries} libraries that are one of them. Each is
`fgi.surrogates.NAME`, and as a function `fgi.functional.name`. The pictures show the defaults; the
value f is that of the class, and another one where `forward` says so. A library's name gives the
same numbers in every framework:

```python
fgi.surrogates.preset("{example}")
```

What no surrogate can express is in [not_expressible.md](../not_expressible.md), with what to use
instead. In a terminal `fgi list`, `fgi show NAME` and `fgi plot NAME` have the same content.\
"""


def write(folder: Path) -> list[Path]:
    """The page, ``README.md``, and its pictures; what was written.

    Errors: ImportError without Matplotlib.
    """
    try:
        from . import plot
    except ModuleNotFoundError as error:
        raise ImportError(
            f"fgi.gallery: needs {error.name}, which is not installed; write pip install "
            f"'fgi[plot]'"
        ) from error
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    descriptions = catalogue()
    pictures = [folder / f"{d.name}.svg" for d in descriptions]
    with plot.own_style():
        for d, path in zip(descriptions, pictures, strict=True):
            spike = d.definition()
            figure = Figure(figsize=(8, 1.9), layout="constrained")
            for curve, ax in zip(plot.CURVES, figure.subplots(1, 3), strict=True):
                if curve == "primitive" and not plot.has_primitive(spike):
                    ax.remove()
                    continue
                spike.plot(curve, ax=ax, label="", color=plot.COLOURS[curve])
                ax.set_title(plot.named(spike, curve), fontsize=10)
            plot.save(figure, path)
    text = folder / "README.md"
    text.write_text(page(descriptions), encoding="utf-8")
    return [text, *pictures]


def page(descriptions: tuple[Description, ...]) -> str:
    """The page in Markdown."""
    presets = [preset for d in descriptions for preset in d.presets]
    groups: dict[str, list[Description]] = {}
    for d in descriptions:
        groups.setdefault(d.group, []).append(d)
    blocks = [
        HEAD.format(
            command=COMMAND,
            count=len(descriptions),
            presets=len(presets),
            libraries=len({preset.library for preset in presets}),
            example=next(preset.name for preset in presets if not preset.required),
        ),
        "\n".join(_index(group, members) for group, members in groups.items()),
    ]
    for group, members in groups.items():
        blocks += [f"## {group}", _prose(group_sentence(group))]
        blocks += [block for d in members for block in _entry(d)]
    return "\n\n".join(blocks) + "\n"


def _index(group: str, members: list[Description]) -> str:
    links = ", ".join(f"[{d.class_name}](#{d.class_name.lower()})" for d in members)
    return f"- [{group}](#{group}): {links}"


def _entry(d: Description) -> list[str]:
    parameters = [
        (f"`{p.name}`" + ", learnable" * p.learnable, f"`{p.default!r}`", p.range)
        for p in d.parameters
    ]
    presets = [(f"`{preset.signature}`", f"`{preset.ours}`") for preset in d.presets]
    blocks = [
        f"### {d.class_name}",
        _prose(d.sentence),
        f"![{d.class_name}: value, slope, primitive]({d.name}.svg)",
        f"```python\n{d.equations}\n```",
        _prose(d.text),
        "It is random: a call takes a key, and the picture shows the mean." if d.random else "",
        _table(("parameter", "default", "range"), parameters),
        _table(("known as", "that is"), presets),
        f"Source: {_prose(d.source)}" if d.source else "",
    ]
    return [block for block in blocks if block]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Nothing, where there are no rows."""
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [[cell.replace("|", r"\|") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _prose(text: str) -> str:
    """A docstring's words in Markdown: code in single backticks, references as links."""
    for pattern, link in (
        (r"``", "`"),
        (r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)"),
        (r"doi:(10\.[^\s)]+[^\s),.;])", r"[doi:\1](https://doi.org/\1)"),
        (r"(?<![/\w])(github\.com/[\w./-]*\w)", r"[\1](https://\1)"),
    ):
        text = re.sub(pattern, link, text)
    return text
