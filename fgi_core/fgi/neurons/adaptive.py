"""Neurons whose threshold rises with their own spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..backend.protocol import Array
from ..parameters import Number, number, unit
from .neuron import Learned, Neuron, State, normal, sigmoid, time_constant

__all__ = ["ALIF", "YinALIF"]

Spike = Callable[[Array], Array]


class ALIF(Neuron):
    """The adaptive neuron of forward gradient injection: reset by its raised threshold.

        th = threshold + beta * a
        u' = alpha * u + (1 - alpha) * x
        z = H(u' - th)
        u'' = u' - z * th                  what the next step finds as u
        a' = rho * a + (1 - rho) * z

    ``alpha`` and ``rho`` are what a step leaves of the membrane and of the adaptation, from 0 to
    1; ``threshold`` and ``beta``, how far spikes raise it, are in units of ``u``. H has the
    derivative of ``spike``, exp(-x^2 / 2) where none is given.
    State: ``u``, ``a``. Learned: ``alpha`` = sigmoid(a), a ~ N(3, 0.1); ``rho`` = sigmoid(r),
    r ~ N(4, 0.5).
    Agrees with: ``alif_update`` of the code published with the paper, with the defaults.
    Source: Otte 2024 (arXiv:2406.00177), Eq. 13-16, in the order of that code.
    """

    spike: Spike | None = None
    alpha: Number = unit(default=0.9)
    rho: Number = unit(default=0.9)
    threshold: Number = number(default=0.1)
    beta: Number = number(default=0.8)

    learned = {
        "alpha": Learned(sigmoid, normal(3.0, 0.1)),
        "rho": Learned(sigmoid, normal(4.0, 0.5)),
    }
    states = ("u", "a")
    published = {"name": "gaussian"}
    presets = {
        "fgi_reference.ALIFCell": (
            lambda alpha=0.9, beta=0.8, rho=0.9: ALIF(None, alpha, rho, beta=beta)
        ),
    }

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        alpha, rho = constants["alpha"], constants["rho"]
        u, a = state["u"], state["a"]
        threshold = constants["threshold"] + constants["beta"] * a
        u = alpha * u + (1 - alpha) * x
        z = constants["spike"](u - threshold)
        return {"u": u - z * threshold, "a": rho * a + (1 - rho) * z}, z


class YinALIF(Neuron):
    """The adaptive neuron of Yin et al.: the last spike raises the threshold, then resets.

        b' = rho * b + (1 - rho) * z
        B = threshold + beta * b'
        m' = alpha * m + (1 - alpha) * x - B * z
        z' = H(m' - B)

    ``alpha`` and ``rho`` are what a step leaves of the membrane and of the adaptation, from 0 to
    1; ``threshold`` and ``beta``, how far spikes raise it, are in units of ``m``. H has the
    derivative of ``spike``; where none is given, the authors': half the multi-Gaussian,
    0.5 * (1.15 * N(x; 0, 0.5) - 0.15 * N(x; 0.5, 3) - 0.15 * N(x; -0.5, 3)).
    State: ``m``, ``b``, ``z``. Learned, as time constants in steps: ``alpha`` = exp(-1 / |tau|),
    tau ~ N(20, 5); ``rho`` = exp(-1 / |tau|), tau ~ N(200, 50).
    Source: Yin et al. 2021 (doi:10.1038/s42256-021-00397-w).
    """

    spike: Spike | None = None
    alpha: Number = unit(default=0.95)
    rho: Number = unit(default=0.995)
    threshold: Number = number(default=0.01)
    beta: Number = number(default=1.8)

    learned = {
        "alpha": Learned(time_constant, normal(20.0, 5.0)),
        "rho": Learned(time_constant, normal(200.0, 50.0)),
    }
    states = ("m", "b", "z")
    published = {"name": "multi_gaussian", "scale": 0.5}

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        alpha, rho, z = constants["alpha"], constants["rho"], state["z"]
        b = rho * state["b"] + (1 - rho) * z
        threshold = constants["threshold"] + constants["beta"] * b
        m = alpha * state["m"] + (1 - alpha) * x - threshold * z
        z = constants["spike"](m - threshold)
        return {"m": m, "b": b, "z": z}, z
