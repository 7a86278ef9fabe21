"""``fgi check``: what is checked, what is said, and how it ends."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import fgi
from support import frameworks

pytest.importorskip("typer")

ROOTS = [
    str(Path(fgi.__file__).parents[1]),
    str(Path(__file__).parents[1] / "backends"),
    str(Path(__file__).parent),
]
FRAMEWORK = min(frameworks.INSTALLED_AUTODIFF)
README = [
    line.strip()
    for line in (Path(__file__).parents[1] / "README.md").read_text().splitlines()
    # The other one is of a library that is not installed here; test_peers_live.py has it.
    if line.startswith("    fgi check") and "=snntorch." not in line
]
ONE = ("--backends", FRAMEWORK, "--modes", "eager", "--dtypes", "float32")


def run(*arguments: str, folder: Path | None = None) -> tuple[int, str]:
    """Exit status, and what a terminal would show: both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "fgi", "check", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ROOTS)},
    )
    return done.returncode, done.stdout + done.stderr


def test_what_agrees_is_a_short_page_and_0() -> None:
    status, text = run("atan:alpha=3", "snntorch.fast_sigmoid", "Triangle", *ONE)
    assert status == 0, text
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 4  # headings, a rule, a line for the mode, the verdict
    assert all(len(line) <= 100 for line in lines)
    assert "3 subjects, 1536 numbers compared: 3 ok." in text


def test_what_differs_is_told_in_full_and_1() -> None:
    status, text = run("support.faults:factor", "--like", "atan", *ONE)
    assert status == 1, text
    assert "gradient: scaled by 2.5" in text
    assert "first: x = " in text
    assert f"support.faults:factor, {FRAMEWORK} " in text


def test_what_could_not_run_is_2() -> None:
    status, text = run("support.faults:raises", "support.faults:right", "--like", "atan", *ONE)
    assert status == 2, text
    assert "RuntimeError: planted" in text
    assert "1 ok, 1 error" in text
    status, text = run("atan", "--backends", "nonsense")
    assert status == 2, text
    assert "nonsense is not installed" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such_surrogate"], "is in no catalogue"),
        (["support.faults:nothing"], "has no nothing"),
        (["no.such.module:f"], "No module named"),
        (["atan", "--dtypes", "float8"], "unknown dtype 'float8'"),
        (["atan", *ONE, "--modes", "eagre"], "unknown mode eagre"),
        (["atan", "--repeat", "0"], "repeat"),
    ],
)
def test_wrong_use(arguments: list[str], said: str) -> None:
    status, text = run(*arguments)
    assert status == 2
    assert said in " ".join(text.replace("│", " ").split())


def test_json_junit_and_resume(tmp_path: Path) -> None:
    arguments = ["atan", "Triangle", *ONE, "--json", "a.json", "--junit", "a.xml"]
    status, text = run(*arguments, "--resume", "rows.jsonl", folder=tmp_path)
    assert status == 0, text
    saved = json.loads((tmp_path / "a.json").read_text())
    assert saved["ok"] is True
    assert [row["status"] for row in saved["rows"]] == ["ok", "ok"]
    suites = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert [suite.get("tests") for suite in suites] == ["2"]

    before = (tmp_path / "rows.jsonl").read_text()
    status, again = run(*arguments, "--resume", "rows.jsonl", folder=tmp_path)
    assert status == 0, again
    assert (tmp_path / "rows.jsonl").read_text() == before


def test_a_module_of_the_folder_one_is_in(tmp_path: Path) -> None:
    """As the example of a user's project: a surrogate of one's own, and one with an error."""
    (tmp_path / "spikes.py").write_text(
        "import fgi\n\n\n"
        "@fgi.surrogate\n"
        "def hat(x, width=1.0):\n"
        "    xp = fgi.namespace(x)\n"
        "    return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))\n\n\n"
        "@fgi.surrogate\n"
        "def torn(x):\n"
        "    xp = fgi.namespace(x)\n"
        "    sign = 1 if xp.name == 'numpy' else -1\n"
        "    return sign / (1 + abs(x))\n"
    )
    status, text = run("spikes:hat(width=0.5)", *ONE, folder=tmp_path)
    assert status == 0, text
    status, text = run("spikes:torn", "spikes:hat", *ONE, folder=tmp_path)
    assert status == 1, text
    assert "gradient: the sign is flipped" in text
    assert "1 ok, 1 differs" in text


def test_one_function_per_framework() -> None:
    status, text = run(
        f"{FRAMEWORK}=support.faults:right", "--like", "atan", "--backends", FRAMEWORK, *ONE[2:]
    )
    assert status == 0, text
    assert "1 subjects, 512 numbers compared: 1 ok." in text


def test_without_numpy_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['numpy'] = None; from fgi.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "atan"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ROOTS)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "fgi check needs numpy; write pip install 'fgi[testing]'" in done.stdout + done.stderr


@pytest.mark.parametrize("line", README, ids=str)
def test_the_lines_of_the_readme(line: str, tmp_path: Path) -> None:
    """As they stand there, in one framework and mode."""
    (tmp_path / "mymodule.py").write_text(
        "import fgi\n\n\n@fgi.surrogate\ndef hat(x, width=1.0):\n"
        "    xp = fgi.namespace(x)\n    return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))\n"
    )
    command, *words = shlex.split(line, comments=True)[1:]
    assert command == "check"
    status, text = run(*words, *ONE, folder=tmp_path)
    assert status == 0, text
    assert " ok." in text


def test_the_help_says_how_it_ends() -> None:
    status, text = run("--help")
    assert status == 0
    for option in ("--like", "--backends", "--modes", "--dtypes", "--quick", "--resume", "--junit"):
        assert option in text
