"""docs/checking.md: its commands print what it says; its examples are complete."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from support import frameworks
from support.walkthrough import PAGE, ROOT, STEP, rerun, same

TEXT = PAGE.read_text()


@pytest.mark.skipif(
    set(frameworks.AUTODIFF) - set(frameworks.INSTALLED), reason="needs all three frameworks"
)
def test_the_commands_print_what_the_page_says() -> None:
    steps = list(STEP.finditer(TEXT))
    assert len([step for step in steps if step["command"]]) == 4
    assert same(rerun(TEXT)) == same(TEXT)


def test_the_last_command_is_a_red_build_that_says_why() -> None:
    *green, red = (step["printed"] for step in STEP.finditer(TEXT) if step["command"])
    assert all(printed.endswith("$ echo $?\n0\n") for printed in green)
    assert red.endswith("$ echo $?\n1\n")
    assert "gradient: the upstream gradient is dropped" in red


def test_the_remedy_makes_it_green() -> None:
    if "torch" not in frameworks.INSTALLED:
        pytest.skip("torch is not installed")
    steps = list(STEP.finditer(TEXT))
    page = "\n\n".join(step[0] for step in steps if step["name"] or step is steps[-1])
    (remedy,) = re.findall(r"`(return [^`]*)` makes it green", TEXT)
    faulty = "return spike.derivative(x)"
    assert faulty in page
    (*_, again) = STEP.finditer(rerun(page.replace(faulty, remedy)))
    assert again["printed"].endswith("$ echo $?\n0\n")


def test_every_link_exists() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert len(links) >= 4
    for link in links:
        assert (PAGE.parent / link).exists(), link


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / "docs/ci" / name).read_text())


def test_the_workflow_has_a_job_for_each_framework() -> None:
    workflow = load("github-workflow.yml")
    # YAML 1.1 reads the key "on" as true.
    assert set(workflow) == {"name", True, "jobs"}
    (job,) = workflow["jobs"].values()
    names = [entry["name"] for entry in job["strategy"]["matrix"]["include"]]
    assert names == [*frameworks.AUTODIFF, ",".join(frameworks.AUTODIFF)]
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
    commands = " ".join(step.get("run", "") for step in job["steps"])
    named = set(re.findall(r"matrix\.(\w+)", commands + job["name"]))
    assert named == {"name", "install"}
    for option in ("--fgi-backends", "--fgi-require", "--fgi-report"):
        assert option in commands


def test_the_hook_is_complete() -> None:
    (repository,) = load("pre-commit-config.yaml")["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"
    assert {"id", "name", "language", "entry"} <= set(hook)
    assert hook["entry"].startswith("fgi check ")
    assert re.search(hook["files"], "spikes.py")
