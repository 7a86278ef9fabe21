"""Surrogates as values, their primitives, the user's own, and the functions."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import fgi
from support import exact, frameworks

INSTALLED = frameworks.INSTALLED
AUTODIFF = frameworks.INSTALLED_AUTODIFF
CLASSES = [getattr(fgi.surrogates, name) for name in fgi.surrogates.__all__]
OTHER = {
    "gaussian": {"sigma": 0.5, "height": 0.7},
    "double_gaussian": {"p": 0.15, "sigma": 0.4, "width": 2.0, "m": 2.0},
    "sigmoid": {"alpha": 7.0},
    "tanh": {"alpha": 3.0},
    "atan": {"alpha": 5.0},
    "triangle": {"width": 0.5, "height": 2.0},
    "fast_sigmoid": {"alpha": 3.0, "height": 0.5},
    "straight_through": {"height": -0.5},
}
"""Parameters all away from their defaults."""


@fgi.surrogate
def hat(x: Any, width: float = 1.0) -> Any:
    xp = fgi.namespace(x)
    return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))


@fgi.surrogate
def ranged(x: Any, *, k: float = fgi.positive(2.0)) -> Any:
    return 1 / (1 + k * x * x)


@fgi.surrogate
def required(x: Any, k: float) -> Any:
    return k * x


SPIKES = [
    *(cls() for cls in CLASSES),
    *(cls(**OTHER[cls.name]) for cls in CLASSES),
    fgi.surrogates.ATan(forward=fgi.Heaviside(at_zero=1)),
    fgi.surrogates.StraightThrough(forward=fgi.round),
    hat(),
    hat(width=0.5),
    ranged(k=3),
    required(k=2.0),
]


@pytest.mark.parametrize("spike", SPIKES, ids=repr)
def test_equal_parameters_make_equal_objects(spike: fgi.Surrogate) -> None:
    for other in (
        type(spike)(**spike.parameters),
        pickle.loads(pickle.dumps(spike)),
        copy.deepcopy(spike),
        spike.replace(),
        fgi.from_config(json.loads(json.dumps(spike.to_config()))),
        eval(repr(spike), {**vars(fgi), **vars(fgi.surrogates), **globals()}),
    ):
        assert other == spike
        assert hash(other) == hash(spike)
        assert type(other) is type(spike)
    assert len({*SPIKES, spike}) == len(SPIKES)
    assert spike != object()
    assert pickle.loads(pickle.dumps(spike.native())) == spike.native()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_parameter_makes_a_difference(cls: type[fgi.Surrogate]) -> None:
    x = np.array([0.3, -0.2])
    assert set(OTHER[cls.name]) == set(cls().parameters) - {"forward"}
    for name, value in OTHER[cls.name].items():
        changed = cls().replace(**{name: value})
        assert changed != cls()
        assert not np.allclose(changed.derivative(x), cls().derivative(x))
        assert not np.allclose(changed.primitive(x), cls().primitive(x))


def test_numbers_of_any_kind_are_the_same_parameter() -> None:
    three = fgi.surrogates.ATan(alpha=3.0)
    for value in (3, np.float32(3), np.float64(3), np.int64(3)):
        assert fgi.surrogates.ATan(alpha=value) == three
        assert repr(fgi.surrogates.ATan(alpha=value)) == "ATan(alpha=3.0)"


def test_documented() -> None:
    for cls in CLASSES:
        text = inspect.getdoc(cls) or ""
        assert "g'(x) = " in text
        assert "Source:" in text
        assert all(f"``{name}``" in text for name in OTHER[cls.name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("framework", INSTALLED)
def test_primitive_is_the_integral_of_the_slope(framework: str, cls: Any, dtype: str) -> None:
    spike = cls()
    slope = exact.EXACT[cls.name]
    x = np.array([-6.0, -2.5, -1.0, -0.3, -0.0, 0.1, 0.7, 1.0, 3.0], dtype)
    integrable = cls.name != "straight_through"
    start = -mp.inf if integrable else 0
    kinks = [k for k in (-1, 0, 1) if integrable]

    def integral(end: float) -> float:
        points = [start, *(k for k in kinks if k < end), mp.mpf(end)]
        return float(mp.quad(slope, points))

    expected = np.array([integral(float(v)) for v in x])
    got = frameworks.to_numpy(framework, spike.primitive(frameworks.to_framework(framework, x)))
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, expected, rtol=40 * np.finfo(x.dtype).eps, atol=1e-15)


@pytest.mark.parametrize("spike", [s for s in SPIKES if type(s) in CLASSES], ids=repr)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_gradient_of_the_primitive_is_the_slope(framework: str, spike: Any) -> None:
    x_ = np.array([-4.0, -1.1, -0.4, -0.0, 0.0, 0.2, 0.9, 2.5])
    x = frameworks.to_framework(framework, x_)
    u = frameworks.to_framework(framework, np.array([2.0, -1.0, 3.0, 0.5, -0.25, 4.0, -2.0, 5.0]))
    _, pullback = fgi.vjp(spike.primitive, x)
    (dx,) = pullback(u)
    expected = spike.derivative(x_) * frameworks.to_numpy(framework, u)
    np.testing.assert_allclose(frameworks.to_numpy(framework, dx), expected, rtol=1e-12, atol=1e-16)


def test_bypass_of_the_primitive_has_its_derivative() -> None:
    """The paper's bypass example: tanh."""
    spike = fgi.surrogates.Tanh()
    x_ = np.array([-1.5, -0.2, 0.0, 0.4, 2.0])
    for framework in AUTODIFF:
        x = frameworks.to_framework(framework, x_)
        t = 2 + x
        y, dy = fgi.jvp(lambda x: fgi.bypass(fgi.heaviside(x), spike.primitive(x)), (x,), (t,))
        np.testing.assert_array_equal(frameworks.to_numpy(framework, y), x_ > 0)
        np.testing.assert_allclose(
            frameworks.to_numpy(framework, dy), (2 + x_) / np.cosh(x_) ** 2, rtol=1e-14
        )


