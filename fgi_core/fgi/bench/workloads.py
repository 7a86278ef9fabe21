"""What is computed: y = f(p, *data), written once, with the surrogate as an argument.

Each has a floor, what no mechanism can do without: to read and write the arrays once, or the matrix
products alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import fgi

from ..backend.protocol import Array, Backend
from ..networks import Network, cross_entropy
from ..neurons import ALIF, BRF, LIF

__all__ = ["WORKLOADS", "Problem", "Workload"]

Spike = Callable[[Array], Array]

GAUSSIAN = fgi.surrogates.Gaussian()


@dataclass(frozen=True)
class Problem:
    """One size of a workload: NumPy's numbers, and the function of a framework's arrays."""

    p: Any
    data: tuple[Any, ...]
    f: Callable[[Spike, bool], Callable[..., Any]]
    """``f(spike, compiled)``: the function, its time loop's step compiled or not."""
    floor: Callable[..., Any]
    passes: Mapping[str, float] | None = None
    """How often each phase needs the floor's inference; None where the floor has phases itself."""


@dataclass(frozen=True)
class Workload:
    """``sizes`` for each kind of device: what is timed, and what ``--quick`` is content with."""

    name: str
    covers: str
    problem: Callable[[Backend, int], Problem]
    sizes: Mapping[str, tuple[int, ...]]
    quick: tuple[int, ...]
    toy: int
    unit: str
    takes: str = "loop"
    """The kind of work that an execution has to take: a "loop", a "function" or a "call"."""
    surrogate: fgi.Surrogate = GAUSSIAN
    repeats: int = 1
    """How often a turn runs it: what is short is timed together."""
    estimates: bool = False
    """Whether f is a scalar whose forward gradient is timed as well."""


def _uniform(rng: np.random.Generator, rows: int, columns: int) -> Any:
    return rng.uniform(-1, 1, (rows, columns)) / np.sqrt(rows)


def elementwise(xp: Backend, size: int) -> Problem:
    def f(spike: Spike, compiled: bool) -> Callable[..., Any]:
        return lambda x: spike(x)

    return Problem(
        p=np.random.default_rng(0).standard_normal(size),
        data=(),
        f=f,
        floor=lambda x: -x,
        # A negation reads one array and writes one; a gradient reads x and u and writes dx.
        passes={"inference": 1.0, "forward": 1.0, "backward": 1.5, "both": 2.5},
    )


