"""docs/coming_from and docs/method.md: their code prints what they say, their names exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fgi
from test_readme import BLOCK

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*sorted(DOCS.glob("coming_from/*.md")), DOCS / "method.md"]
LIBRARIES = {
    "spikingjelly": ("spikingjelly.activation_based.neuron",),
    "snntorch": ("snntorch",),
}
"""Of the pages that have them: no part of the development environment, see make test-peers."""

RUNNER = """
import contextlib, io, json, sys, types

printed = []
for code in json.load(sys.stdin):
    out = io.StringIO()
    # PyTorch's compiler asks for the module of a function by its name.
    page = sys.modules["page"] = types.ModuleType("page")
    with contextlib.redirect_stdout(out):
        exec(compile(code, "page", "exec"), vars(page))
    printed.append(out.getvalue())
json.dump(printed, sys.stdout)
"""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def imported(code: str) -> set[str]:
    return set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))


def run(blocks: Sequence[tuple[str, str]]) -> None:
    """All in one process, as loading a framework takes longer than the code; apart from others."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        env=environment,
        input=json.dumps([code for code, _ in blocks]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [expected for _, expected in blocks]


@every_page
def test_the_code_prints_what_the_page_says(page: Path) -> None:
    every = [b for b in BLOCK.findall(page.read_text()) if not imported(b[0]) & set(LIBRARIES)]
    assert every
    blocks = [b for b in every if all(find_spec(name) for name in imported(b[0]))]
    if not blocks:
        pytest.skip(f"none of {', '.join(sorted(imported(every[0][0])))} is installed")
    run(blocks)


@pytest.mark.peers
@pytest.mark.parametrize("name", LIBRARIES)
def test_inside_the_library_as_it_is(name: str, library: Callable[[str], Any]) -> None:
    for module in LIBRARIES[name]:
        library(module)
    page = DOCS / f"coming_from/{name}.md"
    blocks = [b for b in BLOCK.findall(page.read_text()) if name in imported(b[0])]
    assert blocks
    run(blocks)


@every_page
def test_every_link_and_preset_exists(page: Path) -> None:
    text = page.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert links
    for link in links:
        assert (page.parent / link).resolve().exists(), link
    for preset, arguments in re.findall(r'surrogates\.preset\("([\w.]+)"([^)]*)\)', text):
        options = dict(re.findall(r"(\w+)=([\d.]+)", arguments))
        if not preset.endswith(".Name") and not preset.endswith(".name"):
            fgi.surrogates.preset(preset, **{k: float(v) for k, v in options.items()})
    for name in re.findall(r"`(?:\w+ = )?(fgi(?:\.\w+)+)\(", text):
        found: Any = fgi
        for part in name.split(".")[1:]:
            if part in ("torch", "jax", "keras") and not find_spec(part):
                break
            found = getattr(found, part)
