"""A layer of recurrent adaptive spiking neurons and a leaky readout, written once.

Nothing here knows a framework: operators, ``fgi.namespace`` and ``fgi.scan``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import fgi

from ..backend import Array, Backend

__all__ = ["Parameters", "logits", "spikes"]

Parameters: TypeAlias = Mapping[str, Array]

THRESHOLD = 0.1  # of a neuron that has not spiked lately
ADAPTATION = 0.8  # how far its own spikes raise it
GAIN = 10.0  # of the readout, before the softmax


def sigmoid(xp: Backend, z: Array) -> Array:
    return 0.5 * (1 + xp.tanh(0.5 * z))


def run(p: Parameters, spike: Callable[[Array], Array], xs: Array) -> tuple[Array, Array]:
    """Spikes (steps, images, hidden) and readout (steps, images, classes) for a sequence.

        I_t = W [x_t, z_t-1] + b                          current
        u_t = alpha u_t-1 + (1 - alpha) I_t - th_t z_t    membrane, reset by subtraction
        th_t = theta + beta a_t-1                         threshold
        z_t = H(u_t - th_t)                               spike, before the reset
        a_t = rho a_t-1 + (1 - rho) z_t                   adaptation
        v_t = kappa v_t-1 + (1 - kappa) (V z_t + c)       readout

    Source: Otte 2024 (arXiv:2406.00177), Eq. 13-16, in the order of the code published with it.
    """
    xp = fgi.namespace(xs)
    alpha, rho, kappa = (sigmoid(xp, p[name]) for name in ("alpha", "rho", "kappa"))

    def step(state: Any, x: Array) -> tuple[Any, Any]:
        u, a, z, v = state
        current = x @ p["input"] + z @ p["recurrent"] + p["bias"]
        threshold = THRESHOLD + ADAPTATION * a
        u = alpha * u + (1 - alpha) * current
        z = spike(u - threshold)
        u = u - z * threshold
        a = rho * a + (1 - rho) * z
        v = kappa * v + (1 - kappa) * (z @ p["output"] + p["output bias"])
        return (u, a, z, v), (z, v)

    quiet = xp.zeros_like(xs[0] @ p["input"])
    state = (quiet, quiet, quiet, xp.zeros_like(quiet @ p["output"]))
    _, (z, v) = fgi.scan(step, state, xs)
    return z, v


def spikes(p: Parameters, spike: Callable[[Array], Array], xs: Array) -> Array:
    """Spikes of the hidden layer, (steps, images, hidden)."""
    return run(p, spike, xs)[0]


def logits(p: Parameters, spike: Callable[[Array], Array], xs: Array) -> Array:
    """Class scores (images, classes): the readout's mean over time."""
    _, v = run(p, spike, xs)
    return GAIN * fgi.namespace(v).mean(v, axis=0)
