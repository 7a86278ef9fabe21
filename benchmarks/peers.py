"""Other spiking libraries beside fgi: the same numbers first, then the time of each.

    python benchmarks/peers.py --json docs/benchmarks/peers-cpu.json      what make bench-peers runs
    python benchmarks/peers.py --toy                                      does it run?

Each library runs its own surrogate (N numbers), two layers of linear and leaky neurons (28 steps,
batch 128), and one layer of N to N (batch 16, over time), as its documentation has it for a CPU;
fgi the same neuron, in that library's convention, in every way it has. Before anything is timed,
the two have the same spikes and the same gradient in float64; else the row says what differs.
Turns as in ``fgi bench``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace as replace
from pathlib import Path
from typing import Any

# PyTorch's profiler, which counts memory, says on stderr that it starts and stops.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import numpy as np

import fgi
from fgi import neurons
from fgi.bench import measure, runner
from fgi.storage import write

Layer = Callable[[Any], Any]
"""Spikes of currents, both (steps, batch, neurons)."""

BETA, TAU = 0.8, 5.0
"""What a step leaves of the potential: 1 - 1 / TAU, too."""


@dataclass(frozen=True)
class Peer:
    """A library: its surrogate and its neuron, and what these are here."""

    library: str
    framework: str
    mode: str
    """How its documentation runs it on a CPU."""
    surrogate: Callable[[], Layer]
    spike: fgi.Surrogate
    layer: Callable[[], Layer]
    neuron: neurons.Neuron
    late: bool = False
    """Whether its spikes come a step late, so that the first say nothing."""


def preset(name: str, **parameters: Any) -> fgi.Surrogate:
    return fgi.surrogates.preset(name, **parameters)


def module(name: str) -> Any:
    return importlib.import_module(name)


def in_turn(layer: Any, state: Any, output: int = 0) -> Layer:
    """A neuron that takes a step at a time and hands its state back."""

    def run(currents: Any) -> Any:
        import torch

        carried, spikes = state(currents[0]), []
        for x in currents:
            answer = layer(x, carried)
            carried = answer[1]
            spikes.append(answer[output])
        return torch.stack(spikes)

    return run


def spikingjelly_layer() -> Layer:
    neuron = module("spikingjelly.activation_based.neuron")
    functional = module("spikingjelly.activation_based.functional")
    slope = module("spikingjelly.activation_based.surrogate").ATan()
    node = neuron.LIFNode(tau=TAU, surrogate_function=slope, step_mode="m")

    def run(currents: Any) -> Any:
        functional.reset_net(node)
        return node(currents)

    return run


def snntorch_layer() -> Layer:
    import torch

    slope = module("snntorch.surrogate").atan()
    # As tensors in float64, rounded where it computes: it makes float32 of a Python number.
    beta = torch.tensor(BETA, dtype=torch.float64)
    leaky = module("snntorch").Leaky(beta=beta, spike_grad=slope)
    return in_turn(leaky, torch.zeros_like)


def norse_layer() -> Layer:
    import torch

    lif = module("norse.torch.functional.lif")
    given = {"tau_syn_inv": 200.0, "tau_mem_inv": 200.0, "alpha": 100.0}
    p = lif.LIFParameters(**{k: torch.tensor(v, dtype=torch.float64) for k, v in given.items()})
    whole = module("norse.torch.module.lif").LIF(p)

    def run(currents: Any) -> Any:
        spikes, _ = whole(currents)
        return spikes

    return run


def sinabs_layer() -> Layer:
    import torch

    activation = module("sinabs.activation")
    tau = torch.tensor(TAU, dtype=torch.float64)

    def run(currents: Any) -> Any:
        # A layer keeps its state, and with it the graph of the batch before.
        layer = module("sinabs.layers").LIF(
            tau_mem=tau, spike_fn=activation.SingleSpike, surrogate_grad_fn=activation.Gaussian()
        )
        layer.requires_grad_(False)
        return layer(currents.transpose(0, 1)).transpose(0, 1)

    return run


def spyx_layer() -> Layer:
    from flax import nnx

    nn = module("spyx.nn")
    slope = module("spyx.axn").arctan(k=2)

    def run(currents: Any) -> Any:
        neuron = nn.LIF(currents.shape[2:], beta=BETA, activation=slope, rngs=nnx.Rngs(0))
        return nn.run(neuron, currents)[0][1:]

    return run


def sinabs_surrogate() -> Layer:
    activation = module("sinabs.activation")
    slope = activation.Gaussian()
    return lambda x: activation.SingleSpike.apply(x, 1.0, slope)


def norse_surrogate() -> Layer:
    threshold = module("norse.torch.functional.threshold")
    return lambda x: threshold.superspike_fn(x, 100.0)


SINABS = float(np.exp(np.float32(-1 / TAU)))

PEERS = {
    peer.library: peer
    for peer in (
        Peer(
            "spikingjelly", "torch", "multi-step",
            lambda: module("spikingjelly.activation_based.surrogate").ATan(),
            preset("spikingjelly.ATan"),
            spikingjelly_layer,
            neurons.preset(
                "spikingjelly.LIFNode", tau=TAU, surrogate_function=preset("spikingjelly.ATan")
            ),
        ),
        Peer(
            "snntorch", "torch", "a loop over steps",
            lambda: module("snntorch.surrogate").atan(),
            preset("snntorch.atan"),
            snntorch_layer,
            neurons.preset("snntorch.Leaky", beta=BETA, spike_grad=preset("snntorch.atan")),
        ),
        Peer(
            "norse", "torch", "its module over time",
            norse_surrogate,
            preset("norse.super", alpha=100.0),
            norse_layer,
            neurons.preset("norse.lif_feed_forward_step", tau_syn_inv=200.0, tau_mem_inv=200.0),
        ),
        Peer(
            "sinabs", "torch", "its layer over time",
            sinabs_surrogate,
            preset("sinabs.SingleSpike+Gaussian"),
            sinabs_layer,
            neurons.LIF(
                preset("sinabs.SingleSpike+Gaussian", threshold=0.0), SINABS, gain=1 - SINABS
            ),
        ),
        Peer(
            "spyx", "jax", "jit, lax.scan",
            lambda: module("spyx.axn").arctan(k=2),
            preset("spyx.arctan", k=2),
            spyx_layer,
            neurons.preset("spyx.LIF", beta=BETA, activation=preset("spyx.arctan", k=2)),
            late=True,
        ),
    )
}  # fmt: skip


def ours(neuron: neurons.Neuron, compiled: bool, late: bool) -> Layer:
    def run(currents: Any) -> Any:
        constants = neuron.constants({}, currents[0])

        def step(state: Any, x: Any) -> Any:
            return neuron.step(constants, state, x)

        looped = fgi.compile(step) if compiled else step
        spikes = fgi.scan(looped, neuron.initial(currents[0]), currents)[1]
        return spikes[1:] if late else spikes

    return run


@dataclass(frozen=True)
class Work:
    """``steps`` None: a surrogate of an array of ``sizes`` numbers; else layers of these sizes."""

    covers: str
    unit: str
    sizes: tuple[int, ...]
    steps: int | None = None
    batch: int = 1

    @property
    def size(self) -> int:
        return self.sizes[-1] if self.unit == "N" else self.steps or 0

    def function(self, layer: Layer) -> Callable[..., Any]:
        if self.steps is None:
            return lambda x: layer(x)

        def run(p: Mapping[str, Any], xs: Any) -> Any:
            for name in sorted(p):
                xs = layer(xs @ p[name])
            return xs

        return run

    def numbers(self) -> tuple[Any, tuple[Any, ...]]:
        rng = np.random.default_rng(0)
        if self.steps is None:
            return rng.standard_normal(self.sizes[0]), ()
        p = {
            f"layer{i}": rng.uniform(-1, 1, (rows, columns)) * 4 / np.sqrt(rows) + 2.5 / rows
            for i, (rows, columns) in enumerate(zip(self.sizes, self.sizes[1:], strict=False))
        }
        return p, (rng.uniform(0, 1, (self.steps, self.batch, self.sizes[0])),)


WORKS = {
    "elementwise": Work("the library's surrogate of an array of N numbers", "N", (2**20,)),
    "network": Work(
        "linear and leaky neurons twice, 28 to 128 to 10, batch 128, T steps", "T",
        (28, 128, 10), steps=28, batch=128,
    ),
    "dense": Work(
        "linear and leaky neurons, N to N, batch 16, 100 steps", "N", (512, 512), steps=100,
        batch=16,
    ),
}  # fmt: skip
TOY = {
    "elementwise": Work(WORKS["elementwise"].covers, "N", (64,)),
    "network": Work(WORKS["network"].covers, "T", (6, 8, 4), steps=12, batch=3),
    "dense": Work(WORKS["dense"].covers, "N", (8, 8), steps=12, batch=3),
}


def functions(peer: Peer, work: Work) -> dict[tuple[str, str, str], tuple[str, Any]]:
    """By mechanism, mode and execution: what runs; fgi in each of the framework's ways."""
    execution = {"torch": "eager", "jax": "jit"}[peer.framework]
    if work.steps is None:
        found = {(peer.library, execution): (execution, peer.surrogate())}
        ways = ("eager", "compile") if peer.framework == "torch" else ("jit",)
        found |= {("fgi", way): (way, peer.spike) for way in ways}
    else:
        found = {(peer.library, peer.mode): (execution, peer.layer())}
        ways = ("eager", "compiled step") if peer.framework == "torch" else ("jit",)
        found |= {
            ("fgi", way): (way, ours(peer.neuron, way == "compiled step", peer.late))
            for way in ways
        }
    return {key: (way, work.function(layer)) for key, (way, layer) in found.items()}  # type: ignore[misc]


