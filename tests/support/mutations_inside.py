"""Faults of frameworks' mechanisms, of backends and of the core; and ``FAULTS``, all there are.

``HONEST`` is what is right, written in the same ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import fgi
from fgi.injection import expansion, fast, quadrature

from .frameworks import AUTODIFF, INSTALLED, backend, load
from .mutations import (
    ARITHMETIC,
    ATAN,
    KINDS,
    SLOPES,
    SMOOTH,
    SPIKE,
    VALUES,
    Fault,
    Function,
    Plant,
    gaussian,
    step,
    with_slope,
)

# Foreign code: the mechanisms of the frameworks themselves.


def torch_step(backward: Callable[[Any, Any], Any], *, save_output: bool = False) -> Function:
    """The step as an autograd function, written as their documentation has it."""
    torch = load("torch")

    class Step(torch.autograd.Function):  # type: ignore[misc, name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return (x > 0).to(x.dtype)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output if save_output else inputs[0])

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return backward(ctx.saved_tensors[0], upstream)

    return lambda x: Step.apply(x)


def torch_step_of_old() -> Function:
    """With its context as an argument of forward, which torch.func cannot take apart."""
    torch = load("torch")

    class Step(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x > 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return upstream * gaussian(ctx.saved_tensors[0])

    return lambda x: Step.apply(x)


def jax_step(backward: Callable[[Any, Any], Any]) -> Function:
    jax = load("jax")
    spike = jax.custom_vjp(step)
    spike.defvjp(lambda x: (step(x), x), lambda x, upstream: (backward(x, upstream),))
    return spike  # type: ignore[no-any-return]


def tensorflow_step(backward: Callable[[Any, Any], Any]) -> Function:
    tf = load("tensorflow")
    return tf.custom_gradient(lambda x: (step(x), lambda upstream: backward(x, upstream)))  # type: ignore[no-any-return]


STEPS = {"torch": torch_step, "jax": jax_step, "tensorflow": tensorflow_step}


def one_of(framework: str, make: Callable[[], Function]) -> Callable[[], dict[str, Any]]:
    """A function of its own in one framework, the right one in the others."""
    return lambda: {name: make() if name == framework else SPIKE for name in AUTODIFF}


def mechanism(framework: str, backward: Callable[[Any, Any], Any]) -> Callable[[], dict[str, Any]]:
    return one_of(framework, lambda: STEPS[framework](backward))


def dropped(x: Any, upstream: Any) -> Any:
    return gaussian(x)


def twice(x: Any, upstream: Any) -> Any:
    return upstream * upstream * gaussian(x)


def halved(x: Any, upstream: Any) -> Any:
    return 0.5 * upstream * gaussian(x)


def right(x: Any, upstream: Any) -> Any:
    return upstream * gaussian(x)


def wrong_detach(x: Any) -> Any:
    """The whole difference is detached, and not its second term."""
    return step(x) + gaussian(x.detach()) * (x - x).detach()


def under_no_grad(x: Any) -> Any:
    torch = load("torch")
    with torch.no_grad():
        return SPIKE(x)


FOREIGN = [
    *(
        Fault(
            f"{name}: upstream dropped", "gradient: the upstream gradient is dropped",
            mechanism(name, dropped), SPIKE, (name,),
        )
        for name in AUTODIFF
    ),
    *(
        Fault(
            f"{name}: upstream twice", "gradient: the upstream gradient is applied twice",
            mechanism(name, twice), SPIKE, (name,),
        )
        for name in AUTODIFF
    ),
    *(
        Fault(
            f"{name}: half the slope", r"gradient: scaled by 0\.5", mechanism(name, halved), SPIKE,
            (name,),
        )
        for name in AUTODIFF
    ),
    Fault(
        "torch: saved the output", "gradient: another slope",
        one_of("torch", lambda: torch_step(right, save_output=True)), SPIKE, ("torch",),
    ),
    Fault(
        "torch: autograd function, compile(func.grad)", "gradient: the gradient is lost",
        one_of("torch", lambda: torch_step(right)), SPIKE, ("torch",), "compile(func.grad)",
    ),
    Fault(
        "torch: autograd function without setup_context, func.grad", "setup_context",
        one_of("torch", torch_step_of_old), SPIKE, ("torch",), "func.grad", status="error",
    ),
    Fault(
        "torch: autograd function, forward AD", "forward mode AD",
        one_of("torch", lambda: torch_step(right)), SPIKE, ("torch",), "func.jvp", status="error",
    ),
    Fault(
        "torch: the wrong detach", "gradient: the gradient is lost",
        one_of("torch", lambda: wrong_detach), SPIKE, ("torch",),
    ),
    Fault(
        "torch: no_grad", "gradient: the gradient is lost",
        one_of("torch", lambda: under_no_grad), SPIKE, ("torch",),
    ),
    Fault(
        "jax: custom_vjp, jvp", "forward-mode autodiff",
        mechanism("jax", right), SPIKE, ("jax",), "jvp", status="error",
    ),
]  # fmt: skip


# Backends and core.


def attribute(framework: str, name: str, make: Callable[[Any], Any]) -> Plant:
    """A backend's function, made into another one."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        module = backend(framework)
        patch.setattr(module, name, make(getattr(module, name)))

    return plant


