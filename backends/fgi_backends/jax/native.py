"""JAX's own custom-gradient mechanisms: ``jax.custom_jvp`` and ``jax.custom_vjp``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
from jax import Array

__all__ = ["mechanisms"]

Elementwise = Callable[[Array], Array]


def custom_jvp(value: Elementwise, slope: Elementwise) -> Elementwise:
    function = jax.custom_jvp(value)

    @function.defjvp
    def rule(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (x,), (dx,) = primals, tangents
        return function(x), dx * slope(x)

    return function


def custom_vjp(value: Elementwise, slope: Elementwise) -> Elementwise:
    function = jax.custom_vjp(value)

    def forward(x: Array) -> tuple[Array, Array]:
        return value(x), x

    def backward(x: Array, grad: Array) -> tuple[Array]:
        return (grad * slope(x),)

    function.defvjp(forward, backward)
    return function


mechanisms: Mapping[str, Callable[[Elementwise, Elementwise], Elementwise]] = {
    "custom_jvp": custom_jvp,
    "custom_vjp": custom_vjp,
}
