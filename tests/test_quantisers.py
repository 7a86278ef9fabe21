"""Quantisers: the libraries' numbers in every framework, learned step sizes, whole tensors."""

from __future__ import annotations

import fnmatch
import itertools
import json
import pickle
from fractions import Fraction
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from mpmath import mpf

import fgi
from fgi import values
from fgi.functional import tensors as tensorwise
from fgi.surrogates import LSQ, PACT, FakeQuantize, Rectangle, Sigmoid, StraightThrough
from fgi.surrogates.surrogate import Primitive
from support import exact, peers
from support.frameworks import (
    DTYPES,
    INSTALLED,
    INSTALLED_AUTODIFF,
    backend,
    load,
    numpy_dtype,
    to_framework,
    to_numpy,
)

Numpy = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan

every_framework = pytest.mark.parametrize("framework", INSTALLED)
every_autodiff = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)

# What the libraries do in their own dtype and ours do not: see known_differences.toml.
LEVELS_IN_FLOAT32 = "torch_builtin.fake_quantize_per_tensor_affine"
LEAKS = ("qkeras.binary_tanh", "qkeras.binary_sigmoid", "qkeras.quantized_tanh")
CANCELS = ("qkeras.binary", "qkeras.ternary")

PRESETS = (
    "brevitas.*", "torchao.*", "larq.ste_*", "larq.DoReFa", "qkeras.*", "aqt.*", "*_builtin.*",
    "spikingjelly.quantize.*", "lava_dl.slayer.utils.*", "sinabs.Quantize", "*_passthrough",
)  # fmt: skip
RECORDS = [
    record
    for record in peers.records()
    if any(fnmatch.fnmatch(record.preset, pattern) for pattern in PRESETS)
    and "error" not in record.index
    and record.index["grid"] == "main"
]


def array(x: Any, dtype: str = "float64") -> Numpy:
    return np.asarray(x, np.float64).astype(numpy_dtype(dtype))


def vjp(framework: str, f: Any, u: Numpy, *xs: Numpy) -> tuple[Numpy, ...]:
    """The value and what flows back to each input."""
    y, pullback = fgi.vjp(f, *(to_framework(framework, x) for x in xs))
    grads = pullback(to_framework(framework, u))
    return to_numpy(framework, y), *(to_numpy(framework, g) for g in grads)


def test_records() -> None:
    assert len(RECORDS) == 130
    assert len({record.preset for record in RECORDS}) == 43


@every_autodiff
def test_the_numbers_of_the_libraries(framework: str) -> None:
    """Values bit by bit; slopes too, as they are numbers chosen by comparison."""
    for record in RECORDS:
        x, value, slope = (record[key] for key in ("x", "forward", "grad"))
        assert x is not None
        assert value is not None
        assert slope is not None
        u = np.resize([2.0, -1.0, 0.5, 3.0], x.shape).astype(x.dtype)
        y, dx = vjp(framework, peers.spike(record), u, x)
        assert y.dtype == dx.dtype == x.dtype
        if record.preset == LEVELS_IN_FLOAT32 and x.dtype == np.float64:
            y = y.astype(np.float32)
        np.testing.assert_array_equal(y, value.astype(y.dtype), str(record))
        if record.preset in LEAKS:
            edge = np.isin(np.abs(x), np.nextafter(x.dtype.type(1), x.dtype.type(2)))
            dx, slope, u = dx[~edge], slope[~edge], u[~edge]
        cancels = record.preset in CANCELS and record.params["alpha"] is None
        atol = 4 * np.finfo(record.dtype).eps if cancels else 0.0
        np.testing.assert_allclose(dx, u * slope, rtol=0, atol=3 * atol, err_msg=str(record))


