"""``with_value``: a primitive, so that a compiler sees that one argument is not needed.

Of arithmetic it cannot know: x - x is no constant 0 where x may be infinite. Nor by
``jax.custom_jvp``, whose rule ``jax.experimental.jet`` passes over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import Tracer
from jax.experimental import jet
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.extend.core.primitives import remat_p
from jax.interpreters import ad, batching, mlir

__all__ = ["attached", "with_value"]

_with_value: Any = Primitive("with_value")


def with_value(y: Array, fx: Array, /) -> Array:
    # Operation by operation it would only cost.
    chosen: Array = _with_value.bind(y, fx) if isinstance(y, Tracer) else y
    return chosen


def attached(slope: Callable[..., Array], x: Array, fx: Array, /) -> Array | None:
    if not isinstance(x, Tracer):
        return None

    def product(x: Array, d: Array) -> Array:
        return slope(x) * d

    # Kept for the backward pass is x itself, as by jax.custom_vjp, and not the slope. That of each
    # step of a loop XLA would compute, on a CPU, where it is stored, which is done by one thread.
    # Operation by operation it would only cost.
    if x.to_concrete_value() is None:  # type: ignore[no-untyped-call]
        product = jax.checkpoint(product, prevent_cse=False)
    return with_value(product(x, with_value(x, jnp.zeros_like(x))), fx)


def _jvp(primals: Any, tangents: Any) -> Any:
    return _with_value.bind(*primals), tangents[0]


def _rows(arguments: Any, axes: Any) -> Any:
    pairs = list(zip(arguments, axes, strict=True))
    count = next(x.shape[axis] for x, axis in pairs if axis is not None)
    front: Any = batching.bdim_at_front
    return _with_value.bind(*(front(x, axis, count) for x, axis in pairs)), 0


def _jet(primals: Any, series: Any) -> Any:
    return _with_value.bind(*primals), series[0]


def _checkpointed(primals: Any, series: Any, *, jaxpr: Any, **options: Any) -> Any:
    return jet.jet(jaxpr_as_fun(ClosedJaxpr(jaxpr, ())), primals, series)  # type: ignore[no-untyped-call]


_with_value.def_impl(lambda y, fx: fx)
_with_value.def_abstract_eval(lambda y, fx: y)
mlir.register_lowering(_with_value, lambda context, y, fx: [fx])
batching.primitive_batchers[_with_value] = _rows
ad.primitive_jvps[_with_value] = _jvp
jet.jet_rules[_with_value] = _jet  # type: ignore[assignment]
jet.jet_rules.setdefault(remat_p, _checkpointed)  # type: ignore[arg-type]
