"""The value functions: what they are at zero and at the ends, and that their derivative is zero."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fgi
from fgi import values
from fgi.values import Value
from support.frameworks import (
    DTYPES,
    INSTALLED,
    INSTALLED_AUTODIFF,
    backend,
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
        check(dx, array(np.where(np.isfinite(x), u, 0.0), dtype))


INVALID = [
    (fgi.Heaviside, -0.1, ValueError),
    (fgi.Heaviside, 1.5, ValueError),
    (fgi.Heaviside, INF, ValueError),
    (fgi.Heaviside, NAN, ValueError),
    (fgi.Sign, INF, ValueError),
    (fgi.Sign, NAN, ValueError),
    *((kind, at_zero, TypeError)
      for kind in (fgi.Heaviside, fgi.Sign)
      for at_zero in ("1", None, True, 1j, [0.5], np.array([0, 1]), np.array([True]))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "at_zero", "error"), INVALID)
def test_invalid_at_zero(kind: type[Value], at_zero: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{kind.__name__}: at_zero is .*expected a .*number"):
        kind(at_zero=at_zero)


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


@every_value
def test_pickle(value: Value) -> None:
    copy = pickle.loads(pickle.dumps(value))
    assert copy == value
    assert hash(copy) == hash(value)
    assert copy.parameters == value.parameters


def test_repr() -> None:
    assert repr(fgi.heaviside) == "Heaviside(at_zero=0.0, threshold=0.0)"
    assert repr(fgi.Sign(at_zero=1)) == "Sign(at_zero=1.0)"
    assert repr(fgi.round) == "Round(step=1.0, low=-inf, high=inf, ties='even')"
