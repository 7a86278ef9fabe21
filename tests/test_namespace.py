"""What ``fgi.testing.backend_conformance`` asks of a backend, in 50 digits and compiled.

The bounds, and the derivatives by hand, are those of ``fgi.testing.conformance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from mpmath import mp, mpf

import fgi
from fgi.testing.bounds import bound
from fgi.testing.conformance import BOUNDS
from fgi.testing.conformance.derivatives import FUNCTIONS, U, X, Y, by_hand
from fgi.testing.conformance.elementwise import DIVISORS, EXPONENTS, REFERENCE, UNROUNDED
from support.frameworks import (
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

REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max}

every_framework = pytest.mark.parametrize("framework", INSTALLED)


@pytest.fixture(autouse=True)
def quiet_numpy() -> Iterator[None]:
    """NumPy warns of overflow, of log(0) and, in bfloat16, of NaN; the others say nothing."""
    with np.errstate(all="ignore"):
        yield


def array(values: Any, dtype: str) -> Numpy:
    return np.asarray(values, np.float64).astype(numpy_dtype(dtype))


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
    limit = bound(function, dtype, "*", function, BOUNDS)
    ulps = np.full(x.shape, limit.ulps)
    if limit.points:  # of erfc, whose condition number is 2 x^2
        ulps += 2 * limit.points * x.astype(np.float64) ** 2
    return ulps


@every_framework
@pytest.mark.parametrize("function", REFERENCE)
def test_values_within_ulps(function: str, framework: str) -> None:
    """In float64, than which the reference of the suite is not everywhere more exact."""
    dtype = "float64"
    x, results = exact(function, dtype)
    check_ulps(x, call(framework, function, x), results, dtype, bounds(function, dtype, x))


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


@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_compiled_derivatives(framework: str) -> None:
    """Forward and reverse; together, as compiling takes long."""
    xp = backend(framework)
    x, y, u = (to_framework(framework, a) for a in (X, Y, U))

    def both(f: Callable[..., Any], u: Any, *args: Any) -> tuple[Any, list[Any]]:
        along = []
        for i, argument in enumerate(args):
            alone = lambda a, i=i: f(*args[:i], a, *args[i + 1 :])  # noqa: E731
            along.append(fgi.jvp(alone, (argument,), (u,))[1])
        return fgi.vjp(f, *args)[1](u), along

    def run(x: Any, y: Any, u: Any) -> dict[str, Any]:
        found = {}
        for name in FUNCTIONS:
            function, jacobians = by_hand(name)
            found[name] = both(partial(function, xp), u, *(x, y)[: len(jacobians)])
        return found

    got = fgi.compile(run)(x, y, u)

    for name in FUNCTIONS:
        _, jacobians = by_hand(name)
        reverse, forward = got[name]
        assert len(reverse) == len(forward) == len(jacobians)
        for dx, dy, jacobian in zip(reverse, forward, jacobians, strict=True):
            for ours, hand in zip((dx, dy), (U @ jacobian, jacobian @ U), strict=True):
                ours = to_numpy(framework, ours)
                np.testing.assert_allclose(ours, hand, rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_forward_derivative_of_divide_at_infinity(framework: str) -> None:
    if framework == "tensorflow":
        pytest.skip("its own x / 0.5 has NaN there in forward mode")
    x, u = (to_framework(framework, np.array([v, -v])) for v in (INF, -2.0))
    _, dy = fgi.jvp(lambda x: backend(framework).divide(x, 0.5), (x,), (u,))
    check(to_numpy(framework, dy), np.array([-4.0, 4.0]))


@pytest.mark.parametrize("mode", ["compile", "XLA"])
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_compiled_functions(framework: str, mode: str) -> None:
    """The bounds and special values of eager code, in every dtype at once: compiling takes long."""
    if mode == "XLA" and framework != "tensorflow":
        pytest.skip("JAX compiles by XLA anyway, and PyTorch does not")
    xp = backend(framework)
    numbers = {d: [y for y, _, _ in remainders(d)] for d in DTYPES}
    exponents = {d: [y for y, _, _ in powers(d)] for d in DTYPES}
    elementwise = ["log1p", "sin", "cos"]

    def run(inputs: Any) -> Any:
        return {
            d: {
                "unrounded": [getattr(xp, f)(special) for f in UNROUNDED],
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
        for reference, values in zip(UNROUNDED.values(), y["unrounded"], strict=True):
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
            limit = bound("pow", dtype, "*", "pow", BOUNDS).ulps
            check_ulps(x, values, results, dtype, limit)
        for (number, _, results), values in zip(remainders(dtype), y["remainders"], strict=True):
            check_remainder(values, number, results, dtype)


def map_arrays(tree: Any, f: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {name: map_arrays(value, f) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [map_arrays(value, f) for value in tree]
    return f(tree)


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
