"""Spiking neurons as pure functions of (parameters, state, input), for every framework.

neuron.py    what a neuron is, and what of it is learned
leaky.py     LeakyIntegrator, LIF, SynapticLIF: SpikingJelly's, snnTorch's and Norse's conventions
adaptive.py  ALIF, YinALIF: the threshold rises with a neuron's own spikes
resonate.py  RF, BRF: a damped oscillation that fires
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..surrogates.presets import made
from .adaptive import ALIF, YinALIF
from .leaky import LIF, LeakyIntegrator, SynapticLIF
from .neuron import Learned, Neuron, normal, uniform
from .resonate import BRF, RF, BroadDoubleGaussian

__all__ = [
    "ALIF",
    "BRF",
    "LIF",
    "RF",
    "BroadDoubleGaussian",
    "LeakyIntegrator",
    "Learned",
    "Neuron",
    "SynapticLIF",
    "YinALIF",
    "normal",
    "preset",
    "presets",
    "uniform",
]


def presets() -> Mapping[str, Callable[..., Neuron]]:
    """What other libraries call it: "library.Neuron", and a function of their parameters.

    The parameters have the library's names and defaults; what comes back is a neuron.
    """
    kinds = (LeakyIntegrator, LIF, SynapticLIF, ALIF)
    return {name: make for kind in kinds for name, make in kind.presets.items()}


def preset(name: str, **parameters: Any) -> Neuron:
    """The neuron that another library has under that name, with the same numbers.

        preset("spikingjelly.LIFNode", tau=2.0, v_reset=None)

    Errors: ValueError for a name that is not there, naming the close ones; TypeError for a
    parameter that the library's neuron has not.
    """
    return made("fgi.neurons.preset", presets(), name, parameters)
