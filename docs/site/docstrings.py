"""Docstrings are Markdown but for one mark: a colon twice, before a block of code."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Colons(griffe.Extension):
    """``see::`` is ``see:``."""

    def on_object(self, *, obj: griffe.Object, **options: Any) -> None:
        if obj.docstring:
            obj.docstring.value = re.sub(r"::\n\n", ":\n\n", obj.docstring.value)
