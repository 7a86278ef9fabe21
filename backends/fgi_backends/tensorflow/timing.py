"""Ways to run in TensorFlow, and seconds until the device is idle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..execution import Execution, Function, Phases, table

__all__ = ["EXECUTIONS", "device_name", "flush", "nodes", "peak_memory", "settings", "to_device"]


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


def peak_memory(device: str, run: Callable[[], Any]) -> int | None:
    """Bytes of arrays at most while ``run`` runs; None where TensorFlow does not count."""
    if device == "cpu":
        return None
    tf.config.experimental.reset_memory_stats("GPU:0")
    run()
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations in the graph of f, without those that only pass on what they get."""
    graph = tf.function(f, autograph=False).get_concrete_function(p, *data).graph
    passing = {"Placeholder", "Identity", "Const", "NoOp"}
    return sum(op.type not in passing for op in graph.get_operations())


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
    return {
        "inference": lambda: _seconds(lambda: f(p, *data)),
        "both": lambda: _seconds(lambda: _gradient(f, p, u, *data)),
    }


EXECUTIONS = table(
    Execution("eager", "operation by operation", _eager),
    Execution("function", "tf.function", _functions()),
    Execution("XLA", "tf.function(jit_compile=True)", _functions(jit_compile=True)),
)
