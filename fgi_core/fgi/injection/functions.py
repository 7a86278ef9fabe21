"""What users call: ``stop_gradient``, ``tangent``, ``inject``, ``bypass``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backend.dispatch import backend_of, same_backend
from ..backend.messages import describe
from ..backend.protocol import Array
from .checks import check_order, floating_backend, shape_error
from .expansion import NUMBERS, apply_slope, expand, freeze, is_finite
from .fast import by_slope
from .inference import frozen_copy, value_only

__all__ = ["bypass", "inject", "inject_as_published", "stop_gradient", "tangent"]


def stop_gradient(x: Array) -> Array:
    """The same array, with derivative zero.

        sg(x) = x,   d sg(x) / dx = 0

    Shape and dtype: any, kept. Underneath: ``Tensor.detach``, ``jax.lax.stop_gradient``,
    ``tf.stop_gradient``.

    Errors: TypeError where ``x`` is not an array.
    """
    return backend_of(x, "fgi.stop_gradient").stop_gradient(x)


def tangent(x: Array) -> Array:
    """The tangent seed: value exactly 0, derivative exactly 1 (0 where ``x`` is not finite).

        d = z - sg(z),   z = x where finite, else 0

    Shape and dtype: those of ``x``, which is real floating.

    Errors: TypeError where ``x`` is no such array.
    """
    xp = floating_backend("fgi.tangent", x)
    if value_only(xp, x):
        return xp.zeros_like(x)
    _, minus_d = freeze(xp, x)
    return 0.0 - minus_d


def inject(
    x: Array, fx: Array, gdx: Array | float | Callable[[Array], Array], *, order: int = 1
) -> Array:
    """Inject a derivative: return the value ``fx`` with the derivative ``gdx`` by ``x``.

        y = sg(fx) + sg(gdx) * (x - sg(x))

    ``gdx`` may also be the slope as a function of an array. With ``order=k`` the derivatives up to
    the k-th are then those of the integral of the slope; without, the second is zero.

    Shapes: ``fx`` has that of ``x``; ``gdx`` too, or is a number or broadcasts to it. Dtypes:
    that of ``x``, real floating; ``fx`` may be bool; the result has dtype and shape of ``x``.
    The value is always ``fx``, except that -0.0 may become 0.0 where the slope is negative. Where
    ``x`` or the slope is infinite or NaN, the derivative is 0. This is always the expansion:
    ordinary operations of the framework, and no fast path.

    Errors: TypeError for what is no real floating array, for arrays of two frameworks, for an order
    without a function; ValueError for shapes that do not fit, for an order below 1.

    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11, there ``fgi(x, fx, fdx)``; written as an
    expansion, see ``fgi.injection``.
    """
    xp = floating_backend("fgi.inject", x)
    of_x = callable(gdx) and not isinstance(gdx, xp.Array)
    check_order("fgi.inject", order)
    if order > 1 and not of_x:
        raise TypeError(
            f"fgi.inject: order is {order} and gdx is {describe(gdx)}; expected the slope as a "
            f"function: fgi.inject(x, fx, slope, order={order})"
        )
    same_backend("fgi.inject", x, fx=fx, gdx=None if of_x else gdx)
    if not isinstance(fx, xp.Array):
        raise TypeError(f"fgi.inject: fx is {describe(fx)}; expected an array shaped like x")
    if gdx is None:
        raise TypeError("fgi.inject: gdx is None; expected an array or a number")
    if not xp.same_shape(fx, x):
        raise ValueError(
            f"fgi.inject: fx is {describe(fx)} and x is {describe(x)}; expected equal shapes; "
            f"broadcast fx first"
        )
    fits = isinstance(gdx, NUMBERS) or (not of_x and xp.same_shape(gdx, x))
    # A slope that is a function may have a gradient of its own, and one that broadcasts not fit.
    inferring = value_only(xp, x, by_others=not fits)
    if inferring:
        return frozen_copy(xp, fx, x.dtype)
    slope: Any = gdx
    if isinstance(gdx, xp.Array):
        # Computed at x itself, it may be NaN where x is not finite.
        slope = xp.where(is_finite(xp, x), xp.astype(xp.stop_gradient(gdx), x.dtype), 0.0)
        if not xp.same_shape(slope, x):
            raise shape_error("fgi.inject", "gdx", slope, x)

    def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        found = slope(points[0]) if of_x else slope
        if not isinstance(found, (*NUMBERS, xp.Array)):
            raise TypeError(
                f"fgi.inject: gdx(x) is {describe(found)}; expected an array of {xp.name} or a "
                f"number"
            )
        return [apply_slope(xp, found, tangents[0])]

    [y] = expand(xp, [xp.astype(xp.stop_gradient(fx), x.dtype)], rule, [x], order=order)
    if not xp.same_shape(y, x):
        raise shape_error("fgi.inject", "gdx", y, x)
    return y


def inject_as_published(x: Array, fx: Array, gdx: Array) -> Array:
    """The paper's own arrangement of ``inject``, for reproduction; otherwise use ``inject``.

        h = x * sg(gdx),   y = h - sg(h) + sg(fx)

    Equal to ``inject`` on paper. In floating point it is NaN where x * gdx overflows, so at every
    infinity, and off by the rounding error of x * gdx where a compiler contracts the product.
    Shapes and dtypes: three arrays of one framework, one shape and one real floating dtype.

    Errors: TypeError where they are not.

    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11 and Listing 3.
    """
    xp = floating_backend("fgi.injection.inject_as_published", x)
    same_backend("fgi.injection.inject_as_published", x, fx=fx, gdx=gdx)
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
    xp = floating_backend("fgi.bypass", gx, "gx")
    if not isinstance(fx, xp.Array):
        theirs = backend_of(fx, "fgi.bypass", "fx")
        raise TypeError(
            f"fgi.bypass: gx is an array of {xp.name}, fx one of {theirs.name}; expected arrays "
            f"of one framework; convert one of them"
        )
    if not xp.same_shape(fx, gx):
        raise ValueError(
            f"fgi.bypass: fx is {describe(fx)} and gx is {describe(gx)}; expected equal shapes; "
            f"broadcast fx first"
        )
    value = frozen_copy(xp, fx, gx.dtype)
    return value if value_only(xp, gx) else by_slope(xp, value, lambda _: 1.0, gx)
