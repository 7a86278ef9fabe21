"""A recurrent spiking network that learns handwritten digits by forward mode alone.

    python docs/examples/forward_gradient/spiking.py --backend torch,jax,tensorflow

No reverse pass, no graph kept over time: each step differentiates the loss along K random
directions while the network runs, and averages (grad f . v) v. The network, adaptive recurrent
neurons with the surrogate gradient of a spike, is that of the demo with fewer neurons
(``fgi.demo.training``), and the optimiser is Adam: the average over steps that it keeps takes away
variance, as several directions do, and it forgets squares sooner, of which noise has more than
gradients. Directions come from NumPy, so that every framework sees the
same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import arrays, namespace, number, options, save

import fgi
from fgi.data import digits
from fgi.demo import training
from fgi.training.optimiser import adam, zero_moments

SPIKE = fgi.surrogates.Gaussian(sigma=0.5)


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
    start = training.initial(8, hidden=hidden, seed=seed)

    def step(p: Any, moments: Any, xs: Any, labels: Any, v: Any, rate: Any, t: Any) -> Any:
        def loss(p: Any) -> Any:
            return training.loss(p, SPIKE, xs, labels)

        value, gradient = fgi.forward_gradient(loss, p, v, directions=directions)
        return value, *adam(p, gradient, moments, rate, t, memory=0.99)

    run = step if eager else fgi.compile(step)
    p = arrays(xp, start)
    moments = zero_moments(p)
    losses = []
    for t in range(steps):
        chosen = rng.permutation(data.train.shape[1])[:batch]
        v = fgi.forward.draw(rng, start, directions=directions)
        xs, labels = data.train[:, chosen], np.eye(10)[data.train_labels[chosen]]
        now = rate * 0.5 * (1 + math.cos(math.pi * t / steps))
        value, p, moments = run(p, moments, *arrays(xp, (xs, labels, v, now, t + 1)))
        losses.append(number(value))
    scores = xp.to_numpy(training.network(SPIKE).scores(p, arrays(xp, data.test)))
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
