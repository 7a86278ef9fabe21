"""What a backend is: a module, or any object, with the members of a tier.

Tier 0, ``Injection``, is enough for ``fgi.inject``, ``fgi.bypass`` and ``fgi.custom_jvp``. Each
further tier is for one part of the library, and a member is looked up when that part needs it:

    0  Injection         inject, bypass, custom_jvp
    1  Arrays            surrogates, values, neurons
    2  Differentiation   fgi.grad and its kind
    3  Randomness        stochastic surrogates, forward gradients
    4  Tools             fgi.testing, training, benchmarks
    5  Hooks             time and memory alone

Names are those of the array-API standard and mean the same in every backend. "Default" marks the
members that a backend need not write: see ``fgi_backends.defaults`` and ``fgi.backend.derived``.
``fgi.backend.from_array_api`` fills tier 1 for a namespace of the standard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

__all__ = [
    "TIERS",
    "Array",
    "Arrays",
    "Autodiff",
    "Backend",
    "Differentiation",
    "Hooks",
    "Injection",
    "Minimal",
    "Randomness",
    "Tools",
]

Array: TypeAlias = Any
"""An array of whichever framework; Python's type system cannot say "the same one as ``x``"."""


class Injection(Protocol):
    """Tier 0: what the definition of forward gradient injection is written in.

    Arrays have ``dtype``, ``shape``, ``abs``, the operators ``+ - *`` and comparisons, each with an
    array or a Python number, which takes the dtype of the array.
    """

    @property
    def name(self) -> str:
        """The framework's import name: ``"torch"``."""

    @property
    def Array(self) -> Any:  # noqa: N802, it is a type
        """The array type, or a tuple of types, for ``isinstance``."""

    @property
    def floating(self) -> tuple[Any, ...]:
        """Every real floating dtype the backend has."""

    def stop_gradient(self, x: Any, /) -> Any:
        """``x``, with derivative zero."""

    def where(self, condition: Any, x: Any, y: Any, /) -> Any:
        """At least one branch is an array; a Python number takes its dtype."""

    def astype(self, x: Any, dtype: Any, /) -> Any: ...

    def finfo(self, dtype: Any, /) -> Any:
        """The limits of a floating dtype: ``max`` is its largest number, ``eps`` its precision."""

    def zeros_like(self, x: Any, /) -> Any: ...
    def ones_like(self, x: Any, /) -> Any: ...


class Arrays(Protocol):
    """Tier 1: what the catalogue, the value functions and the neurons are written in."""

    @property
    def float32(self) -> Any: ...

    @property
    def half(self) -> tuple[Any, ...]:
        """The floating dtypes of 16 bits; slopes are computed in ``float32`` for them. Default."""

    def abs(self, x: Any, /) -> Any:
        """The magnitude; its derivative at 0 is 0, where the operator's may be 1. Default."""

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

    def divide(self, x: Any, y: Any, /) -> Any:
        """x / y, rounded once; the operator may multiply by the rounded reciprocal. Default."""

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
        """The complementary error function, as in SciPy."""

    def sum(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def mean(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def max(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
    def argmax(self, x: Any, /, *, axis: int) -> Any: ...

    def argsort(self, x: Any, /, *, axis: int = -1) -> Any:
        """Ascending; what is equal stays in order, and NaN comes after what is finite."""

    def concat(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any: ...
    def stack(self, xs: Sequence[Any], /, *, axis: int = 0) -> Any: ...


class Differentiation(Protocol):
    """Tier 2: the framework's transforms, of functions of nested dicts, lists and tuples."""

    def vjp(
        self, f: Callable[..., Any], *primals: Any
    ) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]: ...

    def grad(self, f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
        """Default, by ``vjp``."""

    def value_and_grad(
        self, f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
    ) -> Callable[..., Any]:
        """Default, by ``vjp``."""

    def jvp(
        self, f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
    ) -> tuple[Any, Any]: ...

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
    ) -> tuple[Any, Any]:
        """The time loop, see ``fgi.scan``. Default: Python's own loop, by ``stack``."""


class Randomness(Protocol):
    """Tier 3: random numbers from the framework's own keys or generators."""

    @property
    def Key(self) -> Any:  # noqa: N802, it is a type
        """The type, or a tuple of types, of the framework's own sources of randomness."""

    def uniform(self, key: Any, x: Any, /) -> Any:
        """Random numbers from [0, 1) shaped like ``x``, and of its dtype or ``float32``."""

    def normal(self, key: Any, x: Any, /, *, batch: tuple[int, ...] = ()) -> Any:
        """Standard normal numbers of shape ``(*batch, *x.shape)``, dtype as in ``uniform``."""

    def split(self, key: Any, count: int, /) -> Sequence[Any]:
        """Keys for independent numbers; ``key`` itself where it has a state that goes on."""


class Tools(Protocol):
    """Tier 4: numbers in and out, for tests, training and benchmarks."""

    def asarray(self, x: Any, /, *, dtype: Any = None) -> Any: ...
    def to_numpy(self, x: Any, /) -> Any: ...

    def dtype(self, name: str, /) -> Any:
        """The framework's dtype of that name: ``"float8_e4m3fn"``. Default: one of ``floating``."""

    def double_precision(self) -> AbstractContextManager[Any]:
        """Inside the block float64 is float64. Default: it always is."""

    def device(self, kind: str, /) -> AbstractContextManager[Any]:
        """Inside the block new arrays are on the first device of that kind: "cpu" or "cuda".

        Default: there is the CPU alone. Errors: LookupError where the framework sees none.
        """

    @property
    def version(self) -> str:
        """The framework's version. Default: that of the installed package of its name."""

    @property
    def mechanisms(self) -> Mapping[str, Callable[..., Callable[[Any], Any]]]:
        """The framework's own custom gradients, each ``make(value, slope)``. Default: none."""


class Hooks(Protocol):
    """Tier 5: each has a default that is always right; another one saves time or memory."""

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

    def same_shape(self, x: Any, y: Any, /) -> bool: ...

    def step(self, x: Any, y: Any, /, *, at_zero: int = 0) -> Any:
        """1 where x > y, ``at_zero``, 0 or 1, where they are equal, else 0; of the dtype of ``x``.

        ``y`` is a number or an array. There is no derivative.
        """

    def reciprocal(self, x: Any, /) -> Any:
        """1 / x."""

    def for_many_rows(self, weights: Any, /) -> Any:
        """The same matrix, laid out for a product of many more rows than it has columns."""

    @property
    def compiles_loops(self) -> bool:
        """Whether ``compile`` keeps a ``scan`` inside a loop; where not, its step is compiled."""


class Minimal(Injection, Hooks, Protocol):
    """What every backend has, by itself or by default: enough to inject."""


class Backend(Minimal, Arrays, Randomness, Tools, Protocol):
    """The array namespace that formulas are written in, as ``fgi.namespace(x)`` returns it."""


class Autodiff(Backend, Differentiation, Protocol):
    """A backend whose framework differentiates: all tiers."""


TIERS: Mapping[str, type] = {
    "injection": Injection,
    "arrays": Arrays,
    "autodiff": Differentiation,
    "random": Randomness,
    "tools": Tools,
    "hooks": Hooks,
}
"""By name, in order; the members of a tier are what its protocol itself defines."""
