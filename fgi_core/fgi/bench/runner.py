"""Every function in a process of its own, each group with a time limit, kept when finished."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import fgi

from ..storage import write
from ..testing.workers import Crashed, TookTooLong, Worker
from . import provenance as machine
from .measure import Group, measure, timing
from .workloads import WORKLOADS

__all__ = ["plan", "run", "settings"]

ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""As a user would run: threads and devices are the frameworks' own choice."""


def plan(
    *,
    frameworks: Sequence[str],
    workloads: Sequence[str] | None = None,
    surrogates: Sequence[fgi.Surrogate] | None = None,
    executions: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    device: str = "cpu",
    quick: bool = False,
    toy: bool = False,
    cold: bool = False,
) -> list[Group]:
    """The groups in order; what cannot run here is left out by its execution's own word.

    Without ``surrogates`` element-wise work is that of Gaussian and ATan at every size and dtype,
    and of the whole catalogue in float32 at 2^20; networks have their own surrogate.

    Errors: ValueError for a name that is not there.
    """
    names = _known("workload", workloads, list(WORKLOADS))
    groups = []
    for framework in frameworks:
        ways = {
            name: way for name, way in timing(framework).EXECUTIONS.items() if way.absent() is None
        }
        for name in names:
            workload = WORKLOADS[name]
            chosen = sizes or (
                (workload.toy,) if toy else workload.quick if quick else workload.sizes[device]
            )
            for spike, dtype, size in _cells(name, chosen, surrogates, dtypes, quick or toy):
                groups += [
                    Group(
                        name, size, dtype, json.dumps(spike.to_config()), framework, way, device,
                        cold,
                    )
                    for way, execution in ways.items()
                    if workload.takes in execution.takes and (not executions or way in executions)
                ]  # fmt: skip
    return groups


def _known(kind: str, asked: Sequence[str] | None, there: list[str]) -> list[str]:
    unknown = [name for name in asked or () if name not in there]
    if unknown:
        raise ValueError(
            f"fgi bench: unknown {kind} {', '.join(unknown)}; expected some of {', '.join(there)}"
        )
    return [name for name in there if not asked or name in asked]


def _cells(
    name: str,
    sizes: Iterable[int],
    surrogates: Sequence[fgi.Surrogate] | None,
    dtypes: Sequence[str] | None,
    few: bool,
) -> Iterator[tuple[fgi.Surrogate, str, int]]:
    if name != "elementwise":
        for size in sizes:
            for spike in surrogates or (WORKLOADS[name].surrogate,):
                yield spike, (dtypes or ("float32",))[0], size
        return
    two = (fgi.surrogates.Gaussian(), fgi.surrogates.ATan())
    for size in sizes:
        for spike in surrogates or two:
            for dtype in dtypes or (("float32",) if few else ("float32", "bfloat16", "float16")):
                yield spike, dtype, size
    if surrogates is None and not few:
        for cls in fgi.surrogates.catalogue().values():
            spike = cls()
            if spike not in two and not spike._is_random:
                yield spike, "float32", 2**20


def settings(frameworks: Sequence[str], device: str, command: str) -> dict[str, Any]:
    """Hardware, versions, date, commit and command: what a table has to say of itself."""
    found = machine.describe() | {"command": command, "device": device, "frameworks": {}}
    for name in frameworks:
        # TensorFlow asks for these when it is imported, and tells its developers a lot otherwise.
        with _environment(**ENVIRONMENT), fgi.use_backend(name):
            clock = timing(name)
            found["frameworks"][name] = {
                "version": fgi.namespace().version,
                "accelerator": clock.device_name(device),
                **clock.settings(device),
            }
    return found


def run(
    groups: Sequence[Group],
    *,
    out: Path,
    about: dict[str, Any],
    rounds: int,
    seconds: float,
    time_limit: float,
    isolate: bool = True,
    on_group: Callable[[Group], None] = lambda group: None,
) -> list[dict[str, Any]]:
    """The rows of all groups. Those that ``out`` has already, of the same machine, are not run."""
    rows = _finished(out, about)
    done = {row["group"] for row in rows}
    for _, ways in groupby(groups, key=_function):
        with _worker(time_limit) if isolate else nullcontext() as worker:
            for group in ways:
                if group.key not in done:
                    found = (
                        _isolated(worker, group, rounds, seconds)
                        if worker
                        else measure(group, rounds, seconds)
                    )
                    rows += [{"group": group.key} | asdict(group) | row for row in found]
                    out.parent.mkdir(parents=True, exist_ok=True)
                    write(out, (json.dumps(about | {"rows": rows}, indent=1) + "\n").encode())
                on_group(group)
    return rows


def _function(group: Group) -> Group:
    """What groups have in common that are the same function, run in different ways."""
    return replace(group, execution="")


def _finished(out: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    before = json.loads(out.read_text())
    same = ("machine", "device", "frameworks", "commit")
    differ = [key for key in same if before.get(key) != json.loads(json.dumps(about.get(key)))]
    if differ:
        raise ValueError(
            f"fgi bench: {out} was made with another {', '.join(differ)}; expected the same; name "
            f"a new file, or remove it"
        )
    rows: list[dict[str, Any]] = before["rows"]
    return rows


@contextlib.contextmanager
def _worker(time_limit: float) -> Iterator[Worker]:
    """A process with nothing compiled before, on disk neither: else it is no warm-up."""
    with tempfile.TemporaryDirectory() as empty, _environment(TORCHINDUCTOR_CACHE_DIR=empty):
        worker = Worker(time_limit, ENVIRONMENT)
        try:
            yield worker
        finally:
            worker.close()


def _isolated(worker: Worker, group: Group, rounds: int, seconds: float) -> list[dict[str, Any]]:
    try:
        return worker.call(measure, group, rounds, seconds)
    except (Crashed, TookTooLong, RuntimeError) as error:
        text = str(error).strip().partition("\n")[0][:300]
        return [{"mechanism": "", "seconds": {}, "error": f"{type(error).__name__}: {text}"}]


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
