"""What a value function is, and where its random numbers are taken from."""

from __future__ import annotations

from typing import Any, ClassVar

from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.checks import floating_backend, shape_error
from ..parameters import Definition

__all__ = [
    "Value",
    "uniform",
]


class Value(Definition):
    """An element-wise function whose own derivative is zero almost everywhere, or is not wanted.

    Subclasses write ``evaluate(xp, x)``. Shape and dtype: those of ``x``, real floating.
    A ``random`` one takes a key with each call and writes ``evaluate(xp, x, u)``, where ``u`` is
    uniform on [0, 1): see ``fgi.values.uniform``.
    """

    random: ClassVar[bool] = False
    arithmetic: ClassVar[bool] = False
    """Whether it computes, or compares with a parameter: 16 bits are then computed in float32."""

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define evaluate(xp, x)")

    def __call__(self, x: Array, key: Any = None) -> Array:
        caller = f"fgi.{self.name}"
        xp = floating_backend(caller, x)
        y = self._evaluate(xp, x, *uniform(caller, xp, x, key, self.random))
        if not xp.same_shape(y, x):
            raise shape_error(caller, ", ".join(self.arrays), y, x)
        return y

    def _evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        if self.arithmetic and x.dtype in xp.half:
            wide = xp.astype(x, xp.float32)
            return xp.astype(self.in_dtype(xp, xp.float32).evaluate(xp, wide, *u), x.dtype)
        x = x if self._built_in else xp.copied(x)  # a class of the user's may work in place
        return self.in_dtype(xp, x.dtype).evaluate(xp, x, *u)


def uniform(caller: str, xp: Backend, x: Array, key: Any, random: bool) -> tuple[Array, ...]:
    """The random numbers of one call: one array like ``x``, or none where nothing is random.

    ``key`` is the framework's own source of randomness: a ``torch.Generator``, a JAX key, a
    ``tf.random.Generator`` or the two integers that TensorFlow calls a stateless seed, a
    ``numpy.random.Generator``. Or it is the numbers themselves: a floating array shaped like
    ``x`` with numbers from [0, 1), which is how different frameworks get the same, and what
    ``torch.compile`` takes, which knows no ``torch.Generator``.

    Errors: TypeError where a key is missing, not needed or of another kind.
    """
    if not random:
        if key is not None:
            raise TypeError(f"{caller}: key is {describe(key)}; expected none, nothing is random")
        return ()
    if isinstance(key, xp.Array) and key.dtype in xp.floating:
        if not xp.same_shape(key, x):
            raise ValueError(
                f"{caller}: key is {describe(key)}; expected a key, or numbers from [0, 1) in the "
                f"shape of x, which is {describe(x)}"
            )
        return (xp.astype(key, xp.float32 if x.dtype in xp.half else x.dtype),)
    if key is None or not isinstance(key, xp.Key):
        raise TypeError(
            f"{caller}: key is {describe(key)}; expected {xp.name}'s own key or generator, or "
            f"numbers from [0, 1) in the shape of x: {caller}(..., key=...)"
        )
    return (xp.uniform(key, x),)
