"""Derivatives beyond the first: ``order=k`` has k of them, those of the primitive."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import fgi
from fgi.injection.quadrature import nodes
from support import catalogue, exact, frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
# None of them a kink of any surrogate at its defaults.
X = np.array([-1.3, -0.37, 0.21, 0.83, 2.7])
ALL = tuple(catalogue.DEFAULTS)
SOME = ALL[::8]
ONE = (catalogue.CLASSES["Gaussian"](),)

Function = Callable[[Any], Any]


def reverse(f: Function) -> Function:
    """The derivative of an element-wise function, in reverse mode."""

    def derivative(x: Any) -> Any:
        y, pullback = fgi.vjp(f, x)
        return pullback(fgi.namespace(y).ones_like(y))[0]

    return derivative


def forward(f: Function) -> Function:
    """The same in forward mode."""
    return lambda x: fgi.jvp(f, (x,), (fgi.namespace(x).ones_like(x),))[1]


WAYS: dict[str, Callable[[int], list[Callable[[Function], Function]]]] = {
    "reverse over reverse": lambda k: [reverse] * k,
    "forward over reverse": lambda k: [reverse, *[forward] * (k - 1)],
    "forward over forward": lambda k: [forward] * k,
}


def bank(spikes: Any) -> Function:
    """Row i of x through surrogate i."""
    return lambda x: fgi.namespace(x).stack([spike(x[i]) for i, spike in enumerate(spikes)])


@cache
def expected(spike: Any, k: int) -> list[float]:
    """The k-th derivative of the primitive: the slope's equation, differentiated in 60 digits."""
    equation = exact.Exact(spike)

    def slope(t: Any) -> Any:
        return equation.at_once("g'(x)", t)

    with mp.workdps(60):
        return [float(mp.diff(slope, mpf(x), k - 1)) for x in X]


def derivative(
    framework: str, way: str, k: int, spikes: Any, compiled: bool = False
) -> np.ndarray[Any, Any]:
    f = bank(spikes)
    x = frameworks.to_framework(framework, np.stack([X] * len(spikes)))
    for d in WAYS[way](k):
        f = d(f)
    if compiled:
        long = framework == "torch" and len(spikes) == len(ALL)
        f = (in_less_than_an_hour if long else fgi.compile)(f)
    return frameworks.to_numpy(framework, f(x))


def in_less_than_an_hour(f: Function) -> Function:
    """As torch.compile traces and differentiates it, without the C++ that inductor would write."""
    import torch

    torch.compiler.reset()
    compiled: Function = torch.compile(f, fullgraph=True, backend="aot_eager")
    return compiled


DEEPEST_COMPILED = {("torch", "forward over reverse"): 2, ("torch", "forward over forward"): 1}
"""What PyTorch's compiler itself fails at; test_limits.py shows it without fgi."""


BANKS = {"all": ALL, "some": SOME, "one": ONE}


def cases(short: dict[str, int], long: dict[str, tuple[int, ...]]) -> Any:
    """Which surrogates up to which order, in each framework and way; what is long for the sweep."""
    asked = [(name, order, False) for name, order in short.items()]
    asked += [(name, order, True) for name, orders in long.items() for order in orders]
    found = []
    for framework in AUTODIFF:
        for way in WAYS:
            for name, order, slow in asked:
                # A forward mode inside another is two tapes there, and of all half an hour.
                deep = framework == "tensorflow" and "forward" in way and order == 6
                spikes = SOME if deep and name == "all" else BANKS[name]
                marks = [pytest.mark.sweep] if slow or deep else []
                label = f"{framework}-{way}-{name}, order {order}"
                found.append(pytest.param(framework, way, spikes, order, id=label, marks=marks))
    return pytest.mark.parametrize(("framework", "way", "spikes", "order"), found)


@cases({"all": 2, "some": 4, "one": 6}, {"all": (4, 6)})
def test_derivatives_up_to_the_order_are_exact(
    framework: str, way: str, spikes: tuple[Any, ...], order: int
) -> None:
    exact_up_to_the_order(framework, way, spikes, order)


