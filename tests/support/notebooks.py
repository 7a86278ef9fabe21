"""The notebooks: how they are executed, and what of them has to come out again.

``python -m support.notebooks [NAME ...]`` executes them and keeps what they print and draw.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in ("fgi_core", "backends"))
VARIES = "varies"
"""The tag of a cell whose outputs depend on the machine: timings, the last digit of a long run."""


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def execute(notebook: Any) -> None:
    """From a clean kernel, in the folder of the notebooks, as a reader does."""
    NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT / "notebooks")}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()


def printed(cell: Any) -> str:
    """What a cell says in words."""
    words = []
    for out in cell.get("outputs", []):
        if out.output_type == "stream":
            words.append(out.text if out.name == "stdout" else "")
        elif out.output_type != "error":
            words.append(out.data.get("text/markdown") or out.data["text/plain"])
    return "\n".join(line.rstrip() for line in "\n".join(words).splitlines() if line.strip())


def varies(cell: Any) -> bool:
    return VARIES in cell.metadata.get("tags", [])


def main(names: list[str]) -> None:
    # Whether fgi is installed or not, and not the one that is installed.
    os.environ["PYTHONPATH"] = SOURCES
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            print(path.name, flush=True)
            notebook = read(path)
            execute(notebook)
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
