"""The time loop: ``tf.while_loop``, nested and recomputed where steps are to be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .transforms import ZERO, copied, forward

__all__ = ["compiles_loops", "scan"]

Step = Callable[[Any, Any], tuple[Any, Any]]

compiles_loops = True


class _Inner(threading.local):
    """How many segments that are computed again this thread is in."""

    depth = 0


inner = _Inner()


def scan(
    step: Step,
    carry: Any,
    xs: Any,
    *,
    unroll: int | None,
    checkpoint: int | None,
    segmented: bool,
) -> tuple[Any, Any]:
    """``tf.while_loop``; with ``checkpoint``, one over segments of another."""
    steps = int(tf.nest.flatten(xs)[0].shape[0])
    if segmented and (checkpoint is None or forward.depth or inner.depth):
        return step(carry, xs)
    if inner.depth or (forward.depth and not tf.executing_eagerly()):
        return _unrolled(step, carry, xs)
    if checkpoint is None or forward.depth:
        return _while(step, carry, xs, steps, unroll or 1)

    def in_one(carry: Any, xs: Any) -> tuple[Any, Any]:
        # XLA does not find its own functions in the gradient of a loop in a loop.
        if not segmented:
            return _unrolled(step, carry, xs)
        inner.depth += 1
        try:
            return step(carry, xs)
        finally:
            inner.depth -= 1

    segment = _recomputed(in_one)
    whole = steps - steps % checkpoint
    parts = []
    if whole:
        folded = tf.nest.map_structure(
            lambda x: tf.reshape(x[:whole], (whole // checkpoint, checkpoint, *x.shape[1:])), xs
        )
        carry, ys = _while(segment, carry, folded, whole // checkpoint, 1)
        parts.append(tf.nest.map_structure(lambda y: tf.reshape(y, (whole, *y.shape[2:])), ys))
    if steps > whole:
        rest = tf.nest.map_structure(lambda x: x[whole:], xs)
        carry, ys = segment(carry, rest)
        parts.append(ys)
    return carry, tf.nest.map_structure(lambda *ys: tf.concat(ys, 0), *parts)


def _unrolled(step: Step, carry: Any, xs: Any) -> tuple[Any, Any]:
    ys = []
    # Not x[t]: its gradient is as long as x, for each step.
    for slices in zip(*(tf.unstack(x) for x in tf.nest.flatten(xs)), strict=True):
        carry, y = step(carry, tf.nest.pack_sequence_as(xs, slices))
        ys.append(y)
    return carry, tf.nest.map_structure(lambda *parts: tf.stack(parts), *ys)


def _while(step: Step, carry: Any, xs: Any, steps: int, unroll: int) -> tuple[Any, Any]:
    # Arrays, as the gradient of x[t] is as long as x, for each step.
    rows = tf.nest.map_structure(lambda x: tf.TensorArray(x.dtype, steps).unstack(x), xs)

    def at(t: Any) -> Any:
        return tf.nest.map_structure(lambda row: row.read(t), rows)

    # The first step stands outside the loop: it tells the structure and the dtypes of the outputs.
    carry, y = step(carry, at(0))
    buffers = tf.nest.map_structure(
        lambda part: tf.TensorArray(part.dtype, steps, element_shape=part.shape).write(0, part), y
    )

    def write(buffers: Any, t: Any, y: Any) -> Any:
        return tf.nest.map_structure(lambda b, part: b.write(t, part), buffers, y)

    def body(t: Any, carry: Any, buffers: Any) -> tuple[Any, Any, Any]:
        for later in range(unroll):
            carry, y = step(carry, at(t + later))
            buffers = write(buffers, t + later, y)
        return t + unroll, carry, buffers

    rounds, rest = divmod(steps - 1, unroll)
    last = steps - rest
    if rounds:  # XLA refuses a loop of none
        _, carry, buffers = tf.while_loop(
            lambda t, *_: t < last, body, (1, carry, buffers), maximum_iterations=rounds
        )
    for t in range(last, steps):
        carry, y = step(carry, at(t))
        buffers = write(buffers, t, y)
    return carry, tf.nest.map_structure(lambda buffer: buffer.stack(), buffers)


def _recomputed(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` with nothing saved for its gradient but its arguments.

    ``tf.recompute_grad`` has no gradient for tensors that ``f`` closes over, and says nothing; so
    they are found by a trace, and are arguments too.
    """

    def call(*args: Any) -> Any:
        flat = tf.nest.flatten(args)
        traced = tf.function(f, autograph=False).get_concrete_function(
            *tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), args)
        )
        variables = {id(variable.handle) for variable in traced.graph.variables}
        closed_over = [
            x for x in traced.captured_inputs if x.dtype.is_floating and id(x) not in variables
        ]

        def value_and_pullback(*inputs: Any) -> tuple[Any, Any]:
            y = f(*tf.nest.pack_sequence_as(args, inputs[: len(flat)]))

            def pullback(*cotangents: Any, variables: Any = ()) -> Any:
                # Not before its turn: a loop in a graph runs ten rounds ahead where it can.
                with tf.control_dependencies([c for c in cotangents if c is not None]):
                    own = copied(list(inputs[: len(flat)]))
                with tf.GradientTape() as tape:
                    tape.watch(own)
                    tape.watch(closed_over)
                    again = f(*tf.nest.pack_sequence_as(args, own))
                gradients = tape.gradient(
                    again,
                    [*own, *closed_over, *variables],
                    output_gradients=tf.nest.pack_sequence_as(again, cotangents),
                    unconnected_gradients=ZERO,
                )
                inner = len(own) + len(closed_over)
                return (gradients[:inner], gradients[inner:]) if variables else gradients[:inner]

            return tf.nest.flatten(y), pullback

        run = tf.custom_gradient(value_and_pullback)
        structure = traced.structured_outputs
        return tf.nest.pack_sequence_as(structure, run(*flat, *closed_over))

    return call
