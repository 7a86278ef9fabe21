"""What is random, by the key of the call alone; and what changes nothing but the gradient."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.surrogates import (
    ATan,
    GradientReversal,
    GradientScale,
    RefractorySigmoid,
    Softplus,
    StochasticSpikeOperator,
    StraightThrough,
    preset,
)
from fgi.values.chance import Bernoulli, Logistic, StochasticRound, StochasticTernary
from support.frameworks import AUTODIFF, INSTALLED, load, numpy_dtype, to_framework, to_numpy

Numpy = np.ndarray[Any, Any]
Formula = Callable[[Numpy], Numpy]
INF, NAN = np.inf, np.nan
every_framework = pytest.mark.parametrize("framework", INSTALLED)
every_autodiff = pytest.mark.parametrize(
    "framework", [name for name in AUTODIFF if name in INSTALLED]
)


def s(z: Numpy) -> Numpy:
    return 1 / (1 + np.exp(-z))


def refractory(x: Numpy) -> Numpy:
    return np.maximum(np.cos(2 * np.pi * (x - 1)) * s(50 * (x - 1)), 0)


def ones(x: Numpy) -> Numpy:
    return np.ones_like(x)


# The surrogate; the probability of a spike, and the slope, from the sources.
SPIKES: list[tuple[Any, Formula, Formula]] = [
    (
        preset("norse.logistic", k=3.0),
        lambda x: 0.5 + 0.5 * np.tanh(3 * x),
        lambda x: 1 / np.cosh(3 * x) ** 2,
    ),
    (
        preset("norse.circ_dist", k=0.2),
        lambda x: 0.5 + 0.5 * x / np.sqrt(x**2 + 0.04),
        lambda x: 0.008 / (x**2 + 0.04) ** 1.5,
    ),
    (preset("spikingjelly.PoissonPass"), lambda x: np.clip(x, 0, 1), ones),
    (
        preset("spyx.sigmoid_bernoulli"),
        lambda x: 0.8 * s(10 * (x - 1)),
        lambda x: 0.8 * s(10 * (x - 1)),
    ),
    (preset("spyx.refractory_sigmoid_bernoulli"), refractory, refractory),
    (
        preset("stork.CustomSpike", surrogate_type="SuperSpike", escape_noise_type="sigmoid"),
        lambda x: s(10 * x),
        lambda x: 1 / (1 + 10 * abs(x)) ** 2,
    ),
    (
        preset("stork.CustomSpike", surrogate_type="sigmoid", escape_noise_type="exponential"),
        lambda x: np.minimum(0.01 * np.exp(x / 0.133), 1),
        lambda x: 10 * s(10 * x) * s(-10 * x),
    ),
    (preset("qkeras.bernoulli"), lambda x: s(6 * x), ones),
]
SPIKE_NAMES = [
    "norse.logistic", "norse.circ_dist", "PoissonPass", "sigmoid_bernoulli",
    "refractory_sigmoid_bernoulli", "CustomSpike(sigmoid)", "CustomSpike(exponential)",
    "qkeras.bernoulli",
]  # fmt: skip
every_spike = pytest.mark.parametrize(("spike", "p", "slope"), SPIKES, ids=SPIKE_NAMES)
RANDOM: list[Any] = [
    *(spike for spike, _, _ in SPIKES),
    preset("sinabs.StochasticRounding"),
    preset("qkeras.stochastic_binary"),
    preset("qkeras.stochastic_ternary"),
    preset("snntorch.SSO"),
]
X = np.array([-0.7, -0.3, -0.05, -0.0, 0.0, 0.02, 0.1, 0.4, 0.55, 0.9, 1.0, 1.1])
U = np.array([2.0, -1.0, 3.0, 0.5, -0.25, 4.0, -2.0, 5.0, 1.5, -6.0, 0.75, 7.0])


def numbers(shape: tuple[int, ...], seed: int = 3) -> Numpy:
    return np.random.default_rng(seed).random(shape)


def make_key(framework: str, seed: int = 5) -> Any:
    """A source of randomness of the framework's own."""
    module = load(framework)
    if framework == "torch":
        return module.Generator().manual_seed(seed)
    if framework == "jax":
        return module.random.key(seed)
    if framework == "tensorflow":
        return module.constant([seed, 7])
    return np.random.default_rng(seed)


