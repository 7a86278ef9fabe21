"""Every way to run and differentiate a function in TensorFlow, as data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from ...measure.mode import Build, Function, Mode, direct, table

__all__ = ["MODES"]

Pair = tuple[Any, Any]
# A gradient that is lost is reported as zero, as in the other frameworks.
ZERO = tf.UnconnectedGradients.ZERO


def reverse(f: Function, x: Tensor, u: Tensor) -> Pair:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return y, tape.gradient(y, x, u, unconnected_gradients=ZERO)


def forward(f: Function, x: Tensor, u: Tensor) -> Pair:
    with tf.autodiff.ForwardAccumulator(x, u) as accumulator:
        y = f(x)
    return y, accumulator.jvp(y, unconnected_gradients=ZERO)


def batched(f: Function, x: Tensor, u: Tensor) -> Pair:
    def column(pair: Any) -> Any:
        return reverse(f, *pair)[1]

    dx = tf.vectorized_map(column, (tf.transpose(x), tf.transpose(u)))
    return f(x), tf.transpose(dx)


def changed(change: Callable[[Function, Tensor], Function]) -> Build:
    """Reverse mode through another form of the function, made once."""

    def build(f: Function, x: Tensor, u: Tensor) -> Callable[[Tensor, Tensor], Pair]:
        g = change(f, x)
        return lambda x, u: reverse(g, x, u)

    return build


def compiled(run: Callable[[Function, Tensor, Tensor], Pair], **options: Any) -> Build:
    def build(f: Function, *example: Tensor) -> Callable[[Tensor, Tensor], Pair]:
        call: Callable[[Tensor, Tensor], Pair] = tf.function(lambda x, u: run(f, x, u), **options)
        return call

    return build


def looped(f: Function, x: Tensor, u: Tensor) -> Pair:
    def g(x: Tensor) -> Any:
        return tf.while_loop(
            lambda i, y: i < 2, lambda i, y: (i + 1, f(x)), (0, tf.zeros_like(x)),
            maximum_iterations=2,
        )[1]  # fmt: skip

    return reverse(g, x, u)


def saved(f: Function, x: Tensor) -> Function:
    module = tf.Module()
    signature = [tf.TensorSpec(x.shape, x.dtype)]
    module.f = tf.function(f, input_signature=signature, autograph=False)
    # It logs where it has written what is gone a moment later.
    logger = logging.getLogger("absl"), tf.get_logger()
    levels = [each.level for each in logger]
    with tempfile.TemporaryDirectory() as folder:
        try:
            for each in logger:
                each.setLevel(logging.ERROR)
            tf.saved_model.save(module, folder)
        finally:
            for each, level in zip(logger, levels, strict=True):
                each.setLevel(level)
        loaded = tf.saved_model.load(folder)
    # The function dies with the object that it came with.
    return lambda x: loaded.f(x)


def mixed(f: Function, x: Tensor) -> Function:
    class Layer(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Tensor) -> Any:
            return f(x)

    layer: Function = Layer(dtype=f"mixed_{x.dtype.name}", autocast=True)
    return layer


def no_keras() -> str | None:
    try:
        import keras
    except ImportError:
        return "mixed precision is Keras's, which is not installed"
    if keras.backend.backend() != "tensorflow":
        return f"mixed precision is Keras's, whose backend is {keras.backend.backend()}"
    return None


MODES = table(
    Mode("eager", "the tape, operation by operation", direct(reverse), quick=True),
    Mode("function", "tf.function around function and tape", compiled(reverse), quick=True),
    Mode("XLA", "the same with jit_compile=True", compiled(reverse, jit_compile=True)),
    Mode("ForwardAccumulator", "forward mode", direct(forward), quick=True),
    Mode("vectorized_map", "the tape, batched", direct(batched)),
    Mode("while_loop", "inside tf.while_loop, in a tf.function", compiled(looped)),
    Mode("SavedModel", "saved, loaded, trained after", changed(saved)),
    Mode(
        "mixed precision",
        "in a Keras layer whose policy computes in 16 bits",
        changed(mixed),
        no_keras,
        dtypes=("float16", "bfloat16"),
    ),
)
