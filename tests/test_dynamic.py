"""``torch.compile(dynamic=True)``: shapes and numbers are symbols that later calls may change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import catalogue
from support.frameworks import load

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
load("torch")


@pytest.fixture(autouse=True)
def nothing_compiled_before() -> None:
    torch.compiler.reset()


def derivatives(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
    x = x.clone().requires_grad_()
    y = f(x)
    (dx,) = torch.autograd.grad(y, x, u)
    return y.detach(), dx


@pytest.mark.parametrize("spike", catalogue.DEFAULTS, ids=lambda s: s.name)
def test_one_compilation_for_every_length(spike: fgi.Surrogate) -> None:
    compilations = 0

    def backend(graph: Any, inputs: Any) -> Any:
        nonlocal compilations
        compilations += 1
        return graph

    compiled = torch.compile(spike.__call__, dynamic=True, fullgraph=True, backend=backend)
    for n in (6, 9, 14):
        x = torch.as_tensor(np.linspace(-1.7, 2.3, n))
        u = torch.as_tensor(np.linspace(0.5, -2.0, n))
        for got, expected in zip(
            derivatives(compiled, x, u), derivatives(spike, x, u), strict=True
        ):
            np.testing.assert_array_equal(got, expected)
    assert compilations == 1


@pytest.mark.parametrize("order", [2, 4, 6])
def test_the_order_is_no_symbol(order: int) -> None:
    """Nodes that are expressions of the order take the compiler minutes."""
    sizes = []

    def backend(graph: Any, inputs: Any) -> Any:
        sizes.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph

    spike = fgi.surrogates.Gaussian(order=order)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for dynamic in (False, True):
        torch.compiler.reset()
        torch.compile(spike.__call__, dynamic=dynamic, fullgraph=True, backend=backend)(x)
    fixed, dynamic_size = sizes
    assert dynamic_size <= fixed + 10
