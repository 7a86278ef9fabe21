"""Every way to run and differentiate a function in PyTorch, as data."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, func
from torch.autograd import forward_ad

from ...measure.mode import AbsentError, Build, Function, Mode, direct, table
from ..torchscript import inject

__all__ = ["MODES"]

Pair = tuple[Tensor, Tensor]


def reverse(f: Function, x: Tensor, u: Tensor) -> Pair:
    x = x.detach().clone().requires_grad_()
    y = f(x)
    if not y.requires_grad:
        return y, torch.zeros_like(x)
    (dx,) = torch.autograd.grad(y, x, u, materialize_grads=True)
    return y.detach(), dx


def changed(change: Callable[[Function, Tensor], Function]) -> Build:
    """Reverse mode through another form of the function, made once."""

    def build(f: Function, x: Tensor, u: Tensor) -> Callable[[Tensor, Tensor], Pair]:
        g = change(f, x)
        return lambda x, u: reverse(g, x, u)

    return build


def gradient(
    transform: Callable[[Function], Callable[[Tensor, Tensor], Tensor]],
) -> Build:
    """A functional gradient, made once; the value comes from the function as it stands."""

    def build(f: Function, x: Tensor, u: Tensor) -> Callable[[Tensor, Tensor], Pair]:
        of = transform(f)
        return lambda x, u: (f(x), of(x, u))

    return build


def grad(f: Function) -> Any:
    return func.grad(lambda x, u: (f(x) * u).sum())


def batched(f: Function) -> Any:
    return func.vmap(grad(f), in_dims=1, out_dims=1)


def forward(f: Function, x: Tensor, u: Tensor) -> Pair:
    y, dy, *_ = func.jvp(f, (x,), (u,))
    return y, dy


def dual(f: Function, x: Tensor, u: Tensor) -> Pair:
    with forward_ad.dual_level():
        made = forward_ad.make_dual(x, u)  # type: ignore[no-untyped-call]
        y, dy = forward_ad.unpack_dual(f(made))  # type: ignore[no-untyped-call]
    return y, dy


def compiled(f: Function) -> Any:
    torch.compiler.reset()
    return torch.compile(f, fullgraph=True)


def saved(function: Any) -> Any:
    file = io.BytesIO()
    torch.jit.save(function, file)
    file.seek(0)
    return torch.jit.load(file)  # type: ignore[no-untyped-call]


def scripted(keep: Function) -> Callable[[Any], Any]:
    """A surrogate by the typed ``inject``, another function by ``torch.jit.script`` itself."""

    def prepare(f: Any) -> Any:
        if not hasattr(f, "derivative"):
            try:
                return keep(torch.jit.script(f))
            except Exception as error:
                reason = str(error).strip().partition("\n")[0]
                raise AbsentError(f"torch.jit.script cannot compile it: {reason}") from error
        place = keep(torch.jit.script(inject))

        def through(x: Tensor, *key: Tensor) -> Any:
            with torch.no_grad():
                fx = f(x, *key)
            return place(x, fx, f.derivative(x.detach(), *key))

        return through

    return prepare


def traced(f: Function, x: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # It asks what it traces for a name, which a surrogate has not.
        return torch.jit.trace(lambda x: f(x), (x,))  # type: ignore[no-untyped-call]


class Module(torch.nn.Module):
    """``torch.export`` takes modules alone."""

    def __init__(self, f: Function) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


def exported(f: Function, x: Tensor) -> Any:
    return torch.export.export(Module(f), (x,)).module()


def checkpointed(f: Function, x: Tensor) -> Function:
    return lambda x: torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False)


def autocast(f: Function, x: Tensor) -> Function:
    def g(x: Tensor) -> Any:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return f(x)

    return g


MODES = table(
    Mode("eager", "the tape, operation by operation", direct(reverse), quick=True),
    Mode(
        "compile",
        "torch.compile(fullgraph=True), forward and backward",
        changed(lambda f, x: compiled(f)),
    ),
    Mode("func.grad", "the functional gradient", gradient(grad), quick=True),
    Mode("vmap(func.grad)", "the functional gradient, batched", gradient(batched), quick=True),
    Mode("func.jvp", "functional forward mode", direct(forward), quick=True),
    Mode("forward AD", "dual tensors", direct(dual), quick=True),
    Mode(
        "compile(func.grad)",
        "the functional gradient, compiled",
        gradient(lambda f: compiled(grad(f))),
    ),
    Mode(
        "compile(vmap(func.grad))",
        "the functional gradient, batched and compiled",
        gradient(lambda f: compiled(batched(f))),
    ),
    Mode(
        "jit.script",
        "fgi_backends.torch.inject, scripted",
        direct(reverse),
        prepare=scripted(lambda f: f),
        quick=True,
    ),
    Mode(
        "jit.script, saved",
        "the same, saved and loaded",
        direct(reverse),
        prepare=scripted(saved),
        quick=True,
    ),
    Mode("jit.trace", "torch.jit.trace", changed(traced)),
    Mode(
        "jit.trace, saved", "the same, saved and loaded", changed(lambda f, x: saved(traced(f, x)))
    ),
    Mode("export", "torch.export, trained after", changed(exported)),
    Mode("checkpoint", "activations computed again in the backward pass", changed(checkpointed)),
    # PyTorch's own stack and cat refuse float16 there.
    Mode(
        "autocast",
        "inside torch.autocast to bfloat16",
        changed(autocast),
        dtypes=("bfloat16", "float32", "float64"),
        quick=True,
    ),
)
