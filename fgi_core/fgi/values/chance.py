"""Values drawn at random: spikes by probability, stochastic rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.expansion import is_finite
from ..parameters import Number, number, positive, unit
from .formulas import logistic
from .shapes import identity
from .value import Value

__all__ = [
    "Bernoulli",
    "Logistic",
    "StochasticRound",
    "StochasticTernary",
]


class Bernoulli(Value):
    """One with a probability that depends on x, else zero; or minus one, for a stochastic sign.

        f(x) = 1 if u < probability(x) else low

    ``probability`` is a function of an array: ``fgi.values.Logistic()``, ``fgi.identity`` or one of
    your own; ``low`` is any number. u is uniform on [0, 1), from the key of the call. NaN gives
    ``low``.
    Shape and dtype: those of ``x``, real floating.
    """

    probability: Callable[[Array], Array] = cast(Any, None)
    low: Number = number(default=0.0)

    random = True
    arithmetic = True
    _nested = {"probability": Value}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probability is None:
            object.__setattr__(self, "probability", identity)
        if not callable(self.probability):
            raise TypeError(
                f"Bernoulli: probability is {describe(self.probability)}; expected a function of "
                f"an array such as fgi.identity"
            )

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        spike = u[0] < self.probability(x)
        if isinstance(self.low, float) and self.low == 0:
            return xp.astype(spike, x.dtype)
        return xp.where(spike, xp.ones_like(x), self.low)


class Logistic(Value):
    """A probability that rises with x.

        f(x) = height / (1 + exp(-alpha * (x - threshold)))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``; at ``threshold``, in units of ``x``, the
    probability is half of ``height``, which is from 0 to 1.
    Shape and dtype: those of ``x``, real floating.
    """

    alpha: Number = positive(default=1.0)
    threshold: Number = number(default=0.0)
    height: Number = unit(default=1.0)
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self.height * logistic(xp, self.alpha * (x - self.threshold))


class StochasticTernary(Value):
    """Half the sum of two stochastic signs, one on each side of zero.

        f(x) = 1 if u < p(x) * p(x + 2 * threshold) else (-1 if 1 - u <= q else 0)
        p(x) = 1 / (1 + exp(-alpha * (x - threshold)))
        q = (1 - p(x)) * (1 - p(x + 2 * threshold))

    ``alpha`` > 0 is the steepness, in units of 1 / ``x``, ``threshold`` > 0 in units of ``x``. u is
    uniform on [0, 1), from the key of the call. NaN gives 0.
    Shape and dtype: those of ``x``, real floating.
    """

    alpha: Number = positive(default=8.0)
    threshold: Number = positive(default=0.33)

    random = True
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        upper, lower = (self.alpha * (x + t) for t in (-self.threshold, self.threshold))
        one = u[0] < logistic(xp, upper) * logistic(xp, lower)
        minus_one = 1 - u[0] <= logistic(xp, -upper) * logistic(xp, -lower)
        return xp.astype(one, x.dtype) - xp.astype(minus_one, x.dtype)


class StochasticRound(Value):
    """To the integer below or above, with the probabilities that make the mean x.

        f(x) = floor(x) + (1 if u < x - floor(x) else 0)

    u is uniform on [0, 1), from the key of the call. Infinities and NaN stay.
    Shape and dtype: those of ``x``, real floating.
    """

    random = True
    arithmetic = True

    def evaluate(self, xp: Backend, x: Array, *u: Array) -> Array:
        z = xp.where(is_finite(xp, x), x, 0.0)  # inf - inf is NaN
        return xp.floor(x) + xp.step(z - xp.floor(z), u[0])
