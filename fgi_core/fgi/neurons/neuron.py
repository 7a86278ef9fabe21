"""What a neuron is: one time step, as a pure function of parameters, state and input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.checks import floating_backend
from ..parameters import Definition
from ..surrogates.surrogate import Surrogate

__all__ = ["Draw", "Learned", "Neuron", "Parameters", "State", "normal", "uniform"]

Parameters: TypeAlias = Mapping[str, Array]
"""Learned parameters of a layer, one number for each neuron, as training stores them."""

State: TypeAlias = Mapping[str, Array]

Draw: TypeAlias = Callable[[Any, int], Any]
"""``draw(generator, count)``: initial values, from a ``numpy.random.Generator``."""


@dataclass(frozen=True)
class normal:  # noqa: N801, reads as the distribution
    """Initial values from a normal distribution."""

    mean: float
    deviation: float

    def __call__(self, generator: Any, count: int) -> Any:
        return generator.normal(self.mean, self.deviation, count)


@dataclass(frozen=True)
class uniform:  # noqa: N801, reads as the distribution
    """Initial values from ``low`` to ``high``."""

    low: float
    high: float

    def __call__(self, generator: Any, count: int) -> Any:
        return generator.uniform(self.low, self.high, count)


@dataclass(frozen=True)
class Learned:
    """How training stores a parameter: as any number, which ``into`` brings into its range."""

    into: Callable[[Backend, Array], Array]
    draw: Draw


def sigmoid(xp: Backend, a: Array) -> Array:
    """1 / (1 + exp(-a)), for a decay from 0 to 1."""
    # As a tanh it has no cases to choose from; a decay needs no relative accuracy near 0.
    return 0.5 * (1 + xp.tanh(0.5 * a))


def time_constant(xp: Backend, tau: Array) -> Array:
    """exp(-1 / |tau|), the decay in one step of something that takes ``tau`` steps."""
    return xp.exp(-1 / abs(tau))


def magnitude(xp: Backend, a: Array) -> Array:
    """|a|."""
    return abs(a)


class Neuron(Definition):
    """A layer of neurons: how its state follows an input, and what it sends on.

        state, z = neuron(params, state, x)

    ``params`` holds what is learned, by the names of ``learned``, one number for each neuron;
    what is not in it has the value that the definition says, for every neuron. ``state`` is a dict
    of arrays shaped like ``x``, as ``neuron.initial(x)`` makes them, at rest; ``x`` is the input
    current of one time step, (batch, neurons) as a rule, real floating. ``z`` is shaped like it:
    the spikes, 0 or 1 unless the surrogate's ``forward`` says otherwise.

    What does not change with time is in ``constants``, for those who run many steps::

        constants = neuron.constants(params, x)
        state, z = neuron.step(constants, state, x)

    Errors: TypeError where ``x`` is no real floating array; ValueError for names that the neuron
    does not learn.
    """

    learned: ClassVar[Mapping[str, Learned]] = {}
    states: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Mapping[str, Any]] = {}
    """The surrogate that the published code fires with, as ``fgi.from_config`` has it."""
    _nested = {"spike": Surrogate}

    presets: ClassVar[Mapping[str, Callable[..., Neuron]]] = {}
    """What the libraries call it: "library.Neuron", and how their parameters are ours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "spike" not in self._names:
            return
        spike = vars(self)["spike"]
        if spike is None:
            object.__setattr__(self, "spike", Surrogate.from_config(self.published))
        elif not callable(spike):
            raise TypeError(
                f"{type(self).__name__}: spike is {describe(spike)}; expected a surrogate such as "
                f"fgi.surrogates.ATan()"
            )

    def __call__(self, params: Parameters, state: State, x: Array) -> tuple[State, Array]:
        return self.step(self.constants(params, x), state, x)

    def initial(self, x: Array) -> dict[str, Array]:
        """The state at rest, shaped like ``x``."""
        xp = floating_backend(type(self).__name__, x)
        return {name: xp.zeros_like(x) for name in self.states}

    def constants(self, params: Parameters, x: Array) -> dict[str, Any]:
        """Every parameter in its range, in the dtype of ``x``; those not learned are numbers."""
        xp = floating_backend(type(self).__name__, x)
        unknown = [name for name in params if name not in self.learned]
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: params has {', '.join(unknown)}; expected none but "
                f"{', '.join(self.learned) or 'nothing'}"
            )
        found = self.in_dtype(xp, x.dtype).parameters
        for name in params:
            found[name] = self.learned[name].into(xp, params[name])
        return self.derived(xp, found)

    def derived(self, xp: Backend, constants: dict[str, Any]) -> dict[str, Any]:
        """``constants``, and what follows from them alone, once for all time steps."""
        return constants

    def check(self, params: Parameters) -> None:
        """Raise where learned numbers leave the range in which the equations hold.

        It looks into the arrays, which a compiled step cannot: call it between steps.
        """

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        raise TypeError(f"{type(self).__name__} does not define step(constants, state, x)")