def gradient(framework: str, f: Callable[..., Any], p: Any, data: Any) -> tuple[Any, Any]:
    """Value, and the gradient of a random sum of it by the numbers or the first weights."""
    xp = fgi.namespace()

    def weights(y: Any) -> Any:
        return xp.astype(
            xp.asarray(np.random.default_rng(1).standard_normal(tuple(y.shape))), y.dtype
        )

    if framework == "jax":
        y, pullback = fgi.vjp(lambda p: f(p, *data), p)
        (slope,) = pullback(weights(y))
        return y, slope["layer0"] if isinstance(p, dict) else slope
    import torch

    # Not torch.func: few libraries can be used with it.
    leaf = p["layer0"] if isinstance(p, dict) else p
    leaf.requires_grad_()
    y = f(p, *data)
    return y.detach(), torch.autograd.grad(y, leaf, weights(y))[0]


def disagreement(peer: Peer, work: Work) -> str:
    """What differs in float64, in words; nothing where spikes and gradients are the same."""
    xp = fgi.namespace()
    small = TOY["elementwise"] if work.steps is None else TOY["dense"]
    p, data = small.numbers()
    p, data = (measure._arrays(xp, part, "float64") for part in (p, data))
    answers = []
    for layer in (
        peer.surrogate() if work.steps is None else peer.layer(),
        peer.spike if work.steps is None else ours(peer.neuron, False, peer.late),
    ):
        f = small.function(layer)
        y, slope = gradient(peer.framework, f, p, data)
        answers.append((xp.to_numpy(y), xp.to_numpy(slope)))
    (y, slope), (our_y, our_slope) = answers
    if not (y == our_y).all():
        return f"{int((y != our_y).sum())} of {y.size} spikes differ in float64"
    if not 0.02 < y.mean() < 0.98:
        return f"no comparison: {y.mean():.0%} of the spikes are there"
    # snnTorch, Norse and sinabs compute a part of it in float32 whatever they are given.
    worst = float(np.abs(slope - our_slope).max() / np.abs(our_slope).max())
    return f"the gradient differs by {worst:.1e} of its largest" if worst > 1e-5 else ""


