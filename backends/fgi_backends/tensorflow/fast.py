"""What TensorFlow has that is faster than the expansion: a custom gradient where XLA compiles.

XLA then leaves out the value of the expansion. Elsewhere TensorFlow computes all that is written,
and what is kept for the backward pass is no more than with a custom gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from .private import compiled_by_xla, followed_by_accumulator

__all__ = ["assume_value", "first_order"]


def assume_value(y: Tensor, fx: Tensor, /) -> Tensor:
    """``y``, whose value is said to be ``fx``, so that XLA leaves out what computes it."""
    return _assume_value(y, fx) if _overrides(y) else y


def first_order(fx: Tensor, slope: Callable[[Tensor], Any], x: Any, /) -> Tensor | None:
    if not compiled_by_xla():
        return None
    x = tf.convert_to_tensor(x)  # a variable
    if not _overrides(x):
        return None

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def injected(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        def gradient(u: Tensor) -> Tensor:
            inside, zero = _is_finite(x), tf.zeros([], x.dtype)
            s = tf.convert_to_tensor(slope(tf.where(inside, tf.stop_gradient(x), zero)), x.dtype)
            s = tf.where(_is_finite(s), s, tf.zeros([], s.dtype))
            # Minus 0 times x, so that a tape finds a zero for the second derivative. Not by a
            # product: 0 * x is NaN where x is not finite.
            return tf.where(inside, u * s, zero) - tf.math.multiply_no_nan(x, zero)

        return tf.identity(fx), gradient

    y: Tensor = injected(x)
    return y


def _overrides(x: Tensor) -> bool:
    # In a graph forward mode takes a custom gradient for the identity, which it is made of.
    return compiled_by_xla() and not followed_by_accumulator(x)


def _is_finite(x: Tensor) -> Tensor:
    return tf.abs(tf.stop_gradient(x)) <= x.dtype.max


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _assume_value(y: Tensor, fx: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
    return tf.identity(fx), lambda u: (u, None)
