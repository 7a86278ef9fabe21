"""Functions with one fault each, as users write them; at the top of a module, for worker processes.

Each is meant to be the ATan surrogate, ``GOOD``, written with fgi.
"""

from __future__ import annotations

import os
import time
from typing import Any

import fgi

GOOD = fgi.surrogates.ATan(alpha=2.0)


def right(x: Any) -> Any:
    return fgi.inject(x, fgi.heaviside(x), GOOD.derivative)


def _with(x: Any, slope: Any, value: Any = None) -> Any:
    return fgi.inject(x, fgi.heaviside(x) if value is None else value, slope)


def sign(x: Any) -> Any:
    return _with(x, lambda x: -GOOD.derivative(x))


def factor(x: Any) -> Any:
    return _with(x, lambda x: 2.5 * GOOD.derivative(x))


def another_slope(x: Any) -> Any:
    return _with(x, fgi.surrogates.ATan(alpha=2.125).derivative)


def lost(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.stop_gradient(fgi.heaviside(x)) + 0 * xp.where(abs(x) < 1e30, x, 0.0)


def folk(x: Any) -> Any:
    """The folk estimator of a straight-through step: right on paper."""
    return x + fgi.stop_gradient(fgi.heaviside(x) - x)


def published(x: Any) -> Any:
    return fgi.injection.inject_as_published(x, fgi.heaviside(x), GOOD.derivative(x))


def kink(x: Any) -> Any:
    xp = fgi.namespace(x)
    return _with(x, lambda x: xp.where(x == 0.5, 0.125, GOOD.derivative(x)))


def kink_value(x: Any) -> Any:
    return _with(x, GOOD.derivative, fgi.Heaviside(at_zero=1.0)(x))


def tail(x: Any) -> Any:
    """e^2z overflows before the quotient is 0."""
    xp = fgi.namespace(x)
    return _with(x, lambda x: GOOD.derivative(x) * (xp.exp(x * x) / xp.exp(x * x)))


def float32_constant(x: Any) -> Any:
    return _with(x, lambda x: GOOD.derivative(x) * 1.0000000149011612)


def half(x: Any) -> Any:
    xp = fgi.namespace(x)

    def slope(x: Any) -> Any:
        return xp.astype(xp.astype(GOOD.derivative(x), xp.half[1]), x.dtype)

    return _with(x, slope)


def dtype(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.astype(right(x), xp.dtype("float64"))


def shape(x: Any) -> Any:
    return fgi.namespace(x).stack([right(x)])


def negative(x: Any) -> Any:
    xp = fgi.namespace(x)
    one = xp.ones_like(x)
    return _with(x, lambda x: xp.where(x < 0, 1.5 * one, one) * GOOD.derivative(x))


def one_framework(x: Any) -> Any:
    wrong = fgi.namespace(x).name == "torch"
    return factor(x) if wrong else right(x)


def raises(x: Any) -> Any:
    raise RuntimeError("planted")


def crashes(x: Any) -> Any:
    os._exit(7)


def hangs(x: Any) -> Any:
    time.sleep(3600)


def rule(primals: Any, tangents: Any) -> Any:
    return tangents[0] * tangents[0]


not_linear = fgi.custom_jvp(fgi.heaviside, rule)


def arc(x: Any) -> Any:
    """No fault, and no definition that is known."""
    return fgi.namespace(x).atan(x * 3) * 0.3


def softplus(x: Any) -> Any:
    return _with(x, lambda x: fgi.surrogates.Softplus().derivative(x))


def smooth(x: Any) -> Any:
    return fgi.namespace(x).tanh(x * 3) * 0.5


def upstream(x: Any) -> Any:
    """As a backward pass that forgets what comes in."""
    return _backward(x, lambda u, slope: slope)


def upstream_twice(x: Any) -> Any:
    return _backward(x, lambda u, slope: u * u * slope)


def _backward(x: Any, rule: Any) -> Any:
    """By each framework's own mechanism, whose rule has the upstream gradient."""
    name = fgi.namespace(x).name
    if name == "torch":
        import torch

        class Rule(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return fgi.heaviside(x)

            @staticmethod
            def backward(ctx: Any, u: Any) -> Any:
                return rule(u, _finite_slope(ctx.saved_tensors[0]))

        return Rule.apply(x)
    if name == "jax":
        import jax

        f = jax.custom_vjp(lambda x: fgi.heaviside(x))
        f.defvjp(lambda x: (fgi.heaviside(x), x), lambda x, u: (rule(u, _finite_slope(x)),))
        return f(x)
    import tensorflow as tf

    return tf.custom_gradient(lambda x: (fgi.heaviside(x), lambda u: rule(u, _finite_slope(x))))(x)


def _finite_slope(x: Any) -> Any:
    return GOOD.native().slope(x)
