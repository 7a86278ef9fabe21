"""The same name means the same in each backend: dtype and shape first, then values.

The reference is NumPy and SciPy in float64 where the answer is exact, and mpmath in 50 digits where
it is not.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, partial
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
    keys,
    load,
    numpy_dtype,
    to_framework,
    to_numpy,
)

Numpy = np.ndarray[Any, Any]

INF, NAN = np.inf, np.nan

# Bounds of the error in ulp of the exact result, on a CPU. 16 bits are computed in float32 and
# rounded once. XLA and TensorFlow approximate tanh and erfc, most others are within 2.
ULPS: dict[str, tuple[float, ...]] = {
    #        float16 bfloat16 float32 float64
    "sqrt": (0.51, 0.51, 1, 1),
    "exp": (0.51, 0.51, 2, 2),
    "log": (0.51, 0.51, 2, 2),
    "log1p": (0.51, 0.51, 2, 3),
    "sin": (0.51, 0.51, 2, 2),
    "cos": (0.51, 0.51, 2, 2),
    "tanh": (0.51, 0.51, 5, 8),
    "atan": (0.51, 0.51, 3, 2),
    "erfc": (0.51, 0.51, 5, 8),
}
POW_ULPS = (0.51, 0.51, 2, 3)
ROUNDING = {"round": np.round, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}
REFERENCE = {
    **ROUNDING,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "atan": np.arctan,
    "erfc": scipy.special.erfc,
    "sign": np.sign,
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


@every_framework
def test_dtype_by_name(framework: str) -> None:
    for dtype in DTYPES:
        assert backend(framework).dtype(dtype) == native(framework, dtype)


@every_dtype
@every_framework
@pytest.mark.parametrize("function", REFERENCE)
def test_dtype_and_shape(function: str, framework: str, dtype: str) -> None:
    for shape in [(), (0, 2), (2, 1, 3)]:
        y = call(framework, function, np.full(shape, 0.75, numpy_dtype(dtype)))
        assert (y.dtype, y.shape) == (numpy_dtype(dtype), shape)
        np.testing.assert_allclose(y.astype(float), REFERENCE[function](0.75), rtol=1e-2)


def ulp(value: Any, dtype: str) -> Any:
    """The spacing of the numbers of the dtype around a normal one."""
    eps = mpf(float(ml_dtypes.finfo(numpy_dtype(dtype)).eps))
    return eps * mpf(2) ** mp.floor(mp.log(abs(value), 2))


def is_normal(value: Any, dtype: str) -> bool:
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    return bool(mpf(float(info.smallest_normal)) <= abs(value) <= mpf(float(info.max)))


@cache
def exact(function: str, dtype: str) -> tuple[Numpy, list[Any]]:
    """Points, and there the exact result; normal results only."""
    logarithmic = np.logspace(-4, 4, 33)
    largest = float(ml_dtypes.finfo(numpy_dtype(dtype)).max)
    x = array([*np.linspace(-10, 10, 81), *logarithmic, *-logarithmic, largest, -largest], dtype)
    if function in ("sqrt", "log"):
        x = x[x > 0]
    if function == "log1p":
        x = x[x > -1]
    with mp.workdps(40):
        # Far out mpmath computes the tail of erfc with a precision of its own, and gives up.
        if function == "erfc":
            x = x[abs(x.astype(np.float64)) <= 1e4]
        results = [getattr(mp, function)(mpf(float(v))) for v in x]
        normal = [is_normal(result, dtype) for result in results]
    results = [result for result, keep in zip(results, normal, strict=True) if keep]
    assert len(results) > 40
    return x[normal], results


def check_ulps(x: Numpy, got: Numpy, results: list[Any], dtype: str, bounds: Any) -> None:
    """Within so many ulp of the exact results at x; ``bounds`` is a number, or one for each."""
    assert (got.dtype, got.shape) == (x.dtype, x.shape)
    with mp.workdps(40):
        error = np.array(
            [
                float(abs(mpf(float(y)) - want) / ulp(want, dtype))
                for y, want in zip(got, results, strict=True)
            ]
        )
    bounds = np.broadcast_to(bounds, x.shape)
    wrong = ~(error <= bounds)
    assert not wrong.any(), (
        f"at {x[wrong][:3]}: off by {error[wrong][:3]}, bound {bounds[wrong][0]}"
    )


def bounds(function: str, dtype: str, x: Numpy) -> Numpy:
    ulps = np.full(x.shape, float(ULPS[function][DTYPES.index(dtype)]))
    if function == "erfc" and dtype in ("float32", "float64"):
        # Its condition number is 2 x^2: the tail turns half an ulp of x into that much.
        ulps += x.astype(np.float64) ** 2
    return ulps


@every_dtype
@every_framework
@pytest.mark.parametrize("function", ULPS)
def test_values_within_ulps(function: str, framework: str, dtype: str) -> None:
    x, results = exact(function, dtype)
    check_ulps(x, call(framework, function, x), results, dtype, bounds(function, dtype, x))


@every_dtype
@every_framework
@pytest.mark.parametrize("function", [*ULPS, *ROUNDING])
def test_special_values(function: str, framework: str, dtype: str) -> None:
    largest = float(ml_dtypes.finfo(numpy_dtype(dtype)).max)
    x = np.array([0.0, -0.0, INF, -INF, NAN, -1, -largest, largest])
    if function in ("sin", "cos"):
        x = x[:5]  # what is not exact is tested above
    elif function != "exp" and function not in ROUNDING:
        x = x[:7]
    if function in ("exp", "tanh", "atan", "erfc"):
        x = x[x != -1]
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
@pytest.mark.parametrize("function", ["floor", "ceil", "trunc"])
def test_floor_ceil_and_trunc(function: str, framework: str, dtype: str) -> None:
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    eps = float(info.eps)
    odd = 1 / (2 * eps) - 1  # next to the largest number with a half
    x = [
        0.0,
        float(info.smallest_normal),
        0.3,
        0.5,
        1 - eps / 2,
        1,
        1 + eps,
        2.5,
        odd + 0.5,
        1 / eps,
    ]
    x = array([*x, *np.negative(x)], dtype)
    expected = [float(getattr(math, function)(v)) for v in x.astype(np.float64)]
    # Python's integers have no -0.0: zero has the sign of what it came from.
    check(call(framework, function, x), array(np.copysign(expected, x.astype(float)), dtype))


@every_dtype
@every_framework
@pytest.mark.parametrize(("function", "sign", "away"), [("floor", -1, -1), ("ceil", 1, 1)])
def test_floor_and_ceil_of_subnormal_numbers(
    function: str, sign: float, away: float, framework: str, dtype: str
) -> None:
    x = array([sign * float(ml_dtypes.finfo(numpy_dtype(dtype)).smallest_subnormal)], dtype)
    y = call(framework, function, x)
    # XLA and TensorFlow read subnormal numbers as zero, except for those of float16.
    flushed = framework in ("jax", "tensorflow") and dtype != "float16"
    check(y, array([sign * 0.0 if flushed else away], dtype))


DIVISORS = (0.3, 3, 0.7, 1 / 3, 255.0, 1e3)


@every_dtype
@every_framework
def test_divide(framework: str, dtype: str) -> None:
    """Rounded once. NumPy's operator is, and so is float64's where 16 bits are wanted."""
    x = array([*np.linspace(-10, 10, 81), *np.arange(1, 33), 0.0, -0.0, INF, -INF, NAN], dtype)
    for number in DIVISORS:
        y = array(number, dtype)
        expected = (x.astype(np.float64) / y.astype(np.float64)).astype(x.dtype)
        for divisor in (number, y, y.reshape(1), np.full(x.shape, y)):
            check(call(framework, "divide", x, divisor), expected)
    ys = array([[0.3], [3.0], [0.7]], dtype)
    expected = (x.astype(np.float64) / ys.astype(np.float64)).astype(x.dtype)
    check(call(framework, "divide", np.stack([x] * 3), ys), expected)


@pytest.mark.parametrize("mode", ["compile", "XLA"])
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_compiled_divide(framework: str, mode: str) -> None:
    """Compilers would rather multiply by a rounded reciprocal: off by one in a third of these."""
    if mode == "XLA" and framework != "tensorflow":
        pytest.skip("JAX compiles by XLA anyway, and PyTorch does not")
    xp = backend(framework)

    def run(xs: list[Any], ys: list[Any]) -> list[list[Any]]:
        numbers = [[xp.divide(x, number) for number in DIVISORS] for x in xs]
        return [*numbers, [xp.divide(x, y) for x, y in zip(xs, ys, strict=True)]]

    xs = [np.linspace(-10, 10, 999).astype(dtype) for dtype in ("float32", "float64")]
    ys = [np.array(0.3, x.dtype) for x in xs]
    compiled = fgi.compile(run)
    if mode == "XLA":
        compiled = load("tensorflow").function(run, jit_compile=True)

    *got, by_array = compiled(*map_arrays((xs, ys), lambda x: to_framework(framework, x)))

    for x, y, quotients, last in zip(xs, ys, got, by_array, strict=True):
        for number, quotient in zip(DIVISORS, quotients, strict=True):
            check(to_numpy(framework, quotient), x / x.dtype.type(number))
        check(to_numpy(framework, last), x / y)


@cache
def remainders(dtype: str) -> list[tuple[float, Numpy, list[Fraction]]]:
    """Divisors; for each, points and there the exact remainder; normal results only."""
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    largest, tiny = float(info.max), float(info.smallest_normal)
    x = [*np.linspace(-10, 10, 41), *np.logspace(-6, 4, 31), 3e4, 1e20, 1e35, largest]
    x = np.unique(array([*x, *np.negative(x)], dtype))
    x = x[np.isfinite(x.astype(np.float64)) & (x != 0)]
    found = []
    # Under the last two the quotient of the largest number overflows.
    for number in (1, 2.0, 0.3, 7.5, 1e-3, 0.75, tiny * 1024):
        y = float(array(number, dtype))
        exact = [Fraction(float(v)) % Fraction(y) for v in x]
        keep = [r == 0 or r >= Fraction(tiny) for r in exact]
        results = [r for r, kept in zip(exact, keep, strict=True) if kept]
        found.append((number if number == y else y, x[keep], results))
    return found


def check_remainder(r: Numpy, number: float, results: list[Fraction], dtype: str) -> None:
    """In Python's own fractions; where a framework divides, most of these are noise."""
    # 16 bits are rounded in float32 before.
    half_ulp = Fraction(0.501 * float(ml_dtypes.finfo(numpy_dtype(dtype)).eps))
    assert r.dtype == numpy_dtype(dtype)
    assert ((r >= 0) & (r <= array(number, dtype))).all()
    for got, want in zip(r, results, strict=True):
        assert abs(Fraction(float(got)) - want) <= half_ulp * want


