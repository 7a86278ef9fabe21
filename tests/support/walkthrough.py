"""A page whose files are written and whose commands are run, in an empty folder.

``cd tests && python -m support.walkthrough`` writes what the commands print into docs/checking.md.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/checking.md"

STEP = re.compile(
    r"`(?P<name>[\w./-]+)`:\n\n```python\n(?P<source>.*?)```"
    r"|```console\n\$ (?P<command>[^\n]*)\n(?P<printed>.*?)```",
    re.DOTALL,
)
PROGRAMS = {"fgi": "-m fgi", "pytest": "-m pytest -p fgi.pytest_plugin -p no:cacheprovider"}


def rerun(page: str) -> str:
    """The page with what its commands print now."""
    with tempfile.TemporaryDirectory() as name:
        folder, programs = Path(name) / "project", Path(name) / "bin"
        folder.mkdir()
        programs.mkdir()
        for program, how in PROGRAMS.items():
            path = programs / program
            path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {how} "$@"\n')
            path.chmod(0o755)
        # On a CI server, which it knows by two variables, pytest does not shorten its last lines.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTEST") and name not in ("CI", "BUILD_NUMBER")
        }
        environment |= {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "fgi_core"), str(ROOT / "backends")]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "COLUMNS": "100",
        }

        def step(match: re.Match[str]) -> str:
            if match["name"]:
                (folder / match["name"]).write_text(match["source"])
                return match[0]
            done = subprocess.run(
                match["command"], shell=True, cwd=folder, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
            lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
            printed = "\n".join([*lines, "$ echo $?", str(done.returncode)]).strip("\n")
            printed = printed.replace(str(folder), "")
            return f"```console\n$ {match['command']}\n{printed}\n```"

        return STEP.sub(step, page)


def same(printed: str) -> str:
    """Without what differs from machine to machine: times and versions."""
    printed = re.sub(r"in [\d.]+s( \([\d:]+\))?", "in ...", printed)
    return re.sub(r"(torch|jax|tensorflow) \d[\w.+]*", r"\1 ...", printed)


if __name__ == "__main__":
    PAGE.write_text(rerun(PAGE.read_text()))