@every_autodiff
def test_learned_scale_and_zero_point_as_recorded(framework: str) -> None:
    found = [r for r in RECORDS if "param_grads" in r.index]
    assert len(found) == 2
    for record in found:
        x = record["x"]
        assert x is not None
        named = {k: array(record.params[k], "float32") for k in ("scale", "zero_point")}

        def f(x: Any, scale: Any, zero_point: Any, record: Any = record) -> Any:
            params = {**record.params, "scale": scale, "zero_point": zero_point}
            return fgi.surrogates.preset(record.preset, **params)(x)

        y, _, *grads = vjp(framework, f, np.ones_like(x), x, *named.values())
        np.testing.assert_array_equal(y, record["forward"])
        for name, grad in zip(named, grads, strict=True):
            assert grad.shape == ()
            np.testing.assert_allclose(grad, record.index["param_grads"][name], rtol=2e-5)


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
@every_autodiff
def test_fake_quantize_is_that_of_pytorch(framework: str) -> None:
    """Per channel: the value bit by bit, halves too, and the three gradients."""
    import torch

    rng = np.random.default_rng(0)
    scale = np.array([0.1, 0.3, 0.0625], np.float32)
    zero_point = np.array([0.0, 2.0, -5.0], np.float32)

    def f(x: Any, scale: Any, zero_point: Any) -> Any:
        return FakeQuantize(scale, zero_point, -8, 7, gradient_factor=0.25)(x)

    x = rng.normal(0, 1, (2000, 3)).astype(np.float32)
    u = rng.normal(size=x.shape).astype(np.float32)
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, scale, zero_point)]
    expected = torch._fake_quantize_learnable_per_channel_affine(*tensors, 1, -8, 7, 0.25)
    expected.backward(torch.from_numpy(u))
    y, dx, *grads = vjp(framework, f, u, x, scale, zero_point)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    np.testing.assert_array_equal(dx, tensors[0].grad)
    for grad, tensor in zip(grads, tensors[1:], strict=True):
        np.testing.assert_allclose(grad, tensor.grad, rtol=1e-4)

    # Halves with what is not learned: where it is, PyTorch's gradient rounds in another way than
    # its value.
    x = ((np.arange(-20, 20) + 0.5)[:, None] * scale).astype(np.float32)
    u = rng.normal(size=x.shape).astype(np.float32)
    tensors = [torch.from_numpy(a.copy()) for a in (x, scale, zero_point.astype(np.int32))]
    tensors[0].requires_grad_()
    expected = torch.fake_quantize_per_channel_affine(*tensors, 1, -8, 7)
    expected.backward(torch.from_numpy(u))
    y, dx, *_ = vjp(framework, f, u, x, scale, zero_point)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    np.testing.assert_array_equal(dx, tensors[0].grad)


@pytest.mark.skipif("tensorflow" not in INSTALLED, reason="tensorflow is not installed")
@every_framework
def test_fake_quant_is_that_of_tensorflow(framework: str) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 4, 3000), np.arange(-40, 40) / 4]).astype(np.float32)
    for params in (
        {"min": -6.0, "max": 6.0, "num_bits": 8},
        {"min": -0.5, "max": 3.0, "num_bits": 4},
        {"min": 0.0, "max": 6.0, "num_bits": 3},
        {"min": -1.0, "max": 2.0, "num_bits": 5, "narrow_range": True},
    ):
        with tf.GradientTape() as tape:
            tensor = tf.Variable(x)
            expected = tf.quantization.fake_quant_with_min_max_args(tensor, **params)
        spike = fgi.surrogates.preset("tf_builtin.fake_quant_with_min_max_args", **params)
        y, slope = (to_numpy(framework, f(to_framework(framework, x))) for f in
                    (spike, spike.derivative))  # fmt: skip
        np.testing.assert_array_equal(y, expected.numpy())
        np.testing.assert_array_equal(slope, tape.gradient(expected, tensor).numpy())


# fmt: off
HAND = [  # lowest -2, highest 1, step 0.5; offset 0 and 0.25
    #  x      y     dy/dx  dy/dstep  dy/doffset
    (-7.00,  -1.00,   0,   -2.00,      1),
    (-1.00,  -1.00,   0,   -2.00,      1),  # at the lowest level: out, as in the paper
    (-0.80,  -1.00,   1,   -0.40,      0),  # u = -1.6, rounded to -2
    (-0.70,  -0.50,   1,    0.40,      0),
    (-0.25,   0.00,   1,    0.50,      0),  # u = -0.5: half to even
    ( 0.00,   0.00,   1,    0.00,      0),
    ( 0.10,   0.00,   1,   -0.20,      0),
    ( 0.40,   0.50,   1,    0.20,      0),
    ( 0.50,   0.50,   0,    1.00,      1),
    ( 9.00,   0.50,   0,    1.00,      1),
]
# fmt: on