@every_framework
@every_spike
def test_the_same_numbers_give_the_same_spikes(
    framework: str, spike: Any, p: Formula, slope: Formula
) -> None:
    x = np.repeat(X, 50)
    u = numbers(x.shape)
    # No number so near to the probability that the last bit of an exp decides.
    u = np.where(abs(u - p(x)) < 1e-6, u / 2, u)
    y = to_numpy(framework, spike(to_framework(framework, x), key=to_framework(framework, u)))
    np.testing.assert_array_equal(y, u < p(x))
    assert 0 < y.mean() < 1


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_other_dtypes(framework: str, dtype: str) -> None:
    spike = preset("norse.logistic", k=1.0)
    x = np.array([-20.0, -0.5, 0.0, 0.5, 20.0, INF, -INF, NAN]).astype(numpy_dtype(dtype))
    u = np.array([0.5, 0.1, 0.5, 0.7, 0.999, 0.999, 0.0, 0.0], np.float32)
    y = spike(to_framework(framework, x), to_framework(framework, u))
    assert to_numpy(framework, y).dtype == x.dtype
    # 0.5 is not less than the probability at 0; that at -inf is 0, and there is none at NaN.
    assert to_numpy(framework, y).tolist() == [0, 1, 0, 1, 1, 1, 0, 0]


@every_autodiff
@every_spike
def test_the_gradient_is_the_closed_form(
    framework: str, spike: Any, p: Formula, slope: Formula
) -> None:
    key = to_framework(framework, numbers(X.shape))
    _, pullback = fgi.vjp(lambda x: spike(x, key), to_framework(framework, X))
    (dx,) = pullback(to_framework(framework, U))
    # Next to a zero of the cosine, the difference of two roundings is all that is left.
    np.testing.assert_allclose(to_numpy(framework, dx), U * slope(X), rtol=1e-13, atol=1e-15)
    dx = spike.derivative(to_framework(framework, X), key)
    np.testing.assert_allclose(to_numpy(framework, dx), slope(X), rtol=1e-13, atol=1e-15)


@every_framework
@every_spike
def test_the_frequency_is_the_probability(
    framework: str, spike: Any, p: Formula, slope: Formula
) -> None:
    """The mean, and with it the variance p (1 - p), of 20,000 draws: within 5 standard errors."""
    draws = 20_000
    x = to_framework(framework, np.tile(X, (draws, 1)))
    y = to_numpy(framework, spike(x, key=make_key(framework)))
    assert set(np.unique(y)) <= {0, 1}
    error = np.sqrt(p(X) * (1 - p(X)) / draws)
    assert (abs(y.mean(axis=0) - p(X)) <= 5 * error + 1e-12).all()
    # The neurons do not spike together: no correlation between neighbours.
    both = p(X)[:-1] * p(X)[1:]
    got = (y[:, :-1] * y[:, 1:]).mean(axis=0)
    assert (abs(got - both) <= 5 * np.sqrt(both * (1 - both) / draws) + 1e-12).all()


@every_framework
def test_stochastic_rounding_has_the_mean_of_x(framework: str) -> None:
    spike = preset("sinabs.StochasticRounding")
    x_ = np.array([-2.75, -1.5, -0.1, 0.0, 0.3, 1.0, 7.9])
    draws = 20_000
    x = to_framework(framework, np.tile(x_, (draws, 1)))
    y = to_numpy(framework, spike(x, key=make_key(framework)))
    assert ((y == np.floor(x_)) | (y == np.floor(x_) + 1)).all()
    fraction = x_ - np.floor(x_)
    variance = fraction * (1 - fraction)
    assert (abs(y.mean(axis=0) - x_) <= 5 * np.sqrt(variance / draws)).all()
    # The variance of a variance of a Bernoulli variable: (1 - 4 v) v / n.
    bound = 5 * np.sqrt(abs(1 - 4 * variance) * variance / draws) + 25 * variance / draws
    assert (abs(y.var(axis=0) - variance) <= bound + 1e-12).all()


