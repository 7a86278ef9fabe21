"""One group of cells in this process: its mechanisms in turns, so that their ratios hold."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import numpy as np

import fgi

from ..backend import trees
from ..backend.protocol import Backend
from .mechanisms import VALUE_ALONE, by_hand, mechanisms
from .workloads import WORKLOADS, Problem

__all__ = ["ESTIMATE", "FLOOR", "Group", "in_turns", "measure", "prepared", "timing"]

FLOOR = "floor"
"""What no mechanism can do without."""

ESTIMATE = "forward gradient"
"""The phase of value and estimated gradient along one direction that is given."""

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
    return importlib.import_module(f"fgi_backends.{framework}.measure.timing")


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
        ways = mechanisms(xp, spike)
        if problem.passes is not None and group.execution != "TorchScript":
            ways |= by_hand(xp, spike, expanded=workload.takes == "call")
        functions = {name: problem.f(way, execution.compiles_step) for name, way in ways.items()}
        functions[FLOOR] = problem.floor
        value = _value(functions[VALUE_ALONE], p, data)
        reference = xp.to_numpy(value)
        # One for all: how fast an array is read depends on where it was put.
        upstream = _twos(xp, value)
        along = (
            clock.to_device(_directions(xp, problem.p, group.dtype), group.device)
            if workload.estimates
            else None
        )

        rows: dict[str, dict[str, Any]] = {
            name: {"mechanism": name, "seconds": {}} for name in functions
        }
        for name, row in rows.items():
            # All of them before anything is compiled: what is counted would be compiled already.
            if name != FLOOR and execution.nodes is not None:
                with _reported(row, "lacks", "nodes"):
                    row["nodes"] = execution.nodes(functions[name], p, data)
        runs: dict[str, dict[str, Callable[[], float]]] = {}
        # These first: what loads a compiler, and its headers, is in the warm-up of no mechanism.
        for name in dict.fromkeys((FLOOR, VALUE_ALONE, *functions)):
            row, f = rows[name], functions[name]
            with _reported(row):
                y = f(p, *data)
                if name not in (FLOOR, VALUE_ALONE):
                    row["values"] = int(reference.size)
                    row["differ"] = int(np.sum(xp.to_numpy(xp.stop_gradient(y)) != reference))
                u = _twos(xp, y) if name == FLOOR else upstream
                phases = dict(execution.build(f, p, data, u))
                if name == VALUE_ALONE or (name == FLOOR and problem.passes is not None):
                    phases = {"inference": phases["inference"]}
                runs[name] = prepared(row, phases, clock)
                if execution.nodes is None and not execution.compiles_step:
                    row.pop("graph breaks", None)
                if "both" in phases and name != FLOOR:
                    row["peak memory"] = clock.peak_memory(group.device, phases["both"])
                if along is not None and name not in (FLOOR, VALUE_ALONE):
                    with _reported(row, "lacks", ESTIMATE):
                        # As it stands, before it is compiled: compiled, PyTorch's Function has a
                        # forward mode without a word, and it is zero.
                        _estimate(f)({"p": p, "v": along}, *data)
                        built = execution.build(_estimate(f), {"p": p, "v": along}, data, u)
                        for _ in range(WARM_UP):
                            built["inference"]()
                        runs[name][ESTIMATE] = built["inference"]
        in_turns(runs, rows, rounds, seconds, clock, group, workload.repeats)
        _limits(rows, problem)
        return list(rows.values())


@contextmanager
def _reported(row: dict[str, Any], *place: str) -> Iterator[None]:
    """What goes wrong inside is the row's error, or, with a ``place``, that of one thing of it."""
    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300]
        if place:
            row.setdefault(place[0], {})[place[1]] = text
        else:
            row["error"] = text


def _directions(xp: Backend, p: Any, dtype: str) -> Any:
    rng = np.random.default_rng(1)
    return _arrays(xp, trees.map(lambda x: rng.standard_normal(x.shape), p), dtype)


def _estimate(f: Callable[..., Any]) -> Callable[..., Any]:
    def estimate(pv: Any, *data: Any) -> Any:
        return fgi.forward_gradient(lambda p: f(p, *data), pv["p"], pv["v"])

    return estimate


def _json(text: str) -> Any:
    import json

    return json.loads(text)


def _arrays(xp: Backend, tree: Any, dtype: str) -> Any:
    return trees.map(lambda x: xp.astype(xp.asarray(np.float32(x)), xp.dtype(dtype)), tree)


def _value(f: Callable[..., Any], p: Any, data: tuple[Any, ...]) -> Any:
    with fgi.inference_mode(traced=True):
        return f(p, *data)


def _twos(xp: Backend, y: Any) -> Any:
    return xp.stop_gradient(xp.ones_like(y) + xp.ones_like(y))


def _inferring(run: Callable[[], float]) -> Callable[[], float]:
    # Nothing that this phase traces is ever trained.
    def inferring() -> float:
        with fgi.inference_mode(traced=True):
            return run()

    return inferring


def prepared(
    row: dict[str, Any], phases: dict[str, Callable[[], float]], clock: Any
) -> dict[str, Callable[[], float]]:
    """The phases, run often enough that nothing is compiled any more; the row has the warm-up.

    Seconds of the first three iterations, the clock of the wall: compiling is no GPU's work.
    """
    phases["inference"] = _inferring(phases["inference"])
    first = phases.get("both", phases["inference"])
    broken, before = clock.graph_breaks(), time.perf_counter()
    for _ in range(WARM_UP):
        first()
    row["warm-up"] = time.perf_counter() - before
    for run in phases.values():
        for _ in range(WARM_UP):
            run()
    if (breaks := clock.graph_breaks()) is not None:
        row["graph breaks"] = breaks - (broken or 0)
    return phases


def in_turns(
    runs: dict[str, dict[str, Callable[[], float]]],
    rows: dict[str, dict[str, Any]],
    rounds: int,
    seconds: float,
    clock: Any,
    group: Group,
    repeats: int = 1,
) -> None:
    """Into ``rows``, by phase, the seconds of each round; a round runs each mechanism once."""
    phases = list(dict.fromkeys(phase for of in runs.values() for phase in of))
    for phase in phases:
        taken: dict[str, list[float]] = {name: [] for name, of in runs.items() if phase in of}
        end = time.perf_counter() + seconds / len(phases)
        for turn in range(rounds):
            if turn >= 3 and time.perf_counter() > end:
                break
            # In another order each time: what ran before leaves caches and memory as it will, and
            # the same mechanism would always come after the one that leaves least.
            for name in Random(turn).sample(list(taken), len(taken)):
                if group.cold:
                    clock.flush(group.device)
                run = runs[name][phase]
                taken[name].append(sum(run() for _ in range(repeats)) / repeats)
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