def compared(peer: Peer, name: str, work: Work, rounds: int, seconds: float) -> list[Any]:
    """A row for the library and one for each way of fgi."""
    with fgi.use_backend(peer.framework):
        xp = fgi.namespace()
        with xp.double_precision():
            wrong = disagreement(peer, work)
        clock = measure.timing(peer.framework)
        p, data = (measure._arrays(xp, part, "float32") for part in work.numbers())
        group = f"{name} {work.size} {peer.library}"
        rows: dict[str, dict[str, Any]] = {}
        runs: dict[str, dict[str, Callable[[], float]]] = {}
        values: dict[str, Any] = {}
        for (mechanism, mode), (way, f) in functions(peer, work).items():
            row = {
                "group": group, "workload": name, "size": work.size, "unit": work.unit,
                "dtype": "float32", "surrogate": "", "framework": peer.framework,
                "execution": mode, "mechanism": mechanism, "seconds": {},
            }  # fmt: skip
            key = f"{mechanism} {mode}"
            rows[key] = row
            try:
                if wrong and mechanism == peer.library:
                    row["differs"] = wrong
                y = f(p, *data)
                values[key] = xp.to_numpy(xp.stop_gradient(y))
                u = xp.stop_gradient(xp.ones_like(y) + xp.ones_like(y))
                phases = clock.EXECUTIONS[way].build(f, p, data, u)
                wanted = {phase: phases[phase] for phase in ("inference", "both")}
                runs[key] = measure.prepared(row, wanted, clock)
                row["peak memory"] = clock.peak_memory("cpu", wanted["both"])
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        first = next(iter(values.values()), None)
        for key, value in values.items():
            rows[key]["values"] = int(value.size)
            rows[key]["differ"] = int((value != first).sum())
        cold = measure.Group(name, work.size, "float32", "", peer.framework, "")
        measure.in_turns(runs, rows, rounds, seconds, clock, cold)
        return list(rows.values())