@every_framework
def test_stochastic_sign_and_ternary(framework: str) -> None:
    """As QKeras: the sign of p - r, and half the sum of two of these."""
    draws = 20_000
    x_ = np.array([-0.6, -0.33, -0.1, 0.0, 0.2, 0.33, 0.5])
    x = to_framework(framework, np.tile(x_, (draws, 1)))
    y = to_numpy(framework, preset("qkeras.stochastic_binary")(x, key=make_key(framework)))
    assert set(np.unique(y)) == {-1, 1}
    mean = 2 * s(6 * x_) - 1
    assert (abs(y.mean(axis=0) - mean) <= 5 * np.sqrt((1 - mean**2) / draws)).all()

    y = to_numpy(framework, preset("qkeras.stochastic_ternary")(x, key=make_key(framework)))
    assert set(np.unique(y)) == {-1, 0, 1}
    p0, p1 = s(8 * (x_ - 0.33)), s(8 * (x_ + 0.33))
    for level, p in ((1, p0 * p1), (-1, (1 - p0) * (1 - p1)), (0, p0 + p1 - 2 * p0 * p1)):
        frequency = (y == level).mean(axis=0)
        assert (abs(frequency - p) <= 5 * np.sqrt(p * (1 - p) / draws) + 1e-12).all()


def test_ternary_levels_by_hand() -> None:
    """At 0, each sign is +1 with s(-1) and s(1): both with 0.1966, neither with 0.1966."""
    value = StochasticTernary(alpha=1.0, threshold=1.0)
    u = np.array([0.0, 0.19, 0.2, 0.8, 0.81, 0.999])
    assert value(np.zeros(6), u).tolist() == [1, 1, 0, 0, -1, -1]
    assert value(np.array([NAN, INF, -INF]), np.full(3, 0.999)).tolist() == [0, 1, -1]


@every_framework
@pytest.mark.parametrize("spike", RANDOM, ids=repr)
def test_a_key_is_needed(framework: str, spike: Any) -> None:
    x = to_framework(framework, X)
    name = type(spike).__name__
    with pytest.raises(TypeError, match=rf"{name}: key is None; expected {framework}'s own key"):
        spike(x)
    with pytest.raises(TypeError, match=rf"{name}: key is a int; expected {framework}'s own"):
        spike(x, key=3)
    with pytest.raises(ValueError, match=r"in the shape of x, which is a float64 array of shape"):
        spike(x, key=to_framework(framework, numbers((3,))))
    with pytest.raises(TypeError, match="the surrogate is random"):
        spike.native()


@every_framework
def test_a_key_where_nothing_is_random(framework: str) -> None:
    x = to_framework(framework, X)
    with pytest.raises(TypeError, match=r"ATan: key is .*; expected none, nothing is random"):
        ATan()(x, key=make_key(framework))
    with pytest.raises(TypeError, match=r"Softplus: key is .*; expected none, nothing is random"):
        Softplus()(x, key=x)


@pytest.mark.parametrize("spike", RANDOM, ids=repr)
def test_equality_pickle_and_config(spike: Any) -> None:
    assert pickle.loads(pickle.dumps(spike)) == spike
    assert fgi.from_config(json.loads(json.dumps(spike.to_config()))) == spike
    assert hash(spike.replace()) == hash(spike)
    assert len({*RANDOM, spike}) == len(RANDOM)


