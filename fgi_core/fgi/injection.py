"""The one definition. Freeze the point, expand around it:

    x0 = sg(x)                 sg = stop gradient: identity forward, zero derivative
    d  = x - x0                value exactly 0, derivative exactly 1
    y  = f(x0) + L(x0)[d]      value f(x), derivative L, for any L that is linear in d

Three things make it exact in floating point, a fourth differentiable once more.

*Infinity and NaN.* inf - inf is NaN. The point is therefore z = where(|x| <= max, x, 0): the value
is f(x) for every x, L is only ever evaluated where x is finite, and the derivative is 0 where x is
not.

*Contraction.* A compiler may fuse a product into the subtraction that uses it, a*b - r becoming
fma(a, b, -r): were x = a*b, the value of x - sg(x) would be the rounding error of a*b. The operand
of the subtraction is the result of a selection, never a product, so there is nothing to fuse. The
selection asks |x| <= max and not |x| < inf, because LLVM removes the latter where it can prove x
finite (an integer times a constant), and then fuses after all.

*The sign of zero.* -0.0 + 0.0 is 0.0, but -0.0 - 0.0 is -0.0. The expansion is therefore written
with minus signs, y = f - L[x0 - z]: for slopes >= 0, and for a slope that is one number, even the
zeros of f keep their sign.

*The second derivative* of what is linear is zero, but a tape has nothing to say of it: PyTorch's
raises, TensorFlow's answers None. The seed is therefore ``connected``: linear, though not in the
eyes of a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .backend import Array, Backend
from .dispatch import describe, owner, together
from .inference import value_only
from .quadrature import Nodes, nodes

__all__ = ["bypass", "inject", "inject_as_published", "stop_gradient", "tangent"]

NUMBERS = (int, float)


def finite(xp: Backend, x: Array) -> Array:
    """Where ``x`` is neither infinite nor NaN, as booleans; off the graph."""
    return abs(xp.stop_gradient(x)) <= float(xp.finfo(x.dtype).max)


def frozen(xp: Backend, x: Array) -> tuple[Array, Array]:
    """The frozen point x0 and x0 - z, whose value is 0 and whose derivative is -1.

    The one place that chooses how the seed is made; both hazards named above are settled here.
    """
    z = xp.where(finite(xp, x), x, 0.0)
    x0 = xp.stop_gradient(z)
    minus_d = xp.connected(x0 - z)
    return x0, minus_d


def expand(
    xp: Backend,
    fx: Array,
    rule: Callable[[Sequence[Array], Sequence[Array]], Array],
    *inputs: Array,
    nodes: Nodes = (),
) -> Array:
    """y = f(x0) + L(x0)[d] for one or several inputs, ``fx`` already computed and stopped.

    ``rule(points, tangents)`` is L, linear in the tangents: a JVP rule. With ``nodes``, from
    ``fgi.quadrature``, it is asked between x0 and x, y = f(x0) + sum_i w_i L(x0 + s_i d)[d], and
    has derivatives beyond the first.
    """
    pairs = [frozen(xp, x) for x in inputs]
    points, tangents = [x0 for x0, _ in pairs], [minus_d for _, minus_d in pairs]
    if not nodes:
        return fx - rule(points, tangents)
    y = fx
    for s, w in nodes:
        between = [x0 - s * minus_d for x0, minus_d in zip(points, tangents, strict=True)]
        y = y - w * rule(between, tangents)
    return y


def attach(
    xp: Backend, fx: Array, slope: Callable[[Array], Array | float], x: Array, *, nodes: Nodes = ()
) -> Array:
    """``expand`` by one slope, in the way that costs least: the value is said to be ``fx``.

    Where the backend need not compute that value, or can write it, the seed d is 0 with derivative
    1 also where x is not finite, and what is selected is the slope and not x:

        where(|x| <= max, slope(x0), 0) * d
    """

    def selected(x: Array, *, checked: bool = False) -> Array | float:
        x = xp.stop_gradient(x)
        if checked:
            return slope(x)
        inside = finite(xp, x)
        found = slope(xp.where(inside, x, 0.0))
        if isinstance(found, NUMBERS):
            found = found * xp.ones_like(x)
        return xp.where(inside, found, 0.0)

    def rule(points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        return times(xp, slope(points[0]), tangents[0])

    y = None if nodes else xp.attached(selected, x, fx)
    return xp.with_value(expand(xp, fx, rule, x, nodes=nodes), fx) if y is None else y


def times(xp: Backend, slope: Array | float, d: Array) -> Array:
    """The rule of one slope, slope * d, whose value is +0.0 also where a number is negative."""
    if isinstance(slope, NUMBERS):
        if slope == 1:
            return d
        if slope < 0:
            # Not 0 - d: TensorFlow makes -d of that, whose value is -0.0.
            return -slope * (xp.stop_gradient(d) - d)
    return slope * d


def stop_gradient(x: Array) -> Array:
    """The same array, with derivative zero.

        sg(x) = x,   d sg(x) / dx = 0

    Shape and dtype: any, kept. Underneath: ``Tensor.detach``, ``jax.lax.stop_gradient``,
    ``tf.stop_gradient``.

    Errors: TypeError where ``x`` is not an array.
    """
    return owner(x, "fgi.stop_gradient").stop_gradient(x)


def tangent(x: Array) -> Array:
    """The tangent seed: value exactly 0, derivative exactly 1 (0 where ``x`` is not finite).

        d = z - sg(z),   z = x where finite, else 0

    Shape and dtype: those of ``x``, which is real floating.

    Errors: TypeError where ``x`` is no such array.
    """
    xp = floating_owner("fgi.tangent", x)
    if value_only(xp):
        return xp.zeros_like(x)
    _, minus_d = frozen(xp, x)
    return 0.0 - minus_d


def inject(
    x: Array, fx: Array, gdx: Array | float | Callable[[Array], Array], *, order: int = 1
) -> Array:
    """Forward gradient injection: value ``fx``, derivative ``gdx`` with respect to ``x``.

        y = sg(fx) + sg(gdx) * (x - sg(x))

    ``gdx`` may be the slope as a function of an array, too. With ``order=k`` the derivatives up to
    the k-th are then those of its primitive; without, the second is zero.

    Shapes: ``fx`` has that of ``x``; ``gdx`` too, or is a number or broadcasts to it. Dtypes:
    that of ``x``, real floating; ``fx`` may be bool; the result has dtype and shape of ``x``.
    Where ``x`` is infinite or NaN the value is ``fx`` and the derivative 0; a slope that is not
    finite where ``x`` is makes the value NaN.

    Errors: TypeError for what is no real floating array, for arrays of two frameworks, for an order
    without a function; ValueError for shapes that do not fit, for an order below 1.

    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11, there ``fgi(x, fx, fdx)``; written as an
    expansion, see ``fgi.injection``.
    """
    xp = floating_owner("fgi.inject", x)
    of_x = callable(gdx) and not isinstance(gdx, xp.Array)
    checked_order("fgi.inject", order)
    if order > 1 and not of_x:
        raise TypeError(
            f"fgi.inject: order is {order} and gdx is {describe(gdx)}; expected the slope as a "
            f"function: fgi.inject(x, fx, slope, order={order})"
        )
    together("fgi.inject", x, fx=fx, gdx=None if of_x else gdx)
    if not isinstance(fx, xp.Array):
        raise TypeError(f"fgi.inject: fx is {describe(fx)}; expected an array shaped like x")
    if gdx is None:
        raise TypeError("fgi.inject: gdx is None; expected an array or a number")
    if not xp.same_shape(fx, x):
        raise ValueError(
            f"fgi.inject: fx is {describe(fx)} and x is {describe(x)}; expected equal shapes; "
            f"broadcast fx first"
        )
    fx = xp.astype(xp.stop_gradient(fx), x.dtype)
    # A slope that is a function may have a history of its own, and one that broadcasts not fit.
    fits = isinstance(gdx, NUMBERS) or (not of_x and xp.same_shape(gdx, x))
    if value_only(xp, x) if fits else value_only(xp):
        return fx
    if of_x:

        def rule(points: Sequence[Array], tangents: Sequence[Array]) -> Array:
            return times(xp, gdx(points[0]), tangents[0])  # type: ignore[operator]

        y = expand(xp, fx, rule, x, nodes=nodes(order))
        if not isinstance(y, xp.Array) or not xp.same_shape(y, x):
            raise shape_error("fgi.inject", "gdx", y, x)
        return xp.astype(y, x.dtype)
    slope: Any = gdx
    if isinstance(gdx, xp.Array):
        gdx = xp.astype(xp.stop_gradient(gdx), x.dtype)
        # The slope that came along was computed at x itself, and may be NaN where x is not finite.
        slope = xp.where(finite(xp, x), gdx, 0.0)
        if not xp.same_shape(slope, x):
            raise shape_error("fgi.inject", "gdx", slope, x)
    return expand(xp, fx, lambda _, d: times(xp, slope, d[0]), x)


def inject_as_published(x: Array, fx: Array, gdx: Array) -> Array:
    """The paper's own arrangement of ``inject``, for reproduction; otherwise use ``inject``.

        h = x * sg(gdx),   y = h - sg(h) + sg(fx)

    Equal to ``inject`` on paper. In floating point it is NaN where x * gdx overflows, so at every
    infinity, and off by the rounding error of x * gdx where a compiler contracts the product.
    Shapes and dtypes: three arrays of one framework, one shape and one real floating dtype.

    Errors: TypeError where they are not.

    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11 and Listing 3.
    """
    xp = floating_owner("fgi.injection.inject_as_published", x)
    together("fgi.injection.inject_as_published", x, fx=fx, gdx=gdx)
    h = x * xp.stop_gradient(gdx)
    return h - xp.stop_gradient(h) + xp.stop_gradient(fx)


def bypass(fx: Array, gx: Array) -> Array:
    """Value of ``fx``, gradient of ``gx``: every derivative of every order is that of ``gx``.

        y = sg(fx) + (gx - sg(gx))

    Shapes: equal; dtype: that of ``gx``, real floating; ``fx`` may be bool. Where ``gx`` is
    infinite or NaN the value is ``fx`` and the derivative 0.

    Errors: TypeError for what is no real floating array, for arrays of two frameworks; ValueError
    for shapes that differ.

    Source: Otte 2024 (arXiv:2406.00177), Eq. 3 and Listing 1; the straight-through estimator of
    the JAX manual.
    """
    xp = floating_owner("fgi.bypass", gx, "gx")
    if not isinstance(fx, xp.Array):
        theirs = owner(fx, "fgi.bypass", "fx")
        raise TypeError(
            f"fgi.bypass: gx is an array of {xp.name}, fx one of {theirs.name}; expected arrays "
            f"of one framework; convert one of them"
        )
    if not xp.same_shape(fx, gx):
        raise ValueError(
            f"fgi.bypass: fx is {describe(fx)} and gx is {describe(gx)}; expected equal shapes; "
            f"broadcast fx first"
        )
    fx = xp.astype(xp.stop_gradient(fx), gx.dtype)
    if value_only(xp, gx):
        return fx
    return attach(xp, fx, lambda _: 1.0, gx)


def floating_owner(caller: str, x: Array, argument: str = "x") -> Backend:
    """The backend for ``x``, which must be a real floating array."""
    xp = owner(x, caller, argument)
    if x.dtype not in xp.floating:
        raise TypeError(
            f"{caller}: {argument} is {describe(x)}; expected float16, bfloat16, float32 or "
            f"float64; cast it first: fgi.namespace({argument}).astype({argument}, ...)"
        )
    return xp


def checked_order(caller: str, order: Any) -> None:
    """TypeError for what is no integer, ValueError for one below 1."""
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"{caller}: order is {describe(order)}; expected an integer >= 1")
    if order < 1:
        raise ValueError(f"{caller}: order is {order}; expected an integer >= 1")


def shape_error(caller: str, cause: str, y: Array, x: Array) -> ValueError:
    """Whatever was combined with ``x`` has broadcast the result away from its shape."""
    return ValueError(
        f"{caller}: x is {describe(x)}, {cause} makes the result {describe(y)}; expected the shape "
        f"of x; reshape {cause} so that it broadcasts to x"
    )
