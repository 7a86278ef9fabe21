"""Where no derivative can be asked for, f(x) alone is computed; and nowhere else."""

from __future__ import annotations

import threading
from itertools import chain
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
X = np.array([-1.0, 0.0, 0.25, np.inf, np.nan])


@pytest.fixture
def slopes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever a slope is computed or traced."""
    calls: list[int] = []
    slope = fgi.surrogates.ATan.slope

    def counted(self: Any, xp: Any, x: Any) -> Any:
        calls.append(1)
        return slope(self, xp, x)

    monkeypatch.setattr(fgi.surrogates.ATan, "slope", counted)
    return calls


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
def test_inference_mode(framework: str, slopes: list[int]) -> None:
    spike = fgi.surrogates.ATan()
    x = frameworks.to_framework(framework, X)
    with fgi.inference_mode():
        inside = (spike(x), fgi.inject(x, x > 0, x), fgi.bypass(x > 0, x))
        zero = fgi.tangent(x)
        assert not slopes
    outside = (spike(x), fgi.inject(x, x > 0, x), fgi.bypass(x > 0, x))
    assert not slopes
    for y in (*inside, *outside):
        got = frameworks.to_numpy(framework, y)
        assert got.dtype == X.dtype
        np.testing.assert_array_equal(got, [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(frameworks.to_numpy(framework, zero), np.zeros(5))


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_value_alone_where_nobody_differentiates(framework: str, slopes: list[int]) -> None:
    """Each framework knows it of an array at hand; and of one that it does differentiate."""
    spike = fgi.surrogates.ATan()
    x, u = (frameworks.to_framework(framework, a) for a in (X[:3], np.array([2.0, -3.0, 0.5])))
    expected = frameworks.to_numpy(framework, spike.derivative(x) * u)
    slopes.clear()
    for f in (spike, lambda x: fgi.inject(x, x > 0, spike.derivative(x)), fgi.bypass):
        if f is fgi.bypass:
            assert frameworks.to_numpy(framework, fgi.bypass(x > 0, x)).tolist() == [0, 0, 1]
            continue
        assert frameworks.to_numpy(framework, f(x)).tolist() == [0, 0, 1]
    assert len(slopes) == 1  # of the caller of inject
    for f in (spike, lambda x: spike(2 * x / 2), lambda x: spike(x + 0 * u)):
        y, pullback = fgi.vjp(f, x)
        assert frameworks.to_numpy(framework, y).tolist() == [0, 0, 1]
        got = frameworks.to_numpy(framework, pullback(u)[0])
        np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_a_parameter_that_is_differentiated(framework: str) -> None:
    """``x`` has no derivative, and y has one by what is learned and by the primitive's width."""
    at, weights = np.array([0.5, 2.5]), np.array([2.0, -3.0])
    x, u = (frameworks.to_framework(framework, a) for a in (at, weights))
    xp = fgi.namespace(x)

    def by_alpha(alpha: Any) -> Any:
        return xp.sum(fgi.surrogates.PACT(alpha=alpha)(x) * u)

    alpha = frameworks.to_framework(framework, np.array(1.0))
    # 1 where x >= alpha.
    assert frameworks.to_numpy(framework, fgi.grad(by_alpha)(alpha)) == -3.0

    def by_width(alpha: Any) -> Any:
        return xp.sum(fgi.surrogates.ATan(alpha=alpha, through="primitive")(x) * u)

    slope = at / (2 * (1 + (np.pi / 2 * at) ** 2))
    got = frameworks.to_numpy(framework, fgi.grad(by_width)(alpha))
    np.testing.assert_allclose(got, (slope * weights).sum(), rtol=1e-14)


def test_eager_tensorflow_knows_what_was_watched(slopes: list[int]) -> None:
    tf = pytest.importorskip("tensorflow")
    spike, x, y = fgi.surrogates.ATan(), tf.constant([-0.2, 0.3]), tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        spike(y)
        assert not slopes
        with tape.stop_recording():
            spike(x)
        assert not slopes
        spike(2 * x)
        assert len(slopes) == 1
    with tf.autodiff.ForwardAccumulator(x, y):
        spike(y)
        assert len(slopes) == 1
        spike(x)
        assert len(slopes) == 2
    variable = tf.Variable([0.5])
    with tf.GradientTape() as tape:
        spikes = spike(variable)
    assert tape.gradient(spikes, variable).numpy() > 0


def test_inference_mode_nests_restores_and_is_private_to_its_thread(slopes: list[int]) -> None:
    torch = pytest.importorskip("torch")
    spike, x = fgi.surrogates.ATan(), torch.tensor([1.0], requires_grad=True)

    def differentiable() -> bool:
        return bool(spike(x).requires_grad)

    with fgi.inference_mode():
        with fgi.inference_mode():
            assert not differentiable()
        assert not differentiable()
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(differentiable()))
        thread.start()
        thread.join()
        assert found == [True]
    assert differentiable()
    with pytest.raises(KeyError), fgi.inference_mode():
        raise KeyError
    assert differentiable()


