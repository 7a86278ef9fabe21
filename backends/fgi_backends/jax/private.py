"""The undocumented names of JAX that this backend uses, all of them: two primitives are made here.

A primitive is one operation with rules of its own. ``jax.custom_jvp`` is the public way to give an
operation a derivative, and cannot be used: ``jax.experimental.jet`` passes over its rule without a
word, so that Taylor mode of a compiled surrogate would be zero.

Where a version of JAX lacks one of these names, ``PRIMITIVES`` is None and the backend uses the
expansion alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.core import Tracer

__all__ = ["PRIMITIVES", "Primitives", "Tracer", "make"]

PRIVATE = {
    "Primitive": "jax.extend.core",
    "Zero": "jax.interpreters.ad",
    "defjvp": "jax.interpreters.ad",
    "primitive_transposes": "jax.interpreters.ad",
    "bdim_at_front": "jax.interpreters.batching",
    "primitive_batchers": "jax.interpreters.batching",
    "lower_fun": "jax.interpreters.mlir",
    "register_lowering": "jax.interpreters.mlir",
    "jet_rules": "jax.experimental.jet",
}
"""By name, the module that has it."""


def _found(module: str, name: str) -> Any:
    """The name; None where this version lacks it."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


class Primitives(NamedTuple):
    """The two operations, as functions of arrays."""

    assume_value: Callable[[Array, Array], Array]
    """The value of ``fx``, every derivative of ``y``."""

    scale: Callable[..., Array]
    """product(d, x), linear in d, with no derivative by x: the backward pass keeps x alone."""


def make() -> Primitives | None:
    """Define the primitives; None where this version of JAX lacks what they need."""
    found = {name: _found(module, name) for name, module in PRIVATE.items()}
    if None in found.values():
        return None
    its = SimpleNamespace(**found)

    def rows(primitive: Any) -> Callable[..., Any]:
        """The batching rule of an element-wise operation of two arrays of one shape."""

        def rule(arguments: Any, axes: Any, **options: Any) -> Any:
            pairs = list(zip(arguments, axes, strict=True))
            count = next(x.shape[axis] for x, axis in pairs if axis is not None)
            front = (its.bdim_at_front(x, axis, count) for x, axis in pairs)
            return primitive.bind(*front, **options), 0

        return rule

    assume: Any = its.Primitive("assume_value")
    assume.def_impl(lambda y, fx: fx)
    assume.def_abstract_eval(lambda y, fx: y)
    its.register_lowering(assume, lambda context, y, fx: [fx])
    its.primitive_batchers[assume] = rows(assume)
    its.defjvp(assume, lambda g, y, fx: g, None)

    scale: Any = its.Primitive("scale")
    scale.def_impl(lambda d, x, *, product: product(d, x))
    scale.def_abstract_eval(lambda d, x, *, product: d)
    its.register_lowering(
        scale, its.lower_fun(lambda d, x, *, product: product(d, x), multiple_results=False)
    )
    its.primitive_batchers[scale] = rows(scale)

    def scale_transpose(u: Any, d: Any, x: Any, *, product: Any) -> Any:
        if type(u) is its.Zero:
            return its.Zero(d.aval), None
        return scale.bind(u, x, product=product), None

    its.defjvp(scale, lambda g, d, x, *, product: scale.bind(g, x, product=product), None)
    its.primitive_transposes[scale] = scale_transpose
    _teach_jet(its.jet_rules, assume, scale)
    return Primitives(
        lambda y, fx: assume.bind(y, fx), lambda d, x, product: scale.bind(d, x, product=product)
    )


def _teach_jet(rules: Any, assume: Any, scale: Any) -> None:
    """Rules of Taylor mode for the two; both are linear in the argument that moves."""

    def assume_rule(primals: Any, series: Any) -> Any:
        return assume.bind(*primals), series[0]

    def scale_rule(primals: Any, series: Any, *, product: Any) -> Any:
        d, x = primals
        terms = [jnp.zeros_like(d) if term is None else term for term in series[0]]
        return scale.bind(d, x, product=product), [scale.bind(t, x, product=product) for t in terms]

    rules[assume] = assume_rule
    rules[scale] = scale_rule


PRIMITIVES = make()