@every_autodiff
@pytest.mark.parametrize("spike", RANDOM, ids=repr)
def test_compiled_with_the_numbers(framework: str, spike: Any) -> None:
    """fullgraph in PyTorch, jit in JAX, XLA in TensorFlow: the spikes and gradients of eager."""
    x, u, w = (to_framework(framework, a) for a in (X, numbers(X.shape), U))

    def both(x: Any, u: Any, w: Any) -> Any:
        y, pullback = fgi.vjp(lambda x: spike(x, key=u), x)
        return y, pullback(w)[0]

    expected = [to_numpy(framework, part) for part in both(x, u, w)]
    module = load(framework)
    if framework == "torch":
        module._dynamo.reset()
        x.requires_grad_()
        y = module.compile(spike, fullgraph=True)(x, key=u)
        got = (y.detach(), module.autograd.grad(y, x, w)[0])
    elif framework == "jax":
        got = module.jit(both)(x, u, w)
    else:
        got = module.function(both, jit_compile=True)(x, u, w)
    np.testing.assert_array_equal(to_numpy(framework, got[0]), expected[0])
    np.testing.assert_allclose(to_numpy(framework, got[1]), expected[1], rtol=1e-13, atol=1e-15)


@pytest.mark.skipif("jax" not in INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize("kind", ["key", "PRNGKey"])
def test_jax_keys_under_vmap_and_jit(kind: str) -> None:
    jax = load("jax")
    spike = preset("norse.logistic", k=1.0)
    key = getattr(jax.random, kind)(0)
    keys = jax.random.split(key, 400)
    x = jax.numpy.asarray(X)

    def loss(x: Any, key: Any) -> Any:
        return (spike(x, key=key) * U).sum()

    y = jax.jit(jax.vmap(spike, in_axes=(None, 0)))(x, keys)
    one_by_one = np.stack([np.asarray(spike(x, key=k)) for k in keys[:20]])
    np.testing.assert_array_equal(np.asarray(y[:20]), one_by_one)
    assert abs(np.asarray(y).mean() - s(2 * X).mean()) < 5 * 0.5 / np.sqrt(y.size)
    gradients = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(x, keys)
    expected = np.broadcast_to(U / np.cosh(X) ** 2, gradients.shape)
    np.testing.assert_allclose(np.asarray(gradients), expected, rtol=1e-13)


@pytest.mark.skipif("tensorflow" not in INSTALLED, reason="TensorFlow is not installed")
def test_tensorflow_seeds_and_generators() -> None:
    tf = load("tensorflow")
    spike = preset("norse.logistic", k=1.0)
    x = tf.constant(np.tile(X, 100))
    compiled = tf.function(lambda x, seed: spike(x, key=seed))
    first, again, other = (compiled(x, tf.constant(seed)) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, spike(x, key=tf.constant([1, 2])))
    assert (first.numpy() != other.numpy()).any()
    generator = tf.random.Generator.from_seed(3)
    first, other = spike(x, key=generator), spike(x, key=generator)
    assert (first.numpy() != other.numpy()).any()
    np.testing.assert_array_equal(first, spike(x, key=tf.random.Generator.from_seed(3)))


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_a_torch_generator_and_no_hidden_state() -> None:
    torch = load("torch")
    spike = preset("norse.logistic", k=1.0)
    x = torch.from_numpy(np.tile(X, 100))
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    first, other = spike(x, key=generator), spike(x, key=generator)
    assert (first != other).any()
    assert torch.equal(first, spike(x, key=torch.Generator().manual_seed(3)))
    assert torch.equal(torch.get_rng_state(), state)


@every_framework
def test_the_random_slope_of_the_stochastic_spike_operator(framework: str) -> None:
    x = np.array([-3.0, -0.5, -0.0, 0.0, 0.5, 3.0])
    u = np.array([0.0, 0.25, 0.5, 0.75, 0.25, 0.9])
    spike = StochasticSpikeOperator(mean=0.5, scale=0.2)
    x_, u_ = to_framework(framework, x), to_framework(framework, u)
    slope = [0.0, 0.05, 0.1, 0.15, 1, 1]
    got = to_numpy(framework, spike.derivative(x_, key=u_))
    np.testing.assert_allclose(got, slope, rtol=1e-15)
    assert to_numpy(framework, spike(x_, key=u_)).tolist() == [0, 0, 0, 0, 1, 1]
    if framework != "numpy":
        for f in (spike, fgi.compile(spike)):
            _, pullback = fgi.vjp(lambda x, f=f: f(x, key=u_), x_)
            (dx,) = pullback(to_framework(framework, U[:6]))
            np.testing.assert_allclose(to_numpy(framework, dx), U[:6] * slope, rtol=1e-15)


@every_framework
def test_the_moments_of_the_random_slope(framework: str) -> None:
    """Below the threshold, uniform around mean * scale, with the variance scale^2 / 12."""
    draws = 20_000
    x = to_framework(framework, np.full(draws, -1.0))
    slope = StochasticSpikeOperator(mean=0.3, scale=0.2).derivative(x, make_key(framework))
    slope = to_numpy(framework, slope)
    deviation = 0.2 / np.sqrt(12)
    assert abs(slope.mean() - 0.06) < 5 * deviation / np.sqrt(draws)
    assert abs(slope.std() - deviation) < 5 * deviation / np.sqrt(draws)
    assert slope.min() >= -0.04
    assert slope.max() <= 0.16


def test_bernoulli_and_logistic_by_hand() -> None:
    u = np.array([0.0, 0.249, 0.25, 0.999])
    assert Bernoulli()(np.full(4, 0.25), u).tolist() == [1, 1, 0, 0]
    assert Bernoulli(low=-1)(np.full(4, 0.25), u).tolist() == [1, 1, -1, -1]
    assert Bernoulli(low=-1)(np.array([NAN]), u[:1]).tolist() == [-1]
    assert Logistic(2.0, 1.0, 0.5)(np.array([1.0, INF, -INF])).tolist() == [0.25, 0.5, 0]
    np.testing.assert_allclose(
        Logistic(2.0, 1.0, 0.5)(np.array([1.25, -3.0])), 0.5 * s(np.array([0.5, -8])), rtol=1e-15
    )
    with pytest.raises(TypeError, match=r"Bernoulli: probability is a float; expected a function"):
        Bernoulli(0.5)
    with pytest.raises(ValueError, match=r"Logistic: height is 1.5; expected a number from 0 to 1"):
        Logistic(height=1.5)


def test_learned_probabilities_go_with_any_slope() -> None:
    """Composition: any probability, any slope."""
    spike = ATan(forward=Bernoulli(Logistic(alpha=2.0)))
    u = numbers(X.shape)
    np.testing.assert_array_equal(spike(X, key=u), u < s(2 * X))
    np.testing.assert_array_equal(spike.derivative(X, key=u), ATan().derivative(X))


def test_the_documented_leak_of_snntorch() -> None:
    """Its LSO raises; the documentation says 1 from the threshold on, and the slope below."""
    spike = preset("snntorch.LSO", slope=0.25)
    assert spike.derivative(np.array([-2.0, -0.1, 0.0, 3.0])).tolist() == [0.25, 0.25, 1, 1]


def test_an_unknown_type_of_the_custom_spike() -> None:
    with pytest.raises(ValueError, match=r"surrogate_type is 'tanh'; expected one of SuperSpike"):
        preset("stork.CustomSpike", surrogate_type="tanh")
    with pytest.raises(ValueError, match=r"escape_noise_type is 'x'; expected one of step"):
        preset("stork.CustomSpike", escape_noise_type="x")


@every_autodiff
def test_a_softplus_slope_and_its_primitive(framework: str) -> None:
    spike = Softplus(alpha=2.0, threshold=0.5, height=0.25)
    x_ = np.array([-400.0, -2.0, 0.5, 1.0, 400.0])
    x = to_framework(framework, x_)
    expected = 0.125 * np.logaddexp(0, 2 * (x_ - 0.5))
    np.testing.assert_allclose(to_numpy(framework, spike.primitive(x)), expected, rtol=1e-14)
    (dx,) = fgi.vjp(spike.primitive, x)[1](3 * fgi.namespace(x).ones_like(x))
    np.testing.assert_allclose(
        to_numpy(framework, dx), 0.75 * np.exp(-np.logaddexp(0, 1 - 2 * x_)), rtol=1e-13
    )


def test_the_refractory_sigmoid_far_from_the_threshold() -> None:
    """At a whole number of periods the cosine is 1, however far away."""
    spike = RefractorySigmoid(alpha=1.0, threshold=0.5)
    x = np.array([0.5, 2.5, 1000.5, 2.0**40 + 0.5, 1.5, 1.0, -(2.0**40)])
    assert spike.derivative(x)[[2, 3, 4]].tolist() == [1, 1, 0]
    np.testing.assert_allclose(spike.derivative(x)[:2], [0.5, s(np.array(2.0))], rtol=1e-15)
    assert spike.derivative(x)[-2:] == pytest.approx([0, 0], abs=1e-15)


IDENTITIES: list[tuple[Any, float]] = [
    (GradientReversal(), -1.0),
    (GradientReversal(alpha=0.5), -0.5),
    (GradientReversal(alpha=-2.0), 2.0),
    (GradientScale(scale=0.25), 0.25),
    (GradientScale(scale=-3.0), -3.0),
    (GradientScale(scale=0.0), 0.0),
    (preset("pytorch_revgrad.RevGrad", alpha=4.0), -4.0),
    (preset("lsq_net.grad_scale", scale=0.125), 0.125),
]


@every_framework
@pytest.mark.parametrize(("spike", "slope"), IDENTITIES, ids=lambda v: repr(v))
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_only_the_gradient_changes(framework: str, spike: Any, slope: float, dtype: str) -> None:
    x = np.array([-0.0, 0.0, INF, -INF, NAN, 1.5, -3.0, 1e-7]).astype(numpy_dtype(dtype))
    u = np.array([2.0, -1.0, 3.0, 0.5, 4.0, -0.25, 8.0, 1.0]).astype(numpy_dtype(dtype))
    x_, u_ = to_framework(framework, x), to_framework(framework, u)
    values = [spike(x_)]
    if framework != "numpy":
        values += [fgi.compile(spike)(x_), fgi.vjp(spike, x_)[0]]
        (dx,) = fgi.vjp(spike, x_)[1](u_)
        finite = np.isfinite(x.astype(np.float64))
        expected = np.where(finite, slope * u.astype(np.float64), 0)
        np.testing.assert_array_equal(to_numpy(framework, dx).astype(np.float64), expected)
    for y in values:
        got = to_numpy(framework, y)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got.astype(np.float64), x.astype(np.float64))
        numbers = ~np.isnan(x.astype(np.float64))
        assert np.signbit(got[numbers].astype(np.float64)).tolist() == (
            np.signbit(x[numbers].astype(np.float64)).tolist()
        )


def test_reversal_as_a_constant_of_the_graph() -> None:
    """Annealed: the strength may be an array that a compiled step is given."""
    if "jax" not in INSTALLED:
        pytest.skip("JAX is not installed")
    jax = load("jax")

    @jax.jit
    def gradient(x: Any, alpha: Any) -> Any:
        return jax.grad(lambda x: (GradientReversal(alpha)(x) * 3).sum())(x)

    x = jax.numpy.asarray([1.0, -2.0])
    assert gradient(x, jax.numpy.asarray(0.5)).tolist() == [-1.5, -1.5]
    assert gradient(x, jax.numpy.asarray(2.0)).tolist() == [-6, -6]


def test_named_by_their_libraries() -> None:
    assert preset("sinabs.StochasticRounding") == StraightThrough(forward=StochasticRound())
    assert preset("snntorch.SSO", variance=0.5) == StochasticSpikeOperator(scale=0.5)
    assert preset("pytorch_revgrad.RevGrad") == GradientReversal(alpha=1.0)
