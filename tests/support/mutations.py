"""Faults, as data: what is planted where, and what ``fgi.testing.check`` has to say about it.

Each is one fault: here in a surrogate that a user wrote; in foreign code, in a backend and in the
core in ``mutations_inside``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.injection import inject_as_published

from .frameworks import AUTODIFF

Function = Callable[[Any], Any]
Plant = Callable[[pytest.MonkeyPatch], None]


def nothing(patch: pytest.MonkeyPatch) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """One fault and its sentence in the report."""

    name: str
    says: str
    """A regular expression that the description of each failing row fits."""
    things: Callable[[], Any]
    like: fgi.Surrogate | None = None
    frameworks: tuple[str, ...] = AUTODIFF
    """Where it is; in the others everything has to be right."""
    mode: str = "eager"
    """Where it shows; in eager mode, if that is another, everything has to be right."""
    dtype: str = "float32"
    status: str = "differs"
    plant: Plant = nothing


SPIKE = fgi.surrogates.Gaussian(sigma=0.5)
"""What most of the faulty ones below should have been: g'(x) = exp(-2 x^2)."""
ATAN = fgi.surrogates.ATan(alpha=2.0)
"""g'(x) = 1 / (1 + (pi x)^2)"""
SMOOTH = fgi.surrogates.Sigmoid(alpha=4.0, order=2)


def exp(x: Any) -> Any:
    return fgi.namespace(x).exp(x)


def gaussian(x: Any) -> Any:
    return exp(-2 * x * x)


def with_slope(slope: Function) -> Callable[[], fgi.Surrogate]:
    return fgi.surrogate(slope)


def with_value(forward: Function) -> Callable[[], fgi.Surrogate]:
    return lambda: SPIKE.replace(forward=forward)


def step(x: Any) -> Any:
    """The step as an array of the dtype of x."""
    xp = fgi.namespace(x)
    return xp.astype(xp.stop_gradient(x) > 0, x.dtype)


# Slopes that a user got wrong.


def flipped(x: Any) -> Any:
    return -gaussian(x)


def doubled(x: Any) -> Any:
    return 2 * gaussian(x)


def a_thousandth(x: Any) -> Any:
    return 1.001 * gaussian(x)


def wider(x: Any) -> Any:
    return exp(-1.9 * x * x)


def frozen_at_zero(x: Any) -> Any:
    return exp(0 * x)


def float32_constant(x: Any) -> Any:
    y = float(np.float32(np.pi)) * x
    return 1 / (1 + y * y)


