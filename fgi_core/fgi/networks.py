"""Spiking networks: layers of neurons, recurrent or not, and a readout, as init and apply.

Parameters are a plain nested dict of arrays, a dict for each layer. What is in it decides what is
computed: a layer with "recurrent" hears itself, one with "bias" has one, and of the neuron's own
parameters those are learned that are there; the others are as the neuron's definition says.

    network = Network(ALIF())
    params = fgi.convert(network.init(seed=0, sizes=(28, 128, 10)), "torch")
    scores = network.scores(params, xs)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from .backend.dispatch import backend_of, namespace
from .backend.messages import describe, mixed_backends_error
from .backend.protocol import Array, Backend
from .injection.checks import floating_backend
from .neurons import LeakyIntegrator, Neuron
from .neurons.neuron import Draw
from .parameters import Definition, Number, choice, keyword, number
from .transforms.framework import compile, scan

__all__ = ["Network", "Outputs", "Weights", "cross_entropy"]

Weights: TypeAlias = Mapping[str, Mapping[str, Array]]

Step: TypeAlias = Callable[[Any, Array], tuple[Any, Array]]

READOUT = "readout"


class Outputs(NamedTuple):
    """What a network did: time first."""

    readout: Array
    """(steps, batch, outputs)."""
    spikes: tuple[Array, ...]
    """Of each hidden layer, (steps, batch, neurons)."""


class Network(Definition, name="network"):
    """Hidden layers of spiking neurons and a readout that leaks.

        I_t = x_t W + z_t-1 U + b              input of a layer; U where it is recurrent
        s_t, z_t = neuron(s_t-1, I_t)          z_t is the next layer's x_t
        v_t = readout(v_t-1, z_t V + c)
        scores = gain * mean_t(v_t), or gain * v_T

    ``x_t W + z_t-1 U`` is the product of the paper's one matrix and input and spikes, side by side.
    ``neuron`` is that of every hidden layer, ``readout`` any neuron, as a rule a
    ``LeakyIntegrator``; ``output`` says which of its outputs count, "mean" or "last", ``gain``
    multiplies them.
    Agrees with: ``ALIFSNN`` of the code published with Otte 2024 (arXiv:2406.00177), for one
    recurrent layer of ``ALIF`` and no biases.
    """

    neuron: Neuron
    readout: Neuron = keyword(default=None)
    output: str = choice("last", default="mean")
    gain: Number = number(default=1.0)

    _nested = {"neuron": Neuron, "readout": Neuron}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readout is None:
            object.__setattr__(self, "readout", LeakyIntegrator())
        for name in ("neuron", "readout"):
            value = getattr(self, name)
            if not isinstance(value, Neuron):
                raise TypeError(
                    f"{type(self).__name__}: {name} is {describe(value)}; expected a neuron such "
                    f"as fgi.neurons.ALIF()"
                )

    def init(
        self,
        sizes: tuple[int, ...],
        *,
        seed: int = 0,
        recurrent: bool = True,
        bias: bool = True,
        scale: str = "xavier",
        draws: Mapping[str, Draw] | None = None,
        readout_draws: Mapping[str, Draw] | None = None,
        dtype: str = "float32",
    ) -> dict[str, Any]:
        """Initial parameters as NumPy arrays, which ``fgi.convert`` brings into a framework.

        The same seed gives the same numbers everywhere. ``sizes`` are inputs, neurons of each
        hidden layer, outputs. Weights are uniform: with "xavier", up to sqrt(6 / (inputs +
        outputs)) of the layer, inputs and neurons together where it is recurrent; with "fan_in",
        up to 1 / sqrt(rows) of each matrix. Biases are 0. A neuron's own parameters are drawn as
        ``neuron.learned`` says, or as ``draws`` does by name: ``draws={"alpha":
        fgi.neurons.normal(0, 0.5)}``; a draw of None leaves one out, which is then not learned.
        Result: ``{"hidden0": {"input", "recurrent", "bias", ...}, ..., "readout": {...}}``.

        Errors: ValueError for sizes that are no layers, an unknown scale or an unknown name;
        ImportError without NumPy.
        """
        import numpy as np

        whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes)
        if len(sizes) < 3 or not whole:
            raise ValueError(
                f"{type(self).__name__}.init: sizes is {sizes!r}; expected inputs, neurons and "
                f"outputs, such as (28, 128, 10)"
            )
        if scale not in ("xavier", "fan_in"):
            raise ValueError(
                f"{type(self).__name__}.init: scale is {scale!r}; expected one of xavier, fan_in"
            )
        generator = np.random.default_rng(seed)

        def uniform(rows: int, columns: int, fan: int) -> Any:
            bound = 1 / math.sqrt(rows) if scale == "fan_in" else math.sqrt(6 / fan)
            return generator.uniform(-bound, bound, (rows, columns))

        def layer(
            neuron: Neuron, inputs: int, count: int, hears: bool, chosen: Mapping[str, Draw | None]
        ) -> dict[str, Any]:
            unknown = [name for name in chosen if name not in neuron.learned]
            if unknown:
                raise ValueError(
                    f"{type(self).__name__}.init: {type(neuron).__name__} has no learned "
                    f"{', '.join(unknown)}; expected {', '.join(neuron.learned) or 'none'}"
                )
            fan = inputs + (2 if hears else 1) * count
            found = {"input": uniform(inputs, count, fan)}
            if hears:
                found["recurrent"] = uniform(count, count, fan)
            if bias:
                found["bias"] = np.zeros(count)
            for name, learned in neuron.learned.items():
                draw = chosen.get(name, learned.draw)
                if draw is not None:
                    found[name] = draw(generator, count)
            return {name: array.astype(dtype) for name, array in found.items()}

        params: dict[str, Any] = {}
        for i, (inputs, count) in enumerate(pairwise(sizes[:-1])):
            params[f"hidden{i}"] = layer(self.neuron, inputs, count, recurrent, draws or {})
        params[READOUT] = layer(self.readout, sizes[-2], sizes[-1], False, readout_draws or {})
        return params

    def apply(
        self,
        params: Weights,
        xs: Array,
        *,
        compiled: bool = False,
        checkpoint: int | None = None,
    ) -> Outputs:
        """Readout and spikes of a sequence.

        With ``compiled``, the step is compiled, as ``fgi.scan`` says: for PyTorch, where compiling
        what is around the loop would lay out every step of it. With ``checkpoint=k``, reverse mode
        keeps the state of each k-th step and computes those between again.
        Shapes: ``xs`` is (steps, batch, inputs) with at least one of each, real floating, and has
        the dtype of the parameters.

        Errors: TypeError for what is no such array, for parameters of another framework; ValueError
        for another rank, nothing in it, sizes that do not fit, names that no layer has.
        """
        readout, *spikes = self._run(
            params, xs, record=True, compiled=compiled, checkpoint=checkpoint
        )
        return Outputs(readout, tuple(spikes))

    def scores(
        self,
        params: Weights,
        xs: Array,
        *,
        compiled: bool = False,
        checkpoint: int | None = None,
    ) -> Array:
        """Class scores (batch, outputs), before any softmax. Shapes and errors: as ``apply``."""
        (readout,) = self._run(params, xs, record=False, compiled=compiled, checkpoint=checkpoint)
        if self.output == "last":
            return self.gain * readout[-1]
        return self.gain * namespace(readout).mean(readout, axis=0)

    def check(self, params: Weights) -> None:
        """Raise where learned numbers leave the range in which a neuron's equations hold.

        It looks into the arrays, which compiled code cannot: call it between steps.

        Errors: ValueError naming layer and neuron.
        """
        for name, layer in params.items():
            try:
                self._neuron(name).check(_own(layer))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def _neuron(self, layer: str) -> Neuron:
        return self.readout if layer == READOUT else self.neuron

    def _run(
        self,
        params: Weights,
        xs: Array,
        *,
        record: bool,
        compiled: bool,
        checkpoint: int | None,
    ) -> tuple[Array, ...]:
        xp = self._checked_inputs(params, xs)
        names = _layers(params)
        constants, start, x = {}, {}, xs[0, ...]
        for name in names:
            neuron, layer = self._neuron(name), params[name]
            # Zeros in the shape of the currents, without asking for a shape that may be unknown.
            x = xp.zeros_like(x @ layer["input"])
            constants[name] = neuron.constants(_own(layer), x)
            start[name] = {"state": neuron.initial(x)}
            if "recurrent" in layer:
                start[name]["z"] = x

        # Step by step where the framework compiles loops: in TensorFlow by XLA the gradient of what
        # a loop reads from an array is as long as the array, for each step. Elsewhere layer by
        # layer, so that what a layer hears from below is one product for several steps.
        segmented = not xp.compiles_loops
        loop = scan if segmented else _once

        def run(carry: Any, x: Array) -> tuple[Any, tuple[Array, ...]]:
            after: dict[str, Any] = {}
            heard = []
            for name in names:
                currents = x @ xp.for_many_rows(params[name]["input"])
                if "bias" in params[name]:
                    currents = currents + params[name]["bias"]
                step = self._step(name, params[name], constants[name])
                after[name], x = loop(step, carry[name], currents)
                heard.append(x)
            *spikes, readout = heard
            return after, (readout, *spikes) if record else (readout,)

        _, ys = scan(
            compile(run) if compiled else run, start, xs, checkpoint=checkpoint, segmented=segmented
        )
        return tuple(ys)

    def _step(self, name: str, layer: Mapping[str, Array], constants: Mapping[str, Any]) -> Step:
        """One time step of a layer, from its currents."""
        neuron = self._neuron(name)

        def step(carry: Any, current: Array) -> tuple[Any, Array]:
            if "recurrent" not in layer:
                state, z = neuron.step(constants, carry["state"], current)
                return {"state": state}, z
            current = current + carry["z"] @ layer["recurrent"]
            state, z = neuron.step(constants, carry["state"], current)
            return {"state": state, "z": z}, z

        return step

    def _checked_inputs(self, params: Weights, xs: Array) -> Backend:
        caller = type(self).__name__
        xp = floating_backend(caller, xs, "xs")
        if len(xs.shape) != 3 or any(size == 0 for size in xs.shape):
            raise ValueError(
                f"{caller}: xs is {describe(xs)}; expected (steps, batch, inputs), at least one of "
                f"each"
            )
        before, size = "xs", xs.shape[2]
        for name in _layers(params):
            layer = params[name]
            unknown = set(layer) - {"input", "recurrent", "bias", *self._neuron(name).learned}
            if unknown or "input" not in layer:
                raise ValueError(
                    f"{caller}: {name} has {', '.join(layer)}; expected input, perhaps recurrent "
                    f"and bias, and of {', '.join(self._neuron(name).learned) or 'nothing'} what "
                    f"is learned"
                )
            for key, array in layer.items():
                if not isinstance(array, xp.Array):
                    path = f"{name}.{key}"
                    raise mixed_backends_error(caller, xp, path, backend_of(array, caller, path))
                if array.dtype != xs.dtype:
                    raise TypeError(
                        f"{caller}: xs is {describe(xs)} and {name}.{key} {describe(array)}; "
                        f"expected one dtype; cast one of them"
                    )
            weights = layer["input"]
            if None not in (size, weights.shape[0]) and weights.shape[0] != size:
                raise ValueError(
                    f"{caller}: {before} has {size} numbers a step and {name}.input is "
                    f"{describe(weights)}; expected {size} rows"
                )
            before, size = name, weights.shape[1]
        return xp


def _once(step: Step, carry: Any, x: Array) -> tuple[Any, Array]:
    return step(carry, x)


def _layers(params: Weights) -> list[str]:
    """The hidden layers in order, then the readout; frameworks sort dicts as they like."""
    hidden = [f"hidden{i}" for i in range(len(params) - 1)]
    if len(params) < 2 or {*hidden, READOUT} != set(params):
        raise ValueError(
            f"fgi.networks: params has {', '.join(params) or 'nothing'}; expected hidden0, hidden1 "
            f"and so on, and {READOUT}"
        )
    return [*hidden, READOUT]


def _own(layer: Mapping[str, Array]) -> dict[str, Array]:
    """The neuron's own parameters, without the weights that lead to it."""
    weights = ("input", "recurrent", "bias")
    return {name: array for name, array in layer.items() if name not in weights}


def cross_entropy(scores: Array, labels: Array) -> Array:
    """The mean cross entropy of the softmax, a scalar.

        mean_i(log sum_j exp(s_ij) - sum_j s_ij t_ij)

    Shapes: both (batch, classes); ``labels`` t are one-hot, of the dtype of ``scores``.

    Errors: TypeError for what is no floating array; ValueError for shapes that differ.
    """
    xp = floating_backend("fgi.networks.cross_entropy", scores, "scores")
    if not isinstance(labels, xp.Array):
        theirs = backend_of(labels, "fgi.networks.cross_entropy", "labels")
        raise mixed_backends_error("fgi.networks.cross_entropy", xp, "labels", theirs)
    if not xp.same_shape(scores, labels):
        raise ValueError(
            f"fgi.networks.cross_entropy: scores is {describe(scores)} and labels is "
            f"{describe(labels)}; expected equal shapes, one-hot labels"
        )
    scores = scores - xp.stop_gradient(xp.max(scores, axis=1))[:, None]
    normaliser = xp.log(xp.sum(xp.exp(scores), axis=1))
    return xp.mean(normaliser - xp.sum(scores * labels, axis=1))
