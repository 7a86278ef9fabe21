"""Compiled, the value of a surrogate is f(x) alone: no slope is computed for it.

``y - y`` is no constant for a compiler, so that arithmetic alone has the slope in the value; see
``fast`` in each backend. What the derivatives are is tested wherever derivatives are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks
from support.frameworks import to_framework, to_numpy

AUTODIFF = frameworks.INSTALLED_AUTODIFF
X = np.array([-1.5, -0.2, 0.0, 0.3, 2.0, np.inf, np.nan])
U = np.array([2.0, -1.0, 0.5, 3.0, -4.0, 1.0, 2.0])

# exp(-x^2 / 2), in the value of which nothing has an exponential.
SPIKE = fgi.surrogates.Gaussian()
FORMS: dict[str, Callable[[Any], Any]] = {
    "surrogate": SPIKE,
    "order=4": SPIKE.replace(order=4),
    "through the primitive": SPIKE.replace(through="primitive"),
    "bypass": lambda x: fgi.bypass(x > 0, fgi.namespace(x).exp(-x)),
}
SLOPES = {"exp", "erf", "erfc", "exponential"}


def in_aot(f: Callable[[Any], Any], see: Callable[[Any], None]) -> Callable[[Any], Any]:
    """``f`` compiled; ``see`` is shown what the forward graph of a training step returns."""
    torch = frameworks.load("torch")
    from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
    from torch._dynamo.backends.common import aot_autograd

    from fgi_backends.torch.transforms import with_own_code

    def forward(graph: Any, inputs: Any) -> Any:
        (results,) = (node.args[0] for node in graph.graph.nodes if node.op == "output")
        see(results)
        return make_boxed_func(graph.forward)

    backend = aot_autograd(
        fw_compiler=forward,
        bw_compiler=lambda graph, inputs: make_boxed_func(graph.forward),
        partition_fn=min_cut_rematerialization_partition,
    )
    compiled: Callable[[Any], Any] = torch.compile(
        with_own_code(lambda x: f(x)), fullgraph=True, backend=backend
    )
    return compiled


def in_torch(f: Callable[[Any], Any]) -> list[str]:
    """What the value needs in the forward graph of a training step."""
    torch = frameworks.load("torch")
    found: list[str] = []

    def see(results: Any) -> None:
        wanted = [results[0]]
        while wanted:
            node = wanted.pop()
            found.append(str(node.target).removeprefix("aten.").partition(".")[0])
            # Of a copy only what is copied counts, not what was there before.
            copied = node.target is torch.ops.aten.copy.default
            wanted += [node.args[1]] if copied else node.all_input_nodes

    x = to_framework("torch", X).requires_grad_()
    in_aot(f, see)(x).backward(to_framework("torch", U))
    return found


def in_jax(f: Callable[[Any], Any]) -> list[str]:
    jax = frameworks.load("jax")
    return in_hlo(jax.jit(lambda x: f(x)).lower(to_framework("jax", X)).compile().as_text())


def in_tensorflow(f: Callable[[Any], Any]) -> list[str]:
    tf = frameworks.load("tensorflow")
    compiled = tf.function(lambda x: f(x), jit_compile=True, autograph=False)
    return in_hlo(
        compiled.experimental_get_compiler_ir(to_framework("tensorflow", X))("optimized_hlo")
    )


def in_hlo(program: str) -> list[str]:
    return re.findall(r" ([a-z-]+)\(", program)


OPERATIONS = {"torch": in_torch, "jax": in_jax, "tensorflow": in_tensorflow}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_no_slope_in_the_compiled_value(framework: str, form: str) -> None:
    operations = OPERATIONS[framework]
    assert SLOPES & set(operations(SPIKE.derivative)), "nothing would be found"
    found = operations(FORMS[form])
    assert found
    assert not SLOPES & set(found)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_injection_is_arithmetic_everywhere(framework: str) -> None:
    """For what reads a program and knows the framework's own operations only."""
    found = OPERATIONS[framework](lambda x: fgi.inject(x, x > 0, SPIKE.derivative))
    assert SLOPES & set(found)
    assert len(found) > len(OPERATIONS[framework](SPIKE))
    if framework == "jax":
        jax = frameworks.load("jax")
        program = str(jax.make_jaxpr(lambda x: fgi.inject(x, x > 0, SPIKE.derivative))(1.0))
        assert "assume_value" not in program
        assert "assume_value" in str(jax.make_jaxpr(SPIKE)(1.0))