@every_dtype
@every_framework
def test_remainder(framework: str, dtype: str) -> None:
    for number, x, results in remainders(dtype):
        y = array(number, dtype)
        for divisor in (number, y, np.full(x.shape, y)):
            check_remainder(call(framework, "remainder", x, divisor), number, results, dtype)


@every_dtype
@every_framework
def test_special_values_of_remainder(framework: str, dtype: str) -> None:
    x = array([0.0, -0.0, -2.0, 4.0, INF, -INF, NAN], dtype)
    # The sign of a zero is the framework's own.
    expected = array([0, 0, 0, 0, NAN, NAN, NAN], dtype)
    check(call(framework, "remainder", x, 2.0), expected, zeros=False)
    y = array([[1.0], [2.5]], dtype)
    x = array([[1.25, -1.25, 6.0]], dtype)
    expected = array([[0.25, 0.75, 0.0], [1.25, 1.25, 1.0]], dtype)
    check(call(framework, "remainder", x, y), expected, zeros=False)


EXPONENTS = (0, 1, 2, 3, 10, -1, 2.0, 0.5, 1.5, -0.3, -2.0, 1.7)


@cache
def powers(dtype: str) -> list[tuple[float, Numpy, list[Any]]]:
    """Exponents; for each, points and there the exact power; normal results only."""
    x = np.unique(array([*np.linspace(0.125, 10, 80), *np.logspace(-4, 4, 33), 1e20, 1e30], dtype))
    found = []
    with mp.workdps(40):
        for number in EXPONENTS:
            y = float(array(number, dtype))
            exact = [mpf(float(v)) ** mpf(y) for v in x]
            keep = [is_normal(result, dtype) for result in exact]
            results = [result for result, kept in zip(exact, keep, strict=True) if kept]
            assert len(results) > 20
            found.append((number if number == y else y, x[keep], results))
    return found


