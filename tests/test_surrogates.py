"""Surrogates as values, their primitives, the user's own, and the functions."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import re
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import fgi
from fgi import values
from fgi.surrogates import surrogate as definition
from support import catalogue, exact, frameworks

INSTALLED = frameworks.INSTALLED
AUTODIFF = frameworks.INSTALLED_AUTODIFF
CLASSES = list(catalogue.CLASSES.values())


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
    *(cls(**catalogue.others(cls)) for cls in CLASSES),
    *(spike.smooth() for spike in catalogue.WITH_PRIMITIVE[::5]),
    fgi.surrogates.ATan(forward=fgi.Heaviside(at_zero=1)),
    fgi.surrogates.StraightThrough(forward=fgi.round),
    hat(),
    hat(width=0.5),
    ranged(k=3),
    required(k=2.0),
]


SCOPE = {**vars(values), **vars(definition), **catalogue.CLASSES, **globals(), "inf": math.inf}


@pytest.mark.parametrize("spike", SPIKES, ids=repr)
def test_equal_parameters_make_equal_objects(spike: fgi.Surrogate) -> None:
    for other in (
        type(spike)(**spike.parameters),
        pickle.loads(pickle.dumps(spike)),
        copy.deepcopy(spike),
        spike.replace(),
        fgi.from_config(json.loads(json.dumps(spike.to_config()))),
        eval(repr(spike), SCOPE),
    ):
        assert other == spike
        assert hash(other) == hash(spike)
        assert type(other) is type(spike)
    assert len({*SPIKES, spike}) == len(SPIKES)
    assert spike != object()
    if not spike._is_random:
        assert pickle.loads(pickle.dumps(spike.native())) == spike.native()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_parameter_makes_a_difference(cls: type[fgi.Surrogate]) -> None:
    others = catalogue.others(cls)
    assert set(others) == set(cls().parameters) - set(cls._keywords)
    for name, value in others.items():
        before, after = cls(), cls().replace(**{name: value})
        assert before != after
        x = np.concatenate([catalogue.sample(before), catalogue.sample(after)])
        u = catalogue.key(before, x)
        numbers = [
            [s(x, u), s.derivative(x, u), *s.partials(fgi.namespace(x), x).values()]
            for s in (before, after)
        ]
        assert not all(np.array_equal(a, b) for a, b in zip(*numbers, strict=True)), name


NO_NUMBER = ["1", None, True, 1j, [1.0]]
WRONG: dict[str, list[Any]] = {
    "positive": [0, -1.0, math.nan, math.inf, *NO_NUMBER],
    "unit": [-0.1, 1.1, math.nan, *NO_NUMBER],
    "finite": [math.nan, -math.inf, *NO_NUMBER],
    "extended": [math.nan, *NO_NUMBER],
    "count": [0, -1, 1.5, 2.0, math.nan, *NO_NUMBER],
    "integer": [0.5, math.nan, *NO_NUMBER],
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_bad_parameter_is_named_at_construction(cls: type[fgi.Surrogate]) -> None:
    for name, range in cls._ranges:
        for value in ["nonsense", 1.0, None] if "|" in range else WRONG[range]:
            with pytest.raises(
                (ValueError, TypeError), match=f"^{cls.__name__}: {name} is .*; exp"
            ):
                cls(**{name: value})
        integers = np.array([1, 2])
        with pytest.raises((ValueError, TypeError), match=f"^{cls.__name__}: {name} is .*; exp"):
            cls(**{name: integers})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_array_that_would_change_the_shape_is_refused(cls: type[fgi.Surrogate]) -> None:
    x = np.array([0.25, -0.5])
    said = [right for left, right in exact.equations(cls).items() if not left.startswith("dy/")]
    for name in catalogue.numbers(cls):
        if not any(re.search(rf"\b{name}\b", right) for right in said):
            continue  # a factor of another parameter's gradient alone
        spike = cls(**{name: np.full((3, 1), getattr(cls(), name))})
        u = catalogue.key(spike, x)
        # f has it, or the slope, or both.
        with pytest.raises(ValueError, match=rf"{name}.* makes the result .*; expected the shape"):
            spike.derivative(spike(x, u) + 0 * x, u)


def test_numbers_of_any_kind_are_the_same_parameter() -> None:
    three = fgi.surrogates.ATan(alpha=3.0)
    for value in (3, np.float32(3), np.float64(3), np.int64(3)):
        assert fgi.surrogates.ATan(alpha=value) == three
        assert repr(fgi.surrogates.ATan(alpha=value)) == "ATan(alpha=3.0, scale=1.0)"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_documented(cls: type[fgi.Surrogate]) -> None:
    text = inspect.getdoc(cls) or ""
    equations = exact.equations(cls)
    assert "g'(x)" in equations
    assert ("g(x)" in equations) == (cls.antiderivative is not fgi.Surrogate.antiderivative)
    assert ("f(x)" in equations) == (cls.value is not fgi.Surrogate.value)
    assert {f"dy/d{name}" for name in cls.learnable} <= set(equations)
    assert "Source:" in text
    prose = text.replace("\n", " ")
    assert all(f"``{name}``" in prose for name, _ in cls._ranges)


def as_numpy(framework: str, spike: Any, f: Any, x: Any) -> Any:
    return frameworks.to_numpy(framework, f(spike, frameworks.to_framework(framework, x)))


@pytest.mark.parametrize("spike", catalogue.WITH_PRIMITIVE, ids=repr)
def test_the_primitive_is_the_integral_of_the_slope(spike: Any) -> None:
    """The two equations of the docstring: a difference quotient at 50 digits."""
    equation = exact.Exact(spike)
    rng = np.random.default_rng(1)
    h = mp.mpf(10) ** -20
    for x in [*rng.normal(0, 2, 40), *(rng.normal(0, 1, 20) / 50)]:
        x = mp.mpf(float(x))
        rise = (equation("g(x)", x + h) - equation("g(x)", x - h)) / (2 * h)
        assert mp.almosteq(rise, equation("g'(x)", x), rel_eps=1e-15, abs_eps=1e-18), x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("framework", INSTALLED)
def test_the_primitive_far_out(framework: str, dtype: str) -> None:
    """To the end of the dtype: its equation, infinite where that is too large, and never NaN."""
    eps, largest = float(np.finfo(dtype).eps), float(np.finfo(dtype).max)
    sizes = [1e6, 1e12, *(k * np.sqrt(largest) for k in (0.3, 1.1)), largest / 3, largest]
    x = np.array([sign * size for sign in (-1, 1) for size in sizes]).astype(dtype)
    for spike in catalogue.WITH_PRIMITIVE:
        with np.errstate(over="ignore", under="ignore"):
            got = as_numpy(framework, spike, type(spike).primitive, x).astype(np.float64)
        equation = exact.Exact(spike)
        for at, y in zip(x.astype(np.float64), got, strict=True):
            wanted = equation("g(x)", mp.mpf(float(at)))
            # A wave is between two numbers, and x no surer than many periods.
            slack = 2 if "period" in spike.parameters else 32 * eps * (1 + abs(wanted))
            if abs(wanted) <= largest * (1 - 32 * eps):
                assert abs(y - wanted) <= slack, (spike, at, y, float(wanted))
            else:
                assert y * mp.sign(wanted) >= largest * (1 - 32 * eps), (spike, at, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("framework", INSTALLED)
def test_the_primitive_is_its_equation(framework: str, dtype: str) -> None:
    eps = np.finfo(dtype).eps
    for spike in catalogue.WITH_PRIMITIVE:
        x = catalogue.sample(spike, dtype)
        got = as_numpy(framework, spike, type(spike).primitive, x)
        assert got.dtype == x.dtype
        equation = exact.Exact(spike)
        expected = np.array([float(equation("g(x)", mp.mpf(float(v)))) for v in x])
        # In eps of what is usual: some are differences. Or as a slope, where it grows.
        usual = 40 * eps * (np.median(np.abs(expected)) + 1e-30)
        exactly = exact.Slope(spike, x.dtype, "g(x)")
        for v, y, wanted in zip(x, got, expected, strict=True):
            near = abs(float(y) - wanted) <= usual or exactly.error(v, y, 2) <= 12
            assert near, (spike, v, y, wanted)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_gradient_of_the_primitive_is_the_slope(framework: str) -> None:
    for spike in catalogue.WITH_PRIMITIVE:
        x_ = catalogue.sample(spike)
        u_ = np.resize([2.0, -1.0, 3.0, 0.5, -0.25, 4.0], x_.shape)
        x, u = (frameworks.to_framework(framework, a) for a in (x_, u_))
        _, pullback = fgi.vjp(spike.primitive, x)
        (dx,) = pullback(u)
        expected = spike.derivative(x_) * u_
        atol = 1e-14 * np.max(np.abs(expected[np.abs(x_) < 1]))
        np.testing.assert_allclose(
            frameworks.to_numpy(framework, dx), expected, rtol=1e-11, atol=atol, err_msg=repr(spike)
        )
        # As a value it is smooth(): the primitive, with the derivatives that it has anyway.
        y, pullback = fgi.vjp(spike.smooth(), x)
        np.testing.assert_array_equal(
            frameworks.to_numpy(framework, y), as_numpy(framework, spike, type(spike).primitive, x_)
        )
        np.testing.assert_array_equal(
            frameworks.to_numpy(framework, pullback(u)[0]), frameworks.to_numpy(framework, dx)
        )


def test_bypass_of_the_primitive_has_its_derivative() -> None:
    """The paper's bypass example: tanh."""
    spike = fgi.surrogates.Sigmoid(alpha=2.0, scale=2.0)
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


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_slope_of_another_dtype_is_rounded_to_that_of_x(framework: str, compiled: bool) -> None:
    @fgi.surrogate
    def wide(x: Any) -> Any:
        xp = fgi.namespace(x)
        return xp.astype(x, xp.dtype("float64")) ** 2 / 3

    x_, u_ = np.array([-2.5, 0.7, 3.0], np.float32), np.array([2.0, -1.0, 0.5], np.float32)
    spike = fgi.compile(wide()) if compiled else wide()
    with frameworks.backend(framework).double_precision():
        x, u = (frameworks.to_framework(framework, a) for a in (x_, u_))
        y, pullback = fgi.vjp(spike, x)
        answers = [frameworks.to_numpy(framework, a) for a in (y, pullback(u)[0], wide()(x))]
    assert all(answer.dtype == np.float32 for answer in answers)
    np.testing.assert_array_equal(answers[0], x_ > 0)
    np.testing.assert_allclose(answers[1], u_ * (x_.astype(np.float64) ** 2 / 3), rtol=1e-6)


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
    others = catalogue.others(cls)
    x = catalogue.sample(cls())
    u = catalogue.key(cls(), x)
    np.testing.assert_array_equal(function(x, key=u, **others), cls(**others)(x, u))
    assert function.__doc__ == cls.__doc__
    assert pickle.loads(pickle.dumps(function)) is function
    if cls.random:
        return
    for framework in AUTODIFF:
        x_ = frameworks.to_framework(framework, x)
        for spike in (function, lambda x: function(x, *others.values())):
            _, dy = fgi.jvp(spike, (x_,), (3 * x_,))
            wanted = cls() if spike is function else cls(**others)
            np.testing.assert_allclose(
                frameworks.to_numpy(framework, dy),
                3 * x * wanted.derivative(x),
                rtol=1e-12,
                atol=1e-14 * np.max(np.abs(wanted.derivative(x))),
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
