"""Faults, as data: what is planted where, and what ``fgi.testing.check`` has to say about it.

Each is one fault: in a surrogate that a user wrote, in foreign code, in a backend, in the core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.injection import expansion, fast, inject_as_published, quadrature

from .frameworks import AUTODIFF, INSTALLED, backend, load

Function = Callable[[Any], Any]
Plant = Callable[[pytest.MonkeyPatch], None]


def nothing(patch: pytest.MonkeyPatch) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """One fault and its sentence in the report."""

    name: str
    says: str
    """A regular expression that the description of each failing row fits."""
    things: Callable[[], Any]
    like: fgi.Surrogate | None = None
    frameworks: tuple[str, ...] = AUTODIFF
    """Where it is; in the others everything has to be right."""
    mode: str = "eager"
    """Where it shows; in eager mode, if that is another, everything has to be right."""
    dtype: str = "float32"
    status: str = "differs"
    plant: Plant = nothing


SPIKE = fgi.surrogates.Gaussian(sigma=0.5)
"""What most of the faulty ones below should have been: g'(x) = exp(-2 x^2)."""
ATAN = fgi.surrogates.ATan(alpha=2.0)
"""g'(x) = 1 / (1 + (pi x)^2)"""
SMOOTH = fgi.surrogates.Sigmoid(alpha=4.0, order=2)


def exp(x: Any) -> Any:
    return fgi.namespace(x).exp(x)


def gaussian(x: Any) -> Any:
    return exp(-2 * x * x)


def with_slope(slope: Function) -> Callable[[], fgi.Surrogate]:
    return fgi.surrogate(slope)


def with_value(forward: Function) -> Callable[[], fgi.Surrogate]:
    return lambda: SPIKE.replace(forward=forward)


def step(x: Any) -> Any:
    """The step as an array of the dtype of x."""
    xp = fgi.namespace(x)
    return xp.astype(xp.stop_gradient(x) > 0, x.dtype)


# Slopes that a user got wrong.


def flipped(x: Any) -> Any:
    return -gaussian(x)


def doubled(x: Any) -> Any:
    return 2 * gaussian(x)


def a_thousandth(x: Any) -> Any:
    return 1.001 * gaussian(x)


def wider(x: Any) -> Any:
    return exp(-1.9 * x * x)


def frozen_at_zero(x: Any) -> Any:
    return exp(0 * x)


def float32_constant(x: Any) -> Any:
    y = float(np.float32(np.pi)) * x
    return 1 / (1 + y * y)