def test_derivatives_along_a_line_in_jax() -> None:
    """``jet`` takes no notice of JAX's own custom rules, and would have found zeros."""
    jax = pytest.importorskip("jax")
    from jax.experimental.jet import jet

    slope = np.exp(-(0.5**2) / 2)
    for spike, bend in (SPIKE, 0.0), (SPIKE.replace(order=4), -0.5 * slope):
        for f in (spike, jax.jit(spike)):
            y, (first, second) = jet(f, (0.5,), ((1.0, 0.0),))
            np.testing.assert_allclose([y, first, second], [1, slope, bend], rtol=1e-6)


def test_only_x_is_kept_for_the_backward_pass_in_jax() -> None:
    jax = pytest.importorskip("jax")
    x, u = to_framework("jax", X), to_framework("jax", U)
    _, pullback = jax.jit(lambda x: jax.vjp(SPIKE, x))(x)
    (kept,) = jax.tree.leaves(pullback)
    np.testing.assert_array_equal(kept, x)
    finite = np.isfinite(X)
    expected = np.where(finite, U * np.exp(-(np.where(finite, X, 0) ** 2) / 2), 0)
    np.testing.assert_allclose(pullback(u)[0], expected, rtol=1e-6)


STEPS = {
    "a number": (fgi.surrogates.GradientReversal(alpha=0.5), lambda x: np.full_like(x, -0.5)),
    "one piece": (fgi.surrogates.Rectangle(low=-0.5, high=0.5), lambda x: 1.0 * (abs(x) < 0.5)),
    "smooth": (SPIKE, lambda x: np.exp(-(x**2) / 2)),
}


@pytest.mark.parametrize("name", STEPS)
def test_only_x_is_kept_for_the_backward_pass_in_torch_on_a_cpu(name: str) -> None:
    """Not where it is finite or inside: booleans, which compiled code writes slowly."""
    pytest.importorskip("torch")
    spike, slope = STEPS[name]
    kept: list[Any] = []
    x = to_framework("torch", X).requires_grad_()
    y = in_aot(spike, lambda results: kept.extend(results[1:]))(x)
    y.backward(to_framework("torch", U))
    # A detached x is x again.
    torch = frameworks.load("torch")
    origins = [n.args[0] if n.target is torch.ops.aten.detach.default else n for n in kept]
    assert [node.op for node in origins] == ["placeholder"] * len(kept)
    np.testing.assert_array_equal(y.detach(), spike(to_framework("torch", X)))
    finite = np.isfinite(X)
    expected = np.where(finite, U * slope(np.where(finite, X, 0)), 0)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6)


@fgi.surrogate
def cosine(x: Any, alpha: Any = fgi.positive(1.0)) -> Any:
    return fgi.namespace(x).cos(alpha * x)


COSINE = cosine()


