"""Differentiation, batching and compilation, as MLX has them.

``mx.grad`` takes nested containers, ``mx.vjp``, ``mx.jvp`` and ``mx.vmap`` take lists of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from fgi.backend.trees import leaves, rebuilt


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    return mx.grad(f, argnums=argnums)


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    # MLX differentiates the first of a tuple in any case.
    return mx.value_and_grad(f, argnums=argnums)


def flat(f: Callable[..., Any], arguments: Any) -> tuple[Callable[..., list[mx.array]], list[Any]]:
    """``f`` of a list of arrays, to a list of arrays; and the container that it last returned."""
    returned: list[Any] = []

    def of_arrays(*arrays: mx.array) -> list[mx.array]:
        returned[:] = [f(*rebuilt(arguments, iter(arrays)))]
        return list(leaves(returned[0]))

    return of_arrays, returned


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    of_arrays, returned = flat(f, primals)
    ys, dys = mx.jvp(of_arrays, list(leaves(primals)), list(leaves(tangents)))
    return rebuilt(returned[0], iter(ys)), rebuilt(returned[0], iter(dys))


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    of_arrays, returned = flat(f, primals)
    arrays = list(leaves(primals))
    ys = of_arrays(*arrays)

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        # mx.vjp wants the cotangents at once, and runs f again.
        _, gradients = mx.vjp(of_arrays, arrays, list(leaves(cotangents)))
        pulled: tuple[Any, ...] = rebuilt(primals, iter(gradients))
        return pulled

    return rebuilt(returned[0], iter(ys)), pullback


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    def mapped(*args: Any) -> Any:
        of_arrays, returned = flat(f, args)
        ys = mx.vmap(of_arrays)(*args)
        return rebuilt(returned[0], iter(ys))

    return mapped


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    return mx.compile(f)
