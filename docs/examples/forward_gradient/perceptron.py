"""A multilayer perceptron on handwritten digits, by forward gradients and by backpropagation.

    python docs/examples/forward_gradient/perceptron.py --backend torch

Both descend from the same weights, with the same rate, on the same minibatches of scikit-learn's
digits: 64 inputs, two layers of 1024 ReLU units as in the paper (which has MNIST), ten classes. The
forward gradient is of one direction unless ``--directions`` says more, and its directions come from
NumPy, so that every framework sees the same. The rate is this example's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import Numpy, arrays, images, namespace, number, options, save

import fgi
from fgi.networks import cross_entropy


def weights(sizes: Sequence[int], rng: np.random.Generator) -> list[tuple[Numpy, Numpy]]:
    """Initial (matrix, bias) of each layer (He et al. 2015)."""
    return [
        (rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)), np.zeros(outputs))
        for inputs, outputs in pairwise(sizes)
    ]


def scores(p: Any, x: Any) -> Any:
    *hidden, (matrix, bias) = p
    for w, b in hidden:
        x = x @ w + b
        x = fgi.namespace(x).maximum(x, fgi.namespace(x).zeros_like(x))
    return x @ matrix + bias


def train(
    method: str,
    *,
    backend: str,
    eager: bool,
    hidden: Sequence[int],
    directions: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> tuple[list[float], float]:
    """The loss of each step, and the share of test images that it gets right."""
    xp = namespace(backend)
    rng, order = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    train_images, train_labels, test_images, test_labels = images()
    start = weights([64, *hidden, 10], rng)

    def step(p: Any, x: Any, labels: Any, v: Any) -> Any:
        def loss(p: Any) -> Any:
            return cross_entropy(scores(p, x), labels)

        if method == "forward gradient":
            value, gradient = fgi.forward_gradient(loss, p, v, directions=directions)
        else:
            value, gradient = fgi.value_and_grad(loss)(p)
        moved = [
            (w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(p, gradient, strict=True)
        ]
        return value, moved

    run = step if eager else fgi.compile(step)
    p, v = arrays(xp, start), []
    losses = []
    for _ in range(steps):
        chosen = order.permutation(len(train_images))[:batch]
        if method == "forward gradient":
            v = arrays(xp, fgi.forward.draw(rng, start, directions=directions))
        value, p = run(p, *arrays(xp, (train_images[chosen], train_labels[chosen])), v)
        losses.append(number(value))
    classes = xp.to_numpy(scores(p, arrays(xp, test_images))).argmax(axis=1)
    return losses, float(np.mean(classes == test_labels.argmax(axis=1)))


def draw(results: dict[str, tuple[list[float], float]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    for colour, (method, (losses, accuracy)) in enumerate(results.items()):
        smooth = np.convolve(losses, np.ones(20) / 20, mode="valid") if len(losses) > 20 else losses
        axes.plot(losses, color=f"C{colour}", linewidth=0.3, alpha=0.5)
        label = f"{method}, test accuracy {100 * accuracy:.1f} %"
        axes.plot(smooth, color=f"C{colour}", linewidth=1.5, label=label)
    axes.set(xlabel="step", ylabel="training loss")
    axes.legend()
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--eager", action="store_true", help="do not compile the step")
    parser.add_argument("--hidden", type=int, nargs="*", default=[1024, 1024])
    parser.add_argument("--directions", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-4)
    chosen = vars(parser.parse_args(arguments))
    out = chosen.pop("out")
    results = {m: train(m, **chosen) for m in ("forward gradient", "backpropagation")}
    content = dict(chosen)
    for method, (losses, accuracy) in results.items():
        content[method] = {"losses": losses, "accuracy": accuracy}
        first, last = np.mean(losses[:5]), np.mean(losses[-20:])
        print(f"{method}: loss {first:.3f} to {last:.3f}, test accuracy {accuracy:.3f}")
    save(out, "perceptron", content, draw(results))


if __name__ == "__main__":
    main()