@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_slope_of_your_own(framework: str) -> None:
    x_ = np.array([-2.0, -0.4, 0.0, 0.1, 0.5])
    x = frameworks.to_framework(framework, x_)
    u_ = np.array([3.0, 2.0, -1.0, 0.5, 4.0])
    y, pullback = fgi.vjp(hat(width=0.5), x)
    (dx,) = pullback(frameworks.to_framework(framework, u_))
    np.testing.assert_array_equal(frameworks.to_numpy(framework, y), x_ > 0)
    expected = u_ * np.maximum(0, 1 - np.abs(x_) / 0.5)
    np.testing.assert_allclose(frameworks.to_numpy(framework, dx), expected, rtol=1e-15)


def test_a_slope_of_your_own_is_a_class() -> None:
    spike = hat(width=0.5)
    assert isinstance(spike, fgi.Surrogate)
    assert repr(spike) == "hat(width=0.5)"
    assert spike.to_config()["name"] == f"{__name__}:hat"
    assert hat(0.5) == spike
    assert hat.__module__ == __name__
    with pytest.raises(TypeError, match="hat has no primitive in closed form"):
        spike.primitive(np.array([1.0]))
    with pytest.raises(ValueError, match=r"ranged: k is -1; expected a number > 0"):
        ranged(k=-1)
    with pytest.raises(TypeError, match="'k'"):
        required()  # type: ignore[call-arg]


@pytest.mark.parametrize("framework", AUTODIFF)
def test_array_parameters(framework: str) -> None:
    """One alpha for each channel, of another dtype than x; and d(gradient)/d(alpha) is right."""
    alpha_ = np.array([0.5, 2.0, 3.0], np.float32)
    x_ = np.array([[-0.3, 0.2, 0.1], [1.0, -2.0, 0.4]])
    x, alpha = (frameworks.to_framework(framework, a) for a in (x_, alpha_))
    spike = fgi.surrogates.ATan(alpha=alpha)
    assert spike == fgi.surrogates.ATan(alpha=alpha)
    assert hash(spike) == hash(fgi.surrogates.ATan(alpha=alpha))
    assert spike != fgi.surrogates.ATan(alpha=alpha + 0)
    with pytest.raises(TypeError, match=r"alpha is a float32 array .* expected a number"):
        spike.to_config()

    a = alpha_.astype(np.float64)
    q = (np.pi / 2 * a * x_) ** 2
    y, pullback = fgi.vjp(spike, x)
    (dx,) = pullback(2 * frameworks.backend(framework).ones_like(x))
    assert frameworks.to_numpy(framework, y).dtype == np.float64
    np.testing.assert_allclose(frameworks.to_numpy(framework, dx), 2 * a / 2 / (1 + q), rtol=1e-14)

    def gradient_sum(alpha: Any) -> Any:
        _, dy = fgi.jvp(fgi.surrogates.ATan(alpha=alpha), (x,), (2 * x,))
        return fgi.namespace(x).sum(dy)

    learned = fgi.grad(gradient_sum)(frameworks.to_framework(framework, a))
    expected = (2 * x_ * 0.5 * (1 - q) / (1 + q) ** 2).sum(axis=0)
    np.testing.assert_allclose(frameworks.to_numpy(framework, learned), expected, rtol=1e-12)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_functional_form(cls: type[fgi.Surrogate]) -> None:
    function = getattr(fgi.functional, cls.name)
    x = np.array([-1.0, 0.0, 0.3])
    np.testing.assert_array_equal(function(x, **OTHER[cls.name]), cls(**OTHER[cls.name])(x))
    assert function.__doc__ == cls.__doc__
    assert pickle.loads(pickle.dumps(function)) is function
    for framework in AUTODIFF:
        x_ = frameworks.to_framework(framework, x)
        for spike in (function, lambda x: function(x, *OTHER[cls.name].values())):
            _, dy = fgi.jvp(spike, (x_,), (3 * x_,))
            wanted = cls() if spike is function else cls(**OTHER[cls.name])
            np.testing.assert_allclose(
                frameworks.to_numpy(framework, dy), 3 * x * wanted.derivative(x), rtol=1e-13
            )


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_surrogates_are_made_inside_compiled_code() -> None:
    import torch

    torch._dynamo.reset()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def f(x: Any, alpha: Any) -> Any:
        return (
            fgi.functional.atan(x, alpha=3.0)
            + fgi.surrogates.Gaussian(sigma=0.5)(x)
            + fgi.surrogates.ATan(alpha=alpha)(x)
            + hat(width=0.5)(x)
        )

    x = torch.tensor([-0.25, 0.5], dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = f(x, alpha)
    (dx,) = torch.autograd.grad(y, x, torch.tensor([2.0, 3.0], dtype=torch.float64))
    x_ = x.detach().numpy()
    slopes = (
        fgi.surrogates.ATan(alpha=3.0).derivative(x_)
        + fgi.surrogates.Gaussian(sigma=0.5).derivative(x_)
        + fgi.surrogates.ATan(alpha=2.0).derivative(x_)
        + hat(width=0.5).derivative(x_)
    )
    assert y.tolist() == [0, 4]
    np.testing.assert_allclose(dx.numpy(), slopes * [2, 3], rtol=1e-14)
