"""What the README says fgi does not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

spike = fgi.surrogates.Gaussian()
X = np.array([-0.5, 0.25])


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.skipif("torch" not in frameworks.INSTALLED, reason="torch is not installed")
def test_a_decomposed_export_has_lost_the_gradient() -> None:
    import torch

    class Module(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return spike(x)

    x = torch.tensor(X, requires_grad=True)
    exported = torch.export.export(Module(), (x,))
    y = exported.module()(x)
    torch.testing.assert_close(
        torch.autograd.grad(y, x, torch.tensor([2.0, 3.0]).double())[0],
        torch.tensor([2.0, 3.0]) * torch.exp(-(x.detach() ** 2) / 2),
    )
    decomposed = exported.run_decompositions().module()(x)
    assert torch.autograd.grad(decomposed.sum(), x)[0].tolist() == [0, 0]


def forward_over_forward(f: Any) -> Any:
    def directional(f: Any) -> Any:
        return lambda x: fgi.jvp(f, (x,), (fgi.namespace(x).ones_like(x),))[1]

    return fgi.compile(directional(directional(f)))


@pytest.mark.skipif("torch" not in frameworks.INSTALLED, reason="torch is not installed")
def test_torch_does_not_compile_forward_over_forward() -> None:
    """Not even of a product with a constant."""
    import torch

    x = torch.tensor(X)
    with pytest.raises(RuntimeError, match="refers to a single memory location"):
        forward_over_forward(lambda x: x * torch.ones_like(x))(x)
