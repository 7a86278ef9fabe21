"""Reverse mode, taken away: what still runs is forward mode alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .frameworks import INSTALLED_AUTODIFF, load


@contextlib.contextmanager
def no_reverse_mode(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every way into reverse mode of every framework raises; PyTorch records no graph either."""

    def refusal() -> Callable[..., Any]:
        # One for each: PyTorch's compiler keeps rules by function.
        def refuse(*args: Any, **named: Any) -> Any:
            raise AssertionError("reverse mode ran")

        return refuse

    with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
        if "torch" in INSTALLED_AUTODIFF:
            torch = load("torch")
            stack.enter_context(torch.no_grad())
            patch.setattr(torch.Tensor, "backward", refusal())
            for name in ("grad", "backward"):
                patch.setattr(torch.autograd, name, refusal())
            for name in ("grad", "grad_and_value", "vjp", "jacrev"):
                patch.setattr(torch.func, name, refusal())
        if "jax" in INSTALLED_AUTODIFF:
            jax = load("jax")
            for name in ("grad", "value_and_grad", "vjp", "jacrev", "linearize"):
                patch.setattr(jax, name, refusal())
        if "tensorflow" in INSTALLED_AUTODIFF:
            tf = load("tensorflow")
            for name in ("GradientTape", "gradients"):
                patch.setattr(tf, name, refusal())
        yield
