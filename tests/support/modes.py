"""Every way to run and differentiate a function, as data: ``MODES[framework][mode]``.

A mode is ``run(f, x, u) -> (f(x), u * f'(x))`` for an element-wise f, with arrays of the framework.
x has a row for each of several functions and f treats the rows apart, so that one compilation
serves them all; the modes that batch go over its columns.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

from .frameworks import INSTALLED, load

Run = Callable[[Callable[[Any], Any], Any, Any], tuple[Any, Any]]


def torch_modes() -> dict[str, Run]:
    torch = load("torch")
    func = torch.func
    forward_ad = torch.autograd.forward_ad

    def reverse(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        x = x.clone().requires_grad_()
        y = f(x)
        (dx,) = torch.autograd.grad(y, x, u)
        return y.detach(), dx

    def loss(f: Any) -> Any:
        return lambda x, u: (f(x) * u).sum()

    def gradient(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        return f(x), func.grad(loss(f))(x, u)

    def batched(f: Any) -> Any:
        return func.vmap(func.grad(loss(f)), in_dims=1, out_dims=1)

    def dual(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        with forward_ad.dual_level():
            y, dy = forward_ad.unpack_dual(f(forward_ad.make_dual(x, u)))
        return y, dy

    def compiled(f: Any) -> Any:
        torch._dynamo.reset()
        return torch.compile(f, fullgraph=True)

    def traced(f: Any, x: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error", torch.jit.TracerWarning)
            return torch.jit.trace(f, (x,))

    def saved(function: Any) -> Any:
        file = io.BytesIO()
        torch.jit.save(function, file)
        file.seek(0)
        return torch.jit.load(file)

    class Module(torch.nn.Module):
        def __init__(self, f: Any) -> None:
            super().__init__()
            self.f = f

        def forward(self, x: Any) -> Any:
            return self.f(x)

    def exported(f: Any, x: Any) -> Any:
        return torch.export.export(Module(f), (x,)).module()

    def checkpointed(f: Any) -> Any:
        return lambda x: torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False)

    return {
        "eager": reverse,
        "compile": lambda f, x, u: reverse(compiled(f), x, u),
        "func.grad": gradient,
        "vmap(func.grad)": lambda f, x, u: (f(x), batched(f)(x, u)),
        "func.jvp": lambda f, x, u: func.jvp(f, (x,), (u,)),
        "forward AD": dual,
        "compile(func.grad)": lambda f, x, u: (f(x), compiled(func.grad(loss(f)))(x, u)),
        "compile(vmap(func.grad))": lambda f, x, u: (f(x), compiled(batched(f))(x, u)),
        "jit.trace": lambda f, x, u: reverse(traced(f, x), x, u),
        "jit.trace, saved": lambda f, x, u: reverse(saved(traced(f, x)), x, u),
        "export": lambda f, x, u: reverse(exported(f, x), x, u),
        "checkpoint": lambda f, x, u: reverse(checkpointed(f), x, u),
    }


def jax_modes() -> dict[str, Run]:
    jax = load("jax")

    def reverse(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        y, pullback = jax.vjp(f, x)
        return y, pullback(u)[0]

    def loss(f: Any) -> Any:
        return lambda x, u: (f(x) * u).sum()

    def batched(f: Any) -> Any:
        return jax.vmap(jax.grad(loss(f)), in_axes=1, out_axes=1)

    def scanned(f: Any) -> Any:
        def g(x: Any) -> Any:
            return jax.lax.scan(lambda carry, column: (carry, f(column)), None, x.T)[1].T

        return g

    def linearized(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        y, df = jax.linearize(f, x)
        return y, df(u)

    return {
        "eager": reverse,
        "jit": lambda f, x, u: jax.jit(lambda x, u: reverse(f, x, u))(x, u),
        "grad": lambda f, x, u: (f(x), jax.grad(loss(f))(x, u)),
        "jvp": lambda f, x, u: jax.jvp(f, (x,), (u,)),
        "vmap(grad)": lambda f, x, u: (f(x), batched(f)(x, u)),
        "jit(vmap(grad))": lambda f, x, u: (f(x), jax.jit(batched(f))(x, u)),
        "linearize": linearized,
        "scan": lambda f, x, u: reverse(scanned(f), x, u),
        "remat": lambda f, x, u: reverse(jax.checkpoint(f), x, u),
    }


def tensorflow_modes() -> dict[str, Run]:
    tf = load("tensorflow")

    def reverse(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return y, tape.gradient(y, x, u)

    def forward(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        with tf.autodiff.ForwardAccumulator(x, u) as accumulator:
            y = f(x)
        return y, accumulator.jvp(y)

    def batched(f: Any, x: Any, u: Any) -> tuple[Any, Any]:
        def column(pair: Any) -> Any:
            return reverse(f, *pair)[1]

        dx = tf.vectorized_map(column, (tf.transpose(x), tf.transpose(u)))
        return f(x), tf.transpose(dx)

    def compiled(run: Run, **options: Any) -> Run:
        return lambda f, x, u: tf.function(lambda x, u: run(f, x, u), **options)(x, u)

    return {
        "eager": reverse,
        "function": compiled(reverse),
        "XLA": compiled(reverse, jit_compile=True),
        "ForwardAccumulator": forward,
        "vectorized_map": batched,
    }


_BUILD = {"torch": torch_modes, "jax": jax_modes, "tensorflow": tensorflow_modes}
MODES: dict[str, dict[str, Run]] = {
    name: build() for name, build in _BUILD.items() if name in INSTALLED
}
PAIRS = [(name, mode) for name, modes in MODES.items() for mode in modes]
