"""What forward and reverse mode cost: their time over that of the plain function.

    python docs/examples/forward_gradient/cost.py

    R_f = time(f and its derivative along one direction) / time(f)     by fgi.jvp
    R_b = time(f and its gradient) / time(f)                           by fgi.value_and_grad

and the same for ``fgi.forward_gradient``, which draws the direction and multiplies by it as well.
The functions are the loss of the perceptron (``perceptron.py``) and of the demo's spiking network,
float32. The four run in turns, so that a machine that slows down slows all of them, and a ratio is
taken within a turn; median and quartiles over the turns.

Baydin et al. 2022 (arXiv:2202.08587) have R_f = 2.46 and R_b = 4.17 for a perceptron on MNIST.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import quantiles
from typing import Any

import numpy as np
from common import arrays, images, namespace, options, save
from perceptron import scores, weights

import fgi
from fgi.data import digits
from fgi.demo import training
from fgi.networks import cross_entropy

SPIKE = fgi.surrogates.Gaussian(sigma=0.5)

Loss = Callable[[Any], Any]


def perceptron(xp: Any, batch: int, hidden: Sequence[int]) -> tuple[Loss, Any]:
    xs, labels, _, _ = images()
    x, y = arrays(xp, (xs[:batch], labels[:batch]))
    p = arrays(xp, weights([64, *hidden, 10], np.random.default_rng(0)))
    return lambda p: cross_entropy(scores(p, x), y), p


def spiking(xp: Any, batch: int, hidden: Sequence[int]) -> tuple[Loss, Any]:
    data = digits()
    x, y = arrays(xp, (data.train[:, :batch], np.eye(10)[data.train_labels[:batch]]))
    return lambda p: training.loss(p, SPIKE, x, y), arrays(xp, training.initial(8))


MODELS = {"perceptron": perceptron, "spiking network": spiking}


def key(backend: str) -> Any:
    if backend == "torch":
        import torch

        return torch.Generator().manual_seed(0)
    if backend == "jax":
        import jax

        return jax.random.key(0)
    import tensorflow as tf

    return tf.constant([0, 0])


def runs(f: Loss, p: Any, backend: str, compiled: bool) -> dict[str, Callable[[], Any]]:
    made = fgi.compile if compiled else lambda f: f
    source = key(backend)
    v = fgi.forward.draw(source, p)
    plain, reverse = made(f), made(fgi.value_and_grad(f))
    forward = made(lambda p, v: fgi.jvp(f, (p,), (v,)))
    estimate = made(lambda p, key: fgi.forward_gradient(f, p, key))

    def drawn() -> Any:
        # torch.compile takes no generator.
        outside = backend == "torch" and compiled
        return estimate(p, fgi.forward.draw(source, p) if outside else source)

    return {
        "f": lambda: plain(p),
        "jvp": lambda: forward(p, v),
        "forward_gradient": drawn,
        "value_and_grad": lambda: reverse(p),
    }


def wait(tree: Any) -> None:
    """JAX returns before it has computed; the two others, on a CPU, do not."""
    if isinstance(tree, dict | list | tuple):
        for part in tree.values() if isinstance(tree, dict) else tree:
            wait(part)
    elif hasattr(tree, "block_until_ready"):
        tree.block_until_ready()


def timed(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 3):  # the first three warm up
        for name, function in functions.items():
            start = time.perf_counter()
            wait(function())
            if turn >= 3:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str) -> list[float]:
    """Lower quartile, median and upper quartile of the time over that of f."""
    return quantiles((a / b for a, b in zip(seconds[name], seconds["f"], strict=True)), n=4)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown: median, and quartiles in brackets."""

    def cell(row: dict[str, Any], name: str) -> str:
        low, middle, high = row["over f"][name]
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"

    names = ["jvp", "forward_gradient", "value_and_grad"]
    lines = [
        "| function | framework | f, ms | R_f: `jvp` | `forward_gradient` | "
        "R_b: `value_and_grad` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [row["model"], f"{row['backend']} {row['version']}, {row['mode']}"]
        cells += [f"{1e3 * float(np.median(row['seconds']['f'])):.2f}"]
        lines.append(f"| {' | '.join(cells + [cell(row, name) for name in names])} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.set_defaults(backend=",".join(b for b in fgi.available_backends() if b != "numpy"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, nargs="*", default=[1024, 1024])
    parser.add_argument("--rounds", type=int, default=50)
    chosen = parser.parse_args(arguments)
    rows = []
    for backend in chosen.backend.split(","):
        xp = namespace(backend)
        for model, make in MODELS.items():
            for compiled in (False, True):
                f, p = make(xp, chosen.batch, chosen.hidden)
                seconds = timed(runs(f, p, backend, compiled), chosen.rounds)
                row = {
                    "model": model,
                    "backend": backend,
                    "version": xp.version,
                    "mode": "compiled" if compiled else "eager",
                    "over f": {name: ratio(seconds, name) for name in seconds if name != "f"},
                    "seconds": seconds,
                }
                print(model, backend, row["mode"], row["over f"])
                rows.append(row)
    content = {"batch": chosen.batch, "hidden": chosen.hidden, "rounds": chosen.rounds}
    save(chosen.out, "cost", content | {"rows": rows})
    (chosen.out / "cost.md").write_text(table(rows))


if __name__ == "__main__":
    main()
