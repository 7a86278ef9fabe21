"""Learned parameters: from the gradient's own derivative, and through the primitive.

What is expected: the docstrings' equations, differentiated by mpmath, and the chain rule by hand.
"""

from __future__ import annotations

import functools
import json
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from mpmath import mp, mpf

import fgi
from support import catalogue, exact, frameworks
from support.frameworks import to_framework, to_numpy
from support.modes import MODES, PAIRS

Numpy = np.ndarray[Any, Any]
Function = Callable[[Any], Any]

every_framework = pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
eager_and_compiled = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])

# None of them a kink of any surrogate, whichever of its parameters is changed.
X = np.array([[-1.3, -0.37, 0.21], [0.83, 2.7, -0.55]])
U = np.array([[2.0, -1.0, 3.0], [0.5, 4.0, -2.5]])

CLASSES = [cls for name, cls in catalogue.CLASSES.items() if name not in catalogue.RANDOM]
WITH_PRIMITIVE = [cls for cls in CLASSES if cls.antiderivative is not fgi.Surrogate.antiderivative]


def derivative(cls: Any, left: str, x: float, orders: dict[str, int], **parameters: float) -> float:
    """A partial derivative of the docstring's g'(x) or g(x), by ``x`` and by parameters."""
    return _derivative(cls, left, float(x), tuple(orders.items()), tuple(parameters.items()))


@functools.cache
def _derivative(cls: Any, left: str, x: float, by: Any, at: Any) -> float:
    orders, parameters = dict(by), {name: float(value) for name, value in at}
    equation = exact.Exact(cls(**parameters))
    names = list(orders)
    point = {"x": x, **parameters}

    def f(*values: Any) -> Any:
        named = dict(zip(names, values, strict=True))
        return equation.at_once(left, named.pop("x", mpf(x)), **named)

    with mp.workdps(60):
        start = tuple(mpf(point[name]) for name in names)
        return float(mp.diff(f, start, tuple(orders.values())))


def channels(cls: Any, name: str) -> Numpy:
    """A value of the parameter for each of three channels."""
    return np.array(catalogue.others(cls)[name] * np.array([1.013, 0.97, 0.9]))


@functools.cache
def by_parameter(cls: Any, name: str, left: str) -> Numpy:
    """The sum over rows of U times the derivative of g' or g by the channel's parameter."""
    values = channels(cls, name)
    rows = [
        [derivative(cls, left, x, {name: 1}, **{name: p}) for x, p in zip(row, values, strict=True)]
        for row in X
    ]
    return np.asarray((U * np.array(rows)).sum(axis=0))


def check(got: Any, wanted: Any, rtol: float = 1e-10) -> None:
    # Of a sum whose terms cancel, relative to the largest of them.
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-12 * np.max(np.abs(wanted)))


@every_framework
def test_the_derivative_of_the_gradient_by_every_parameter(framework: str) -> None:
    """d/dp of sum u g'(x; p): the whole catalogue, an array of parameters for its channels."""
    xp = frameworks.backend(framework)
    x, u = (to_framework(framework, a) for a in (X, U))
    for cls in CLASSES:
        for name in catalogue.numbers(cls):
            if name in cls.learnable:
                continue  # it has a derivative of its own

            def gradient(p: Any, cls: Any = cls, name: str = name) -> Any:
                return xp.sum(fgi.jvp(cls(**{name: p}), (x,), (u,))[1])

            p = to_framework(framework, channels(cls, name))
            got = to_numpy(framework, fgi.grad(gradient)(p))
            check(got, by_parameter(cls, name, "g'(x)"))


@every_framework
def test_through_the_primitive_by_every_parameter(framework: str) -> None:
    """d/dp of sum u y = sum u dg(x; p)/dp, the value being the step as ever."""
    xp = frameworks.backend(framework)
    x, u = (to_framework(framework, a) for a in (X, U))
    for cls in WITH_PRIMITIVE:
        for name in catalogue.numbers(cls):

            def total(p: Any, cls: Any = cls, name: str = name) -> Any:
                return xp.sum(u * cls(**{name: p}, through="primitive")(x))

            values = channels(cls, name)
            p = to_framework(framework, values)
            value, got = fgi.value_and_grad(total)(p)
            check(to_numpy(framework, got), by_parameter(cls, name, "g(x)"))
            with fgi.inference_mode():
                own = cls(**{name: p})(x)
            np.testing.assert_allclose(
                to_numpy(framework, value), (U * to_numpy(framework, own)).sum(), rtol=1e-14
            )


