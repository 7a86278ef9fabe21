"""The same name means the same in each backend: dtype and shape first, then values.

The reference is NumPy and SciPy in float64 where the answer is exact, and mpmath in 50 digits where
it is not.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.special
from mpmath import mp, mpf

import fgi
from fgi.backend import Autodiff, Backend
from support.frameworks import (
    ALL,
    AUTODIFF,
    BFLOAT16,
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

# Bounds of the error in ulp of the exact result, on a CPU. 16 bits are computed in float32 and
# rounded once. XLA and TensorFlow approximate tanh and erfc, the others are within 2.
ULPS = {
    #        float16 bfloat16 float32 float64
    "sqrt": (0.51, 0.51, 1, 1),
    "exp": (0.51, 0.51, 2, 2),
    "log": (0.51, 0.51, 2, 2),
    "tanh": (0.51, 0.51, 5, 8),
    "atan": (0.51, 0.51, 3, 2),
    "erfc": (0.51, 0.51, 5, 8),
}
REFERENCE = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "atan": np.arctan,
    "erfc": scipy.special.erfc,
    "sign": np.sign,
    "round": np.round,
    "ones_like": np.ones_like,
    "zeros_like": np.zeros_like,
    "stop_gradient": np.copy,
}
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max}

every_framework = pytest.mark.parametrize("framework", INSTALLED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def quiet_numpy() -> Iterator[None]:
    """NumPy warns of overflow, of log(0) and, in bfloat16, of NaN; the others say nothing."""
    with np.errstate(all="ignore"):
        yield


def array(values: Any, dtype: str) -> Numpy:
    return np.asarray(values, np.float64).astype(numpy_dtype(dtype))


def native(framework: str, dtype: str) -> Any:
    return dict(zip(DTYPES, backend(framework).floating, strict=True))[dtype]


def call(framework: str, function: str, *args: Any, **options: Any) -> Numpy:
    """The backend's function; NumPy arrays among the arguments go in, a NumPy array comes out."""
    xp = backend(framework)
    args = tuple(to_framework(framework, a) if isinstance(a, np.ndarray) else a for a in args)
    y = getattr(xp, function)(*args, **options)
    assert isinstance(y, xp.Array)
    return to_numpy(framework, y)


def check(got: Numpy, expected: Numpy, *, zeros: bool = True) -> None:
    """Equal in dtype, shape and value, NaN equal to NaN; the sign of a zero too unless told."""
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(got, expected)
    if zeros:
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("framework", ALL)
def test_every_name_of_the_protocol(framework: str) -> None:
    if framework not in INSTALLED:
        pytest.skip(f"{framework} is not installed")
    module = backend(framework)
    own = {name for name in vars(Autodiff) if not name.startswith("_")}
    names = {name for name in vars(Backend) if not name.startswith("_")}
    assert {"where", "erfc", "mechanisms"} <= names
    assert {"grad", "scan"} <= own
    if framework == "numpy":
        # By their absence fgi.grad and the others know that there is none.
        assert not own & vars(module).keys()
    else:
        names |= own
    assert not names - vars(module).keys()


@every_framework
def test_attributes(framework: str) -> None:
    xp = backend(framework)
    assert xp.name == framework
    assert xp.version == importlib.import_module(framework).__version__
    assert xp.floating[:2] == xp.half
    assert xp.floating[2] == xp.float32
    for name, dtype in zip(DTYPES, xp.floating, strict=True):
        x = to_framework(framework, np.ones(2, numpy_dtype(name)))
        assert isinstance(x, xp.Array)
        assert x.dtype == dtype
    assert not isinstance([1.0], xp.Array)
    assert bool(xp.mechanisms) == (framework in AUTODIFF)


@every_dtype
@every_framework
@pytest.mark.parametrize("function", REFERENCE)
def test_dtype_and_shape(function: str, framework: str, dtype: str) -> None:
    for shape in [(), (0, 2), (2, 1, 3)]:
        y = call(framework, function, np.full(shape, 0.75, numpy_dtype(dtype)))
        assert (y.dtype, y.shape) == (numpy_dtype(dtype), shape)
        np.testing.assert_allclose(y.astype(float), REFERENCE[function](0.75), rtol=1e-2)


