"""One group of cells in this process: its mechanisms in turns, so that their ratios hold."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fgi

from .. import trees
from ..backend import Backend
from .mechanisms import VALUE_ALONE, mechanisms
from .workloads import WORKLOADS, Problem

__all__ = ["FLOOR", "Group", "measure", "timing"]

FLOOR = "floor"
"""What no mechanism can do without."""

WARM_UP = 3
"""Iterations that are the warm-up, as in Otte 2024, Table 3."""


@dataclass(frozen=True)
class Group:
    """Cells that run in turns: everything but the mechanism and the phase is the same."""

    workload: str
    size: int
    dtype: str
    surrogate: str
    """Its configuration as JSON."""
    framework: str
    execution: str
    device: str = "cpu"
    cold: bool = False
    """Whether the caches are emptied before each run."""

    @property
    def key(self) -> str:
        return " ".join(str(value) for value in asdict(self).values())


def timing(framework: str) -> Any:
    """The module of the backend that runs and times."""
    return importlib.import_module(f"fgi_backends.{framework}.timing")


def measure(group: Group, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each mechanism: seconds of each round by phase, of the warm-up, and what is equal.

    At most ``rounds`` rounds, and no further one after ``seconds``; at least three.
    """
    with fgi.use_backend(group.framework):
        xp = fgi.namespace()
        clock = timing(group.framework)
        clock.device_name(group.device)
        execution = clock.EXECUTIONS[group.execution]
        workload = WORKLOADS[group.workload]
        spike = fgi.from_config(_json(group.surrogate))
        problem = workload.problem(xp, group.size)
        p, data = (
            clock.to_device(_arrays(xp, part, group.dtype), group.device)
            for part in (problem.p, problem.data)
        )
        functions = {
            name: problem.f(mechanism, execution.compiles_step)
            for name, mechanism in mechanisms(xp, spike).items()
        }
        functions[FLOOR] = problem.floor
        reference = xp.to_numpy(_value(functions[VALUE_ALONE], p, data))

        rows: dict[str, dict[str, Any]] = {}
        runs: dict[str, dict[str, Callable[[], float]]] = {}
        for name, f in functions.items():
            row: dict[str, Any] = {"mechanism": name, "seconds": {}}
            rows[name] = row
            try:
                y = f(p, *data)
                if name not in (FLOOR, VALUE_ALONE):
                    row["values"] = int(reference.size)
                    row["differ"] = int(np.sum(xp.to_numpy(xp.stop_gradient(y)) != reference))
                u = xp.stop_gradient(xp.ones_like(y) + xp.ones_like(y))
                phases = dict(execution.build(f, p, data, u))
                if name == VALUE_ALONE or (name == FLOOR and problem.passes is not None):
                    phases = {"inference": phases["inference"]}
                row["warm-up"] = _warm_up(phases)
                if "both" in phases:
                    row["peak memory"] = clock.peak_memory(group.device, phases["both"])
                if name != FLOOR:
                    row["nodes"] = clock.nodes(f, p, data) if not workload.loop else None
                runs[name] = phases
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300]
        _in_turns(runs, rows, rounds, seconds, clock, group)
        _limits(rows, problem)
        return list(rows.values())


def _json(text: str) -> Any:
    import json

    return json.loads(text)


def _arrays(xp: Backend, tree: Any, dtype: str) -> Any:
    return trees.map(lambda x: xp.astype(xp.asarray(np.float32(x)), xp.dtype(dtype)), tree)


def _value(f: Callable[..., Any], p: Any, data: tuple[Any, ...]) -> Any:
    with fgi.inference_mode():
        return f(p, *data)


def _inferring(run: Callable[[], float]) -> Callable[[], float]:
    def inferring() -> float:
        with fgi.inference_mode():
            return run()

    return inferring


def _warm_up(phases: dict[str, Callable[[], float]]) -> float:
    """Seconds of the first three iterations, the clock of the wall: compiling is no GPU's work."""
    phases["inference"] = _inferring(phases["inference"])
    first = phases.get("both", phases["inference"])
    before = time.perf_counter()
    for _ in range(WARM_UP):
        first()
    taken = time.perf_counter() - before
    for run in phases.values():
        for _ in range(WARM_UP):
            run()
    return taken


def _in_turns(
    runs: dict[str, dict[str, Callable[[], float]]],
    rows: dict[str, dict[str, Any]],
    rounds: int,
    seconds: float,
    clock: Any,
    group: Group,
) -> None:
    phases = list(dict.fromkeys(phase for of in runs.values() for phase in of))
    for phase in phases:
        taken: dict[str, list[float]] = {name: [] for name, of in runs.items() if phase in of}
        end = time.perf_counter() + seconds / len(phases)
        for turn in range(rounds):
            if turn >= 3 and time.perf_counter() > end:
                break
            for name, values in taken.items():
                if group.cold:
                    clock.flush(group.device)
                values.append(runs[name][phase]())
        for name, values in taken.items():
            rows[name]["seconds"][phase] = values


def _limits(rows: dict[str, dict[str, Any]], problem: Problem) -> None:
    """The floor of each phase, from the runs of the same process."""
    found = rows[FLOOR]["seconds"]
    if problem.passes is not None and "inference" in found:
        rows[FLOOR]["seconds"] = {
            phase: [passes * value for value in found["inference"]]
            for phase, passes in problem.passes.items()
        }
