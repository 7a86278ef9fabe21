"""Derivatives by every composition that a framework has, of programs with every kind of loop.

A program is a spiking neuron with weights w, whose last voltage is asked for:

    v_0 = 0,   v_t = v_(t-1) / 2 + a_t.w - s(v_(t-1))

``PROGRAMS[framework][name](s)`` is that as a function of w. ``WAYS[framework][name](f, w, v)`` is
what it gives of its second derivative H, by how many axes it has: H, H v, or v.H v; ``FIRST`` has
the gradient, or its product with v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fgi

from .frameworks import INSTALLED, backend, load, to_framework

Numpy = np.ndarray[Any, Any]
Scalar = Callable[[Any], Any]
Program = Callable[[Scalar], Scalar]
Way = Callable[[Scalar, Any, Any], Any]

INPUTS = np.array([[0.7, -0.4, 0.9], [-1.2, 0.8, 0.3], [0.5, 1.1, -0.6], [0.2, -0.9, 1.3]])
STEPS = len(INPUTS)  # torch.compile would take the array for a tensor of the program
W = np.array([0.6, -0.8, 1.1])
V = np.array([2.0, -1.0, 0.5])
BASIS = np.eye(3)


def by_hand(value: Any, slope: Any, curvature: Any) -> tuple[float, Numpy, Numpy]:
    """The last voltage, its gradient and its second derivative, by the recursion they follow."""
    v, dv, ddv = 0.0, np.zeros(3), np.zeros((3, 3))
    for a in INPUTS:
        ddv = (0.5 - slope(v)) * ddv - curvature(v) * np.outer(dv, dv)
        dv = (0.5 - slope(v)) * dv + a
        v = 0.5 * v + a @ W - value(v)
    return v, dv, ddv


def _step(s: Scalar) -> Callable[[Any, Any, Any], Any]:
    return lambda v, a, w: 0.5 * v + fgi.namespace(w).sum(a * w) - s(v)


def _programs(framework: str) -> dict[str, Program]:
    module, xp = load(framework), backend(framework)
    inputs = to_framework(framework, INPUTS)

    def loop(s: Scalar, wrap: Callable[[Any], Any] = lambda step: step) -> Scalar:
        step = wrap(_step(s))

        def f(w: Any) -> Any:
            v = 0 * xp.sum(w)
            for t in range(STEPS):
                v = step(v, inputs[t], w)
            return v

        return f

    def scan(s: Scalar) -> Scalar:
        step = _step(s)

        def f(w: Any) -> Any:
            return fgi.scan(lambda v, a: (step(v, a, w), ()), 0 * xp.sum(w), inputs)[0]

        return f

    def while_loop(s: Scalar) -> Scalar:
        step = _step(s)

        def f(w: Any) -> Any:
            start = 0 * xp.sum(w)
            if framework == "jax":
                return module.lax.while_loop(
                    lambda carry: carry[0] < STEPS,
                    lambda carry: (carry[0] + 1, step(carry[1], inputs[carry[0]], w)),
                    (0, start),
                )[1]
            if framework == "tensorflow":
                return module.while_loop(
                    lambda t, v: t < STEPS,
                    lambda t, v: (t + 1, step(v, inputs[t], w)),
                    (0, start),
                )[1]
            t, v = 0, start
            while t < STEPS:
                t, v = t + 1, step(v, inputs[t], w)
            return v

        return f

    rematerialise: dict[str, Callable[[Any], Any]] = {
        "torch": lambda step: (
            lambda *args: module.utils.checkpoint.checkpoint(step, *args, use_reentrant=False)
        ),
        "jax": lambda step: module.checkpoint(step),
        "tensorflow": lambda step: module.recompute_grad(step),
    }
    return {
        "loop": loop,
        "scan": scan,
        "while loop": while_loop,
        "rematerialised": lambda s: loop(s, rematerialise[framework]),
    }


def _forward(f: Scalar, v: Any) -> Scalar:
    return lambda w: fgi.jvp(f, (w,), (v,))[1]


COMMON: dict[str, Way] = {
    "grad of jvp": lambda f, w, v: fgi.grad(_forward(f, v))(w),
    "jvp of grad": lambda f, w, v: _forward(fgi.grad(f), v)(w),
    "grad of grad": lambda f, w, v: fgi.grad(lambda w: fgi.namespace(w).sum(v * fgi.grad(f)(w)))(w),
    "jvp of jvp": lambda f, w, v: _forward(_forward(f, v), v)(w),
}


def _vmapped(vmap: Callable[[Callable[[Any], Any], Any], Any], basis: Any) -> dict[str, Way]:
    names = ("grad of jvp", "jvp of grad")

    def over_basis(way: Way) -> Way:
        return lambda f, w, v: vmap(lambda e: way(f, w, e), basis)

    return {f"vmap of {name}": over_basis(COMMON[name]) for name in names}


def torch_ways() -> dict[str, Way]:
    torch = load("torch")
    func, autograd = torch.func, torch.autograd

    def nested_backward(f: Scalar, w: Any, v: Any) -> Any:
        w = w.clone().requires_grad_()
        (dw,) = autograd.grad(f(w), w, create_graph=True)
        return autograd.grad(dw, w, v)[0]

    def dual(f: Scalar, w: Any, v: Any) -> Any:
        with autograd.forward_ad.dual_level():
            dw = func.grad(f)(autograd.forward_ad.make_dual(w, v))
            return autograd.forward_ad.unpack_dual(dw).tangent

    return {
        **COMMON,
        **_vmapped(lambda f, basis: func.vmap(f)(basis), torch.tensor(BASIS)),
        "func.hessian": lambda f, w, v: func.hessian(f)(w),
        "jacrev of jacrev": lambda f, w, v: func.jacrev(func.jacrev(f))(w),
        "jacrev of jacfwd": lambda f, w, v: func.jacrev(func.jacfwd(f))(w),
        "jacfwd of jacfwd": lambda f, w, v: func.jacfwd(func.jacfwd(f))(w),
        "linearize of grad": lambda f, w, v: func.linearize(func.grad(f), w)[1](v),
        "backward of backward": nested_backward,
        "forward AD of grad": dual,
        "autograd.functional.hessian": lambda f, w, v: autograd.functional.hessian(f, w),
        "autograd.functional.hvp": lambda f, w, v: autograd.functional.hvp(f, w, v)[1],
    }


def jax_ways() -> dict[str, Way]:
    jax = load("jax")
    from jax.experimental import jet

    def by_jet(f: Scalar, w: Any, v: Any) -> Any:
        return jet.jet(f, (w,), ((v, 0 * v),))[1][1]

    return {
        **COMMON,
        **_vmapped(lambda f, basis: jax.vmap(f)(basis), jax.numpy.asarray(BASIS)),
        "hessian": lambda f, w, v: jax.hessian(f)(w),
        "jacrev of jacrev": lambda f, w, v: jax.jacrev(jax.jacrev(f))(w),
        "jacrev of jacfwd": lambda f, w, v: jax.jacrev(jax.jacfwd(f))(w),
        "jacfwd of jacfwd": lambda f, w, v: jax.jacfwd(jax.jacfwd(f))(w),
        "linearize of grad": lambda f, w, v: jax.linearize(jax.grad(f), w)[1](v),
        "jet": by_jet,
    }


def tensorflow_ways() -> dict[str, Way]:
    tf = load("tensorflow")

    def nested_tapes(f: Scalar, w: Any, v: Any, whole: bool = False) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(w)
            with tf.GradientTape() as inner:
                inner.watch(w)
                y = f(w)
            dw = inner.gradient(y, w)
        return outer.jacobian(dw, w) if whole else outer.gradient(dw, w, v)

    def one_persistent_tape(f: Scalar, w: Any, v: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(w)
            y = tf.reduce_sum(v * tape.gradient(f(w), w))
        return tape.gradient(y, w)

    def accumulator_over_tape(f: Scalar, w: Any, v: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(w, v) as accumulator:
            with tf.GradientTape() as tape:
                tape.watch(w)
                y = f(w)
            dw = tape.gradient(y, w)
        return accumulator.jvp(dw)

    def tape_over_accumulator(f: Scalar, w: Any, v: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(w)
            with tf.autodiff.ForwardAccumulator(w, v) as accumulator:
                y = f(w)
            dy = accumulator.jvp(y)
        return tape.gradient(dy, w)

    return {
        **COMMON,
        **_vmapped(tf.vectorized_map, tf.constant(BASIS)),
        "nested tapes": nested_tapes,
        "one persistent tape": one_persistent_tape,
        "jacobian of a tape": lambda f, w, v: nested_tapes(f, w, v, whole=True),
        "accumulator over tape": accumulator_over_tape,
        "tape over accumulator": tape_over_accumulator,
    }


def _compiled(framework: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if framework != "torch":
        return fgi.compile
    torch = load("torch")

    def whole(f: Callable[..., Any]) -> Callable[..., Any]:
        torch._dynamo.reset()
        compiled: Callable[..., Any] = torch.compile(f, fullgraph=True, backend="aot_eager")
        return compiled

    return whole


_WAYS = {"torch": torch_ways, "jax": jax_ways, "tensorflow": tensorflow_ways}
WAYS: dict[str, dict[str, Way]] = {
    name: make() for name, make in _WAYS.items() if name in INSTALLED
}
PROGRAMS: dict[str, dict[str, Program]] = {name: _programs(name) for name in WAYS}
COMPILED = {name: _compiled(name) for name in WAYS}
FIRST: dict[str, Way] = {
    "grad": lambda f, w, v: fgi.grad(f)(w),
    "jvp": lambda f, w, v: _forward(f, v)(w),
}


def derivative(framework: str, program: str, way: str, s: Scalar, compiled: bool) -> Any:
    f = PROGRAMS[framework][program](s)
    run = {**FIRST, **WAYS[framework]}[way]
    w, v = (to_framework(framework, a) for a in (W, V))

    def whole(w: Any, v: Any) -> Any:
        return run(f, w, v)

    return (COMPILED[framework](whole) if compiled else whole)(w, v)
