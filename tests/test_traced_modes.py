"""Modes do not stay inside code that a framework traces and keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.surrogates import ATan
from support import frameworks

X, U = np.array([1.0, -2.0, 0.25]), np.array([1.5, -2.0, 3.0])
GRADIENT = U / (1 + (np.pi * X) ** 2)


def compilers(framework: str) -> dict[str, Callable[[Any], Any]]:
    module = frameworks.load(framework)
    if framework == "torch":
        return {"compile": lambda f: module.compile(f, backend="aot_eager", fullgraph=True)}
    if framework == "jax":
        return {"jit": module.jit, "fgi": fgi.compile}
    return {
        "function": module.function,
        "xla": lambda f: module.function(f, jit_compile=True),
        "fgi": fgi.compile,
    }


COMPILERS = [(f, c) for f in frameworks.INSTALLED_AUTODIFF for c in compilers(f)]


def with_an_array(x: Any, **parameters: Any) -> Any:
    return ATan(alpha=2 * fgi.namespace(x).ones_like(x[0]), **parameters)(x)


def by_rule(x: Any) -> Any:
    return fgi.custom_jvp(fgi.heaviside, lambda p, t: ATan().derivative(p[0]) * t[0])(x)


FORMS: dict[str, Callable[[Any], Any]] = {
    "surrogate": ATan(),
    "order=2": ATan(order=2),
    "an array parameter": with_an_array,
    "through the primitive": lambda x: with_an_array(x, through="primitive"),
    "inject": lambda x: fgi.inject(x, x > 0, ATan().derivative),
    "custom_jvp": by_rule,
}
WAYS = [(form, True) for form in FORMS] + [("surrogate", False)]


@pytest.mark.parametrize(("form", "fast"), WAYS)
@pytest.mark.parametrize(("framework", "compiler"), COMPILERS)
def test_compiled_in_inference_mode_and_trained_later(
    framework: str, compiler: str, form: str, fast: bool
) -> None:
    if framework == "torch":
        frameworks.load(framework).compiler.reset()  # it compiles one function so many times only
    f = compilers(framework)[compiler](lambda x: FORMS[form](x))
    x, u = (frameworks.to_framework(framework, a) for a in (X, U))
    with fgi.use_fast_paths(fast):
        with fgi.inference_mode():
            assert frameworks.to_numpy(framework, f(x)).tolist() == [1, 0, 1]
        for _ in range(2):
            if framework == "torch":
                z = x.clone().requires_grad_()
                f(z).backward(u)
                g = z.grad
            else:
                g = fgi.vjp(f, x)[1](u)[0]
            np.testing.assert_allclose(frameworks.to_numpy(framework, g), GRADIENT, rtol=1e-14)
            with fgi.inference_mode():
                f(x)


@pytest.mark.parametrize(("framework", "compiler"), [c for c in COMPILERS if c[1] != "fgi"])
def test_traced_to_be_exported(framework: str, compiler: str) -> None:
    """``traced=True`` reaches traced code, which then has no gradient."""
    x, u = (frameworks.to_framework(framework, a) for a in (X, U))
    f = compilers(framework)[compiler](lambda x: ATan()(x) + 0 * x)
    with fgi.inference_mode(traced=True):
        f(x)
        if framework == "torch":
            z = x.clone().requires_grad_()
            f(z).backward(u)
            g = z.grad
        else:
            g = fgi.vjp(f, x)[1](u)[0]
    assert frameworks.to_numpy(framework, g).tolist() == [0, 0, 0]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "expansion"])
@pytest.mark.skipif("tensorflow" not in frameworks.INSTALLED, reason="tensorflow is not installed")
def test_a_variable_of_tensorflow(fast: bool) -> None:
    tf = frameworks.load("tensorflow")
    expected = np.array([1.5, -2.0]) / (1 + (np.pi * np.array([1.0, -2.0])) ** 2)
    v, u = tf.Variable([1.0, -2.0], dtype=tf.float64), tf.constant([1.5, -2.0], tf.float64)

    def gradient(f: Any) -> Any:
        with tf.GradientTape() as tape:
            y = f(v)
        assert y.numpy().tolist() == [1, 0] if tf.executing_eagerly() else True
        return tape.gradient(y, v, output_gradients=u)

    with fgi.use_fast_paths(fast):
        for f in (ATan(), lambda v: fgi.bypass(v > 0, ATan().primitive(v))):
            ways = [
                gradient,
                tf.function(gradient),
                tf.function(gradient, jit_compile=True),
                lambda f: gradient(tf.function(f)),
                lambda f: gradient(tf.function(f, jit_compile=True)),
            ]
            for way in ways:
                np.testing.assert_allclose(way(f).numpy(), expected, rtol=1e-13)