@cases({"some": 2, "one": 4}, {"all": (2, 4, 6)})
def test_compiled_they_are_exact_too(
    framework: str, way: str, spikes: tuple[Any, ...], order: int
) -> None:
    exact_up_to_the_order(framework, way, spikes, order, compiled=True)


def exact_up_to_the_order(
    framework: str, way: str, spikes: tuple[Any, ...], order: int, compiled: bool = False
) -> None:
    asked = [spike.replace(order=order) for spike in spikes]
    deepest = DEEPEST_COMPILED.get((framework, way), order) if compiled else order
    for k in range(1, 1 + min(order, deepest)):
        got = derivative(framework, way, k, asked, compiled)
        wanted = np.array([expected(spike, k) for spike in spikes])
        # Of a derivative that vanishes, relative to how large it is elsewhere.
        scale = np.abs(wanted) + 1e-4 * np.abs(wanted).max(axis=1, keepdims=True)
        wrong = ~(np.abs(got - wanted) <= 1e-10 * scale)
        assert not wrong.any(), [
            (k, spikes[i], X[j], got[i, j], wanted[i, j]) for i, j in np.argwhere(wrong)
        ]


def far_out(dtype: str) -> np.ndarray[Any, Any]:
    """To the end of the dtype, past where squares overflow."""
    largest = float(np.finfo(dtype).max)
    sizes = [1e6, 1e12, *(k * np.sqrt(largest) for k in (0.3, 0.9, 1.1, 3)), largest / 3, largest]
    return np.array([-1.0, 1.0])[:, None].dot(np.array(sizes)[None]).ravel().astype(dtype)