@cache
def exact(function: str, dtype: str) -> tuple[Numpy, list[Any], list[Any]]:
    """Points, and there the exact result and the spacing of its neighbours; normal results only."""
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    eps, tiny, largest = (mpf(float(v)) for v in (info.eps, info.smallest_normal, info.max))
    logarithmic = np.logspace(-4, 4, 33)
    x = array([*np.linspace(-10, 10, 81), *logarithmic, *-logarithmic], dtype)
    if function in ("sqrt", "log"):
        x = x[x > 0]
    with mp.workdps(40):
        results = [getattr(mp, function)(mpf(float(v))) for v in x]
        normal = [tiny <= abs(result) <= largest for result in results]
        results = [result for result, keep in zip(results, normal, strict=True) if keep]
        spacing = [eps * mpf(2) ** mp.floor(mp.log(abs(result), 2)) for result in results]
    assert len(results) > 40
    return x[normal], results, spacing


@every_dtype
@every_framework
@pytest.mark.parametrize("function", ULPS)
def test_values_within_ulps(function: str, framework: str, dtype: str) -> None:
    x, results, spacing = exact(function, dtype)
    ulps = np.full(x.shape, float(ULPS[function][DTYPES.index(dtype)]))
    if function == "erfc" and dtype in ("float32", "float64"):
        # Its condition number is 2 x^2: the tail turns half an ulp of x into that much.
        ulps += x.astype(np.float64) ** 2

    y = call(framework, function, x)

    with mp.workdps(40):
        error = np.array(
            [
                float(abs(mpf(float(got)) - want) / ulp)
                for got, want, ulp in zip(y, results, spacing, strict=True)
            ]
        )
    wrong = ~(error <= ulps)
    assert not wrong.any(), f"at {x[wrong][:3]}: off by {error[wrong][:3]}, bound {ulps[wrong][:3]}"


@every_dtype
@every_framework
@pytest.mark.parametrize("function", ULPS)
def test_special_values(function: str, framework: str, dtype: str) -> None:
    largest = float(ml_dtypes.finfo(numpy_dtype(dtype)).max)
    x = np.array([0.0, -0.0, INF, -INF, NAN, -largest])
    if function == "exp":
        x = np.array([*x, largest])
    check(call(framework, function, array(x, dtype)), array(REFERENCE[function](x), dtype))


@every_dtype
@every_framework
def test_round_half_to_even(framework: str, dtype: str) -> None:
    # The last three: below a half, where floor(x + 1/2) fails; and the largest with a half.
    eps = float(ml_dtypes.finfo(numpy_dtype(dtype)).eps)
    odd = 1 / (2 * eps) - 1
    x = [0.0, 0.3, 0.5, 0.75, 1.5, 2.5, 3.5, 10.5, 64.5, INF, 0.5 - eps / 4, odd + 0.5, 1 / eps + 1]
    expected = [0, 0, 0, 1, 2, 2, 4, 10, 64, INF, 0, odd + 1, 1 / eps + 1]
    x, expected = np.array(x), np.array(expected)
    keep = array(x, dtype) == x
    keep[1] = True
    assert keep.sum() >= 12
    x, expected = np.append(x[keep], NAN), np.append(expected[keep], NAN)
    check(call(framework, "round", array(x, dtype)), array(expected, dtype))
    check(call(framework, "round", array(-x, dtype)), array(-expected, dtype))


@every_dtype
@every_framework
def test_sign(framework: str, dtype: str) -> None:
    tiny = float(ml_dtypes.finfo(numpy_dtype(dtype)).smallest_normal)
    x = array([-INF, -2.5, -tiny, -0.0, 0.0, tiny, 2.5, INF, NAN], dtype)
    # Zero keeps its sign in JAX and loses it elsewhere; the standard says 0.
    check(call(framework, "sign", x), array([-1, -1, -1, 0, 0, 1, 1, 1, NAN], dtype), zeros=False)


@every_dtype
@every_framework
@pytest.mark.parametrize("function", ["maximum", "minimum"])
def test_maximum_and_minimum(function: str, framework: str, dtype: str) -> None:
    x = np.array([1.5, -2.5, NAN, 3.0, NAN, INF, -INF, 0.0, -0.0])
    y = np.array([-1.5, 2.5, 1.0, NAN, NAN, 1.0, 1.0, 1.0, -1.0])
    expected = array(getattr(np, function)(x, y), dtype)
    check(call(framework, function, array(x, dtype), array(y, dtype)), expected)
    # Broadcast, and 0-d.
    row, point = array([[-1.0, 0.5, 4.0]], dtype), array(0.5, dtype)
    for first, second in [(row, row.T.copy()), (row, point), (point, point)]:
        expected = getattr(np, function)(first.astype(float), second.astype(float))
        check(call(framework, function, first, second), array(expected, dtype))


