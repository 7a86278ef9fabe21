"""fgi.torch.Surrogate: values and gradients in closed form, and nothing lost on the way round."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import load

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
load("torch")
from torch import nn  # noqa: E402, needs torch

Module: Any = fgi.torch.Surrogate

X, U = np.array([[-0.5, 0.0, 1.5], [0.3, -2.0, 0.1]]), np.array([[2.0, -1.0, 3.0], [0.5, 4.0, -2]])
ALPHA = np.array([2.5, 0.5, 1.25])


def atan(alpha: Any = ALPHA) -> tuple[np.ndarray[Any, Any], ...]:
    """y, dL/dx, dL/da of L = sum u y: g' = a / 2 / (1 + (pi a x / 2)^2) and dg/da = x g' / a."""
    slope = alpha / 2 / (1 + (math.pi / 2 * alpha * X) ** 2)
    by_alpha = U * X * slope / alpha
    return (X > 0).astype(float), U * slope, by_alpha.sum(axis=0 if np.ndim(alpha) else None)


def module(alpha: Any = ALPHA, learnable: Any = "alpha", **named: Any) -> Any:
    alpha = torch.tensor(alpha) if np.ndim(alpha) else alpha
    spike = fgi.surrogates.ATan(alpha=alpha, through="primitive", **named)
    return Module(spike, learnable).double()


def derivatives(f: Any, parameters: list[Any]) -> list[Any]:
    x = torch.tensor(X, requires_grad=True)
    y = f(x)
    gradients = torch.autograd.grad(y, [x, *parameters], torch.tensor(U))
    return [v.detach().numpy() for v in (y, *gradients)]


def check(f: Any, parameters: list[Any], alpha: Any = ALPHA) -> None:
    for got, wanted in zip(derivatives(f, parameters), atan(alpha), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


def through_file(thing: Any, **named: Any) -> Any:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **named)


def loaded(m: Any) -> Any:
    """Another module of the same kind, with the state of this one."""
    other = module(7.0 if not m.alpha.ndim else 7 + ALPHA)
    other.load_state_dict(through_file(m.state_dict(), weights_only=True))
    return other


def exported(m: Any) -> Any:
    return torch.export.export(m, (torch.tensor(X),)).module()


def scripted(m: Any) -> Any:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(m, (torch.tensor(X),)), file)
    file.seek(0)
    return torch.jit.load(file)


WAYS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda m: m,
    "compile": lambda m: torch.compile(m, fullgraph=True),
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "save": lambda m: through_file(m, weights_only=False),
    "state_dict": loaded,
    "export": exported,
    "trace": scripted,
}


@pytest.mark.parametrize("alpha", [2.5, ALPHA], ids=["number", "array"])
@pytest.mark.parametrize("way", WAYS)
def test_values_and_gradients_whichever_way_it_went(way: str, alpha: Any) -> None:
    torch.compiler.reset()
    m = module(alpha)
    other = WAYS[way](m)
    check(other, list(other.parameters()), alpha)
    names = [name.rpartition(".")[2] for name, _ in other.named_parameters()]
    assert names == ["alpha"]
    if way not in ("export", "trace", "compile"):
        assert other.spike.replace(alpha=1.0) == m.spike.replace(alpha=1.0)
        assert torch.equal(other.alpha, m.alpha)
        assert repr(other) == repr(m)


def test_a_surrogate_without_learned_parameters_is_as_it_was() -> None:
    spike = fgi.surrogates.Gaussian(sigma=0.5, forward=fgi.Sign())
    m = Module(spike)
    assert (m.spike, dict(m.state_dict()), list(m.parameters())) == (spike, {}, [])
    assert pickle.loads(pickle.dumps(m)).spike == spike == copy.deepcopy(m).spike
    y, dx = derivatives(m, [])
    np.testing.assert_array_equal(y, np.sign(X))
    np.testing.assert_allclose(dx, U * np.exp(-(X**2) / 2 / 0.25), rtol=1e-13)


def test_what_is_an_array_and_not_learned_is_a_buffer() -> None:
    m = module(learnable=())
    assert [name for name, _ in m.named_buffers()] == ["alpha"]
    assert list(m.parameters()) == []
    assert m.half().alpha.dtype == torch.float16
    assert "alpha" in m.state_dict()


def test_the_dtype_is_that_of_x() -> None:
    m = module(2.5).float()
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert m(torch.tensor(X, dtype=dtype)).dtype == dtype


def test_a_training_step_learns_the_parameter() -> None:
    m = module(2.5)
    (m(torch.tensor(X)) * torch.tensor(U)).sum().backward()
    torch.optim.SGD(m.parameters(), lr=0.1).step()
    np.testing.assert_allclose(m.alpha.item(), 2.5 - 0.1 * atan(2.5)[2], rtol=1e-13)
    assert m.spike.alpha is m.alpha


def test_through_the_slope_a_loss_has_no_derivative_by_the_parameter() -> None:
    m = Module(fgi.surrogates.ATan(), "alpha").double()
    assert derivatives(m, list(m.parameters()))[2] == 0


class Softplus(nn.Module):  # type: ignore[misc]
    def forward(self, z: Any) -> Any:
        return nn.functional.softplus(z)

    def right_inverse(self, v: Any) -> Any:
        return torch.log(torch.expm1(v))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_parametrization_keeps_the_range(compiled: bool) -> None:
    torch.compiler.reset()
    m = module(2.5)
    nn.utils.parametrize.register_parametrization(m, "alpha", Softplus())
    (z,) = m.parameters()
    f = torch.compile(m, fullgraph=True) if compiled else m
    y, dx, dz = derivatives(f, [z])
    wanted = atan(2.5)
    np.testing.assert_allclose(y, wanted[0])
    np.testing.assert_allclose(dx, wanted[1], rtol=1e-12)
    # d softplus / dz = 1 - exp(-softplus)
    np.testing.assert_allclose(dz, wanted[2] * -math.expm1(-2.5), rtol=1e-12)


def test_what_is_random_takes_its_key() -> None:
    m = Module(fgi.surrogates.Sigmoid(forward=fgi.values.Bernoulli()))
    x, u = torch.tensor(X), torch.tensor(np.linspace(0.05, 0.95, 6).reshape(2, 3))
    assert torch.equal(m(x, key=u), m.spike(x, u))


def test_script_says_to_trace() -> None:
    with pytest.raises(TypeError, match=r"fgi\.torch\.Surrogate: torch\.jit\.script can follow no"):
        torch.jit.script(nn.Sequential(module(2.5)))


def test_a_state_of_a_newer_version() -> None:
    m = nn.Sequential(nn.Linear(3, 3).double(), module())
    state = m.state_dict()
    before = {name: value.clone() for name, value in state.items()}
    assert state._metadata["1"] == {"version": 1}
    state._metadata["1"] = {"version": 2}
    m[1].alpha.data.fill_(1.0)
    with pytest.raises(RuntimeError, match=r"1\. has version 2; expected 1 or less; a newer fgi"):
        m.load_state_dict(state)
    state._metadata["1"] = {"version": 1}
    m.load_state_dict(before)
    assert m[1].alpha.tolist() == ALPHA.tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("atan",), TypeError, r"spike is a str; expected a surrogate such as .* or fgi\.get\('at"),
        ((None,), TypeError, r"fgi\.torch\.Surrogate: spike is None; expected a surrogate"),
        ((fgi.surrogates.ATan,), TypeError, r"spike is a type; expected a surrogate"),
        ((fgi.surrogates.ATan(), "beta"), ValueError,
         r"learnable has 'beta'; expected some of alpha, scale, the parameters of ATan that are n"),
        ((fgi.surrogates.ATan(), ("alpha", "order")), ValueError, r"learnable has 'order'; expect"),
        ((fgi.surrogates.ATan(alpha=np.array(2.0)),), TypeError,
         r"alpha is a ndarray; expected a number or a torch\.Tensor; convert it first"),
    ],
)  # fmt: skip
def test_what_it_may_be(arguments: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Module(*arguments)


def test_every_surrogate_is_a_module() -> None:
    x = torch.tensor(X)
    for name, definition in fgi.surrogates.catalogue().items():
        spike = definition()
        if spike._is_random:
            continue
        numbers = [n for n, v in spike.parameters.items() if isinstance(v, float)]
        m = Module(spike, [n for n in numbers if math.isfinite(getattr(spike, n))]).double()
        # A whole step of a dtype where a number has been rounded to it.
        np.testing.assert_allclose(m(x).detach(), spike(x), rtol=1e-6, err_msg=name)
