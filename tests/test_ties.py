"""Where two operands are equal: one convention for derivatives, in every framework and mode.

Of maximum and minimum each operand has 1/2, of abs the derivative at 0 is 0. The suite for backends
has the same in ``fgi.testing.conformance``; here are XLA, values bit for bit, and what users write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

import fgi
from support import frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
INF, NAN = np.inf, np.nan

Function = Callable[..., Any]


def clip(x: Any) -> Any:
    """A user's clip of rounded codes to -3 ... 3, straight through the rounding."""
    xp = fgi.namespace(x)
    codes = fgi.bypass(xp.round(x), x)
    return xp.maximum(xp.minimum(codes, 3.0), -3.0)


def clip_to_arrays(x: Any) -> Any:
    xp = fgi.namespace(x)
    codes, three = fgi.bypass(xp.round(x), x), 3.0 * xp.ones_like(x)
    return xp.maximum(-three, xp.minimum(three, codes))


CODES = np.array([-7.5, -3.75, -3.25, -2.75, -0.25, 0.0, 1.5, 2.75, 3.25, 3.75, 1e30])
UPSTREAM = np.array([-2.0, 0.5, 4.0, -0.25, 3.0, -8.0, 0.75, 5.0, -3.0, 2.0, 7.0])
# Codes -3 and 3 are tied with their bounds.
PASSES = np.array([0, 0, 0.5, 0.5, 1, 1, 1, 0.5, 0.5, 0, 0])


def by_vjp(f: Function) -> Function:
    return lambda u, x: fgi.vjp(f, x)[1](u)[0]


def by_jvp(f: Function) -> Function:
    return lambda u, x: fgi.jvp(f, (x,), (u,))[1]


def xla(f: Function) -> Function:
    import tensorflow as tf

    compiled: Function = tf.function(f, jit_compile=True, autograph=False)
    return compiled


WAYS: dict[str, Callable[[Function], Function]] = {
    "reverse": by_vjp,
    "forward": by_jvp,
    "by row": lambda f: fgi.vmap(by_vjp(f)),
    "reverse, compiled": lambda f: fgi.compile(by_vjp(f)),
    "reverse of compiled": lambda f: by_vjp(fgi.compile(f)),
    "reverse, XLA": lambda f: xla(by_vjp(f)),
    "reverse of XLA": lambda f: by_vjp(xla(f)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("f", [clip, clip_to_arrays])
@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_clip_of_rounded_codes_has_one_gradient(framework: str, f: Function, way: str) -> None:
    if "XLA" in way and framework != "tensorflow":
        pytest.skip("XLA is JAX's compiler anyway, and not PyTorch's")
    x, u = (frameworks.to_framework(framework, a) for a in (CODES, UPSTREAM))
    got = frameworks.to_numpy(framework, WAYS[way](f)(u, x))
    np.testing.assert_array_equal(got, UPSTREAM * PASSES)
    y = frameworks.to_numpy(framework, f(x))
    np.testing.assert_array_equal(y, np.clip(np.round(CODES), -3, 3))


@pytest.mark.parametrize("way", ["reverse", "forward", "reverse, compiled"])
@pytest.mark.parametrize("framework", AUTODIFF)
def test_an_infinite_upstream_gradient_makes_no_nan(framework: str, way: str) -> None:
    x = frameworks.to_framework(framework, np.array([2.75, 0.25, 5.0]))
    u = frameworks.to_framework(framework, np.array([INF, -INF, 1.0]))
    got = frameworks.to_numpy(framework, WAYS[way](clip)(u, x))
    np.testing.assert_array_equal(got, [INF, -INF, 0])


@pytest.mark.parametrize("framework", AUTODIFF)
def test_derivatives_beyond_the_first_are_the_mean_too(framework: str) -> None:
    """Of max(x^2, 3 x) at 3: means of 6 and 3, and of 2 and 0."""
    x = frameworks.to_framework(framework, np.array([3.0, -1.0, 1.0]))
    xp = fgi.namespace(x)

    def first(x: Any) -> Any:
        return by_vjp(lambda x: xp.maximum(x * x, 3 * x))(xp.ones_like(x), x)

    assert frameworks.to_numpy(framework, first(x)).tolist() == [4.5, -2.0, 3.0]
    for way in (by_vjp, by_jvp):
        second = way(first)(3 * xp.ones_like(x), x)
        assert frameworks.to_numpy(framework, second).tolist() == [3.0, 6.0, 0.0]


X = np.array([0.0, -0.0, 0.0, -0.0, 2.0, INF, -INF, NAN, 1.0, NAN, INF, -1.5, 3e38, -3e38])
Y = np.array([0.0, -0.0, -0.0, 0.0, 2.0, INF, -INF, 0.0, NAN, NAN, -INF, 2.5, 3e38, 3e38])


needs_tensorflow = pytest.mark.skipif(
    "tensorflow" not in frameworks.INSTALLED, reason="tensorflow is not installed"
)


@needs_tensorflow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("how", ["eager", "function", "XLA"])
def test_in_tensorflow_the_value_is_its_own_bit_for_bit(how: str, dtype: str) -> None:
    """Signs of zero and NaN included; what float32 has as a subnormal number may become 0."""
    import tensorflow as tf

    xp = frameworks.backend("tensorflow")
    kind = frameworks.numpy_dtype(dtype)
    integer = np.dtype(f"uint{8 * kind.itemsize}")
    small = np.array([1, 3, 0x7F, 0x80], integer).view(kind)
    with np.errstate(over="ignore"):
        x = np.concatenate([X.astype(kind), small, -small, small])
        y = np.concatenate([Y.astype(kind), small, -small, 0 * small])
    modes: dict[str, Callable[[Function], Function]] = {
        "eager": lambda f: f,
        "function": tf.function,
        "XLA": xla,
    }
    x, y = (frameworks.to_framework("tensorflow", a) for a in (x, y))
    for ours, theirs in ((xp.maximum, tf.maximum), (xp.minimum, tf.minimum)):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            got = modes[how](ours)(x, y)
        wanted = frameworks.to_numpy("tensorflow", modes[how](theirs)(x, y))
        bits = frameworks.to_numpy("tensorflow", got).view(integer)
        flushed = bits == np.copysign(np.zeros((), kind), wanted).view(integer)
        tiny = np.abs(wanted.astype(np.float64)) < np.finfo("float32").tiny
        assert ((bits == wanted.view(integer)) | (tiny & flushed)).all(), (bits, wanted)
        for slope in tape.gradient(got, [x, y]):
            assert np.isfinite(frameworks.to_numpy("tensorflow", slope).astype(np.float64)).all()


@needs_tensorflow
def test_in_tensorflow_what_has_no_derivative_is_one_operation() -> None:
    import tensorflow as tf

    xp = frameworks.backend("tensorflow")
    with tf.Graph().as_default() as alone:
        tf.maximum(tf.ones(3), tf.ones(3))
    with (
        mock.patch.object(xp, "may_differentiate", return_value=False),
        tf.Graph().as_default() as graph,
    ):
        xp.maximum(tf.ones(3), tf.ones(3))
    assert [op.type for op in graph.get_operations()] == [op.type for op in alone.get_operations()]
