"""Straight-through estimators of vectors: values that nothing has rounded, gradients by hand."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import functional as F
from fgi.functional import vectors as estimators
from support.frameworks import (
    AUTODIFF,
    DTYPES,
    INSTALLED,
    backend,
    load,
    numpy_dtype,
    to_framework,
    to_numpy,
)
from support.modes import MODES, PAIRS

Numpy = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan
every_framework = pytest.mark.parametrize("framework", INSTALLED)
every_autodiff = pytest.mark.parametrize(
    "framework", [name for name in AUTODIFF if name in INSTALLED]
)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
RNG = np.random.default_rng(11)
X, CODES, NOISE = RNG.normal(size=(3, 5, 4))
UP = np.array([2.0, -1.0, 0.5, 3.0]) * np.array([[1.0], [-4.0], [0.25], [7.0], [2.0]])


def arrays(framework: str, *xs: Any, dtype: str = "float64") -> list[Any]:
    return [to_framework(framework, np.asarray(x, numpy_dtype(dtype))) for x in xs]


def bits(x: Numpy) -> bytes:
    return x.tobytes()


def reverse(framework: str, f: Callable[..., Any], *xs: Numpy, up: Numpy) -> list[Numpy]:
    """The value and the gradients."""
    y, pullback = fgi.vjp(f, *arrays(framework, *xs))
    return [to_numpy(framework, v) for v in (y, *pullback(*arrays(framework, up)))]


def forward(framework: str, f: Callable[..., Any], xs: list[Numpy], dxs: list[Numpy]) -> Numpy:
    _, dy = fgi.jvp(f, tuple(arrays(framework, *xs)), tuple(arrays(framework, *dxs)))
    return to_numpy(framework, dy)


def softmax(x: Numpy, axis: int = -1) -> Numpy:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def softmax_gradient(x: Numpy, u: Numpy, temperature: float, axis: int = -1) -> Numpy:
    p = softmax(x / temperature, axis)
    return np.asarray(p * (u - (p * u).sum(axis=axis, keepdims=True)) / temperature)


def rotation(x: Numpy, q: Numpy) -> Numpy:
    """The matrix of Fifty et al.: the rotation from x to q in their plane, times |q| / |x|."""
    e, f = x / np.linalg.norm(x), q / np.linalg.norm(q)
    cosine = e @ f
    # Rodrigues' formula in any dimension, which is not how the code arranges it.
    k = np.outer(f, e) - np.outer(e, f)
    return np.asarray(
        np.linalg.norm(q) / np.linalg.norm(x) * (np.eye(len(x)) + k + k @ k / (1 + cosine))
    )


# Values


@every_framework
@every_dtype
@pytest.mark.parametrize(
    "f", [F.vector_quantize, F.rotation_trick, F.diveq, F.replace_value], ids=lambda f: f.__name__
)
def test_the_value_is_the_code_bit_for_bit(framework: str, f: Any, dtype: str) -> None:
    """Also where x is 1e4 times as large, 0, infinite or NaN; where codes are, too."""
    x, codes = (np.concatenate([a, a, a]).astype(numpy_dtype(dtype)) for a in (X, CODES))
    x[5:10] *= 1e4
    x[10] = 0
    x[11, 1], x[12, 2], codes[13, 0], codes[14] = INF, NAN, -INF, -0.0
    x_, codes_ = arrays(framework, x, codes, dtype=dtype)
    with np.errstate(invalid="ignore"):  # inf - inf in NumPy's own value
        results = [f(x_, codes_)]
    if framework != "numpy":
        results += [fgi.compile(f)(x_, codes_), fgi.vjp(f, x_, codes_)[0]]
    for y in results:
        assert to_numpy(framework, y).dtype == codes.dtype
        assert bits(to_numpy(framework, y)) == bits(codes)


@every_framework
@every_dtype
def test_choices_are_exactly_zero_and_one(framework: str, dtype: str) -> None:
    x = (20 * X).astype(numpy_dtype(dtype))
    x[0] = [3, 7, 7, -1]  # of equal ones the first
    x[1] = [-INF, -2, -INF, -3]
    (x_,) = arrays(framework, x, dtype=dtype)
    functions: list[tuple[Callable[[Any], Any], list[list[int]]]] = [
        (F.argmax, [[0, 1, 0, 0], [0, 1, 0, 0]]),
        (lambda x: F.top_k(x, 2, temperature=3.0), [[0, 1, 1, 0], [0, 1, 0, 1]]),
        (lambda x: F.top_k(x, 4), [[1, 1, 1, 1], [1, 1, 1, 1]]),
    ]
    for f, first in functions:
        results = [f(x_)]
        if framework != "numpy":
            results += [fgi.compile(f)(x_), fgi.vjp(f, x_)[0]]
        for y in results:
            got = to_numpy(framework, y)
            assert got.dtype == x.dtype
            assert got[:2].tolist() == first
            assert set(np.unique(got.astype(float))) <= {0, 1}
            assert (got.astype(float).sum(axis=-1) == sum(first[0])).all()
    largest = to_numpy(framework, F.argmax(x_, axis=0)).argmax(axis=0)
    np.testing.assert_array_equal(largest, x.astype(float).argmax(axis=0))


# Gradients


@every_autodiff
def test_the_gradient_passes_codes_and_masks(framework: str) -> None:
    y, dx, dcodes = reverse(framework, F.vector_quantize, X, CODES, up=UP)
    assert (dx == UP).all()
    assert not dcodes.any()
    y, dx, dcodes = reverse(framework, F.replace_value, X, CODES, up=UP)
    assert (dx == UP).all()
    assert (dcodes == UP).all()
    mask = X > 0
    y, dx = reverse(framework, lambda x: F.mask_score(x, to_framework(framework, mask)), X, up=UP)
    assert (y == mask).all()
    assert (dx == UP).all()
    assert (forward(framework, F.replace_value, [X, CODES], [UP, 2 * UP]) == 3 * UP).all()


@every_autodiff
def test_the_rotation_trick_rotates_and_scales(framework: str) -> None:
    matrices = [rotation(x, q) for x, q in zip(X, CODES, strict=True)]
    for matrix, x, q in zip(matrices, X, CODES, strict=True):
        np.testing.assert_allclose(matrix @ x, q, rtol=1e-13)
    _, dx, dcodes = reverse(framework, F.rotation_trick, X, CODES, up=UP)
    expected = np.stack([m.T @ u for m, u in zip(matrices, UP, strict=True)])
    np.testing.assert_allclose(dx, expected, rtol=1e-12)
    assert not dcodes.any()
    expected = np.stack([m @ u for m, u in zip(matrices, UP, strict=True)])
    dy = forward(framework, F.rotation_trick, [X, CODES], [UP, 0 * UP])
    np.testing.assert_allclose(dy, expected, rtol=1e-12)
    _, dx, _ = reverse(
        framework, lambda x, q: F.rotation_trick(x, q, axis=0), X.T, CODES.T, up=UP.T
    )
    np.testing.assert_allclose(
        dx.T, np.stack([m.T @ u for m, u in zip(matrices, UP, strict=True)]), rtol=1e-12
    )


@every_autodiff
def test_the_rotation_trick_where_there_is_no_rotation(framework: str) -> None:
    """From zero, to zero, to the opposite, and between lengths that no square can hold."""
    x = np.array([[0, 0, 0], [3, 4, 0], [3, 4, 0], [1e-200, 0, 0], [1e300, 0, 0], [1e-300, 0, 0]])
    q = np.array([[1, 2, 3], [0, 0, 0], [-6, -8, 0], [0, 2e-200, 0], [0, 1e300, 0], [0, 1e300, 0]])
    u = np.array([[2.0, -1.0, 0.5], [1, 2, 3], [3, 4, 5], [1, 2, 3], [1, 2, 3], [0, 0, 0]])
    y, dx, _ = reverse(framework, F.rotation_trick, x.astype(float), q.astype(float), up=u)
    assert (y == q).all()
    expected = [u[0], [0, 0, 0], [-6, -8, 10], [4, -2, 6], [2, -1, 3], [0, 0, 0]]
    np.testing.assert_allclose(dx, expected, rtol=1e-14, atol=1e-14)


@every_autodiff
@pytest.mark.parametrize("noisy", [False, True])
def test_diveq(framework: str, noisy: bool) -> None:
    """dy = dx + v <e, dcodes - dx>: e along the error, v along the error with noise."""
    error = CODES - X
    e = error / np.linalg.norm(error, axis=-1, keepdims=True)
    v = error + (0.3 * NOISE if noisy else 0)
    v = v / np.linalg.norm(v, axis=-1, keepdims=True)

    def f(x: Any, codes: Any) -> Any:
        noise = to_framework(framework, 0.3 * NOISE) if noisy else None
        return F.diveq(x, codes, noise)

    y, dx, dcodes = reverse(framework, f, X, CODES, up=UP)
    along = e * (v * UP).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(dx, UP - along, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(dcodes, along, rtol=1e-13, atol=1e-14)
    expected = X + v * np.linalg.norm(error, axis=-1, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    dy = forward(framework, f, [X, CODES], [UP, 2 * X])
    across = UP + v * (e * (2 * X - UP)).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(dy, across, rtol=1e-12)


@every_autodiff
def test_diveq_on_the_code_itself(framework: str) -> None:
    y, dx, dcodes = reverse(framework, F.diveq, X, X, up=UP)
    assert (y == X).all()
    assert (dx == UP).all()
    assert not dcodes.any()


CHOICES: dict[str, tuple[Callable[..., Any], float]] = {
    "argmax": (lambda x: F.argmax(x, axis=0, temperature=0.25), 0.25),
    "top_k": (lambda x: F.top_k(x, 2, axis=0, temperature=2.0), 2.0),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize(("framework", "mode"), PAIRS)
def test_choices_have_the_gradient_of_a_softmax_in_every_mode(
    framework: str, mode: str, name: str
) -> None:
    f, temperature = CHOICES[name]
    x, u = arrays(framework, X, UP)
    y, dx = MODES[framework][mode].run(f, x, u)
    k = 2 if name == "top_k" else 1
    np.testing.assert_array_equal(to_numpy(framework, y), (-X).argsort(axis=0).argsort(axis=0) < k)
    expected = softmax_gradient(X, UP, temperature, axis=0)
    np.testing.assert_allclose(to_numpy(framework, dx), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("framework", "mode"), PAIRS)
def test_codes_in_every_mode(framework: str, mode: str) -> None:
    """Three of them in one function of x; the batching modes go over its columns."""
    x, u = arrays(framework, X, UP)

    def f(x: Any) -> Any:
        xp = fgi.namespace(x)
        codes = xp.round(x)
        turned = F.rotation_trick(x, codes + 1, axis=0)
        moved = F.diveq(x, codes, axis=0)
        return F.vector_quantize(x, codes) + 2 * F.replace_value(x, codes) + turned + 4 * moved

    y, dx = MODES[framework][mode].run(f, x, u)
    codes = np.round(X)
    np.testing.assert_allclose(to_numpy(framework, y), 8 * codes + 1, rtol=1e-15)
    forward = (
        mode
        in {
            "torch": ("func.jvp", "forward AD"),
            "jax": ("jvp", "linearize", "while_loop"),
            "tensorflow": ("ForwardAccumulator",),
        }[framework]
    )
    expected = np.empty_like(X)
    for j in range(X.shape[1]):
        turn = rotation(X[:, j], codes[:, j] + 1)
        e = (codes - X)[:, j] / np.linalg.norm((codes - X)[:, j])
        matrix = 3 * np.eye(5) + turn + 4 * (np.eye(5) - np.outer(e, e))
        expected[:, j] = (matrix if forward else matrix.T) @ UP[:, j]
    np.testing.assert_allclose(to_numpy(framework, dx), expected, rtol=1e-11)


@every_autodiff
def test_a_temperature_may_be_an_array(framework: str) -> None:
    """Annealed: and the derivative with respect to it is that of the softmax."""
    t = 0.5

    def f(x: Any, temperature: Any) -> Any:
        return F.argmax(x, temperature=temperature)

    _, dx, dt = reverse(framework, f, X, np.array(t), up=UP)
    np.testing.assert_allclose(dx, softmax_gradient(X, UP, t), rtol=1e-11, atol=1e-14)
    h = 1e-5
    rise = (softmax(X / (t + h)) - softmax(X / (t - h))) / (2 * h)
    np.testing.assert_allclose(dt, (UP * rise).sum(), rtol=1e-7)


@every_autodiff
def test_the_gumbel_softmax(framework: str) -> None:
    u = np.random.default_rng(2).random(X.shape)
    u[0, 0] = 0  # which has no logarithm
    noisy = X - np.log(-np.log(np.maximum(u, 2.0**-60)))
    (u_,) = arrays(framework, u)
    for f in (F.gumbel_softmax, fgi.compile(F.gumbel_softmax)):
        y, dx = reverse(framework, lambda x, f=f: f(x, u_, 0.5), X, up=UP)
        np.testing.assert_array_equal(y, noisy == noisy.max(axis=-1, keepdims=True))
        np.testing.assert_allclose(dx, softmax_gradient(noisy, UP, 0.5), rtol=1e-11, atol=1e-14)


@every_autodiff
def test_a_categorical_sample_has_the_gradient_of_the_probabilities(framework: str) -> None:
    p = softmax(X)
    (u,) = arrays(framework, np.random.default_rng(2).random(X.shape))
    _, dp = reverse(framework, lambda p: F.categorical(p, u), p, up=UP)
    assert (dp == UP).all()

    def of_logits(x: Any) -> Any:
        xp = fgi.namespace(x)
        e = xp.exp(x)
        return F.categorical(e / xp.sum(e, axis=-1, keepdims=True), u)

    _, dx = reverse(framework, of_logits, X, up=UP)
    np.testing.assert_allclose(dx, softmax_gradient(X, UP, 1.0), rtol=1e-11, atol=1e-14)


def seeded(framework: str) -> Any:
    module = load(framework)
    if framework == "torch":
        return module.Generator().manual_seed(5)
    if framework == "jax":
        return module.random.key(5)
    if framework == "tensorflow":
        return module.constant([5, 7])
    return np.random.default_rng(5)


@every_framework
@pytest.mark.parametrize("name", ["gumbel_softmax", "categorical", "product_of_bits"])
def test_samples_come_as_often_as_they_should(framework: str, name: str) -> None:
    """One-hot, and each choice within 5 standard errors of its probability."""
    draws = 20_000
    p = np.array([0.05, 0.6, 0.0, 0.35])
    x = {"gumbel_softmax": np.log(p + 1e-12), "categorical": 2 * p}.get(name, np.array([0.7, -1.5]))
    (tiled,) = arrays(framework, np.tile(x, (draws, 1)), dtype="float32")
    y = to_numpy(framework, getattr(F, name)(tiled, seeded(framework)))
    assert set(np.unique(y)) == {0, 1}
    assert (y.sum(axis=-1) == 1).all()
    if name == "product_of_bits":
        b0, b1 = 1 / (1 + np.exp(-x))
        p = np.array([(1 - b0) * (1 - b1), b0 * (1 - b1), (1 - b0) * b1, b0 * b1])
    assert (abs(y.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / draws) + 1e-9).all()


@every_framework
def test_the_same_numbers_make_the_same_choice(framework: str) -> None:
    u = np.random.default_rng(4).random((5, 4))
    for f in (F.gumbel_softmax, F.categorical, F.product_of_bits):
        expected = f(abs(X), u)
        got = f(*arrays(framework, abs(X), u))
        np.testing.assert_array_equal(to_numpy(framework, got), expected)


@every_autodiff
def test_the_product_of_bits(framework: str) -> None:
    logits = np.array([[0.3, -1.0, 2.0], [0.0, 0.5, -0.5]])
    u = np.array([[0.1, 0.9, 0.5], [0.6, 0.6, 0.1]])  # the bits 1 0 1 and 0 1 1
    up = RNG.normal(size=(2, 8))
    (u_,) = arrays(framework, u)

    def probabilities(logits: Numpy) -> Numpy:
        p = 1 / (1 + np.exp(-logits))
        bit = np.arange(8)[:, None] >> np.arange(3) & 1
        return np.asarray(np.where(bit, p[:, None], 1 - p[:, None]).prod(axis=-1))

    for f in (F.product_of_bits, fgi.compile(F.product_of_bits)):
        y, dx = reverse(framework, lambda x, f=f: f(x, u_), logits, up=up)
        assert y.argmax(axis=-1).tolist() == [5, 6]
        assert y.sum(axis=-1).tolist() == [1, 1]
        assert set(np.unique(y)) == {0, 1}
        h = 1e-5
        for i in range(3):
            step = h * np.eye(3)[i]
            rise = (probabilities(logits + step) - probabilities(logits - step)) / (2 * h)
            np.testing.assert_allclose(dx[:, i], (rise * up).sum(axis=-1), rtol=1e-8, atol=1e-10)


SPIKES = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], float)


@every_framework
@every_dtype
def test_the_first_spike_time(framework: str, dtype: str) -> None:
    """Along either axis; who never fires counts as firing in the last step."""
    (spikes,) = arrays(framework, SPIKES, dtype=dtype)
    for axis, times in ((0, [2, 1, 0, 3]), (1, [2, 1, 0, 0]), (-1, [2, 1, 0, 0])):
        y = to_numpy(framework, F.first_spike_time(spikes, axis))
        assert y.dtype == numpy_dtype(dtype)
        assert y.tolist() == times
    assert to_numpy(framework, F.first_spike_time(spikes)).tolist() == [2, 1, 0, 3]


@every_autodiff
def test_the_gradient_of_the_first_spike_time(framework: str) -> None:
    up = np.array([2.0, -3.0, 0.5, 7.0])
    expected = np.zeros((4, 4))
    expected[[2, 1, 0, 3], range(4)] = -up
    tangent = RNG.normal(size=(4, 4))
    for f in (F.first_spike_time, fgi.compile(F.first_spike_time)):
        y, dx = reverse(framework, f, SPIKES, up=up)
        assert y.tolist() == [2, 1, 0, 3]
        assert (dx == expected).all()
    dy = forward(framework, F.first_spike_time, [SPIKES], [tangent])
    assert (dy == -tangent[[2, 1, 0, 3], range(4)]).all()


@every_framework
@every_dtype
def test_interpolate(framework: str, dtype: str) -> None:
    """Knots belong to the piece on their left, as in lava-dl; nothing to the left of all."""
    points, values = [0.0, 1.0, 3.0], [0.0, 2.0, 3.0]
    x_ = np.array([-INF, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, INF, NAN])
    (x,) = arrays(framework, x_, dtype=dtype)
    y = to_numpy(framework, F.interpolate(x, points, values))
    assert y.dtype == numpy_dtype(dtype)
    assert y.tolist() == [0, 0, 0, 1, 2, 2.5, 3, 3, 3, 0]
    if framework == "numpy":
        return
    (u,) = arrays(framework, np.full(10, 4.0), dtype=dtype)

    def curve(x: Any) -> Any:
        return F.interpolate(x, points, values, scale=0.5, leak=0.25)

    for f in (curve, fgi.compile(curve)):
        y, pullback = fgi.vjp(f, x)
        assert to_numpy(framework, y).tolist() == [0, 0, 0, 1, 2, 2.5, 3, 3, 3, 0]
        dx = to_numpy(framework, pullback(u)[0])
        assert dx.dtype == numpy_dtype(dtype)
        assert dx.tolist() == [0, 1, 1, 5, 5, 2, 2, 1, 0, 0]


# In which way they are called


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_compiled_by_torch_without_a_graph_break() -> None:
    torch = load("torch")
    torch._dynamo.reset()
    u = np.random.default_rng(2).random(X.shape)

    def f(x: Any, codes: Any, u: Any) -> Any:
        y = F.rotation_trick(x, codes) + F.diveq(x, codes, u) + F.replace_value(x, codes)
        y = y + F.gumbel_softmax(x, u) + F.categorical(abs(x), u) + F.top_k(x, 2)
        y = y + F.mask_score(x, codes > 0) + F.interpolate(x, [0.0, 1.0], [0.0, 2.0])
        return y + F.first_spike_time(x)[None] + F.product_of_bits(x[:, :2], u[:, :2])

    def gradients(f: Any) -> list[Numpy]:
        x, codes, w, u_ = (torch.from_numpy(a.copy()) for a in (X, CODES, UP, u))
        x.requires_grad_()
        codes.requires_grad_()
        y = f(x, codes, u_)
        return [a.detach().numpy() for a in (y, *torch.autograd.grad(y, (x, codes), w))]

    for got, expected in zip(
        gradients(torch.compile(f, fullgraph=True)), gradients(f), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@every_autodiff
def test_only_values_at_inference(framework: str) -> None:
    x, codes, u = arrays(framework, X, CODES, np.random.default_rng(2).random(X.shape))
    calls: list[Callable[[Any], Any]] = [
        lambda x: F.vector_quantize(x, codes),
        lambda x: F.replace_value(x, codes),
        lambda x: F.rotation_trick(x, codes),
        lambda x: F.diveq(x, codes),
        lambda x: F.argmax(x),
        lambda x: F.gumbel_softmax(x, u),
        lambda x: F.product_of_bits(x[:, :2], u[:, :2]),
        lambda x: F.interpolate(x, [0.0, 1.0], [0.0, 2.0]),
    ]
    xp = backend(framework)
    for f in calls:
        expected = to_numpy(framework, f(x))
        with fgi.inference_mode(traced=True):
            y, pullback = fgi.vjp(lambda x, f=f: f(x) + 0 * x, x)
        np.testing.assert_array_equal(to_numpy(framework, y), expected)
        assert not to_numpy(framework, pullback(xp.ones_like(x))[0]).any()


def test_every_estimator_is_in_fgi_functional() -> None:
    for name in estimators.__all__:
        function = getattr(estimators, name)
        assert getattr(fgi.functional, name) is function
        assert name in fgi.functional.__all__
        assert pickle.loads(pickle.dumps(function)) is function
        for word in ("Source:", "Errors:"):
            assert word in (function.__doc__ or ""), name
    assert fgi.functional.atan is fgi.functional.atan
    assert pickle.loads(pickle.dumps(fgi.functional.atan)) is fgi.functional.atan


# Errors


@every_framework
def test_codes_of_another_shape_dtype_or_framework(framework: str) -> None:
    x, codes = arrays(framework, X, CODES[0])
    (single,) = arrays(framework, X, dtype="float32")
    for f in (F.vector_quantize, F.replace_value, F.rotation_trick, F.diveq):
        name = f.__name__
        with pytest.raises(
            ValueError,
            match=rf"fgi.functional.{name}: \w+ is a float64 array of shape \(4,\) and x is a "
            r"float64 array of shape \(5, 4\); expected equal shapes",
        ):
            f(x, codes)
        with pytest.raises(TypeError, match=r"a float32 array .* expected arrays of one dtype"):
            f(x, single)
        with pytest.raises(TypeError, match=r"is a float and x is .* expected arrays of one dtype"):
            f(x, 2.0)
        with pytest.raises(TypeError, match=rf"{name}: x is an int64 array"):
            f(to_framework(framework, np.array([1, 2])), x)
        if framework != "numpy":
            with pytest.raises(TypeError, match=rf"x is an array of {framework}, .* one of numpy"):
                f(x, CODES)
    with pytest.raises(ValueError, match=r"noise is a float64 array of shape \(4,\) and x is"):
        F.diveq(x, x, codes)


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match=r"argmax: temperature is 0; expected a number > 0"):
        F.argmax(X, temperature=0)
    with pytest.raises(ValueError, match=r"gumbel_softmax: temperature is nan; expected a numb"):
        F.gumbel_softmax(X, abs(X) % 1, NAN)
    with pytest.raises(TypeError, match=r"top_k: temperature is 'hot'; expected a number > 0, or"):
        F.top_k(X, 2, temperature="hot")
    with pytest.raises(ValueError, match=r"top_k: k is 0; expected an integer >= 1"):
        F.top_k(X, 0)
    with pytest.raises(TypeError, match=r"top_k: k is 1.5; expected an integer >= 1"):
        F.top_k(X, 1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"categorical: key is None; expected numpy's own key"):
        F.categorical(abs(X), None)
    with pytest.raises(ValueError, match=r"points are 2, values 3; expected as many, two or more"):
        F.interpolate(X, [0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match=r"points are 1, values 1; expected as many, two or more"):
        F.interpolate(X, [0], [0])
    with pytest.raises(ValueError, match=r"points are \[1.0, 1.0\]; expected ascending numbers"):
        F.interpolate(X, [1, 1], [0, 1])
