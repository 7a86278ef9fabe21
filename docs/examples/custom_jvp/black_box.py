"""A black box in NumPy whose derivative is known, called from inside compiled code too.

    E - e sin(E) = M                                   Kepler's equation, solved for E
    dE = (dM + sin(E) de) / (1 - e cos(E))

``kepler("torch")`` is a function of M and of 0 <= e < 1, equal shapes, float64, in radians.
Source: differentiate the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fgi


def newton(M: Any, e: Any) -> Any:  # noqa: N803
    """The black box: NumPy arrays in and out, and a loop that ends when it likes."""
    M, e = np.asarray(M), np.asarray(e)  # noqa: N806
    E = M + e * np.sin(M)  # noqa: N806
    for _ in range(50):
        step = (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
        E = E - step  # noqa: N806
        if np.all(abs(step) < 1e-15):
            break
    return E


def on_host(f: Callable[..., Any], framework: str) -> Callable[..., Any]:
    """``f`` of two NumPy arrays as an element-wise operation that compilers leave as it is."""
    if framework == "torch":
        import torch
        from torch import Tensor

        name = f"fgi_examples::{f.__name__}"

        @torch.library.custom_op(name, mutates_args=(), schema="(Tensor a, Tensor b) -> Tensor")
        def operation(a: Tensor, b: Tensor) -> Tensor:
            return torch.from_numpy(np.array(f(a.numpy(force=True), b.numpy(force=True))))

        @operation.register_fake
        def _(a: Tensor, b: Tensor) -> Tensor:
            return torch.empty_like(a)

        @operation.register_vmap
        def _(info: Any, dims: tuple[int | None, ...], *xs: Tensor) -> tuple[Tensor, int]:
            batched = (
                x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
                for x, dim in zip(xs, dims, strict=True)
            )
            return operation(*batched), 0

        return operation

    if framework == "jax":
        import jax

        def operation(a: Any, b: Any) -> Any:
            like = jax.ShapeDtypeStruct(a.shape, a.dtype)
            return jax.pure_callback(f, like, a, b, vmap_method="broadcast_all")

        return operation

    import tensorflow as tf

    def operation(a: Any, b: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(f, [a, b], a.dtype), a.shape)

    return operation


def kepler(framework: str) -> Callable[..., Any]:
    value = on_host(newton, framework)

    def rule(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> Any:
        (M, e), (dM, de) = primals, tangents  # noqa: N806
        xp, E = fgi.namespace(M), value(M, e)  # noqa: N806
        return (dM + xp.sin(E) * de) / (1 - e * xp.cos(E))

    return fgi.custom_jvp(value, rule)
