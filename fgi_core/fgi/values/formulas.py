"""Pieces that several slopes are made of, each exact to rounding over the whole range."""

from __future__ import annotations

import math

from ..backend.protocol import Array, Backend
from ..parameters import Number, is_number

__all__ = [
    "bell",
    "clip",
    "held",
    "log_of",
    "logistic",
    "logistic_slope",
    "minus_abs",
    "over",
    "product",
    "scaled",
    "shifted",
    "sin_turns",
    "squared",
    "straight",
]


def bell(xp: Backend, x: Array, sigma: Number, *, differentiable: bool = False) -> Array:
    """exp(-x^2 / (2 sigma^2)); ``bent``: differentiable to the end of the dtype."""
    if differentiable:
        # A square that overflows has a derivative that does too, and 0 * inf is NaN. Beyond 64
        # sigma the result is 0 in every dtype.
        far = 64 * sigma
        x = xp.where(abs(x) < far, x, far)
    u = over(x, sigma)
    return xp.exp(-0.5 * (u * u))


def squared(xp: Backend, z: Array, *, differentiable: bool = False, ends: float = 2.0) -> Array:
    """z^2; ``bent``: its derivative is never infinite, and 0 beyond ``ends`` sqrt(largest)."""
    if differentiable:
        far = ends * math.sqrt(float(xp.finfo(z.dtype).max))
        z = xp.where(abs(z) < far, z, far)
    return z * z


def scaled(factor: Number, x: Array) -> Array:
    """factor x; ``x`` itself, and no operation, where the factor is the number 1."""
    return x if isinstance(factor, float) and factor == 1 else factor * x


def over(x: Array, divisor: Number) -> Array:
    """x / divisor; ``x`` itself, and no operation, where the divisor is the number 1."""
    return x if isinstance(divisor, float) and divisor == 1 else x / divisor


def shifted(x: Array, by: Number) -> Array:
    """x - by; ``x`` itself, and no operation, where that is the number 0."""
    return x if isinstance(by, float) and by == 0 else x - by


def product(xp: Backend, factor: Number, x: Array) -> tuple[Array, Array]:
    """factor x, rounded, and what rounding has taken from it; without a derivative of the latter.

    Both are split into halves, whose products are exact.
    Source: Dekker 1971 (doi:10.1007/BF01397083).
    """
    digits = round(1 - math.log2(float(xp.finfo(x.dtype).eps)))
    a = factor if is_number(factor) else xp.stop_gradient(factor)
    b = xp.stop_gradient(x)
    a1, a2 = _halves(a, 53 if is_number(a) else digits, digits // 2)
    b1, b2 = _halves(b, digits, digits // 2)
    high = factor * x
    # As a selection: a product may be fused into the sums that it enters, and is not rounded then.
    high = xp.where(high == high, high, x)
    c = xp.stop_gradient(high)
    low = (((a1 * b1 - c) + a1 * b2) + a2 * b1) + a2 * b2
    return high, xp.where(abs(low) <= abs(c), low, 0.0)  # not where one overflows


def _halves(x: Number, digits: int, first: int) -> tuple[Number, Number]:
    """The first binary digits of a number that has so many, and the rest."""
    scale = 2.0 ** (digits - first)
    small = x * (0.5 / scale)  # so that nothing overflows
    large = small * (scale + 1)
    head = (large - (large - small)) * (2 * scale)
    return head, x - head


def log_of(xp: Backend, parameter: Number) -> Number:
    """Its logarithm, of a number > 0 or of an array."""
    return math.log(parameter) if is_number(parameter) else xp.log(parameter)


def logistic(xp: Backend, z: Array) -> Array:
    """1 / (1 + exp(-z)), never overflowing, exact to rounding on both sides."""
    e = xp.exp(minus_abs(xp, z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1 + e)


def logistic_slope(xp: Backend, z: Array, *, differentiable: bool = True) -> Array:
    """s(z) (1 - s(z)): that product cancels on one side, and overflows on the other."""
    e = xp.exp(minus_abs(xp, z) if differentiable else -abs(z))
    q = 1 + e
    return e / (q * q)


def minus_abs(xp: Backend, x: Array) -> Array:
    """-|x|, with derivative -1 at 0: for functions of |x| that are smooth there.

    Where they have a kink, ``xp.abs`` is right, whose derivative at 0 is 0.
    """
    return xp.where(x < 0, x, -x)


def held(xp: Backend, x: Array, kink: Array) -> Array:
    """``x``, without a derivative at a kink: a slope counts as constant there."""
    return xp.where(kink, xp.stop_gradient(x), x)


def straight(xp: Backend, x: Array, kink: Array) -> Array:
    """0, with derivative 1 at a kink: times the slope, what is left of a primitive there."""
    x = xp.where(kink, x, 0.0)
    return x - xp.stop_gradient(x)


def sin_turns(xp: Backend, t: Array) -> Array:
    """sin(2 pi t), exact to rounding near each of its zeros."""
    # What is taken off t is exact, as the angle 2 pi t is not; the rest is at most a quarter turn.
    f = t - xp.round(t)
    f = xp.where(f > 0.25, 0.5 - f, xp.where(f < -0.25, -0.5 - f, f))
    return xp.sin(2 * math.pi * f)


def clip(xp: Backend, x: Array, low: Number, high: Number) -> Array:
    """min(max(x, low), high), for numbers, infinite ones too, or arrays; NaN stays."""
    if not (isinstance(low, float) and low == -math.inf):
        x = xp.where(x < low, low, x)
    if not (isinstance(high, float) and high == math.inf):
        x = xp.where(x > high, high, x)
    return x
