"""What makes, selects, reduces, orders and joins arrays; and the operators of the arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError

from ..cell import has
from ..precision import PRECISIONS
from .case import ANY, EVERY, case
from .probe import Probe

__all__: list[str] = []

INF, NAN = np.inf, np.nan


@case("of arrays", "where")
def where_of_arrays(p: Probe) -> None:
    x, y = np.array([[1.5, -0.0, NAN]]), np.array([[NAN], [-2.5]])
    condition = np.array([[True, True, False], [False, True, False]])
    for chosen in (condition, condition[:, :1]):
        p.same(p.call("where", chosen, x, y), np.where(chosen, x, y))


@case("of a number", "where")
def where_of_a_number(p: Probe) -> None:
    """A Python number in either branch takes the dtype of the other, rounded once."""
    x, condition = np.array([1.5, -0.0, NAN, INF]), np.array([True, True, False, False])
    for number in (0.1, 3, 1.0, INF, -INF, NAN):
        rounded = p.round(np.full(4, number))
        first, second = np.where(condition, x, rounded), np.where(condition, rounded, x)
        p.same(p.call("where", condition, x, number), first, quantity=f"x where, {number} else")
        p.same(p.call("where", condition, number, x), second, quantity=f"{number} where, x else")
        for truth in (True, False):
            got = p.call("where", np.array(truth), np.array(0.75), number)
            p.same(got, 0.75 if truth else rounded[0], quantity=f"{truth} of shape ()")


@case("the sign of zero", "where")
def where_keeps_the_sign_of_zero(p: Probe) -> None:
    """In turns: TensorFlow remembers scalars, by a comparison that takes -0.0 for 0.0."""
    x, condition = np.array([1.5, -2.5]), np.array([True, False])
    for number in (0.0, -0.0, 0.0, -0.0):
        p.same(p.call("where", condition, x, number), [1.5, number])
        p.same(p.call("where", condition, number, x), [number, -2.5])


@case("values", "step")
def step(p: Probe) -> None:
    x = p.round([0.5, 0.1, -0.0, 0.0, -0.1, 3e38, INF, -INF, NAN])
    for threshold in (0, 0.0, -0.0, 0.1, -INF, INF, NAN):
        y = p.round(np.full(len(x), threshold))
        for at_zero, expected in ((0, x > y), (1, x >= y)):
            told = f"threshold {threshold}, at_zero {at_zero}"
            p.same(p.call("step", x, threshold, at_zero=at_zero), expected, x, quantity=told)
            p.same(p.call("step", x, y, at_zero=at_zero), expected, x, quantity=f"{told}, an array")
        p.same(p.call("step", x, threshold), x > y, x, quantity=f"threshold {threshold}")
    p.same(p.call("step", x[:, None], x), x[:, None] > x, quantity="broadcast")
    p.same(p.call("step", np.array(0.5), 0), 1, quantity="of shape ()")


REDUCTIONS: dict[str, Any] = {"sum": np.sum, "mean": np.mean, "max": np.max}


@case("values", *REDUCTIONS)
def reductions(p: Probe, function: str) -> None:
    # Small integers, a power of two of them: every sum and mean is exact in every dtype.
    x = np.array([[3.0, -1.0, 8.0, -2.0], [-5.0, 0.0, 7.0, 4.0]])
    reference = REDUCTIONS[function]
    p.same(p.call(function, x), reference(x))
    p.same(p.call(function, np.array(-2.5)), -2.5, quantity="of shape ()")
    for axis in (None, 0, -1):
        p.same(p.call(function, x, axis=axis), reference(x, axis=axis), quantity=f"axis {axis}")
        for keepdims in (True, False) if p.dtype == "float32" else ():
            options: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
            told = f"axis {axis}, keepdims {keepdims}"
            p.same(p.call(function, x, **options), reference(x, **options), quantity=told)


@case("infinities, NaN, zeros", *REDUCTIONS)
def reductions_of_specials(p: Probe, function: str) -> None:
    x = np.array([[3.0, -1.0, 8.0, -2.0], [-5.0, 0.0, 7.0, 4.0]])
    for special in (NAN, INF, -INF):
        x[1, 2] = special
        p.same(p.call(function, x, axis=1), REDUCTIONS[function](x, axis=1))


@case("long", "sum", "mean")
def long_sums(p: Probe, function: str) -> None:
    """Partial sums have more digits than 16 bits: 256 + 1 is 256 in bfloat16."""
    for axis in (0, 1):
        x = np.ones((4096, 2) if axis == 0 else (2, 4096))
        expected = [4096, 4096] if function == "sum" else [1, 1]
        p.same(p.call(function, x, axis=axis), expected, quantity=f"axis {axis}")


@case("overflow on the way", "mean", dtypes=EVERY[:1])
def mean_does_not_overflow(p: Probe) -> None:
    p.same(p.call("mean", np.array([60000.0, 60000, 30000, 30000])), 45000)


def _indices(p: Probe, got: Any, expected: Any, quantity: str) -> None:
    if not isinstance(got, p.xp.Array):
        p.fail(quantity, f"got a {type(got).__name__}; expected an array of {p.xp.name}")
        return
    found, wanted = np.asarray(p.xp.to_numpy(got)), np.asarray(expected)
    integers = np.issubdtype(found.dtype, np.integer)
    p.require(integers, quantity, f"got {found.dtype}; expected integers")
    same = found.shape == wanted.shape and bool((found == wanted).all())
    p.require(same, quantity, f"got {found.tolist()}; expected {wanted.tolist()}")


@case("values", "argmax")
def argmax(p: Probe) -> None:
    x = np.array([[3.0, -1.0, 8.0, 8.0], [5.0, 0.0, -INF, 5.0], [4.0, INF, 8.0, -2.0]])
    for axis in (0, 1, -1):
        # The first of equals.
        _indices(p, p.call("argmax", x, axis=axis), np.argmax(x, axis=axis), f"axis {axis}")
    nan = p.call("argmax", np.array([1.0, NAN, 3.0]), axis=0)
    _indices(p, nan, 1, "NaN is larger than what is finite")


@case("values", "argsort")
def argsort(p: Probe) -> None:
    x = np.array([[3.0, -1, 8, 8, -1], [0.0, INF, -0.0, -INF, 0.0], [4.0, INF, 8, -2, INF]])
    for axis in (0, 1, -1):
        stable = np.argsort(x, axis=axis, kind="stable")
        _indices(p, p.call("argsort", x, axis=axis), stable, f"axis {axis}")
    by_hand = [[1, 4, 0, 2, 3], [3, 0, 2, 4, 1], [3, 0, 2, 1, 4]]
    _indices(p, p.call("argsort", x), by_hand, "without an axis")
    _indices(p, p.call("argsort", x[:, :0]), np.zeros((3, 0)), "empty")
    # Longer than what is sorted by insertion: only a stable sort keeps 400 equals in order.
    x = np.arange(1200) * 7.0 % 3
    index = np.concatenate([np.flatnonzero(x == value) for value in range(3)])
    same = bool((np.asarray(p.xp.to_numpy(p.call("argsort", x))) == index).all())
    p.require(same, "of 1200", "what is equal does not stay in order")


@case("infinities, NaN, zeros", "argsort")
def argsort_has_nan_after_what_is_finite(p: Probe) -> None:
    x = np.array([3.0, NAN, -INF, 1.0, NAN, 1.0])
    _indices(p, p.call("argsort", x), [2, 3, 5, 0, 1, 4], "NaN comes last")


@case("values", "concat", "stack")
def joined(p: Probe, function: str) -> None:
    xs = [np.array([[1.5, -0.0], [NAN, INF]]), np.array([[2.5, 3.0], [-1.0, 0.25]])]
    join, reference = getattr(p.xp, function), getattr(np, function)
    arrays = [p.into(x) for x in xs]
    for sequence in (arrays, tuple(arrays)):
        for axis in (0, 1, -1):
            p.same(join(sequence, axis=axis), reference(xs, axis=axis), quantity=f"axis {axis}")
        p.same(join(sequence), reference(xs), quantity="without an axis")
    if function == "stack":
        p.same(join([p.into(1.5), p.into(-2.5)]), [1.5, -2.5], quantity="of shape ()")


@case("values", "astype")
def astype(p: Probe) -> None:
    p.same(p.call("astype", np.array([True, False]), p.native), [1, 0], quantity="of booleans")
    values = [0.1, -0.0, 1 / 3, 65519.0, 3e38, 1e300, INF, -INF, NAN]
    for source in EVERY:
        if not has(p.xp, source):
            continue
        other = Probe(p.xp, source)
        x = other.round(values)
        p.same(p.xp.astype(other.into(x), p.native), x, x, quantity=f"from {source}")


@case("values", "asarray")
def asarray(p: Probe) -> None:
    x = p.round([0.1, -0.0, NAN])
    for kind, values, expected in (
        ("a list", x.tolist(), x),
        ("a number", 0.1, p.round(0.1)),
        ("NumPy's float64", np.array([0.1, -0.0, NAN]), x),
    ):
        p.same(p.xp.asarray(values, dtype=p.native), expected, quantity=f"{kind}, with a dtype")
    p.same(p.xp.asarray(p.into(x)), x, quantity="an array of the framework")
    wide = "float32" if p.dtype == "float64" or not has(p.xp, "float64") else "float64"
    cast = p.xp.asarray(p.into(x), dtype=p.xp.dtype(wide))
    expected = PRECISIONS[wide].round(x)
    p.same(cast, expected, quantity=f"as {wide}", dtype=p.xp.dtype(wide))


@case("of NumPy", "asarray")
def asarray_of_numpy_keeps_the_dtype(p: Probe) -> None:
    x = p.round([0.1, -0.0, NAN])
    p.same(p.xp.asarray(x.astype(_numpy_dtype(p.dtype))), x)


def _numpy_dtype(name: str) -> Any:
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        raise AbsentError("NumPy has no bfloat16 without ml_dtypes") from None
    return np.dtype(ml_dtypes.bfloat16)


@case("values", "to_numpy")
def to_numpy(p: Probe) -> None:
    for values in ([0.1, -0.0, NAN], [[INF, 2.5]], 0.1):
        x = p.round(values)
        y = p.xp.to_numpy(p.into(x))
        if not isinstance(y, np.ndarray):
            p.fail("type", f"got a {type(y).__name__}; expected an array of NumPy")
            continue
        # NumPy itself has no bfloat16, so that float32 will do.
        names = (p.dtype, "float32") if p.dtype == "bfloat16" else (p.dtype,)
        p.require(str(y.dtype) in names, "dtype", f"got {y.dtype}; expected {p.dtype}")
        same = y.shape == x.shape and np.array_equal(y.astype(np.float64), x, equal_nan=True)
        p.require(bool(same), "value", f"got {y.tolist()}; expected {x.tolist()}")


@case("values", "ones_like", "zeros_like")
def build(p: Probe, function: str) -> None:
    for x in (np.array([[NAN, -INF, -0.0]]), np.array(-2.5)):
        p.same(p.call(function, x), getattr(np, function)(x))


@case("values", "copied", "for_many_rows")
def kept(p: Probe, function: str) -> None:
    x = np.array([[0.5, -0.0, 3.0], [INF, -INF, NAN]])
    p.same(p.call(function, x), x)


@case("memory of its own", "copied")
def copies(p: Probe) -> None:
    x = p.into([0.5, -2.0])
    y = p.xp.copied(x)
    try:
        y[...] = 3.0
    except Exception as error:
        raise AbsentError(f"arrays of {p.xp.name} cannot be written to") from error
    p.same(x, [0.5, -2.0], quantity="the array that was copied")


@case("values", "same_shape", dtypes=("float32",))
def same_shape(p: Probe) -> None:
    shapes = [(), (1,), (3,), (1, 3), (3, 1)]
    for one in shapes:
        for other in shapes:
            got = p.call("same_shape", np.ones(one), np.ones(other))
            p.require(got is (one == other), "value", f"{got!r} for {one} and {other}")


@case("values", "finfo")
def finfo(p: Probe) -> None:
    found = p.xp.finfo(p.native)
    for name, expected in (("max", p.precision.largest), ("eps", p.precision.eps)):
        got = float(getattr(found, name))
        p.require(got == expected, name, f"got {got!r}; expected {expected!r}")


@case("values", "dtype")
def dtype(p: Probe) -> None:
    named = p.xp.dtype(p.dtype)
    p.require(named in p.xp.floating, "value", f"{named} is not one of {p.xp.floating}")
    p.require(p.into([0.5]).dtype == named, "value", f"an array has {p.into([0.5]).dtype}")


OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@case("with numbers", "operators", dtypes=EVERY[2:])
def operators_with_numbers(p: Probe) -> None:
    """A Python number beside an array takes its dtype; so does the result."""
    x = p.round([0.3, -1.75, 12.0])
    for name, of in OPERATORS.items():
        for number in (0.1, 3, -2.5):
            y = p.round(number)
            for told, got, exact in (
                (f"x {name} {number}", of(p.into(x), number), of(x, y)),
                (f"{number} {name} x", of(number, p.into(x)), of(y, x)),
            ):
                p.near(got, exact, exact, 0.5, x, quantity=told)
    # It may multiply by the rounded reciprocal.
    p.near(p.into(x) / 0.7, x / p.round(0.7), x / p.round(0.7), 1.5, x, quantity="x / 0.7")


@case("with numbers, 16 bits", "operators", dtypes=EVERY[:2], needs=("vjp",))
def operators_of_16_bits_with_numbers(p: Probe) -> None:
    """Of what differentiates: the expansion has the dtype of x, whatever numbers are in it."""
    x = p.into([0.5, -1.75, 12.0])
    for got, expected in ((0.0 - x, [-0.5, 1.75, -12]), (0.5 * x, [0.25, -0.875, 6])):
        p.same(got, expected)


@case("of arrays", "operators", dtypes=("float32",))
def operators_of_arrays(p: Probe) -> None:
    x, y = np.array([[0.5, -2.0, -0.0]]), np.array([[1.5], [-0.5]])
    for name, of in (OPERATORS | {"/": operator.truediv}).items():
        p.near(of(p.into(x), p.into(y)), of(x, y), of(x, y), 0.5, quantity=f"x {name} y")
    p.same(-p.into(x), -x, quantity="-x")
    p.same(abs(p.into(x)), abs(x), quantity="abs(x)")
    a, b = p.into(x), p.into(y)
    for name, of in COMPARISONS.items():
        _flags(p, of(a, b), of(x, y), f"x {name} y")
        _flags(p, of(a, 0.5), of(x, 0.5), f"x {name} 0.5")
    _flags(p, (a > 0) & (a < 1), (x > 0) & (x < 1), "and")
    _flags(p, (a > 0) | (a < -1), (x > 0) | (x < -1), "or")
    _flags(p, ~(a > 0), ~(x > 0), "not")


def _flags(p: Probe, got: Any, expected: Any, quantity: str) -> None:
    found = np.asarray(p.xp.to_numpy(got))
    same = found.dtype == np.bool_ and np.array_equal(found, expected)
    p.require(bool(same), quantity, f"got {found.dtype} {found.tolist()}; expected {expected}")


@case("indexing", "operators", dtypes=("float32",), needs=("stack",))
def indexing(p: Probe) -> None:
    x = np.arange(12.0).reshape(3, 4)
    parts: dict[str, Callable[[Any], Any]] = {
        "x[1, ...]": lambda x: x[1, ...],
        "x[-1, ...]": lambda x: x[-1, ...],
        "x[:, 2]": lambda x: x[:, 2],
        "x[1:, :2]": lambda x: x[1:, :2],
        "x[..., None]": lambda x: x[..., None],
        "x[None, ...]": lambda x: x[None, ...],
    }
    for name, of in parts.items():
        p.same(of(p.into(x)), of(x), quantity=name)


@case("a device", "device", dtypes=ANY, needs=("device",))
def device(p: Probe) -> None:
    with p.xp.device("cpu"):
        x = p.xp.asarray([0.5, -2.0])
    got = np.asarray(p.xp.to_numpy(x)).tolist()
    p.require(got == [0.5, -2.0], "cpu", f"got {got}; expected [0.5, -2.0]")
    try:
        with p.xp.device("cuda"):
            pass
    except LookupError:
        pass
    except Exception as error:
        p.fail("cuda", f"{type(error).__name__}: {error}; expected a LookupError, or a device")