@every_dtype
@every_autodiff
@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_lsq_by_hand(offset: float, framework: str, dtype: str) -> None:
    x, y, slope, by_step, by_offset = (array(column) for column in zip(*HAND, strict=True))
    u = np.resize([2.0, -1.0, 0.5, 4.0], x.shape)

    def f(x: Any, step: Any, offset: Any) -> Any:
        return LSQ(step, offset, -2, 1, gradient_factor=0.125)(x)

    inputs = [array(a, dtype) for a in (x + offset, 0.5, offset)]
    got, dx, dstep, doffset = vjp(framework, f, array(u, dtype), *inputs)
    assert {a.dtype for a in (got, dx, dstep, doffset)} == {numpy_dtype(dtype)}
    np.testing.assert_array_equal(got.astype(float), y + offset)
    np.testing.assert_array_equal(dx.astype(float), u * slope)
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    np.testing.assert_allclose(dstep.astype(float), 0.125 * u @ by_step, atol=20 * eps)
    np.testing.assert_allclose(doffset.astype(float), 0.125 * u @ by_offset, atol=20 * eps)


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
@every_autodiff
def test_lsq_is_what_automatic_differentiation_makes_of_it(framework: str) -> None:
    """PyTorch differentiates clamp, product and quotient, with a straight-through round."""
    import torch

    rng = np.random.default_rng(3)
    x, u = rng.normal(0, 2, (2, 500, 4))
    step, offset = np.array([0.1, 0.3, 0.5, 0.7]), np.array([0.0, -0.2, 0.1, 0.3])
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, step, offset)]
    v = torch.clamp((tensors[0] - tensors[2]) / tensors[1], -4, 3)
    expected = (v + (torch.round(v) - v).detach()) * tensors[1] + tensors[2]
    expected.backward(torch.from_numpy(u))

    y, *grads = vjp(framework, lambda x, s, o: LSQ(s, o, -4, 3)(x), u, x, step, offset)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-14, atol=1e-15)
    for grad, tensor in zip(grads, tensors, strict=True):
        np.testing.assert_allclose(grad, tensor.grad, rtol=1e-12, atol=1e-13)


@every_dtype
@every_autodiff
def test_pact_by_hand(framework: str, dtype: str) -> None:
    x = array([-1.0, 0.0, 0.25, 1.0, 1.75, 3.0, 6.0, 7.0, -2.0, 2.5])
    # Levels 0, 2, 4, 6 where alpha is 6, and 0, 1, 2, 3 where it is 3.
    alpha = array([6.0] * 8 + [3.0] * 2)
    y = [0, 0, 0, 0, 2, 4, 6, 6, 0, 2]  # 3 is half way, to even: 1.5 to 2
    slope = array([0, 0, 1, 1, 1, 1, 0, 0, 0, 1])
    beyond = array([0, 0, 0, 0, 0, 0, 1, 1, 0, 0])
    u = np.resize([2.0, -1.0, 0.5], x.shape)
    inputs = (array(a, dtype) for a in (u, x, alpha))
    got, dx, dalpha = vjp(framework, lambda x, a: PACT(a, bits=2)(x), *inputs)
    np.testing.assert_array_equal(got.astype(float), y)
    np.testing.assert_array_equal(dx.astype(float), u * slope)
    np.testing.assert_array_equal(dalpha.astype(float), u * beyond)


LEARNED = {
    "fake_quantize": lambda x, a, b: FakeQuantize(a, b, -3, 4)(x),
    "input_mask": lambda x, a, b: FakeQuantize(a, b, -3, 4, "input", "up")(x),
    "lsq": lambda x, a, b: LSQ(a, b, -3, 4, gradient_factor=0.5)(x),
    "pact": lambda x, a, b: PACT(a, bits=3)(x) + 0 * b,
}


@every_autodiff
@every_dtype
def test_compiled_is_eager(framework: str, dtype: str) -> None:
    """Value and every gradient, per channel, where 0.3 has a rounded reciprocal."""
    rng = np.random.default_rng(5)
    x, u = (array(rng.normal(0, 1, (64, 3)), dtype) for _ in range(2))
    x[0] = INF
    a, b = array([0.1, 0.3, 0.7], dtype), array([0.0, 0.3, -0.7], dtype)

    def run(u: Any, *inputs: Any) -> Any:
        found = {}
        for name, f in LEARNED.items():
            y, pullback = fgi.vjp(f, *inputs)
            found[name] = (y, *pullback(u))
        return found

    compile = fgi.compile
    if framework == "torch" and dtype != "float32":
        # What Inductor generates is slow to make, and the same for them.
        compile = partial(load("torch").compile, fullgraph=True, backend="aot_eager")
    inputs = [to_framework(framework, v) for v in (u, x, a, b)]
    eager, compiled = run(*inputs), compile(run)(*inputs)
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    for name in LEARNED:
        (y, dx, *grads), (y_, dx_, *grads_) = (
            [to_numpy(framework, v).astype(float) for v in result[name]]
            for result in (eager, compiled)
        )
        np.testing.assert_array_equal(y_, y, name)
        np.testing.assert_array_equal(dx_, dx, name)
        assert np.isfinite(y).all()
        assert not dx[0].any()
        for grad, grad_ in zip(grads, grads_, strict=True):
            assert grad.shape == (3,)
            np.testing.assert_allclose(grad_, grad, rtol=20 * eps, atol=20 * eps, err_msg=name)


