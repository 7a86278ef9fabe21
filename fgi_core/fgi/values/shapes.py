"""Values that are not quantised: clipped, absolute, the same, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..parameters import Number, number
from .formulas import clip
from .rounding import round
from .value import Value

__all__ = [
    "Absolute",
    "Clip",
    "Compose",
    "Identity",
    "identity",
]


class Compose(Value):
    """One value function after another, such as a quantised activation.

        f(x) = outer(inner(x))

    ``outer`` is a value function, ``inner`` one too or any function of an array:
    ``Compose(Round(step=1 / 16), Primitive(Sigmoid(alpha=1)))``.
    Shape and dtype: those of ``x``, real floating.
    """

    outer: Value = cast(Any, None)
    inner: Callable[[Array], Array] = cast(Any, None)

    _nested = {"outer": Value, "inner": Value}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, default in (("outer", round), ("inner", identity)):
            value = getattr(self, name)
            if value is None:
                object.__setattr__(self, name, default)
            elif not callable(value):
                raise TypeError(
                    f"Compose: {name} is {describe(value)}; expected a function of an array such "
                    f"as fgi.round"
                )

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.outer(self.inner(x))


class Clip(Value):
    """Into an interval; NaN stays.

        f(x) = min(max(x, low), high)

    ``low`` < ``high`` are in units of ``x``, and may be infinite.
    Shape and dtype: those of ``x``, real floating.
    """

    low: Number = number(default=-1.0, range="extended")
    high: Number = number(default=1.0, range="extended")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("low", "high")

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return clip(xp, x, self.low, self.high)


class Absolute(Value):
    """The absolute value.

        f(x) = abs(x)

    Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return abs(x)


class Identity(Value):
    """What came.

        f(x) = x

    Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return x


identity = Identity()
