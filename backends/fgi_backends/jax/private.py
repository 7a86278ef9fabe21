"""The undocumented names of JAX that this backend uses, all of them: two primitives are made here.

A primitive is one operation with rules of its own. ``jax.custom_jvp`` is the public way to give an
operation a derivative, and cannot be used: Taylor mode, ``jax.experimental.jet``, fails on a
function that has one (UnexpectedTracerError in JAX 0.10.2).

Where a version of JAX lacks one of these names, ``PRIMITIVES`` is None and the backend uses the
expansion alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.core import Tracer

__all__ = ["PRIMITIVES", "Primitives", "Tracer", "make"]


class Primitives(NamedTuple):
    """The two operations, as functions of arrays."""

    assume_value: Callable[[Array, Array], Array]
    """The value of ``fx``, every derivative of ``y``."""

    scale: Callable[..., Array]
    """product(d, x), linear in d, with no derivative by x: the backward pass keeps x alone."""


def make() -> Primitives | None:
    """Define the primitives; None where this version of JAX lacks what they need."""
    try:
        from jax.extend.core import Primitive
        from jax.interpreters import ad, batching, mlir
    except ImportError:
        return None

    define_jvp: Any = ad.defjvp

    def rows(primitive: Any) -> Callable[..., Any]:
        """The batching rule of an element-wise operation of two arrays of one shape."""

        def rule(arguments: Any, axes: Any, **options: Any) -> Any:
            pairs = list(zip(arguments, axes, strict=True))
            count = next(x.shape[axis] for x, axis in pairs if axis is not None)
            at_front: Any = batching.bdim_at_front
            front = (at_front(x, axis, count) for x, axis in pairs)
            return primitive.bind(*front, **options), 0

        return rule

    assume: Any = Primitive("assume_value")
    assume.def_impl(lambda y, fx: fx)
    assume.def_abstract_eval(lambda y, fx: y)
    mlir.register_lowering(assume, lambda context, y, fx: [fx])
    batching.primitive_batchers[assume] = rows(assume)
    define_jvp(assume, lambda g, y, fx: g, None)

    scale: Any = Primitive("scale")
    scale.def_impl(lambda d, x, *, product: product(d, x))
    scale.def_abstract_eval(lambda d, x, *, product: d)
    mlir.register_lowering(
        scale, mlir.lower_fun(lambda d, x, *, product: product(d, x), multiple_results=False)
    )
    batching.primitive_batchers[scale] = rows(scale)

    def scale_transpose(u: Any, d: Any, x: Any, *, product: Any) -> Any:
        if type(u) is ad.Zero:
            return ad.Zero(d.aval), None
        return scale.bind(u, x, product=product), None

    define_jvp(scale, lambda g, d, x, *, product: scale.bind(g, x, product=product), None)
    ad.primitive_transposes[scale] = scale_transpose
    _teach_jet(assume, scale)
    return Primitives(
        lambda y, fx: assume.bind(y, fx), lambda d, x, product: scale.bind(d, x, product=product)
    )


def _teach_jet(assume: Any, scale: Any) -> None:
    """Rules of Taylor mode for the two; both are linear in the argument that moves."""
    try:
        from jax.experimental.jet import jet_rules
    except ImportError:
        return

    def assume_rule(primals: Any, series: Any) -> Any:
        return assume.bind(*primals), series[0]

    def scale_rule(primals: Any, series: Any, *, product: Any) -> Any:
        d, x = primals
        terms = [jnp.zeros_like(d) if term is None else term for term in series[0]]
        return scale.bind(d, x, product=product), [scale.bind(t, x, product=product) for t in terms]

    jet_rules[assume] = assume_rule  # type: ignore[assignment]
    jet_rules[scale] = scale_rule  # type: ignore[assignment]


PRIMITIVES = make()