NUMBERS = [0.1, 3, 1.0, INF, -INF, NAN]


@every_dtype
@every_framework
@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_where_with_a_number(number: float, framework: str, dtype: str) -> None:
    """A Python number in either branch takes the dtype of the other, rounded once."""
    x, condition = array([1.5, -0.0, NAN, INF], dtype), np.array([True, True, False, False])
    numbers = np.full(4, number, np.float64).astype(x.dtype)
    check(call(framework, "where", condition, x, number), np.where(condition, x, numbers))
    check(call(framework, "where", condition, number, x), np.where(condition, numbers, x))
    for truth in (True, False):
        point, expected = array(0.75, dtype), array(0.75 if truth else number, dtype)
        check(call(framework, "where", np.array(truth), point, number), expected)


@every_dtype
@every_framework
def test_where_keeps_the_sign_of_zero(framework: str, dtype: str) -> None:
    """In turns: TensorFlow remembers scalars, by a comparison that takes -0.0 for 0.0."""
    x, condition = array([1.5, -2.5], dtype), np.array([True, False])
    for number in (0.0, -0.0, 0.0, -0.0):
        check(call(framework, "where", condition, x, number), array([1.5, number], dtype))
        check(call(framework, "where", condition, number, x), array([number, -2.5], dtype))


@every_dtype
@every_framework
def test_where_with_arrays(framework: str, dtype: str) -> None:
    x, y = array([[1.5, -0.0, NAN]], dtype), array([[NAN], [-2.5]], dtype)
    condition = np.array([[True, True, False], [False, True, False]])
    check(call(framework, "where", condition, x, y), np.where(condition, x, y))
    column = condition[:, :1].copy()
    check(call(framework, "where", column, x, y), np.where(column, x, y))


@every_dtype
@every_framework
@pytest.mark.parametrize("function", REDUCTIONS)
def test_reductions(function: str, framework: str, dtype: str) -> None:
    # Small integers, a power of two of them: every sum and mean is exact in every dtype.
    x = np.array([[3.0, -1.0, 8.0, -2.0], [-5.0, 0.0, 7.0, 4.0]])
    for axis in (None, 0, -1):
        expected = array(REDUCTIONS[function](x, axis=axis), dtype)
        check(call(framework, function, array(x, dtype), axis=axis), expected)
    check(call(framework, function, array(x, dtype)), array(REDUCTIONS[function](x), dtype))
    check(call(framework, function, array(-2.5, dtype)), array(-2.5, dtype))
    for special in (NAN, INF, -INF):
        x[1, 2] = special
        expected = array(REDUCTIONS[function](x, axis=1), dtype)
        check(call(framework, function, array(x, dtype), axis=1), expected)


@every_dtype
@every_framework
@pytest.mark.parametrize("axis", [0, 1])
def test_long_sums(axis: int, framework: str, dtype: str) -> None:
    """Partial sums have more digits than 16 bits: 256 + 1 is 256 in bfloat16."""
    x = np.ones((4096, 2) if axis == 0 else (2, 4096), numpy_dtype(dtype))
    check(call(framework, "sum", x, axis=axis), array([4096, 4096], dtype))
    check(call(framework, "mean", x, axis=axis), array([1, 1], dtype))


@every_framework
def test_mean_does_not_overflow(framework: str) -> None:
    x = array([60000, 60000, 30000, 30000], "float16")
    check(call(framework, "mean", x), array(45000, "float16"))


@every_dtype
@every_framework
def test_argmax(framework: str, dtype: str) -> None:
    x = array([[3.0, -1.0, 8.0, 8.0], [5.0, 0.0, -INF, 5.0], [4.0, INF, 8.0, -2.0]], dtype)
    for axis in (0, 1, -1):
        index = call(framework, "argmax", x, axis=axis)
        assert np.issubdtype(index.dtype, np.integer)
        # The first of equals.
        np.testing.assert_array_equal(index, np.argmax(x.astype(np.float64), axis=axis))