def test_torch_without_gradients_computes_the_value_alone(slopes: list[int]) -> None:
    torch = pytest.importorskip("torch")
    spike, x = fgi.surrogates.ATan(), torch.tensor([-1.0, 2.0], requires_grad=True)
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            assert spike(x).tolist() == [0, 1]
    assert not slopes
    torch._dynamo.reset()
    compiled = torch.compile(spike, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert compiled(x).tolist() == [0, 1]
    assert not slopes
    # Another surrogate, as PyTorch computes no slope again, in one graph, that counts its calls.
    compiled = torch.compile(fgi.surrogates.Gaussian(), fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert not compiled(x).requires_grad
    assert compiled(x).requires_grad


def test_torch_transforms_differentiate_under_no_grad() -> None:
    torch = pytest.importorskip("torch")
    spike, x, u = fgi.surrogates.ATan(), torch.tensor([-0.2, 0.3]), torch.tensor([2.0, -3.0])
    expected = u * spike.derivative(x)
    forward_ad = torch.autograd.forward_ad

    def loss(x: Any) -> Any:
        return (spike(x) * u).sum()

    with torch.no_grad():
        torch.testing.assert_close(torch.func.grad(loss)(x), expected)
        torch.testing.assert_close(torch.func.jvp(spike, (x,), (u,))[1], expected)
        torch.testing.assert_close(torch.func.vjp(spike, x)[1](u)[0], expected)
        batched = torch.func.vmap(torch.func.grad(lambda x, u: spike(x) * u))
        torch.testing.assert_close(batched(x, u), expected)
        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(spike(forward_ad.make_dual(x, u)))
        torch.testing.assert_close(dual.tangent, expected)


def operations(framework: str, f: Any, x: Any) -> list[str]:
    """The names of the operations that tracing f leaves."""
    if framework == "torch":
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        with torch.no_grad():
            graph = make_fx(f)(x).graph
        return [str(node.target) for node in graph.nodes if node.op == "call_function"]
    if framework == "jax":
        import jax

        return [str(equation.primitive) for equation in jax.make_jaxpr(f)(x).eqns]
    import tensorflow as tf

    graph = tf.function(f).get_concrete_function(x).graph
    return [op.type for op in graph.get_operations() if op.type not in ("Placeholder", "Identity")]


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_graph_at_inference_is_that_of_f(framework: str) -> None:
    """And a stop gradient, as the result has no history whatever f is."""
    xp = frameworks.backend(framework)
    x = frameworks.to_framework(framework, X)
    with fgi.inference_mode(traced=True):
        ours = operations(framework, fgi.surrogates.ATan(), x)
    by_hand = operations(framework, lambda x: xp.astype(xp.stop_gradient(x) > 0, x.dtype), x)
    assert ours == by_hand
    assert by_hand


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_graph_in_training_is_that_of_the_formula(framework: str) -> None:
    """By hand: the expansion of Gaussian(), with the framework's own functions."""
    if framework == "torch":
        import torch

        def is_finite(x: Any) -> Any:
            return x.detach().abs() <= torch.finfo(x.dtype).max

        def by_hand(x: Any) -> Any:
            z = torch.where(is_finite(x), x, 0.0)
            x0 = z.detach()
            fx = (x.detach() > 0).to(x.dtype)
            slope = torch.exp(-0.5 * (x0 * x0))
            return fx - torch.where(is_finite(slope), slope, 0.0) * (x0 - z)

        def count(f: Any) -> list[str]:
            graph = torch.export.export(Wrapped(f), (x,)).graph
            return sorted(str(n.target) for n in graph.nodes if n.op == "call_function")

        class Wrapped(torch.nn.Module):
            def __init__(self, f: Any) -> None:
                super().__init__()
                self.f = f

            def forward(self, x: Any) -> Any:
                return self.f(x)

    elif framework == "jax":
        import jax
        import jax.numpy as jnp

        from fgi_backends.jax.private import PRIMITIVES

        def is_finite(x: Any) -> Any:
            return abs(jax.lax.stop_gradient(x)) <= float(jnp.finfo(x.dtype).max)

        # What tells JAX's compiler the value: see fgi_backends.jax.fast.
        def by_hand(x: Any) -> Any:
            assert PRIMITIVES is not None

            def product(d: Any, x: Any) -> Any:
                inside = is_finite(x)
                x0 = jnp.where(inside, x, 0.0)
                slope = jnp.exp(-0.5 * (x0 * x0))
                slope = jnp.where(is_finite(slope), slope, 0.0)
                return jnp.where(inside, slope * d, 0.0)

            y = PRIMITIVES.scale(x, jax.lax.stop_gradient(x), product)
            fx = (jax.lax.stop_gradient(x) > 0).astype(x.dtype)
            return PRIMITIVES.assume_value(y, fx)

        def count(f: Any) -> list[str]:
            equations = jax.make_jaxpr(f)(x).eqns
            (product,) = (e.params["product"] for e in equations if str(e.primitive) == "scale")
            inner = jax.make_jaxpr(product)(x, x).eqns
            return sorted(str(e.primitive) for e in chain(equations, inner))

    else:
        import tensorflow as tf

        def is_finite(x: Any) -> Any:
            return abs(tf.stop_gradient(x)) <= x.dtype.max

        def by_hand(x: Any) -> Any:
            zero = tf.zeros([], x.dtype)
            z = tf.where(is_finite(x), x, zero)
            x0 = tf.stop_gradient(z)
            slope = tf.exp(-0.5 * (x0 * x0))
            d = x0 - z
            d = d + tf.math.multiply_no_nan(tf.square(d), zero)  # keep_on_tape
            fx = tf.cast(tf.stop_gradient(x) > 0, x.dtype)
            return fx - tf.where(is_finite(slope), slope, zero) * d

        def count(f: Any) -> list[str]:
            names = operations("tensorflow", f, x)
            return sorted(name for name in names if name != "Const")

    x = frameworks.to_framework(framework, X)
    assert count(fgi.surrogates.Gaussian()) == count(by_hand)
