"""A result has no history and no memory in common with an argument where gradients are off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import functional as F, surrogates as S
from support import frameworks

X = np.array([[-1.0, 0.25, 2.0], [0.5, -3.0, 1.0]])
CODES = np.array([[1.0, 0.0, 0.5], [0.25, -2.0, 4.0]])

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "gradient reversal": lambda x, c: S.GradientReversal()(x),
    "gradient scale": lambda x, c: S.GradientScale()(x),
    "straight through, identity": lambda x, c: S.StraightThrough(forward=fgi.identity)(x),
    "atan, identity": lambda x, c: S.ATan(forward=fgi.identity)(x),
    "atan, a function": lambda x, c: S.ATan(forward=lambda x: x)(x),
    "clip without bounds": lambda x, c: S.ATan(
        forward=fgi.values.Clip(-float("inf"), float("inf"))
    )(x),
    "inject": lambda x, c: fgi.inject(x, c, 2.0),
    "inject itself": lambda x, c: fgi.inject(x, x, 2.0),
    "bypass": lambda x, c: fgi.bypass(c, x),
    "custom_jvp": lambda x, c: fgi.custom_jvp(lambda x: x, lambda p, t: t[0])(x),
    "set_gradients": lambda x, c: fgi.set_gradients(x[0, 0], x, c),
    "vector_quantize": lambda x, c: F.vector_quantize(x, c),
    "replace_value": lambda x, c: F.replace_value(x, c),
    "rotation_trick": lambda x, c: F.rotation_trick(x, c),
    "diveq": lambda x, c: F.diveq(x, c),
    "mask_score": lambda x, c: F.mask_score(x, c),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_torch_without_gradients(name: str, compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    f = FUNCTIONS[name]
    if compiled:
        f = torch.compile(f, backend="aot_eager")
    x, c = (torch.tensor(a, requires_grad=True) for a in (X, CODES))
    for off in (torch.no_grad, fgi.inference_mode):
        if compiled and off is fgi.inference_mode:
            continue  # it does not reach compiled code
        with off():
            y = f(x, c)
        assert not y.requires_grad
        assert y is not x
        (2 * y * torch.ones_like(y, requires_grad=True)).sum().backward()
        assert x.grad is None
        assert c.grad is None
        with torch.no_grad():
            before = x.clone(), c.clone()
            y.mul_(5)
            assert torch.equal(x, before[0])
            assert torch.equal(c, before[1])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_torch_with_gradients(name: str) -> None:
    """Nor does writing into a result show in an argument where gradients are on."""
    torch = pytest.importorskip("torch")
    for enabled in (True, False):
        with fgi.use_fast_paths(enabled):
            x, c = (torch.tensor(a, requires_grad=True) for a in (X, CODES))
            y = FUNCTIONS[name](x, c)
            y.detach().mul_(5)
            assert torch.equal(x, torch.tensor(X))
            assert torch.equal(c, torch.tensor(CODES))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy(name: str) -> None:
    x, c = X.copy(), CODES.copy()
    y = FUNCTIONS[name](x, c)
    y *= 5
    assert (x == X).all()
    assert (c == CODES).all()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.skipif("tensorflow" not in frameworks.INSTALLED, reason="tensorflow is not installed")
def test_tensorflow_where_recording_stops(name: str) -> None:
    tf = frameworks.load("tensorflow")
    x, c = tf.constant(X), tf.constant(CODES)
    for off in ("stop_recording", "inference_mode"):
        with tf.GradientTape() as tape:
            tape.watch([x, c])
            with tape.stop_recording() if off == "stop_recording" else fgi.inference_mode():
                y = FUNCTIONS[name](x, c)
            z = 2 * y
        assert tape.gradient(z, [x, c]) == [None, None]


INPLACE: dict[str, Callable[[Any], Any]] = {
    "slope": lambda x: _in_place_slope()(x),
    "derivative": lambda x: _in_place_slope().derivative(x),
    "forward": lambda x: S.ATan(forward=lambda x: x.mul_(3))(x),
    "inject": lambda x: fgi.inject(x, fgi.heaviside(x), lambda x: x.abs_().neg_().exp_()),
    "custom_jvp": lambda x: fgi.custom_jvp(lambda x: x.mul_(3), lambda p, t: p[0].exp_() * t[0])(x),
}


def _in_place_slope() -> fgi.Surrogate:
    @fgi.surrogate
    def tail(x: Any) -> Any:
        return x.abs_().neg_().exp_()

    return tail()


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "expansion"])
@pytest.mark.parametrize("name", INPLACE)
def test_what_works_in_place_works_on_a_copy(name: str, fast: bool) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    u = torch.tensor(CODES)
    with fgi.use_fast_paths(fast):
        y = INPLACE[name](x)
        y.backward(u)
        assert torch.equal(x, torch.tensor(X))
        if name in ("slope", "inject"):
            np.testing.assert_allclose(x.grad.numpy(), CODES * np.exp(-abs(X)), rtol=1e-14)
        with torch.no_grad():
            INPLACE[name](x)
        assert torch.equal(x, torch.tensor(X))


def test_in_place_in_numpy() -> None:
    @fgi.surrogate
    def tail(x: Any) -> Any:
        np.negative(x, out=x)
        return x

    x = X.copy()
    assert (tail().derivative(x) == -X).all()
    S.ATan(forward=lambda x: np.multiply(x, 3, out=x))(x)
    assert (x == X).all()
