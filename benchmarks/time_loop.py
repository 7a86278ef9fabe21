"""What the time loop costs: the paper's network on sequences of 28 to 784 steps.

    python benchmarks/time_loop.py                    every framework and length, and results/*.json
    python benchmarks/time_loop.py --steps 28 98 --frameworks torch --rounds 5
    python benchmarks/time_loop.py --differences      of loss and gradients between the frameworks
    python benchmarks/time_loop.py --page             docs/time_loop.md from docs/time_loop/cpu.json

A layer of 128 adaptive spiking neurons reads 784 numbers of 128 images, 784 / T at a time; its
readout is averaged for the loss. One iteration is loss, gradient and an update of the weights. It
is ``fgi.networks.Network``; PyTorch runs it with ``compiled=True``, the others compile the
iteration. What it is compared with in PyTorch is the same network written the ordinary way,
uncompiled: one step after the other, input and spikes side by side times one matrix, and a
``torch.autograd.Function`` of four lines for the gradient of a spike, which owes nothing to fgi.

Each framework and length has a process of its own with nothing compiled before: what the first
three iterations took is the warm-up; less three iterations of later, it is compilation. Then the
variants run in turns, and the floor: the matrix products of the network alone, in PyTorch, those by
the inputs and the readout for all steps at once. What is quoted is the median of the ratios of
neighbours. Memory is what one more iteration adds to the process at its peak, Linux only; with
"checkpoint" the state of each 28th step is kept, and those between are computed again, by graphs
that PyTorch then has already.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import fgi
from fgi.backend import trees
from fgi.bench import provenance as machine
from fgi.networks import Network, cross_entropy
from fgi.neurons import ALIF

logging.getLogger("tensorflow").setLevel("ERROR")  # of functions that are made and called once

BATCH, HIDDEN, CLASSES, PIXELS = 128, 128, 10, 784
LENGTHS = (28, 49, 98, 196, 392, 784)
KEPT = 28  # with a checkpoint, the state of each 28th step: the root of 784
RATE = 1e-3
BASELINE, FLOOR = "eager, autograd.Function", "products"
DOCS = Path(__file__).parents[1] / "docs"

Run = Callable[[], Any]

Pair = tuple[Run, Run | None]
"""What trains and what infers; None where that is no other than without a checkpoint."""


def weights(features: int) -> dict[str, Any]:
    found = Network(ALIF()).init((features, HIDDEN, CLASSES), scale="fan_in")
    return {name: dict(layer) for name, layer in found.items()}


def side_by_side(params: Any) -> Any:
    """The same weights as the ordinary way has them: input and recurrence are one matrix."""
    hidden = dict(params["hidden0"])
    both = np.concatenate([hidden.pop("input"), hidden.pop("recurrent")])
    return {"hidden0": {"both": both, **hidden}, "readout": params["readout"]}


def ordinary(spike: Any) -> Callable[[Any, Any], Any]:
    """Scores as one writes them by hand.

    Otte 2024 (arXiv:2406.00177), Eq. 13-16, in the order of the code published with it.
    """

    def scores(params: Any, xs: Any) -> Any:
        xp = fgi.namespace(xs)
        hidden, readout = params["hidden0"], params["readout"]
        alpha, rho, kappa = (
            1 / (1 + xp.exp(-p)) for p in (hidden["alpha"], hidden["rho"], readout["beta"])
        )

        def step(state: Any, x: Any) -> Any:
            u, a, z, v = state
            current = xp.concat([x, z], axis=1) @ hidden["both"] + hidden["bias"]
            threshold = 0.1 + 0.8 * a
            u = alpha * u + (1 - alpha) * current
            z = spike(u - threshold)
            u = u - z * threshold
            a = rho * a + (1 - rho) * z
            v = kappa * v + (1 - kappa) * (z @ readout["input"] + readout["bias"])
            return (u, a, z, v), v

        quiet = xp.zeros_like(xs[0] @ hidden["both"][: xs.shape[2]])
        state = (quiet, quiet, quiet, xp.zeros_like(quiet @ readout["input"]))
        return xp.mean(fgi.scan(step, state, xs)[1], axis=0)

    return scores


def by_hand() -> Callable[[Any], Any]:
    """A spike as one writes it in PyTorch: a step, with the slope exp(-x^2 / 2)."""
    import torch

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x > 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return grad * torch.exp(-x * x / 2)

    return Spike.apply


def variants(framework: str, steps: int) -> dict[str, Pair]:
    """Each way to run, the one that keeps less last."""
    xp = fgi.namespace()
    rng = np.random.default_rng(1)
    features = PIXELS // steps
    xs = xp.asarray(rng.uniform(0, 1, (steps, BATCH, features)).astype(np.float32))
    labels = xp.asarray(np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)])

    def made(scores: Any, params: Any, compile: Any = lambda f: f) -> tuple[Run, Run]:
        p = fgi.convert(params, framework)

        def loss(p: Any, xs: Any, labels: Any) -> Any:
            return cross_entropy(scores(p, xs), labels)

        def update(p: Any, xs: Any, labels: Any) -> Any:
            value, gradient = fgi.value_and_grad(loss)(p, xs, labels)
            return value, trees.map(lambda w, g: w - RATE * g, p, gradient)

        updated, inferred = compile(update), compile(loss)

        def train() -> float:
            nonlocal p
            value, p = updated(p, xs, labels)
            return float(value)

        def infer() -> float:
            with fgi.inference_mode(), no_grad():
                return float(inferred(p, xs, labels))

        return train, infer

    network, given = Network(ALIF()), weights(features)

    def scores(p: Any, xs: Any) -> Any:
        return network.scores(p, xs, compiled=framework == "torch")

    def recomputed(name: str, compile: Any = lambda f: f) -> dict[str, Pair]:
        def scores(p: Any, xs: Any) -> Any:
            return network.scores(p, xs, compiled=framework == "torch", checkpoint=KEPT)

        train, _ = made(scores, given, compile)
        return {f"{name}, checkpoint": (train, None)} if steps > KEPT else {}

    if framework == "torch":
        import torch

        no_grad = torch.no_grad
        return {
            "compiled step": made(scores, given),
            BASELINE: made(ordinary(by_hand()), side_by_side(given)),
            **recomputed("compiled step"),
        }
    no_grad = nullcontext
    if framework == "jax":
        return {"jit": made(scores, given, fgi.compile), **recomputed("jit", fgi.compile)}
    import tensorflow as tf

    def xla(f: Any) -> Any:
        return tf.function(f, jit_compile=True, autograph=False)

    return {
        "function": made(scores, given, fgi.compile),
        "XLA": made(scores, given, xla),
        **recomputed("function", fgi.compile),
    }


def products(steps: int) -> tuple[Run, Run]:
    """The floor: each matrix product of training and of inference, and nothing else."""
    import torch

    features = PIXELS // steps
    x, w = torch.rand(steps * BATCH, features), torch.rand(features, HIDDEN)
    z, u = torch.rand(BATCH, HIDDEN), torch.rand(HIDDEN, HIDDEN)
    every, v = torch.rand(steps * BATCH, HIDDEN), torch.rand(HIDDEN, CLASSES)
    currents, dw, du, dv, y = (torch.empty_like(t) for t in (every, w, u, v, z))
    s = torch.rand(steps * BATCH, CLASSES)

    def infer() -> None:
        torch.mm(x, w, out=currents)
        for _ in range(steps):
            torch.mm(z, u, out=y)
        torch.mm(every, v, out=s)

    def train() -> None:
        infer()
        torch.mm(every.T, s, out=dv)
        torch.mm(s, v.T, out=currents)
        for _ in range(steps):
            torch.mm(y, u.T, out=z)
        torch.mm(every.T, currents, out=du)
        torch.mm(x.T, currents, out=dw)

    return train, infer


def differences(steps: int, names: Sequence[str], dtype: str) -> list[str]:
    """How far loss and gradients of one batch are from the first framework's, a sentence each."""
    rng = np.random.default_rng(1)
    xs = rng.uniform(0, 1, (steps, BATCH, PIXELS // steps)).astype(dtype)
    labels = np.eye(CLASSES)[rng.integers(0, CLASSES, BATCH)].astype(dtype)
    given = trees.map(lambda w: w.astype(dtype), weights(PIXELS // steps))
    answers = {}
    for name in names:
        fgi.set_backend(name)
        xp: Any = fgi.namespace()
        with xp.double_precision() if dtype == "float64" else nullcontext():
            both = fgi.value_and_grad(
                lambda p, xs, labels: cross_entropy(Network(ALIF()).scores(p, xs), labels)
            )
            run = fgi.compile(both) if xp.compiles_loops else both
            value, gradient = run(fgi.convert(given, name), xp.asarray(xs), xp.asarray(labels))
            answers[name] = float(value), trees.named(fgi.convert(gradient, "numpy"))
    first, *others = names
    value, gradient = answers[first]
    found = []
    for name in others:
        loss = abs(answers[name][0] - value) / abs(value)
        apart = {
            key: float(np.abs(answers[name][1][key] - g).max() / np.abs(g).max())
            for key, g in gradient.items()
        }
        worst = max(apart, key=lambda key: apart[key])
        found.append(
            f"T = {steps}, {dtype}: {name}'s loss is {loss:.1e} from {first}'s, its gradients up "
            f"to {apart[worst]:.1e} of the largest number ({worst})."
        )
    return found


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def megabytes(run: Run) -> float | None:
    """What ``run`` adds to the memory of the process at its peak; the second time, as compiled."""
    run()
    if platform.system() != "Linux":
        return None

    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier runs left behind would be used again
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / 1024


def measure(framework: str, steps: int, rounds: int) -> dict[str, Any]:
    """One length in this process: seconds of the warm-up and of each round, and megabytes."""
    fgi.set_backend(framework)
    found: dict[str, Any] = {}
    runs = variants(framework, steps)
    for name, (train, _) in runs.items():
        found[name] = {"warm-up": sum(seconds(train) for _ in range(3))}
    timed = runs | ({FLOOR: products(steps)} if framework == "torch" else {})
    for kind, which in (("train", 0), ("infer", 1)):
        turns = {name: run for name, pair in timed.items() if (run := pair[which]) is not None}
        for name, run in turns.items():
            found.setdefault(name, {})[kind] = []
            run()
            run()
        for _ in range(rounds):
            for name, run in turns.items():
                found[name][kind].append(seconds(run))
    for name, (train, _) in runs.items():
        found[name]["MB"] = megabytes(train)
    return {
        "framework": framework,
        "version": fgi.namespace().version,
        "steps": steps,
        "variants": found,
    }


def ratio(row: dict[str, Any], kind: str, name: str, reference: str) -> float | None:
    """How many times as long the reference takes, as the median over the rounds."""
    found = row["variants"]
    if kind not in found.get(reference, {}) or kind not in found[name]:
        return None
    pairs = zip(found[reference][kind], found[name][kind], strict=True)
    return median(a / b for a, b in pairs)


HEADINGS = (
    "framework", "variant", "T", "warm-up s", "compiling", "train ms", "a step", "eager / this",
    "this / products", "infer ms", "eager / this", "MB",
)  # fmt: skip


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The table, a line for each variant."""

    def said(number: float | None, digits: int) -> str:
        return "" if number is None else f"{number:.{digits}f}"

    result = []
    for row in rows:
        for name, entry in row["variants"].items():
            train = 1e3 * median(entry["train"])
            infer = 1e3 * median(entry["infer"]) if "infer" in entry else None
            warm, floor = entry.get("warm-up"), ratio(row, "train", name, FLOOR)
            result.append(
                [
                    row["framework"],
                    name,
                    str(row["steps"]),
                    said(warm, 1),
                    said(None if warm is None else max(0.0, warm - 3e-3 * train), 1),
                    said(train, 1),
                    said(train / row["steps"], 3),
                    said(ratio(row, "train", name, BASELINE), 2),
                    said(1 / floor if floor else None, 2),
                    said(infer, 1),
                    said(ratio(row, "infer", name, BASELINE), 2),
                    said(entry.get("MB"), 0),
                ]
            )
    return result


def verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """How the longest sequence compares with the shortest, a sentence for each variant."""
    found = []
    for framework in dict.fromkeys(row["framework"] for row in rows):
        mine = sorted(
            (row for row in rows if row["framework"] == framework), key=lambda row: row["steps"]
        )
        short, long = mine[0], mine[-1]
        for name, entry in long["variants"].items():
            first = short["variants"].get(name, {})
            if "warm-up" not in first or name == BASELINE or long is short:
                continue
            warm = entry["warm-up"] / first["warm-up"]
            ran, was = (median(e["train"]) for e in (entry, first))
            compiled = (entry["warm-up"] - 3 * ran) / max(first["warm-up"] - 3 * was, 1e-3)
            step = ran / long["steps"] / (was / short["steps"])
            found.append(
                f"{framework}, {name}: from {short['steps']} to {long['steps']} steps the warm-up "
                f"grows {warm:.2f} times, of it compilation {compiled:.2f} times, and a step takes "
                f"{step:.2f} times as long."
            )
    return found


def page(content: dict[str, Any]) -> str:
    """docs/time_loop.md."""
    shown = lines(content["rows"])
    table = [HEADINGS, ["---"] * len(HEADINGS), *shown]
    doc = (__doc__ or "").split("\n\n")
    versions = {row["framework"]: row["version"] for row in content["rows"]}
    return "\n".join(
        [
            "# The time loop\n",
            f"Made by `{content['command']}` of [`benchmarks`](../benchmarks/time_loop.py), from",
            "[`time_loop/cpu.json`](time_loop/cpu.json). The network of the paper: batch "
            f"{BATCH}, {HIDDEN} ALIF units,",
            "T steps, float32.\n",
            "\n\n".join(doc[2:4]).replace("``", "`").strip() + "\n",
            *("| " + " | ".join(cells) + " |" for cells in table),
            "",
            *(f"- {verdict}" for verdict in verdicts(content["rows"])),
            "",
            f"{content['machine']}; Python {content['python']}; "
            + ", ".join(f"{name} {version}" for name, version in versions.items())
            + f"; {content['date']}; load average before: {content['load average before']}.\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frameworks", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--steps", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/cpu.json")
    parser.add_argument("--page", action="store_true", help="write docs/time_loop.md")
    parser.add_argument("--differences", action="store_true", help="between frameworks, no times")
    parser.add_argument("--here", action="store_true", help="one length in this process, as JSON")
    asked = parser.parse_args()
    if asked.page:
        content = json.loads((DOCS / "time_loop/cpu.json").read_text())
        (DOCS / "time_loop.md").write_text(page(content))
        return
    names = [name for name in asked.frameworks if name in fgi.available_backends()]
    if asked.differences:
        for steps in asked.steps:
            for dtype in ("float64", "float32"):
                print(*differences(steps, names, dtype), sep="\n", flush=True)
        return
    if asked.here:
        print(json.dumps(measure(asked.frameworks[0], asked.steps[0], asked.rounds)))
        return

    content = {"command": " ".join(["python benchmarks/time_loop.py", *sys.argv[1:]])}
    content |= machine.describe()
    rows = []
    for name, steps in track([(n, s) for n in names for s in asked.steps], "timing"):
        command = [sys.executable, __file__, "--here", "--frameworks", name, "--steps", str(steps)]
        command += ["--rounds", str(asked.rounds)]
        with tempfile.TemporaryDirectory() as empty:  # with yesterday's graphs it is no warm-up
            environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": empty}
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, env=environment
            )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(caption=", ".join(f"{name} {value}" for name, value in content.items()))
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for cells in lines(rows):
        table.add_row(*cells)
    console = Console(width=None if os.isatty(1) else 150)
    console.print(table)
    for verdict in verdicts(rows):
        console.print(verdict)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(content | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
