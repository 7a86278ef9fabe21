"""The value functions f: what a surrogate returns, as against the slope that it pretends to."""

from __future__ import annotations

from .backend import Array, Backend
from .injection import floating_owner, shape_error
from .parameters import Definition, Number, number, unit

__all__ = ["Heaviside", "Round", "Sign", "Value", "heaviside", "round", "sign"]


class Value(Definition):
    """An element-wise function whose own derivative is zero almost everywhere.

    Subclasses write ``evaluate(xp, x)``. Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define evaluate(xp, x)")

    def __call__(self, x: Array) -> Array:
        xp = floating_owner(f"fgi.{self.name}", x)
        y = self.in_dtype(xp, x.dtype).evaluate(xp, x)
        if not xp.same_shape(y, x):
            raise shape_error(f"fgi.{self.name}", ", ".join(self.arrays), y, x)
        return y


class Heaviside(Value):
    """The unit step: a spike where the membrane exceeds the threshold.

        H(x) = 1 where x > 0, at_zero where x = 0, 0 elsewhere (NaN included)

    ``at_zero`` is 0 in Otte 2024, Norse, snnTorch and Spyx; write ``Heaviside(at_zero=1)`` for the
    step of SpikingJelly, sinabs and lava-dl, which counts zero as a spike.
    Shape and dtype: those of ``x``, real floating.
    """

    at_zero: Number = unit(default=0.0)

    def evaluate(self, xp: Backend, x: Array) -> Array:
        if isinstance(self.at_zero, float):
            if self.at_zero == 0:
                return xp.astype(x > 0, x.dtype)
            if self.at_zero == 1:
                return xp.astype(x >= 0, x.dtype)
        return xp.where(x == 0, self.at_zero, xp.astype(x > 0, x.dtype))


class Sign(Value):
    """The sign, for binary and ternary networks.

        sign(x) = -1 where x < 0, at_zero where x = 0, 1 where x > 0, NaN where x is NaN

    ``at_zero`` is 0 as in NumPy; binary networks write ``Sign(at_zero=1)``.
    Shape and dtype: those of ``x``, real floating.
    """

    at_zero: Number = number(default=0.0)

    def evaluate(self, xp: Backend, x: Array) -> Array:
        if isinstance(self.at_zero, float) and self.at_zero == 0:
            return xp.sign(x)
        return xp.where(x == 0, self.at_zero, xp.sign(x))


class Round(Value):
    """To the nearest integer, half to even; infinities and NaN stay.

    Shape and dtype: those of ``x``, real floating.
    """

    def evaluate(self, xp: Backend, x: Array) -> Array:
        return xp.round(x)


heaviside = Heaviside()
sign = Sign()
round = Round()
