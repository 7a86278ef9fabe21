"""Ways to run in TensorFlow, and seconds until the device is idle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

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


def _place(device: str) -> str:
    return "/CPU:0" if device == "cpu" else "/GPU:0"


def to_device(tree: Any, device: str) -> Any:
    with tf.device(_place(device)):
        return tf.nest.map_structure(tf.identity, tree)


def device_name(device: str) -> str | None:
    """The GPU's name; None for a CPU. RuntimeError where there is no such device."""
    if device == "cpu":
        return None
    found = tf.config.list_physical_devices("GPU")
    if not found:
        raise RuntimeError("TensorFlow sees no GPU")
    return str(tf.config.experimental.get_device_details(found[0])["device_name"])


def settings(device: str) -> dict[str, Any]:
    """What else decides how fast it is."""
    if device == "cpu":
        within = tf.config.threading.get_intra_op_parallelism_threads()
        return {"threads": within or len(os.sched_getaffinity(0))}
    return {"TF32": tf.config.experimental.tensor_float_32_execution_enabled()}


def flush(device: str) -> None:
    """Leave nothing of the arrays in a cache."""
    with tf.device(_place(device)):
        tf.zeros(2**26)
    tf.test.experimental.sync_devices()


def peak_memory(device: str, both: Callable[[], Any]) -> int | None:
    """Bytes that ``both`` has in use at most, beyond its arguments; None where nobody counts."""
    if device == "cpu":
        return None
    tf.config.experimental.reset_memory_stats("GPU:0")
    before = int(tf.config.experimental.get_memory_info("GPU:0")["current"])
    both()
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]) - before


def graph_breaks() -> None:
    """There are none in TensorFlow: a function is one graph."""


def _nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations in the graph of f and its loops, without those that pass on what they get."""
    graph = tf.function(f, autograph=False).get_concrete_function(p, *data).graph
    passing = {"Placeholder", "Identity", "Const", "NoOp"}
    definition = graph.as_graph_def()
    bodies = [definition.node, *(part.node_def for part in definition.library.function)]
    return sum(node.op not in passing for body in bodies for node in body)


def _seconds(run: Callable[[], Any]) -> float:
    before = time.perf_counter()
    run()
    tf.test.experimental.sync_devices()
    return time.perf_counter() - before


def _gradient(f: Function, p: Any, u: Any, *data: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten(p))
        y = f(p, *data)
    return y, tape.gradient(y, p, u)


def _functions(**options: Any) -> Callable[..., Phases]:
    """A tape does not leave its function: forward and backward cannot be told apart."""

    def build(f: Function, p: Any, data: tuple[Any, ...], u: Any) -> Phases:
        options["autograph"] = False
        tf.get_logger().setLevel("ERROR")  # of every further function it warns as of a mistake
        inference = tf.function(lambda p, *data: f(p, *data), **options)
        both = tf.function(lambda p, u, *data: _gradient(f, p, u, *data), **options)
        return {
            "inference": lambda: _seconds(lambda: inference(p, *data)),
            "both": lambda: _seconds(lambda: both(p, u, *data)),
        }

    return build


def _eager(f: Function, p: Any, data: tuple[Any, ...], u: Any) -> Phases:
    def forward() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(p))
            return f(p, *data), tape

    def backward() -> float:
        y, tape = forward()
        return _seconds(lambda: tape.gradient(y, p, u))

    return {
        "inference": lambda: _seconds(lambda: f(p, *data)),
        "forward": lambda: _seconds(forward),
        "backward": backward,
        "both": lambda: _seconds(lambda: _gradient(f, p, u, *data)),
    }


EXECUTIONS = table(
    Execution("eager", "operation by operation", _eager, takes=("function", "loop", "call")),
    Execution("function", "tf.function", _functions(), nodes=_nodes),
    Execution("XLA", "tf.function(jit_compile=True)", _functions(jit_compile=True), nodes=_nodes),
)