@every_dtype
@every_framework
def test_pow(framework: str, dtype: str) -> None:
    ulps = POW_ULPS[DTYPES.index(dtype)]
    for number, x, results in powers(dtype):
        y = array(number, dtype)
        for exponent in (number, y, np.full(x.shape, y)):
            check_ulps(x, call(framework, "pow", x, exponent), results, dtype, ulps)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@every_framework
def test_a_number_beside_16_bits_is_not_rounded_to_them(framework: str, dtype: str) -> None:
    x = array([0.75, 1.625, 3.0, 10.0], dtype)
    for y in (0.3, 1.7):
        with mp.workdps(40):
            powers = [mpf(float(v)) ** mpf(y) for v in x]
        check_ulps(x, call(framework, "pow", x, y), powers, dtype, 0.51)
        remainders = [Fraction(float(v)) % Fraction(float(np.float32(y))) for v in x]
        check_ulps(
            x, call(framework, "remainder", x, y), [mpf(float(r)) for r in remainders], dtype, 0.51
        )


@every_dtype
@every_framework
def test_special_values_of_pow(framework: str, dtype: str) -> None:
    x, y = np.array([[0.0], [1.0], [4.0], [INF], [NAN]]), np.array([0.0, 1.0, 0.5, 2.0, -0.5])
    # By the C standard's pow; NaN to the power of 0 is 1 too.
    expected = [
        [1, 0, 0, 0, INF],
        [1, 1, 1, 1, 1],
        [1, 4, 2, 16, 0.5],
        [1, INF, INF, INF, 0],
        [1, NAN, NAN, NAN, NAN],
    ]
    check(call(framework, "pow", array(x, dtype), array(y, dtype)), array(expected, dtype))
    for exponent, column in zip(y, np.transpose(expected), strict=True):
        for number in (float(exponent), *([int(exponent)] if exponent % 1 == 0 else [])):
            check(call(framework, "pow", array(x[:, 0], dtype), number), array(column, dtype))


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
        for keepdims in (True, False):
            options = {"axis": axis, "keepdims": keepdims}
            expected = array(REDUCTIONS[function](x, **options), dtype)
            check(call(framework, function, array(x, dtype), **options), expected)
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
    # NaN is larger than what is finite.
    x = array([1.0, NAN, 3.0], dtype)
    np.testing.assert_array_equal(call(framework, "argmax", x, axis=0), 1)


