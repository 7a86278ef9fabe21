"""Neurons against the libraries themselves, where they are installed: 100 steps and gradients.

``make test-peers``: they are no part of the development environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import neurons

torch = pytest.importorskip("torch", reason="the libraries are PyTorch's")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ImportWarning"),
]

STEPS = 100
Run = Callable[[Any], tuple[Any, Any]]
Library = Callable[[str], Any]


def ours(neuron: neurons.Neuron) -> Run:
    def run(xs: Any) -> tuple[Any, Any]:
        constants = neuron.constants({}, xs[0])

        def step(state: Any, x: Any) -> Any:
            state, z = neuron.step(constants, state, x)
            return state, (z, state["v"])

        _, (z, v) = fgi.scan(step, neuron.initial(xs[0]), xs)
        return z, v

    return run


def compare(neuron: neurons.Neuron, theirs: Run, strength: float) -> None:
    """Spikes equal, potentials to rounding, and the gradient of a random sum of both."""
    rng = np.random.default_rng(2)
    given = strength * rng.uniform(0, 1, (STEPS, 4, 3))
    # As float32 has them, which is what the spikes of snnTorch and their gradient are in.
    weights = [torch.as_tensor(rng.normal(size=given.shape)).float().double() for _ in range(2)]
    answers = []
    for run in (theirs, ours(neuron)):
        xs = torch.as_tensor(given).clone().requires_grad_()
        z, v = run(xs)
        total = sum((w * a).sum() for w, a in zip(weights, (z, v), strict=True))
        answers.append((z, v, *torch.autograd.grad(total, xs)))
    (z, v, dx), (our_z, our_v, our_dx) = answers
    assert 0.03 < z.mean() < 0.9
    assert torch.equal(z.to(our_z.dtype), our_z)
    torch.testing.assert_close(our_v, v, rtol=1e-12, atol=1e-12)
    assert dx.abs().min() > 0
    torch.testing.assert_close(our_dx, dx, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("v_reset", [0.0, -0.25, None])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("tau", [2.0, 3.7])
def test_spikingjelly_lif(
    tau: float, detach_reset: bool, decay_input: bool, v_reset: float | None, library: Library
) -> None:
    theirs = library("spikingjelly.activation_based.neuron")
    options = {
        "tau": tau, "decay_input": decay_input, "v_threshold": 0.9, "v_reset": v_reset,
        "detach_reset": detach_reset,
    }  # fmt: skip

    def run(xs: Any) -> tuple[Any, Any]:
        node = theirs.LIFNode(**options)
        pairs = [(node(x), node.v) for x in xs]
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    compare(neurons.preset("spikingjelly.LIFNode", **options), run, 3.0 if decay_input else 1.0)


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_spikingjelly_if(v_reset: float | None, library: Library) -> None:
    theirs = library("spikingjelly.activation_based.neuron")

    def run(xs: Any) -> tuple[Any, Any]:
        node = theirs.IFNode(v_reset=v_reset)
        pairs = [(node(x), node.v) for x in xs]
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    compare(neurons.preset("spikingjelly.IFNode", v_reset=v_reset), run, 0.6)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("threshold", [1.0, 0.75])
def test_snntorch_leaky(threshold: float, reset: str, library: Library) -> None:
    theirs = library("snntorch")

    def run(xs: Any) -> tuple[Any, Any]:
        # As tensors in float64: snnTorch makes float32 of a Python number.
        beta = torch.tensor(0.8, dtype=torch.float64)
        limit = torch.tensor(threshold, dtype=torch.float64)
        leaky = theirs.Leaky(beta=beta, threshold=limit, reset_mechanism=reset)
        mem, pairs = torch.zeros_like(xs[0]), []
        for x in xs:
            spk, mem = leaky(x, mem)
            pairs.append((spk, mem))
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    neuron = neurons.preset("snntorch.Leaky", beta=0.8, threshold=threshold, reset_mechanism=reset)
    compare(neuron, run, 0.4 if reset == "none" else 0.9)


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_snntorch_synaptic(reset: str, library: Library) -> None:
    theirs = library("snntorch")

    def run(xs: Any) -> tuple[Any, Any]:
        alpha, beta = (torch.tensor(a, dtype=torch.float64) for a in (0.6, 0.7))
        neuron = theirs.Synaptic(alpha=alpha, beta=beta, reset_mechanism=reset)
        syn, mem, pairs = torch.zeros_like(xs[0]), torch.zeros_like(xs[0]), []
        for x in xs:
            spk, syn, mem = neuron(x, syn, mem)
            pairs.append((spk, mem))
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    neuron = neurons.preset("snntorch.Synaptic", alpha=0.6, beta=0.7, reset_mechanism=reset)
    compare(neuron, run, 0.3)


NORSE = {"tau_mem_inv": 100.0, "v_leak": 0.1, "v_th": 0.8, "v_reset": -0.2}


def norse_parameters(kind: Any, **more: float) -> Any:
    return kind(**{k: torch.tensor(v, dtype=torch.float64) for k, v in (NORSE | more).items()})


def test_norse_lif_box(library: Library) -> None:
    theirs = library("norse.torch.functional.lif_box")

    def run(xs: Any) -> tuple[Any, Any]:
        p = norse_parameters(theirs.LIFBoxParameters, alpha=100.0)
        state, pairs = theirs.LIFBoxFeedForwardState(torch.full_like(xs[0], 0.1)), []
        for x in xs:
            z, state = theirs.lif_box_feed_forward_step(x, state, p)
            pairs.append((z, state.v))
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    compare(neurons.preset("norse.lif_box_feed_forward_step", **NORSE), run, 3.0)


def test_norse_lif_feed_forward(library: Library) -> None:
    theirs = library("norse.torch.functional.lif")

    def run(xs: Any) -> tuple[Any, Any]:
        p = norse_parameters(theirs.LIFParameters, tau_syn_inv=200.0, alpha=100.0)
        quiet = torch.zeros_like(xs[0])
        state, pairs = theirs.LIFFeedForwardState(v=quiet + 0.1, i=quiet), []
        for x in xs:
            z, state = theirs.lif_feed_forward_step(x, state, p)
            pairs.append((z, state.v))
        return tuple(torch.stack(a) for a in zip(*pairs, strict=True))  # type: ignore[return-value]

    compare(neurons.preset("norse.lif_feed_forward_step", **NORSE), run, 0.8)