def scaled(cls: type[Any], factor: float) -> Any:
    """The surrogate with each parameter > 0 so many times its default."""
    return cls(**{n: factor * getattr(cls(), n) for n, r in cls._ranges if r == "positive"})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_at_order_2_too_the_largest_x_has_its_slope(framework: str, way: str, dtype: str) -> None:
    """Where the slope's own derivative is made of squares that overflow, 0 * inf is NaN."""
    spikes = [scaled(type(spike), factor) for spike in ALL for factor in (1.0, 0.6, 3.0)]
    row = far_out(dtype)
    if framework == "tensorflow" and "forward" in way:
        # Its forward mode differentiates by constants too, and x / w**2 overflows before x does.
        row = row[np.abs(row) < 1e3 * np.sqrt(np.finfo(dtype).max)]
    x = frameworks.to_framework(framework, np.stack([row] * len(spikes)))

    def derivatives(order: int, k: int) -> np.ndarray[Any, Any]:
        f = bank([spike.replace(order=order) for spike in spikes])
        for d in WAYS[way](k):
            f = d(f)
        return frameworks.to_numpy(framework, f(x))

    first = derivatives(2, 1)
    differs = (first != derivatives(1, 1)) | np.isnan(first)
    # Of so large an x the phase is not known, and a compiler may round x - n threshold once.
    waves = [spike.name in ("periodic_exponential", "sawtooth_exponential") for spike in spikes]
    differs[waves] = np.isnan(first[waves])
    assert not differs.any(), [(spikes[i], row[j], first[i, j]) for i, j in np.argwhere(differs)]
    second = derivatives(2, 2)
    assert not np.isnan(second).any(), [
        (spikes[i], row[j]) for i, j in np.argwhere(second != second)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_wave_has_its_derivatives_where_it_is_folded(
    framework: str, way: str, dtype: str
) -> None:
    """At each quarter of a period, beside it, and at tiny x, where a quotient would be 0 / 0."""
    make = catalogue.CLASSES["SquarewaveFourierSeries"]
    beside = np.array([0, 1e-30, -1e-6, 1e-3, -0.1])
    x_ = np.concatenate([k * 2.0 + beside for k in range(-2, 4)]).astype(dtype)
    x = frameworks.to_framework(framework, x_)
    for n in (2, 3):
        f: Function = make(n=n, period=8.0, order=2)
        odd = [mpf(2 * i - 1) for i in range(1, n + 1)]
        for k, d in enumerate(WAYS[way](2)):
            f = d(f)
            terms = [mp.pi / 4 * i for i in odd]
            wanted = [
                float(sum(mp.cos(w * mpf(float(v)) + k * mp.pi / 2) * w**k for w in terms) / 2)
                for v in x_
            ]
            got = frameworks.to_numpy(framework, f(x)).astype(np.float64)
            top = np.abs(wanted).max()
            np.testing.assert_allclose(
                got, wanted, rtol=0, atol=(64 * n) ** k * 64 * np.finfo(dtype).eps * top
            )


@pytest.mark.parametrize("framework", AUTODIFF)
def test_forward_over_forward_where_an_intermediate_result_is_used_twice(framework: str) -> None:
    """Where TensorFlow's own accumulators are wrong; test_composition.py shows them."""

    def f(x: Any) -> Any:
        m = 2 * x
        u = 1 + m
        return m * (u * u)

    got = forward(forward(f))(frameworks.to_framework(framework, X))
    np.testing.assert_allclose(frameworks.to_numpy(framework, got), 16 + 48 * X, rtol=1e-13)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_an_odd_order_has_the_next_even_rule(framework: str) -> None:
    x = frameworks.to_framework(framework, X)
    third, fourth = (fgi.surrogates.Gaussian(order=k) for k in (3, 4))
    for f in (lambda s: reverse(s), lambda s: reverse(reverse(reverse(reverse(s))))):
        np.testing.assert_array_equal(
            frameworks.to_numpy(framework, f(third)(x)),
            frameworks.to_numpy(framework, f(fourth)(x)),
        )


@pytest.mark.parametrize("framework", AUTODIFF)
def test_beyond_the_order_the_derivatives_are_not_those_of_the_primitive(framework: str) -> None:
    """The third at order 2: 3/4 of it, as g'(x0 + d/2) d has d^3 g''' / 8 for d^3 g''' / 6."""
    x = frameworks.to_framework(framework, X)
    spike = fgi.surrogates.Gaussian(order=2)
    got = frameworks.to_numpy(framework, reverse(reverse(reverse(spike)))(x))
    third = (X**2 - 1) * np.exp(-(X**2) / 2)
    np.testing.assert_allclose(got, 0.75 * third, rtol=1e-12)


def tape(framework: str, f: Function, x: Any) -> tuple[Any, Any]:
    """First and second derivative as the framework's tape says it."""
    if framework == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = f(x)
            dx = inner.gradient(y, x)
        return dx, outer.gradient(dx, x)
    import torch

    x = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return dx.detach(), torch.autograd.grad(dx.sum(), x)[0]


FIRST_ORDER: dict[str, Function] = {
    "surrogate": fgi.surrogates.Gaussian(),
    "value that is a function": fgi.surrogates.Gaussian(forward=fgi.round),
    "surrogate with a constant slope": fgi.surrogates.StraightThrough(),
    "the same at a higher order": fgi.surrogates.StraightThrough(order=4),
    "inject": lambda x: fgi.inject(x, fgi.heaviside(x), 1 / (1 + x * x)),
    "inject, slope a number": lambda x: fgi.inject(x, fgi.heaviside(x), -2.0),
    "inject, slope a function": lambda x: fgi.inject(x, fgi.heaviside(x), lambda x: x * x),
    "custom_jvp": fgi.custom_jvp(fgi.heaviside, lambda p, t: p[0] * t[0]),
    "bypass of what is linear": lambda x: fgi.bypass(fgi.heaviside(x), 3 * x),
    "tangent": lambda x: 3 * fgi.tangent(x),
}


@pytest.mark.parametrize("way", FIRST_ORDER)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_where_no_order_was_asked_for_the_second_derivative_is_zero(
    framework: str, way: str
) -> None:
    f = FIRST_ORDER[way]
    x = frameworks.to_framework(framework, np.array([-0.5, 0.25, np.inf, np.nan, 0.0]))
    zeros = [0.0] * 5
    for second in (reverse(reverse(f)), forward(reverse(f)), forward(forward(f))):
        assert frameworks.to_numpy(framework, second(x)).tolist() == zeros
    if framework != "jax":  # which has no tape
        dx, ddx = tape(framework, f, x)
        first = frameworks.to_numpy(framework, dx)
        np.testing.assert_array_equal(first, frameworks.to_numpy(framework, reverse(f)(x)))
        assert frameworks.to_numpy(framework, ddx).tolist() == zeros


@pytest.mark.skipif("torch" not in frameworks.INSTALLED, reason="torch is not installed")
def test_the_second_derivative_of_a_script_is_zero() -> None:
    import torch

    from fgi_backends.torch import bypass, inject

    @torch.jit.script
    def f(x: torch.Tensor) -> torch.Tensor:
        return inject(x, (x > 0).to(x.dtype), torch.exp(-x * x)) + bypass(torch.round(x), 3 * x)

    dx, ddx = tape("torch", f, torch.tensor(X))
    np.testing.assert_allclose(dx.numpy(), np.exp(-X * X) + 3, rtol=1e-14)
    assert ddx.tolist() == [0.0] * len(X)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_derivative_of_a_function_of_the_gradient_at_order_1(framework: str) -> None:
    """d(x g'(x0))/dx = g'(x0), without the x g'' that a true derivative would add."""
    spike = fgi.surrogates.Gaussian()
    x = frameworks.to_framework(framework, X)
    xp = fgi.namespace(x)

    def slopes(x: Any) -> Any:
        return xp.sum(x * fgi.grad(lambda x: xp.sum(spike(x)))(x))

    got = frameworks.to_numpy(framework, fgi.grad(slopes)(x))
    np.testing.assert_allclose(got, np.exp(-(X**2) / 2), rtol=1e-14)


@pytest.mark.parametrize("order", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_value_is_exact_at_every_order(framework: str, order: int) -> None:
    row = exact.grid(np.dtype("float32"))
    x = frameworks.to_framework(framework, np.stack([row] * len(ALL)))
    first, more = (
        frameworks.to_numpy(framework, bank([s.replace(order=k) for s in ALL])(x))
        for k in (1, order)
    )
    np.testing.assert_array_equal(more, first)


@pytest.mark.parametrize("order", [2, 6])
@pytest.mark.parametrize("framework", AUTODIFF)
def test_compiled_the_value_is_exact_too(framework: str, order: int) -> None:
    # Some read subnormal numbers as 0, as their own x > 0 does.
    row = exact.grid(np.dtype("float32"))
    row = row[~(np.abs(row) < exact.smallest_normal(row.dtype)) | (row == 0)]
    x = frameworks.to_framework(framework, np.stack([row] * len(SOME)))
    first = frameworks.to_numpy(framework, bank(SOME)(x))
    compiled = fgi.compile(bank([s.replace(order=order) for s in SOME]))
    np.testing.assert_array_equal(frameworks.to_numpy(framework, compiled(x)), first)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_bypass_of_the_primitive_has_the_same(framework: str) -> None:
    spike = fgi.surrogates.Sigmoid(order=4)

    def through(x: Any) -> Any:
        return fgi.bypass(fgi.heaviside(x), spike.primitive(x))

    x = frameworks.to_framework(framework, X)
    for way in WAYS.values():
        f, g = spike, through
        for d in way(3):
            f, g = d(f), d(g)
        np.testing.assert_allclose(
            frameworks.to_numpy(framework, f(x)), frameworks.to_numpy(framework, g(x)), rtol=1e-9
        )


@pytest.mark.parametrize("framework", AUTODIFF)
def test_inject_takes_the_slope_as_a_function(framework: str) -> None:
    def slope(x: Any) -> Any:
        return 1 / (1 + x * x)

    def f(order: int) -> Function:
        return lambda x: fgi.inject(x, fgi.heaviside(x), slope, order=order)

    x_ = np.concatenate([X, [np.inf, -np.inf, np.nan]])
    x = frameworks.to_framework(framework, x_)
    assert frameworks.to_numpy(framework, f(2)(x)).tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    once = 1 / (1 + X * X)
    for order in (1, 2, 5):
        got = frameworks.to_numpy(framework, reverse(f(order))(x))
        np.testing.assert_allclose(got, [*once, 0, 0, 0], rtol=1e-14)
    got = frameworks.to_numpy(framework, forward(reverse(f(2)))(x))
    np.testing.assert_allclose(got, [*(-2 * X * once**2), 0, 0, 0], rtol=1e-13)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_compiled(framework: str) -> None:
    """A Hessian-vector product: u g'' v."""
    spikes = [catalogue.CLASSES[name](order=2) for name in ("Gaussian", "ATan", "Exponential")]

    def total(x: Any) -> Any:
        return sum(fgi.namespace(x).sum(spike(x)) for spike in spikes)

    def product(x: Any, v: Any) -> Any:
        return fgi.jvp(fgi.grad(total), (x,), (v,))[1]

    x, v = (frameworks.to_framework(framework, a) for a in (X, np.array([2.0, -1, 3, 0.5, 4])))
    eager = frameworks.to_numpy(framework, product(x, v))
    if framework != "tensorflow":  # its forward mode inlines what is compiled
        product = fgi.compile(product)
    got = frameworks.to_numpy(framework, product(x, v))
    second = np.sum([expected(spike.replace(order=1), 2) for spike in spikes], axis=0)
    np.testing.assert_allclose(eager, second * [2, -1, 3, 0.5, 4], rtol=1e-12)
    np.testing.assert_allclose(got, eager, rtol=1e-12)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_learned_parameter_has_second_derivatives_too(framework: str) -> None:
    """y = f(x / t): through the line between, d^2 y / dx dt of the rule that is a gradient."""
    spike_of = fgi.surrogates.StepPWL
    x = frameworks.to_framework(framework, np.array([0.7, 1.6, 2.2]))
    xp = fgi.namespace(x)

    def slope(t: Any) -> Any:
        spike = spike_of(threshold=t, order=2)
        return xp.sum(fgi.vjp(spike, x)[1](xp.ones_like(x))[0])

    t = frameworks.to_framework(framework, np.array(1.25))
    # d(1 / t) / dt, for the two of x that are at or above t - 1/2.
    got = float(frameworks.to_numpy(framework, fgi.grad(slope)(t)))
    np.testing.assert_allclose(got, -2 / 1.25**2, rtol=1e-12)


def test_nodes_are_those_of_gauss_and_legendre() -> None:
    assert nodes(1) == ((0.0, 1.0),)
    assert nodes(2) == ((0.5, 1.0),)
    for n in range(1, 12):
        roots, weights = np.polynomial.legendre.leggauss(n)
        for order in (2 * n, 2 * n - 1)[: 2 if n > 1 else 1]:
            s, w = np.array(nodes(order)).T
            np.testing.assert_allclose(s, (1 + roots) / 2, rtol=1e-14)
            np.testing.assert_allclose(w, weights / 2, rtol=1e-13)


def test_an_order_is_an_integer_from_1() -> None:
    for wrong in (0, -2):
        with pytest.raises(ValueError, match=rf"ATan: order is {wrong}; expected an integer >= 1"):
            fgi.surrogates.ATan(order=wrong)
    for bad in (2.0, "2", True, None):
        with pytest.raises(TypeError, match=r"ATan: order is .*; expected an integer >= 1"):
            fgi.surrogates.ATan(order=bad)  # type: ignore[arg-type]
    x = np.array([1.0])
    with pytest.raises(ValueError, match=r"fgi.inject: order is 0; expected an integer >= 1"):
        fgi.inject(x, x, lambda x: x, order=0)
    with pytest.raises(TypeError, match=r"order is 2 and gdx is a float64 array .*as a"):
        fgi.inject(x, x, x, order=2)
    assert fgi.from_config(fgi.surrogates.ATan(order=3).to_config()).order == 3
    assert fgi.surrogates.ATan(order=3) != fgi.surrogates.ATan()
    assert repr(fgi.surrogates.ATan()) == "ATan(alpha=2.0, scale=1.0)"