@every_framework
def test_a_value_has_no_derivative_of_its_own_by_a_parameter(framework: str) -> None:
    """Neither the slope's, nor one that f is made from."""
    xp = frameworks.backend(framework)
    x_ = np.array([0.6, 1.4, -0.8])
    x, u, p = (to_framework(framework, a) for a in (x_, np.array([2.0, -1, 3]), np.array(0.5)))
    makers: list[Callable[[Any], Any]] = [
        lambda p: fgi.surrogates.ATan(alpha=p),
        lambda p: fgi.surrogates.StraightThrough(forward=fgi.values.Round(step=p)),
        lambda p: fgi.surrogates.Gaussian(forward=lambda x: x * p),
        lambda p: fgi.surrogates.ATan(forward=fgi.values.Round(step=p), through="primitive"),
        lambda p: fgi.surrogates.StepPWL(forward=fgi.values.Round(step=p), threshold=1 + 0 * u[0]),
    ]
    for make in makers:
        got = fgi.grad(lambda p, make=make: xp.sum(u * make(p)(x)))(p)
        assert float(to_numpy(framework, got)) == 0


# A weight is updated once by the gradient through the spike, and the loss after it is asked how it
# would have changed with the surrogate:
#     L(w) = sum_i c_i s(w_i x_i) + w_i^2 / 2,   w' = w - r dL/dw,   M = sum_i e_i s(w'_i z_i)
# with y = s(.) a step of slope g', by hand:
#     dL/dw_i = c_i x_i g'(w_i x_i) + w_i
#     dM/dp   = sum_i e_i z_i g'(w'_i z_i) (-r c_i x_i dg'/dp(w_i x_i))
#     dM/dw_i = e_i z_i g'(w'_i z_i) (1 - r (c_i x_i^2 g''(w_i x_i) + 1))
W, C, E = np.array([0.7, -0.4, 1.1]), np.array([2.0, -1.0, 0.5]), np.array([-3.0, 4.0, 1.5])
XS, ZS, RATE = np.array([0.9, 1.3, -0.6]), np.array([1.4, -0.5, 0.8]), 0.3


def after_an_update(make: Callable[..., Any], order: int) -> Callable[..., Any]:
    def meta_loss(p: Any, w: Any, c: Any, e: Any, x: Any, z: Any) -> Any:
        xp = fgi.namespace(w)
        spike = make(p, order=order)

        def loss(w: Any) -> Any:
            return xp.sum(c * spike(w * x) + w * w / 2)

        return xp.sum(e * spike((w - RATE * fgi.grad(loss)(w)) * z))

    return meta_loss


def by_hand(cls: Any, name: str, p: Numpy) -> tuple[Numpy, Numpy]:
    """dM/dp for each weight, to be added up where they share p, and dM/dw."""

    def at(a: Numpy, orders: dict[str, int]) -> Numpy:
        pairs = zip(a, np.broadcast_to(p, a.shape), strict=True)
        return np.array([derivative(cls, "g'(x)", v, orders, **{name: q}) for v, q in pairs])

    w = W - RATE * (C * XS * at(W * XS, {"x": 0}) + W)
    outer = E * ZS * at(w * ZS, {"x": 0})
    by_p = outer * -RATE * C * XS * at(W * XS, {name: 1})
    by_w = outer * (1 - RATE * (C * XS**2 * at(W * XS, {"x": 1}) + 1))
    return by_p, by_w


LEARNED = [
    pytest.param(fgi.surrogates.ATan, "alpha", np.array(2.5), id="ATan"),
    pytest.param(fgi.surrogates.Gaussian, "sigma", np.array([0.4, 0.7, 1.2]), id="Gaussian"),
    pytest.param(fgi.surrogates.Gaussian, "mu", np.array(0.15), id="Gaussian, mu"),
    pytest.param(fgi.surrogates.FastSigmoid, "alpha", np.array([3.0, 1.0, 2]), id="FastSigmoid"),
]


@pytest.mark.parametrize(("cls", "name", "p"), LEARNED)
@eager_and_compiled
@every_framework
def test_a_loss_after_an_update_step(
    framework: str, compiled: bool, cls: Any, name: str, p: Numpy
) -> None:
    """Stewart and Neftci 2022 (arXiv:2201.10777): the surrogate is learned by what it teaches."""
    p_, w, *data = (to_framework(framework, a) for a in (p, W, C, E, XS, ZS))

    def make(p: Any, order: int) -> Any:
        return cls(**{name: p}, order=order)

    def gradients(p: Any, w: Any, *data: Any) -> Any:
        first, second = (after_an_update(make, order) for order in (1, 2))
        return fgi.grad(first)(p, w, *data), fgi.grad(second, argnums=1)(p, w, *data)

    run = fgi.compile(gradients) if compiled else gradients
    by_p, by_w = by_hand(cls, name, p)
    got_p, got_w = (to_numpy(framework, g) for g in run(p_, w, *data))
    check(got_p, by_p if p.shape else by_p.sum())
    check(got_w, by_w)


