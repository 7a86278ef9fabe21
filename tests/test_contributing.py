"""CONTRIBUTING.md's example is followed: one class in one file, and everything has it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a surrogate")[2]
TESTS = (
    "tests/test_accuracy.py::test_within_4_ulp_in_every_framework",
    "tests/test_accuracy.py::test_whatever_the_parameters",
    "tests/test_accuracy.py::test_16_bits_are_those_of_float64_rounded",
    "tests/test_surrogates.py",
    "tests/test_peers.py::test_a_preset_is_an_ordinary_surrogate",
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with the example in the file that the section names."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("fgi_core", "backends", "tests", "docs"):
        ignore = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", root)
    named = re.search(r"`(fgi_core/fgi/surrogates/[\w/]+\.py)`", SECTION)
    example = re.search(r"```python\n(class .*?)```", SECTION, re.DOTALL)
    assert named
    assert example
    with (root / named[1]).open("a") as file:
        file.write("\n\n" + example[1])
    return root


def run(root: Path, *command: str) -> str:
    roots = [str(root / "fgi_core"), str(root / "backends"), str(root / "tests")]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(roots), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_library_has_it(copy: Path) -> None:
    code = """
import fgi, numpy as np
x = np.array([-2.0, -0.5, 0.0, 0.25])
spike = fgi.surrogates.Parabola(width=2.0)
assert spike.derivative(x).tolist() == [0, 1 - 1 / 16, 1, 1 - 1 / 64]
assert fgi.functional.parabola(x, width=2.0).tolist() == [0, 0, 0, 1]
assert fgi.from_config({"name": "parabola", "width": 2}) == spike
preset = fgi.surrogates.preset("mylibrary.parabola", k=2.0)
assert preset.width == 0.5 and preset(x).tolist() == [0, 0, 1, 1]
"""
    run(copy, "-c", code)


def test_the_command_line_and_the_gallery_have_it(copy: Path) -> None:
    assert "Parabola" in run(copy, "-m", "fgi", "list", "parabola")
    assert "parabola" in run(copy, "-m", "fgi", "list", "--library", "mylibrary")
    run(copy, "-m", "fgi", "gallery", "--out", "gallery")
    page = (copy / "gallery/README.md").read_text()
    assert "Epanechnikov" in page
    assert "mylibrary" in page


def test_the_tests_have_it(copy: Path) -> None:
    chosen = ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-k", "arabola"]
    printed = run(copy, *chosen, *TESTS)
    passed = re.search(r"(\d+) passed", printed)
    assert passed
    assert int(passed[1]) >= 12
    assert "skipped" not in printed
