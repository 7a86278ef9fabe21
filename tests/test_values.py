"""The value functions: what they are at zero and at the ends, and that their derivative is zero."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fgi
from fgi import values
from fgi.values.value import Value
from support.frameworks import (
    DTYPES,
    INSTALLED,
    INSTALLED_AUTODIFF,
    backend,
    keys,
    numpy_dtype,
    to_framework,
    to_numpy,
)

Numpy = np.ndarray[Any, Any]

INF, NAN = np.inf, np.nan

# fmt: off
X = [-INF, -2.5, -1.5, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 1.5, 2.5, INF,  NAN]
EXPECTED: dict[Value, list[float]] = {
    fgi.heaviside:
        [ 0,    0,    0,    0,    0,     0,   0,   1,    1,   1,   1,   1,    0],
    fgi.Heaviside(at_zero=1):
        [ 0,    0,    0,    0,    0,     1,   1,   1,    1,   1,   1,   1,    0],
    fgi.Heaviside(at_zero=0.1):  # no dtype holds 0.1, each rounds it once
        [ 0,    0,    0,    0,    0,    0.1, 0.1,  1,    1,   1,   1,   1,    0],
    fgi.Heaviside(threshold=0.25):
        [ 0,    0,    0,    0,    0,     0,   0,   0,    1,   1,   1,   1,    0],
    fgi.Heaviside(at_zero=1, threshold=-0.5):
        [ 0,    0,    0,    1,    1,     1,   1,   1,    1,   1,   1,   1,    0],
    fgi.sign:
        [-1,   -1,   -1,   -1,   -1,     0,   0,   1,    1,   1,   1,   1,   NAN],
    fgi.Sign(at_zero=1):
        [-1,   -1,   -1,   -1,   -1,     1,   1,   1,    1,   1,   1,   1,   NAN],
    fgi.Sign(at_zero=-1):
        [-1,   -1,   -1,   -1,   -1,    -1,  -1,   1,    1,   1,   1,   1,   NAN],
    fgi.Sign(at_zero=0.1):
        [-1,   -1,   -1,   -1,   -1,    0.1, 0.1,  1,    1,   1,   1,   1,   NAN],
    values.Ternary(threshold=0.5):
        [-1,   -1,   -1,   -1,    0,     0,   0,   0,    1,   1,   1,   1,   NAN],
    fgi.round:
        [-INF, -2,   -2,  -0.0, -0.0,  -0.0,  0,   0,    0,   2,   2,  INF,  NAN],
    fgi.Round(ties="up"):
        [-INF, -2,   -1,  -0.0, -0.0,  -0.0,  0,   0,    1,   2,   3,  INF,  NAN],
    fgi.Round(ties="up below zero"):
        [-INF, -2,   -1,  -0.0, -0.0,  -0.0,  0,   0,    0,   2,   2,  INF,  NAN],
    fgi.Round(step=0.5, low=-1, high=2):
        [-1,   -1,   -1,  -0.5, -0.0,  -0.0,  0,   0,   0.5, 1.5,  2,   2,   NAN],
    values.floor:
        [-INF, -3,   -2,   -1,   -1,   -0.0,  0,   0,    0,   1,   2,  INF,  NAN],
    values.ceil:
        [-INF, -2,   -1,  -0.0, -0.0,  -0.0,  0,   1,    1,   2,   3,  INF,  NAN],
    values.truncate:
        [-INF, -2,   -1,  -0.0, -0.0,  -0.0,  0,   0,    0,   1,   2,  INF,  NAN],
    values.KBit(bits=1, low=-0.5, high=1):
        [-0.0, -0.0, -0.0, -0.0, -0.0, -0.0,  0,   0,    0,   1,   1,   1,   NAN],
    values.PowerOfTwo(lowest=-1, highest=1):
        [-2,   -2,   -2,  -0.5, -0.5,   0.5, 0.5, 0.5,  0.5,  2,   2,   2,   NAN],
    values.Clip(low=-0.5, high=1.5):
        [-0.5, -0.5, -0.5, -0.5, -0.25, -0.0, 0,  0.25, 0.5, 1.5, 1.5, 1.5,  NAN],
    values.Absolute():
        [INF,  2.5,  1.5,  0.5,  0.25,   0,   0,  0.25, 0.5, 1.5, 2.5, INF,  NAN],
    values.identity:
        [-INF, -2.5, -1.5, -0.5, -0.25, -0.0, 0,  0.25, 0.5, 1.5, 2.5, INF,  NAN],
    values.SpikeCount(threshold=0.5, maximum=4):
        [ 0,    0,    0,    0,    0,     0,   0,   0,    1,   3,   4,   4,    0],
    values.LogSpikeCount(threshold=0.25):  # log(6) = 1.8, log(10) = 2.3
        [ 0,    0,    0,    0,    0,     0,   0,   0,    1,   2,   3,  INF,   0],
    values.GradedSpike(threshold=0.5, scale=0.5):
        [ 0,    0,    0,    0,    0,     0,   0,   0,    1,   3,   5,  INF,   0],
}
# Powers of two: no rounding of their own.
U =  [-2.0,   0.5,  4.0, -0.25, -2.0, 0.5,  4.0, -0.25, -2.0, 0.5, 4.0, -0.25, -2.0]
# fmt: on
SIGNED_ZERO = {v: not isinstance(v, fgi.Sign | values.Ternary) for v in EXPECTED}
"""fgi.sign(-0.0) is either zero."""
STEPS = [
    value
    for value in EXPECTED
    if not isinstance(value, values.Absolute | values.Clip | values.GradedSpike | values.Identity)
]
"""Those whose own derivative is zero."""

every_framework = pytest.mark.parametrize("framework", INSTALLED)
every_autodiff = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_value = pytest.mark.parametrize("value", EXPECTED, ids=repr)


@pytest.fixture(autouse=True)
def quiet_numpy() -> Iterator[None]:
    """NumPy warns of NaN in comparisons of bfloat16."""
    with np.errstate(invalid="ignore"):
        yield


def array(values: Any, dtype: str) -> Numpy:
    return np.asarray(values, np.float64).astype(numpy_dtype(dtype))


def check(got: Numpy, expected: Numpy, *, zeros: bool = True) -> None:
    """Equal in dtype, shape and value, NaN equal to NaN; the sign of a zero too unless told."""
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(got, expected)
    if zeros:
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


def evaluate(framework: str, value: Any, x: Numpy) -> Numpy:
    return to_numpy(framework, value(to_framework(framework, x)))


@every_dtype
@every_framework
@every_value
def test_value(value: Value, framework: str, dtype: str) -> None:
    x, expected = array(X, dtype), array(EXPECTED[value], dtype)
    signed = SIGNED_ZERO[value]
    check(evaluate(framework, value, x), expected, zeros=signed)
    for i in (5, 6, 10):
        point = x[i : i + 1].reshape(())
        check(evaluate(framework, value, point), expected[i].reshape(()), zeros=signed)
    check(evaluate(framework, value, x[:0]), expected[:0])


@every_dtype
@every_framework
def test_next_to_the_edges(framework: str, dtype: str) -> None:
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    tiny, eps = float(info.smallest_normal), float(info.eps)
    x = array([tiny, -tiny], dtype)
    check(evaluate(framework, fgi.heaviside, x), array([1, 0], dtype))
    check(evaluate(framework, fgi.Heaviside(at_zero=1), x), array([1, 0], dtype))
    check(evaluate(framework, fgi.sign, x), array([1, -1], dtype))
    x = array([0.5 - eps / 4, 0.5 + eps / 2, 1.5 - eps, 1.5 + eps, -0.5 - eps / 2], dtype)
    check(evaluate(framework, fgi.round, x), array([0, 1, 1, 2, -1], dtype))


@every_framework
def test_at_zero_may_be_an_array(framework: str) -> None:
    x, at_zero = array([-1.0, 0.0, -0.0, 2.0], "float32"), array([0.1, 0.2, 0.3, 0.4], "float32")
    at_zero_ = to_framework(framework, at_zero)
    got = evaluate(framework, fgi.Heaviside(at_zero=at_zero_), x)
    check(got, array([0, at_zero[1], at_zero[2], 1], "float32"))
    got = evaluate(framework, fgi.Sign(at_zero=at_zero_), x)
    check(got, array([-1, at_zero[1], at_zero[2], 1], "float32"))


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("kind", [fgi.Heaviside, fgi.Sign])
def test_an_array_at_zero_leaves_the_dtype_alone(
    kind: type[Value], dtype: str, framework: str
) -> None:
    at_zero = to_framework(framework, array([0.25], "float32"))
    x, expected = array([0.0, 2.0], dtype), array([0.25, 1], dtype)
    value = kind(at_zero=at_zero)
    check(evaluate(framework, value, x), expected)
    check(evaluate(framework, fgi.surrogates.StraightThrough(forward=value), x), expected)


@every_framework
@pytest.mark.parametrize("kind", [fgi.Heaviside, fgi.Sign])
def test_an_array_at_zero_leaves_the_shape_alone(kind: type[Value], framework: str) -> None:
    at_zero = to_framework(framework, array([0.25, 0.5, 0.75], "float32"))
    x = to_framework(framework, array([0.0], "float32"))
    with pytest.raises(ValueError, match=r"at_zero.*expected the shape of x"):
        kind(at_zero=at_zero)(x)


@every_autodiff
def test_at_zero_is_differentiable(framework: str) -> None:
    xp = backend(framework)
    x, u, at_zero = (
        to_framework(framework, array(v, "float64"))
        for v in ([0.0, -1.0, -0.0, 3.0], [-2.0, 0.5, 8.0, 16.0], 0.25)
    )
    for kind in (fgi.Heaviside, fgi.Sign):
        slope = fgi.grad(lambda a, kind=kind: xp.sum(u * kind(at_zero=a)(x)))(at_zero)
        check(to_numpy(framework, slope), array(-2.0 + 8.0, "float64"))


@every_dtype
@every_autodiff
@pytest.mark.parametrize("value", STEPS, ids=repr)
def test_derivative_is_zero(value: Value, framework: str, dtype: str) -> None:
    x, u = (to_framework(framework, array(v, dtype)) for v in (X, U))
    zero = array(np.zeros(len(X)), dtype)
    _, pullback = fgi.vjp(value, x)
    check(to_numpy(framework, pullback(u)[0]), zero, zeros=False)
    _, dy = fgi.jvp(value, (x,), (u,))
    check(to_numpy(framework, dy), zero, zeros=False)


@every_autodiff
def test_compiled_values(framework: str) -> None:
    def run(xs: dict[str, Any]) -> dict[str, list[Any]]:
        return {dtype: [value(x) for value in EXPECTED] for dtype, x in xs.items()}

    xs = {dtype: to_framework(framework, array(X, dtype)) for dtype in DTYPES}
    for dtype, got in fgi.compile(run)(xs).items():
        for y, (value, expected) in zip(got, EXPECTED.items(), strict=True):
            check(to_numpy(framework, y), array(expected, dtype), zeros=SIGNED_ZERO[value])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@every_autodiff
def test_straight_through_round(framework: str, compiled: bool) -> None:
    """The value is that of rounding bit for bit, -0.0 from round(-0.3) too; the gradient is u."""
    spike = fgi.surrogates.StraightThrough(forward=fgi.round)

    def run(xs: dict[str, Any], us: dict[str, Any]) -> dict[str, Any]:
        result = {}
        for dtype, x in xs.items():
            y, pullback = fgi.vjp(spike, x)
            result[dtype] = (y, pullback(us[dtype])[0])
        return result

    x = np.array([*X, -0.3, 0.3, 0.7, -0.7, 3.5, -10.5, 1000.25, -64.75])
    u = np.resize(U, x.shape)
    # By hand from EXPECTED, and half to even for the others.
    y = [*EXPECTED[fgi.round], -0.0, 0.0, 1, -1, 4, -10, 1000, -65]
    arrays = [{d: to_framework(framework, array(v, d)) for d in DTYPES} for v in (x, u)]

    result = (fgi.compile(run) if compiled else run)(*arrays)

    for dtype, pair in result.items():
        value, dx = (to_numpy(framework, a) for a in pair)
        check(value, array(y, dtype))
        check(dx, array(np.where(np.isfinite(x), u, 0.0), dtype), zeros=False)


@every_framework
def test_only_floating_arrays(framework: str) -> None:
    x = to_framework(framework, np.array([0, 1]))
    for value in (fgi.heaviside, fgi.sign, fgi.round):
        with pytest.raises(TypeError, match=rf"^fgi\.{value.name}: x is an? int64 array"):
            value(x)
        with pytest.raises(TypeError, match=rf"^fgi\.{value.name}: x is a float;"):
            value(0.5)


def test_equality_and_hash() -> None:
    same = [
        {fgi.heaviside, fgi.Heaviside(), fgi.Heaviside(at_zero=0), fgi.Heaviside(-0.0)},
        {fgi.Heaviside(at_zero=1), fgi.Heaviside(1.0), fgi.Heaviside(at_zero=np.float32(1))},
        {fgi.sign, fgi.Sign(), fgi.Sign(at_zero=0.0)},
        {fgi.Sign(at_zero=1), fgi.sign.replace(at_zero=1.0)},
        {fgi.round, fgi.Round()},
    ]
    assert [len(group) for group in same] == [1] * len(same)
    assert len(set.union(*same)) == len(same)
    assert fgi.Heaviside(at_zero=1) != fgi.Sign(at_zero=1)
    assert fgi.round != "round"


def test_values_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        fgi.heaviside.at_zero = 1.0
    assert fgi.heaviside.replace(at_zero=1).at_zero == 1
    assert fgi.heaviside.at_zero == 0


def test_repr() -> None:
    assert repr(fgi.heaviside) == "Heaviside(at_zero=0.0, threshold=0.0)"
    assert repr(fgi.Sign(at_zero=1)) == "Sign(at_zero=1.0)"
    assert repr(fgi.round) == "Round(step=1.0, low=-inf, high=inf, ties='even')"


def numbers(dtype: str) -> Numpy:
    """Halves and quarters, what no dtype holds and its neighbours, both zeros, the ends."""
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    near = array(
        [0.1, 0.2, 0.3, 0.6, 0.7, 0.9, 1.2, 2.2, 0.5, 1.0, 1.5, 2.5, 2**0.5, 2**-0.5], dtype
    )
    bits = near.view(f"i{near.itemsize}")
    edges = np.concatenate([near, *((bits + i).view(near.dtype) for i in (-1, 1))])
    coarse = [*np.arange(0, 4, 0.25), 10.3, 100.5, 1000, 1e4]
    x = np.concatenate([edges, array([*coarse, 64 * float(info.smallest_normal), INF], dtype)])
    return np.concatenate([x, -x, array([NAN], dtype)])


def uniforms(x: Numpy) -> Numpy:
    """A number from [0, 1) for each x, with 8 binary digits."""
    return (np.arange(x.size) * 97 % 256 / 256).astype(x.dtype).reshape(x.shape)


def classes() -> list[type[Value]]:
    """Every public value function of the library; a new one is here by itself."""
    found = vars(values).values()
    return [
        kind
        for kind in found
        if isinstance(kind, type)
        and issubclass(kind, Value)
        and kind is not Value
        and not kind.__name__.startswith("_")
    ]


OTHER: dict[str, Callable[[Any], Any]] = {
    "finite": lambda default: 0.3,
    "positive": lambda default: 0.3,
    "unit": lambda default: 0.3,
    "extended": lambda default: -2.2 if default < 0 else 2.2,
    "integer": lambda default: default + 1,
    "count": lambda default: default + 1,
}
"""By the range of a parameter: a value that is not its default. No dtype holds these fractions."""


def other(default: Any, range: str) -> Any:
    if isinstance(default, Value):
        return values.Clip(0.1, 0.9)
    if isinstance(default, tuple):
        return tuple(v + 0.3 for v in default)
    if "|" in range:
        return range.split("|")[-1]
    return OTHER[range](default)


def ranges(kind: type[Value]) -> dict[str, str]:
    return {f.name: f.metadata.get("range", "") for f in dataclasses.fields(kind)}


def samples(kind: type[Value]) -> list[Value]:
    """One with the defaults; for each parameter one that differs in it; one that does in all."""
    value = kind()
    changed = {name: other(value.parameters[name], range) for name, range in ranges(kind).items()}
    found = [value, *(value.replace(**{name: v}) for name, v in changed.items())]
    return [*found, kind(**changed)] if len(changed) > 1 else found


SAMPLES = [value for kind in classes() for value in samples(kind)]
every_sample = pytest.mark.parametrize("value", SAMPLES, ids=repr)
every_class = pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)


def key_for(value: Value, framework: str, x: Numpy) -> Any:
    return to_framework(framework, uniforms(x)) if value.random else None


def same(got: Numpy, expected: Numpy, dtype: str) -> None:
    """Within a few roundings, for what has an exp in it; no step is in another place.

    Subnormal results may be flushed to zero.
    """
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    tolerance = {"rtol": 4 * float(info.eps), "atol": float(info.smallest_normal)}
    np.testing.assert_allclose(got, expected, **tolerance)


def in_numpy(value: Value, x: Numpy) -> Numpy:
    """By NumPy; what it computes is held to other formulas further down."""
    with np.errstate(over="ignore"):
        return np.asarray(value(x, uniforms(x) if value.random else None))


def test_every_class_is_found() -> None:
    names = {kind.__name__ for kind in classes()}
    assert {"Heaviside", "Round", "KBit", "StochasticRound", "Lookup"} <= names
    assert {kind.__name__ for kind in classes()} == {
        n for n in values.__all__ if n[0].isupper()
    } - {"Value"}
    # Each parameter of each is changed in one of the samples.
    for kind in classes():
        assert len(set(samples(kind))) == len(samples(kind)) > len(ranges(kind))


@every_dtype
@every_framework
@every_sample
def test_same_in_every_framework(value: Value, framework: str, dtype: str) -> None:
    x = numbers(dtype)
    key = key_for(value, framework, x)
    got = to_numpy(framework, value(to_framework(framework, x), key))
    same(got, in_numpy(value, x), dtype)
    for shape in [(), (0,), (2, 1, 3)]:
        x = np.full(shape, 0.75, numpy_dtype(dtype))
        got = to_numpy(framework, value(to_framework(framework, x), key_for(value, framework, x)))
        same(got, in_numpy(value, x), dtype)


@every_autodiff
def test_same_when_compiled(framework: str) -> None:
    """Together, as compiling takes long: with the defaults and with none of them."""
    some = [value for kind in classes() for value in (samples(kind)[0], samples(kind)[-1])]

    def run(inputs: dict[str, Any]) -> dict[str, list[Any]]:
        return {
            dtype: [value(x, u if value.random else None) for value in some]
            for dtype, (x, u) in inputs.items()
        }

    xs = {dtype: numbers(dtype) for dtype in ("bfloat16", "float32")}
    inputs = {d: tuple(to_framework(framework, a) for a in (x, uniforms(x))) for d, x in xs.items()}
    for dtype, got in fgi.compile(run)(inputs).items():
        for value, y in zip(some, got, strict=True):
            same(to_numpy(framework, y), in_numpy(value, xs[dtype]), dtype)


@every_framework
@every_sample
def test_as_the_forward_of_a_surrogate(value: Value, framework: str) -> None:
    spike = fgi.surrogates.StraightThrough(forward=value)
    for dtype in DTYPES:
        x = numbers(dtype)
        key = key_for(value, framework, x)
        x_ = to_framework(framework, x)
        # Bit for bit, but for the sign of a zero.
        check(to_numpy(framework, spike(x_, key)), to_numpy(framework, value(x_, key)), zeros=False)


@every_sample
def test_numpy_does_not_warn(value: Value) -> None:
    for dtype in ("float16", "float32", "float64"):
        x = numbers(dtype)
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            value(x, uniforms(x) if value.random else None)


NUMERIC = [
    (kind, name)
    for kind in classes()
    for name, range in ranges(kind).items()
    if range in ("finite", "extended", "positive", "unit")
]
numeric = pytest.mark.parametrize(
    ("kind", "name"), NUMERIC, ids=lambda v: getattr(v, "__name__", v)
)


@numeric
@every_framework
def test_a_parameter_for_each_channel(kind: type[Value], name: str, framework: str) -> None:
    """An array does what a number does in each row, and keeps the dtype."""
    sign = -1.0 if kind().parameters[name] < 0 else 1.0
    rows = [sign * v for v in (0.375, 0.5, 0.75)]
    per_channel = to_framework(framework, array(rows, "float32").reshape(3, 1))
    for dtype in DTYPES:
        x = np.stack([numbers(dtype)] * 3)
        u = uniforms(x)
        key = to_framework(framework, u) if kind.random else None
        got = to_numpy(framework, kind(**{name: per_channel})(to_framework(framework, x), key))
        for i, number in enumerate(rows):
            key = to_framework(framework, u[i]) if kind.random else None
            value = kind(**{name: number})
            alone = to_numpy(framework, value(to_framework(framework, x[i]), key))
            same(got[i], alone, dtype)


@numeric
@every_framework
def test_a_parameter_that_does_not_fit(kind: type[Value], name: str, framework: str) -> None:
    sign = -1.0 if kind().parameters[name] < 0 else 1.0
    value = kind(**{name: to_framework(framework, array([0.25, 0.5, 0.75], "float32") * sign)})
    x = np.ones((1,), np.float32)
    with pytest.raises(ValueError, match=rf"{name}.*expected the shape of x"):
        value(to_framework(framework, x), key_for(value, framework, x))


@numeric
def test_a_parameter_of_another_framework(kind: type[Value], name: str) -> None:
    if len(INSTALLED) < 2:
        pytest.skip("needs a second framework")
    first, second = INSTALLED[:2]
    sign = -1.0 if kind().parameters[name] < 0 else 1.0
    value = kind(**{name: to_framework(first, np.array([0.5 * sign]))})
    x = np.ones((1,), np.float32)
    with pytest.raises(TypeError, match=f"{second}, {name} one of {first}"):
        value(to_framework(second, x), key_for(value, second, x))


BAD: dict[str, list[tuple[Any, type[Exception]]]] = {
    "finite": [(INF, ValueError), (-INF, ValueError), (NAN, ValueError)],
    "extended": [(NAN, ValueError)],
    "positive": [(0, ValueError), (-1.0, ValueError), (INF, ValueError), (NAN, ValueError)],
    "unit": [(-0.1, ValueError), (1.5, ValueError), (INF, ValueError), (NAN, ValueError)],
    "integer": [(0.5, TypeError), (INF, TypeError)],
    "count": [(0, ValueError), (-1, ValueError), (1.0, TypeError)],
}
NOT_NUMBERS = ["1", None, True, 1j, [0.5], np.array([0, 1]), np.array([True])]


@every_class
def test_invalid_parameters(kind: type[Value]) -> None:
    for name, range in ranges(kind).items():
        bad = BAD.get(range, [])
        if range in OTHER:
            bad = [*bad, *((v, TypeError) for v in NOT_NUMBERS)]
        if range == "":  # a function or several numbers; None is the default
            bad = [(0.5, TypeError), ("1", TypeError), (1j, TypeError)]
        if "|" in range:
            bad = [("sideways", ValueError), ("", ValueError), (None, TypeError), (1, TypeError)]
        assert bad
        for value, error in bad:
            with pytest.raises(error, match=rf"^{kind.__name__}: {name} is .*; expected "):
                kind(**{name: value})
    with pytest.raises(TypeError, match="sideways"):
        kind(sideways=1.0)


ORDERED = [
    (kind, *pair)
    for kind in classes()
    for pair in (("low", "high"), ("lowest", "highest"))
    if set(pair) <= ranges(kind).keys()
]


@pytest.mark.parametrize(("kind", "low", "high"), ORDERED)
def test_low_is_below_high(kind: type[Value], low: str, high: str) -> None:
    expected = rf"^{kind.__name__}: {low} is .* and {high} is .*; expected {low} < {high}"
    for pair in [(1, 1), (2, 1)]:
        with pytest.raises(ValueError, match=expected):
            kind(**dict(zip((low, high), pair, strict=True)))


@every_sample
def test_copies_are_equal(value: Value) -> None:
    names = vars(values) | {"inf": INF, "nan": NAN}
    config = json.loads(json.dumps(value.to_config()))
    copies = [
        pickle.loads(pickle.dumps(value)),
        copy.deepcopy(value),
        Value.from_config(config),
        fgi.surrogates.ATan(forward=value).replace(alpha=3.0).forward,
        fgi.from_config(fgi.surrogates.ATan(forward=value).to_config()).forward,
        eval(repr(value), names),
        value.replace(),
    ]
    for other in copies:
        assert type(other) is type(value)
        assert other == value
        assert hash(other) == hash(value)
        assert other.parameters == value.parameters
    assert [v for v in SAMPLES if v == value] == [value]
    assert value != "value"


@every_class
def test_values_do_not_change_after_construction(kind: type[Value]) -> None:
    value = kind()
    for name in [*ranges(kind), "something"]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1.0)


# Exactness: other formulas, in NumPy's own functions, in the dtype that is computed in.


def rounded(
    how: Callable[[Any], Any], step: float = 1, low: float = -INF, high: float = INF
) -> Any:
    def reference(x: Numpy) -> Numpy:
        one = x.dtype.type
        return how(np.minimum(np.maximum(x, one(low)), one(high)) / one(step)) * one(step)

    return reference


def half_up(x: Numpy) -> Numpy:
    down = np.floor(x)
    return np.where(x - down < 0.5, down, np.ceil(x))


def half_up_below_zero(x: Numpy) -> Numpy:
    return np.where(x < 0, half_up(x), np.round(x))


def power_of_two(lowest: int, highest: int) -> Any:
    def one(x: float) -> float:
        if math.isnan(x):
            return x
        exponent = lowest
        # In fractions: |x| > 2^(e - 1/2) where x^2 > 2^(2 e - 1).
        square = Fraction(x) ** 2 if math.isfinite(x) else Fraction(10) ** 400
        while exponent < highest and square > Fraction(2) ** (2 * exponent + 1):
            exponent += 1
        return math.copysign(2.0**exponent, x if x else 1.0)

    return lambda x: np.array([one(float(v)) for v in x], x.dtype)


def spike_count(threshold: float, maximum: float) -> Any:
    def reference(x: Numpy) -> Numpy:
        n = np.trunc(x / x.dtype.type(threshold))
        return np.where(x > 0, np.minimum(n, x.dtype.type(maximum)), 0).astype(x.dtype)

    return reference


def log_spike_count(threshold: float, maximum: float) -> Any:
    def one(x: Any) -> float:
        if not x > x.dtype.type(threshold):
            return 0.0
        with np.errstate(over="ignore"):
            q = float(x / x.dtype.type(threshold))
        return min(float(math.ceil(math.log(q))), maximum) if q < INF else maximum

    return lambda x: np.array([one(v) for v in x], x.dtype)


def graded(threshold: float, scale: float) -> Any:
    def reference(x: Numpy) -> Numpy:
        one = x.dtype.type
        return np.where(x >= one(threshold), x / one(scale), one(0))

    return reference


def k_bit(bits: int, low: float, high: float) -> Any:
    n = 2**bits - 1

    def reference(x: Numpy) -> Numpy:
        one = x.dtype.type
        return np.round(np.minimum(np.maximum(x, one(low)), one(high)) * one(n)) / one(n)

    return reference


def ternary(threshold: float) -> Any:
    return lambda x: np.where(abs(x) < x.dtype.type(threshold), x.dtype.type(0), np.sign(x))


def step(at_zero: float, threshold: float) -> Any:
    def reference(x: Numpy) -> Numpy:
        return np.heaviside(
            np.where(np.isnan(x), -1, x - x.dtype.type(threshold)), x.dtype.type(at_zero)
        )

    return reference


REFERENCES: list[tuple[Value, Callable[[Numpy], Numpy]]] = [
    *(
        (kind(**options), rounded(how, **options))
        for kind, how in [
            (values.Round, np.round),
            (values.Floor, np.floor),
            (values.Ceil, np.ceil),
            (values.Truncate, np.trunc),
        ]
        for options in [
            {},
            {"step": 0.3},
            {"step": 0.7, "low": -2.2},
            {"step": 1 / 15, "low": -0.6, "high": 0.7},
            {"step": 3.0, "high": 10.0},
        ]
    ),
    (values.Round(ties="up"), half_up),
    (values.Round(step=0.2, ties="up"), rounded(half_up, 0.2)),
    (values.Round(ties="up below zero"), half_up_below_zero),
    (
        values.Round(step=0.2, ties="up below zero", low=-2.2, high=1.2),
        rounded(half_up_below_zero, 0.2, -2.2, 1.2),
    ),
    (values.KBit(bits=1), k_bit(1, -INF, INF)),
    (values.KBit(bits=2, low=0.0, high=1.0), k_bit(2, 0, 1)),
    (values.KBit(bits=3, low=-0.3), k_bit(3, -0.3, INF)),
    (values.KBit(bits=8, low=-1.0, high=1.0), k_bit(8, -1, 1)),
    (values.PowerOfTwo(), power_of_two(-7, 0)),
    (values.PowerOfTwo(lowest=-12, highest=12), power_of_two(-12, 12)),
    (values.Ternary(), ternary(0.05)),
    (values.Ternary(threshold=0.3), ternary(0.3)),
    (values.SpikeCount(), spike_count(1, INF)),
    (values.SpikeCount(threshold=0.3, maximum=7), spike_count(0.3, 7)),
    (values.LogSpikeCount(threshold=0.3), log_spike_count(0.3, INF)),
    (values.LogSpikeCount(threshold=0.7, maximum=3), log_spike_count(0.7, 3)),
    (values.GradedSpike(), graded(0, 1)),
    (values.GradedSpike(threshold=0.3, scale=0.7), graded(0.3, 0.7)),
    (values.Clip(low=-0.3, high=2.2), rounded(np.copy, 1, -0.3, 2.2)),
    (values.Clip(low=-0.3, high=INF), rounded(np.copy, 1, -0.3)),
    (values.Absolute(), np.abs),
    (values.identity, np.copy),
    (values.Heaviside(at_zero=0.3, threshold=0.3), step(0.3, 0.3)),
    (values.Heaviside(threshold=0.7), step(0, 0.7)),
    (values.Heaviside(at_zero=1, threshold=-2.2), step(1, -2.2)),
]


@every_dtype
@every_framework
def test_exactly_what_other_formulas_give(framework: str, dtype: str) -> None:
    """In float32 for 16 bits, rounded once; in every framework the same number in each."""
    x = numbers(dtype)
    wide = x.astype("float64" if dtype == "float64" else "float32")
    for value, reference in REFERENCES:
        with np.errstate(over="ignore"):
            expected = np.asarray(reference(wide)).astype(x.dtype)
        got = evaluate(framework, value, x)
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(
            got.astype(np.float64), expected.astype(np.float64), err_msg=repr(value)
        )


# What is random.

RANDOM = [kind for kind in classes() if kind.random]
every_random = pytest.mark.parametrize("kind", RANDOM, ids=lambda kind: kind.__name__)


@every_dtype
@every_framework
def test_random_values_by_given_numbers(framework: str, dtype: str) -> None:
    x = array([-1.75, -0.25, 0.25, 0.25, 0.5, 1.5, 3.0, 0.75, INF, -INF, NAN], dtype)
    u = array([0.2, 0.8, 0.25, 0.2, 0.5, 0.4, 0.0, 0.7, 0.1, 0.1, 0.1], dtype)
    x_, u_ = (to_framework(framework, a) for a in (x, u))

    def by_numbers(value: Value) -> Numpy:
        return to_numpy(framework, value(x_, u_))

    # By hand: one more than the floor where u is less than the fraction.
    expected = array([-1, -1, 0, 1, 0, 2, 3, 1, INF, -INF, NAN], dtype)
    check(by_numbers(values.StochasticRound()), expected, zeros=False)
    check(by_numbers(values.Bernoulli()), array([0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0], dtype))
    expected = array([-1, -1, -1, 1, -1, 1, 1, 1, 1, -1, -1], dtype)
    check(by_numbers(values.Bernoulli(low=-1)), expected)
    # 1 / (1 + exp(-x)) is 0.15, 0.44, 0.56, 0.56, 0.62, 0.82, 0.95, 0.68.
    half = values.Bernoulli(values.Logistic())
    check(by_numbers(half), array([0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0], dtype))
    check(by_numbers(values.Bernoulli(abs)), array([1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0], dtype))


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_frequencies(dtype: str, framework: str) -> None:
    """With the framework's own keys: the mean is x, or the probability, within 5 deviations."""
    n = 10000
    for p in (0.125, 0.5, 0.75):
        for key in [keys(framework, 11)[0], *keys(framework, 12)]:
            x = to_framework(framework, array(np.full(n, 2 + p), dtype))
            y = to_numpy(framework, values.StochasticRound()(x, key)).astype(float)
            assert set(y) == {2, 3}
            assert abs(y.mean() - 2 - p) < 5 * np.sqrt(p * (1 - p) / n)
        for key in keys(framework, 13):
            x = to_framework(framework, array(np.full(n, p), dtype))
            y = to_numpy(framework, values.Bernoulli()(x, key)).astype(float)
            assert set(y) == {0, 1}
            assert abs(y.mean() - p) < 5 * np.sqrt(p * (1 - p) / n)


@every_random
@every_framework
def test_keys_that_do_not_fit(kind: type[Value], framework: str) -> None:
    x = to_framework(framework, np.ones(3, np.float32))
    caller = rf"^fgi\.{kind.name}: key is "
    for key in (None, 1, 0.5, "key", [0.5], object()):
        with pytest.raises(TypeError, match=rf"{caller}.*; expected {framework}'s own key"):
            kind()(x, key)
    with pytest.raises(ValueError, match=rf"{caller}.*in the shape of x"):
        kind()(x, to_framework(framework, np.ones(4, np.float32)))
    with pytest.raises(TypeError, match=r"^StraightThrough: key is None; expected"):
        fgi.surrogates.StraightThrough(forward=kind())(x)


@every_framework
def test_a_key_where_nothing_is_random(framework: str) -> None:
    x = to_framework(framework, np.ones(3, np.float32))
    for kind in classes():
        if not kind.random:
            with pytest.raises(TypeError, match=rf"^fgi\.{kind.name}: key is .*expected none"):
                kind()(x, x)


def test_probability_is_a_function() -> None:
    with pytest.raises(TypeError, match=r"^Bernoulli: probability is a float; expected a function"):
        values.Bernoulli(0.5)
