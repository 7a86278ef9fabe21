"""The MLX backend of fgi: stop gradient is ``mx.stop_gradient``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from typing import Any

import mlx.core as mx
import numpy as np

from .loop import compiles_loops as compiles_loops, scan as scan
from .native import mechanisms as mechanisms
from .transforms import (
    compile as compile,
    grad as grad,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
    vmap as vmap,
)

name = "mlx"
version = metadata.version("mlx")
Array = mx.array
Key = mx.array

float32 = mx.float32
half = (mx.float16, mx.bfloat16)
# Not float64, though MLX has one: its exp, sin and cos are those of float32.
floating = (*half, float32)


def stop_gradient(x: mx.array, /) -> mx.array:
    return mx.stop_gradient(x)


def keep_on_tape(d: mx.array, /) -> mx.array:
    return d


def assume_value(y: mx.array, fx: mx.array, /) -> mx.array:
    return y


def first_order(slope: Callable[..., mx.array], x: mx.array, fx: mx.array, /) -> None:
    return None


def may_differentiate(*xs: Any) -> bool:
    """Always: nothing tells a function that MLX traces whether its derivative will be taken."""
    return True


def double_precision() -> AbstractContextManager[Any]:
    return nullcontext()


def device(kind: str, /) -> AbstractContextManager[Any]:
    found = mx.cpu if kind == "cpu" else mx.gpu
    if not mx.is_available(found):
        raise LookupError(f"mlx {version} sees no {kind} device")
    return mx.stream(found)


def finfo(dtype: mx.Dtype, /) -> Any:
    return mx.finfo(dtype)


def dtype(name: str, /) -> mx.Dtype:
    found: mx.Dtype = getattr(mx, name)
    return found


def same_shape(x: mx.array, y: mx.array, /) -> bool:
    return x.shape == y.shape


def astype(x: mx.array, dtype: mx.Dtype, /) -> mx.array:
    return x.astype(dtype)


def step(x: mx.array, y: Any, /, *, at_zero: int = 0) -> mx.array:
    return (x >= y if at_zero else x > y).astype(x.dtype)


def asarray(x: Any, /, *, dtype: mx.Dtype | None = None) -> mx.array:
    if isinstance(x, mx.array):
        return x if dtype is None else x.astype(dtype)
    if dtype is None and isinstance(x, np.ndarray):  # MLX makes float32 of NumPy's float64
        dtype = getattr(mx, "bool_" if x.dtype == bool else str(x.dtype))
    return mx.array(x, dtype=dtype)


def to_numpy(x: mx.array, /) -> Any:
    # NumPy has no bfloat16; float32 holds each of its numbers.
    return np.array(x.astype(float32) if x.dtype == mx.bfloat16 else x)


def _in(dtype: mx.Dtype, x: Any) -> mx.array:
    return asarray(x, dtype=dtype)


def where(condition: mx.array, x: Any, y: Any, /) -> mx.array:
    dtype = (x if isinstance(x, mx.array) else y).dtype
    return mx.where(condition, _in(dtype, x), _in(dtype, y))


def divide(x: mx.array, y: Any, /) -> mx.array:
    return x / _in(x.dtype, y)


def sign(x: mx.array, /) -> mx.array:
    # MLX has 0 for the sign of NaN, the array API and the other frameworks NaN.
    return mx.where(mx.isnan(x), mx.stop_gradient(x), mx.sign(x))


def remainder(x: mx.array, y: Any, /) -> mx.array:
    # 16 bits are computed in float32, and rounded once.
    return mx.remainder(x.astype(float32), _in(float32, y)).astype(x.dtype)


def pow(x: mx.array, y: Any, /) -> mx.array:
    return mx.power(x.astype(float32), _in(float32, y)).astype(x.dtype)


def sin(x: mx.array, /) -> mx.array:
    # MLX loses the sign of -0.0.
    return mx.where(x == 0, x, mx.sin(x))


def erfc(x: mx.array, /) -> mx.array:
    """MLX has erf alone, and 1 - erf(x) has no digits left where erfc is small.

    The trapezoidal rule for the integral of x exp(-t^2 - x^2) / (pi (t^2 + x^2)), at the middle of
    steps of h, and the residue at its pole t = i x: off by exp(-(pi / h)^2), 7e-18.
    Source: Hunter and Regan 1972, Mathematics of Computation 26, 539-541.
    """
    h, below = 0.5, x < 0
    a = x.astype(float32)
    # erfc(11) is 0 in float32.
    a = mx.minimum(mx.where(below, -a, a), 11.0)
    total = mx.zeros_like(a)
    for k in range(10):
        t = (k + 0.5) * h
        total = total + math.exp(-t * t) / (a * a + t * t)
    y = 2 * h / math.pi * a * mx.exp(-a * a) * total + 2 / (1 + mx.exp(2 * math.pi / h * a))
    return mx.where(below, 2 - y, y).astype(x.dtype)


def sum(x: mx.array, /, *, axis: int | None = None, keepdims: bool = False) -> mx.array:
    return mx.sum(x.astype(float32), axis=axis, keepdims=keepdims).astype(x.dtype)


def mean(x: mx.array, /, *, axis: int | None = None, keepdims: bool = False) -> mx.array:
    return mx.mean(x.astype(float32), axis=axis, keepdims=keepdims).astype(x.dtype)


def max(x: mx.array, /, *, axis: int | None = None, keepdims: bool = False) -> mx.array:
    return mx.max(x, axis=axis, keepdims=keepdims)


def argmax(x: mx.array, /, *, axis: int) -> mx.array:
    return mx.argmax(x, axis=axis)


def argsort(x: mx.array, /, *, axis: int = -1) -> mx.array:
    return mx.argsort(x, axis=axis)


def concat(xs: Sequence[mx.array], /, *, axis: int = 0) -> mx.array:
    return mx.concatenate(list(xs), axis=axis)


def stack(xs: Sequence[mx.array], /, *, axis: int = 0) -> mx.array:
    return mx.stack(list(xs), axis=axis)


def uniform(key: mx.array, x: mx.array, /) -> mx.array:
    return mx.random.uniform(shape=x.shape, key=key)


def normal(key: mx.array, x: mx.array, /, *, batch: tuple[int, ...] = ()) -> mx.array:
    return mx.random.normal((*batch, *x.shape), key=key)


def split(key: mx.array, count: int, /) -> Sequence[mx.array]:
    return list(mx.random.split(key, count))


atan = mx.arctan
ceil = mx.ceil
cos = mx.cos
exp = mx.exp
floor = mx.floor
log = mx.log
log1p = mx.log1p
maximum = mx.maximum
minimum = mx.minimum
ones_like = mx.ones_like
round = mx.round
sqrt = mx.sqrt
tanh = mx.tanh
trunc = mx.trunc
zeros_like = mx.zeros_like