def settings(libraries: list[str], command: str) -> dict[str, Any]:
    from importlib.metadata import version

    frameworks = list(dict.fromkeys(PEERS[name].framework for name in libraries))
    about = runner.settings(frameworks, "cpu", command)
    return about | {
        "peers": {name: version(name) for name in libraries},
        "covers": {name: work.covers for name, work in WORKS.items()},
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("bench-out/peers-cpu.json"))
    parser.add_argument("--libraries", default=",".join(PEERS))
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10.0, help="for a library and a workload")
    parser.add_argument("--toy", action="store_true", help="small sizes: does it run?")
    chosen = parser.parse_args(arguments)
    libraries = chosen.libraries.split(",")
    rest = (
        "" if arguments is None and chosen.works == ",".join(WORKS) else f" --works {chosen.works}"
    )
    content = settings(libraries, f"python benchmarks/peers.py{rest} --seconds {chosen.seconds:g}")
    rows: list[Any] = []
    for name in chosen.works.split(","):
        for library in libraries:
            work = (TOY if chosen.toy else WORKS)[name]
            found = compared(PEERS[library], name, work, chosen.rounds, chosen.seconds)
            for row in found:
                said = row.get("error") or row.get("differs") or ""
                taken = sorted(row["seconds"].get("both", [float("nan")]))
                print(
                    f"{name:12} {row['mechanism']:13} {row['execution']:26} "
                    f"{1e3 * taken[len(taken) // 2]:9.3f} ms  {said}",
                    flush=True,
                )
            rows += found
            chosen.json.parent.mkdir(parents=True, exist_ok=True)
            write(chosen.json, (json.dumps(content | {"rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