def compiled(framework: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """By XLA where that is the choice."""
    if framework != "tensorflow":
        return fgi.compile
    tf = frameworks.load("tensorflow")
    return lambda f: tf.function(f, autograph=False, jit_compile=True)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("framework", [name for name in AUTODIFF if name != "torch"])
def test_where_the_slope_is_nan_and_what_comes_in_is_huge(framework: str, inside: bool) -> None:
    """cos(inf) is NaN; the tape, or transform, inside or outside of what is compiled."""
    finite, largest = np.isfinite(X), float(np.finfo(np.float32).max)
    x, xp = to_framework(framework, X), frameworks.backend(framework)
    u = to_framework(framework, np.where(finite, U, largest))
    f = COSINE if inside else compiled(framework)(COSINE)
    around = compiled(framework) if inside else lambda g: g

    def slope(x: Any) -> Any:
        return fgi.vjp(f, x)[1](u)[0]

    def along(x: Any) -> Any:
        return fgi.jvp(f, (x,), (u,))[1]

    def bend(x: Any) -> Any:
        return fgi.grad(lambda x: xp.sum(slope(x)))(x)

    expected = np.where(finite, U * np.cos(np.where(finite, X, 0)), 0)
    np.testing.assert_array_equal(to_numpy(framework, around(f)(x)), X > 0)
    for derivative in slope, along:
        got = to_numpy(framework, around(derivative)(x))
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(framework, around(bend)(x)), np.zeros_like(X))


@pytest.mark.parametrize("inside", [True, False])
def test_a_tape_finds_zero_for_the_second_derivative_and_not_nothing(inside: bool) -> None:
    tf = pytest.importorskip("tensorflow")
    by_xla = compiled("tensorflow")
    f, around = (COSINE, by_xla) if inside else (by_xla(COSINE), lambda g: g)

    def bend(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = f(x)
            slope = inner.gradient(y, x, to_framework("tensorflow", U))
        return outer.gradient(slope, x)

    found = around(bend)(to_framework("tensorflow", X))
    np.testing.assert_array_equal(to_numpy("tensorflow", found), np.zeros_like(X))


@pytest.mark.parametrize("framework", AUTODIFF)
def test_parameters_of_the_gradient_where_x_is_not_finite(framework: str) -> None:
    """d/dalpha of u cos(alpha x) is 0 there, and has inf * sin(inf) in it."""
    x, u, xp = to_framework(framework, X), to_framework(framework, U), frameworks.backend(framework)
    inside = np.isfinite(X)
    finite = np.where(inside, X, 0)
    expected = np.where(inside, -U * finite * np.sin(2 * finite), 0).sum()

    def loss(alpha: Any) -> Any:
        return xp.sum(fgi.vjp(COSINE.replace(alpha=alpha), x)[1](u)[0])

    got = compiled(framework)(lambda alpha: fgi.grad(loss)(alpha))(
        to_framework(framework, np.array(2.0))
    )
    np.testing.assert_allclose(to_numpy(framework, got), expected, rtol=1e-5)


def test_rows_of_one_of_two_arguments_in_jax() -> None:
    jax = pytest.importorskip("jax")
    xp = frameworks.backend("jax")
    rows, one = to_framework("jax", np.arange(6.0).reshape(3, 2)), to_framework("jax", np.ones(2))
    for axes, arguments in ((0, None), (rows, one)), ((None, 0), (one, rows)):
        y = jax.jit(jax.vmap(xp.assume_value, in_axes=axes))(*arguments)
        np.testing.assert_array_equal(y, np.broadcast_to(arguments[1], (3, 2)))


@pytest.mark.parametrize("framework", AUTODIFF)
def test_gradients_are_those_of_the_arithmetic(framework: str) -> None:
    """Compiled forward and backward, twice over, against ``inject``, to the last bit."""
    x, u = to_framework(framework, X), to_framework(framework, U)
    spike = SPIKE.replace(order=2)
    plain = lambda x: fgi.inject(x, x > 0, SPIKE.derivative, order=2)  # noqa: E731

    def both(f: Callable[[Any], Any]) -> list[Any]:
        def slope(x: Any) -> Any:
            return fgi.grad(lambda x: fgi.namespace(x).sum(f(x) * u))(x)

        def bend(x: Any) -> Any:
            return fgi.grad(lambda x: fgi.namespace(x).sum(slope(x) * u))(x)

        return [to_numpy(framework, fgi.compile(g)(x)) for g in (f, slope, bend)]

    for got, expected in zip(both(spike), both(plain), strict=True):
        np.testing.assert_array_equal(got, expected)