@every_dtype
@every_framework
def test_argsort(framework: str, dtype: str) -> None:
    rows = [[3.0, -1.0, 8.0, 8.0, -1.0], [0.0, INF, -0.0, -INF, 0.0], [4.0, INF, 8.0, -2.0, INF]]
    x = array(rows, dtype)
    for axis in (0, 1, -1):
        index = call(framework, "argsort", x, axis=axis)
        assert np.issubdtype(index.dtype, np.integer)
        wide = x.astype(np.float64)
        np.testing.assert_array_equal(index, np.argsort(wide, axis=axis, kind="stable"))
    by_hand = [[1, 4, 0, 2, 3], [3, 0, 2, 4, 1], [3, 0, 2, 1, 4]]
    np.testing.assert_array_equal(call(framework, "argsort", x), by_hand)
    np.testing.assert_array_equal(call(framework, "argsort", x[:, :0]), np.zeros((3, 0)))
    # Longer than what is sorted by insertion: only a stable sort keeps 400 equals in order.
    x = array(np.arange(1200) * 7 % 3, dtype)
    index = np.concatenate([np.flatnonzero(x == value) for value in range(3)])
    np.testing.assert_array_equal(call(framework, "argsort", x), index)


@every_dtype
@every_framework
def test_argsort_has_nan_after_what_is_finite(framework: str, dtype: str) -> None:
    x = array([3.0, NAN, -INF, 1.0, NAN, 1.0], dtype)
    np.testing.assert_array_equal(call(framework, "argsort", x), [2, 3, 5, 0, 1, 4])


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


