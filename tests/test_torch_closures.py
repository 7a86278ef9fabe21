"""``fgi.grad`` in PyTorch of a function that closes over tensors with a gradient of their own.

The function runs once, and value, gradient and aux keep the history of those tensors, as they do
with ``torch.func`` and, by nested calls, in JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi

torch = pytest.importorskip("torch")

X, P, Q, U = 0.75, -1.25, 2.0, 3.0


def scalar(x: float, *, history: bool = False) -> Any:
    return torch.tensor(x, dtype=torch.float64, requires_grad=history)


def model(xp: Any, x: Any, p: Any, q: Any) -> Any:
    """x is the argument, p reaches the value, q the auxiliary result alone."""
    h = xp.sin(p * x) * x**3
    return h, {"aux": (q * h * h, 2 * x)}


def by_func(x: Any, p: Any, q: Any) -> Any:
    return torch.func.grad_and_value(lambda x: model(torch, x, p, q), has_aux=True)(x)


def test_the_history_is_that_of_torch_func() -> None:
    x, p, q = scalar(X), scalar(P, history=True), scalar(Q, history=True)
    (value, aux), gradient = fgi.value_and_grad(lambda x: model(torch, x, p, q), has_aux=True)(x)
    g, (v, a) = by_func(x, p, q)
    found = (value, gradient, aux["aux"][0])
    for got, expected in zip(found, (v, g, a["aux"][0]), strict=True):
        assert got == expected
        for parameter in (p, q):
            pair = [
                torch.autograd.grad(U * y, parameter, retain_graph=True, allow_unused=True)[0]
                for y in (got, expected)
            ]
            assert pair[0] == pair[1] or pair == [None, None]
    assert not aux["aux"][1].requires_grad  # it depends on x alone, which is a constant outside
    assert torch.autograd.grad(aux["aux"][0], q)[0] == v**2


def test_second_derivatives_by_what_is_closed_over_are_those_of_jax() -> None:
    jax = pytest.importorskip("jax")
    x, p, q = scalar(X), scalar(P, history=True), scalar(Q)
    with jax.enable_x64(True):

        def gradient(p: Any) -> Any:
            f = lambda x: model(jax.numpy, x, p, jax.numpy.float64(Q))  # noqa: E731
            return jax.grad(f, has_aux=True)(jax.numpy.float64(X))[0]

        first = jax.grad(gradient)(jax.numpy.float64(P))
        second = jax.grad(jax.grad(gradient))(jax.numpy.float64(P))
    found = fgi.grad(lambda x: model(torch, x, p, q)[0])(x)
    (by_p,) = torch.autograd.grad(U * found, p, create_graph=True)
    assert by_p.item() == pytest.approx(U * float(first), rel=1e-14)
    (by_pp,) = torch.autograd.grad(by_p, p)
    assert by_pp.item() == pytest.approx(U * float(second), rel=1e-14)
    assert abs(float(first)) > 0.5
    assert abs(float(second)) > 0.5


def test_aux_keeps_a_parameter_that_the_value_does_not_reach() -> None:
    """d aux / dp = x^2, also by backward(), where value and aux have a part in common."""
    x, p = scalar(X), scalar(P, history=True)

    def f(x: Any) -> Any:
        shared = x**2
        return 5 * shared, shared * p

    (value, aux), gradient = fgi.value_and_grad(f, has_aux=True)(x)
    assert (value, gradient) == (5 * X**2, 10 * X)
    assert not value.requires_grad
    assert not gradient.requires_grad
    (U * aux).backward()
    assert p.grad == U * X**2
    assert x.grad is None


class Counting:
    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f, self.calls = f, 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return self.f(x)


def others() -> dict[str, Any]:
    leaf = scalar(P, history=True)
    return {
        "a parameter": leaf,
        "a result of one": 3 * leaf,
        "nn.Parameter": torch.nn.Parameter(scalar(P)),
        "nothing": scalar(P),
    }


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("other", others())
def test_the_function_runs_once(other: str, aux: bool) -> None:
    p = others()[other]
    f = Counting(lambda x: (torch.sin(p * x), x) if aux else torch.sin(p * x))
    fgi.value_and_grad(f, has_aux=aux)(scalar(X))
    assert f.calls == 1
    if not aux:
        fgi.grad(f)(scalar(X))
        assert f.calls == 2


def test_a_generator_is_drawn_from_once() -> None:
    p, drawn, expected = scalar(P, history=True), torch.Generator(), torch.Generator()
    drawn.manual_seed(7)
    expected.manual_seed(7)
    noise = torch.rand((), generator=expected, dtype=torch.float64)

    def f(x: Any) -> Any:
        return p * x * torch.rand((), generator=drawn, dtype=torch.float64)

    assert fgi.grad(f)(scalar(X)) == P * noise
    assert torch.equal(drawn.get_state(), expected.get_state())


def test_a_value_that_is_what_is_closed_over() -> None:
    p = scalar(P, history=True)
    value, gradient = fgi.value_and_grad(lambda x: p)(scalar(X))
    assert gradient == 0
    assert torch.autograd.grad(U * value, p)[0] == U


def test_nothing_is_kept_where_gradients_are_off() -> None:
    p = scalar(P, history=True)
    with torch.no_grad():
        (value, aux), gradient = fgi.value_and_grad(lambda x: (p * x**2, p * x), has_aux=True)(
            scalar(X)
        )
    assert (value, gradient) == (P * X**2, 2 * P * X)
    assert not any(y.requires_grad for y in (value, aux, gradient))


@pytest.mark.parametrize("fast", [True, False])
def test_a_surrogate_whose_gradient_a_parameter_shapes(fast: bool) -> None:
    """d/dw of the gradient w g'(w x) is g'(w x): the slope counts as a constant, as documented."""
    x, w = torch.tensor([0.5, -0.25, 2.0]), torch.tensor(1.5, requires_grad=True)
    u, spike = torch.tensor([2.0, -3.0, 0.5]), fgi.surrogates.ATan(alpha=2.0)
    with fgi.use_fast_paths(fast):
        gradient = fgi.grad(lambda x: (u * spike(w * x)).sum())(x)
        (by_w,) = torch.autograd.grad((gradient * torch.tensor([1.0, 4.0, -2.0])).sum(), w)
    slope = u.numpy() / (1 + (np.pi * 1.5 * x.numpy()) ** 2)
    np.testing.assert_allclose(gradient.detach().numpy(), 1.5 * slope, rtol=1e-6)
    assert by_w.item() == pytest.approx((slope * [1.0, 4.0, -2.0]).sum(), rel=1e-5)


def test_one_call_inside_another() -> None:
    """d/dx of (d/dy of y^2 x^3 at y = 2) is 12 x^2."""
    inner = Counting(lambda y: y)

    def outer(x: Any) -> Any:
        return fgi.grad(lambda y: inner(y) ** 2 * x**3)(scalar(2.0))

    value, gradient = fgi.value_and_grad(outer)(scalar(X))
    assert value.item() == pytest.approx(4 * X**3)
    assert gradient.item() == pytest.approx(12 * X**2)
    assert not value.requires_grad
    assert not gradient.requires_grad
    assert inner.calls == 1


def test_what_is_compiled_inside_runs_once_and_says_what_it_cannot() -> None:
    """The first derivatives are right; of compiled code PyTorch has no second, or a wrong one."""
    x = torch.tensor([[0.5, -0.25], [2.0, 1.0]])
    w = torch.tensor([[1.5, 0.5], [-1.0, 2.0]], requires_grad=True)

    def part(h: Any) -> Any:
        return torch.softmax(torch.tanh(h @ w) @ w, -1)

    runs = Counting(fgi.compile(part))

    def f(x: Any) -> Any:
        return (runs(x) ** 2).sum()

    value, gradient = fgi.value_and_grad(f)(x)
    assert runs.calls == 1
    g, v = torch.func.grad_and_value(lambda x: (part(x) ** 2).sum())(x)
    torch.testing.assert_close(gradient, g)
    torch.testing.assert_close(
        torch.autograd.grad(U * value, w), torch.autograd.grad(U * v, w, retain_graph=True)
    )
    with pytest.raises(RuntimeError, match=r"^fgi\.grad: .*compiled.*compile around fgi\.grad"):
        torch.autograd.grad(gradient.sum(), w)


def test_compiled_code_of_elsewhere_is_no_obstacle() -> None:
    """What is closed over may have been compiled, and is not differentiated twice."""
    w = torch.tensor([1.5, -0.5], requires_grad=True)
    doubled = torch.compile(lambda w: 2 * torch.exp(w))(w)
    x = torch.tensor([0.5, 3.0])
    gradient = fgi.grad(lambda x: (doubled * x**2).sum())(x)
    (by_w,) = torch.autograd.grad((gradient * torch.tensor([1.0, -2.0])).sum(), w)
    expected = 2 * x * 2 * torch.exp(w) * torch.tensor([1.0, -2.0])
    torch.testing.assert_close(by_w, expected.detach())


def test_what_is_no_scalar_tensor() -> None:
    message = r"^fgi\.value_and_grad: f returned a float; expected a scalar tensor"
    with pytest.raises(TypeError, match=message):
        fgi.grad(lambda x: 1.0)(scalar(X))
