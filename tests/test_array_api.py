"""``fgi.backend.from_array_api``: a namespace of the standard has values and slopes."""

from __future__ import annotations

import types
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing
from fgi.backend import MissingMemberError, from_array_api
from support import catalogue, frameworks

NAMESPACES = ("numpy", "array_api_strict")


@pytest.fixture(params=NAMESPACES)
def registered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A backend of the namespace; NumPy's own, with its own backend out of the way."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.setattr("fgi.backend.registry._registered", {})
    if request.param == "numpy":
        monkeypatch.setattr("fgi.backend.registry.BUILT_IN", ("torch", "jax", "tensorflow"))
        xp: Any = np
        arrays: Any = (np.ndarray, np.generic)
    else:
        import array_api_strict as xp

        # The oldest one that has maximum and minimum.
        xp.set_array_api_strict_flags(api_version="2023.12")
        arrays = type(xp.zeros(1))
    made = from_array_api(xp, name=request.param, Array=arrays, stop_gradient=lambda x: x)
    fgi.register_backend(made)
    with np.errstate(all="ignore"):
        yield made
    if request.param == "array_api_strict":
        xp.reset_array_api_strict_flags()


def test_it_conforms(registered: Any) -> None:
    report = fgi.testing.backend_conformance(registered)
    assert not report.told(), str(report)
    assert report.settings["tiers"] == ["injection", "arrays", "tools", "hooks"]
    assert sum(row.comparisons for row in report.rows) > 30000


def test_the_catalogue_has_its_values_and_slopes(registered: Any) -> None:
    """By the same formulas in NumPy's own backend, whose functions are others."""
    ours = frameworks.backend("numpy")
    x = np.concatenate([np.linspace(-5, 5, 401), [np.inf, -np.inf, np.nan, -0.0, 1e30, -1e300]])
    u = np.random.default_rng(0).random(len(x))
    for spike in catalogue.DEFAULTS:
        keys = (u,) if spike.random else ()
        theirs = [registered.asarray(a) for a in (x, *keys)]
        with fgi.use_backend(registered.name):
            y, slope = spike(*theirs), spike.derivative(*theirs)
        value, expected = reference(ours, spike, x, *keys)
        np.testing.assert_array_equal(registered.to_numpy(y), value, err_msg=str(spike))
        scale = np.nanmax(abs(expected[np.isfinite(expected)]))
        np.testing.assert_allclose(
            registered.to_numpy(slope), expected, rtol=1e-13, atol=1e-14 * scale, err_msg=str(spike)
        )


def reference(xp: Any, spike: Any, *arrays: Any) -> tuple[Any, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgi.backend.dispatch._process", xp)
        return spike(*arrays), spike.derivative(*arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erfc_is_computed(dtype: str) -> None:
    """Within the bounds of ``fgi.testing``; its derivative, by JAX, is the bell by hand."""
    special = pytest.importorskip("scipy.special")
    xp = from_array_api(np, name="n", Array=np.ndarray, stop_gradient=lambda x: x)
    eps = float(np.finfo(dtype).eps)
    largest = 9.0 if dtype == "float32" else 26.0
    x = np.linspace(-6, largest, 3001).astype(dtype)
    expected = special.erfc(x.astype(np.float64))
    off = abs(xp.erfc(x) - expected) / (eps * expected)
    assert (off <= 5 + x.astype(np.float64) ** 2).all()
    special_values = np.array([np.inf, -np.inf, 0.0, -0.0, np.nan], dtype)
    np.testing.assert_array_equal(xp.erfc(special_values), [0, 2, 1, 1, np.nan])


def test_erfc_has_a_derivative() -> None:
    """-2 / sqrt(pi) exp(-x^2), by hand; 0 at infinity, and nowhere NaN."""
    jax = pytest.importorskip("jax")
    made = from_array_api(
        jax.numpy, name="jnp", Array=jax.Array, stop_gradient=jax.lax.stop_gradient
    )
    x = np.array([-np.inf, -30.0, -2.5, -0.0, 0.0, 0.3, 1.7, 6.2, 6.3, 12.0, 30.0, np.inf])
    with jax.enable_x64(True):
        y, pullback = jax.vjp(made._erfc, jax.numpy.asarray(x))
        (dx,) = pullback(jax.numpy.full_like(y, -3.0))
    expected = 6 / np.sqrt(np.pi) * np.exp(-(x**2))
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-150)


def test_members_of_your_own_come_first() -> None:
    made = from_array_api(
        np, name="n", Array=np.ndarray, stop_gradient=lambda x: x, exp=np.expm1, floating=(np.int8,)
    )
    assert made.exp is np.expm1
    assert made.floating == (np.int8,)


def test_a_function_that_the_namespace_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgi.backend.registry._registered", {})
    kept = {name: getattr(np, name) for name in dir(np) if name not in ("exp", "ones_like")}
    xp = types.SimpleNamespace(**kept)
    made = from_array_api(xp, name="less", Array=np.ndarray, stop_gradient=lambda x: x)
    with pytest.raises(MissingMemberError, match=r"less has no ones_like \(tier injection\)"):
        fgi.register_backend(made)
    xp.ones_like = np.ones_like
    fgi.register_backend(made)
    with (
        fgi.use_backend("less"),
        pytest.raises(MissingMemberError, match=r"less has no exp \(tier arrays\); define exp"),
    ):
        fgi.surrogates.Gaussian().derivative(np.ones(3))
