"""The NumPy backend: values and slopes. NumPy has no automatic differentiation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..defaults import (
    assume_value as assume_value,
    compiles_loops as compiles_loops,
    device as device,
    double_precision as double_precision,
    first_order as first_order,
    for_many_rows as for_many_rows,
    is_traced as is_traced,
    keep_on_tape as keep_on_tape,
    mechanisms as mechanisms,
    reciprocal as reciprocal,
    same_shape as same_shape,
)

name = "numpy"
version: str = np.__version__
Array = (ndarray, np.generic)
Key = np.random.Generator

float16 = np.dtype("float16")
float32 = np.dtype("float32")
half: tuple[Any, ...] = (float16,)
finfo: Callable[[Any], Any] = np.finfo
try:
    import ml_dtypes
except ImportError:  # NumPy itself has no bfloat16
    pass
else:
    half = (float16, np.dtype(ml_dtypes.bfloat16))
    finfo = ml_dtypes.finfo
floating = (*half, float32, np.dtype("float64"))


def stop_gradient(x: Any, /) -> Any:
    return x


def may_differentiate(*xs: Any) -> bool:
    """Never."""
    return False


def copied(x: Any, /) -> Any:
    return x.copy()


def where(condition: Any, x: Any, y: Any, /) -> Any:
    # For NumPy a Python number is a float64 beside a dtype that is not its own, such as bfloat16.
    if type(x) in (int, float):
        x = np.asarray(x, y.dtype)
    if type(y) in (int, float):
        y = np.asarray(y, x.dtype)
    return np.where(condition, x, y)


def exp(x: Any, /) -> Any:
    # NumPy's own is off by 2 ulp in float32; who compares with NumPy wants the exact one.
    return np.exp(x, dtype=np.float64).astype(x.dtype)


def erfc(x: Any, /) -> Any:
    # NumPy has no error function; that of the C library is as exact as SciPy's, one call a number.
    return np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)


def dtype(name: str, /) -> Any:
    if name.startswith("float8"):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


def astype(x: Any, dtype: Any, /) -> Any:
    return x.astype(dtype, copy=False)


def step(x: Any, y: Any, /, *, at_zero: int = 0) -> Any:
    y = np.asarray(y, x.dtype)
    return astype(x >= y if at_zero else x > y, x.dtype)


def asarray(x: Any, /, *, dtype: Any = None) -> Any:
    return np.asarray(x, dtype=dtype)


def to_numpy(x: Any, /) -> Any:
    return np.asarray(x)


def _wide(x: Any) -> Any:
    # NumPy adds up 16 bits in 16 bits, and gets stuck at 256 or 2048. It sorts NaN to the end, but
    # does not know that of bfloat16.
    return float32 if x.dtype in half else x.dtype


def uniform(key: np.random.Generator, x: Any, /) -> Any:
    return key.random(x.shape, np.float64 if x.dtype == np.float64 else np.float32)


def normal(key: np.random.Generator, x: Any, /, *, batch: tuple[int, ...] = ()) -> Any:
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    return key.standard_normal((*batch, *x.shape), dtype)


def split(key: np.random.Generator, count: int, /) -> Sequence[np.random.Generator]:
    return [key] * count


def divide(x: Any, y: Any, /) -> Any:
    return np.divide(x, np.asarray(y, x.dtype))


def maximum(x: Any, y: Any, /) -> Any:
    return np.maximum(x, np.asarray(y, x.dtype))


def minimum(x: Any, y: Any, /) -> Any:
    return np.minimum(x, np.asarray(y, x.dtype))


def remainder(x: Any, y: Any, /) -> Any:
    wide = _wide(x)
    return np.remainder(x.astype(wide), np.asarray(y, wide)).astype(x.dtype)


def pow(x: Any, y: Any, /) -> Any:
    wide = _wide(x)
    return np.power(x.astype(wide), np.asarray(y, wide)).astype(x.dtype)


def sum(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.sum(x, axis=axis, dtype=_wide(x), keepdims=keepdims).astype(x.dtype)


def mean(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.mean(x, axis=axis, dtype=_wide(x), keepdims=keepdims).astype(x.dtype)


def max(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims)


def argsort(x: Any, /, *, axis: int = -1) -> Any:
    return np.argsort(x.astype(_wide(x)), axis=axis, stable=True)


def argmax(x: Any, /, *, axis: int) -> Any:
    return np.argmax(x, axis=axis)


def concat(xs: Sequence[Any], /, *, axis: int = 0) -> Any:
    return np.concatenate(list(xs), axis=axis)


def stack(xs: Sequence[Any], /, *, axis: int = 0) -> Any:
    return np.stack(list(xs), axis=axis)


abs = np.abs
atan = np.arctan
ceil = np.ceil
cos = np.cos
floor = np.floor
log = np.log
log1p = np.log1p
ones_like = np.ones_like
round = np.round
sign = np.sign
sin = np.sin
sqrt = np.sqrt
tanh = np.tanh
trunc = np.trunc
zeros_like = np.zeros_like
