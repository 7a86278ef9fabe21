"""How close a forward gradient comes to the gradient: their cosine against the directions K.

    python docs/examples/forward_gradient/cosine.py --backend torch

For v ~ N(0, I) in n dimensions the estimate is an average of K vectors v (v . g). With |g| = 1 its
component along g is 1 on average, and the square of the rest (n - 1) / K, hence the line

    cosine ~ sqrt(K / (K + n - 1))

The function is the loss of a small perceptron on scikit-learn's digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import Numpy, arrays, images, namespace, options, save
from perceptron import scores, weights

import fgi
from fgi.networks import cross_entropy


def flat(xp: Any, p: Any) -> Numpy:
    return np.concatenate([xp.to_numpy(x).ravel() for layer in p for x in layer])


def cosines(
    *, backend: str, hidden: Sequence[int], directions: Sequence[int], repeats: int, seed: int
) -> tuple[int, dict[int, list[float]]]:
    """How many numbers the gradient has, and for each K the cosines of ``repeats`` estimates."""
    xp = namespace(backend)
    rng = np.random.default_rng(seed)
    xs, labels, _, _ = images()
    start = weights([64, *hidden, 10], rng)
    p, x, y = arrays(xp, start), *arrays(xp, (xs[:64], labels[:64]))

    def loss(p: Any) -> Any:
        return cross_entropy(scores(p, x), y)

    g = flat(xp, fgi.grad(loss)(p))
    found: dict[int, list[float]] = {}
    for k in directions:
        estimate = fgi.compile(lambda p, v, k=k: fgi.forward_gradient(loss, p, v, directions=k)[1])
        found[k] = []
        for _ in range(repeats):
            e = flat(xp, estimate(p, arrays(xp, fgi.forward.draw(rng, start, directions=k))))
            found[k].append(float(e @ g / np.linalg.norm(e) / np.linalg.norm(g)))
    return len(g), found


def expected(k: Any, n: int) -> Any:
    return np.sqrt(k / (k + n - 1))


def draw(n: int, found: dict[int, list[float]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    ks = np.array(list(found))
    axes.plot(ks, expected(ks, n), color="C1", label="sqrt(K / (K + n - 1))")
    for k, values in found.items():
        axes.plot([k] * len(values), np.abs(values), ".", color="C0", markersize=4, alpha=0.5)
    axes.plot([], [], ".", color="C0", label="one estimate")
    axes.set(xscale="log", yscale="log", xlabel="directions K", title=f"n = {n}")
    axes.set_ylabel("|cosine| to the gradient")
    axes.legend()
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--hidden", type=int, nargs="*", default=[16])
    parser.add_argument("--directions", type=int, nargs="+", default=[4**i for i in range(7)])
    parser.add_argument("--repeats", type=int, default=20)
    chosen = vars(parser.parse_args(arguments))
    out = chosen.pop("out")
    n, found = cosines(**chosen)
    for k, values in found.items():
        print(f"K = {k}: {np.mean(values):.4f}, expected {expected(k, n):.4f}")
    save(out, "cosine", chosen | {"n": n, "cosines": found}, draw(n, found))


if __name__ == "__main__":
    main()