@pytest.mark.parametrize(("cls", "name", "p"), LEARNED)
@eager_and_compiled
@every_framework
def test_through_the_primitive(
    framework: str, compiled: bool, cls: Any, name: str, p: Numpy
) -> None:
    """Value, gradient by x, gradient by p, and the mixed second derivative, compiled too."""

    def everything(x: Any, p: Any, u: Any) -> Any:
        def f(x: Any, p: Any) -> Any:
            return cls(**{name: p}, through="primitive")(x)

        def slope(p: Any) -> Any:
            return fgi.namespace(x).sum(fgi.vjp(lambda x: f(x, p), x)[1](u)[0])

        y, pullback = fgi.vjp(f, x, p)
        return y, pullback(u), fgi.grad(slope)(p)

    x_ = W * XS * 1.5
    x, p_, u = (to_framework(framework, a) for a in (x_, p, C))
    run = fgi.compile(everything) if compiled else everything
    y, (dx, dp), mixed = run(x, p_, u)

    def wanted(left: str, orders: dict[str, int]) -> Numpy:
        pairs = zip(x_, np.broadcast_to(p, x_.shape), strict=True)
        return C * np.array([derivative(cls, left, v, orders, **{name: q}) for v, q in pairs])

    def over(a: Numpy) -> Any:
        return a if p.shape else a.sum()

    np.testing.assert_array_equal(to_numpy(framework, y), x_ > 0)
    check(to_numpy(framework, dx), wanted("g(x)", {"x": 1}))
    check(to_numpy(framework, dp), over(wanted("g(x)", {name: 1})))
    check(to_numpy(framework, mixed), over(wanted("g'(x)", {name: 1})))


@every_framework
def test_both_meanings_by_hand(framework: str) -> None:
    """Sigmoid: g = s(a x), dg/da = x s (1 - s); the other meaning is d/da of a s (1 - s)."""
    a_, x_, u_ = 2.5, np.array([-0.8, 0.3, 1.1]), np.array([2.0, -3.0, 0.5])
    s = 1 / (1 + np.exp(-a_ * x_))
    xp = frameworks.backend(framework)
    a, x, u = (to_framework(framework, v) for v in (np.array(a_), x_, u_))

    def value(a: Any) -> Any:
        return xp.sum(u * fgi.surrogates.Sigmoid(alpha=a, through="primitive")(x))

    def gradient(a: Any) -> Any:
        return xp.sum(fgi.vjp(fgi.surrogates.Sigmoid(alpha=a), x)[1](u)[0])

    check(to_numpy(framework, fgi.grad(value)(a)), np.sum(u_ * x_ * s * (1 - s)), rtol=1e-13)
    by_a = s * (1 - s) * (1 + a_ * x_ * (1 - 2 * s))
    check(to_numpy(framework, fgi.grad(gradient)(a)), np.sum(u_ * by_a), rtol=1e-13)


@every_framework
def test_through_the_primitive_every_order_is_there(framework: str) -> None:
    """Derivatives 1 to 3 of all that has a primitive, whatever ``order`` is."""
    x_ = np.concatenate([X, X / 100], axis=None)
    points = to_framework(framework, x_)

    def reverse(f: Function) -> Function:
        return lambda x: fgi.vjp(f, x)[1](fgi.namespace(x).ones_like(x))[0]

    for cls in WITH_PRIMITIVE:
        f = cls(through="primitive")
        for k in (1, 2, 3):
            f = reverse(f)
            wanted = [derivative(cls, "g'(x)", x, {"x": k - 1}) for x in x_]
            check(to_numpy(framework, f(points)), wanted)


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@every_framework
def test_the_value_is_that_of_f_and_infinities_have_no_derivative(
    framework: str, dtype: str
) -> None:
    row = exact.grid(frameworks.numpy_dtype(dtype))
    size = np.abs(row.astype(np.float64))
    row = row[(size == 0) | ~(size < exact.smallest_normal(row.dtype))]  # some read those as zero
    size = np.abs(row.astype(np.float64))
    x = to_framework(framework, row)
    u = to_framework(framework, np.full_like(row, 0.5))
    for cls in WITH_PRIMITIVE:
        y, pullback = fgi.vjp(cls(through="primitive"), x)
        with fgi.inference_mode():
            own = cls()(x)
        got, wanted = (to_numpy(framework, a) for a in (y, own))
        assert got.dtype == row.dtype
        np.testing.assert_array_equal(got.astype(np.float64), wanted.astype(np.float64))
        dx = to_numpy(framework, pullback(u)[0]).astype(np.float64)
        assert not dx[~np.isfinite(size)].any(), cls
        # Elsewhere that of the slope, if the primitive is not about to overflow.
        near = size < 100
        slope = cls().derivative(row[near].astype(np.float64)) / 2
        error, eps = np.abs(dx[near] - slope), float(ml_dtypes.finfo(row.dtype).eps)
        assert np.all((error <= 16 * eps * (1 + np.abs(slope))) | (np.abs(slope) > 100)), cls