def recurrent(
    neuron: Callable[[Spike], Any], batch: int, hidden: int, classes: int, pixels: int
) -> Callable[[Backend, int], Problem]:
    """A recurrent spiking network that reads ``pixels`` numbers in so many steps."""

    def problem(xp: Backend, steps: int) -> Problem:
        rng = np.random.default_rng(0)
        sizes = (pixels // steps, hidden, classes)
        params = Network(neuron(GAUSSIAN)).init(sizes, dtype="float64")
        xs = rng.uniform(0, 1, (steps, batch, sizes[0]))

        def f(spike: Spike, compiled: bool) -> Callable[..., Any]:
            network = Network(neuron(spike))
            return lambda p, xs: network.scores(p, xs, compiled=compiled)

        def floor(p: Any, xs: Any) -> Any:
            """The same matrix products, of numbers that no neuron has changed."""
            layer, readout = p["hidden0"], p["readout"]["input"]

            def step(z: Any, x: Any) -> Any:
                z = x @ layer["input"] + z @ layer["recurrent"]
                return z, z @ readout

            zeros = fgi.namespace(xs).zeros_like(xs[0] @ layer["input"])
            return fgi.namespace(xs).mean(fgi.scan(step, zeros, xs)[1], axis=0)

        return Problem(params, (xs,), f, floor)

    return problem


def dense(batch: int, steps: int) -> Callable[[Backend, int], Problem]:
    """A linear layer of N to N and a leaky neuron after it, over time."""

    def problem(xp: Backend, size: int) -> Problem:
        rng = np.random.default_rng(0)
        xs = rng.uniform(0, 1, (steps, batch, size))

        def f(spike: Spike, compiled: bool) -> Callable[..., Any]:
            neuron = LIF(spike)

            def run(p: Any, xs: Any) -> Any:
                def step(state: Any, x: Any) -> Any:
                    return neuron.step(constants, state, x @ p["input"])

                zeros = fgi.namespace(xs).zeros_like(xs[0] @ p["input"])
                constants = neuron.constants({}, zeros)
                looped = fgi.compile(step) if compiled else step
                return fgi.scan(looped, neuron.initial(zeros), xs)[1]

            return run

        def floor(p: Any, xs: Any) -> Any:
            zero = fgi.namespace(xs).zeros_like(xs[0, 0, :1])
            return fgi.scan(lambda c, x: (c, x @ p["input"]), zero, xs)[1]

        params = {"input": 4 * _uniform(rng, size, size)}
        return Problem(params, (xs,), f, floor)

    return problem


def quantised(batch: int) -> Callable[[Backend, int], Problem]:
    """A multilayer perceptron whose activations are quantised, two hidden layers of N."""

    def problem(xp: Backend, size: int) -> Problem:
        rng = np.random.default_rng(0)
        params = {
            "a": _uniform(rng, 784, size), "b": _uniform(rng, size, size),
            "c": _uniform(rng, size, 10),
        }  # fmt: skip

        def f(spike: Spike, compiled: bool) -> Callable[..., Any]:
            def run(p: Any, x: Any) -> Any:
                return spike(spike(x @ p["a"]) @ p["b"]) @ p["c"]

            return run

        def floor(p: Any, x: Any) -> Any:
            return x @ p["a"] @ p["b"] @ p["c"]

        xs = rng.uniform(0, 1, (batch, 784))
        return Problem(params, (xs,), f, floor)

    return problem


def spiking(batch: int) -> Callable[[Backend, int], Problem]:
    """The loss of a perceptron whose two hidden layers of N units spike."""

    def problem(xp: Backend, size: int) -> Problem:
        rng = np.random.default_rng(0)
        params = {
            "a": _uniform(rng, 784, size), "b": _uniform(rng, size, size),
            "c": _uniform(rng, size, 10),
        }  # fmt: skip
        labels = np.eye(10)[rng.integers(10, size=batch)]

        def f(spike: Spike, compiled: bool) -> Callable[..., Any]:
            def run(p: Any, x: Any, labels: Any) -> Any:
                return cross_entropy(spike(spike(x @ p["a"]) @ p["b"]) @ p["c"], labels)

            return run

        def floor(p: Any, x: Any, labels: Any) -> Any:
            return fgi.namespace(x).sum(x @ p["a"] @ p["b"] @ p["c"])

        xs = rng.uniform(-1, 1, (batch, 784))
        return Problem(params, (xs, labels), f, floor)

    return problem


_LENGTHS = (28, 49, 98, 196, 392, 784)

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "elementwise",
            "a surrogate of an array of N numbers",
            elementwise,
            sizes={"cpu": (2**10, 2**14, 2**20), "cuda": tuple(2**k for k in range(10, 27, 4))},
            quick=(2**20,),
            toy=2**10,
            unit="N",
            takes="function",
        ),
        Workload(
            "call",
            "a surrogate of one number, operation by operation: what a call costs",
            elementwise,
            sizes={"cpu": (1,), "cuda": (1,)},
            quick=(1,),
            toy=1,
            unit="N",
            takes="call",
            surrogate=fgi.surrogates.ATan(),
            repeats=30,
        ),
        Workload(
            "alif",
            "the network of Otte 2024: 128 recurrent ALIF units read 784 numbers, batch 128",
            recurrent(ALIF, batch=128, hidden=128, classes=10, pixels=784),
            sizes={"cpu": _LENGTHS, "cuda": _LENGTHS},
            quick=(28,),
            toy=4,
            unit="T",
        ),
        Workload(
            "brf",
            "the network of Higuchi et al. 2024: 256 recurrent BRF units, batch 256",
            recurrent(BRF, batch=256, hidden=256, classes=10, pixels=784),
            sizes={"cpu": (98,), "cuda": (784,)},
            quick=(),
            toy=4,
            unit="T",
        ),
        Workload(
            "dense",
            "Linear(N, N) and LIF, batch 16: 500 steps on a GPU",
            dense(batch=16, steps=500),
            sizes={"cpu": (512,), "cuda": (4096, 8192, 16384)},
            quick=(),
            toy=8,
            unit="N",
        ),
        Workload(
            "quantised",
            "a perceptron 784, N, N, 10 with quantised activations, batch 128",
            quantised(batch=128),
            sizes={"cpu": (512,), "cuda": (4096,)},
            quick=(512,),
            toy=8,
            unit="N",
            takes="function",
            surrogate=fgi.surrogates.FakeQuantize(scale=0.1),
        ),
        Workload(
            "forward-gradient",
            "the loss of a perceptron 784, N, N, 10 whose units spike, batch 64: its estimated "
            "gradient by forward mode, and backpropagation",
            spiking(batch=64),
            sizes={"cpu": (1024,), "cuda": (4096,)},
            quick=(256,),
            toy=8,
            unit="N",
            takes="function",
            estimates=True,
        ),
    )
}
