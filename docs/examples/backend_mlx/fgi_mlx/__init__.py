"""The MLX backend of fgi: MLX has the functions of the array-API standard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import mlx.core as mx
import numpy as np

from fgi.backend import from_array_api
from fgi.backend.trees import leaves, rebuilt


def sin(x: mx.array, /) -> mx.array:
    # MLX loses the sign of -0.0.
    return mx.where(x == 0, x, mx.sin(x))


def argsort(x: mx.array, /, *, axis: int = -1) -> mx.array:
    # Always stable, so that MLX has no such option.
    return mx.argsort(x, axis=axis)


def asarray(x: Any, /, *, dtype: mx.Dtype | None = None) -> mx.array:
    if dtype is None and isinstance(x, np.ndarray):  # MLX makes float32 of NumPy's float64
        dtype = getattr(mx, "bool_" if x.dtype == bool else str(x.dtype))
    return mx.array(x, dtype=dtype)


def to_numpy(x: mx.array, /) -> Any:
    # NumPy has no bfloat16; float32 holds each of its numbers.
    return np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x)


def device(kind: str, /) -> AbstractContextManager[Any]:
    found = mx.cpu if kind == "cpu" else mx.gpu
    if not mx.is_available(found):
        raise LookupError(f"mlx sees no {kind} device")
    return mx.stream(found)


def flat(f: Callable[..., Any], arguments: Any) -> tuple[Callable[..., list[mx.array]], list[Any]]:
    """``f`` of a list of arrays, to a list of arrays; and the container that it last returned."""
    returned: list[Any] = []

    def of_arrays(*arrays: mx.array) -> list[mx.array]:
        returned[:] = [f(*rebuilt(arguments, iter(arrays)))]
        return list(leaves(returned[0]))

    return of_arrays, returned


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    of_arrays, returned = flat(f, primals)
    arrays = list(leaves(primals))
    ys = of_arrays(*arrays)

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        # mx.vjp wants the cotangents at once, and runs f again.
        gradients = mx.vjp(of_arrays, arrays, list(leaves(cotangents)))[1]
        return rebuilt(primals, iter(gradients))

    return rebuilt(returned[0], iter(ys)), pullback


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    of_arrays, returned = flat(f, primals)
    ys, dys = mx.jvp(of_arrays, list(leaves(primals)), list(leaves(tangents)))
    return rebuilt(returned[0], iter(ys)), rebuilt(returned[0], iter(dys))


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    def mapped(*args: Any) -> Any:
        of_arrays, returned = flat(f, args)
        ys = mx.vmap(of_arrays)(*args)
        return rebuilt(returned[0], iter(ys))

    return mapped


def custom_function(value: Callable[..., Any], slope: Callable[..., Any]) -> Any:
    """MLX's own custom gradient, which fgi check compares with."""
    function = mx.custom_function(value)
    function.vjp(lambda x, upstream, output: upstream * slope(x))
    return function


backend = from_array_api(
    mx, name="mlx", Array=mx.array, stop_gradient=mx.stop_gradient,
    # Not float64, though MLX has one: its exp, sin and cos are those of float32.
    floating=(mx.float16, mx.bfloat16, mx.float32),
    sin=sin, argsort=argsort, asarray=asarray, to_numpy=to_numpy, device=device,
    vjp=vjp, jvp=jvp, vmap=vmap, compile=mx.compile, grad=mx.grad,
    mechanisms={"custom_function": custom_function},
    Key=mx.array,
    uniform=lambda key, x: mx.random.uniform(shape=x.shape, key=key),
    normal=lambda key, x, batch=(): mx.random.normal((*batch, *x.shape), key=key),
    split=lambda key, count: list(mx.random.split(key, count)),
)  # fmt: skip
