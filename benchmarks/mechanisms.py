"""What the expansion costs: fgi, the same without its guard, and each native mechanism, in turns.

    make bench                                  the table, and benchmarks/results/*.json
    python benchmarks/mechanisms.py --size 1024 --rounds 3

One number is the time of forward plus backward of ``Gaussian()`` on a float32 array, all work
awaited. The variants of one framework run in turns in one process, so that a machine that slows
down slows them all, and what is quoted is the median of the ratios of neighbours, with quartiles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import fgi

Function = Callable[[Any], Any]
spike = fgi.surrogates.Gaussian()


def unguarded(x: Any) -> Any:
    """The expansion around sg(x) itself: wrong at infinity, and where a product is contracted."""
    xp = fgi.namespace(x)
    x0 = xp.stop_gradient(x)
    return fgi.heaviside(x0) - spike.derivative(x0) * (x0 - x)


def clamped(x: Any) -> Any:
    """The guard by a clamp to the finite range: NaN stays NaN."""
    xp = fgi.namespace(x)
    largest = float(xp.finfo(x.dtype).max)
    if xp.name == "torch":
        z = x.clamp(-largest, largest)
    else:
        ones = xp.ones_like(x)
        z = xp.minimum(xp.maximum(x, -largest * ones), largest * ones)
    x0 = xp.stop_gradient(z)
    return fgi.heaviside(xp.stop_gradient(x)) - spike.derivative(x0) * (x0 - z)


def torch_runs() -> dict[str, Callable[[Function, Any], Callable[[], Any]]]:
    import torch

    def backward(f: Function, x: np.ndarray[Any, Any]) -> Callable[[], Any]:
        x_ = torch.from_numpy(x).requires_grad_()
        u = torch.full_like(x_, 2.0)
        return lambda: torch.autograd.grad(f(x_), x_, u)

    def compiled(f: Function, x: np.ndarray[Any, Any]) -> Callable[[], Any]:
        torch._dynamo.reset()
        return backward(torch.compile(f, fullgraph=True), x)

    return {"eager": backward, "compile": compiled}


def jax_runs() -> dict[str, Callable[[Function, Any], Callable[[], Any]]]:
    import jax

    def jitted(f: Function, x: np.ndarray[Any, Any]) -> Callable[[], Any]:
        def both(x: Any, u: Any) -> Any:
            y, pullback = jax.vjp(f, x)
            return y, pullback(u)

        run, x_ = jax.jit(both), jax.numpy.asarray(x)
        u = jax.numpy.full_like(x_, 2.0)
        return lambda: jax.block_until_ready(run(x_, u))

    return {"jit": jitted}


def tensorflow_runs() -> dict[str, Callable[[Function, Any], Callable[[], Any]]]:
    import tensorflow as tf

    # It warns of every further variant as of a mistake.
    tf.get_logger().setLevel("ERROR")

    def function(**options: Any) -> Callable[[Function, Any], Callable[[], Any]]:
        def prepared(f: Function, x: np.ndarray[Any, Any]) -> Callable[[], Any]:
            x_ = tf.constant(x)
            u = 2 * tf.ones_like(x_)

            @tf.function(**options)
            def both(x: Any, u: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = f(x)
                return y, tape.gradient(y, x, u)

            return lambda: both(x_, u)[1].numpy()

        return prepared

    return {"function": function(), "XLA": function(jit_compile=True)}


RUNS = {"torch": torch_runs, "jax": jax_runs, "tensorflow": tensorflow_runs}


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(framework: str, size: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each execution mode and variant: seconds of each round."""
    with fgi.use_backend(framework):
        xp = fgi.namespace()
        x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
        variants = {"fgi": spike, "unguarded": unguarded, "clamped": clamped}
        variants |= {mechanism: spike.native(mechanism) for mechanism in xp.mechanisms}
        rows = []
        for mode, prepare in RUNS[framework]().items():
            runs = {name: prepare(f, x) for name, f in variants.items()}
            for run in runs.values():
                for _ in range(3):
                    run()
            taken: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(rounds):
                for name, run in runs.items():
                    taken[name].append(seconds(run))
            rows += [
                {"framework": framework, "version": xp.version, "mode": mode, "variant": name}
                | {"seconds": times}
                for name, times in taken.items()
            ]
        return rows


def table(rows: list[dict[str, Any]], caption: str) -> Table:
    result = Table(caption=caption)
    for heading in (
        "framework",
        "mode",
        "variant",
        "ms, median",
        "time of fgi / this",
        "quartiles",
    ):
        result.add_column(heading, justify="left" if heading[0] in "fmv" else "right")
    for row in rows:
        ours = next(
            r["seconds"]
            for r in rows
            if (r["framework"], r["mode"], r["variant"]) == (row["framework"], row["mode"], "fgi")
        )
        ratios = [a / b for a, b in zip(ours, row["seconds"], strict=True)]
        low, _, high = quantiles(ratios, n=4)
        result.add_row(
            row["framework"],
            row["mode"],
            row["variant"],
            f"{1e3 * median(row['seconds']):.3f}",
            f"{median(ratios):.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=2**20)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    names = [name for name in RUNS if name in fgi.available_backends()]
    rows: list[dict[str, Any]] = []
    for name in track(names, "timing"):
        rows += measure(name, options.size, options.rounds)
    machine = (
        f"CPU {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    caption = f"{machine}, {date.today().isoformat()}, {options.size} float32, n = {options.rounds}"
    Console(width=None if os.isatty(1) else 100).print(table(rows, caption))
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "date": date.today().isoformat(), "size": options.size}
    content |= {"command": "make bench", "rows": rows}
    (options.out / "mechanisms-cpu.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
