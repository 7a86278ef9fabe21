"""A backend for any namespace of the array-API standard: ``from_array_api``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["ArrayAPI", "from_array_api"]

FLOATING = ("float16", "bfloat16", "float32", "float64")

# fmt: off
AS_THEY_ARE = (
    "float32", "finfo", "zeros_like", "ones_like", "round", "floor", "ceil", "trunc", "sqrt", "exp",
    "log", "log1p", "sin", "cos", "tanh", "atan",
)
# fmt: on
"""The members that are what the standard has under their name."""


def from_array_api(
    xp: Any,
    *,
    name: str,
    Array: Any,  # noqa: N803, as the member is called
    stop_gradient: Callable[[Any], Any],
    **members: Any,
) -> ArrayAPI:
    """Make a backend of a namespace ``xp`` of the array-API standard, 2023.12 or later.

        import array_api_strict as xp

        backend = fgi.backend.from_array_api(
            xp,
            name="array_api_strict",
            Array=type(xp.zeros(1)),
            stop_gradient=lambda x: x,  # it does not differentiate
        )
        fgi.register_backend(backend)
        fgi.surrogates.ATan()(xp.asarray([-0.5, 0.5]))

    This fills the tiers "injection" and "arrays", and ``asarray``, ``to_numpy`` and ``dtype``:
    surrogates have values and slopes. You add what the standard does not have:

    - ``name``: the name that the framework is imported by.
    - ``Array``: the type of its arrays, or a tuple of types; of those that it traces, too.
    - ``stop_gradient``: the framework's own, or the identity where it does not differentiate.
    - ``vjp``, ``jvp``, ``vmap``, ``compile`` for derivatives; ``Key``, ``uniform``, ``normal``,
      ``split`` for random numbers: the tiers "autodiff" and "random".
    - Any member that is better than the one made here, as ``floating``, where a dtype of the
      namespace is not to be used.

    Where the standard leaves a choice, it is made as in fgi's other backends: a Python number takes
    the dtype of the array beside it, 16 bits are summed up in float32, NaN is sorted to the end and
    has the sign NaN. ``erfc`` is the namespace's, or computed by ``exp`` to a few ulp.

    Errors: a function that the namespace lacks is a TypeError when it is needed.
    """
    return ArrayAPI(xp, members | {"name": name, "Array": Array, "stop_gradient": stop_gradient})


class ArrayAPI:
    """What ``from_array_api`` returns: members of the caller, of this class, of the namespace."""

    def __init__(self, xp: Any, members: dict[str, Any]) -> None:
        self.namespace = xp
        self.floating = tuple(getattr(xp, d) for d in FLOATING if hasattr(xp, d))
        self.__dict__ |= members

    def __getattr__(self, name: str) -> Any:
        if name not in AS_THEY_ARE:
            raise AttributeError(name)
        return getattr(self.namespace, name)

    def _beside(self, x: Any, y: Any) -> Any:
        """``y``, an array or a Python number, as an array of the dtype of ``x``."""
        if isinstance(y, self.Array):
            return y
        options = {"device": x.device} if hasattr(x, "device") else {}
        return self.namespace.asarray(y, dtype=x.dtype, **options)

    def _wide(self, f: Callable[..., Any], x: Any, *ys: Any, **options: Any) -> Any:
        """``f`` of arrays and numbers, 16 bits in float32, rounded once."""
        eps = float(self.finfo(x.dtype).eps)
        dtype = self.float32 if eps > float(self.finfo(self.float32).eps) else x.dtype
        wide = self.astype(x, dtype)
        others = (
            self.astype(y, dtype) if isinstance(y, self.Array) else self._beside(wide, y)
            for y in ys
        )
        return self.astype(f(wide, *others, **options), x.dtype)

    def astype(self, x: Any, dtype: Any, /) -> Any:
        return x if x.dtype == dtype else self.namespace.astype(x, dtype)

    def where(self, condition: Any, x: Any, y: Any, /) -> Any:
        first = x if isinstance(x, self.Array) else y
        return self.namespace.where(condition, self._beside(first, x), self._beside(first, y))

    def abs(self, x: Any, /) -> Any:
        # The standard says nothing of derivatives; here it is 0 at 0.
        return self.namespace.abs(self.where(x == 0, self.stop_gradient(x), x))

    def maximum(self, x: Any, y: Any, /) -> Any:
        return self._shared(self.namespace.maximum, x, self._beside(x, y))

    def minimum(self, x: Any, y: Any, /) -> Any:
        return self._shared(self.namespace.minimum, x, self._beside(x, y))

    def _shared(self, larger: Callable[..., Any], x: Any, y: Any) -> Any:
        """The larger or smaller one, with half of the derivative for each where they are equal."""
        z = larger(x, y)
        z0 = self.stop_gradient(z)
        # Minus 0, as -0.0 + 0.0 is 0.0. Infinite ones would be NaN.
        halves = z0 - 0.5 * ((z0 - x) + (z0 - y))
        tie = (x == y) & (abs(z0) <= float(self.finfo(z0.dtype).max))
        return self.where(tie, halves, z)

    def sign(self, x: Any, /) -> Any:
        return self.where(x == x, self.namespace.sign(x), self.stop_gradient(x))

    def remainder(self, x: Any, y: Any, /) -> Any:
        return self._wide(self.namespace.remainder, x, y)

    def pow(self, x: Any, y: Any, /) -> Any:
        return self._wide(self.namespace.pow, x, y)

    def erfc(self, x: Any, /) -> Any:
        own = getattr(self.namespace, "erfc", None)
        return self._wide(self._erfc, x) if own is None else own(x)

    def _erfc(self, x: Any) -> Any:
        """By the trapezoidal rule for an integral.

            erfc(x) = 2 / pi int_0^inf x exp(-t^2 - x^2) / (t^2 + x^2) dt,   x > 0

        At the middle of steps of h, and with the residue at the pole t = i x where x < pi / h, it
        is off by exp(-(pi / h)^2), 7e-18. Below zero, erfc(x) = 2 - erfc(-x).

        Source: Hunter and Regan 1972, Mathematics of Computation 26, 539-541.
        """
        h, below = 0.5, x < 0
        a = self.minimum(self.where(below, -x, x), 28.0)  # erfc(28) is 0 in float64
        # exp(-a^2) from the square of a few digits, which is exact, and the rest.
        few = self.round(self.stop_gradient(a) * 16.0) / 16.0
        bell = self.exp(-few * few) * self.exp((few - a) * (few + a))
        total = self.zeros_like(a)
        for k in reversed(range(14)):
            t = (k + 0.5) * h
            total = total + math.exp(-t * t) / (a * a + t * t)
        pole = self.where(a < math.pi / h, self.exp(-2 * math.pi / h * a), 0.0)
        y = 2 * h / math.pi * a * bell * total + 2 * pole / (1 + pole)
        return self.where(below, 2 - y, y)

    def sum(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        return self._wide(self.namespace.sum, x, axis=axis, keepdims=keepdims)

    def mean(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        return self._wide(self.namespace.mean, x, axis=axis, keepdims=keepdims)

    def max(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        return self.namespace.max(x, axis=axis, keepdims=keepdims)

    def _ordered(self, x: Any) -> Any:
        return self.where(x == x, x, math.inf)

    def argmax(self, x: Any, /, *, axis: int) -> Any:
        return self.namespace.argmax(self._ordered(x), axis=axis)

    def argsort(self, x: Any, /, *, axis: int = -1) -> Any:
        return self.namespace.argsort(self._ordered(x), axis=axis, stable=True)

    def concat(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any:
        return self.namespace.concat(list(xs), axis=axis)

    def stack(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any:
        return self.namespace.stack(list(xs), axis=axis)

    def dtype(self, name: str, /) -> Any:
        return getattr(self.namespace, name)

    def asarray(self, x: Any, /, *, dtype: Any = None) -> Any:
        if isinstance(x, self.Array):
            return x if dtype is None else self.astype(x, dtype)
        return self.namespace.asarray(x, dtype=dtype)

    def to_numpy(self, x: Any, /) -> Any:
        import numpy as np

        return np.asarray(x)
