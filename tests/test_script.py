"""torch.jit.script: the typed inject and bypass are the core's, scripted, saved and loaded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import fgi
from support import exact, frameworks
from test_promises import EIGHT, same_numbers

torch = pytest.importorskip("torch")
from fgi_backends.torch import bypass, inject  # noqa: E402, needs torch


def saved(scripted: Any) -> Any:
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


HOW = {
    "eager": lambda f: f,
    "scripted": torch.jit.script,
    "saved": lambda f: saved(torch.jit.script(f)),
}


def reverse(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
    x = x.clone().requires_grad_()
    y = f(x)
    return y.detach(), torch.autograd.grad(y, x, u)[0]


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@pytest.mark.parametrize("spike", EIGHT, ids=lambda spike: spike.name)
@pytest.mark.parametrize("how", HOW)
def test_inject_and_bypass(how: str, spike: Any, dtype: str) -> None:
    scripted_inject, scripted_bypass = HOW[how](inject), HOW[how](bypass)
    x = frameworks.to_framework("torch", exact.grid(frameworks.numpy_dtype(dtype)))
    u = torch.tensor([2.0, -0.5, 4.0]).to(x.dtype).repeat(len(x))[: len(x)]
    with fgi.inference_mode():
        value = spike(x)
    slope = spike.derivative(x)

    pairs = {
        "inject": (
            lambda x: scripted_inject(x, value, slope),
            lambda x: fgi.inject(x, value, slope),
        ),
        "bypass": (
            lambda x: scripted_bypass(value, spike.primitive(x)),
            lambda x: fgi.bypass(value, spike.primitive(x)),
        ),
    }
    for name, (scripted, core) in pairs.items():
        for got, wanted in zip(reverse(scripted, x, u), reverse(core, x, u), strict=True):
            # NaN where bypass meets the 0 * inf of a primitive's own gradient at infinity.
            got_, wanted_ = (a.double().numpy() for a in (got, wanted))
            np.testing.assert_array_equal(got_, wanted_, err_msg=name)
    y, dx = reverse(pairs["inject"][0], x, u)
    assert same_numbers(frameworks.to_numpy("torch", y), frameworks.to_numpy("torch", value))
    finite = torch.isfinite(x)
    assert torch.equal(dx[finite], (u * slope)[finite])
    assert not dx[~finite].any()


@pytest.mark.parametrize("how", HOW)
def test_a_slope_that_is_not_finite_counts_as_zero(how: str) -> None:
    x, u = torch.tensor([1.0, -2.0, 0.5, np.inf]), torch.tensor([2.0, 3.0, -4.0, 5.0])
    fx, slope = torch.tensor([7.0, -0.0, 3.0, 1.0]), torch.tensor([np.nan, -np.inf, 0.25, 2.0])
    y, dx = reverse(lambda x: HOW[how](inject)(x, fx, slope), x, u)
    assert y.tolist() == [7, 0, 3, 1]
    assert dx.tolist() == [0, 0, -1, 0]


class Traceable(torch.nn.Module):
    """A surrogate as a module, which torch.jit.trace makes scriptable."""

    def __init__(self, spike: Any) -> None:
        super().__init__()
        self.spike = spike

    def forward(self, x: Any) -> Any:
        return self.spike(x)


class Layer(torch.nn.Module):
    def __init__(self, spike: Any, example: torch.Tensor) -> None:
        super().__init__()
        self.spike = torch.jit.trace(Traceable(spike), (example,))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.spike(x)


def test_a_module_with_a_surrogate_is_scripted_by_way_of_its_trace() -> None:
    spike = fgi.surrogates.ATan(alpha=3.0)
    x, u = torch.tensor([-0.5, 0.0, 0.25]), torch.tensor([2.0, 3.0, -4.0])
    y, dx = reverse(saved(torch.jit.script(Layer(spike, x))), x, u)
    assert y.tolist() == [0, 0, 2]
    torch.testing.assert_close(dx, 2 * u * spike.derivative(x))