def in_the_definition(plant: Plant) -> Plant:
    """The same fault where nothing takes a fast path past it."""

    def planted(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(fast, "fast_paths_enabled", lambda: False)
        plant(patch)

    return planted


def swapped(where: Any) -> Any:
    return lambda condition, x, y: where(~condition, x, y)


def to_float32(framework: str) -> Callable[[Any], Any]:
    return lambda astype: lambda x, dtype: astype(x, backend(framework).float32)


def no_cast(astype: Any) -> Any:
    return lambda x, dtype: astype(x, dtype) if "bool" in str(x.dtype) else x


def guard_forgotten(patch: pytest.MonkeyPatch) -> None:
    def freeze(xp: Any, x: Any) -> tuple[Any, Any]:
        x0 = xp.stop_gradient(x)
        return x0, x0 - x

    patch.setattr(expansion, "freeze", freeze)


def slope_squared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fast, "apply_slope", lambda xp, slope, d: slope * slope * d)


def nodes_at_the_end(patch: pytest.MonkeyPatch) -> None:
    at_the_end = {n: tuple((1.0, w) for _, w in nodes) for n, nodes in quadrature.TABLE.items()}
    patch.setattr(quadrature, "TABLE", at_the_end)


def script_without_detach(patch: pytest.MonkeyPatch) -> None:
    from fgi_backends.torch.measure import modes

    def inject(x: Any, fx: Any, gdx: Any) -> Any:
        return fx + 0.5 * gdx * (x - x.detach())

    torch = load("torch")
    table = dict(modes.MODES)
    changed = modes.scripted(lambda f: lambda x, fx, gdx: torch.where(
        x.detach().isfinite(), inject(x, fx, gdx), fx))  # fmt: skip
    table["jit.script"] = replace(table["jit.script"], prepare=changed)
    patch.setattr(modes, "MODES", table)


def twin_without_upstream(patch: pytest.MonkeyPatch) -> None:
    from fgi_backends.torch import native

    def backward(ctx: Any, grad: Any) -> tuple[Any, None, None]:
        return ctx.slope(ctx.saved_tensors[0]), None, None

    patch.setattr(native._ValueAndSlope, "backward", staticmethod(backward))


def planted(
    name: str,
    says: str,
    plant: Plant,
    where: tuple[str, ...] = AUTODIFF,
    *,
    thing: fgi.Surrogate = SPIKE,
    **cell: str,
) -> Fault:
    return Fault(name, says, lambda: thing, None, where, plant=plant, **cell)  # type: ignore[arg-type]


def slope_doubled(first_order: Any) -> Any:
    def planted(fx: Any, slope: Any, x: Any) -> Any:
        return first_order(fx, lambda x: 2 * slope(x), x)

    return planted


