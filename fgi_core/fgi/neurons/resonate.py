"""Neurons that resonate: a damped oscillation, which fires where its real part is large."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..backend.dispatch import namespace
from ..backend.protocol import Array, Backend
from ..parameters import Number, is_number, number, positive, unit
from ..surrogates.surrogate import Surrogate
from ..values.formulas import bell
from .neuron import Learned, Neuron, Parameters, State, magnitude, uniform

__all__ = ["BRF", "RF", "BroadDoubleGaussian"]

Spike = Callable[[Array], Array]


class BroadDoubleGaussian(Surrogate):
    """A narrow normal density less a broad one in the same place.

        g'(x) = 0.5 * (1.15 * N(x, 0.5) - 0.3 * N(x, 3))
        N(x, d) = exp(-x**2 / (2 * d**2)) / (d * sqrt(2 * pi))

    It is 0.4388 at 0. No other of the catalogue has these numbers: the narrow part of
    ``DoubleGaussian`` weighs more than 1, and ``MultiGaussian`` displaces its broad ones.

    Source: the code published with Higuchi et al. 2024 (arXiv:2402.14603).
    """

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        narrow, broad = 1.15 * bell(xp, x, 0.5) / 0.5, 0.3 * bell(xp, x, 3.0) / 3
        return 0.5 / math.sqrt(2 * math.pi) * (narrow - broad)


class RF(Neuron):
    """The resonate-and-fire neuron without a reset.

        u' = u + dt * (b * u - omega * v + x)
        v' = v + dt * (omega * u + b * v)         from the old u
        z = H(u' - threshold)
        b = -|b_off|

    ``omega`` > 0 is the angular frequency and ``b_off`` the damping, both in 1 / s; ``dt`` is the
    step in s; ``threshold`` is in units of ``u``. H has the derivative of ``spike``,
    0.5 * (1.15 * N(x; 0, 0.5) - 0.3 * N(x; 0, 3)) where none is given.
    State: ``u``, ``v``. Learned: ``omega`` = |w|, w ~ U(5, 10), never above 1 / dt; ``b_off`` as
    it is, ~ U(0, 3).
    Agrees with: ``rf_update`` of the code published with Higuchi et al. 2024.

    Errors: ValueError where omega * dt > 1.

    Source: Izhikevich 2001 (doi:10.1016/S0893-6080(01)00078-8); Higuchi et al. 2024
    (arXiv:2402.14603).
    """

    spike: Spike | None = None
    omega: Number = positive(default=10.0)
    b_off: Number = number(default=1.0)
    threshold: Number = number(default=1.0)
    dt: float = positive(default=0.01)

    learned = {
        "omega": Learned(magnitude, uniform(5.0, 10.0)),
        "b_off": Learned(magnitude, uniform(0.0, 3.0)),
    }
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    published = {"name": "broad_double_gaussian"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.dt):
            raise TypeError(f"{type(self).__name__}: dt is an array; expected a number > 0")
        if is_number(self.omega) and self.omega * self.dt > 1:
            raise ValueError(f"{type(self).__name__}: {self._too_fast(self.omega)}")

    def _too_fast(self, omega: float) -> str:
        return (
            f"omega is {omega!r} and dt {self.dt!r}; expected omega * dt <= 1; write a smaller dt, "
            f"or an omega of at most {1 / self.dt!r}"
        )

    def check(self, params: Parameters) -> None:
        """Raise where a learned omega * dt is above 1, or not a number.

        Errors: ValueError.
        """
        if "omega" not in params:
            return
        xp = namespace(params["omega"])
        omega = abs(xp.to_numpy(params["omega"])).ravel()
        for neuron, value in enumerate(omega.tolist()):
            if not value * self.dt <= 1:
                raise ValueError(f"{type(self).__name__}: neuron {neuron}: {self._too_fast(value)}")

    def derived(self, xp: Backend, constants: dict[str, Any]) -> dict[str, Any]:
        omega, fastest = constants["omega"], 1 / self.dt
        if not is_number(omega):
            # A compiled step cannot raise; what has run away stays at the limit.
            constants["omega"] = xp.where(omega <= fastest, omega, fastest)
        constants["b"] = self._damping(xp, constants)
        return constants

    def _damping(self, xp: Backend, constants: Mapping[str, Any]) -> Array | float:
        damping: Array | float = -abs(constants["b_off"])
        return damping

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        u, v = self._oscillate(constants, constants["b"], state, x)
        return {"u": u, "v": v}, constants["spike"](u - constants["threshold"])

    def _oscillate(
        self, constants: Mapping[str, Any], b: Array | float, state: State, x: Array
    ) -> tuple[Array, Array]:
        u, v, omega, dt = state["u"], state["v"], constants["omega"], self.dt
        return u + dt * (b * u - omega * v + x), v + dt * (omega * u + b * v)


class BRF(RF):
    """The balanced resonate-and-fire neuron: damped so that it cannot diverge, refractory.

        p = (-1 + sqrt(1 - (dt * omega)**2)) / dt
        b = p - |b_off| - q
        u' = u + dt * (b * u - omega * v + x)
        v' = v + dt * (omega * u + b * v)         from the old u
        z = H(u' - threshold - q)
        q' = decay * q + z

    ``omega``, ``b_off``, ``threshold``, ``dt`` and ``spike`` are those of ``RF``; ``decay``, from 0
    to 1, is what a step leaves of the refractoriness ``q``, which damps and raises the threshold.
    State: ``u``, ``v``, ``q``. Learned: ``omega`` = |w|, w ~ U(15, 50), never above 1 / dt;
    ``b_off`` as it is, ~ U(0.1, 1).
    Agrees with: ``brf_update`` of the code published with the paper, with the defaults.

    Errors: ValueError where omega * dt > 1.

    Source: Higuchi et al. 2024 (arXiv:2402.14603).
    """

    decay: Number = unit(default=0.9)

    learned = {
        "omega": Learned(magnitude, uniform(15.0, 50.0)),
        "b_off": Learned(magnitude, uniform(0.1, 1.0)),
    }
    states = ("u", "v", "q")

    def _damping(self, xp: Backend, constants: Mapping[str, Any]) -> Array | float:
        omega = constants["omega"]
        if is_number(omega):
            boundary: Array | float = (-1 + math.sqrt(1 - (self.dt * omega) ** 2)) / self.dt
        else:
            # At the limit the root has no finite derivative; there it is the constant 0.
            square = 1 - (self.dt * omega) * (self.dt * omega)
            root = xp.sqrt(xp.where(square > 0, square, 1.0))
            boundary = (-1 + xp.where(square > 0, root, 0.0)) / self.dt
        return boundary - abs(constants["b_off"])

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        q = state["q"]
        u, v = self._oscillate(constants, constants["b"] - q, state, x)
        z = constants["spike"](u - constants["threshold"] - q)
        return {"u": u, "v": v, "q": constants["decay"] * q + z}, z
