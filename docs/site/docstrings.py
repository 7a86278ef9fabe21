"""Docstrings as Markdown: equations as such, and a colon where there are two before code."""

from __future__ import annotations

import re
from typing import Any

import equations
import griffe

BLOCK = re.compile(r"(?<=\n\n)((?: {4}.*\n?)+)(?=\n|\Z)")


def markdown(docstring: str) -> str:
    def block(match: re.Match[str]) -> str:
        found = equations.display(match[1])
        return match[0] if found is None else f"{found}\n"

    return BLOCK.sub(block, docstring.replace("::\n\n", ":\n\n"))


class Docstrings(griffe.Extension):
    """Goes over each object once it is read."""

    def on_object(self, *, obj: griffe.Object, **options: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