# Name: the function, and its derivatives by each argument at the points below, by hand.
X, Y = np.array([0.25, 1.5, 2.75, 6.5]), np.array([0.75, 1.25, 2.0, 2.5])
ZERO, ONE = np.zeros(4), np.ones(4)
DERIVATIVES: dict[str, tuple[Callable[..., Any], tuple[Numpy, ...]]] = {
    "floor": (lambda xp, x: xp.floor(x), (ZERO,)),
    "ceil": (lambda xp, x: xp.ceil(x), (ZERO,)),
    "trunc": (lambda xp, x: xp.trunc(x), (ZERO,)),
    "round": (lambda xp, x: xp.round(x), (ZERO,)),
    "log1p": (lambda xp, x: xp.log1p(x), (1 / (1 + X),)),
    "sin": (lambda xp, x: xp.sin(x), (np.cos(X),)),
    "cos": (lambda xp, x: xp.cos(x), (-np.sin(X),)),
    "divide by a number": (lambda xp, x: xp.divide(x, 0.7), (ONE / 0.7,)),
    "divide": (lambda xp, x, y: xp.divide(x, y), (1 / Y, -X / Y**2)),
    "remainder by a number": (lambda xp, x: xp.remainder(x, 0.7), (ONE,)),
    "remainder below zero": (lambda xp, x: xp.remainder(-x, 0.7), (-ONE,)),
    "remainder": (lambda xp, x, y: xp.remainder(x, y), (ONE, -np.floor(X / Y))),
    "remainder below zero, by array": (
        lambda xp, x, y: xp.remainder(-x, y),
        (-ONE, -np.floor(-X / Y)),
    ),
    "pow of an integer": (lambda xp, x: xp.pow(x, 3), (3 * X**2,)),
    "pow of a number": (lambda xp, x: xp.pow(x, -1.7), (-1.7 * X**-2.7,)),
    "pow": (lambda xp, x, y: xp.pow(x, y), (Y * X ** (Y - 1), X**Y * np.log(X))),
    "sum, keepdims": (lambda xp, x: x * xp.sum(x, axis=0, keepdims=True), ()),
    "mean, keepdims": (lambda xp, x: x * xp.mean(x, axis=0, keepdims=True), ()),
    "max, keepdims": (lambda xp, x: x * xp.max(x, axis=0, keepdims=True), ()),
}
# d(x_i sum(x)) / dx_j = (i == j) sum(x) + x_i, and so on: columns of a Jacobian.
JACOBIANS = {
    "sum, keepdims": np.eye(4) * X.sum() + X[:, None],
    "mean, keepdims": np.eye(4) * X.mean() + X[:, None] / 4,
    "max, keepdims": np.eye(4) * X.max() + X[:, None] * (X.max() == X),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_derivatives(framework: str, compiled: bool) -> None:
    """Forward and reverse; together, as compiling takes long."""
    xp = backend(framework)
    x, y, u = (to_framework(framework, a) for a in (X, Y, np.array([-2.0, 0.5, 4.0, 3.0])))

    def both(f: Callable[..., Any], u: Any, *args: Any) -> tuple[Any, list[Any]]:
        along = []
        for i, argument in enumerate(args):
            alone = lambda a, i=i: f(*args[:i], a, *args[i + 1 :])  # noqa: E731
            along.append(fgi.jvp(alone, (argument,), (u,))[1])
        return fgi.vjp(f, *args)[1](u), along

    def run(x: Any, y: Any, u: Any) -> dict[str, Any]:
        return {
            name: both(partial(function, xp), u, *(x, y)[: len(partials) or 1])
            for name, (function, partials) in DERIVATIVES.items()
        }

    got = (fgi.compile(run) if compiled else run)(x, y, u)

    u = np.array([-2.0, 0.5, 4.0, 3.0])
    for name, (_, partials) in DERIVATIVES.items():
        jacobians = [JACOBIANS[name]] if name in JACOBIANS else [np.diag(p) for p in partials]
        reverse, forward = got[name]
        assert len(reverse) == len(forward) == len(jacobians)
        for dx, dy, jacobian in zip(reverse, forward, jacobians, strict=True):
            expected = u @ jacobian, jacobian @ u
            for ours, hand in zip((dx, dy), expected, strict=True):
                ours = to_numpy(framework, ours)
                np.testing.assert_allclose(ours, hand, rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_derivative_of_divide_at_infinity(framework: str) -> None:
    x, u = (to_framework(framework, np.array([v, -v])) for v in (INF, -2.0))

    def f(x: Any) -> Any:
        return backend(framework).divide(x, 0.5)

    check(to_numpy(framework, fgi.vjp(f, x)[1](u)[0]), np.array([-4.0, 4.0]))
    if framework != "tensorflow":  # whose own x / 0.5 has NaN there in forward mode
        check(to_numpy(framework, fgi.jvp(f, (x,), (u,))[1]), np.array([-4.0, 4.0]))


@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_derivatives_of_pow_at_zero(framework: str) -> None:
    """None is NaN, though the logarithm of 0 is not there."""
    xp = backend(framework)
    for exponent, slope in [(1, 1.0), (2, 0.0), (3.0, 0.0), (1.5, 0.0)]:
        x, y, u = (to_framework(framework, np.array([v], float)) for v in (0.0, exponent, -2.0))
        (dx,) = fgi.vjp(lambda x, e=exponent: xp.pow(x, e), x)[1](u)
        check(to_numpy(framework, dx), np.array([-2.0 * slope]), zeros=False)
        dx, dy = fgi.vjp(xp.pow, x, y)[1](u)
        check(to_numpy(framework, dx), np.array([-2.0 * slope]), zeros=False)
        check(to_numpy(framework, dy), np.zeros(1), zeros=False)


@pytest.mark.parametrize("mode", ["compile", "XLA"])
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_compiled_functions(framework: str, mode: str) -> None:
    """The bounds and special values of above, in every dtype at once, as compiling takes long."""
    if mode == "XLA" and framework != "tensorflow":
        pytest.skip("JAX compiles by XLA anyway, and PyTorch does not")
    xp = backend(framework)
    numbers = {d: [y for y, _, _ in remainders(d)] for d in DTYPES}
    exponents = {d: [y for y, _, _ in powers(d)] for d in DTYPES}
    elementwise = ["log1p", "sin", "cos"]

    def run(inputs: Any) -> Any:
        return {
            d: {
                "rounding": [getattr(xp, f)(special) for f in ROUNDING],
                "reductions": [getattr(xp, f)(matrix, axis=0, keepdims=True) for f in REDUCTIONS],
                "order": xp.argsort(matrix, axis=1),
                "points": [getattr(xp, f)(x) for f, x in zip(elementwise, points, strict=True)],
                "powers": [xp.pow(x, y) for x, y in zip(bases, exponents[d], strict=True)],
                "remainders": [
                    xp.remainder(x, y) for x, y in zip(dividends, numbers[d], strict=True)
                ],
            }
            for d, (special, matrix, points, bases, dividends) in inputs.items()
        }

    inputs = {
        d: (
            array([0.0, -0.0, 0.5, -2.5, 1.75, INF, -INF, NAN], d),
            array([[3.0, -1.0, 8.0], [4.0, 1.0, 1.0]], d),
            [exact(f, d)[0] for f in elementwise],
            [x for _, x, _ in powers(d)],
            [x for _, x, _ in remainders(d)],
        )
        for d in DTYPES
    }
    compiled = fgi.compile(run)
    if mode == "XLA":
        compiled = load("tensorflow").function(run, jit_compile=True)

    got = compiled(map_arrays(inputs, lambda x: to_framework(framework, x)))

    for dtype, y in map_arrays(got, lambda x: to_numpy(framework, x)).items():
        special, matrix, points, bases, _ = inputs[dtype]
        for reference, values in zip(ROUNDING.values(), y["rounding"], strict=True):
            check(values, array(reference(special.astype(np.float64)), dtype))
        for reduction, values in zip(REDUCTIONS.values(), y["reductions"], strict=True):
            expected = reduction(matrix.astype(np.float64), axis=0, keepdims=True)
            check(values, array(expected, dtype))
        np.testing.assert_array_equal(y["order"], [[1, 0, 2], [1, 2, 0]])
        for function, x, values in zip(elementwise, points, y["points"], strict=True):
            # TensorFlow's XLA has a log1p of its own in float16.
            ulps = np.maximum(bounds(function, dtype, x), 1 if mode == "XLA" else 0)
            check_ulps(x, values, exact(function, dtype)[1], dtype, ulps)
        for (_, _, results), x, values in zip(powers(dtype), bases, y["powers"], strict=True):
            check_ulps(x, values, results, dtype, POW_ULPS[DTYPES.index(dtype)])
        for (number, _, results), values in zip(remainders(dtype), y["remainders"], strict=True):
            check_remainder(values, number, results, dtype)


def map_arrays(tree: Any, f: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {name: map_arrays(value, f) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [map_arrays(value, f) for value in tree]
    return f(tree)


@every_dtype
@every_framework
def test_uniform(framework: str, dtype: str) -> None:
    xp, n = backend(framework), 20000
    wide = np.dtype("float64" if dtype == "float64" else "float32")
    x = to_framework(framework, np.full((2, n // 2), NAN, numpy_dtype(dtype)))
    again, other = keys(framework, 1), keys(framework, 2)
    for i, key in enumerate(keys(framework, 1)):
        assert isinstance(key, xp.Key)
        u = to_numpy(framework, xp.uniform(key, x))
        assert (u.dtype, u.shape) == (wide, (2, n // 2))
        assert (u >= 0).all()
        assert (u < 1).all()
        # Kolmogorov and Smirnov: beyond 2 / sqrt(n) by chance once in 1500 times.
        distance = np.abs(np.sort(u, axis=None) - (np.arange(n) + 0.5) / n).max()
        assert distance < 2 / np.sqrt(n)
        assert len(np.unique(u)) > 0.99 * n
        assert abs(np.corrcoef(u)[0, 1]) < 5 / np.sqrt(n / 2)
        np.testing.assert_array_equal(to_numpy(framework, xp.uniform(again[i], x)), u)
        assert (to_numpy(framework, xp.uniform(other[i], x)) != u).mean() > 0.99


@every_framework
def test_uniform_of_any_shape(framework: str) -> None:
    xp = backend(framework)
    for shape in [(), (0, 2), (2, 1, 3)]:
        x = to_framework(framework, np.ones(shape, np.float32))
        for key in keys(framework, 3):
            u = to_numpy(framework, xp.uniform(key, x))
            assert (u.dtype, u.shape) == (np.float32, shape)


@every_framework
def test_a_generator_goes_on(framework: str) -> None:
    """What has a state gives other numbers with each call, what has none the same."""
    xp = backend(framework)
    x = to_framework(framework, np.ones(100))
    for key in keys(framework, 4):
        first, second = (to_numpy(framework, xp.uniform(key, x)) for _ in range(2))
        has_state = not isinstance(key, xp.Array)
        assert (first != second).all() if has_state else (first == second).all()


@every_dtype
@every_framework
def test_normal(framework: str, dtype: str) -> None:
    xp, n = backend(framework), 20000
    wide = np.dtype("float64" if dtype == "float64" else "float32")
    x = to_framework(framework, np.full((2, n // 4), NAN, numpy_dtype(dtype)))
    again, other = keys(framework, 1), keys(framework, 2)
    for i, key in enumerate(keys(framework, 1)):
        v = to_numpy(framework, xp.normal(key, x, batch=(2,)))
        assert (v.dtype, v.shape) == (wide, (2, 2, n // 4))
        # Kolmogorov and Smirnov: beyond 2 / sqrt(n) by chance once in 1500 times.
        distribution = scipy.special.ndtr(np.sort(v, axis=None).astype(float))
        assert np.abs(distribution - (np.arange(n) + 0.5) / n).max() < 2 / np.sqrt(n)
        assert len(np.unique(v)) > 0.99 * n
        correlations = np.corrcoef(v.reshape(4, -1)) - np.eye(4)
        assert np.abs(correlations).max() < 5 / np.sqrt(n / 4)
        same = to_numpy(framework, xp.normal(again[i], x, batch=(2,)))
        np.testing.assert_array_equal(same, v)
        assert (to_numpy(framework, xp.normal(other[i], x, batch=(2,))) != v).mean() > 0.99


@every_framework
def test_normal_of_any_shape(framework: str) -> None:
    xp = backend(framework)
    for shape, batch in [((), ()), ((), (3,)), ((0, 2), (2, 1)), ((2, 1, 3), ())]:
        x = to_framework(framework, np.ones(shape, np.float32))
        for key in keys(framework, 3):
            v = to_numpy(framework, xp.normal(key, x, batch=batch))
            assert (v.dtype, v.shape) == (np.float32, batch + shape)


@every_framework
def test_numbers_of_split_keys_do_not_depend_on_each_other(framework: str) -> None:
    xp, n = backend(framework), 20000
    x = to_framework(framework, np.ones(n))
    for key, again in zip(keys(framework, 4), keys(framework, 4), strict=True):
        vs = [to_numpy(framework, xp.normal(k, x)) for k in xp.split(key, 3)]
        if isinstance(key, xp.Array):  # no state, so that it can be drawn from once more
            vs.append(to_numpy(framework, xp.normal(key, x)))
        size = len(vs)
        assert np.abs(np.corrcoef(vs) - np.eye(size)).max() < 5 / np.sqrt(n)
        assert len(np.unique(vs)) == size * n
        first = to_numpy(framework, xp.normal(xp.split(again, 3)[0], x))
        np.testing.assert_array_equal(first, vs[0])


def test_uniform_in_jax_jit() -> None:
    if "jax" not in INSTALLED:
        pytest.skip("jax is not installed")
    xp, jax = backend("jax"), load("jax")
    x = jax.numpy.ones((3, 5), "float16")
    for key in keys("jax", 5):
        got = jax.jit(xp.uniform)(key, x)
        check(np.asarray(got), np.asarray(xp.uniform(key, x)))


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["function", "XLA"])
def test_uniform_in_tensorflow_function(options: Any) -> None:
    """With a dimension that is not known while tracing."""
    if "tensorflow" not in INSTALLED:
        pytest.skip("tensorflow is not installed")
    xp, tf = backend("tensorflow"), load("tensorflow")
    signature = [tf.TensorSpec([None, 3], tf.float16)]
    for key in keys("tensorflow", 6):
        f = tf.function(lambda x, key=key: xp.uniform(key, x), input_signature=signature, **options)
        for length in (1, 4, 50):
            u = f(tf.zeros([length, 3], tf.float16)).numpy()
            assert (u.dtype, u.shape) == (np.float32, (length, 3))
            assert ((u >= 0) & (u < 1)).all()
        assert abs(u.mean() - 0.5) < 5 / np.sqrt(12 * u.size)
