"""docs/faces.md: each block of code is a program of its own, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from test_readme import BLOCK

PAGE = Path(__file__).parents[1] / "docs/faces.md"
BLOCKS = BLOCK.findall(PAGE.read_text())


@pytest.mark.parametrize(("code", "expected"), BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_prints_what_it_says(code: str, expected: str) -> None:
    for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_there_is_a_block_for_each_face() -> None:
    for words in ("fgi.torch.Surrogate", "import fgi.jax", "fgi.keras.Surrogate", "fgi.get"):
        assert any(words in code for code, _ in BLOCKS)


def test_every_link_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
