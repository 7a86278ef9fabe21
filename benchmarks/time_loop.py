"""What the time loop costs: the paper's network on sequences of 28 to 784 steps.

    python benchmarks/time_loop.py                    every framework and length, and results/*.json
    python benchmarks/time_loop.py --steps 28 98 --frameworks torch --rounds 5

A layer of 128 adaptive spiking neurons reads 784 numbers of 128 images, 784 / T at a time; its
readout is averaged for the loss. One iteration is loss, gradient and an update of the weights. Each
framework and length has a process of its own with nothing compiled before: what the first three
iterations took is the warm-up. Then the variants run in turns, and the floor: the matrix products
of the network alone, in PyTorch. What is quoted is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
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

BATCH, HIDDEN, CLASSES, PIXELS = 128, 128, 10, 784
LENGTHS = (28, 49, 98, 196, 392, 784)
THRESHOLD, ADAPTATION, RATE = 0.1, 0.8, 1e-3
BASELINE = {"torch": "eager, autograd.Function"}

Run = Callable[[], Any]


def weights(features: int) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)

    def dense(inputs: int, outputs: int) -> np.ndarray[Any, Any]:
        return rng.uniform(-1, 1, (inputs, outputs)) / np.sqrt(inputs)

    drawn = {
        "hidden": dense(features + HIDDEN, HIDDEN),
        "bias": np.zeros(HIDDEN),
        "membrane": rng.normal(3, 0.1, HIDDEN),
        "adaptation": rng.normal(4, 0.5, HIDDEN),
        "output": dense(HIDDEN, CLASSES),
        "output bias": np.zeros(CLASSES),
        "readout": rng.normal(3, 0.1, CLASSES),
    }
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def loss(p: Any, xs: Any, labels: Any, spike: Any, prepare: Any, options: Any) -> Any:
    """Otte 2024 (arXiv:2406.00177), Eq. 13-16, in the order of the code published with it."""
    xp = fgi.namespace(xs)
    alpha, rho, kappa = (
        1 / (1 + xp.exp(-p[name])) for name in ("membrane", "adaptation", "readout")
    )

    def step(state: Any, x: Any) -> Any:
        u, a, z, v = state
        current = xp.concat([x, z], axis=1) @ p["hidden"] + p["bias"]
        threshold = THRESHOLD + ADAPTATION * a
        u = alpha * u + (1 - alpha) * current
        z = spike(u - threshold)
        u = u - z * threshold
        a = rho * a + (1 - rho) * z
        v = kappa * v + (1 - kappa) * (z @ p["output"] + p["output bias"])
        return (u, a, z, v), v

    quiet = xp.zeros_like(xs[0] @ p["hidden"][: xs.shape[2]])
    state = (quiet, quiet, quiet, xp.zeros_like(quiet @ p["output"]))
    _, v = fgi.scan(prepare(step), state, xs, **options)
    scores = xp.mean(v, axis=0)
    return xp.mean(xp.log(xp.sum(xp.exp(scores), axis=1)) - xp.sum(scores * labels, axis=1))


def same(f: Any) -> Any:
    return f


def variants(framework: str, steps: int, options: dict[str, Any]) -> dict[str, tuple[Run, Run]]:
    """What trains and what infers, for each way to run."""
    xp = fgi.namespace()
    rng = np.random.default_rng(1)
    features = PIXELS // steps
    xs = xp.asarray(rng.uniform(0, 1, (steps, BATCH, features)).astype(np.float32))
    labels = xp.asarray(np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)])
    surrogate = fgi.surrogates.Gaussian()

    def made(spike: Any, prepare: Any, compile: Any) -> tuple[Run, Run]:
        p = {name: xp.asarray(value) for name, value in weights(features).items()}

        def update(p: Any, xs: Any, labels: Any) -> Any:
            value, gradient = fgi.value_and_grad(
                lambda p: loss(p, xs, labels, spike, prepare, options)
            )(p)
            return value, {name: p[name] - RATE * gradient[name] for name in p}

        def infer(p: Any, xs: Any, labels: Any) -> Any:
            return loss(p, xs, labels, spike, prepare, options)

        updated, inferred = compile(update), compile(infer)

        def train() -> float:
            nonlocal p
            value, p = updated(p, xs, labels)
            return float(value)

        def value() -> float:
            with fgi.inference_mode(), no_grad():
                return float(inferred(p, xs, labels))

        return train, value

    if framework == "torch":
        import torch

        no_grad = torch.no_grad
        return {
            "compiled step": made(surrogate, fgi.compile, same),
            "eager": made(surrogate, same, same),
            BASELINE["torch"]: made(surrogate.native(), same, same),
        }
    from contextlib import nullcontext as no_grad

    if framework == "jax":
        return {"jit": made(surrogate, same, fgi.compile)}
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")

    def xla(f: Any) -> Any:
        return tf.function(f, jit_compile=True, autograph=False)

    return {"function": made(surrogate, same, fgi.compile), "XLA": made(surrogate, same, xla)}


def products(steps: int) -> tuple[Run, Run]:
    """The floor: each matrix product of training and of inference, and nothing else."""
    import torch

    features = PIXELS // steps + HIDDEN
    x, w = torch.rand(BATCH, features), torch.rand(features, HIDDEN)
    z, v = torch.rand(BATCH, HIDDEN), torch.rand(HIDDEN, CLASSES)
    dw, dv, y, s = (torch.empty_like(t) for t in (w, v, z, z @ v))
    dx, dz = torch.empty_like(x), torch.empty_like(z)

    def infer() -> None:
        for _ in range(steps):
            torch.mm(x, w, out=y)
            torch.mm(z, v, out=s)

    def train() -> None:
        infer()
        for _ in range(steps):
            torch.mm(y, w.T, out=dx)
            torch.mm(x.T, y, out=dw)
            torch.mm(s, v.T, out=dz)
            torch.mm(z.T, s, out=dv)

    return train, infer


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(framework: str, steps: int, rounds: int, options: dict[str, Any]) -> dict[str, Any]:
    """One length in this process: seconds of the warm-up, and of each round."""
    fgi.set_backend(framework)
    found: dict[str, Any] = {}
    runs = variants(framework, steps, options)
    for name, (train, _) in runs.items():
        found[name] = {"warm-up": sum(seconds(train) for _ in range(3))}
    if framework == "torch":
        runs["products"] = products(steps)
        found["products"] = {}
    for _, infer in runs.values():
        infer()
        infer()
    for kind, which in (("train", 0), ("infer", 1)):
        for entry in found.values():
            entry[kind] = []
        for _ in range(rounds):
            for name, pair in runs.items():
                found[name][kind].append(seconds(pair[which]))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "framework": framework,
        "version": fgi.namespace().version,
        "steps": steps,
        "options": options,
        "peak MB": kilobytes // 1024,
        "variants": found,
    }


def ratio(row: dict[str, Any], kind: str, name: str, reference: str) -> str:
    found = row["variants"]
    if reference not in found:
        return ""
    pairs = zip(found[reference][kind], found[name][kind], strict=True)
    return f"{median(a / b for a, b in pairs):.2f}"


def table(rows: list[dict[str, Any]], caption: str) -> Table:
    result = Table(caption=caption)
    for heading in ("framework", "variant", "T"):
        result.add_column(heading)
    for heading in (
        "warm-up s",
        "train ms",
        "eager / this",
        "/ products",
        "infer ms",
        "eager / this ",
        "ms a step",
    ):
        result.add_column(heading, justify="right")
    for row in rows:
        eager = BASELINE.get(row["framework"], "")
        for name, entry in row["variants"].items():
            train, infer = (1e3 * median(entry[kind]) for kind in ("train", "infer"))
            floor = median(row["variants"]["products"]["train"]) if eager else None
            result.add_row(
                row["framework"],
                name,
                str(row["steps"]),
                f"{entry['warm-up']:.1f}" if "warm-up" in entry else "",
                f"{train:.1f}",
                ratio(row, "train", name, eager),
                f"{train / 1e3 / floor:.2f}" if floor else "",
                f"{infer:.1f}",
                ratio(row, "infer", name, eager),
                f"{train / row['steps']:.3f}",
            )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frameworks", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--steps", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--unroll", type=int)
    parser.add_argument("--checkpoint", type=int)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--here", action="store_true", help="one length in this process, as JSON")
    asked = parser.parse_args()
    options = {"unroll": asked.unroll, "checkpoint": asked.checkpoint}
    if asked.here:
        print(json.dumps(measure(asked.frameworks[0], asked.steps[0], asked.rounds, options)))
        return

    rows = []
    load = os.getloadavg()[1]
    names = [name for name in asked.frameworks if name in fgi.available_backends()]
    for name, steps in track([(n, s) for n in names for s in asked.steps], "timing"):
        command = [sys.executable, __file__, "--here", "--frameworks", name, "--steps", str(steps)]
        command += ["--rounds", str(asked.rounds)]
        for option, value in options.items():
            command += [f"--{option}", str(value)] if value else []
        with tempfile.TemporaryDirectory() as empty:  # with yesterday's graphs it is no warm-up
            environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": empty}
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, env=environment
            )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    machine = (
        f"CPU {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    caption = f"{machine}, {date.today().isoformat()}, batch {BATCH}, {HIDDEN} units, float32"
    Console(width=None if os.isatty(1) else 120).print(table(rows, caption))
    asked.out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "date": date.today().isoformat(), "size": BATCH * HIDDEN}
    content |= {"command": " ".join(["python benchmarks/time_loop.py", *sys.argv[1:]])}
    content |= {"load average before": round(load, 2), "rows": rows}
    (asked.out / "time_loop-cpu.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
