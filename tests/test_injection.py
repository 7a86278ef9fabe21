"""stop_gradient, tangent, inject and bypass themselves, in every framework, eager and compiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks
from support.frameworks import to_framework, to_numpy

X = np.array([-np.inf, -2.0, -0.5, -0.0, 0.0, 1.0, 3.0, np.inf, np.nan])
U = np.array([2.0, -1.0, 0.5, 3.0, -4.0, 0.25, 2.0, 5.0, 7.0])
FINITE = np.isfinite(X)

every_framework = pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
compiled_too = pytest.mark.parametrize("how", [lambda f: f, fgi.compile], ids=["eager", "compiled"])


def reverse(framework: str, how: Any, f: Callable[[Any], Any], x: Any = X, u: Any = U) -> Any:
    """Value and gradient of f, as NumPy arrays."""

    def both(x: Any, u: Any) -> Any:
        y, pullback = fgi.vjp(f, x)
        return y, pullback(u)[0]

    found = how(both)(to_framework(framework, x), to_framework(framework, u))
    return tuple(to_numpy(framework, a) for a in found)


@compiled_too
@every_framework
def test_stop_gradient(framework: str, how: Any) -> None:
    # x sg(x): the derivative is sg(x), half of what x^2 has.
    y, dx = reverse(framework, how, lambda x: x * fgi.stop_gradient(x))
    np.testing.assert_array_equal(y, X * X)
    np.testing.assert_array_equal(dx, U * X)


@compiled_too
@every_framework
def test_tangent(framework: str, how: Any) -> None:
    y, dx = reverse(framework, how, lambda x: 3 * fgi.tangent(x))
    np.testing.assert_array_equal(y, np.zeros_like(X))
    np.testing.assert_array_equal(dx, np.where(FINITE, 3 * U, 0))


@compiled_too
@every_framework
def test_inject_passes_no_gradient_but_the_slope(framework: str, how: Any) -> None:
    """Value and slope that themselves depend on x: neither leaks into the derivative."""
    y, dx = reverse(framework, how, lambda x: fgi.inject(x, x * x, x + 1))
    np.testing.assert_array_equal(y, X * X)
    np.testing.assert_array_equal(dx, np.where(FINITE, U * (X + 1), 0))


@compiled_too
@every_framework
def test_inject_takes_a_number_and_what_broadcasts(framework: str, how: Any) -> None:
    y, dx = reverse(framework, how, lambda x: fgi.inject(x, x > 0, -0.5))
    np.testing.assert_array_equal(y, X > 0)
    np.testing.assert_array_equal(dx, np.where(FINITE, -0.5 * U, 0))
    x, u = np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[2.0, 3.0], [-1.0, 0.5]])
    row = to_framework(framework, np.array([10.0, 0.1], np.float32))
    y, dx = reverse(framework, how, lambda x: fgi.inject(x, -x, row), x, u)
    np.testing.assert_array_equal(y, -x)
    np.testing.assert_array_equal(dx, u * np.array([10.0, 0.1], np.float32))


@compiled_too
@every_framework
def test_the_second_derivative_of_inject_is_zero(framework: str, how: Any) -> None:
    xp = frameworks.backend(framework)

    def slope_of(x: Any) -> Any:
        return fgi.jvp(lambda x: x * fgi.inject(x, x * x, x + 1), (x,), (xp.ones_like(x),))[1]

    x = np.array([-2.0, 0.5, 3.0])
    y, dx = reverse(framework, how, slope_of, x, np.array([2.0, -1.0, 0.5]))
    # y = x f: y' = f + x g', and then f' = g', x' g' = g' and nothing more.
    np.testing.assert_allclose(y, x * x + x * (x + 1), rtol=1e-15)
    np.testing.assert_allclose(dx, np.array([2.0, -1.0, 0.5]) * 2 * (x + 1), rtol=1e-15)


@compiled_too
@every_framework
def test_bypass_passes_the_gradient_of_the_second_alone(framework: str, how: Any) -> None:
    y, dx = reverse(framework, how, lambda x: fgi.bypass(5 * x, x * x))
    np.testing.assert_array_equal(y, 5 * X)
    np.testing.assert_array_equal(dx[FINITE], (U * 2 * X)[FINITE])


@every_framework
def test_bypass_has_every_derivative_of_the_second(framework: str) -> None:
    """By nested forward mode, at x^3."""
    x = to_framework(framework, np.array([-2.0, 0.5]))
    one = frameworks.backend(framework).ones_like(x)

    def derivative(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: fgi.jvp(f, (x,), (one,))[1]

    f: Callable[[Any], Any] = lambda x: fgi.bypass(x > 0, x * x * x)  # noqa: E731
    np.testing.assert_array_equal(to_numpy(framework, f(x)), [0, 1])
    for expected in ([12.0, 0.75], [-12.0, 3.0], [6.0, 6.0]):
        f = derivative(f)
        np.testing.assert_allclose(to_numpy(framework, f(x)), expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 1, 3)])
@every_framework
def test_any_shape(framework: str, shape: tuple[int, ...]) -> None:
    x, u = np.full(shape, 0.5), np.full(shape, -3.0)
    spike = fgi.surrogates.Triangle()
    for f in (spike, lambda x: fgi.inject(x, x > 0, 0.5), lambda x: fgi.bypass(x > 0, 0.5 * x)):
        y, dx = reverse(framework, lambda f: f, f, x, u)
        assert y.shape == dx.shape == shape
        np.testing.assert_array_equal(y, np.ones(shape))
        np.testing.assert_array_equal(dx, np.full(shape, -1.5))


@every_framework
def test_the_published_form_has_the_same_numbers_and_its_known_nan(framework: str) -> None:
    """Against what the code published with the paper returned."""
    golden = Path(__file__).parent / "data" / "golden"
    index = json.loads((golden / "fgi_reference.json").read_text())
    arrays = np.load(golden / index["arrays"])
    slope = fgi.surrogates.Gaussian().derivative
    records = [r for r in index["records"] if r["function"] == "fgi(gaussian)"]
    assert {r["grid"] for r in records} == {"main", "special"}
    for record in records:
        if record["dtype"] != "float64":
            continue
        x, value, gradient = (arrays[record[key]] for key in ("x", "forward", "grad"))
        u = np.full_like(x, 2.0)

        def published(x: Any) -> Any:
            return fgi.injection.inject_as_published(x, fgi.heaviside(x), slope(x))

        y, dx = reverse(framework, lambda f: f, published, x, u)
        np.testing.assert_array_equal(y, value)
        np.testing.assert_allclose(dx, 2 * gradient, rtol=1e-12, atol=1e-300)
        ours, _ = reverse(framework, lambda f: f, fgi.surrogates.Gaussian(), x, u)
        np.testing.assert_array_equal(ours, x > 0)
        assert np.isnan(y).any() == (record["grid"] == "special")
