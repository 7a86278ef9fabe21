"""``Surrogate``: the value of f, the gradient of a slope you choose; and how to define one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Concatenate, ParamSpec, cast

from .backend import Array, Backend
from .dispatch import describe
from .inference import value_only
from .injection import expand, finite, floating_owner, shape_error
from .parameters import Definition, is_number, number
from .values import Value, heaviside

__all__ = ["Surrogate", "surrogate"]

P = ParamSpec("P")


class Surrogate(Definition):
    """An element-wise function with value f(x) and derivative g'(x).

        y = f(x0) + g'(x0) * (x - x0),   x0 = sg(x)

    Subclasses write ``slope(xp, x)``, that is g', and where it has a closed form
    ``antiderivative(xp, x)``, that is g: in operators and functions of ``xp``, for ``x`` finite.
    ``xp`` is the backend, ``x`` is float32 or float64: float16 and bfloat16 are computed in
    float32 and rounded once.

    ``forward`` is f, the step of the paper by default; every surrogate takes another one by that
    keyword: a ``fgi.Heaviside``, ``Sign`` or ``Round``, or any function of an array.

    Where ``x`` is infinite or NaN the value is f(x) and the derivative 0. Derivatives beyond the
    first are zero. Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11.
    """

    forward: Callable[[Array], Array] = dataclasses.field(default=cast(Any, None), kw_only=True)
    _objects = {"forward": heaviside}

    known_as: ClassVar[Mapping[str, Mapping[str, float]]] = {}
    """What the libraries call it: "library.function" and our parameters for their defaults."""

    def slope(self, xp: Backend, x: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define slope(xp, x)")

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        raise TypeError(
            f"{type(self).__name__} has no primitive in closed form; expected a surrogate that "
            f"defines antiderivative(xp, x)"
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.forward):
            raise TypeError(
                f"{type(self).__name__}: forward is {describe(self.forward)}; expected a function "
                f"of an array such as fgi.heaviside"
            )

    def __call__(self, x: Array) -> Array:
        """Value f(x), derivative g'(x).

        Shape and dtype: those of ``x``, which is float16, bfloat16, float32 or float64.

        Errors: TypeError for anything else; ValueError where a parameter or f would change the
        shape.
        """
        xp = floating_owner(type(self).__name__, x)
        if value_only(xp):
            return self._value(xp, x)
        fx = self._value(xp, xp.stop_gradient(x))
        y = expand(xp, x, fx, lambda x0, d: self._slope(xp, x0) * d)
        if not xp.same_shape(y, x):
            raise shape_error(type(self).__name__, ", ".join(self.arrays) or "slope", y, x)
        return y

    def derivative(self, x: Array) -> Array:
        """The slope g'(x), an ordinary function of ``x``. Shape, dtype and errors: as the call."""
        xp = floating_owner(f"{type(self).__name__}.derivative", x)
        return self._broadcast("derivative", xp, self._slope(xp, x), x)

    def primitive(self, x: Array) -> Array:
        """The antiderivative g(x), with g(-inf) = 0 where that limit exists, else g(0) = 0.

        An ordinary function of ``x`` whose gradient is the slope; ``fgi.bypass(f(x), g(x))`` has
        its derivatives of every order. Shape and dtype: as the call.

        Errors: as the call; TypeError where no closed form is known.
        """
        xp = floating_owner(f"{type(self).__name__}.primitive", x)
        return self._broadcast("primitive", xp, self._computed(xp, x, type(self).antiderivative), x)

    def native(self, mechanism: str | None = None) -> Callable[[Array], Array]:
        """The same function made by the framework's own custom-gradient mechanism.

        ``mechanism`` is "autograd_function" (PyTorch), "custom_jvp" or "custom_vjp" (JAX) or
        "custom_gradient" (TensorFlow); without it, the first one of the framework that the
        function is called with. It is the reference in tests and timings.

        Errors: ValueError for an unknown mechanism, TypeError where a framework has none.
        """
        return NativeTwin(self, mechanism)

    def _value(self, xp: Backend, x: Array) -> Array:
        if isinstance(self.forward, Value):
            return self.forward.in_dtype(xp, x.dtype).evaluate(xp, x)
        fx = self.forward(x)
        if not isinstance(fx, xp.Array):
            raise TypeError(
                f"{type(self).__name__}: forward(x) is {describe(fx)}; expected an array of "
                f"{xp.name}"
            )
        if not xp.same_shape(fx, x):
            raise shape_error(type(self).__name__, "forward", fx, x)
        return xp.astype(fx, x.dtype)

    def _slope(self, xp: Backend, x: Array) -> Array:
        return self._computed(xp, x, type(self).slope)

    def _computed(
        self, xp: Backend, x: Array, formula: Callable[[Any, Backend, Array], Array]
    ) -> Array:
        """The formula in at least float32, rounded to the dtype of ``x``; or a Python number."""
        if x.dtype not in xp.half:
            return formula(self.in_dtype(xp, x.dtype), xp, x)
        result = formula(self.in_dtype(xp, xp.float32), xp, xp.astype(x, xp.float32))
        return result if isinstance(result, int | float) else xp.astype(result, x.dtype)

    def _broadcast(self, method: str, xp: Backend, result: Array, x: Array) -> Array:
        result = result * xp.ones_like(x)
        if not xp.same_shape(result, x):
            cause = ", ".join(self.arrays) or "slope"
            raise shape_error(f"{type(self).__name__}.{method}", cause, result, x)
        return result


