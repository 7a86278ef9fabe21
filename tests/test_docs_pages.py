"""The pages of docs/: their code prints what they say; links, presets and names exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fgi
from support.pages import DOCS, blocks, links, missing, run

PAGES = sorted(DOCS.rglob("*.md"))
ELSEWHERE = {
    "checking.md": "test_docs_checking.py",
    "add_a_backend.md": "test_example_backend.py",
    "gallery/README.md": "test_docs_site.py",
    "inside_other_libraries.md": "test_inside_other_libraries.py",
}
"""Whose code is more than a program, and which tests have it."""
LIBRARIES = {
    "spikingjelly": ("spikingjelly.activation_based.neuron",),
    "snntorch": ("snntorch",),
}
"""Of the pages about them: no part of the development environment, see make test-peers."""


def named(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


WITH_CODE = [p for p in PAGES if blocks(p.read_text()) and named(p) not in ELSEWHERE]


def test_no_page_is_left_out() -> None:
    assert set(ELSEWHERE) <= {named(page) for page in PAGES}
    for test in ELSEWHERE.values():
        assert (Path(__file__).parent / test).exists()
    assert len(WITH_CODE) >= 9


@pytest.mark.parametrize("page", WITH_CODE, ids=named)
def test_the_code_prints_what_the_page_says(page: Path) -> None:
    every = [b for b in blocks(page.read_text()) if not b.imported & set(LIBRARIES)]
    assert every
    found = [block for block in every if not missing(block)]
    if not found:
        pytest.skip(f"none of {', '.join(sorted(every[0].imported))} is installed")
    assert run([block.code for block in found]) == [block.expected for block in found]


@pytest.mark.peers
@pytest.mark.parametrize("name", LIBRARIES)
def test_inside_the_library_as_it_is(name: str, library: Callable[[str], Any]) -> None:
    for module in LIBRARIES[name]:
        library(module)
    text = (DOCS / f"coming_from/{name}.md").read_text()
    found = [block for block in blocks(text) if name in block.imported]
    assert found
    assert run([block.code for block in found]) == [block.expected for block in found]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_preset_and_name_exists(page: Path) -> None:
    text = page.read_text()
    for link in links(text):
        assert (page.parent / link).resolve().exists(), link
    for preset, arguments in re.findall(r'surrogates\.preset\("([\w.]+)"([^)]*)\)', text):
        options = dict(re.findall(r"(\w+)=([\d.]+)", arguments))
        if not preset.endswith((".Name", ".name", ".function")):
            fgi.surrogates.preset(preset, **{k: float(v) for k, v in options.items()})
    for name in re.findall(r"`(?:\w+ = )?(fgi(?:\.\w+)+)\(", text):
        found: Any = fgi
        for part in name.split(".")[1:]:
            try:
                found = getattr(found, part)
            except ImportError:  # the face of what is not installed
                break


def test_there_is_a_program_for_each_face() -> None:
    text = (DOCS / "faces.md").read_text()
    for words in ("fgi.torch.Surrogate", "import fgi.jax", "fgi.keras.Surrogate", "fgi.get"):
        assert any(words in block.code for block in blocks(text))