def float32_cast(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.astype(gaussian(xp.astype(x, xp.float32)), x.dtype)


def bfloat16_cast(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.astype(xp.astype(gaussian(x), xp.dtype("bfloat16")), x.dtype)


def cancelling(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(abs(x) < 1, (1 + xp.cos(np.pi * x)) / 2, 0.0)


def nan_in_a_tail(x: Any) -> Any:
    return exp(-x) / ((1 + exp(-x)) * (1 + exp(-x)))


def overflowing(x: Any) -> Any:
    y = 1 + abs(x)
    return y * y / (y * y * y * y)


def cut_off(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(abs(x) < 2, gaussian(x), xp.zeros_like(x))


def without_abs(x: Any) -> Any:
    xp = fgi.namespace(x)
    # As 1 / (1 + |x|)^2, but for x < 0; nowhere 0 / 0.
    y = xp.where(x < 0, 1 - x / 2, 1 + x)
    return 1 / (y * y)


def halved_where_positive(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(x > 0, gaussian(x) / 2, gaussian(x))


def shifted(x: Any) -> Any:
    return gaussian(x - 0.001)


def pole(x: Any) -> Any:
    xp = fgi.namespace(x)
    s = xp.sin(x) / x  # 0 / 0 at 0
    return gaussian(x) * s / s


def odd_one_out(x: Any) -> Any:
    """Wrong at one kink alone, x = 1/2."""
    xp = fgi.namespace(x)
    return xp.where(x == 0.5, xp.zeros_like(x), gaussian(x))


SLOPES = [
    Fault("slope: sign", "the sign is flipped", with_slope(flipped), SPIKE),
    Fault("slope: factor", "scaled by 2", with_slope(doubled), SPIKE),
    Fault("slope: a thousandth too much", r"scaled by 1\.001", with_slope(a_thousandth), SPIKE),
    Fault("slope: width", "another slope", with_slope(wider), SPIKE),
    Fault("slope: constant", "another slope", with_slope(frozen_at_zero), SPIKE),
    Fault("slope: shifted", "another slope", with_slope(shifted), SPIKE),
    Fault(
        "slope: a difference of nearly equal numbers",
        "digits are lost beside a kink, such as x = -?(0.9|1.0)", with_slope(cancelling),
    ),
    Fault(
        "slope: pi in float32", "as exact as float32", with_slope(float32_constant), ATAN,
        dtype="float64",
    ),
    Fault(
        "slope: computed in float32", "as exact as float32", with_slope(float32_cast), SPIKE,
        dtype="float64",
    ),
    Fault("slope: rounded to bfloat16", "as exact as 16 bits", with_slope(bfloat16_cast), SPIKE),
    Fault(
        "slope: closed at its ends", r"off at kinks alone, such as x = -?0\.5",
        lambda: fgi.surrogates.Rectangle(closed="both"), fgi.surrogates.Rectangle(),
    ),
    Fault(
        "slope: one kink", r"off at kinks alone, such as x = 0\.5", with_slope(odd_one_out), SPIKE,
    ),
    Fault(
        "slope: NaN in a tail", r"not finite where \|x\| is large: something on the way overflows",
        with_slope(nan_in_a_tail), fgi.surrogates.Sigmoid(alpha=1.0),
    ),
    Fault(
        "slope: overflow", r"not finite where \|x\| is large: something on the way overflows",
        with_slope(overflowing), fgi.surrogates.FastSigmoid(alpha=1.0),
    ),
    Fault("slope: cut off", r"zero in the tails, from \|x\| = 2", with_slope(cut_off), SPIKE),
    Fault(
        "slope: wrong side", "wrong for negative x alone", with_slope(without_abs),
        fgi.surrogates.FastSigmoid(alpha=1.0),
    ),
    Fault(
        "slope: half on one side", "wrong for positive x alone",
        with_slope(halved_where_positive), SPIKE,
    ),
    Fault("slope: 0 / 0 at 0", r"not finite: 0 / 0", with_slope(pole), SPIKE),
]  # fmt: skip


# Values.


def one_ulp_more(x: Any) -> Any:
    xp = fgi.namespace(x)
    return step(x) * (1 + float(xp.finfo(x.dtype).eps))


def sigmoidal(x: Any) -> Any:
    xp = fgi.namespace(x)
    return 0.5 + 0.5 * xp.tanh(xp.stop_gradient(x))


def nan_at_infinity(x: Any) -> Any:
    return step(x) + 0 * fgi.namespace(x).stop_gradient(x)


VALUES = [
    Fault("value: one ulp more", "value: the value is not exact", with_value(one_ulp_more), SPIKE),
    Fault(
        "value: 1 at 0", "value: off at kinks alone, such as x = -?0",
        with_value(fgi.Heaviside(at_zero=1)), SPIKE,
    ),
    Fault(
        "value: 1/2 at 0", "value: off at kinks alone, such as x = -?0",
        with_value(fgi.Heaviside(at_zero=0.5)), SPIKE,
    ),
    Fault(
        "value: another threshold", "value: wrong for positive x alone",
        with_value(fgi.Heaviside(threshold=0.1)), SPIKE,
    ),
    Fault(
        "value: the sign", "value: wrong for negative x alone",
        with_value(fgi.Sign(at_zero=0)), SPIKE,
    ),
    Fault("value: a sigmoid", "value: another value", with_value(sigmoidal), SPIKE),
    Fault("value: NaN at infinity", "value: NaN where x is infinite", with_value(nan_at_infinity),
          SPIKE),
]  # fmt: skip


# Arithmetic with stop gradients, written by hand.


def folk_step(x: Any) -> Any:
    """x + sg(f - x), the estimator that everybody writes."""
    xp = fgi.namespace(x)
    return x + xp.stop_gradient(step(x) - x)


def folk_round(x: Any) -> Any:
    xp = fgi.namespace(x)
    return x + xp.stop_gradient(xp.round(x / 0.3) * 0.3 - x)


def as_published(x: Any) -> Any:
    return inject_as_published(x, step(x), 25 + 0 * fgi.namespace(x).stop_gradient(x))


def steep(x: Any) -> Any:
    return 25 + 0 * x


def of_the_root(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(x > 0, 0.5 / xp.sqrt(xp.where(x > 0, x, 1.0)), 0.0)


def frozen_twice(x: Any) -> Any:
    x0 = fgi.stop_gradient(x)
    return step(x) + gaussian(x0) * (x0 - fgi.stop_gradient(x0))


def not_frozen(x: Any) -> Any:
    xp = fgi.namespace(x)
    y = 1 + abs(xp.where(abs(x) <= float(xp.finfo(x.dtype).max), x, 0.0))
    return step(x) + 1 / (y * y) * fgi.tangent(x)


def seed_reversed(x: Any) -> Any:
    x0 = fgi.stop_gradient(x)
    return step(x) + gaussian(x0) * (x0 - x)


def unselected_branch(x: Any) -> Any:
    """The derivative of sqrt is NaN for x < 0, infinite at 0, and 0 times it NaN."""
    xp = fgi.namespace(x)
    root = xp.where(x > 0, xp.sqrt(x), 0.0)
    return fgi.bypass(step(x), root)


def in_the_dtype_of_x(x: Any) -> Any:
    """16 bits throughout: each operation rounds."""
    y = fgi.stop_gradient(x) * 3.140625
    return fgi.inject(x, step(x), 1 / (1 + y * y))


STRAIGHT = fgi.surrogates.StraightThrough(forward=fgi.heaviside)
ROOT = fgi.surrogate(of_the_root)()
STEEP = fgi.surrogate(steep)()

ARITHMETIC = [
    Fault("x + sg(f - x)", "value: the value is not exact", lambda: folk_step, STRAIGHT),
    Fault(
        "x + sg(round(x) - x)", r"value: (the value is not exact|not finite where \|x\| is large)",
        lambda: folk_round, fgi.surrogates.StraightThrough(forward=fgi.values.Round(step=0.3)),
    ),
    Fault(
        "the published form, float16", r"value: not finite where \|x\| is large: something on the "
        "way overflows", lambda: as_published, STEEP, dtype="float16",
    ),
    Fault(
        "the published form, float64", r"value: not finite where \|x\| is large",
        lambda: as_published, STEEP, dtype="float64",
    ),
    Fault("two stop gradients", "gradient: the gradient is lost", lambda: frozen_twice, SPIKE),
    Fault(
        "a seed with the wrong sign", "gradient: the sign is flipped", lambda: seed_reversed, SPIKE,
    ),
    Fault(
        "a branch that is not selected", "gradient: not finite: 0 / 0, or a branch",
        lambda: unselected_branch, ROOT, ("torch", "jax"),
    ),
    Fault(
        "16 bits throughout", "gradient: rounded more than once", lambda: in_the_dtype_of_x,
        ATAN, dtype="bfloat16",
    ),
    Fault(
        "the slope is not frozen", "a second derivative although order is 1: the slope is not",
        lambda: not_frozen, fgi.surrogates.FastSigmoid(alpha=1.0), mode="grad of grad",
    ),
    Fault(
        "order 1 for 2", "second derivative: the gradient is lost", lambda: SMOOTH.replace(order=1),
        SMOOTH, mode="jvp of grad",
    ),
]  # fmt: skip


# Dtypes, shapes, types.


def in_float32(x: Any) -> Any:
    xp = fgi.namespace(x)
    return SPIKE(xp.astype(x, xp.float32))


def column(x: Any) -> Any:
    return SPIKE(x)[:, None]


def summed(x: Any) -> Any:
    return fgi.namespace(x).sum(SPIKE(x))


def out_of_the_framework(x: Any) -> Any:
    return fgi.namespace(x).to_numpy(fgi.stop_gradient(SPIKE(x)))


def as_bool(x: Any) -> Any:
    return fgi.stop_gradient(x) > 0


def raising(x: Any) -> Any:
    raise ZeroDivisionError("a fault of its own")


def quadratic() -> Any:
    return fgi.custom_jvp(step, lambda primals, tangents: tangents[0] * tangents[0])


KINDS = [
    Fault(
        "always float32", "dtype: the dtype is changed: x is a float64 array .* f(.*) a float32",
        lambda: in_float32, SPIKE, dtype="float64",
    ),
    Fault(
        "always float32, of 16 bits", "dtype: the dtype is changed: x is a bfloat16 array",
        lambda: in_float32, SPIKE, dtype="bfloat16",
    ),
    Fault("a shape more", "shape: the shape is broadcast: x is", lambda: column, SPIKE),
    Fault("a sum", "shape: the shape is broadcast: x is", lambda: summed, SPIKE),
    Fault(
        "an array of NumPy", "type: .* expected an array of (torch|jax|tensorflow)",
        lambda: out_of_the_framework, SPIKE,
    ),
    Fault("booleans", "dtype: the dtype is changed: .* a bool array", lambda: as_bool, SPIKE),
    Fault("an exception", "ZeroDivisionError: a fault of its own", lambda: raising, SPIKE,
          status="error"),
    Fault(
        "a rule that is not linear", "is not linear in the tangents", quadratic, SPIKE,
        status="error",
    ),
]  # fmt: skip