def float32_cast(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.astype(gaussian(xp.astype(x, xp.float32)), x.dtype)


def bfloat16_cast(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.astype(xp.astype(gaussian(x), xp.dtype("bfloat16")), x.dtype)


def cancelling(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(abs(x) < 1, (1 + xp.cos(np.pi * x)) / 2, 0.0)


def nan_in_a_tail(x: Any) -> Any:
    return exp(-x) / ((1 + exp(-x)) * (1 + exp(-x)))


def overflowing(x: Any) -> Any:
    y = 1 + abs(x)
    return y * y / (y * y * y * y)


def cut_off(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(abs(x) < 2, gaussian(x), xp.zeros_like(x))


def without_abs(x: Any) -> Any:
    xp = fgi.namespace(x)
    # As 1 / (1 + |x|)^2, but for x < 0; nowhere 0 / 0.
    y = xp.where(x < 0, 1 - x / 2, 1 + x)
    return 1 / (y * y)


def halved_where_positive(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(x > 0, gaussian(x) / 2, gaussian(x))


def shifted(x: Any) -> Any:
    return gaussian(x - 0.001)


def pole(x: Any) -> Any:
    xp = fgi.namespace(x)
    s = xp.sin(x) / x  # 0 / 0 at 0
    return gaussian(x) * s / s


def odd_one_out(x: Any) -> Any:
    """Wrong at one kink alone, x = 1/2."""
    xp = fgi.namespace(x)
    return xp.where(x == 0.5, xp.zeros_like(x), gaussian(x))


SLOPES = [
    Fault("slope: sign", "the sign is flipped", with_slope(flipped), SPIKE),
    Fault("slope: factor", "scaled by 2", with_slope(doubled), SPIKE),
    Fault("slope: a thousandth too much", r"scaled by 1\.001", with_slope(a_thousandth), SPIKE),
    Fault("slope: width", "another slope", with_slope(wider), SPIKE),
    Fault("slope: constant", "another slope", with_slope(frozen_at_zero), SPIKE),
    Fault("slope: shifted", "another slope", with_slope(shifted), SPIKE),
    Fault(
        "slope: a difference of nearly equal numbers",
        "digits are lost beside a kink, such as x = -?(0.9|1.0)", with_slope(cancelling),
    ),
    Fault(
        "slope: pi in float32", "as exact as float32", with_slope(float32_constant), ATAN,
        dtype="float64",
    ),
    Fault(
        "slope: computed in float32", "as exact as float32", with_slope(float32_cast), SPIKE,
        dtype="float64",
    ),
    Fault("slope: rounded to bfloat16", "as exact as 16 bits", with_slope(bfloat16_cast), SPIKE),
    Fault(
        "slope: closed at its ends", r"off at kinks alone, such as x = -?0\.5",
        lambda: fgi.surrogates.Rectangle(closed="both"), fgi.surrogates.Rectangle(),
    ),
    Fault(
        "slope: one kink", r"off at kinks alone, such as x = 0\.5", with_slope(odd_one_out), SPIKE,
    ),
    Fault(
        "slope: NaN in a tail", r"not finite where \|x\| is large: something on the way overflows",
        with_slope(nan_in_a_tail), fgi.surrogates.Sigmoid(alpha=1.0),
    ),
    Fault(
        "slope: overflow", r"not finite where \|x\| is large: something on the way overflows",
        with_slope(overflowing), fgi.surrogates.FastSigmoid(alpha=1.0),
    ),
    Fault("slope: cut off", r"zero in the tails, from \|x\| = 2", with_slope(cut_off), SPIKE),
    Fault(
        "slope: wrong side", "wrong for negative x alone", with_slope(without_abs),
        fgi.surrogates.FastSigmoid(alpha=1.0),
    ),
    Fault(
        "slope: half on one side", "wrong for positive x alone",
        with_slope(halved_where_positive), SPIKE,
    ),
    Fault("slope: 0 / 0 at 0", r"not finite: 0 / 0", with_slope(pole), SPIKE),
]  # fmt: skip


# Values.


def one_ulp_more(x: Any) -> Any:
    xp = fgi.namespace(x)
    return step(x) * (1 + float(xp.finfo(x.dtype).eps))


def sigmoidal(x: Any) -> Any:
    xp = fgi.namespace(x)
    return 0.5 + 0.5 * xp.tanh(xp.stop_gradient(x))


def nan_at_infinity(x: Any) -> Any:
    return step(x) + 0 * fgi.namespace(x).stop_gradient(x)


VALUES = [
    Fault("value: one ulp more", "value: the value is not exact", with_value(one_ulp_more), SPIKE),
    Fault(
        "value: 1 at 0", "value: off at kinks alone, such as x = -?0",
        with_value(fgi.Heaviside(at_zero=1)), SPIKE,
    ),
    Fault(
        "value: 1/2 at 0", "value: off at kinks alone, such as x = -?0",
        with_value(fgi.Heaviside(at_zero=0.5)), SPIKE,
    ),
    Fault(
        "value: another threshold", "value: wrong for positive x alone",
        with_value(fgi.Heaviside(threshold=0.1)), SPIKE,
    ),
    Fault(
        "value: the sign", "value: wrong for negative x alone",
        with_value(fgi.Sign(at_zero=0)), SPIKE,
    ),
    Fault("value: a sigmoid", "value: another value", with_value(sigmoidal), SPIKE),
    Fault("value: NaN at infinity", "value: NaN where x is infinite", with_value(nan_at_infinity),
          SPIKE),
]  # fmt: skip


# Arithmetic with stop gradients, written by hand.


def folk_step(x: Any) -> Any:
    """x + sg(f - x), the estimator that everybody writes."""
    xp = fgi.namespace(x)
    return x + xp.stop_gradient(step(x) - x)


def folk_round(x: Any) -> Any:
    xp = fgi.namespace(x)
    return x + xp.stop_gradient(xp.round(x / 0.3) * 0.3 - x)


def as_published(x: Any) -> Any:
    return inject_as_published(x, step(x), 25 + 0 * fgi.namespace(x).stop_gradient(x))


def steep(x: Any) -> Any:
    return 25 + 0 * x


def of_the_root(x: Any) -> Any:
    xp = fgi.namespace(x)
    return xp.where(x > 0, 0.5 / xp.sqrt(xp.where(x > 0, x, 1.0)), 0.0)


def frozen_twice(x: Any) -> Any:
    x0 = fgi.stop_gradient(x)
    return step(x) + gaussian(x0) * (x0 - fgi.stop_gradient(x0))


def not_frozen(x: Any) -> Any:
    xp = fgi.namespace(x)
    y = 1 + abs(xp.where(abs(x) <= float(xp.finfo(x.dtype).max), x, 0.0))
    return step(x) + 1 / (y * y) * fgi.tangent(x)


def seed_reversed(x: Any) -> Any:
    x0 = fgi.stop_gradient(x)
    return step(x) + gaussian(x0) * (x0 - x)


def unselected_branch(x: Any) -> Any:
    """The derivative of sqrt is NaN for x < 0, infinite at 0, and 0 times it NaN."""
    xp = fgi.namespace(x)
    root = xp.where(x > 0, xp.sqrt(x), 0.0)
    return fgi.bypass(step(x), root)


def in_the_dtype_of_x(x: Any) -> Any:
    """16 bits throughout: each operation rounds."""
    y = fgi.stop_gradient(x) * 3.140625
    return fgi.inject(x, step(x), 1 / (1 + y * y))


STRAIGHT = fgi.surrogates.StraightThrough(forward=fgi.heaviside)
ROOT = fgi.surrogate(of_the_root)()
STEEP = fgi.surrogate(steep)()

ARITHMETIC = [
    Fault("x + sg(f - x)", "value: the value is not exact", lambda: folk_step, STRAIGHT),
    Fault(
        "x + sg(round(x) - x)", r"value: (the value is not exact|not finite where \|x\| is large)",
        lambda: folk_round, fgi.surrogates.StraightThrough(forward=fgi.values.Round(step=0.3)),
    ),
    Fault(
        "the published form, float16", r"value: not finite where \|x\| is large: something on the "
        "way overflows", lambda: as_published, STEEP, dtype="float16",
    ),
    Fault(
        "the published form, float64", r"value: not finite where \|x\| is large",
        lambda: as_published, STEEP, dtype="float64",
    ),
    Fault("two stop gradients", "gradient: the gradient is lost", lambda: frozen_twice, SPIKE),
    Fault(
        "a seed with the wrong sign", "gradient: the sign is flipped", lambda: seed_reversed, SPIKE,
    ),
    Fault(
        "a branch that is not selected", "gradient: not finite: 0 / 0, or a branch",
        lambda: unselected_branch, ROOT, ("torch", "jax"),
    ),
    Fault(
        "16 bits throughout", "gradient: rounded more than once", lambda: in_the_dtype_of_x,
        ATAN, dtype="bfloat16",
    ),
    Fault(
        "the slope is not frozen", "a second derivative although order is 1: the slope is not",
        lambda: not_frozen, fgi.surrogates.FastSigmoid(alpha=1.0), mode="grad of grad",
    ),
    Fault(
        "order 1 for 2", "second derivative: the gradient is lost", lambda: SMOOTH.replace(order=1),
        SMOOTH, mode="jvp of grad",
    ),
]  # fmt: skip


# Dtypes, shapes, types.


def in_float32(x: Any) -> Any:
    xp = fgi.namespace(x)
    return SPIKE(xp.astype(x, xp.float32))


def column(x: Any) -> Any:
    return SPIKE(x)[:, None]


def summed(x: Any) -> Any:
    return fgi.namespace(x).sum(SPIKE(x))


def out_of_the_framework(x: Any) -> Any:
    return fgi.namespace(x).to_numpy(fgi.stop_gradient(SPIKE(x)))


def as_bool(x: Any) -> Any:
    return fgi.stop_gradient(x) > 0


def raising(x: Any) -> Any:
    raise ZeroDivisionError("a fault of its own")


def quadratic() -> Any:
    return fgi.custom_jvp(step, lambda primals, tangents: tangents[0] * tangents[0])


KINDS = [
    Fault(
        "always float32", "dtype: the dtype is changed: x is a float64 array .* f(.*) a float32",
        lambda: in_float32, SPIKE, dtype="float64",
    ),
    Fault(
        "always float32, of 16 bits", "dtype: the dtype is changed: x is a bfloat16 array",
        lambda: in_float32, SPIKE, dtype="bfloat16",
    ),
    Fault("a shape more", "shape: the shape is broadcast: x is", lambda: column, SPIKE),
    Fault("a sum", "shape: the shape is broadcast: x is", lambda: summed, SPIKE),
    Fault(
        "an array of NumPy", "type: .* expected an array of (torch|jax|tensorflow)",
        lambda: out_of_the_framework, SPIKE,
    ),
    Fault("booleans", "dtype: the dtype is changed: .* a bool array", lambda: as_bool, SPIKE),
    Fault("an exception", "ZeroDivisionError: a fault of its own", lambda: raising, SPIKE,
          status="error"),
    Fault(
        "a rule that is not linear", "is not linear in the tangents", quadratic, SPIKE,
        status="error",
    ),
]  # fmt: skip


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


def by_data(x: Any) -> Any:
    """``.data`` is no stop gradient: under torch.func it is of another level."""
    return step(x) + gaussian(x) * (x - x.data)


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
