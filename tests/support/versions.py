"""Which versions of the frameworks pass: runs parts of the tests here, and writes docs/versions.md.

    python -m support.versions --label newest

runs each part in a process of its own with the frameworks of this environment, and keeps the counts
in benchmarks/results/versions.json. Without ``--label`` only the page is made, from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "versions.json"
PAGE = ROOT / "docs" / "versions.md"

PARTS: dict[str, tuple[str, ...]] = {
    "promises": ("tests/test_promises.py", "-k", "float32 and not expansion"),
    "expansion alone": ("tests/test_promises.py", "-k", "expansion"),
    "compiled directly": ("tests/test_compiled_directly.py",),
    "not finite": ("tests/test_not_finite.py",),
    "history": ("tests/test_history.py",),
    "traced modes": ("tests/test_traced_modes.py",),
    "transforms": ("tests/test_transforms.py", "tests/test_orders.py", "tests/test_vmap.py"),
    "adapters": ("tests/test_face_torch.py", "tests/test_face_jax.py", "tests/test_face_keras.py"),
}
"""What is run of the tests, by the name of its column."""

PACKAGES = ("torch", "jax", "tensorflow", "numpy", "flax", "keras")
AUTODIFF = ("torch", "jax", "tensorflow")


def installed(frameworks: str) -> dict[str, str]:
    """The versions of this environment, those of other frameworks left out."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    belong = {"flax": "jax", "keras": "tensorflow", "numpy": "numpy"}
    for name in PACKAGES:
        if belong.get(name, name) not in frameworks.split(","):
            continue
        for package in (name, f"{name}-cpu", f"{name}_cpu"):
            try:
                found[name] = version(package)
            except PackageNotFoundError:
                continue
            break
    return found


def counts(report: Path) -> dict[str, dict[str, int]]:
    """Passed, failed and skipped by framework; "all" is for tests that name none."""
    found: dict[str, dict[str, int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        framework = next((f for f in AUTODIFF if f in name), "all")
        outcome = "passed"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        elif case.find("skipped") is not None:
            outcome = "skipped"
        row = found.setdefault(framework, dict.fromkeys(("passed", "failed", "skipped"), 0))
        row[outcome] += 1
    return found


def run(part: str, frameworks: str, seconds: float) -> dict[str, Any]:
    """One part with these frameworks; a part that does not end in time says so."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["--show-capture=no", "--tb=line", f"--junitxml={report}", *PARTS[part]]
        # A new version may warn of itself.
        command += ["-W", "default"]
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "FGI_TEST_FRAMEWORKS": frameworks}
        try:
            subprocess.run(command, cwd=ROOT, env=environment, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"not through after {seconds:g} s"}
        return counts(report) if report.exists() else {"error": "did not start"}


def page(rows: list[dict[str, Any]]) -> str:
    """The table, a row for each environment and framework."""
    lines = [
        "# Versions",
        "",
        "Each cell is passed / failed tests of one part of the suite, with the versions of the",
        "row. The command of a row is `python -m support.versions --label NAME`, run in `tests`",
        "in an environment that holds these versions: `make test-newest` and `make test-lowest`",
        "make theirs. The ranges of `pyproject.toml` are the versions of this table.",
        "",
        _row("versions", "framework", *PARTS, "date"),
        _row(*("---" for _ in range(len(PARTS) + 3))),
    ]
    for row in rows:
        for framework in AUTODIFF:
            if framework not in row["versions"]:
                continue
            shown = f"{framework} {row['versions'][framework]}"
            cells = [_cell(row["parts"].get(part), framework) for part in PARTS]
            label = f"{row['label']}, Python {row['versions']['python']}"
            lines.append(_row(label, shown, *cells, row["date"]))
    failed = [
        f"- {row['label']}, {part}: {found['error']}."
        for row in rows
        for part, found in row["parts"].items()
        if "error" in found
    ]
    if failed:
        lines += ["", "Parts without a result:", "", *failed]
    known = [(row["label"], note) for row in rows for note in row.get("notes", ())]
    if known:
        lines += ["", "Failures explained:", ""]
        lines += [f"- {label}: {note}" for label, note in known]
    return "\n".join([*lines, ""])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(part: dict[str, Any] | None, framework: str) -> str:
    if part is None or "error" in part:
        return "not run" if part is None else "no result"
    row = part.get(framework)
    if row is None and framework == "torch":
        row = part.get("all")  # tests of PyTorch alone do not name it
    return "" if row is None else f"{row['passed']} / {row['failed']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label", help="the name of this environment in the table")
    # TensorFlow 2.21 beside PyTorch 2.15 ends with a segmentation fault when both are loaded.
    parser.add_argument("--frameworks", default="torch,jax,tensorflow,numpy", help="only these")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=3600, help="for each part")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if asked.label:
        row = next((r for r in rows if r["label"] == asked.label), None)
        versions = installed(asked.frameworks)
        if row is None or row["versions"] != versions:
            rows = [r for r in rows if r["label"] != asked.label]
            row = {"label": asked.label, "versions": versions, "parts": {}}
            rows.append(row)
        for part in asked.parts:
            row["parts"][part] = run(part, asked.frameworks, asked.seconds)
            row["date"] = date.today().isoformat()
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.write_text(page(rows))
    if asked.label and not all(holds(found) for found in row["parts"].values()):
        sys.exit(f"{asked.label}: not everything passed")


def holds(found: dict[str, Any]) -> bool:
    """Whether a part has a result, and nothing failed in it."""
    return "error" not in found and all(row["failed"] == 0 for row in found.values())


if __name__ == "__main__":
    main()
