"""Slopes, upstream gradients and inputs that are not finite: one rule in every framework.

The value is f(x). Where x is infinite or NaN, or the slope is, the derivative is 0, whatever the
upstream gradient is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import surrogates as S
from support import frameworks

INF, NAN = np.inf, np.nan
AUTODIFF = frameworks.INSTALLED_AUTODIFF


@fgi.surrogate
def half_circle(x: Any) -> Any:
    """Not a number beyond 1, infinite nowhere."""
    return fgi.namespace(x).sqrt(1 - x * x)


@fgi.surrogate
def pole(x: Any) -> Any:
    """Infinite at 0."""
    return 1 / x


def ways(framework: str) -> dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]]:
    """Value and gradient u f'(x), each by another way through the framework."""

    def reverse(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        y, pullback = fgi.vjp(f, x)
        return y, pullback(u)[0]

    def forward(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        return fgi.jvp(f, (x,), (u,))

    found = {
        "vjp": reverse,
        "jvp": forward,
        "compiled vjp": lambda f, x, u: fgi.compile(lambda x, u: reverse(f, x, u))(x, u),
    }
    if framework == "torch":
        import torch

        def tape(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
            z = x.clone().requires_grad_()
            y = f(z)
            y.backward(u)
            return y.detach(), z.grad

        found["tape"] = tape
        found["compiled tape"] = lambda f, x, u: tape(torch.compile(f, backend="aot_eager"), x, u)
        del found["compiled vjp"]  # by aot_eager alone: code generation is not the point
    if framework == "tensorflow":
        import tensorflow as tf

        found["xla"] = lambda f, x, u: tf.function(lambda x, u: reverse(f, x, u), jit_compile=True)(
            x, u
        )
    return found


WAYS = [(f, w) for f in AUTODIFF for w in ways(f)]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "expansion"])
@pytest.mark.parametrize(("framework", "way"), WAYS)
def test_a_slope_that_is_not_finite(framework: str, way: str, fast: bool) -> None:
    x = np.array([2.0, -0.6, 0.0, 1.0, INF, -INF, NAN])
    u = np.array([1.5, -2.0, 4.0, 3.0, 2.0, 2.0, 2.0])
    with fgi.use_fast_paths(fast):
        for spike, gradient in (
            (half_circle(), [0, -1.6, 4, 0, 0, 0, 0]),
            (half_circle(forward=fgi.round), [0, -1.6, 4, 0, 0, 0, 0]),
            (pole(), [0.75, -2 / -0.6, 0, 3, 0, 0, 0]),
        ):
            y, g = ways(framework)[way](
                spike,
                *(frameworks.to_framework(framework, a) for a in (x, u)),
            )
            value = fgi.round if spike.forward else fgi.heaviside
            np.testing.assert_array_equal(frameworks.to_numpy(framework, y), value(x))
            np.testing.assert_allclose(frameworks.to_numpy(framework, g), gradient, rtol=1e-14)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "expansion"])
@pytest.mark.parametrize(("framework", "way"), [w for w in WAYS if w[1] != "jvp"])
@pytest.mark.parametrize("spike", [S.ATan(), S.StraightThrough(), S.Rectangle(-0.5, 0.5)])
def test_an_upstream_gradient_that_has_overflowed(
    framework: str, way: str, fast: bool, spike: fgi.Surrogate
) -> None:
    x, u = np.array([INF, -INF, NAN, 0.25, -0.25]), np.array([INF, -INF, NAN, INF, -INF])
    with fgi.use_fast_paths(fast):
        _, g = ways(framework)[way](spike, *(frameworks.to_framework(framework, a) for a in (x, u)))
    assert frameworks.to_numpy(framework, g).tolist() == [0, 0, 0, INF, -INF]


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
def test_other_functions(framework: str) -> None:
    def array(*numbers: float) -> Any:
        return frameworks.to_framework(framework, np.array(numbers))

    def found(y: Any) -> list[float]:
        return frameworks.to_numpy(framework, y).tolist()  # type: ignore[no-any-return]

    x, fx = array(2.0, -1.0, 0.5), array(3.0, 4.0, 5.0)
    rule = fgi.custom_jvp(lambda x: 2 * x, lambda p, t: t[0] * array(NAN, INF, 7.0))
    functions: list[tuple[Callable[[Any], Any], list[float]]] = [
        (lambda x: fgi.inject(x, fx, array(NAN, INF, 7.0)), [3, 4, 5]),
        (lambda x: fgi.inject(x, fx, NAN), [3, 4, 5]),
        (lambda x: fgi.inject(x, fx, lambda x: 1 / (x - 0.5)), [3, 4, 5]),
        (rule, [4, -2, 1]),
    ]
    for f, expected in functions:
        assert found(f(x)) == expected
        if framework in AUTODIFF:
            assert found(fgi.vjp(f, x)[0]) == expected
            assert found(fgi.jvp(f, (x,), (fx,))[0]) == expected
    value = array(8.0)[0]
    assert found(fgi.set_gradients(value, x, array(NAN, INF, 7.0))) == 8
    if framework in AUTODIFF:
        y, pullback = fgi.vjp(lambda x: fgi.set_gradients(value, x, array(NAN, INF, 7.0)), x)
        assert found(y) == 8
        assert found(pullback(array(1.5)[0])[0]) == [0, 0, 10.5]


@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_parameter_with_an_upstream_gradient_that_has_overflowed(framework: str) -> None:
    """A width has the gradient 0 times upstream, as in any product: NaN for an infinite one."""

    def by_alpha(u: float) -> float:
        x, a, v = (frameworks.to_framework(framework, np.array(n)) for n in (0.25, 2.0, u))
        _, pullback = fgi.vjp(lambda a: S.ATan(alpha=a)(x), a)
        return float(frameworks.to_numpy(framework, pullback(v)[0]))

    assert by_alpha(1.5) == 0
    assert np.isnan(by_alpha(INF))
