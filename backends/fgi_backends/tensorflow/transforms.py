"""Differentiation by tape and accumulator, compilation by ``tf.function``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp"]

ZERO = tf.UnconnectedGradients.ZERO


class _Forward(threading.local):
    """How many forward modes are at work in this thread.

    TensorFlow's cannot look into the arrays of a loop in a graph, which is a TypeError, and what it
    brings out of a function has no derivative any more, which is a silent zero. Inside them loops
    are therefore unrolled and functions called as they are.
    """

    def __init__(self) -> None:
        self.depth = 0


forward = _Forward()


def apart(tree: Any) -> Any:
    """The same arrays as tensors of their own: tapes tell arguments apart by identity."""
    return tf.nest.map_structure(tf.identity, tree)


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    both = value_and_grad(f, argnums=argnums)
    return lambda *args, **named: both(*args, **named)[1]


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        argument = apart(args[argnums])
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(argument))
            value = f(*args[:argnums], argument, *args[argnums + 1 :], **named)
            target = value[0] if has_aux else value
        return value, tape.gradient(target, argument, unconnected_gradients=ZERO)

    return both


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    primals = apart(primals)
    flat = tf.nest.flatten(primals), tf.nest.flatten(tangents)
    forward.depth += 1
    try:
        with tf.autodiff.ForwardAccumulator(*flat) as accumulator:
            y = f(*primals)
    finally:
        forward.depth -= 1
    return y, accumulator.jvp(y, unconnected_gradients=ZERO)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    primals = apart(primals)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tf.nest.flatten(primals))
        y = f(*primals)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        gradients = tape.gradient(
            y, primals, output_gradients=cotangent, unconnected_gradients=ZERO
        )
        return tuple(gradients)

    return y, pullback


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    # Without autograph, as in JAX: control flow that depends on values is the caller's to write.
    compiled: Callable[..., Any] = tf.function(f, autograph=False)

    def call(*args: Any, **named: Any) -> Any:
        return (f if forward.depth else compiled)(*args, **named)

    return call