@every_framework
def test_what_is_not_finite_does_not_reach_a_parameter(framework: str) -> None:
    xp = frameworks.backend(framework)
    x_ = np.array([np.inf, -np.inf, np.nan, 0.5])
    for cls in WITH_PRIMITIVE[::4]:
        for name in catalogue.numbers(cls):

            def total(x: Any, p: Any, cls: Any = cls, name: str = name) -> Any:
                return xp.sum(cls(**{name: p}, through="primitive")(x))

            p = to_framework(framework, np.array(catalogue.others(cls)[name]))
            whole, part = (
                to_numpy(framework, fgi.grad(total, argnums=1)(to_framework(framework, x), p))
                for x in (x_, x_[3:])
            )
            np.testing.assert_allclose(whole, part, rtol=1e-15)


@pytest.mark.parametrize(("framework", "mode"), PAIRS)
def test_through_the_primitive_in_every_mode(framework: str, mode: str) -> None:
    spikes = [catalogue.CLASSES[n](through="primitive") for n in ("ATan", "Gaussian", "Triangle")]

    def bank(x: Any) -> Any:
        return fgi.namespace(x).stack([spike(x[i]) for i, spike in enumerate(spikes)])

    x, u = np.stack([X[0], X[1], -X[0]]), np.stack([U[0], U[1], -3 * U[0]])
    y, dx = MODES[framework][mode].run(bank, *(to_framework(framework, a) for a in (x, u)))
    np.testing.assert_array_equal(to_numpy(framework, y), x > 0)
    slopes = [[derivative(type(s), "g'(x)", v, {"x": 0}) for v in row]
              for s, row in zip(spikes, x, strict=True)]  # fmt: skip
    check(to_numpy(framework, dx), u * np.array(slopes), rtol=1e-12)


@every_framework
def test_smooth_is_differentiable_in_everything(framework: str) -> None:
    """y = g(x; p): value, gradient by p, second derivative by x."""
    a_, x_, u_ = 2.5, np.array([-0.8, 0.3, 1.1]), np.array([2.0, -3.0, 0.5])
    s = 1 / (1 + np.exp(-a_ * x_))
    xp = frameworks.backend(framework)
    a, x, u = (to_framework(framework, v) for v in (np.array(a_), x_, u_))

    def total(a: Any, x: Any) -> Any:
        return xp.sum(u * fgi.surrogates.Sigmoid(alpha=a).smooth()(x))

    value, by_a = fgi.value_and_grad(total)(a, x)
    check(to_numpy(framework, value), np.sum(u_ * s), rtol=1e-14)
    check(to_numpy(framework, by_a), np.sum(u_ * x_ * s * (1 - s)), rtol=1e-13)
    second = fgi.grad(lambda x: xp.sum(fgi.grad(total, argnums=1)(a, x)))(x)
    check(to_numpy(framework, second), u_ * a_**2 * s * (1 - s) * (1 - 2 * s), rtol=1e-12)


def test_it_is_a_parameter_like_the_others() -> None:
    spike = fgi.surrogates.ATan(alpha=3.0, through="primitive")
    assert spike != fgi.surrogates.ATan(alpha=3.0)
    assert repr(spike) == "ATan(alpha=3.0, scale=1.0, through='primitive')"
    for other in (
        pickle.loads(pickle.dumps(spike)),
        fgi.from_config(json.loads(json.dumps(spike.to_config()))),
        fgi.surrogates.ATan(alpha=3.0).replace(through="primitive"),
    ):
        assert other == spike
        assert hash(other) == hash(spike)
    assert "through" not in fgi.surrogates.ATan().to_config()


def test_what_it_may_be() -> None:
    with pytest.raises(ValueError, match=r"ATan: through is 'slop'; expected one of slope, prim"):
        fgi.surrogates.ATan(through="slop")
    with pytest.raises(TypeError, match=r"ATan: through is None; expected one of slope, primitive"):
        fgi.surrogates.ATan(through=None)  # type: ignore[arg-type]


@every_framework
def test_a_primitive_that_is_not_known(framework: str) -> None:
    @fgi.surrogate
    def hat(x: Any, width: Any = 1.0) -> Any:
        return fgi.namespace(x).maximum(1 - abs(x) / width, 0 * x)

    with pytest.raises(TypeError, match=r"hat has no primitive in closed form; expected a surr"):
        hat(through="primitive")(to_framework(framework, X))
