"""``fgi bench``: every workload at toy size, what rows have in them, and what the report makes."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import fgi
from fgi.bench import figures, measure, mechanisms, page, report, runner, workloads
from fgi.cli import app
from support.frameworks import INSTALLED_AUTODIFF, load, to_framework, to_numpy

# Those that compile in a few seconds; the others by hand: fgi bench --toy.
QUICK = {"torch": "eager", "jax": "jit", "tensorflow": "function"}
HAS_NO_FORWARD_MODE = {"autograd_function", "custom_vjp"}

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)


def toy(framework: str, workload: str, execution: str) -> measure.Group:
    load(framework)
    groups = runner.plan(
        frameworks=[framework], workloads=[workload], executions=[execution], toy=True
    )
    assert groups
    return groups[0]


@every_framework
@pytest.mark.parametrize("workload", workloads.WORKLOADS)
def test_every_workload_at_toy_size(framework: str, workload: str) -> None:
    kind = workloads.WORKLOADS[workload].takes
    execution = "eager" if kind == "call" else QUICK[framework]
    rows = measure.measure(toy(framework, workload, execution), rounds=3, seconds=0)
    by_name = {row["mechanism"]: row for row in rows}
    xp = fgi.namespace(to_framework(framework, np.ones(1)))
    names = {"fgi", "as published", "bypass", "f alone", "floor", *xp.mechanisms}
    if workload in ("elementwise", "call"):
        names |= {f"{name}, by hand" for name in xp.mechanisms}
    assert names | ({"by hand"} if kind == "call" else set()) == set(by_name)
    for name, row in by_name.items():
        assert "error" not in row, row
        phases = {"inference"} if name == "f alone" else {"inference", "both"}
        assert phases <= set(row["seconds"])
        assert all(len(taken) == 3 and min(taken) > 0 for taken in row["seconds"].values())
        assert row["warm-up"] > 0
        if name in ("f alone", "floor"):
            continue
        assert row["differ"] == 0 < row["values"]
        counted = framework == "torch" or execution == "jit"
        assert (row["peak memory"] is not None) == counted
        if workload == "forward-gradient":
            assert (name in HAS_NO_FORWARD_MODE) == ("forward gradient" in row.get("lacks", {}))
            assert (name in HAS_NO_FORWARD_MODE) != ("forward gradient" in row["seconds"])
        else:
            assert "lacks" not in row
    json.dumps(rows, allow_nan=False)


@pytest.mark.parametrize(
    ("framework", "execution"),
    [
        ("torch", "eager"),
        ("torch", "TorchScript"),
        ("tensorflow", "XLA"),
        ("tensorflow", "eager"),
    ],
)
def test_every_execution(framework: str, execution: str) -> None:
    if framework not in INSTALLED_AUTODIFF:
        pytest.skip(f"{framework} is not installed")
    rows = measure.measure(toy(framework, "elementwise", execution), rounds=3, seconds=0)
    assert not [row for row in rows if "error" in row]
    for row in rows:
        assert ("nodes" in row) == (execution != "eager" and row["mechanism"] != "floor")


def test_nothing_is_compiled_in_a_timed_round(monkeypatch: pytest.MonkeyPatch) -> None:
    if "torch" not in INSTALLED_AUTODIFF:
        pytest.skip("torch is not installed")
    load("torch")
    from torch._dynamo.utils import counters

    real, compiled = measure.in_turns, []

    def watched(*arguments: Any) -> None:
        before = counters["stats"]["unique_graphs"]
        real(*arguments)
        compiled.append((before, counters["stats"]["unique_graphs"] - before))

    monkeypatch.setattr(measure, "in_turns", watched)
    rows = measure.measure(toy("torch", "elementwise", "compile"), rounds=3, seconds=0)
    for row in rows:
        assert "error" not in row
        assert row["graph breaks"] == 0
        assert ("nodes" in row) == (row["mechanism"] != "floor")
    ((before, during),) = compiled
    assert before >= 5
    assert during == 0


def test_a_loop_is_traced_as_a_whole() -> None:
    if "torch" not in INSTALLED_AUTODIFF:
        pytest.skip("torch is not installed")
    rows = measure.measure(toy("torch", "alif", "TorchScript"), rounds=3, seconds=0)
    assert not [row for row in rows if "error" in row]
    nodes = {row["mechanism"]: row["nodes"] for row in rows if "nodes" in row}
    assert nodes["fgi"] > nodes["f alone"] > 4 * 10  # four steps


@every_framework
def test_memory_is_counted_beyond_the_arguments(framework: str) -> None:
    """A gradient of the size of x, and no more than a few arrays of that size."""
    load(framework)
    clock = measure.timing(framework)
    x = to_framework(framework, np.ones(2**16))
    u = to_framework(framework, np.full(2**16, 2.0))
    for execution in clock.EXECUTIONS.values():
        if execution.absent() is None and execution.name in ("eager", "jit"):
            both = execution.build(lambda p: p * p, x, (), u)["both"]
            found = clock.peak_memory("cpu", both)
            if framework == "tensorflow" or (framework == "jax" and execution.name == "eager"):
                assert found is None
            else:
                assert found is not None
                assert 1 <= found / (8 * 2**16) <= 4


@every_framework
def test_mechanisms_have_the_value_and_the_slope(framework: str) -> None:
    load(framework)
    spike = fgi.surrogates.ATan(alpha=3.0)
    x_ = np.array([-1.5, -0.2, 0.3, 2.0])
    u_ = np.array([2.0, -1.0, 0.5, 3.0])
    x, u = to_framework(framework, x_), to_framework(framework, u_)
    xp = fgi.namespace(x)
    written = mechanisms.by_hand(xp, spike, expanded=True)
    assert set(written) == {"by hand", *(f"{name}, by hand" for name in xp.mechanisms)}
    for name, f in (mechanisms.mechanisms(xp, spike) | written).items():
        y, pullback = fgi.vjp(f, x)
        np.testing.assert_array_equal(to_numpy(framework, y), x_ > 0)
        slope = 3 / 2 / (1 + (np.pi / 2 * 3 * x_) ** 2)
        expected = 0 * u_ if name == "f alone" else u_ * slope
        np.testing.assert_allclose(to_numpy(framework, pullback(u)[0]), expected, rtol=1e-14)


@every_framework
def test_phases_compute_what_they_say(framework: str) -> None:
    """Each phase runs the function it was given, and takes time that a larger one exceeds."""
    load(framework)
    clock = measure.timing(framework)
    calls = []

    def f(p: Any, x: Any) -> Any:
        calls.append(p)
        return p["w"] * x

    p = {"w": to_framework(framework, np.array([2.0, 3.0]))}
    x = to_framework(framework, np.array([1.0, -1.0]))
    for execution in clock.EXECUTIONS.values():
        if execution.absent() is not None or execution.name in ("compile", "TorchScript"):
            continue
        calls.clear()
        phases = execution.build(f, p, (x,), x)
        for name, run in phases.items():
            assert run() > 0, name
        assert len(calls) >= (1 if len(phases) == 2 else 3)


def test_limits_of_elementwise_work_are_passes_of_a_negation() -> None:
    if "jax" not in INSTALLED_AUTODIFF:
        pytest.skip("jax is not installed")
    rows = measure.measure(toy("jax", "elementwise", "jit"), rounds=3, seconds=0)
    floor = next(row for row in rows if row["mechanism"] == "floor")["seconds"]
    np.testing.assert_allclose(floor["both"], 2.5 * np.array(floor["inference"]))


def test_the_plan() -> None:
    for name in INSTALLED_AUTODIFF:
        load(name)
    groups = runner.plan(frameworks=INSTALLED_AUTODIFF)
    assert len({group.key for group in groups}) == len(groups)
    drawn = {name for name, cls in fgi.surrogates.catalogue().items() if not cls()._is_random}
    for framework in INSTALLED_AUTODIFF:
        ours = [g for g in groups if g.framework == framework]
        assert {g.workload for g in ours} == set(workloads.WORKLOADS)
        surrogates = {json.loads(g.surrogate)["name"] for g in ours if g.size == 2**20}
        assert surrogates == {fgi.surrogates.catalogue()[name].name for name in drawn}
        lengths = {g.size for g in ours if g.workload == "alif"}
        assert lengths == {28, 49, 98, 196, 392, 784}
        assert {g.dtype for g in ours} == {"float32", "bfloat16", "float16"}
    assert not [g for g in groups if g.execution == "compile" and g.workload == "alif"]
    with pytest.raises(ValueError, match="unknown workload alf; expected some of elementwise, "):
        runner.plan(frameworks=["jax"], workloads=["alf"])


def crash(*_: Any) -> None:
    os._exit(3)


@pytest.fixture
def about() -> dict[str, Any]:
    for name in INSTALLED_AUTODIFF:
        load(name)
    return runner.settings(INSTALLED_AUTODIFF, "cpu", "fgi bench --toy")


def run(groups: list[measure.Group], out: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    options = {"rounds": 3, "seconds": 0.0, "time_limit": 300.0, "isolate": False}
    return runner.run(groups, out=out, about=about, **options)  # type: ignore[arg-type]


def test_finished_groups_are_kept(
    tmp_path: Path, about: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.json"
    framework = INSTALLED_AUTODIFF[0]
    groups = runner.plan(
        frameworks=[framework], workloads=["elementwise"], executions=[QUICK[framework]], toy=True
    )
    assert len(groups) == 2
    first = run(groups[:1], out, about)
    measured: list[str] = []
    real: Callable[..., Any] = runner.measure
    monkeypatch.setattr(
        runner, "measure", lambda group, *more: measured.append(group.key) or real(group, *more)
    )
    rows = run(groups, out, about)
    assert measured == [groups[1].key]
    assert rows[: len(first)] == json.loads(json.dumps(first))
    assert json.loads(out.read_text())["rows"] == json.loads(json.dumps(rows))
    with pytest.raises(ValueError, match="was made with another commit; expected the same; name"):
        run(groups, out, about | {"commit": "another"})


def test_a_crash_is_a_row_and_the_others_go_on(
    tmp_path: Path, about: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = INSTALLED_AUTODIFF[-1]
    group = toy(framework, "elementwise", QUICK[framework])
    monkeypatch.setattr(runner, "measure", crash)
    rows = runner.run(
        [group], out=tmp_path / "r.json", about=about, rounds=3, seconds=0, time_limit=120
    )
    (row,) = rows
    assert row["error"].startswith("Crashed: the worker process ended with status 3")
    pages = page.pages({"cpu": about | {"rows": rows}})
    assert "failed" in pages["benchmarks.md"]
    assert "the worker process ended with status 3" in pages["benchmarks/cpu.md"]
    assert not figures.figures({"cpu": about | {"rows": rows}})


def test_from_the_shell(tmp_path: Path) -> None:
    """A group in a process of its own, the summary, and the page made of the rows."""
    framework = INSTALLED_AUTODIFF[-1]
    out = tmp_path / "benchmarks/cpu.json"
    shell = CliRunner()
    asked = ["bench", "elementwise", "--toy", "--frameworks", framework, "--surrogates", "atan"]
    asked += ["--executions", QUICK[framework], "--rounds", "3", "--json", str(out)]
    done = shell.invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "elementwise" in done.output
    content = report.load(out)
    assert {"machine", "python", "date", "commit", "command", "load average before"} <= set(content)
    assert sorted(shlex.split(content["command"])) == sorted(["fgi", *asked[:-2]])
    assert content["frameworks"][framework]["version"]
    assert "threads" in content["frameworks"][framework]
    done = shell.invoke(app, ["bench", "--report", str(out.parent)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "benchmarks.md").read_text()
    assert "No GPU results yet" in text
    assert report.about(content) in text
    assert "(benchmarks/cpu-training.svg)" in text
    assert (tmp_path / "benchmarks/cpu-training.svg").read_text().startswith("<?xml")
    assert "as published" in (tmp_path / "benchmarks/cpu.md").read_text()
    assert "Of 5120 values compared, 0 were" in (tmp_path / "which_mechanism.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "tpu"], "unknown device tpu; expected cpu or cuda"),
        (["alf"], "unknown workload alf"),
        (["--report", "nowhere"], "has no .json file"),
        (["--surrogates", "nothing"], "is in no catalogue"),
    ],
)
def test_wrong_use(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def row(
    mechanism: str, workload: str = "elementwise", size: int = 1024, **seconds: list[float]
) -> dict[str, Any]:
    return {
        "group": f"g{size}", "workload": workload, "size": size, "dtype": "float32",
        "surrogate": '{"name": "atan"}', "framework": "torch", "execution": "eager",
        "mechanism": mechanism, "seconds": seconds, "differ": 0,
    }  # fmt: skip


def cells(text: str, *first: str) -> list[str]:
    """The line of a table that begins so."""
    (line,) = {x for x in text.splitlines() if x.startswith(f"| {' | '.join(first)} |")}
    return [cell.strip() for cell in line.strip("|").split("|")][len(first) :]


def test_the_network_by_length_as_in_the_paper(about: dict[str, Any]) -> None:
    """Speed-up over eager PyTorch with its own mechanism, at the same number of steps."""
    rows = [
        row("fgi", "alif", 28, both=[0.001, 0.002, 0.003], inference=[0.001]),
        row("autograd_function", "alif", 28, both=[0.004, 0.005, 0.006], inference=[0.003]),
        row("fgi", "alif", 784, both=[0.02], inference=[0.01]),
        row("autograd_function", "alif", 784, both=[0.01], inference=[0.01]),
    ]
    for i, taken in enumerate(rows):
        taken["warm-up"] = 1.5 + i
    results = {"cpu": about | {"rows": rows}}
    text = page.pages(results)["benchmarks.md"]
    _, training, inference, warm_up = re.split("Training, a|Inference, ms|Warm-up: ", text)
    assert cells(training, "torch", "eager", "fgi") == [
        "2 (2.5 x)", "20 (0.5 x)",
    ]  # fmt: skip
    assert cells(inference, "torch", "eager", "fgi") == [
        "1 (3.0 x)", "10 (1.0 x)",
    ]  # fmt: skip
    assert cells(warm_up, "torch", "eager", "autograd_function") == ["2.5 s", "4.5 s"]
    published = "torch", "compile", "fgi, in the paper"
    assert cells(training, *published) == ["7.0 x", "4.3 x"]
    assert cells(warm_up, *published) == ["15 s", "649 s"]
    assert set(figures.figures(results)) == {
        "benchmarks/cpu-training.svg", "benchmarks/cpu-network-by-length.svg",
    }  # fmt: skip


def test_forward_gradients_over_the_value(about: dict[str, Any]) -> None:
    """R_f and R_b by neighbours; what has no forward mode says why."""
    rows = [
        row("fgi", "forward-gradient", both=[6.0, 8.0, 9.0], inference=[2.0, 2.0, 2.0]),
        row("autograd_function", "forward-gradient", both=[2.0, 2.0, 2.0]),
        row("f alone", "forward-gradient", inference=[2.0, 4.0, 3.0]),
    ]
    rows[0]["seconds"]["forward gradient"] = [5.0, 8.0, 6.0]
    rows[1]["lacks"] = {"forward gradient": "NotImplementedError: no jvp"}
    pages = page.pages({"cpu": about | {"rows": rows}})
    found = cells(pages["benchmarks.md"], "torch", "eager", "N=1024", "fgi")
    assert found == ["3e+03", "2.00", "3.00", "4.00", "0"]
    found = cells(pages["benchmarks.md"], "torch", "eager", "N=1024", "autograd_function")
    assert found[1:3] == ["NotImplementedError: no jvp", "0.67"]
    assert "torch's `autograd_function`: no jvp" in pages["which_mechanism.md"]


def test_a_call_is_compared_with_what_is_written_by_hand(about: dict[str, Any]) -> None:
    rows = [
        row("fgi", "call", 1, forward=[4e-6, 5e-6, 9e-6], inference=[1e-6]),
        row("by hand", "call", 1, forward=[1e-6, 3e-6, 3e-6], inference=[1e-6]),
    ]
    text = page.pages({"cpu": about | {"rows": rows}})["benchmarks.md"]
    found = cells(text, "torch", "eager", "atan", "forward")
    assert found == ["5.0", "3.0", "3.0"]


def test_ratios_are_medians_of_neighbours() -> None:
    """Not the ratio of medians: (2, 3, 4) and (1, 4, 1) have 2 for it; neighbours 2, 0.75, 4."""
    rows = [
        row("fgi", both=[2.0, 3.0, 4.0], inference=[1.0, 1.0, 1.0]),
        row("autograd_function", both=[1.0, 4.0, 1.0]),
        row("another_one", both=[8.0, 8.0, 8.0]),
        row("autograd_function, by hand", both=[0.5, 1.0, 0.5]),
        row("as published", both=[1.0, 1.0, 1.0]),
        row("f alone", inference=[0.5, 0.5, 0.25]),
        row("floor", both=[1.0, 1.0, 1.0]),
    ]
    assert report.ratio(rows[0], rows[1], "both") == 2.0
    (line,) = report.summary(rows)
    assert line == (
        "elementwise", "N=1024", "atan", "torch", "eager", "2.00", "autograd_function", "4.00",
        "3.00", "2.00", "3.00", "0",
    )  # fmt: skip
