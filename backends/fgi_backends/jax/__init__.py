"""The JAX backend: stop gradient is ``jax.lax.stop_gradient``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as Array
from jax.core import Tracer
from jax.scipy.special import erfc as erfc

from ..defaults import (
    for_many_rows as for_many_rows,
    keep_on_tape as keep_on_tape,
    reciprocal as reciprocal,
    same_shape as same_shape,
)
from ..moved import keep_old_names
from .fast import assume_value as assume_value, first_order as first_order
from .native import mechanisms as mechanisms
from .scan import compiles_loops as compiles_loops, scan as scan
from .transforms import (
    compile as compile,
    grad as grad,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
    vmap as vmap,
)

name = "jax"
version: str = jax.__version__
Key = Array

float16 = jnp.dtype("float16")
float32 = jnp.dtype("float32")
half = (float16, jnp.dtype("bfloat16"))
floating = (*half, float32, jnp.dtype("float64"))


def stop_gradient(x: Array, /) -> Array:
    if not isinstance(x, Tracer):
        return x
    # JAX traces a NumPy array that jax.grad gets as one of NumPy.
    stopped = jax.lax.stop_gradient(x)
    return stopped if isinstance(stopped, Array) else jnp.asarray(stopped)


def may_differentiate(*xs: Array) -> bool:
    """Nothing tells a function that JAX traces whether its derivative will be taken.

    Of arrays that are not traced it will not.
    """
    return not xs or any(isinstance(x, Tracer) for x in xs)


def is_traced(*xs: Array) -> bool:
    """Whether JAX traces, for a derivative or to compile."""
    return any(isinstance(x, Tracer) for x in xs)


def copied(x: Array, /) -> Array:
    """Itself: arrays cannot be written to."""
    return x


def double_precision() -> AbstractContextManager[Any]:
    x64: AbstractContextManager[Any] = jax.enable_x64(True)
    return x64


def device(kind: str, /) -> AbstractContextManager[Any]:
    try:
        first = jax.devices(kind)[0]
    except RuntimeError:
        raise LookupError(f"jax {version} sees no {kind} device") from None
    on_it: AbstractContextManager[Any] = jax.default_device(first)
    return on_it


def dtype(name: str, /) -> Any:
    return jnp.dtype(name)


def abs(x: Array, /) -> Array:
    # The derivative of JAX's own is 1 at 0. The selection is of two equal numbers, which a compiler
    # leaves out.
    return jnp.abs(jnp.where(x == 0, stop_gradient(x), x) if isinstance(x, Tracer) else x)


def divide(x: Array, y: Array | float, /) -> Array:
    # A selection is no constant, whose rounded reciprocal XLA would multiply by.
    return x / jnp.where(x == x, y, stop_gradient(x))


def astype(x: Array, dtype: Any, /) -> Array:
    return x.astype(dtype)


def step(x: Array, y: Array | float, /, *, at_zero: int = 0) -> Array:
    return (x >= y if at_zero else x > y).astype(x.dtype)


def asarray(x: Any, /, *, dtype: Any = None) -> Array:
    return jnp.asarray(x, dtype=dtype)


def to_numpy(x: Array, /) -> Any:
    return np.asarray(x)


def uniform(key: Array, x: Array, /) -> Array:
    return jax.random.uniform(key, x.shape, float32 if x.dtype in half else x.dtype)


def normal(key: Array, x: Array, /, *, batch: tuple[int, ...] = ()) -> Array:
    return jax.random.normal(key, (*batch, *x.shape), float32 if x.dtype in half else x.dtype)


def split(key: Array, count: int, /) -> Sequence[Array]:
    return list(jax.random.split(key, count))


def _wide(f: Callable[[Array, Array], Array], x: Array, y: Array | float) -> Array:
    # In 16 bits JAX multiplies out whole powers; and those of Python's integers in any dtype.
    dtype = float32 if x.dtype in half else x.dtype
    return f(x.astype(dtype), jnp.asarray(y, dtype)).astype(x.dtype)


def remainder(x: Array, y: Array | float, /) -> Array:
    return _wide(jnp.remainder, x, y)


def pow(x: Array, y: Array | float, /) -> Array:
    return _wide(jnp.power, x, y)


def sum(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return jnp.sum(x, axis=axis, keepdims=keepdims)


def mean(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return jnp.mean(x, axis=axis, keepdims=keepdims)


def max(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return jnp.max(x, axis=axis, keepdims=keepdims)


def argsort(x: Array, /, *, axis: int = -1) -> Array:
    return jnp.argsort(x, axis=axis, stable=True)


def argmax(x: Array, /, *, axis: int) -> Array:
    return jnp.argmax(x, axis=axis)


def concat(xs: Sequence[Array], /, *, axis: int = 0) -> Array:
    return jnp.concatenate(list(xs), axis=axis)


def stack(xs: Sequence[Array], /, *, axis: int = 0) -> Array:
    return jnp.stack(list(xs), axis=axis)


atan = jnp.arctan
ceil = jnp.ceil
cos = jnp.cos
exp = jnp.exp
finfo = jnp.finfo
floor = jnp.floor
log = jnp.log
log1p = jnp.log1p
maximum = jnp.maximum
minimum = jnp.minimum
ones_like = jnp.ones_like
round = jnp.round
sign = jnp.sign
sin = jnp.sin
sqrt = jnp.sqrt
tanh = jnp.tanh
trunc = jnp.trunc
where = jnp.where
zeros_like = jnp.zeros_like

keep_old_names(__name__)
