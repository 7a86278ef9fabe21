"""The definition. Freeze the point, expand around it:

    x0 = sg(x)                 sg = stop gradient: identity forward, zero derivative
    d  = x - x0                value exactly 0, derivative exactly 1
    y  = f(x0) + L(x0)[d]      value f(x), derivative L, for any L that is linear in d

``L(x0)[d]`` is ``slope(x0) * d`` for a surrogate, a JVP rule for ``custom_jvp``. For derivatives of
higher order, L is asked between x0 and x, at the nodes of a quadrature (see ``quadrature``):

    y = f(x0) + sum_i w_i L(x0 + s_i d)[d]          the first order is the node s = 0, w = 1

On paper that is all. Floating point asks for four things more.

*Infinity and NaN.* inf - inf is NaN. The point is therefore z = where(|x| <= max, x, 0): the value
is f(x) for every x, L is evaluated only where x is finite, and the derivative is 0 where x is not.
A slope that is not finite would make NaN of slope * 0: it counts as 0.

*Contraction.* A compiler may fuse a product into the subtraction that uses it, a*b - r becoming
fma(a, b, -r): were x = a*b, the value of x - sg(x) would be the rounding error of a*b. Here the
operand of the subtraction is a selection, never a product, so there is nothing to fuse. The
selection asks |x| <= max and not |x| < inf, because LLVM removes the latter where it can prove x
finite (an integer times a constant), and then fuses after all.

*The sign of zero.* -0.0 + 0.0 is 0.0, but -0.0 - 0.0 is -0.0. The expansion is therefore written
with minus signs, y = f - L[x0 - z]: where slopes are >= 0, the zeros of f keep their sign.

*The second derivative* of something linear is zero, but a tape does not say so: PyTorch raises an
error, TensorFlow answers None. The seed is therefore passed through ``keep_on_tape``: the identity,
whose derivative depends on d in form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..backend.protocol import Array, Minimal
from .quadrature import nodes

__all__ = ["NUMBERS", "Rule", "apply_slope", "expand", "freeze", "is_finite"]

NUMBERS = (int, float)

Rule: TypeAlias = Callable[[Sequence[Array], Sequence[Array]], Sequence[Array | None]]
"""L: of points and tangents, linear in the tangents; one result for each value, None for zero."""


def is_finite(xp: Minimal, x: Array) -> Array:
    """Where ``x`` is neither infinite nor NaN, as booleans without a gradient."""
    return abs(xp.stop_gradient(x)) <= float(xp.finfo(x.dtype).max)


def freeze(xp: Minimal, x: Array) -> tuple[Array, Array]:
    """The frozen point x0, and -d = x0 - x, whose value is 0 and whose derivative is -1."""
    z = xp.where(is_finite(xp, x), x, 0.0)
    x0 = xp.stop_gradient(z)
    return x0, xp.keep_on_tape(x0 - z)


def expand(
    xp: Minimal, values: Sequence[Array], rule: Rule, inputs: Sequence[Array], *, order: int = 1
) -> list[Array]:
    """Give each of ``values`` the derivative by ``inputs`` that ``rule`` says.

        y = f(x0) + sum_i w_i L(x0 + s_i d)[d]

    ``values`` are f(x0), computed and stopped.
    """
    frozen = [freeze(xp, x) for x in inputs]
    tangents = [minus_d for _, minus_d in frozen]
    for s, w in nodes(order):
        points = [x0 if s == 0 else x0 - s * minus_d for x0, minus_d in frozen]
        terms = rule(points, tangents)
        values = [
            y if term is None else y - (term if w == 1 else w * term)
            for y, term in zip(values, terms, strict=True)
        ]
    return list(values)


def apply_slope(xp: Minimal, slope: Array | float, d: Array) -> Array:
    """The rule of a surrogate, slope * d; where the slope is not finite it counts as 0."""
    if not isinstance(slope, NUMBERS):
        if slope.dtype != d.dtype:
            slope = xp.astype(slope, d.dtype)
        return xp.where(is_finite(xp, slope), slope, 0.0) * d
    if not abs(slope) < float("inf"):
        slope = 0.0
    if slope == 1:
        return d
    if slope < 0:
        # The value of slope * d would be -0.0, and TensorFlow makes -d of 0 - d.
        return -slope * (xp.stop_gradient(d) - d)
    return slope * d
