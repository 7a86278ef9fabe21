"""The notebooks run from a clean kernel, and what is committed is a clean run of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from support import frameworks

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in ("fgi_core", "backends"))
OF_A_MACHINE = [f"/{top}/" for top in ("home", "work", "tmp", "root", "Users")]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@every_notebook
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [name for name in frameworks.ALL if name not in frameworks.INSTALLED]
    if missing:
        pytest.skip(f"the notebooks compare frameworks; not installed: {', '.join(missing)}")
    # Whether fgi is installed or not, and not the one that is installed.
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]


@every_notebook
def test_what_is_committed_was_executed_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_what_is_committed_is_clean(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    for cell in code_cells(path):
        assert "execution" not in cell.metadata, "timestamps: execute with record_timing=False"
        for out in cell.outputs:
            assert out.output_type != "error"
            assert out.get("name") != "stderr", "a framework's messages"
            for name in OF_A_MACHINE:
                assert name not in str(out), f"a path of one machine: {name}"
