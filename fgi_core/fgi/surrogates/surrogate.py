"""``Surrogate``: the value of f, the gradient of a slope you choose; and how to define one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Self

from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.checks import floating_backend, shape_error
from ..injection.expansion import NUMBERS, apply_slope, expand, is_finite
from ..injection.fast import assume_value, by_slope
from ..injection.functions import bypass
from ..injection.inference import value_only
from ..parameters import Definition, is_number, keyword, number
from ..values.steps import heaviside
from ..values.value import Value, uniform

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Primitive", "Surrogate", "surrogate"]

P = ParamSpec("P")


class Surrogate(Definition):
    """An element-wise function with value f(x) and derivative g'(x).

        y = f(x0) + g'(x0) * (x - x0),   x0 = sg(x)

    Subclasses write ``slope(xp, x)``, that is g', and where it has a closed form
    ``antiderivative(xp, x)``, that is g: in operators and functions of ``xp``, for ``x`` finite.
    ``xp`` is the backend, ``x`` is float32 or float64: float16 and bfloat16 are computed in
    float32 and rounded once.

    The value f is that of ``value(xp, x)``, the step of the paper unless the class says otherwise;
    every surrogate takes another one by the keyword ``forward``: one of ``fgi.values``, or any
    function of an array.

    Where ``x`` or the slope is infinite or NaN the value is f(x), the derivative 0. Derivatives
    beyond the first are zero, unless ``order=k`` asks for them: then the derivatives 1 to k are
    those of the primitive, by (k + 1) // 2 evaluations of the slope, whether the primitive is known
    or not.

    Parameters that are arrays shape the gradient, and ``y`` itself has no derivative by them, those
    in ``learnable`` apart: they are learned from the gradient's own derivative, as that of a loss
    after an update step. With ``through="primitive"`` every derivative of ``y``, of every order, by
    ``x`` and by them, is that of the primitive, which has to be known.
    Source: Otte 2024 (arXiv:2406.00177), Eq. 10-11.
    """

    forward: Callable[[Array], Array] | None = keyword(default=None, kw_only=True)
    order: int = keyword(default=1, kw_only=True)
    through: str = keyword(default="slope", kw_only=True)
    _nested = {"forward": Value}

    presets: ClassVar[Mapping[str, Callable[..., Surrogate]]] = {}
    """What the libraries call it: "library.function", and how their parameters are ours."""

    learnable: ClassVar[tuple[str, ...]] = ()
    """Parameters that ``y`` itself has a derivative for; ``partials`` has the rule."""

    random: ClassVar[bool] = False
    """Whether ``value`` and ``slope`` take ``u``, uniform on [0, 1), as a last argument."""

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return heaviside.evaluate(xp, x)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define slope(xp, x)")

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        raise TypeError(
            f"{type(self).__name__} has no primitive in closed form; expected a surrogate that "
            f"defines antiderivative(xp, x)"
        )

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        """dy/dp for each ``learnable`` parameter p."""
        return {}

    _load_all: ClassVar[Callable[[], Any]] = staticmethod(lambda: None)
    """Loads what has a name and is loaded on first use; the catalogue puts itself here."""

    @classmethod
    def by_name(cls, name: str) -> type[Self]:
        cls._load_all()
        return super().by_name(name)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.forward is not None and not callable(self.forward):
            raise TypeError(
                f"{type(self).__name__}: forward is {describe(self.forward)}; expected a function "
                f"of an array such as fgi.heaviside"
            )
        object.__setattr__(self, "order", self._checked("order", "count"))
        self._checked("through", "slope|primitive")

    def __call__(self, x: Array, key: Any = None) -> Array:
        """Value f(x), derivative g'(x).

        Shape and dtype: those of ``x``, which is float16, bfloat16, float32 or float64. ``key`` is
        for what is random, and only for that: see ``fgi.values.uniform``.

        Errors: TypeError for anything else; ValueError where a parameter or f would change the
        shape.
        """
        xp = floating_backend(type(self).__name__, x)
        u = self._uniform(xp, x, key)
        # With an array among the parameters, the gradient may have a derivative by it.
        only_x = not self._array_names and self.through == "slope"
        inferring = value_only(xp, x, *self.arrays.values(), by_others=not only_x)
        x0 = xp.stop_gradient(x)
        fx = self._value(xp, x0, *u)
        if fx is x0:
            fx = xp.copied(fx)  # writing into the result must not show in x
        if self.forward is not None or self._array_names:
            # It has no derivative either by what else f depends on.
            fx = xp.stop_gradient(fx)
        if inferring:
            return fx
        if self.through == "primitive":
            y = self._bypass(xp, x, fx)
        elif only_x and not u:
            y = by_slope(xp, fx, lambda x0: self._fitting_slope(xp, x0), x, order=self.order)
        else:
            y = self._expand(xp, x, fx, *u)
        if not xp.same_shape(y, x):
            raise shape_error(type(self).__name__, ", ".join(self.arrays) or "slope", y, x)
        return y

    def derivative(self, x: Array, key: Any = None) -> Array:
        """The slope g'(x), an ordinary function of ``x``. Shape, dtype and errors: as the call."""
        xp = floating_backend(f"{type(self).__name__}.derivative", x)
        u = self._uniform(xp, x, key)
        return self._broadcast("derivative", xp, self._slope(xp, x, *u), x)

    def primitive(self, x: Array) -> Array:
        """The antiderivative g(x); g(-inf) = 0 or g(0) = 0 where the docstring does not say.

        An ordinary function of ``x`` whose gradient is the slope; ``fgi.bypass(f(x), g(x))`` has
        its derivatives of every order. Shape and dtype: as the call.

        Errors: as the call; TypeError where no closed form is known.
        """
        xp = floating_backend(f"{type(self).__name__}.primitive", x)
        return self._broadcast("primitive", xp, self._computed(xp, x, type(self).antiderivative), x)

    def smooth(self) -> Surrogate:
        """The same slope with the primitive for its value: nothing fires, all is differentiable.

        y = g(x),   with every derivative of g, by ``x`` and by parameters that are arrays
        """
        return self.replace(forward=Primitive(self.replace(forward=None)), through="primitive")

    def native(self, mechanism: str | None = None) -> Callable[[Array], Array]:
        """The same function of ``x`` made by the framework's own custom-gradient mechanism.

        ``mechanism`` is "autograd_function" (PyTorch), "custom_jvp" or "custom_vjp" (JAX) or
        "custom_gradient" (TensorFlow); without it, the first one of the framework that the
        function is called with. It is the reference in tests and timings.

        Errors: ValueError for an unknown mechanism, TypeError where a framework has none or the
        surrogate is random.
        """
        if self._is_random:
            raise TypeError(
                f"{type(self).__name__}.native: the surrogate is random; expected one that is not"
            )
        return NativeTwin(self, mechanism)

    def plot(
        self,
        *curves: str,
        x: tuple[float, float] | None = None,
        ax: Axes | None = None,
        label: str | None = None,
        **line: Any,
    ) -> Axes:
        """Draw "value", "slope" and "primitive" against ``x``; those named, or all there are.

            spike.plot("slope", x=(-2, 2), ax=ax, linestyle="--")

        ``x`` is the range, by default chosen by where value and slope happen; ``ax`` are
        Matplotlib's axes, by default the current ones; ``label`` stands in the legend, ``line``
        goes to ``ax.plot``. What is random is drawn as its mean; an array parameter makes a line
        for each of its numbers. The axes come back.

        Errors: ImportError without Matplotlib; ValueError for an unknown curve or an empty range;
        TypeError for a primitive that is not known.
        """
        try:
            from . import plot
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{type(self).__name__}.plot: needs {error.name}, which is not installed; write "
                f"pip install 'fgi[plot]'"
            ) from error
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.gca()
        plot.draw([(label, self)], curves, x, ax, **line)
        return ax

    @property
    def _is_random(self) -> bool:
        return self.random or (self.forward is not None and getattr(self.forward, "random", False))

    @property
    def _slope_differentiated(self) -> bool:
        """Whether a derivative of the slope is asked for, by ``x`` or by a parameter."""
        return self.order > 1 or len(self._array_names) > 0

    def _uniform(self, xp: Backend, x: Array, key: Any) -> tuple[Array, ...]:
        return uniform(type(self).__name__, xp, x, key, self._is_random)

    def _bypass(self, xp: Backend, x: Array, fx: Array) -> Array:
        # A primitive that is finite at an infinity has a derivative by its parameters there.
        inside = is_finite(xp, x)
        return bypass(fx, xp.where(inside, self.primitive(xp.where(inside, x, 0.0)), 0.0))

    def _expand(self, xp: Backend, x: Array, fx: Array, *u: Array) -> Array:
        """The expansion in ``x`` and in the parameters that are learned, together."""
        learned = [name for name in self.learnable if name in self._array_names]

        def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
            x0, *p0 = points
            at = self.replace(**dict(zip(learned, p0, strict=True))) if learned else self
            y = apply_slope(xp, at._slope(xp, x0, *u), tangents[0])
            partials = at._formula(xp, x0, type(self).partials) if learned else {}
            for name, d in zip(learned, tangents[1:], strict=True):
                partial = partials[name]
                y = y + xp.astype(apply_slope(xp, partial, xp.astype(d, partial.dtype)), x.dtype)
            return [y]

        inputs = [x, *(getattr(self, name) for name in learned)]
        [y] = expand(xp, [fx], rule, inputs, order=self.order)
        return assume_value(xp, y, fx)

    def _value(self, xp: Backend, x: Array, *u: Array) -> Array:
        if self.forward is None:
            if type(self).value is Surrogate.value:
                return heaviside.evaluate(xp, x)  # the same in every dtype
            fx = self._computed(xp, x, type(self).value, *(u if self.random else ()))
        elif isinstance(self.forward, Value):
            fx = self.forward._evaluate(xp, x, *(u if self.forward.random else ()))
        else:
            fx = self.forward(xp.copied(x))  # it may work in place
        if not isinstance(fx, xp.Array):
            raise TypeError(
                f"{type(self).__name__}: forward(x) is {describe(fx)}; expected an array of "
                f"{xp.name}"
            )
        if not xp.same_shape(fx, x):
            cause = "forward" if self.forward is not None else ", ".join(self.arrays)
            raise shape_error(type(self).__name__, cause, fx, x)
        if self.forward is not None and not isinstance(self.forward, Value):
            fx = xp.copied(fx)  # it may be an array that is kept elsewhere
        return fx if fx.dtype == x.dtype else xp.astype(fx, x.dtype)

    def _slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self._computed(xp, x, type(self).slope, *(u if self.random else ()))

    def _fitting_slope(self, xp: Backend, x: Array) -> Array:
        """The slope; one that broadcasts away from the shape of ``x`` is an error."""
        slope = self._slope(xp, x)
        if isinstance(slope, NUMBERS) or xp.same_shape(slope, x):
            return slope
        product = slope * xp.ones_like(x)
        if not xp.same_shape(product, x):
            raise shape_error(type(self).__name__, "slope", product, x)
        return slope

    def _formula(self, xp: Backend, x: Array, formula: Callable[..., Any], *u: Array) -> Any:
        """The formula, in at least float32; of a class of the user's, on a copy."""
        if x.dtype not in xp.half:
            x = x if self._built_in else xp.copied(x)
            return formula(self.in_dtype(xp, x.dtype), xp, x, *u)
        return formula(self.in_dtype(xp, xp.float32), xp, xp.astype(x, xp.float32), *u)

    def _computed(self, xp: Backend, x: Array, formula: Callable[..., Any], *u: Array) -> Array:
        """The formula in at least float32, rounded to the dtype of ``x``; or a Python number."""
        result = self._formula(xp, x, formula, *u)
        if isinstance(result, NUMBERS):
            return result
        if not hasattr(result, "dtype"):
            raise TypeError(
                f"{type(self).__name__}: {formula.__name__}(x) is {describe(result)}; expected an "
                f"array or a number"
            )
        return result if result.dtype == x.dtype else xp.astype(result, x.dtype)

    def _broadcast(self, method: str, xp: Backend, result: Array, x: Array) -> Array:
        # The slope of a straight line is a number, and that of some has the shape of a parameter.
        if isinstance(result, NUMBERS) or self._array_names or not xp.same_shape(result, x):
            result = result * xp.ones_like(x)
        result = xp.astype(result, x.dtype)
        if not xp.same_shape(result, x):
            cause = ", ".join(self.arrays) or "slope"
            raise shape_error(f"{type(self).__name__}.{method}", cause, result, x)
        return result


class Primitive(Value):
    """The primitive of a surrogate as a value: what a rate in place of a spike is.

        f(x) = g(x)

    Shape and dtype: those of ``x``, real floating.
    """

    surrogate: Surrogate

    _nested = {"surrogate": Surrogate}

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.surrogate.primitive(x)


@dataclasses.dataclass(frozen=True)
class NativeTwin:
    """``Surrogate.native``: the same rule, by a framework's custom-gradient mechanism."""

    surrogate: Surrogate
    mechanism: str | None

    def __call__(self, x: Array) -> Array:
        xp = floating_backend(f"{type(self.surrogate).__name__}.native", x)
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
        return self.surrogate._value(floating_backend("native", x), x)

    def slope(self, x: Array) -> Array:
        """g'(x), and 0 where ``x`` is not finite."""
        xp = floating_backend("native", x)
        inside = is_finite(xp, x)
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
            f"fgi.surrogate: got {describe(slope)}; expected a function such as "
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

    def method(self: Surrogate, xp: Backend, x: Array, *u: Array) -> Array:
        return slope(x, **{name: getattr(self, name) for name in names})

    method.__name__ = "slope"  # errors name it

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
