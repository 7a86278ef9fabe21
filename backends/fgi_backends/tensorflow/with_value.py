"""``with_value``: by a custom gradient where XLA compiles, which then leaves out the other value.

Elsewhere TensorFlow computes both, and what is saved needs no more than arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor
from tensorflow.python.eager.forwardprop_util import pack_tangents
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

__all__ = ["attached", "with_value"]


def overrides(x: Tensor) -> bool:
    """Whether XLA compiles, and no accumulator follows ``x``.

    In a graph forward mode takes a custom gradient for the identity, which it is made of.
    """
    graph = tf.compat.v1.get_default_graph()
    return (
        not tf.executing_eagerly()
        and GraphOrParentsInXlaContext(graph)
        and not pack_tangents([x]).tangents
    )


def with_value(y: Tensor, fx: Tensor, /) -> Tensor:
    return _with_value(y, fx) if overrides(y) else y


def attached(slope: Callable[..., Tensor], x: Tensor, fx: Tensor, /) -> Tensor | None:
    return _with_value(slope(x) * _seed(x), fx) if overrides(x) else None


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _with_value(y: Tensor, fx: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
    return tf.identity(fx), lambda u: (u, None)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _seed(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
    # The gradient that comes in, which depends on x in form, so that a tape finds a zero for the
    # derivative of that. No product is: 0 * x is NaN where x is not finite.
    return tf.zeros_like(x), lambda u: u - tf.math.multiply_no_nan(x, tf.zeros([], x.dtype))
