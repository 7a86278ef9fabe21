"""A recurrent spiking network that learns handwritten digits by forward mode alone.

    python docs/examples/forward_gradient/spiking.py --backend torch,jax,tensorflow

No reverse pass, no graph kept over time: each step differentiates the loss along K random
directions while the network runs, and averages (grad f . v) v. The network, adaptive recurrent
neurons with the surrogate gradient of a spike, is that of the demo with fewer neurons
(``fgi.demo.network``), and the optimiser is Adam: the average over steps that it keeps takes away
variance, as several directions do. Directions come from NumPy, so that every framework sees the
same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import Numpy, arrays, cross_entropy, namespace, number, options, save
from fgi.demo.digits import digits
from fgi.demo.network import logits

import fgi

SPIKE = fgi.surrogates.Gaussian(sigma=0.5)


def weights(hidden: int, rng: np.random.Generator) -> dict[str, Numpy]:
    def uniform(inputs: int, outputs: int) -> Numpy:
        return rng.uniform(-1, 1, (inputs, outputs)) / math.sqrt(inputs)

    return {
        "input": uniform(8, hidden),
        "recurrent": uniform(hidden, hidden),
        "bias": np.zeros(hidden),
        "alpha": rng.normal(0, 0.5, hidden),
        "rho": rng.normal(3, 0.5, hidden),
        "output": uniform(hidden, 10),
        "output bias": np.zeros(10),
        "kappa": rng.normal(0, 0.5, 10),
    }


def adam(p: Any, gradient: Any, moments: Any, rate: Any, t: Any) -> tuple[Any, Any]:
    """Kingma and Ba 2015, with 0.99 for the squares, of which noise has more than gradients."""
    xp = fgi.namespace(rate)
    first, second, new = {}, {}, {}
    for name, g in gradient.items():
        first[name] = 0.9 * moments[0][name] + 0.1 * g
        second[name] = 0.99 * moments[1][name] + 0.01 * g * g
        size = xp.sqrt(second[name] / (1 - 0.99**t)) + 1e-8
        new[name] = p[name] - rate * first[name] / (1 - 0.9**t) / size
    return new, (first, second)


def train(
    *,
    backend: str,
    eager: bool,
    hidden: int,
    directions: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> tuple[list[float], float]:
    """The loss of each step, and the share of test images that it gets right."""
    xp = namespace(backend)
    rng = np.random.default_rng(seed)
    data = digits()
    start = weights(hidden, rng)

    def step(p: Any, moments: Any, xs: Any, labels: Any, v: Any, rate: Any, t: Any) -> Any:
        def loss(p: Any) -> Any:
            return cross_entropy(logits(p, SPIKE, xs), labels)

        value, gradient = fgi.forward_gradient(loss, p, v, directions=directions)
        return value, *adam(p, gradient, moments, rate, t)

    run = step if eager else fgi.compile(step)
    p = arrays(xp, start)
    moments = (arrays(xp, {k: 0 * w for k, w in start.items()}),) * 2
    losses = []
    for t in range(steps):
        chosen = rng.permutation(data.train.shape[1])[:batch]
        v = fgi.forward.draw(rng, start, directions=directions)
        xs, labels = data.train[:, chosen], np.eye(10)[data.train_labels[chosen]]
        now = rate * 0.5 * (1 + math.cos(math.pi * t / steps))
        value, p, moments = run(p, moments, *arrays(xp, (xs, labels, v, now, t + 1)))
        losses.append(number(value))
    scores = xp.to_numpy(logits(p, SPIKE, arrays(xp, data.test)))
    return losses, float(np.mean(scores.argmax(axis=1) == data.test_labels))


def draw(results: dict[str, tuple[list[float], float]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    for backend, (losses, accuracy) in results.items():
        axes.plot(losses, linewidth=0.8, label=f"{backend}, test accuracy {100 * accuracy:.1f} %")
    axes.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    axes.legend()
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--eager", action="store_true", help="do not compile the step")
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--directions", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.02)
    chosen = vars(parser.parse_args(arguments))
    out = chosen.pop("out")
    content = dict(chosen)
    results = {}
    for backend in chosen.pop("backend").split(","):
        losses, accuracy = results[backend] = train(backend=backend, **chosen)
        content[backend] = {"losses": losses, "accuracy": accuracy}
        first, last = np.mean(losses[:5]), np.mean(losses[-20:])
        print(f"{backend}: loss {first:.3f} to {last:.3f}, test accuracy {100 * accuracy:.1f} %")
    save(out, "spiking", content, draw(results))


if __name__ == "__main__":
    main()
