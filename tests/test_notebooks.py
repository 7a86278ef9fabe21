"""The notebooks run from a clean kernel, and what is committed is what a run prints."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Any

import nbformat
import pytest

from support import frameworks
from support.notebooks import NOTEBOOKS, ROOT, SOURCES, VARIES, execute, printed, read, varies

OF_A_MACHINE = [f"/{top}/" for top in ("home", "work", "tmp", "root", "Users")]
CHOICE = 'use_backend("jax"):  # or "torch", or "tensorflow"'
"""What a notebook says that runs in any framework."""

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def seconds() -> float:
    """Of the processor, in the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def this_fgi(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether fgi is installed or not, and not the one that is installed.
    monkeypatch.setenv("PYTHONPATH", SOURCES)


def test_there_are_six() -> None:
    assert len(NOTEBOOKS) >= 6


@every_notebook
@pytest.mark.usefixtures("this_fgi")
def test_a_run_prints_what_is_committed(path: Path) -> None:
    missing = [name for name in frameworks.ALL if name not in frameworks.INSTALLED]
    if missing:
        pytest.skip(f"the notebooks compare frameworks; not installed: {', '.join(missing)}")
    committed, notebook = read(path), read(path)
    before = seconds()
    execute(notebook)
    assert seconds() - before < 180
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]
    for old, new in zip(code_cells(committed), code_cells(notebook), strict=True):
        if not varies(old):
            assert printed(new) == printed(old), f"changed; run make notebooks\n{old.source}"


@pytest.mark.sweep
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if CHOICE.replace('"', '\\"') in p.read_text()],
    ids=lambda path: path.stem,
)  # fmt: skip
@pytest.mark.usefixtures("this_fgi")
def test_in_another_framework_it_prints_the_same(path: Path, framework: str) -> None:
    if framework not in frameworks.INSTALLED:
        pytest.skip(f"{framework} is not installed")
    committed, notebook = read(path), read(path)
    for cell in code_cells(notebook):
        cell.source = cell.source.replace(CHOICE, CHOICE.replace("jax", framework))
    execute(notebook)
    for old, new in zip(code_cells(committed), code_cells(notebook), strict=True):
        if not varies(old):
            assert printed(new) == printed(old)


@every_notebook
def test_what_is_committed_was_executed_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_what_is_committed_is_clean(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    pictures = 0
    for cell in code_cells(notebook):
        assert "execution" not in cell.metadata, "timestamps: execute with record_timing=False"
        assert set(cell.metadata.get("tags", [])) <= {VARIES}
        for out in cell.outputs:
            assert out.output_type != "error"
            assert out.get("name") != "stderr", "a framework's messages"
            for name in OF_A_MACHINE:
                assert name not in str(out), f"a path of one machine: {name}"
            pictures += any(kind.startswith("image/") for kind in out.get("data", {}))
    assert pictures
    assert path.stat().st_size < 300_000


@every_notebook
def test_it_is_listed_in_the_readme(path: Path) -> None:
    assert f"](notebooks/{path.name})" in (ROOT / "README.md").read_text()


@every_notebook
def test_its_links_exist(path: Path) -> None:
    for cell in read(path).cells:
        for link in re.findall(r"\]\(\s*([^)#:]+?)\s*\)", cell.source * (cell.cell_type != "code")):
            assert (path.parent / link).exists(), link