@dataclasses.dataclass(frozen=True)
class NativeTwin:
    """``Surrogate.native``: the same rule, by a framework's custom-gradient mechanism."""

    surrogate: Surrogate
    mechanism: str | None

    def __call__(self, x: Array) -> Array:
        xp = floating_owner(f"{type(self.surrogate).__name__}.native", x)
        if not xp.mechanisms:
            raise TypeError(
                f"{type(self.surrogate).__name__}.native: {xp.name} has no custom-gradient "
                f"mechanism; expected an array of torch, jax or tensorflow"
            )
        mechanism = self.mechanism or next(iter(xp.mechanisms))
        if mechanism not in xp.mechanisms:
            raise ValueError(
                f"{type(self.surrogate).__name__}.native: unknown mechanism {mechanism!r}; "
                f"{xp.name} has {', '.join(xp.mechanisms)}"
            )
        return xp.mechanisms[mechanism](self.value, self.slope)(x)

    def value(self, x: Array) -> Array:
        """f(x), as the surrogate returns it."""
        return self.surrogate.forward(x)

    def slope(self, x: Array) -> Array:
        """g'(x), and 0 where ``x`` is not finite."""
        xp = floating_owner("native", x)
        inside = finite(xp, x)
        return xp.where(inside, self.surrogate.derivative(xp.where(inside, x, 0.0)), 0.0)


def surrogate(slope: Callable[Concatenate[Array, P], Array]) -> Callable[P, Surrogate]:
    """Make a surrogate of your own from its slope: a function of ``x`` and parameters::

        @fgi.surrogate
        def hat(x, width=1.0):
            xp = fgi.namespace(x)
            return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))

        spike = hat(width=0.5)

    What comes back is a subclass of ``fgi.Surrogate``: ``spike(x)``, ``spike.derivative(x)``,
    equality, ``pickle`` and ``to_config`` work, and ``hat(width=0.5, forward=fgi.round)`` too. A
    parameter's default may say its range: ``width=fgi.positive(1.0)``.

    Errors: TypeError where ``slope`` is not a function of an array and named parameters.
    """
    if not inspect.isfunction(slope):
        raise TypeError(
            f"fgi.surrogate: came {describe(slope)}; expected a function such as "
            f"def hat(x, width=1.0): ..."
        )
    first, *rest = inspect.signature(slope).parameters.values()
    for parameter in rest:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"fgi.surrogate: {slope.__name__} has the {parameter.kind.description} parameter "
                f"{parameter.name}; expected named ones: "
                f"def {slope.__name__}({first.name}, width=1.0): ..."
            )
    names = [parameter.name for parameter in rest]

    def method(self: Surrogate, xp: Backend, x: Array) -> Array:
        return slope(x, **{name: getattr(self, name) for name in names})

    def field(default: Any) -> Any:
        if default is inspect.Parameter.empty:
            return dataclasses.field(metadata={"range": "finite"})
        return number(default) if is_number(default) else default

    return type(
        slope.__name__,
        (Surrogate,),
        {
            **{parameter.name: field(parameter.default) for parameter in rest},
            "__annotations__": dict.fromkeys(names, Any),
            "__doc__": slope.__doc__,
            "__module__": slope.__module__,
            "__qualname__": slope.__qualname__,
            "slope": method,
        },
    )
