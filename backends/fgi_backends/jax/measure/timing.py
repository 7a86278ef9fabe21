"""Ways to run in JAX, and seconds until the results are there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from ...measure.execution import Execution, Function, Phases, table

__all__ = [
    "EXECUTIONS",
    "device_name",
    "flush",
    "graph_breaks",
    "peak_memory",
    "settings",
    "to_device",
]


def to_device(tree: Any, device: str) -> Any:
    return jax.device_put(tree, jax.devices("cpu" if device == "cpu" else "gpu")[0])


def device_name(device: str) -> str | None:
    """The GPU's name; None for a CPU. RuntimeError where there is no such device."""
    return None if device == "cpu" else str(jax.devices("gpu")[0].device_kind)


def settings(device: str) -> dict[str, Any]:
    """What else decides how fast it is."""
    if device == "cpu":
        return {"threads": len(os.sched_getaffinity(0))}
    return {"matmul precision": jax.config.jax_default_matmul_precision or "default, TF32"}


def flush(device: str) -> None:
    """Leave nothing of the arrays in a cache."""
    with jax.default_device(jax.devices("cpu" if device == "cpu" else "gpu")[0]):
        _ready(jnp.zeros(2**26, jnp.float32))


def peak_memory(device: str, both: Callable[[], Any]) -> int | None:
    """Bytes that ``both`` has in use at most, beyond its arguments; None where nobody counts."""
    program: Callable[[], Any] | None = getattr(both, "program", None)
    found = program().memory_analysis() if program is not None else None
    if found is None:
        return None
    beyond = found.temp_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return int(beyond)


def graph_breaks() -> None:
    """There are none in JAX: what cannot be traced is an error."""


def _nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations in the jaxpr of f."""
    return _operations(jax.make_jaxpr(f)(p, *data).jaxpr)


def _operations(jaxpr: Any) -> int:
    """Those of functions that are called count, the calls do not."""
    inner = [list(_called(eqn)) for eqn in jaxpr.eqns]
    return sum(sum(map(_operations, parts)) if parts else 1 for parts in inner)


def _called(eqn: Any) -> Iterator[Any]:
    for value in eqn.params.values():
        if hasattr(value, "eqns"):
            yield getattr(value, "jaxpr", value)
    if "product" in eqn.params:  # fgi's own primitive, whose function is traced by the compiler
        yield jax.make_jaxpr(eqn.params["product"])(*(v.aval for v in eqn.invars)).jaxpr


def _ready(tree: Any) -> Any:
    return jax.block_until_ready(tree)  # type: ignore[no-untyped-call]


def _seconds(run: Callable[[], Any]) -> float:
    before = time.perf_counter()
    _ready(run())
    return time.perf_counter() - before


def _jitted(f: Function, p: Any, data: tuple[Any, ...], u: Any) -> Phases:
    # Another function for each phase: what was traced for one would serve the next.
    inference = jax.jit(lambda p, *data: f(p, *data))
    forward = jax.jit(lambda p, *data: jax.vjp(lambda p: f(p, *data), p))
    backward = jax.jit(lambda pullback, u: pullback(u))
    both = jax.jit(lambda p, u, *data: _both(f, p, u, *data))

    def from_there() -> float:
        _, pullback = _ready(forward(p, *data))
        return _seconds(lambda: backward(pullback, u))

    def together() -> float:
        return _seconds(lambda: both(p, u, *data))

    # JAX has it already once it has run.
    together.program = lambda: both.lower(p, u, *data).compile()  # type: ignore[attr-defined]
    return {
        "inference": lambda: _seconds(lambda: inference(p, *data)),
        "forward": lambda: _seconds(lambda: forward(p, *data)),
        "backward": from_there,
        "both": together,
    }


def _both(f: Function, p: Any, u: Any, *data: Any) -> tuple[Any, Any]:
    y, pullback = jax.vjp(lambda p: f(p, *data), p)
    return y, pullback(u)


def _eager(f: Function, p: Any, data: tuple[Any, ...], u: Any) -> Phases:
    return {
        "inference": lambda: _seconds(lambda: f(p, *data)),
        "call": lambda: _seconds(lambda: f(p, *data)),
        "both": lambda: _seconds(lambda: _both(f, p, u, *data)),
    }


EXECUTIONS = table(
    Execution("jit", "jax.jit", _jitted, nodes=_nodes),
    # Nobody's arrays are computed so; what a call costs beyond the operations shows here.
    Execution("eager", "operation by operation", _eager, takes=("call",)),
)