BACKENDS = [
    *(
        planted(
            f"{name}: stop_gradient forgotten", "gradient: the gradient is lost",
            in_the_definition(attribute(name, "stop_gradient", lambda f: lambda x: x)), (name,),
        )
        for name in AUTODIFF
    ),
    *(
        planted(
            f"{name}: where swapped",
            "(gradient|native twin): (the gradient is lost|another slope|off)",
            attribute(name, "where", swapped), (name,),
        )
        for name in AUTODIFF
    ),
    *(
        planted(
            f"{name}: astype to float32", "dtype: the dtype is changed|float32",
            attribute(name, "astype", to_float32(name)), (name,), dtype="float64",
        )
        for name in ("torch",)
    ),
    *(
        planted(
            f"{name}: astype that does nothing", "gradient: rounded more than once",
            attribute(name, "astype", no_cast), (name,), thing=ATAN, dtype="float16",
        )
        for name in AUTODIFF
    ),
    *(
        planted(
            f"{name}: exp of another base", "gradient: (another slope|wrong)",
            attribute(name, "exp", lambda exp: lambda x: exp(1.01 * x)), (name,),
        )
        for name in AUTODIFF
    ),
    planted(
        "jax: astype to float32", "float32", attribute("jax", "astype", to_float32("jax")),
        ("jax",), dtype="float64",
    ),
    planted(
        "torch: finfo of another dtype",
        r"(gradient|native twin): wrong in the tails, from \|x\| = ",
        attribute("torch", "finfo", lambda f: lambda dtype: f(load("torch").float16)), ("torch",),
        thing=ATAN,
    ),
    planted(
        "torch: never differentiating", "gradient: the gradient is lost",
        attribute("torch", "may_differentiate", lambda f: lambda *xs: False), ("torch",),
    ),
    planted(
        "torch: the fast slope doubled", "gradient: scaled by 2",
        attribute("torch", "first_order", slope_doubled), ("torch",),
    ),
    planted(
        "tensorflow: connected gradients alone", "gradient is lost",
        attribute("tensorflow", "vjp", lambda f: lambda g, x: (g(x), lambda u: (0 * u,))),
        ("tensorflow",), thing=SMOOTH, mode="grad of grad",
    ),
    planted(
        "jax: jvp with the wrong sign", "second derivative: the sign is flipped",
        attribute("jax", "jvp", lambda jvp: lambda f, x, t: (jvp(f, x, t)[0], -jvp(f, x, t)[1])),
        ("jax",), thing=SMOOTH, mode="jvp of grad",
    ),
    planted("torch: script", r"gradient: scaled by 0\.5", script_without_detach, ("torch",),
            mode="jit.script"),
    planted(
        "torch: the native twin drops upstream", "native twin: ", twin_without_upstream, ("torch",),
    ),
    planted(
        "core: no guard", "NaN where x is infinite or NaN", in_the_definition(guard_forgotten),
    ),
    planted(
        "core: the slope squared", "gradient: another slope", in_the_definition(slope_squared),
    ),
    planted(
        "core: nodes at the end", "second derivative: scaled by 2", nodes_at_the_end,
        thing=SMOOTH, mode="grad of grad",
    ),
]  # fmt: skip

FAULTS = {
    fault.name: fault
    for fault in (*SLOPES, *VALUES, *ARITHMETIC, *KINDS, *FOREIGN, *BACKENDS)
}  # fmt: skip


# What is right, written in the same ways: a check that finds fault with it is a false alarm.


def by_inject(x: Any) -> Any:
    return fgi.inject(x, step(x), gaussian)


def by_rule() -> Any:
    return fgi.custom_jvp(step, lambda primals, tangents: gaussian(primals[0]) * tangents[0])


HONEST: dict[str, Callable[[], Any]] = {
    "surrogate": with_slope(gaussian),
    "inject": lambda: by_inject,
    "custom_jvp": by_rule,
    "native": SPIKE.native,
    "mechanisms": lambda: {name: make(right) for name, make in STEPS.items() if name in INSTALLED},
}
