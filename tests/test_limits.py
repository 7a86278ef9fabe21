"""What the README says fgi does not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

spike = fgi.surrogates.Gaussian()
X = np.array([-0.5, 0.25])


def test_the_second_derivative_is_zero() -> None:
    """In functional form; PyTorch's tape says it by an error, TensorFlow's by None."""
    for framework in ("torch", "jax"):
        if framework not in frameworks.INSTALLED:
            continue
        xp = frameworks.backend(framework)
        x = frameworks.to_framework(framework, X)

        def slopes(x: Any, xp: Any = xp) -> Any:
            return xp.sum(x * fgi.grad(lambda x: xp.sum(spike(x)))(x))

        # d(x g'(x0))/dx = g'(x0), without the x g'' that a true derivative would add.
        got = frameworks.to_numpy(framework, fgi.grad(slopes)(x))
        np.testing.assert_allclose(got, np.exp(-(X**2) / 2), rtol=1e-14)


@pytest.mark.skipif("torch" not in frameworks.INSTALLED, reason="torch is not installed")
def test_the_second_derivative_on_the_tape_of_torch() -> None:
    import torch

    x = torch.tensor(X, requires_grad=True)
    (dx,) = torch.autograd.grad(spike(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(dx.sum(), x)


@pytest.mark.skipif("tensorflow" not in frameworks.INSTALLED, reason="tensorflow is not installed")
def test_the_second_derivative_on_the_tape_of_tensorflow() -> None:
    import tensorflow as tf

    x = tf.constant(X)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = spike(x)
        dx = inner.gradient(y, x)
    assert outer.gradient(dx, x) is None


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