@every_dtype
@every_framework
@pytest.mark.parametrize("function", ["concat", "stack"])
def test_concat_and_stack(function: str, framework: str, dtype: str) -> None:
    xs = [array([[1.5, -0.0], [NAN, INF]], dtype), array([[2.5, 3.0], [-1.0, 0.25]], dtype)]
    xp = backend(framework)
    arrays = [to_framework(framework, x) for x in xs]
    for sequence in (arrays, tuple(arrays)):
        for axis in (0, 1, -1):
            got = to_numpy(framework, getattr(xp, function)(sequence, axis=axis))
            check(got, getattr(np, function)(xs, axis=axis))
        check(to_numpy(framework, getattr(xp, function)(sequence)), getattr(np, function)(xs))
    if function == "stack":
        points = [to_framework(framework, array(v, dtype)) for v in (1.5, -2.5)]
        check(to_numpy(framework, xp.stack(points)), array([1.5, -2.5], dtype))


@every_framework
@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("source", [*DTYPES, "bool"])
def test_astype(source: str, target: str, framework: str) -> None:
    x = np.array([True, False])
    if source != "bool":
        x = array([0.1, -0.0, 65519.0, 3e38, 1e300, INF, -INF, NAN], source)
    y = call(framework, "astype", x, native(framework, target))
    check(y, x.astype(np.float64).astype(numpy_dtype(target)))


@every_dtype
@every_framework
def test_asarray(framework: str, dtype: str) -> None:
    xp, own = backend(framework), native(framework, dtype)
    x = array([0.1, -0.0, NAN], dtype)
    check(call(framework, "asarray", [0.1, -0.0, NAN], dtype=own), x)
    check(call(framework, "asarray", 0.1, dtype=own), array(0.1, dtype))
    check(to_numpy(framework, xp.asarray(np.array([0.1, -0.0, NAN]), dtype=own)), x)
    check(call(framework, "asarray", x), x)  # an array of the framework stays as it is


@every_dtype
@every_framework
def test_asarray_of_numpy_keeps_the_dtype(framework: str, dtype: str) -> None:
    x = array([0.1, -0.0, NAN], dtype)
    check(to_numpy(framework, backend(framework).asarray(x)), x)


@every_dtype
@every_framework
def test_asarray_casts(framework: str, dtype: str) -> None:
    """With a dtype that is not the array's, as in the array API."""
    x = array([0.5, -0.0, NAN], dtype)
    other = "float32" if dtype == "float64" else "float64"
    y = call(framework, "asarray", x, dtype=native(framework, other))
    check(y, x.astype(numpy_dtype(other)))


@every_dtype
@every_framework
def test_to_numpy(framework: str, dtype: str) -> None:
    for values in ([0.1, -0.0, NAN], [[INF, 2.5]], 0.1):
        x = array(values, dtype)
        y = backend(framework).to_numpy(to_framework(framework, x))
        assert isinstance(y, np.ndarray)
        # NumPy itself has no bfloat16, so that float32 will do.
        assert y.dtype == x.dtype or (x.dtype, y.dtype) == (BFLOAT16, np.float32)
        check(y.astype(x.dtype), x)


@every_dtype
@every_framework
def test_ones_and_zeros_like(framework: str, dtype: str) -> None:
    for x in (array([[NAN, -INF, -0.0]], dtype), array(-2.5, dtype)):
        check(call(framework, "ones_like", x), np.ones_like(x))
        check(call(framework, "zeros_like", x), np.zeros_like(x))


@every_framework
def test_same_shape(framework: str) -> None:
    xp = backend(framework)
    shapes = [(), (1,), (3,), (1, 3), (3, 1)]
    arrays = [to_framework(framework, np.ones(shape)) for shape in shapes]
    for i, x in enumerate(arrays):
        for j, y in enumerate(arrays):
            assert xp.same_shape(x, y) is (i == j)


@every_dtype
@every_framework
def test_finfo(framework: str, dtype: str) -> None:
    largest = float(backend(framework).finfo(native(framework, dtype)).max)
    assert largest == float(ml_dtypes.finfo(numpy_dtype(dtype)).max)


@every_dtype
@every_framework
def test_stop_gradient_keeps_the_bits(framework: str, dtype: str) -> None:
    x = array([0.1, -0.0, NAN, INF], dtype)
    assert call(framework, "stop_gradient", x).tobytes() == x.tobytes()


@every_dtype
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_stop_gradient_has_derivative_zero(framework: str, dtype: str) -> None:
    xp = backend(framework)
    x, u = array([0.5, -2.5, 3.0], dtype), array([-2.0, 0.5, 4.0], dtype)
    x_, u_ = (to_framework(framework, a) for a in (x, u))
    # d(x sg(x)) / dx = sg(x), where without the stop it is 2 x.
    _, pullback = fgi.vjp(lambda x: x * xp.stop_gradient(x), x_)
    check(to_numpy(framework, pullback(u_)[0]), u * x)
