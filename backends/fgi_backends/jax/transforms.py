"""Differentiation and ``jax.jit``, as JAX has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp", "vmap"]


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    return jax.grad(f, argnums=argnums)


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    return jax.value_and_grad(f, argnums=argnums, has_aux=has_aux)


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    y, dy = jax.jvp(f, primals, tangents)
    return y, dy


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    y, pullback = jax.vjp(f, *primals)
    return y, pullback


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    return jax.vmap(f)


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    return jax.jit(f)
