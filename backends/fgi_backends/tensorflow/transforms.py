"""Differentiation by tape and accumulator, compilation by ``tf.function``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp", "vmap"]

ZERO = tf.UnconnectedGradients.ZERO


class _Forward(threading.local):
    """How many forward modes and batchings are at work in this thread.

    TensorFlow's forward mode cannot look into the arrays of a loop in a graph, which is a
    TypeError, nor its batching into their gradients. And what forward mode brings out of a function
    has no derivative any more, which is a silent zero. Inside them loops are therefore unrolled and
    functions called as they are.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.accumulators = 0
        """Those among them that are forward modes."""


forward = _Forward()


def copied(tree: Any) -> Any:
    """The same arrays as tensors of their own: tapes tell arguments apart by identity."""
    return tf.nest.map_structure(tf.identity, tree)


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    both = value_and_grad(f, argnums=argnums)
    return lambda *args, **named: both(*args, **named)[1]


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        argument = copied(args[argnums])
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(argument))
            value = f(*args[:argnums], argument, *args[argnums + 1 :], **named)
            target = value[0] if has_aux else value
        return value, tape.gradient(target, argument, unconnected_gradients=ZERO)

    return both


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    primals = copied(primals)
    flat = tf.nest.flatten(primals), tf.nest.flatten(tangents)
    if forward.accumulators:
        return _jvp_by_tapes(f, primals, *flat)
    forward.depth += 1
    forward.accumulators += 1
    try:
        with tf.autodiff.ForwardAccumulator(*flat) as accumulator:
            y = f(*primals)
    finally:
        forward.depth -= 1
        forward.accumulators -= 1
    return y, accumulator.jvp(y, unconnected_gradients=ZERO)


def _jvp_by_tapes(
    f: Callable[..., Any], primals: tuple[Any, ...], inputs: list[Any], tangents: list[Any]
) -> tuple[Any, Any]:
    """Forward mode inside forward mode, as the transpose of reverse mode: u -> u J, transposed.

    Of accumulators inside accumulators what comes out is wrong where an intermediate result is used
    twice (tensorflow/tensorflow#127753), and four of them fail.
    """
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            y = f(*primals)
        leaves = tf.nest.flatten(y)
        outputs = [leaf for leaf in leaves if leaf.dtype.is_floating]
        u = copied([tf.zeros_like(leaf) for leaf in outputs])
        outer.watch(u)
        products = inner.gradient(outputs, inputs, u, unconnected_gradients=ZERO)
    found = iter(outer.gradient(products, u, tangents, unconnected_gradients=ZERO))
    dy = [next(found) if leaf.dtype.is_floating else tf.zeros_like(leaf) for leaf in leaves]
    return y, tf.nest.pack_sequence_as(y, dy)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    primals = copied(primals)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tf.nest.flatten(primals))
        y = f(*primals)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        gradients = tape.gradient(
            y, primals, output_gradients=cotangent, unconnected_gradients=ZERO
        )
        return tuple(gradients)

    return y, pullback


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    def mapped(*args: Any) -> Any:
        if forward.depth and tf.executing_eagerly():
            # Not vectorized_map, which makes a function.
            rows = [f(*row) for row in zip(*(tf.unstack(arg) for arg in args), strict=True)]
            return tf.nest.map_structure(lambda *parts: tf.stack(parts), *rows)
        forward.depth += 1
        try:
            if not tf.executing_eagerly():
                return vectorized(*args)
            # vectorized_map makes a function with autograph, which rewrites errors. And TensorFlow
            # warns of functions that are made and called again and again, but not of their traces.
            traced = tf.function(vectorized, autograph=False).get_concrete_function(*args)
            return traced(*args)
        finally:
            forward.depth -= 1

    def vectorized(*args: Any) -> Any:
        # Apart, because a constant from outside the function cannot be a result.
        return tf.vectorized_map(lambda rows: copied(f(*rows)), args)

    return mapped


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    # Without autograph, as in JAX: control flow that depends on values is the caller's to write.
    compiled: Callable[..., Any] = tf.function(f, autograph=False)

    def call(*args: Any, **named: Any) -> Any:
        return (f if forward.depth else compiled)(*args, **named)

    return call