STEPS = [
    *(values.Round(step) for step in (0.1, 0.3, 7.0)),
    values.Floor(0.3),
    values.MidRise(0.3),
    *(values.KBit(bits) for bits in (2, 3, 8)),
    values.Quantize(0.3, 1.0, -5, 6),
    values.Quantize(0.3, 1.0, -5, 6, "up"),
    values.SpikeCount(0.3),
    values.GradedSpike(scale=0.3),
    values.BitShiftDecay(3),
    values.Lookup((-1.1, -0.3, 0.4, 2.0)),
    values.Cast(),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_framework
def test_no_framework_rounds_a_quotient_twice(framework: str, dtype: str) -> None:
    """XLA has x * (1 / step) for x / step, and one rounding less in a product that is added to."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 2, 5000), (np.arange(-50, 50) + 0.5) * 0.3]).astype(dtype)
    expected = [value(x) for value in STEPS]
    runs = [lambda x: [value(x) for value in STEPS]]
    if framework != "numpy":
        runs.append(fgi.compile(runs[0]))
    for run in runs:
        for value, y, wanted in zip(STEPS, run(to_framework(framework, x)), expected, strict=True):
            np.testing.assert_array_equal(to_numpy(framework, y), wanted, repr(value))


VALUES = [
    *STEPS,
    values.Ternary(0.7),
    values.Round(0.25, -1, 1),
    values.MidRise(1.0, -1.5, 1.5),
    values.KBit(2, 0, 1),
    values.Cast("float8_e5m2"),
    values.Lookup(),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_their_equations(value: values.Value) -> None:
    """In float64, away from the halves that rounding decides."""
    equation = exact.Exact(value)
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(0, 2, 200), rng.normal(0, 2, 50) / 64, [0.0, 1.0, -1.0]])
    x = x.astype(np.float32).astype(np.float64)
    expected = [float(equation("f(x)", mpf(v))) for v in x]
    np.testing.assert_allclose(value(x), expected, rtol=2e-16 * 4, atol=0)


@every_dtype
@every_framework
def test_infinities_and_the_largest_numbers(framework: str, dtype: str) -> None:
    """What does not fit when it is divided by a small step stays as it is; NaN stays NaN."""
    largest = float(ml_dtypes.finfo(numpy_dtype(dtype)).max)
    x = array([INF, -INF, NAN, largest, -largest], dtype)
    unbounded = [values.Round(0.25), values.Floor(0.3), values.MidRise(0.5), values.KBit(4)]
    for value in unbounded:
        y = to_numpy(framework, value(to_framework(framework, x)))
        np.testing.assert_array_equal(y.astype(float), x.astype(float), repr(value))
    bounded = {
        values.Round(0.25, -1, 1): (1, -1),
        values.MidRise(1.0, -1.5, 1.5): (1.5, -1.5),
        values.KBit(2, 0, 1): (1, 0),
        values.Quantize(0.5, 1.0, -2, 3): (1, -1.5),
        values.Quantize(0.5, 1.0, -2, 3, "up"): (1, -1.5),
        values.Lookup((-2.0, 0.0, 3.0)): (3, -2),
        values.Cast(): (448, -448),
        values.Cast("float8_e5m2"): (57344, -57344),
        values.Ternary(): (1, -1),
        FakeQuantize(0.5, 1.0, -2, 3): (1, -1.5),
        LSQ(0.5, 0.25, -2, 3): (1.75, -0.75),
        PACT(3.0): (3, 0),
    }
    for f, (high, low) in bounded.items():
        y = to_numpy(framework, f(to_framework(framework, x)))  # type: ignore[operator]
        wanted = [high, low, NAN, high, low]
        np.testing.assert_array_equal(y.astype(float), array(wanted, dtype).astype(float), repr(f))


@every_dtype
@every_framework
def test_cast(framework: str, dtype: str) -> None:
    """Every 8-bit number, its neighbours and the halves between: as ml_dtypes rounds."""
    for format in ("float8_e4m3fn", "float8_e5m2"):
        kind = np.dtype(getattr(ml_dtypes, format))
        with np.errstate(invalid="ignore"):
            levels = np.arange(256).astype(np.uint8).view(kind).astype(np.float64)
        levels = np.sort(levels[np.isfinite(levels)])
        halves = (levels[1:] + levels[:-1]) / 2
        x = array(np.concatenate([levels, halves, halves * 1.01, halves * 0.99]), dtype)
        x = x[np.isfinite(x)]
        expected = x.astype(np.float32).astype(kind).astype(x.dtype)
        for f in (values.Cast(format), StraightThrough(forward=values.Cast(format))):
            y = to_numpy(framework, f(to_framework(framework, x)))
            assert y.dtype == x.dtype
            np.testing.assert_array_equal(y.astype(float), expected.astype(float))


@every_framework
def test_lookup(framework: str) -> None:
    levels = (-1.5, -0.25, 0.0, 1.0)
    x = np.array([-9, -1.5, -0.875, -0.87, -0.125, 0.1, 0.5, 0.51, 7])
    y = to_numpy(framework, values.Lookup(levels)(to_framework(framework, x)))
    # The lower one of two that are as near.
    np.testing.assert_array_equal(y, [-1.5, -1.5, -1.5, -0.25, -0.25, 0, 0, 1, 1])


@every_framework
def test_bit_shift_decay(framework: str) -> None:
    spike = StraightThrough(0.9, forward=values.BitShiftDecay(2))
    x = np.array([-8.0, 1.0, 0.0, INF, -INF])
    y = to_numpy(framework, spike(to_framework(framework, x)))
    np.testing.assert_array_equal(y, [-6, 0.75, 0, INF, -INF])


@every_dtype
@every_framework
def test_bit_shift_decay_is_rounded_once(framework: str, dtype: str) -> None:
    """By Python's fractions, compiled too: x / 2^shift may be subnormal where x is not."""
    kind = numpy_dtype(dtype)
    info = ml_dtypes.finfo(kind)
    tiny, largest = float(info.smallest_normal), float(info.max)
    sizes = [1.5, 0.3, 17.25, 1.2 * tiny, 3 * tiny, 12.7 * tiny, 99 * tiny, largest, 0.7 * largest]
    with np.errstate(all="ignore"):
        x = np.array([*sizes, *np.negative(sizes)]).astype(kind)
    for shift in (1, 4, 12, 24):
        wide = np.float64 if dtype == "float64" else np.float32
        exact = [Fraction(float(v)) * (1 - Fraction(1, 2**shift)) for v in x]
        # A fraction becomes float64 by one rounding; in 16 bits float32 is rounded once more.
        expected = np.array([float(v) for v in exact]).astype(wide).astype(kind)
        decay = values.BitShiftDecay(shift)
        runs = {"eager": decay}
        if framework in INSTALLED_AUTODIFF and shift == 4:
            runs["compiled"] = fgi.compile(decay)
        for how, run in runs.items():
            got = to_numpy(framework, run(to_framework(framework, x)))
            keep = np.abs(expected.astype(np.float64)) >= max(tiny, np.finfo("float32").tiny)
            np.testing.assert_array_equal(got[keep], expected[keep], err_msg=f"{how}, {shift}")


@pytest.mark.parametrize("how", ["eager", "compiled", "XLA"])
@every_autodiff
def test_a_fake_quantised_zero_is_positive(framework: str, how: str) -> None:
    """As the integer 0, whose sign no integer network knows; -0.3 is rounded to -0.0."""
    if how == "XLA" and framework != "tensorflow":
        pytest.skip("JAX compiles by XLA anyway, and PyTorch does not")
    x = np.array([-0.3, -0.0, 0.0, 0.3, -0.5, -0.75, 1e-30, -1e-30])
    for ties in ("even", "up"):
        for zero_point in (0.0, 3.0):
            spike = FakeQuantize(1.0, zero_point, -8, 7, ties=ties)
            run: Any = spike
            if how == "compiled":
                run = fgi.compile(spike)
            elif how == "XLA":
                import tensorflow as tf

                run = tf.function(spike, jit_compile=True)
            y = to_numpy(framework, run(to_framework(framework, x)))
            expected = [0, 0, 0, 0, 0, -1, 0, 0]
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(np.signbit(y), np.array(expected) < 0)


@every_autodiff
def test_a_quantised_activation(framework: str) -> None:
    """The value is rounded, the gradient that of the activation."""
    smooth = Sigmoid(alpha=1.0)
    spike = smooth.replace(forward=values.Compose(values.Round(1 / 16), Primitive(smooth)))
    x, u = np.array([-2.0, 0.0, 0.3, 3.0]), np.array([2.0, -1.0, 4.0, 0.5])
    y, dx = vjp(framework, spike, u, x)
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_array_equal(y, np.round(s * 16) / 16)
    np.testing.assert_allclose(dx, u * s * (1 - s), rtol=1e-14)


def test_values_survive_json_and_pickle() -> None:
    composed = values.Compose(values.Round(0.5), values.Clip(0.0, 3.0))
    for value in (*VALUES, composed, values.Compose()):
        spike = StraightThrough(forward=value)
        config = json.loads(json.dumps(spike.to_config()))
        for copy in (fgi.from_config(config), pickle.loads(pickle.dumps(spike))):
            assert copy == spike
            assert hash(copy) == hash(spike)
    assert values.Lookup((0, 1)) == values.Lookup([0.0, 1.0])  # type: ignore[arg-type]


def test_presets_beyond_the_records() -> None:
    """By hand from the libraries' descriptions."""
    preset = fgi.surrogates.preset
    x = np.array([-1.2, -0.26, 0.4, 0.74, 5.0])
    assert list(preset("qkeras.quantized_bits", bits=3, symmetric=True)(x)) == [
        -0.75, -0.25, 0.5, 0.75, 0.75]  # fmt: skip
    assert list(preset("qkeras.quantized_bits", bits=2, keep_negative=False)(x)) == [
        0, 0, 0.5, 0.75, 0.75]  # fmt: skip
    assert list(preset("qkeras.quantized_po2", bits=3)(x)) == [-1, -0.25, 0.5, 1, 2]
    assert list(preset("qkeras.quantized_po2", bits=3, max_value=0.5)(x)) == [
        -0.5, -0.25, 0.5, 0.5, 0.5]  # fmt: skip
    assert list(preset("aqt.IntSymmetric", bits=2, preserve_zero=False)(x)) == [
        -1.5, -0.5, 0.5, 0.5, 1.5]  # fmt: skip
    assert preset("larq.ste_heaviside", clip_value=None) == StraightThrough()
    with pytest.raises(ValueError, match="dorefa_weight"):
        preset("larq.DoReFa", mode="weights")
    with pytest.raises(ValueError, match=r"alpha is 'auto'; expected None or 1.0"):
        preset("qkeras.binary", alpha="auto")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: FakeQuantize(scale=0), ValueError, "scale is 0; expected a number > 0"),
        (lambda: FakeQuantize(lowest=7), ValueError, "lowest is 7 and highest is 7"),
        (lambda: FakeQuantize(lowest=0.5), TypeError, "lowest is 0.5; expected an integer"),
        (lambda: FakeQuantize(mask="x"), ValueError, "mask is 'x'; expected one of code, input"),
        (lambda: LSQ(step=-1.0), ValueError, "step is -1.0; expected a number > 0"),
        (lambda: LSQ(lowest=3, highest=2), ValueError, "lowest is 3 and highest is 2"),
        (lambda: PACT(bits=0), ValueError, "bits is 0; expected an integer >= 1"),
        (lambda: values.Lookup((1.0,)), ValueError, "expected two or more, ascending"),
        (lambda: values.Lookup((1.0, 1.0)), ValueError, "expected two or more, ascending"),
        (lambda: values.Lookup((1.0, INF)), ValueError, "expected finite numbers"),
        (lambda: values.Lookup("12"), TypeError, "expected numbers such as"),
        (lambda: values.Lookup((1.0, "2")), TypeError, "expected numbers such as"),
        (lambda: values.Cast("float16"), ValueError, "expected one of float8_e4m3fn, float8_e5m2"),
        (lambda: values.Compose(3), TypeError, "outer is a int; expected a function"),
        (lambda: values.Quantize(lowest=9), ValueError, "lowest is 9 and highest is 7"),
    ],
)
def test_errors(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


@every_dtype
@every_autodiff
def test_dorefa_weight(framework: str, dtype: str) -> None:
    x = np.array([[0.5, -1.0, 0.25], [0.0, 2.0, -0.125]])
    u = np.array([[2.0, -1.0, 4.0], [0.5, 3.0, -2.0]])
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    t = np.tanh(x)
    for axis, largest in ((None, abs(t).max()), (1, abs(t).max(axis=1, keepdims=True))):
        y, dx = vjp(
            framework,
            lambda x, axis=axis: tensorwise.dorefa_weight(x, 3, axis),
            array(u, dtype),
            array(x, dtype),
        )
        assert y.dtype == dx.dtype == numpy_dtype(dtype)
        levels = 2 * np.round(7 * (t / (2 * largest) + 0.5)) / 7 - 1
        np.testing.assert_allclose(y.astype(float), levels, atol=eps)
        expected = u * (1 - t**2) / largest
        np.testing.assert_allclose(dx.astype(float), expected, rtol=4 * eps, atol=1e-30)
    y, dx = vjp(framework, tensorwise.dorefa_weight, array(u, dtype), array(0 * x, dtype))
    # None is largest: 1 / 2 of three steps is half way, and goes to the even one.
    np.testing.assert_allclose(y.astype(float), 1 / 3, rtol=2 * eps)
    np.testing.assert_array_equal(dx.astype(float), u)


@every_dtype
@every_autodiff
def test_magnitude_aware_sign(framework: str, dtype: str) -> None:
    x = np.array([[0.5, -1.5, 0.25], [0.0, -3.0, -1.0]])
    u = np.array([[2.0, -1.0, 4.0], [0.5, 3.0, -2.0]])
    sign = np.array([[1, -1, 1], [1, -1, -1]])
    inside = np.array([[1, 0, 1], [1, 0, 1]])
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    for axis in (None, 0, (0,), (0, 1), -1):
        mean = np.mean(np.abs(x), axis=axis, keepdims=True)
        for clip, passes in ((1.0, inside), (INF, 1)):
            y, dx = vjp(
                framework,
                lambda x, axis=axis, clip=clip: tensorwise.magnitude_aware_sign(x, axis, clip),
                array(u, dtype),
                array(x, dtype),
            )
            assert y.dtype == dx.dtype == numpy_dtype(dtype)
            np.testing.assert_allclose(y.astype(float), mean * sign, rtol=2 * eps)
            np.testing.assert_allclose(dx.astype(float), u * mean * passes, rtol=2 * eps)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@every_autodiff
def test_the_mean_of_weights_whose_sum_overflows(framework: str, dtype: str) -> None:
    kind = numpy_dtype(dtype)
    top = 3e38 if dtype != "float64" else 1.7e308
    x = np.array([[top, top, 1, -top]]).astype(kind)
    u = np.array([[2.0, -1.0, 4.0, 0.5]])
    sign = np.array([[1, 1, 1, -1]])
    mean = 0.75 * float(x[0, 0])
    eps = float(ml_dtypes.finfo(kind).eps)
    for axis in (None, 1, (0, 1)):
        f = lambda x, axis=axis: tensorwise.magnitude_aware_sign(x, axis, INF)  # noqa: E731
        y, dx = vjp(framework, f, array(u, dtype), x)
        np.testing.assert_allclose(y.astype(float), mean * sign, rtol=2 * eps)
        with np.errstate(over="ignore"):  # of the gradients some are too large
            expected = (u.astype(kind) * kind.type(mean)).astype(float)
        np.testing.assert_allclose(dx.astype(float), expected, rtol=2 * eps)
        with fgi.inference_mode():
            y = to_numpy(framework, f(to_framework(framework, x)))
        np.testing.assert_allclose(y.astype(float), mean * sign, rtol=2 * eps)
        y, _ = vjp(framework, lambda x, a=axis: tensorwise.ternary_weight(x, a), array(u, dtype), x)
        # The threshold, 0.7 times the mean, is below all but 1.
        np.testing.assert_allclose(y.astype(float), x[0, 0] * [[1, 1, 0, -1]], rtol=4 * eps)


@every_dtype
@every_autodiff
def test_ternary_weight(framework: str, dtype: str) -> None:
    x = np.array([[0.5, -1.5, 0.25], [0.0, -3.0, 0.75]])  # mean 1, threshold 0.7
    u = np.array([[2.0, -1.0, 4.0], [0.5, 3.0, -2.0]])
    tern = np.array([[0, -1, 0], [0, -1, 1]])
    y, dx = vjp(framework, tensorwise.ternary_weight, array(u, dtype), array(x, dtype))
    assert y.dtype == dx.dtype == numpy_dtype(dtype)
    np.testing.assert_array_equal(y.astype(float), 1.75 * tern)  # (1.5 + 3 + 0.75) / 3
    np.testing.assert_array_equal(dx.astype(float), u)
    larq = lambda x: tensorwise.ternary_weight(x, clip=1.0, scaled=False)  # noqa: E731
    y, dx = vjp(framework, larq, array(u, dtype), array(x, dtype))
    np.testing.assert_array_equal(y.astype(float), tern)
    np.testing.assert_array_equal(dx.astype(float), u * (np.abs(x) <= 1))
    rows = lambda x: tensorwise.ternary_weight(x, axis=1)  # noqa: E731
    y, _ = vjp(framework, rows, array(u, dtype), array(x, dtype))
    # Means 0.75 and 1.25, thresholds 0.525 and 0.875.
    np.testing.assert_array_equal(y.astype(float), [[0, -1.5, 0], [0, -3, 0]])
    y, _ = vjp(framework, tensorwise.ternary_weight, array(u, dtype), array(0 * x, dtype))
    assert not y.any()


@every_dtype
@every_autodiff
def test_learned_round(framework: str, dtype: str) -> None:
    x = np.array([-1.25, 0.5, 2.0, 3.75, 1.5])
    v = np.array([-6.0, -0.5, 0.0, 0.5, 6.0])
    u = np.array([2.0, -1.0, 4.0, 0.5, 3.0])
    s = 1 / (1 + np.exp(-v))
    h, dh = np.clip(1.2 * s - 0.1, 0, 1), 1.2 * s * (1 - s) * (np.abs(v) < 3)
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    for hard, up in ((False, h), (True, v >= 0)):
        y, dx, dv = vjp(
            framework,
            lambda x, v, hard=hard: tensorwise.learned_round(x, v, hard),
            *(array(a, dtype) for a in (u, x, v)),
        )
        assert {a.dtype for a in (y, dx, dv)} == {numpy_dtype(dtype)}
        np.testing.assert_allclose(y.astype(float), np.floor(x) + up, rtol=2 * eps)
        np.testing.assert_array_equal(dx.astype(float), u)
        np.testing.assert_allclose(dv.astype(float), u * dh, rtol=4 * eps)


@every_framework
def test_tensorwise_errors(framework: str) -> None:
    x = to_framework(framework, np.array([1.0, 2.0]))
    single = to_framework(framework, np.array([1.0, 2.0], np.float32))
    short = to_framework(framework, np.array([1.0]))
    integers = to_framework(framework, np.array([1, 2]))
    for f in (tensorwise.dorefa_weight, tensorwise.magnitude_aware_sign, tensorwise.ternary_weight):
        with pytest.raises(TypeError, match=rf"fgi.functional.{f.__name__}: x is an int64 array"):
            f(integers)
    for f in (tensorwise.magnitude_aware_sign, tensorwise.ternary_weight):
        with pytest.raises(ValueError, match="clip is 0; expected a number > 0"):
            f(x, clip=0)
    with pytest.raises(ValueError, match="bits is 0; expected an integer >= 1"):
        tensorwise.dorefa_weight(x, 0)
    with pytest.raises(TypeError, match="expected equal dtypes"):
        tensorwise.learned_round(x, single)
    with pytest.raises(ValueError, match="expected equal shapes"):
        tensorwise.learned_round(x, short)
    for other in INSTALLED:
        if other != framework:
            load(other)
            with pytest.raises(TypeError, match=f"x is an array of {framework}, v one of {other}"):
                tensorwise.learned_round(x, to_framework(other, np.array([1.0, 2.0])))


@every_autodiff
def test_tensorwise_compiled(framework: str) -> None:
    rng = np.random.default_rng(4)
    x, v, u = (to_framework(framework, a) for a in rng.normal(size=(3, 8, 5)))

    def run(x: Any, v: Any, u: Any) -> Any:
        found = []
        for f in (
            lambda x, v: tensorwise.dorefa_weight(x, 3),
            lambda x, v: tensorwise.magnitude_aware_sign(x, axis=0),
            lambda x, v: tensorwise.ternary_weight(x, axis=0),
            lambda x, v: tensorwise.learned_round(x, v),
        ):
            y, pullback = fgi.vjp(lambda x, f=f: f(x, v), x)
            found += [y, *pullback(u)]
        return found

    for eager, compiled in zip(run(x, v, u), fgi.compile(run)(x, v, u), strict=True):
        np.testing.assert_allclose(
            to_numpy(framework, compiled), to_numpy(framework, eager), rtol=1e-13, atol=1e-15
        )


def test_as_functions() -> None:
    x = np.array([-0.3, 0.2, 0.9])
    np.testing.assert_array_equal(fgi.functional.lsq(x, step=0.25), [-0.25, 0.25, 1])
    np.testing.assert_array_equal(fgi.functional.pact(x, alpha=1.0, bits=1), [0, 0, 1])
    np.testing.assert_array_equal(fgi.functional.fake_quantize(x, 0.5), [-0.5, 0, 1])
    np.testing.assert_array_equal(fgi.functional.ternary_weight(x, scaled=False), [0, 0, 1])


@every_autodiff
def test_a_window_in_which_the_primitive_rises(framework: str) -> None:
    """The primitive rises by x inside the window and nowhere else."""
    x = np.array([-9.0, -1.6, -1.0, 0.3, 0.9, 2.0])
    for spike, low, high in (
        (FakeQuantize(0.5, 1.0, -2, 3), -1.75, 1.25),
        (FakeQuantize(0.5, 1.0, -2, 3, "input"), -1.5, 1.0),
        (LSQ(0.5, 0.25, -2, 3), -0.75, 1.75),
        (PACT(1.5), 0.0, 1.5),
        (Rectangle(-0.5, 0.5), -0.5, 0.5),
    ):
        y = to_numpy(framework, spike.primitive(to_framework(framework, x)))  # type: ignore[attr-defined]
        np.testing.assert_allclose(y, np.clip(x, low, high) - low, rtol=1e-15)


def test_names() -> None:
    """Whatever is public here is in fgi.functional, and every value is found by its name."""
    assert set(tensorwise.__all__) <= set(fgi.functional.__all__)
    for a, b in itertools.pairwise(sorted(values.__all__)):
        assert a < b
    assert {"Cast", "Compose", "Lookup", "MidRise", "Quantize"} <= set(values.__all__)
    assert backend("numpy").dtype("float32") == np.float32
