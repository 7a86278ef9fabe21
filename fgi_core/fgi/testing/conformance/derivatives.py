"""Differentiation, batching, compilation and the time loop, against derivatives by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...injection.fast import by_slope
from ...injection.inference import inference_mode
from ...transforms.framework import compile, grad, jvp, scan, value_and_grad, vjp, vmap
from ..bounds import Bound
from ..cell import has
from ..precision import Floats
from . import elementwise
from .case import ANY, EVERY, WIDEST, case
from .probe import Probe

__all__ = ["BOUNDS"]

INF = np.inf

BOUNDS = (Bound("derivative by hand", "*", 512, 0, "sums of a few terms, each within a few ulp"),)


def agree(p: Probe, got: Any, expected: Any, told: str) -> None:
    """The same nesting; numbers within the bound."""
    if isinstance(expected, dict | list | tuple):
        same = type(got) is type(expected) and len(got) == len(expected)
        p.require(same, told, f"got {type(got).__name__}; expected {type(expected).__name__}")
        if same:
            for key in expected if isinstance(expected, dict) else range(len(expected)):
                agree(p, got[key], expected[key], told)
        return
    expected = np.asarray(expected, np.float64)
    scale = float(p.precision.eps * np.max(np.abs(expected), initial=1.0))
    ulps = p.bound("derivative by hand").ulps
    p.near(got, expected, expected, ulps, quantity=told, floor=scale)


def into(p: Probe, tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: into(p, value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([into(p, value) for value in tree])
    return p.into(tree)


@case("derivative zero", "stop_gradient")
def stops(p: Probe) -> None:
    x, u = np.array([0.5, -2.5, 3.0]), np.array([-2.0, 0.5, 4.0])
    # d(x sg(x)) / dx = sg(x), where without the stop it is 2 x.
    _, dx = p.derivative(lambda x: x * p.xp.stop_gradient(x), x, u)
    p.same(dx, u * x, x, quantity="derivative of x sg(x), which is sg(x)")


@case("by an array", "may_differentiate", needs=("vjp", "grad", "jvp"))
def knows_what_is_differentiated(p: Probe) -> None:
    x, y = p.into(np.array([0.5, -2.5])), p.into(np.ones(2))
    found: dict[str, bool] = {}

    def asked(quantity: str) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            found[quantity] = p.xp.may_differentiate(x) and p.xp.may_differentiate(y, x)
            return p.xp.sum(x * x)

        return f

    vjp(asked("vjp"), x)
    grad(asked("grad"))(x)
    jvp(asked("jvp"), (x,), (y,))
    vjp(lambda x: asked("vjp of a result")(3 * x), x)
    grad(lambda x: p.xp.sum(grad(asked("grad of grad"))(x)))(x)
    for quantity, known in found.items():
        p.require(known, quantity, "a derivative is asked for, and not known to be")
    p.require(isinstance(p.xp.may_differentiate(y), bool), "outside", "is no bool")


@case("derivative one", "keep_on_tape", needs=("vjp",))
def connects(p: Probe) -> None:
    zeros, u = np.zeros(3), np.array([-2.0, 0.5, 4.0])
    y, pullback = vjp(p.xp.keep_on_tape, p.into(zeros))
    p.same(y, zeros)
    p.same(pullback(p.into(u))[0], u, quantity="derivative")

    def slope(d: Any) -> Any:
        return vjp(p.xp.keep_on_tape, d)[1](p.into(u))[0]

    _, pullback = vjp(slope, p.into(zeros))
    p.same(pullback(p.into(u))[0], zeros, zeros=False, quantity="second derivative")


@case("derivative kept", "assume_value", needs=("vjp", "compile"))
def keeps(p: Probe) -> None:
    x, u, v = np.array([0.5, -2.5, 3.0]), np.array([-2.0, 0.5, 4.0]), np.array([4.0, 2.0, -1.0])

    def square(x: Any) -> Any:
        return p.xp.assume_value(x * x, p.xp.stop_gradient(x * x))

    for f, how in ((square, "plain"), (compile(square), "compiled")):
        y, pullback = vjp(f, p.into(x))
        p.same(y, x * x, quantity=f"value, {how}")
        p.same(pullback(p.into(u))[0], 2 * x * u, quantity=f"derivative, {how}")

    def slope(x: Any) -> Any:
        return vjp(square, x)[1](p.into(u))[0]

    _, pullback = vjp(slope, p.into(x))
    p.same(pullback(p.into(v))[0], 2 * u * v, quantity="second derivative")


@case("first order", "first_order", needs=("vjp", "grad", "compile"))
def attaches(p: Probe) -> None:
    x, u = np.array([0.5, -2.5, INF, -INF, np.nan]), np.array([-2.0, 0.5, 4.0, 3.0, -1.0])
    fx, point = np.array([1.0, -0.0, np.nan, INF, 0.0]), np.array([0.5, -2.5, 0.0, 0.0, 0.0])
    slopes: tuple[tuple[Any, Floats], ...] = (
        (lambda x0: x0 * x0 + 0.5, point * point + 0.5),
        (lambda x0: -1.5, np.full(5, -1.5)),
    )
    for slope, expected in slopes:
        # By the tape, where PyTorch only computes, by the function's own derivative, and compiled.
        wanted = np.where(np.isfinite(x), expected, 0) * u

        def f(x: Any, slope: Any = slope) -> Any:
            return by_slope(p.xp, p.into(fx), slope, x)

        def weighted(x: Any, f: Any = f) -> Any:
            y = f(x)
            p.same(p.xp.stop_gradient(y), fx, quantity="value, plain")
            return p.xp.sum(y * p.into(u))

        got = grad(weighted)(p.into(x))
        p.same(got, wanted, x, zeros=False, quantity="derivative, plain")
        for g, how in ((f, "by vjp"), (compile(f), "compiled")):
            y, pullback = vjp(g, p.into(x))
            p.same(y, fx, quantity=f"value, {how}")
            got = pullback(p.into(u))[0]
            p.same(got, wanted, x, zeros=False, quantity=f"derivative, {how}")
        _, pullback = vjp(lambda x, f=f: vjp(f, x)[1](p.into(u))[0], p.into(x))
        got = pullback(p.into(u))[0]
        p.same(got, 0 * point, x, zeros=False, quantity="second derivative")


# Name: the function, and its derivatives by each argument at the points below, by hand.
X, Y = np.array([0.25, 1.5, 2.75, 6.5]), np.array([0.75, 1.25, 2.0, 2.5])
U = np.array([-2.0, 0.5, 4.0, 3.0])
ZERO, ONE = np.zeros(4), np.ones(4)
ABOVE, FAR = np.array([0.0, 1, 1, 1]), np.array([0.0, 0, 1, 1])  # x > y, and x > 2
_BELL = 2 / np.sqrt(np.pi) * np.exp(-((X / 4) ** 2)) / 4
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Floats, ...]]] = {
    "floor": (lambda xp, x: xp.floor(x), (ZERO,)),
    "ceil": (lambda xp, x: xp.ceil(x), (ZERO,)),
    "trunc": (lambda xp, x: xp.trunc(x), (ZERO,)),
    "round": (lambda xp, x: xp.round(x), (ZERO,)),
    "sign": (lambda xp, x: xp.sign(x), (ZERO,)),
    "sqrt": (lambda xp, x: xp.sqrt(x), (0.5 / np.sqrt(X),)),
    "exp": (lambda xp, x: xp.exp(-x), (-np.exp(-X),)),
    "log": (lambda xp, x: xp.log(x), (1 / X,)),
    "log1p": (lambda xp, x: xp.log1p(x), (1 / (1 + X),)),
    "sin": (lambda xp, x: xp.sin(x), (np.cos(X),)),
    "cos": (lambda xp, x: xp.cos(x), (-np.sin(X),)),
    "tanh": (lambda xp, x: xp.tanh(x / 4), (0.25 / np.cosh(X / 4) ** 2,)),
    "atan": (lambda xp, x: xp.atan(x), (1 / (1 + X**2),)),
    "erfc": (lambda xp, x: xp.erfc(x / 4), (-_BELL,)),
    "erfc below zero": (lambda xp, x: xp.erfc(-x / 4), (_BELL,)),
    "abs": (lambda xp, x: xp.abs(x - 2), (np.sign(X - 2),)),
    "maximum": (lambda xp, x, y: xp.maximum(x, y), (ABOVE, ONE - ABOVE)),
    "minimum": (lambda xp, x, y: xp.minimum(x, y), (ONE - ABOVE, ABOVE)),
    "where": (lambda xp, x, y: xp.where(x > 2, x, y), (FAR, ONE - FAR)),
    "astype": (lambda xp, x: xp.astype(xp.astype(x, xp.float32), x.dtype), (ONE,)),
    "reciprocal": (lambda xp, x: xp.reciprocal(x), (-1 / X**2,)),
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
    "stack": (lambda xp, x: xp.stack([x, 3 * x])[1], (3 * ONE,)),
    "concat": (lambda xp, x: xp.concat([x, 3 * x])[4:], (3 * ONE,)),
}
# d(x_i sum(x)) / dx_j = (i == j) sum(x) + x_i, and so on: columns of a Jacobian.
JACOBIANS = {
    "sum, keepdims": np.eye(4) * X.sum() + X[:, None],
    "mean, keepdims": np.eye(4) * X.mean() + X[:, None] / 4,
    "max, keepdims": np.eye(4) * X.max() + X[:, None] * (X.max() == X),
}


def by_hand(name: str) -> tuple[Callable[..., Any], list[Floats]]:
    """The function of the namespace and its arguments, and a Jacobian for each argument."""
    function, partials = FUNCTIONS[name]
    return function, [JACOBIANS[name]] if name in JACOBIANS else [np.diag(p) for p in partials]


@case("reverse", *FUNCTIONS, dtypes=WIDEST, needs=("vjp",))
def reverse(p: Probe, name: str) -> None:
    function, jacobians = by_hand(name)
    arguments = [p.into(a) for a in (X, Y)[: len(jacobians)]]
    got = vjp(partial(function, p.xp), *arguments)[1](p.into(U))
    p.require(len(got) == len(jacobians), "count", f"{len(got)}; expected {len(jacobians)}")
    for i, (dx, jacobian) in enumerate(zip(got, jacobians, strict=False)):
        agree(p, dx, U @ jacobian, f"by argument {i}")


@case("forward", *FUNCTIONS, dtypes=WIDEST, needs=("jvp",))
def forward(p: Probe, name: str) -> None:
    function, jacobians = by_hand(name)
    arguments = [p.into(a) for a in (X, Y)[: len(jacobians)]]
    for i, jacobian in enumerate(jacobians):

        def alone(a: Any, i: int = i) -> Any:
            return function(p.xp, *arguments[:i], a, *arguments[i + 1 :])

        dy = jvp(alone, (arguments[i],), (p.into(U),))[1]
        agree(p, dy, jacobian @ U, f"by argument {i}")


# Where two derivatives meet: the mean of the two.
TIED_X = np.array([-2.5, 0.0, -0.0, 0.0, 1.5, 2.0, 3.0])
TIED_Y = np.array([-2.5, 0.0, -0.0, -0.0, 1.5, 1.0, 4.0])
TIED_U = np.array([-2.0, 0.5, 4.0, 3.0, -0.25, 2.0, 0.125])
_LARGER, _SMALLER = (np.array([*[0.5] * 5, *rest]) for rest in ([1, 0], [0, 1]))
TIES: dict[str, tuple[Floats, ...]] = {
    "maximum": (_LARGER, 1 - _LARGER),
    "minimum": (_SMALLER, 1 - _SMALLER),
    "abs": (np.sign(TIED_X),),
}


def _tied(name: str, way: str) -> Callable[..., tuple[Any, ...]]:
    """The derivatives of the function of the namespace by each argument, times ``u``."""

    def derivatives(xp: Any, u: Any, *args: Any) -> tuple[Any, ...]:
        function = getattr(xp, name)
        if way == "reverse":
            return tuple(vjp(function, *args)[1](u))

        def alone(i: int) -> Callable[[Any], Any]:
            return lambda a: function(*args[:i], a, *args[i + 1 :])

        return tuple(jvp(alone(i), (a,), (u,))[1] for i, a in enumerate(args))

    return derivatives


def _at_ties(
    p: Probe, name: str, way: str, through: Callable[..., Any] | None = None, how: str = "plain"
) -> None:
    run = partial(_tied(name, way), p.xp)
    arguments = [p.into(a) for a in (TIED_X, TIED_Y)[: len(TIES[name])]]
    got = (run if through is None else through(run))(p.into(TIED_U), *arguments)
    for i, (dx, slope) in enumerate(zip(got, TIES[name], strict=True)):
        told = f"{way}, {how}, by argument {i}"
        p.same(dx, TIED_U * slope, TIED_X, zeros=False, quantity=told)


@case("ties in reverse", *TIES, needs=("vjp",))
def reverse_at_ties(p: Probe, name: str) -> None:
    _at_ties(p, name, "reverse")
    if hasattr(p.xp, "vmap"):
        _at_ties(p, name, "reverse", vmap, "by row")


@case("ties in forward mode", *TIES, needs=("jvp",))
def forward_at_ties(p: Probe, name: str) -> None:
    _at_ties(p, name, "forward")


@case("ties, compiled", *TIES, dtypes=("float32",), needs=("vjp", "compile"))
def compiled_at_ties(p: Probe, name: str) -> None:
    _at_ties(p, name, "reverse", compile, "compiled")


@case("at infinity", "divide", dtypes=WIDEST, needs=("vjp",))
def divide_at_infinity(p: Probe) -> None:
    _, pullback = vjp(lambda x: p.xp.divide(x, 0.5), p.into([INF, -INF]))
    p.same(pullback(p.into([-2.0, 2.0]))[0], [-4.0, 4.0], quantity="derivative")


@case("at zero", "pow", dtypes=WIDEST, needs=("vjp",))
def pow_at_zero(p: Probe) -> None:
    """None is NaN, though the logarithm of 0 is not there."""
    for exponent, slope in [(1, 1.0), (2, 0.0), (3.0, 0.0), (1.5, 0.0)]:
        x, y, u = p.into([0.0]), p.into([exponent]), p.into([-2.0])
        told = f"to {exponent}"
        (dx,) = vjp(partial(_power, p.xp, exponent), x)[1](u)
        p.same(dx, [-2.0 * slope], zeros=False, quantity=told)
        dx, dy = vjp(p.xp.pow, x, y)[1](u)
        p.same(dx, [-2.0 * slope], zeros=False, quantity=f"{told}, an array")
        p.same(dy, [0.0], zeros=False, quantity=f"{told}, by the exponent")


def _power(xp: Any, exponent: float, x: Any) -> Any:
    return xp.pow(x, exponent)


# A model with parameters in a dict of arrays and lists, and its derivatives by hand:
#     y_i = a_i tanh(w x_i) + b x_i^3,   loss = sum_i u_i y_i
PARAMETERS: dict[str, Any] = {
    "a": np.array([0.5, -2.0, 1.5, 0.25]),
    "more": [np.array(0.75), (np.array(-0.375),)],
}
POINTS = np.array([0.5, -1.125, 0.25, 1.5])
UPSTREAM = np.array([-2.0, 0.5, 3.0, -0.75])


NO_INFLUENCE = {"a": np.zeros(4), "more": [np.zeros(()), (np.zeros(()),)]}


def model(xp: Any, p: Any, x: Any) -> Any:
    w, (b,) = p["more"]
    return p["a"] * xp.tanh(w * x) + b * x * x * x


def loss(xp: Any, p: Any, x: Any, u: Any) -> Any:
    return xp.sum(u * model(xp, p, x))


def model_by_hand() -> tuple[Floats, Any, Floats]:
    """y, and dy_i by each parameter and by x_i."""
    x, a = POINTS, PARAMETERS["a"]
    w, b = np.array(0.75), np.array(-0.375)
    t = np.tanh(w * x)
    dp = {"a": t, "more": [a * (1 - t * t) * x, (x**3,)]}
    return a * t + b * x**3, dp, a * (1 - t * t) * w + 3 * b * x**2


def loss_by_hand() -> tuple[Any, Floats]:
    """The gradient of the loss by the parameters and by x."""
    _, dp, dx = model_by_hand()
    dw, (db,) = dp["more"]
    more = [np.sum(UPSTREAM * dw), (np.sum(UPSTREAM * db),)]
    return {"a": UPSTREAM * dp["a"], "more": more}, UPSTREAM * dx


@case("by hand", "grad", dtypes=WIDEST, needs=("grad",))
def gradients(p: Probe) -> None:
    f = partial(loss, p.xp)
    arguments = into(p, (PARAMETERS, POINTS, UPSTREAM))
    dp, dx = loss_by_hand()
    agree(p, grad(f)(*arguments), dp, "by nested parameters")
    agree(p, grad(f, argnums=1)(*arguments), dx, "by argument 1")
    agree(p, grad(f, argnums=2)(*arguments), model_by_hand()[0], "by argument 2")
    x = arguments[1]
    free = grad(lambda p_, x: p.xp.sum(x * x))(arguments[0], x)
    agree(p, free, NO_INFLUENCE, "by what has no influence")
    some = grad(lambda p_: p.xp.sum(p_["a"] * p_["a"]))(arguments[0])
    agree(p, some, {**NO_INFLUENCE, "a": 2 * PARAMETERS["a"]}, "by one leaf of several")
    agree(p, grad(lambda x: p.xp.sum(arguments[2]))(x), np.zeros(4), "of a constant")
    for argnums, expected in ((0, 2 * POINTS**2), (1, POINTS**2)):
        shared = grad(lambda x, y: p.xp.sum(x * x * y), argnums=argnums)(x, x)
        agree(p, shared, expected, f"of the same array in two places, argument {argnums}")
    leaf = grad(lambda both: p.xp.sum(both["x"] * both["x"] * both["y"]))({"x": x, "y": x})
    agree(p, leaf, {"x": 2 * POINTS**2, "y": POINTS**2}, "of the same array in two leaves")
    named = grad(lambda x, *, w: p.xp.sum(w * x * x * x))(x, w=arguments[2])
    agree(p, named, 3 * UPSTREAM * POINTS**2, "with a named argument")
    twice = grad(grad(lambda x, k: k * x * x * x))
    agree(p, twice(p.into(1.75), p.into(-2.5)), -2.5 * 6 * 1.75, "of a gradient")


@case("by hand", "value_and_grad", dtypes=WIDEST, needs=("value_and_grad",))
def values_and_gradients(p: Probe) -> None:
    arguments = into(p, (PARAMETERS, POINTS, UPSTREAM))
    dp, dx = loss_by_hand()
    y = model_by_hand()[0]
    f = partial(loss, p.xp)
    agree(p, value_and_grad(f)(*arguments), (np.sum(UPSTREAM * y), dp), "by nested parameters")
    got = value_and_grad(f, argnums=1)(*arguments)
    agree(p, got, (np.sum(UPSTREAM * y), dx), "by argument 1")

    def with_aux(parameters: Any, x: Any, u: Any) -> Any:
        y = model(p.xp, parameters, x)
        return p.xp.sum(u * y), {"y": y, "twice": [2 * y]}

    (value, aux), gradient = value_and_grad(with_aux, has_aux=True)(*arguments)
    agree(p, (value, gradient), (np.sum(UPSTREAM * y), dp), "beside something else")
    agree(p, aux, {"y": y, "twice": [2 * y]}, "what is beside")


@case("by hand", "vjp", dtypes=WIDEST, needs=("vjp",))
def pullbacks(p: Probe) -> None:
    parameters, x, u = into(p, (PARAMETERS, POINTS, UPSTREAM))
    dp, dx = loss_by_hand()
    y, pullback = vjp(partial(model, p.xp), parameters, x)
    agree(p, y, model_by_hand()[0], "value")
    agree(p, pullback(u), (dp, dx), "by two arguments")
    # It is linear, and there for more than one call.
    agree(p, pullback(-4 * u)[1], -4 * dx, "a second time")
    y, pullback = vjp(lambda x: {"cube": x * x * x, "list": [(5 * x,)]}, x)
    agree(p, y, {"cube": POINTS**3, "list": [(5 * POINTS,)]}, "nested value")
    got = pullback({"cube": u, "list": [(x,)]})
    agree(p, got, (3 * POINTS**2 * UPSTREAM + 5 * POINTS,), "of a nested value")
    _, pullback = vjp(lambda p_, x: x * x, parameters, x)
    agree(p, pullback(u), (NO_INFLUENCE, 2 * POINTS * UPSTREAM), "by what has no influence")
    _, pullback = vjp(lambda x, y: x * x * y, x, x)
    expected = (2 * POINTS**2 * UPSTREAM, POINTS**2 * UPSTREAM)
    agree(p, pullback(u), expected, "of the same array in two places")


@case("16 bits", "vjp", dtypes=EVERY[:2], needs=("vjp",))
def gradients_of_16_bits(p: Probe) -> None:
    x, u = np.array([0.5, -3.0]), np.array([-2.0, 0.5])
    p.same(vjp(lambda x: x * x, p.into(x))[1](p.into(u))[0], 2 * u * x, x)


@case("by hand", "jvp", dtypes=WIDEST, needs=("jvp",))
def forwards(p: Probe) -> None:
    v = {"a": np.array([1.0, 0.5, -3.0, 2.0]), "more": [np.array(-1.5), (np.array(4.0),)]}
    vx = np.array([-0.5, 2.0, 0.25, 1.0])
    y, dp, dx = model_by_hand()
    dy = dp["a"] * v["a"] + dp["more"][0] * -1.5 + dp["more"][1][0] * 4.0 + dx * vx
    primals, tangents = into(p, ((PARAMETERS, POINTS), (v, vx)))
    agree(p, jvp(partial(model, p.xp), primals, tangents), (y, dy), "by two arguments")
    got = jvp(lambda x: {"y": x * x, "z": [3 * x]}, primals[1:], tangents[1:])
    expected = {"y": POINTS**2, "z": [3 * POINTS]}, {"y": 2 * POINTS * vx, "z": [3 * vx]}
    agree(p, got, expected, "of a nested value")
    constant = p.into(UPSTREAM)
    got = jvp(lambda x: (2 * x, constant), primals[1:], tangents[1:])
    agree(p, got, ((2 * POINTS, UPSTREAM), (2 * vx, np.zeros(4))), "of a constant")


@case("by hand", "vmap", dtypes=WIDEST, needs=("vmap", "grad"))
def batches(p: Probe) -> None:
    x, w = np.arange(12.0).reshape(3, 4) / 8, np.array([0.5, -2.0, 3.0])

    def f(row: Any, w: Any) -> Any:
        return p.xp.sum(w * row * row * row)

    agree(p, vmap(f)(p.into(x), p.into(w)), (w[:, None] * x**3).sum(axis=1), "value")
    got = vmap(grad(f))(p.into(x), p.into(w))
    agree(p, got, 3 * w[:, None] * x**2, "gradient by row")
    tree = vmap(lambda both: {"sum": p.xp.sum(both[0]), "w": both[1]})((p.into(x), p.into(w)))
    agree(p, tree, {"sum": x.sum(axis=1), "w": w}, "nested")
    number = vmap(lambda row, k: k * row)(p.into(x), 2.0)
    agree(p, number, 2 * x, "with a number, which is no array")


@case("every function", "compile", dtypes=ANY, needs=("compile", "grad"))
def compiled(p: Probe) -> None:
    """In every dtype at once, as compiling takes long."""
    probes = [Probe(p.xp, d, p.bounds) for d in EVERY if has(p.xp, d)]
    names = list(elementwise.REFERENCE)
    numbers = [probe.into(elementwise.points(probe)) for probe in probes]

    def run(numbers: Any) -> Any:
        return [{name: getattr(p.xp, name)(x) for name in names} for x in numbers]

    for probe, found in zip(probes, compile(run)(numbers), strict=True):
        for name in names:
            before = len(probe.failures)
            elementwise.compare(probe, name, elementwise.points(probe), found[name])
            for failure in probe.failures[before:]:
                p.fail(f"{name}, {probe.dtype}", failure.cause)
        p.comparisons += probe.comparisons


@case("by hand", "compile", dtypes=("float32",), needs=("compile", "grad"))
def compiles(p: Probe) -> None:
    arguments = into(p, (PARAMETERS, POINTS, UPSTREAM))
    run = compile(grad(partial(loss, p.xp)))
    for told in ("gradient", "a second time"):
        agree(p, run(*arguments), loss_by_hand()[0], told)
    cube = compile(lambda x: {"cube": [x * x * x]})
    for x in (POINTS, POINTS[:3]):  # each shape may be a trace of its own
        agree(p, cube(p.into(x)), {"cube": [x**3]}, f"of shape {x.shape}")
    with inference_mode():
        agree(p, run(*arguments), loss_by_hand()[0], "in inference mode")


@case("knows a compiler", "is_traced", dtypes=("float32",), needs=("compile",))
def traced(p: Probe) -> None:
    """Where it does not, what is compiled inside inference_mode has no gradient after it."""
    found: list[bool] = []

    def f(x: Any) -> Any:
        found.append(p.xp.is_traced(x))
        return 2 * x

    compile(f)(p.into([0.5]))
    p.require(all(found), "inside", "False in a function that is compiled")


@case("by hand", "scan", dtypes=WIDEST, needs=("scan", "vjp"))
def loops(p: Probe) -> None:
    """c_t = a c_{t-1} + x_t, and what is collected is 2 c_t."""
    xs, u, a, c0 = np.array([0.5, -2.0, 1.0, 3.0, 0.25]), U[[0, 1, 2, 3, 0]], 0.5, 4.0
    cs = []
    c = c0
    for x in xs:
        c = a * c + x
        cs.append(c)
    # By hand: the adjoint of c_t is 2 u_t + a times that of c_{t+1}.
    adjoint = np.zeros(6)
    for t in reversed(range(5)):
        adjoint[t] = 2 * u[t] + a * adjoint[t + 1]
    by_a = float(np.sum(adjoint[:5] * np.array([c0, *cs[:-1]])))
    expected = (np.array(by_a), np.array(a * adjoint[0]), adjoint[:5])
    for options in ({}, {"unroll": 2}, {"checkpoint": 2}):

        def run(a: Any, c0: Any, xs: Any, options: Any = options) -> Any:
            def step(carry: Any, x: Any) -> Any:
                (c,) = carry
                c = a * c + x["x"]
                return (c,), {"twice": [2 * c]}

            return scan(step, (c0,), {"x": xs}, **options)

        told = f"with {options}" if options else "plain"
        arguments = into(p, (np.array(a), np.array(c0), xs))
        (last,), ys = run(*arguments)
        agree(p, last, cs[-1], f"the carry, {told}")
        agree(p, ys, {"twice": [2 * np.array(cs)]}, f"the outputs, {told}")
        pullback = vjp(lambda *args, run=run: run(*args)[1]["twice"][0], *arguments)[1]
        agree(p, pullback(p.into(u)), expected, f"the gradient, {told}")
