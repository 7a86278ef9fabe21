"""Neurons that leak: the readout that does not fire, LIF, and LIF behind a synapse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..backend.dispatch import namespace
from ..backend.protocol import Array, Backend
from ..parameters import Number, choice, integer, is_number, keyword, number, unit
from ..surrogates import preset as surrogate_preset
from .neuron import Learned, Neuron, State, normal, sigmoid

__all__ = ["LIF", "LeakyIntegrator", "SynapticLIF"]

Spike = Callable[[Array], Array]


def with_gain(constants: dict[str, Any]) -> dict[str, Any]:
    """What of the input arrives: without a word about it, what the leak leaves room for."""
    if constants["gain"] is None:
        constants["gain"] = 1 - constants["beta"]
    return constants


def at_rest(neuron: Neuron, state: dict[str, Array]) -> dict[str, Array]:
    """The state in which nothing happens without an input."""
    v = state["v"]
    return state | {"v": v + neuron.in_dtype(namespace(v), v.dtype).parameters["rest"]}


def check_gain(neuron: Neuron) -> None:
    if vars(neuron)["gain"] is not None:
        object.__setattr__(neuron, "gain", neuron._checked("gain", "finite"))


def charge(constants: Mapping[str, Any], v: Array, x: Array) -> Array:
    """beta v + gain x + (1 - beta) rest."""
    beta, rest = constants["beta"], constants["rest"]
    v = beta * v + constants["gain"] * x
    return v if is_number(rest) and rest == 0 else v + (1 - beta) * rest


class LeakyIntegrator(Neuron):
    """A membrane that leaks and never fires: the readout of a network.

        v' = beta * v + gain * x + (1 - beta) * rest
        z = v'

    ``beta`` is what a step leaves of ``v``, from 0 to 1, and exp(-dt / tau) or 1 - dt / tau for a
    time constant tau; ``gain`` multiplies the input, 1 - beta where it is None; ``rest``, in units
    of ``v``, is where ``v`` starts and leaks to.
    State: ``v``. Learned: ``beta`` = sigmoid(a), a ~ N(3, 0.1).
    Agrees with: ``li_update`` of the code published with Otte 2024 (arXiv:2406.00177), with the
    defaults.
    """

    beta: Number = unit(default=0.9)
    gain: Number | None = keyword(default=None)
    rest: Number = number(default=0.0)

    learned = {"beta": Learned(sigmoid, normal(3.0, 0.1))}
    states: ClassVar[tuple[str, ...]] = ("v",)
    presets = {"fgi_reference.LICell": lambda alpha=0.9: LeakyIntegrator(alpha)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_gain(self)

    def initial(self, x: Array) -> dict[str, Array]:
        return at_rest(self, super().initial(x))

    def derived(self, xp: Backend, constants: dict[str, Any]) -> dict[str, Any]:
        return with_gain(constants)

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        v = charge(constants, state["v"], x)
        return {"v": v}, v


def snntorch_reset(mechanism: str) -> dict[str, Any]:
    """snnTorch resets one step late, by a spike that has no derivative."""
    words = {"subtract": "subtract", "zero": "value", "none": "none"}
    if mechanism not in words:
        raise ValueError(
            f"snntorch: reset_mechanism is {mechanism!r}; expected one of {', '.join(words)}"
        )
    return {"reset": words[mechanism], "delay": 1, "reset_gradient": "stopped"}


def spikingjelly_reset(v_reset: float | None, detach_reset: bool) -> dict[str, Any]:
    return {
        "reset": "subtract" if v_reset is None else "value",
        "reset_to": v_reset or 0.0,
        "rest": v_reset or 0.0,
        "reset_gradient": "stopped" if detach_reset else "kept",
    }


def _leaky(
    beta: Number,
    threshold: Number = 1.0,
    spike_grad: Spike | None = None,
    reset_mechanism: str = "subtract",
) -> LIF:
    spike = spike_grad or surrogate_preset("snntorch.atan")
    return LIF(spike, beta, threshold, gain=1.0, **snntorch_reset(reset_mechanism))


def _lif_node(
    tau: float = 2.0,
    decay_input: bool = True,
    v_threshold: float = 1.0,
    v_reset: float | None = 0.0,
    surrogate_function: Spike | None = None,
    detach_reset: bool = False,
) -> LIF:
    spike = surrogate_function or surrogate_preset("spikingjelly.Sigmoid")
    gain = 1 / tau if decay_input else 1.0
    reset = spikingjelly_reset(v_reset, detach_reset)
    return LIF(spike, 1 - 1 / tau, v_threshold, gain=gain, **reset)


def _if_node(
    v_threshold: float = 1.0,
    v_reset: float | None = 0.0,
    surrogate_function: Spike | None = None,
    detach_reset: bool = False,
) -> LIF:
    spike = surrogate_function or surrogate_preset("spikingjelly.Sigmoid")
    return LIF(spike, 1.0, v_threshold, gain=1.0, **spikingjelly_reset(v_reset, detach_reset))


def _lif_box(
    tau_mem_inv: float = 100.0,
    v_leak: float = 0.0,
    v_th: float = 1.0,
    v_reset: float = 0.0,
    alpha: float = 100.0,
    dt: float = 0.001,
) -> LIF:
    rate = dt * tau_mem_inv
    spike = surrogate_preset("norse.super", alpha=alpha)
    return LIF(
        spike, 1 - rate, v_th, gain=rate, rest=v_leak, reset="value", reset_to=v_reset
    )  # fmt: skip


def _spyx(beta: Number, threshold: Number = 1.0, activation: Spike | None = None) -> LIF:
    spike = activation or surrogate_preset("spyx.superspike")
    return LIF(spike, beta, threshold, gain=1.0, delay=1, spikes="late")


class LIF(Neuron):
    """The leaky integrate-and-fire neuron, in each library's convention.

        u = beta * v + gain * x + (1 - beta) * rest
        z = H(u - threshold)
        v' = u - z * threshold                  reset="subtract", also called soft
        v' = (1 - z) * u + z * reset_to         reset="value", also called hard
        v' = u                                  reset="none"

    With ``delay=1`` the reset comes one step later, for r = H(v - threshold) of the ``v`` that was
    left standing above the threshold: u less r * threshold, or (1 - r) * v + r * reset_to before
    the leak; and v' = u. With ``spikes="late"`` z is that r, too, and H is asked once in a step.

    ``beta`` is what a step leaves of ``v``, from 0 to 1: exp(-dt / tau), or 1 - dt / tau; ``gain``
    multiplies the input, 1 - beta where it is None; ``threshold``, ``rest`` (where ``v`` starts and
    leaks to)
    and ``reset_to`` are in units of ``v``. ``reset_gradient="stopped"`` takes the reset for a
    constant. H has the derivative of ``spike``, the triangle where none is given.
    State: ``v``. Learned: ``beta`` = sigmoid(a), a ~ N(2, 2).

    | preset | gain | reset | delay | gradient | rest and reset_to |
    |---|---|---|---|---|---|
    | spyx.LIF | 1 | subtract | 1, spikes late | kept | 0 |
    | spikingjelly.LIFNode | 1 / tau, or 1 | value, or subtract | 0 | kept, or stopped | v_reset |
    | spikingjelly.IFNode | 1, with beta 1 | value, or subtract | 0 | kept, or stopped | v_reset |
    | snntorch.Leaky | 1 | subtract, value, none | 1 | stopped | 0 |
    | norse.lif_box_feed_forward_step | dt tau_mem_inv | value | 0 | kept | v_leak, v_reset |
    | fgi_reference.LIFCell | 1 - beta | subtract | 0 | kept | 0 |

    Agrees with: each of these to rounding, forward and gradient (``tests/test_peers_neurons.py``).
    """

    spike: Spike | None = None
    beta: Number = unit(default=0.9)
    threshold: Number = number(default=1.0)
    gain: Number | None = keyword(default=None)
    rest: Number = number(default=0.0)
    reset: str = choice("value", "none", default="subtract")
    reset_to: Number = number(default=0.0)
    delay: int = integer(default=0)
    reset_gradient: str = choice("stopped", default="kept")
    spikes: str = choice("late", default="now")

    learned = {"beta": Learned(sigmoid, normal(2.0, 2.0))}
    states: ClassVar[tuple[str, ...]] = ("v",)
    published = {"name": "triangle"}
    presets = {
        "snntorch.Leaky": _leaky,
        "spikingjelly.LIFNode": _lif_node,
        "spikingjelly.IFNode": _if_node,
        "norse.lif_box_feed_forward_step": _lif_box,
        "spyx.LIF": _spyx,
        "fgi_reference.LIFCell": lambda alpha=0.9: LIF(None, alpha),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_gain(self)
        if self.delay not in (0, 1):
            raise ValueError(f"{type(self).__name__}: delay is {self.delay}; expected 0 or 1")
        if self.spikes == "late" and not self.delay:
            raise ValueError(f"{type(self).__name__}: delay is 0; expected 1 as spikes are late")

    def initial(self, x: Array) -> dict[str, Array]:
        return at_rest(self, super().initial(x))

    def derived(self, xp: Backend, constants: dict[str, Any]) -> dict[str, Any]:
        return with_gain(constants)

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        v, z = self._fire(constants, state["v"], x)
        return {"v": v}, z

    def _fire(self, c: Mapping[str, Any], v: Array, x: Array) -> tuple[Array, Array]:
        spike, threshold = c["spike"], c["threshold"]
        if not self.delay:
            u = charge(c, v, x)
            z = spike(u - threshold)
            return self._reset(c, u, z), z
        r = spike(v - threshold)
        if self.reset == "subtract":
            u = self._reset(c, charge(c, v, x), r)
        else:
            u = charge(c, self._reset(c, v, r), x)
        return u, r if self.spikes == "late" else spike(u - threshold)

    def _reset(self, c: Mapping[str, Any], v: Array, z: Array) -> Array:
        if self.reset == "none":
            return v
        if self.reset_gradient == "stopped":
            z = namespace(z).stop_gradient(z)
        if self.reset == "subtract":
            return v - z * c["threshold"]
        return (1 - z) * v + z * c["reset_to"]


def _synaptic(
    alpha: Number,
    beta: Number,
    threshold: Number = 1.0,
    spike_grad: Spike | None = None,
    reset_mechanism: str = "subtract",
) -> SynapticLIF:
    if reset_mechanism == "zero":
        raise ValueError(
            "snntorch.Synaptic: reset_mechanism is 'zero', which clears the current too; expected "
            "one of subtract, none"
        )
    spike = spike_grad or surrogate_preset("snntorch.atan")
    reset = snntorch_reset(reset_mechanism)
    return SynapticLIF(spike, beta, threshold, gain=1.0, alpha=alpha, **reset)


def _lif_feed_forward(
    tau_syn_inv: float = 200.0,
    tau_mem_inv: float = 100.0,
    v_leak: float = 0.0,
    v_th: float = 1.0,
    v_reset: float = 0.0,
    alpha: float = 100.0,
    dt: float = 0.001,
) -> SynapticLIF:
    box = _lif_box(tau_mem_inv, v_leak, v_th, v_reset, alpha, dt)
    return SynapticLIF(**box.parameters, alpha=1 - dt * tau_syn_inv)


class SynapticLIF(LIF):
    """A leaky integrate-and-fire neuron whose input flows on through a synapse.

        i' = alpha * i + x
        v', z = the LIF neuron of input i'

    ``alpha`` is what a step leaves of the current, from 0 to 1: exp(-dt / tau), or 1 - dt / tau;
    the other parameters are those of ``LIF``.
    State: ``v`` and ``i``, the current that flowed in the last step; Norse keeps alpha * i of it.
    Learned: ``beta`` as in ``LIF``, ``alpha`` = sigmoid(a), a ~ N(2, 2).
    Agrees with: "norse.lif_feed_forward_step" and, except for its reset "zero",
    "snntorch.Synaptic", to rounding, forward and gradient (``tests/test_peers_neurons.py``).
    """

    alpha: Number = unit(default=0.8)

    learned = {**LIF.learned, "alpha": Learned(sigmoid, normal(2.0, 2.0))}
    states = ("v", "i")
    presets = {
        "norse.lif_feed_forward_step": _lif_feed_forward,
        "snntorch.Synaptic": _synaptic,
    }

    def step(self, constants: Mapping[str, Any], state: State, x: Array) -> tuple[State, Array]:
        i = constants["alpha"] * state["i"] + x
        v, z = self._fire(constants, state["v"], i)
        return {"v": v, "i": i}, z
