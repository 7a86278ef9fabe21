"""``fgi.custom_jvp``: the value of any function, the derivative of a rule of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from .backend import Array, Backend
from .dispatch import describe, foreign, owner
from .inference import value_only
from .injection import frozen

__all__ = ["custom_jvp"]

inspect: Callable[[Callable[..., Any], tuple[Any, ...]], None] | None = None
"""Looks at each rule and the point where it is asked; ``fgi.testing.checking`` sets it."""


def custom_jvp(
    f: Callable[..., Any], rule: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]
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

    Reverse mode, forward mode, batching and compilation are then the framework's own. Derivatives
    beyond the first are zero, and what ``f`` takes from elsewhere than its arguments has none.

    Shapes and dtypes: arguments and results are arrays, or nested tuples, lists and dicts of them;
    tangents have the shape of what they belong to. An argument that is no real floating array
    reaches ``f`` and ``rule`` as it is, and its tangent is None. A tangent that ``rule`` returns
    may be None, which is zero; that of a result that is not floating is not looked at. Where an
    input is infinite or NaN, ``rule`` sees 0 and the derivative is 0; numbers of ``rule`` that are
    not finite make the value NaN.

    Errors: TypeError where ``f`` or ``rule`` is no function, where no argument is an array, for
    arrays of two frameworks, and where the tangent is not built as the result is; ValueError for a
    tangent of another shape.
    """
    for name, function in (("f", f), ("rule", rule)):
        if not callable(function):
            raise TypeError(
                f"fgi.custom_jvp: {name} is {describe(function)}; expected two functions: "
                f"fgi.custom_jvp(f, rule)"
            )
    return CustomJVP(f, rule)


@dataclasses.dataclass(frozen=True)
class CustomJVP:
    """What ``custom_jvp`` returns; of two functions that can be pickled, it can be."""

    f: Callable[..., Any]
    rule: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]

    @property
    def __name__(self) -> str:
        # torch.jit.trace asks for it.
        return getattr(self.f, "__name__", type(self.f).__name__)

    def __call__(self, *args: Any) -> Any:
        leaves = list(_leaves(args))
        xp = _owner(leaves)
        if value_only(xp):
            return self.f(*args)
        stopped, points, tangents = [], [], []
        for leaf in leaves:
            floating = isinstance(leaf, xp.Array) and leaf.dtype in xp.floating
            point, minus_d = frozen(xp, leaf) if floating else (leaf, None)
            stopped.append(xp.stop_gradient(leaf) if floating else leaf)
            points.append(point)
            tangents.append(minus_d)
        fx = self.f(*_rebuilt(args, iter(stopped)))
        if inspect is not None:
            inspect(self.rule, _rebuilt(args, iter(points)))
        slope = self.rule(_rebuilt(args, iter(points)), _rebuilt(args, iter(tangents)))
        return _minus(xp, fx, slope, "f(...)")


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value)
    else:
        yield tree


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """A container like ``tree`` with these leaves."""
    if isinstance(tree, dict):
        return {name: _rebuilt(value, leaves) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return _like(tree, [_rebuilt(value, leaves) for value in tree])
    return next(leaves)


def _like(tree: Any, parts: list[Any]) -> Any:
    if isinstance(tree, list):
        return parts
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def _owner(leaves: list[Any]) -> Backend:
    arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype") and hasattr(leaf, "shape")]
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


def _minus(xp: Backend, fx: Any, slope: Any, place: str) -> Any:
    """fx - slope, leaf by leaf: the tangents are negative, see ``fgi.injection``."""
    if isinstance(fx, dict):
        if not isinstance(slope, dict) or slope.keys() != fx.keys():
            raise _unlike(place, f"a dict with {', '.join(map(str, fx))}", slope)
        return {k: _minus(xp, fx[k], slope[k], f"{place}[{k!r}]") for k in fx}
    if isinstance(fx, list | tuple):
        if not isinstance(slope, list | tuple) or len(slope) != len(fx):
            raise _unlike(place, f"a {type(fx).__name__} of {len(fx)}", slope)
        pairs = enumerate(zip(fx, slope, strict=True))
        return _like(fx, [_minus(xp, y, dy, f"{place}[{i}]") for i, (y, dy) in pairs])
    if not isinstance(fx, xp.Array):
        return fx
    fx = xp.stop_gradient(fx)
    if fx.dtype not in xp.floating or slope is None:
        return fx
    return fx - _checked(xp, fx, slope, place)


def _checked(xp: Backend, fx: Array, slope: Any, place: str) -> Array:
    if not isinstance(slope, xp.Array):
        raise _unlike(place, describe(fx), slope)
    if not xp.same_shape(slope, fx):
        raise ValueError(
            f"fgi.custom_jvp: {place} is {describe(fx)}, its tangent {describe(slope)}; expected "
            f"equal shapes; sum or broadcast in rule"
        )
    return xp.astype(slope, fx.dtype)


def _unlike(place: str, expected: str, slope: Any) -> TypeError:
    came = f"a {type(slope).__name__} of {len(slope)}" if hasattr(slope, "__len__") else None
    if came is None or hasattr(slope, "dtype"):
        came = describe(slope)
    return TypeError(
        f"fgi.custom_jvp: {place} is {expected}, its tangent {came}; expected the same; rule "
        f"returns the tangent alone, built as f builds the result"
    )
