"""``fgi.custom_jvp``: the value of any function, the derivative of a rule of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from ..backend.dispatch import backend_of
from ..backend.messages import describe, mixed_backends_error
from ..backend.protocol import Array, Backend, Minimal
from ..backend.trees import leaves, rebuilt
from .checks import check_order
from .expansion import expand, freeze, is_finite
from .inference import value_only

__all__ = ["custom_jvp"]


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
    tangents have the shape of the array they belong to. An argument that is not a real floating
    array reaches ``f`` and ``rule`` unchanged, and its tangent is None. A tangent that ``rule``
    returns may be None, which is zero; the tangent of a result that is not floating is ignored.
    Where an input is infinite or NaN, ``rule`` sees 0 and the derivative is 0. Where ``rule``
    returns a number that is not finite, the value is still that of ``f``; the derivative there is 0
    in forward mode and may be NaN in reverse mode. This is always the expansion, and no fast path.

    Errors: TypeError where ``f`` or ``rule`` is not a function, ``order`` no integer, where no
    argument is an array, for arrays of two frameworks, and where the tangent is not built as the
    result is or is of another dtype; ValueError for a tangent of another shape, an order below 1.
    """
    for name, function in (("f", f), ("rule", rule)):
        if not callable(function):
            raise TypeError(
                f"fgi.custom_jvp: {name} is {describe(function)}; expected two functions: "
                f"fgi.custom_jvp(f, rule)"
            )
    check_order("fgi.custom_jvp", order)
    return CustomJVP(f, rule, order)


@dataclasses.dataclass(frozen=True)
class CustomJVP:
    """What ``custom_jvp`` returns; of two functions that can be pickled, it can be."""

    f: Callable[..., Any]
    rule: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]
    order: int = 1

    watcher: ClassVar[Callable[[Callable[..., Any], tuple[Any, ...]], None] | None] = None
    """Looks at each rule and the point where it is asked; ``fgi.testing.checking`` sets it."""

    @property
    def __name__(self) -> str:
        # torch.jit.trace asks for it.
        return getattr(self.f, "__name__", type(self.f).__name__)

    def __call__(self, *args: Any) -> Any:
        arrays = list(leaves(args))
        xp = first_backend(arrays)
        # f and rule may work in place, on arrays of their own.
        stopped = [xp.copied(xp.stop_gradient(x)) if isinstance(x, xp.Array) else x for x in arrays]
        y = self.f(*rebuilt(args, iter(stopped)))
        values = [xp.stop_gradient(v) if isinstance(v, xp.Array) else v for v in leaves(y)]
        y = rebuilt(y, iter(values))
        moving = [_is_floating(xp, x) for x in arrays]
        inputs = [x for x, m in zip(arrays, moving, strict=True) if m]
        if not inputs or value_only(xp, *inputs, by_others=True):
            return y

        def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array | None]:
            primals = rebuilt(args, _merged(arrays, moving, points))
            slope = self.rule(
                primals, rebuilt(args, _merged([None] * len(arrays), moving, tangents))
            )
            return list(_terms(xp, y, slope, "f(...)"))

        watcher = type(self).watcher
        if watcher is not None:
            points = [freeze(xp, x)[0] for x in inputs]
            watcher(self.rule, rebuilt(args, _merged(arrays, moving, points)))
        return rebuilt(y, iter(expand(xp, values, rule, inputs, order=self.order)))


def _is_floating(xp: Minimal, x: Any) -> bool:
    return isinstance(x, xp.Array) and x.dtype in xp.floating


def _merged(every: Sequence[Any], moving: Sequence[bool], some: Sequence[Any]) -> Iterator[Any]:
    """``every``, with ``some`` in the places that are moving."""
    rest = iter(some)
    return (next(rest) if m else x for x, m in zip(every, moving, strict=True))


def first_backend(given: list[Any]) -> Backend:
    """The backend for arguments, some of which are arrays."""
    arrays = [leaf for leaf in given if hasattr(leaf, "dtype") and hasattr(leaf, "shape")]
    if not arrays:
        raise TypeError(
            "fgi.custom_jvp: no argument is an array; expected one at least; convert it first, "
            "for example with torch.tensor(...)"
        )
    xp = backend_of(arrays[0], "fgi.custom_jvp", "the first array")
    for array in arrays[1:]:
        if not isinstance(array, xp.Array):
            theirs = backend_of(array, "fgi.custom_jvp", "another array")
            raise mixed_backends_error("fgi.custom_jvp", xp, "another array", theirs)
    return xp


def _terms(xp: Minimal, y: Any, slope: Any, place: str) -> Iterator[Array | None]:
    """The tangent of each leaf of ``y``; None where it is zero."""
    if isinstance(y, dict):
        if not isinstance(slope, dict) or slope.keys() != y.keys():
            raise _unlike(place, f"a dict with {', '.join(map(str, y))}", slope)
        for k in y:
            yield from _terms(xp, y[k], slope[k], f"{place}[{k!r}]")
    elif isinstance(y, list | tuple):
        if not isinstance(slope, list | tuple) or len(slope) != len(y):
            raise _unlike(place, f"a {type(y).__name__} of {len(y)}", slope)
        for i, (part, tangent) in enumerate(zip(y, slope, strict=True)):
            yield from _terms(xp, part, tangent, f"{place}[{i}]")
    elif slope is None or not _is_floating(xp, y):
        yield None
    else:
        term = _checked(xp, y, slope, place)
        # 0 * infinity is NaN, and the value is f's.
        yield xp.where(is_finite(xp, term), term, 0.0)


def _checked(xp: Minimal, fx: Array, slope: Any, place: str) -> Array:
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
    got = f"a {type(slope).__name__} of {len(slope)}" if hasattr(slope, "__len__") else None
    if got is None or hasattr(slope, "dtype"):
        got = describe(slope)
    return TypeError(
        f"fgi.custom_jvp: {place} is {expected}, its tangent {got}; expected the same; rule "
        f"returns the tangent alone, built as f builds the result"
    )
