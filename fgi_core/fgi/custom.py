"""``fgi.custom_jvp``: the value of any function, the derivative of a rule of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from .backend import Array, Backend
from .dispatch import describe, foreign, owner
from .inference import value_only
from .injection import checked_order, frozen
from .quadrature import nodes
from .trees import leaves, like, rebuilt

__all__ = ["custom_jvp"]

inspect: Callable[[Callable[..., Any], tuple[Any, ...]], None] | None = None
"""Looks at each rule and the point where it is asked; ``fgi.testing.checking`` sets it."""


def custom_jvp(
    f: Callable[..., Any],
    rule: Callable[[tuple[Any, ...], tuple[Any, ...]], Any],
    *,
    order: int = 1,
) -> Callable[..., Any]:
    """A function with the value of ``f`` and the derivative of ``rule``, in every framework.

        y = f(x, ...),   dy = rule((x, ...), (dx, ...))

    ``rule(primals, tangents)`` returns the tangent of what ``f`` returns, and is linear in the
    tangents::

        def product(x, y):
            return x * y

        def rule(primals, tangents):
            (x, y), (dx, dy) = primals, tangents
            return dx * y + x * dy

        multiply = fgi.custom_jvp(product, rule)

    Reverse mode, forward mode, batching and compilation are then the framework's own. What ``f``
    takes from elsewhere than its arguments has no derivative.

    Derivatives beyond the first are zero, unless ``order=k`` asks for them: then the derivatives 1
    to k are those of the function that ``rule`` is the derivative of, by (k + 1) // 2 evaluations
    of ``rule`` on the line from x0 to x. Where it is that of none, second derivatives are the
    symmetric part of the derivative of ``rule``.

    Shapes and dtypes: arguments and results are arrays, or nested tuples, lists and dicts of them;
    tangents have the shape of what they belong to. An argument that is no real floating array
    reaches ``f`` and ``rule`` as it is, and its tangent is None. A tangent that ``rule`` returns
    may be None, which is zero; that of a result that is not floating is not looked at. Where an
    input is infinite or NaN, ``rule`` sees 0 and the derivative is 0; numbers of ``rule`` that are
    not finite make the value NaN.

    Errors: TypeError where ``f`` or ``rule`` is no function, ``order`` no integer, where no
    argument is an array, for arrays of two frameworks, and where the tangent is not built as the
    result is or is of another dtype; ValueError for a tangent of another shape, an order below 1.
    """
    for name, function in (("f", f), ("rule", rule)):
        if not callable(function):
            raise TypeError(
                f"fgi.custom_jvp: {name} is {describe(function)}; expected two functions: "
                f"fgi.custom_jvp(f, rule)"
            )
    checked_order("fgi.custom_jvp", order)
    return CustomJVP(f, rule, order)


@dataclasses.dataclass(frozen=True)
class CustomJVP:
    """What ``custom_jvp`` returns; of two functions that can be pickled, it can be."""

    f: Callable[..., Any]
    rule: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]
    order: int = 1

    @property
    def __name__(self) -> str:
        # torch.jit.trace asks for it.
        return getattr(self.f, "__name__", type(self.f).__name__)

    def __call__(self, *args: Any) -> Any:
        arrays = list(leaves(args))
        xp = _owner(arrays)
        if value_only(xp):
            return self.f(*args)
        stopped, points, tangents = [], [], []
        for leaf in arrays:
            floating = isinstance(leaf, xp.Array) and leaf.dtype in xp.floating
            point, minus_d = frozen(xp, leaf) if floating else (leaf, None)
            stopped.append(xp.stop_gradient(leaf) if floating else leaf)
            points.append(point)
            tangents.append(minus_d)
        y = self.f(*rebuilt(args, iter(stopped)))
        stopped = [xp.stop_gradient(v) if isinstance(v, xp.Array) else v for v in leaves(y)]
        y = rebuilt(y, iter(stopped))
        if inspect is not None:
            inspect(self.rule, rebuilt(args, iter(points)))
        for s, w in nodes(self.order) or ((0.0, 1.0),):
            between = points if s == 0 else _between(points, tangents, s)
            slope = self.rule(rebuilt(args, iter(between)), rebuilt(args, iter(tangents)))
            y = _minus(xp, y, slope, w, "f(...)")
        return y


def _between(points: list[Any], tangents: list[Any], s: float) -> list[Any]:
    """s of the way from x0 to x: the tangents are negative, see ``fgi.injection``."""
    return [p if d is None else p - s * d for p, d in zip(points, tangents, strict=True)]


def _owner(given: list[Any]) -> Backend:
    arrays = [leaf for leaf in given if hasattr(leaf, "dtype") and hasattr(leaf, "shape")]
    if not arrays:
        raise TypeError(
            "fgi.custom_jvp: no argument is an array; expected one at least; convert it first, "
            "for example with torch.tensor(...)"
        )
    xp = owner(arrays[0], "fgi.custom_jvp", "the first array")
    for array in arrays[1:]:
        if not isinstance(array, xp.Array):
            theirs = owner(array, "fgi.custom_jvp", "another array")
            raise foreign("fgi.custom_jvp", xp, "another array", theirs)
    return xp


def _minus(xp: Backend, fx: Any, slope: Any, w: float, place: str) -> Any:
    """fx - w * slope, leaf by leaf."""
    if isinstance(fx, dict):
        if not isinstance(slope, dict) or slope.keys() != fx.keys():
            raise _unlike(place, f"a dict with {', '.join(map(str, fx))}", slope)
        return {k: _minus(xp, fx[k], slope[k], w, f"{place}[{k!r}]") for k in fx}
    if isinstance(fx, list | tuple):
        if not isinstance(slope, list | tuple) or len(slope) != len(fx):
            raise _unlike(place, f"a {type(fx).__name__} of {len(fx)}", slope)
        pairs = enumerate(zip(fx, slope, strict=True))
        return like(fx, [_minus(xp, y, dy, w, f"{place}[{i}]") for i, (y, dy) in pairs])
    if not isinstance(fx, xp.Array) or fx.dtype not in xp.floating or slope is None:
        return fx
    slope = _checked(xp, fx, slope, place)
    return fx - (slope if w == 1 else w * slope)


def _checked(xp: Backend, fx: Array, slope: Any, place: str) -> Array:
    if not isinstance(slope, xp.Array):
        raise _unlike(place, describe(fx), slope)
    if not xp.same_shape(slope, fx):
        raise ValueError(
            f"fgi.custom_jvp: {place} is {describe(fx)}, its tangent {describe(slope)}; expected "
            f"equal shapes; sum or broadcast in rule"
        )
    if slope.dtype != fx.dtype:
        raise TypeError(
            f"fgi.custom_jvp: {place} is {describe(fx)}, its tangent {describe(slope)}; expected "
            f"equal dtypes; cast in rule: fgi.namespace(x).astype(dy, x.dtype)"
        )
    return slope


def _unlike(place: str, expected: str, slope: Any) -> TypeError:
    came = f"a {type(slope).__name__} of {len(slope)}" if hasattr(slope, "__len__") else None
    if came is None or hasattr(slope, "dtype"):
        came = describe(slope)
    return TypeError(
        f"fgi.custom_jvp: {place} is {expected}, its tangent {came}; expected the same; rule "
        f"returns the tangent alone, built as f builds the result"
    )
