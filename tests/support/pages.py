"""The code of a documentation page, and what it says that it prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

__all__ = ["DOCS", "Block", "blocks", "links", "missing", "run"]

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


class Block(NamedTuple):
    """A program, and its output; empty where the page has none."""

    code: str
    expected: str

    @property
    def imported(self) -> set[str]:
        return set(re.findall(r"^(?:import|from) (\w+)", self.code, re.MULTILINE))


def blocks(text: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(text)]


def missing(block: Block) -> set[str]:
    """What it imports and is not installed."""
    return {name for name in block.imported if find_spec(name) is None}


def links(text: str) -> list[str]:
    """The files that a page leads to."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)#:]+)\)", prose)


END = "-- end of a program --"
RUNNER = f"""
import json, sys, types

for code in json.load(sys.stdin):
    # PyTorch's compiler asks for the module of a function by its name.
    page = sys.modules["page"] = types.ModuleType("page")
    exec(compile(code, "page", "exec"), vars(page))
    print({END!r}, flush=True)
"""


def run(codes: Sequence[str]) -> list[str]:
    """What each prints: each with names of its own, all in one process apart from the tests'.

    Loading a framework takes longer than the code.
    """
    # Said by other libraries, and by how many devices the tests ask for.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], env=environment, input=json.dumps(list(codes)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *printed, after = done.stdout.split(f"{END}\n")
    assert not after
    return printed
