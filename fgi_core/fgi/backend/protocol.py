"""What a backend is: a plain module that satisfies ``Backend``.

The names are those of the array-API standard and mean the same in every backend, except for
``erfc`` (SciPy's) and the few that this library exists for: ``stop_gradient``, ``step``,
``mechanisms``, and the hooks for time and memory, which have defaults in ``fgi_backends.defaults``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

__all__ = ["Array", "Autodiff", "Backend"]

Array: TypeAlias = Any
"""An array of whichever framework; Python's type system cannot say "the same one as ``x``"."""


class Backend(Protocol):
    """The array namespace that formulas are written in, as ``fgi.namespace(x)`` returns it."""

    @property
    def name(self) -> str:
        """The framework's import name: ``"torch"``."""

    @property
    def version(self) -> str: ...

    @property
    def Array(self) -> Any:  # noqa: N802, it is a type
        """The array type, or a tuple of types, for ``isinstance``."""

    @property
    def Key(self) -> Any:  # noqa: N802, it is a type
        """The type, or a tuple of types, of the framework's own sources of randomness."""

    @property
    def floating(self) -> tuple[Any, ...]:
        """Every real floating dtype the backend has."""

    @property
    def half(self) -> tuple[Any, ...]:
        """Those of 16 bits; slopes are computed in ``float32`` for them."""

    @property
    def float32(self) -> Any: ...

    @property
    def mechanisms(self) -> Mapping[str, Callable[..., Callable[[Any], Any]]]:
        """The framework's own custom-gradient mechanisms, each ``make(value, slope)``."""

    def stop_gradient(self, x: Any, /) -> Any:
        """``x``, with derivative zero."""

    def keep_on_tape(self, d: Any, /) -> Any:
        """``d``, which is 0 everywhere, with derivative 1 and a second derivative: zero.

        For tapes, to which the gradient of something linear is a constant without a derivative.
        """

    def assume_value(self, y: Any, fx: Any, /) -> Any:
        """``y``, every derivative included, whose value is known to be that of ``fx``.

        Returning ``y`` is always correct. A compiler that is told its value is ``fx`` can skip
        computing it.
        """

    def first_order(self, fx: Any, slope: Callable[[Any], Any], x: Any, /) -> Any | None:
        """The value ``fx``, the derivative ``slope(x)`` and the second derivative zero.

        Return None to fall back to the expansion. The derivative is 0 where ``x`` or the slope is
        not finite; ``slope`` may return a number. ``fx`` is stopped, and its memory is its own.
        """

    def may_differentiate(self, *xs: Any) -> bool:
        """Whether a derivative can be asked for here; where it cannot, only values are computed.

        Given arrays: a derivative by one of them, at least; True where that cannot be known.
        """

    def is_traced(self, *xs: Any) -> bool:
        """Whether what is computed from these arrays is kept by a compiler, and run again later."""

    def copied(self, x: Any, /) -> Any:
        """``x`` in memory of its own; ``x`` itself where arrays cannot be written to."""

    def double_precision(self) -> AbstractContextManager[Any]:
        """Inside the block float64 is float64; JAX makes float32 of it unless it is told."""

    def finfo(self, dtype: Any, /) -> Any:
        """The limits of a floating dtype: ``max`` is its largest number."""

    def same_shape(self, x: Any, y: Any, /) -> bool: ...

    def astype(self, x: Any, dtype: Any, /) -> Any: ...
    def asarray(self, x: Any, /, *, dtype: Any = None) -> Any: ...
    def to_numpy(self, x: Any, /) -> Any: ...
    def ones_like(self, x: Any, /) -> Any: ...
    def zeros_like(self, x: Any, /) -> Any: ...

    def where(self, condition: Any, x: Any, y: Any, /) -> Any:
        """At least one branch is an array; a Python number takes its dtype."""

    def divide(self, x: Any, y: Any, /) -> Any:
        """x / y, rounded once; the operator may multiply by the rounded reciprocal of ``y``."""

    def dtype(self, name: str, /) -> Any:
        """The framework's dtype of that name: ``"float8_e4m3fn"``."""

    def step(self, x: Any, y: Any, /, *, at_zero: int = 0) -> Any:
        """1 where x > y, ``at_zero``, 0 or 1, where they are equal, else 0; of the dtype of ``x``.

        ``y`` is a number or an array. There is no derivative.
        """

    def reciprocal(self, x: Any, /) -> Any:
        """1 / x."""

    def abs(self, x: Any, /) -> Any:
        """The magnitude; its derivative at 0 is 0, where that of the operator may be 1."""

    def maximum(self, x: Any, y: Any, /) -> Any:
        """The larger one; ``y`` is an array or a number.

        Where the two are equal, the derivative by each is 1/2.
        """

    def minimum(self, x: Any, y: Any, /) -> Any:
        """The smaller one; arguments and derivatives as of ``maximum``."""

    def sign(self, x: Any, /) -> Any: ...
    def round(self, x: Any, /) -> Any:
        """To the nearest integer, half to even."""

    def floor(self, x: Any, /) -> Any: ...
    def ceil(self, x: Any, /) -> Any: ...
    def trunc(self, x: Any, /) -> Any: ...
    def remainder(self, x: Any, y: Any, /) -> Any:
        """x - floor(x / y) y, rounded once; ``y`` > 0 is a number or an array."""

    def sqrt(self, x: Any, /) -> Any: ...
    def exp(self, x: Any, /) -> Any: ...
    def log(self, x: Any, /) -> Any: ...
    def log1p(self, x: Any, /) -> Any: ...
    def pow(self, x: Any, y: Any, /) -> Any:
        """``x`` > 0 or +0.0 is an array, ``y`` a number or an array."""

    def sin(self, x: Any, /) -> Any: ...
    def cos(self, x: Any, /) -> Any: ...
    def tanh(self, x: Any, /) -> Any: ...
    def atan(self, x: Any, /) -> Any: ...
    def erfc(self, x: Any, /) -> Any:
        """The complementary error function."""

    def uniform(self, key: Any, x: Any, /) -> Any:
        """Random numbers from [0, 1) shaped like ``x``, and of its dtype or ``float32``."""

    def normal(self, key: Any, x: Any, /, *, batch: tuple[int, ...] = ()) -> Any:
        """Standard normal numbers of shape ``(*batch, *x.shape)``, dtype as in ``uniform``."""

    def split(self, key: Any, count: int, /) -> Sequence[Any]:
        """Keys for independent numbers; ``key`` itself where it has a state that goes on."""

    def sum(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def mean(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def max(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def argmax(self, x: Any, /, *, axis: int) -> Any: ...
    def argsort(self, x: Any, /, *, axis: int = -1) -> Any:
        """Ascending; what is equal stays in order, and NaN comes after what is finite."""

    def concat(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any: ...
    def stack(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any: ...


class Autodiff(Backend, Protocol):
    """A backend whose framework differentiates; trees are the framework's own (pytree, nest)."""

    @property
    def compiles_loops(self) -> bool:
        """Whether ``compile`` keeps a ``scan`` inside a loop; where not, its step is compiled."""

    def device(self, kind: str, /) -> AbstractContextManager[Any]:
        """Inside the block new arrays are on the first device of that kind: "cpu" or "cuda".

        Errors: LookupError where the framework sees none.
        """

    def grad(self, f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]: ...
    def value_and_grad(
        self, f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
    ) -> Callable[..., Any]: ...
    def jvp(
        self, f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
    ) -> tuple[Any, Any]: ...
    def vjp(
        self, f: Callable[..., Any], *primals: Any
    ) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]: ...
    def vmap(self, f: Callable[..., Any], /) -> Callable[..., Any]: ...
    def compile(self, f: Callable[..., Any], /) -> Callable[..., Any]: ...
    def scan(
        self,
        step: Callable[[Any, Any], tuple[Any, Any]],
        carry: Any,
        xs: Any,
        *,
        unroll: int | None,
        checkpoint: int | None,
        segmented: bool,
    ) -> tuple[Any, Any]: ...
