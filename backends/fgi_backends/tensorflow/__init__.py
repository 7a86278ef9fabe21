"""The TensorFlow backend: stop gradient is ``tf.stop_gradient``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from ..defaults import (
    double_precision as double_precision,
    for_many_rows as for_many_rows,
    reciprocal as reciprocal,
)
from ..moved import keep_old_names
from .fast import assume_value as assume_value, first_order as first_order
from .native import mechanisms as mechanisms
from .private import seen_by_tape
from .scan import compiles_loops as compiles_loops, scan as scan
from .transforms import (
    compile as compile,
    grad as grad,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
    vmap as vmap,
)

name = "tensorflow"
version: str = tf.__version__
Array = (tf.Tensor, tf.Variable)
Key = (tf.random.Generator, tf.Tensor)

float16 = tf.float16
float32 = tf.float32
half = (tf.float16, tf.bfloat16)
floating = (*half, tf.float32, tf.float64)


def stop_gradient(x: Tensor, /) -> Tensor:
    return tf.stop_gradient(x)


def keep_on_tape(d: Tensor, /) -> Tensor:
    # Of all functions that are the identity at 0 and whose gradient depends on d in form, those
    # that cost least: one operation more, and what XLA makes part of others.
    if tf.executing_eagerly():
        return tf.nn.elu(d)
    # Not 0 * d * d, whose gradient is NaN where the gradient that comes in has overflowed.
    return d + tf.math.multiply_no_nan(tf.square(d), tf.zeros([], d.dtype))


def may_differentiate(*xs: Any) -> bool:
    """A tape or accumulator may be recording outside the function that is traced.

    Eagerly TensorFlow knows which tensors they have seen; of variables it is not asked.
    """
    if not xs or not tf.executing_eagerly() or any(isinstance(x, tf.Variable) for x in xs):
        return True
    return seen_by_tape(*xs)


def is_traced(*xs: Any) -> bool:
    """Whether a function is being traced."""
    return not tf.executing_eagerly()


def copied(x: Tensor, /) -> Tensor:
    """Itself: tensors cannot be written to."""
    return x


def where(condition: Tensor, x: Any, y: Any, /) -> Tensor:
    # tf.where makes a Python number float32, whatever the dtype of the other branch, and takes it
    # from a cache in which 0.0 and -0.0 are one; a NumPy number goes neither way.
    if not tf.is_tensor(x):
        x = tf.constant(np.asarray(x, y.dtype.as_numpy_dtype))
    if not tf.is_tensor(y):
        y = tf.constant(np.asarray(y, x.dtype.as_numpy_dtype))
    return tf.where(condition, x, y)


def finfo(dtype: Any, /) -> Any:
    return ml_dtypes.finfo(dtype.as_numpy_dtype)  # type: ignore[no-untyped-call]


def same_shape(x: Tensor, y: Tensor, /) -> bool:
    # Dimensions that are not known while tracing fit any.
    return bool(x.shape.is_compatible_with(y.shape))


def device(kind: str, /) -> AbstractContextManager[Any]:
    platform = {"cuda": "GPU"}.get(kind, kind.upper())
    if not tf.config.list_physical_devices(platform):
        raise LookupError(f"tensorflow {version} sees no {kind} device")
    on_it: AbstractContextManager[Any] = tf.device(f"/{platform}:0")
    return on_it


def dtype(name: str, /) -> Any:
    return tf.as_dtype(name)


def divide(x: Tensor, y: Any, /) -> Tensor:
    # A selection is no constant, whose rounded reciprocal a graph would multiply by.
    return x / where(x == x, y, tf.stop_gradient(x))


def astype(x: Tensor, dtype: Any, /) -> Tensor:
    return tf.cast(x, dtype)


def step(x: Tensor, y: Any, /, *, at_zero: int = 0) -> Tensor:
    return tf.cast(x >= y if at_zero else x > y, x.dtype)


def asarray(x: Any, /, *, dtype: Any = None) -> Tensor:
    if tf.is_tensor(x):
        return x if dtype is None else tf.cast(x, dtype)
    return tf.convert_to_tensor(x, dtype=dtype)


def to_numpy(x: Tensor, /) -> Any:
    return np.asarray(x.numpy())


def _wide_dtype(x: Tensor) -> Any:
    return float32 if x.dtype in half else x.dtype


def uniform(key: Any, x: Tensor, /) -> Tensor:
    dtype = _wide_dtype(x)
    if isinstance(key, tf.random.Generator):
        return key.uniform(tf.shape(x), dtype=dtype)
    return tf.random.stateless_uniform(tf.shape(x), seed=key, dtype=dtype)


def normal(key: Any, x: Tensor, /, *, batch: tuple[int, ...] = ()) -> Tensor:
    dtype, shape = _wide_dtype(x), tf.concat([tf.constant(batch, tf.int32), tf.shape(x)], axis=0)
    if isinstance(key, tf.random.Generator):
        return key.normal(shape, dtype=dtype)
    return tf.random.stateless_normal(shape, seed=key, dtype=dtype)


def split(key: Any, count: int, /) -> Sequence[Any]:
    if isinstance(key, tf.random.Generator):
        return [key] * count
    keys: Sequence[Any] = tf.unstack(tf.random.split(key, count))
    return keys


def remainder(x: Tensor, y: Any, /) -> Tensor:
    dtype = _wide_dtype(x)
    return tf.cast(tf.math.floormod(tf.cast(x, dtype), asarray(y, dtype=dtype)), x.dtype)


def pow(x: Tensor, y: Any, /) -> Tensor:
    dtype = _wide_dtype(x)
    return tf.cast(tf.math.pow(tf.cast(x, dtype), asarray(y, dtype=dtype)), x.dtype)


def maximum(x: Tensor, y: Any, /) -> Tensor:
    return _shared(tf.math.maximum, x, y)


def minimum(x: Tensor, y: Any, /) -> Tensor:
    return _shared(tf.math.minimum, x, y)


def _shared(larger: Callable[..., Tensor], x: Tensor, y: Any) -> Tensor:
    """The larger or smaller one, with half of the derivative for each where they are equal.

    TensorFlow gives the first all of it.
    """
    z = larger(x, y)
    if not may_differentiate(*(v for v in (x, y) if isinstance(v, Array))):
        return z
    z0 = tf.stop_gradient(z)
    # Minus 0, as -0.0 + 0.0 is 0.0. Infinite ones would be NaN.
    halves = z0 - 0.5 * ((z0 - x) + (z0 - y))
    return tf.where(tf.equal(x, y) & tf.math.is_finite(z0), halves, z)


def trunc(x: Tensor, /) -> Tensor:
    return tf.where(x < 0, tf.math.ceil(x), tf.math.floor(x))


def _wide(reduce: Callable[..., Tensor], x: Tensor, **options: Any) -> Tensor:
    # TensorFlow adds up float16 in float16, and gets stuck at 2048.
    return tf.cast(reduce(tf.cast(x, _wide_dtype(x)), **options), x.dtype)


def sum(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return _wide(tf.reduce_sum, x, axis=axis, keepdims=keepdims)


def mean(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return _wide(tf.reduce_mean, x, axis=axis, keepdims=keepdims)


def max(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return tf.reduce_max(x, axis=axis, keepdims=keepdims)


def _ordered(x: Tensor) -> Tensor:
    # TensorFlow compares with NaN, and what is not NaN loses its order.
    return where(tf.math.is_nan(x), float("inf"), x)


def argsort(x: Tensor, /, *, axis: int = -1) -> Tensor:
    return tf.argsort(_ordered(x), axis=axis, stable=True)


def argmax(x: Tensor, /, *, axis: int) -> Tensor:
    return tf.argmax(_ordered(x), axis=axis)


def concat(xs: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return tf.concat(list(xs), axis=axis)


def stack(xs: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return tf.stack(list(xs), axis=axis)


abs = tf.abs
atan = tf.math.atan
ceil = tf.math.ceil
cos = tf.math.cos
erfc = tf.math.erfc
exp = tf.math.exp
floor = tf.math.floor
log = tf.math.log
log1p = tf.math.log1p
ones_like = tf.ones_like
round = tf.math.round
sign = tf.math.sign
sin = tf.math.sin
sqrt = tf.math.sqrt
tanh = tf.math.tanh
zeros_like = tf.zeros_like

keep_old_names(__name__)
