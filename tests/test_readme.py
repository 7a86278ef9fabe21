"""The README's code runs and prints what it says; its table and numbers are the committed ones."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from fgi.bench import figures, page, report
from support import frameworks
from support.pages import blocks, links

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.skipif(
    set(frameworks.AUTODIFF) - set(frameworks.INSTALLED), reason="needs all three frameworks"
)
def test_the_code_blocks_print_what_they_say() -> None:
    found = blocks(README)
    assert len(found) >= 5
    frameworks.load("torch")  # before TensorFlow
    jax = frameworks.load("jax")
    jax.config.update("jax_enable_x64", False)  # as a reader has it
    scope: dict[str, Any] = {"__name__": "readme"}
    try:
        for code, expected in found:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, "README.md", "exec"), scope)
            assert printed.getvalue() == expected, code
    finally:
        jax.config.update("jax_enable_x64", True)


def test_every_make_target_and_link_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)", README))
    assert {"demo", "test"} <= named <= set(targets)
    assert links(README)
    for link in links(README):
        assert (ROOT / link).exists(), link


def test_the_demo_s_table_is_that_of_the_committed_run() -> None:
    saved = json.loads((ROOT / "docs/demo/demo.json").read_text())
    table = README.partition("<!-- demo -->")[2].partition("<!-- /demo -->")[0]
    assert [o["backend"] for o in saved["frameworks"]] == list(frameworks.AUTODIFF)
    for o in saved["frameworks"]:
        (row,) = (line for line in table.splitlines() if line.strip().startswith(o["backend"]))
        ratios = [a / b for a, b in zip(o["seconds"]["fgi"], o["seconds"]["native"], strict=True)]
        assert row.split() == [
            o["backend"],
            o["version"],
            f"{o['first_loss']:.10f}",
            f"{o['gradient_difference']:.1e}",
            f"{100 * o['accuracy']:.1f}",
            "%",
            f"{median(o['seconds']['fgi']):.3f}",
            f"{median(o['seconds']['native']):.3f}",
            f"{median(ratios):.2f}",
        ]
    for fact in (saved["machine"], saved["date"]):
        assert fact in table


def test_the_timings_are_those_of_the_committed_results() -> None:
    saved = report.load(ROOT / "docs/benchmarks/cpu-quick.json")
    big = [row for row in saved["rows"] if row["size"] == 2**20]
    ratios = {cells[2:5]: float(cells[5]) for cells in report.summary(big)}
    text = " ".join(README.split())
    assert f"between {min(ratios.values()):.2f} and {max(ratios.values()):.2f} times" in text
    # The last of the three names the way to run.
    made = [ratio for names, ratio in ratios.items() if names[2] in ("compile", "jit", "XLA")]
    assert f"compiled {min(made):.2f} to {max(made):.2f} times" in text
    every = report.load(ROOT / "docs/benchmarks/cpu-catalogue.json")["rows"]
    torch, others = (
        [float(cells[5]) for cells in report.summary(every) if (cells[3] == "torch") is of_torch]
        for of_torch in (True, False)
    )
    assert (len(torch), len(others)) == (38, 76)
    assert f"{min(others):.2f} to {max(others):.2f} times in JAX and TensorFlow" in text
    assert f"{min(torch):.2f} to {max(torch):.2f} times in PyTorch" in text
    assert sum(row.get("differ", 0) for row in saved["rows"]) == 0
    paths = sorted((ROOT / "docs/benchmarks").glob("*.json"))
    results = {path.stem: report.load(path) for path in paths}
    pictures = figures.figures(results)
    for path, text in page.pages(results, pictures).items():
        assert (ROOT / "docs" / path).read_text() == text, path
    assert {path.name for path in (ROOT / "docs/benchmarks").glob("*.svg")} == {
        Path(path).name for path in pictures
    }


def test_the_numbers_of_other_libraries_are_those_of_the_tally() -> None:
    page = (ROOT / "docs/peers.md").read_text()
    (row,) = re.findall(r"^\| all \| (.*) \|$", page, re.MULTILINE)
    records, reproduced, _, not_finite, *_ = row.split(" | ")
    text = " ".join(README.split())
    assert f"{records} records, is compared with the presets: {reproduced} are the same" in text
    assert f"{not_finite} differ only at infinities or NaN" in text
