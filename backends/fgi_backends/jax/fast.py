"""What JAX has that is faster than the expansion: operations that say what need not be computed.

XLA cannot know that the value of the expansion is f(x), as x - x is not 0 where x is infinite. The
primitive ``assume_value`` says so. Untraced code takes the expansion.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from .private import PRIMITIVES, Tracer

__all__ = ["assume_value", "first_order"]


def assume_value(y: Array, fx: Array, /) -> Array:
    """``y``, whose value is said to be ``fx``, so that XLA leaves out what computes it."""
    if PRIMITIVES is None or not isinstance(y, Tracer):
        return y
    return PRIMITIVES.assume_value(y, fx)


def first_order(fx: Array, slope: Callable[[Array], Array | float], x: Array, /) -> Array | None:
    if PRIMITIVES is None or not isinstance(x, Tracer):
        return None

    def product(d: Array, x: Array) -> Array:
        inside = _is_finite(x)
        s = jnp.asarray(slope(jnp.where(inside, x, 0.0)), x.dtype)
        return jnp.where(inside, jnp.where(_is_finite(s), s, 0.0) * d, 0.0)

    return PRIMITIVES.assume_value(PRIMITIVES.scale(x, jax.lax.stop_gradient(x), product), fx)


def _is_finite(x: Array) -> Array:
    largest = float(jnp.finfo(x.dtype).max)  # type: ignore[no-untyped-call]
    inside: Array = abs(jax.lax.stop_gradient(x)) <= largest
    return inside
