"""``fgi.set_gradients``: a scalar from elsewhere, with gradients that are known already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..backend.dispatch import backend_of
from ..backend.messages import describe, mixed_backends_error
from ..backend.protocol import Array, Backend
from .checks import floating_backend
from .expansion import apply_slope, expand
from .inference import frozen_copy, value_only

__all__ = ["set_gradients"]

CALLER = "fgi.set_gradients"


def set_gradients(value: Array, inputs: Any, gradients: Any) -> Array:
    """The scalar ``value``, whose gradient by ``inputs`` is ``gradients``.

        y = value + sum_i <gradients_i, x_i - sg(x_i)>

    For a simulator or solver of your own, which computes its gradients itself. The chain rule
    applies to what follows: 3 * y has 3 times the gradients. Second derivatives are zero.

    Shapes and dtypes: ``value`` is a real floating array of shape (). ``inputs`` is an array, or
    nested tuples, lists and dicts of them, and ``gradients`` is built in the same way, each of the
    shape and dtype of its input, or None, which is zero. Where an input or its gradient is infinite
    or NaN, the derivative is 0.

    Errors: TypeError where ``gradients`` are not built as the inputs, for another dtype, for arrays
    of two frameworks; ValueError for another shape, and where ``value`` is not a scalar.
    """
    xp = floating_backend(CALLER, value, "value")
    if len(value.shape) != 0:
        raise ValueError(
            f"{CALLER}: value is {describe(value)}; expected a scalar, an array of shape (); sum "
            f"it, or write fgi.custom_jvp(f, rule)"
        )
    pairs = list(_pairs(xp, inputs, gradients, ""))
    fx = frozen_copy(xp, value, value.dtype)
    if not pairs or value_only(xp, *(x for x, _ in pairs)):
        return fx

    def rule(_: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        products = (apply_slope(xp, g, d) for (_, g), d in zip(pairs, tangents, strict=True))
        first, *rest = (xp.sum(xp.astype(product, value.dtype)) for product in products)
        for term in rest:
            first = first + term
        return [first]

    [y] = expand(xp, [fx], rule, [x for x, _ in pairs])
    return y


def _pairs(xp: Backend, x: Any, gradient: Any, place: str) -> Iterator[tuple[Array, Array]]:
    """Each input that has a gradient, and the gradient."""
    if isinstance(x, dict):
        if not isinstance(gradient, dict) or gradient.keys() != x.keys():
            raise _unlike(place, f"a dict with {', '.join(map(str, x))}", gradient)
        for key, part in x.items():
            yield from _pairs(xp, part, gradient[key], f"{place}[{key!r}]")
    elif isinstance(x, list | tuple):
        if not isinstance(gradient, list | tuple) or len(gradient) != len(x):
            raise _unlike(place, f"a {type(x).__name__} of {len(x)}", gradient)
        for i, part in enumerate(x):
            yield from _pairs(xp, part, gradient[i], f"{place}[{i}]")
    elif gradient is not None:
        yield x, _checked(xp, x, gradient, place)


def _checked(xp: Backend, x: Any, gradient: Any, place: str) -> Array:
    for name, array in ((f"inputs{place}", x), (f"gradients{place}", gradient)):
        if not isinstance(array, xp.Array) and hasattr(array, "dtype"):
            raise mixed_backends_error(CALLER, xp, name, backend_of(array, CALLER, name), "value")
    if not isinstance(x, xp.Array) or x.dtype not in xp.floating:
        raise TypeError(
            f"{CALLER}: inputs{place} is {describe(x)}; expected a real floating array; write None "
            f"for its gradient"
        )
    if not isinstance(gradient, xp.Array) or gradient.dtype != x.dtype:
        raise _unlike(place, describe(x), gradient)
    if not xp.same_shape(gradient, x):
        raise ValueError(
            f"{CALLER}: inputs{place} is {describe(x)}, gradients{place} {describe(gradient)}; "
            f"expected equal shapes; sum over what was broadcast"
        )
    return xp.stop_gradient(gradient)


def _unlike(place: str, expected: str, gradient: Any) -> TypeError:
    got = describe(gradient)
    if isinstance(gradient, dict | list | tuple):
        got = f"a {type(gradient).__name__} of {len(gradient)}"
    return TypeError(
        f"{CALLER}: inputs{place} is {expected}, gradients{place} {got}; expected the same; build "
        f"gradients as inputs are, with None where there is none"
    )
