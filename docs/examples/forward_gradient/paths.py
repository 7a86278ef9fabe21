"""Forward-gradient descent against gradient descent on the functions of Beale and of Rosenbrock.

    python docs/examples/forward_gradient/paths.py --backend torch

    x <- x - rate (grad f(x) . v) v,   v ~ N(0, I)          against          x <- x - rate grad f(x)

Ten runs from one point, batched by ``fgi.vmap``; one definition for every framework, in float64.
The rates and starting points are this example's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import Numpy, arrays, namespace, options, save

import fgi


def beale(p: Any) -> Any:
    x, y = p[..., 0], p[..., 1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def rosenbrock(p: Any) -> Any:
    x, y = p[..., 0], p[..., 1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


@dataclass(frozen=True)
class Problem:
    f: Callable[[Any], Any]
    start: tuple[float, float]
    rate: float
    minimum: tuple[float, float]
    box: tuple[float, float, float, float]
    """What the picture shows: x from, to, y from, to."""


PROBLEMS = {
    "Beale": Problem(beale, (1.0, -1.0), 0.01, (3, 0.5), (-0.5, 4.5, -1.6, 1.6)),
    "Rosenbrock": Problem(rosenbrock, (-1.0, 0.5), 5e-4, (1, 1), (-1.6, 1.6, -0.6, 1.8)),
}


def descend(
    problem: Problem, *, backend: str, steps: int, runs: int, seed: int
) -> tuple[Numpy, Numpy]:
    """Points (steps + 1, runs, 2) of forward-gradient descent, and (steps + 1, 2) of descent."""
    xp = namespace(backend)
    f, rate = problem.f, problem.rate
    forward = fgi.compile(fgi.vmap(lambda x, v: x - rate * fgi.forward_gradient(f, x, v)[1]))
    reverse = fgi.compile(lambda x: x - rate * fgi.grad(f)(x))
    rng = np.random.default_rng(seed)
    with xp.double_precision():
        x = arrays(xp, np.array([problem.start] * runs), "float64")
        y = x[0]
        xs, ys = [xp.to_numpy(x)], [xp.to_numpy(y)]
        for _ in range(steps):
            x = forward(x, arrays(xp, rng.normal(size=(runs, 2)), "float64"))
            y = reverse(y)
            xs.append(xp.to_numpy(x))
            ys.append(xp.to_numpy(y))
    return np.stack(xs), np.stack(ys)


def draw(results: dict[str, tuple[Numpy, Numpy]]) -> Any:
    figure, axes = plt.subplots(2, len(results), figsize=(10, 8), height_ratios=(3, 2))
    for (above, below), (name, (forward, reverse)) in zip(axes.T, results.items(), strict=True):
        problem = PROBLEMS[name]
        left, right, bottom, top = problem.box
        grid = np.stack(
            np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200)), axis=-1
        )
        height = np.log10(problem.f(grid) + 1e-3)
        above.contour(grid[..., 0], grid[..., 1], height, 24, cmap="Greys", linewidths=0.6)
        for run in range(forward.shape[1]):
            above.plot(*forward[:, run].T, color="C0", linewidth=0.7, alpha=0.5)
        above.plot([], [], color="C0", label=f"forward gradient, {forward.shape[1]} runs")
        above.plot(*reverse.T, color="C1", linewidth=1.5, label="backpropagation")
        above.plot(*problem.start, "ko", markersize=4)
        above.plot(*problem.minimum, "k*", markersize=9)
        above.set(title=f"{name}, rate {problem.rate:g}", xlim=(left, right), ylim=(bottom, top))
        above.legend(loc="lower right", fontsize=8)

        below.plot(problem.f(forward), color="C0", linewidth=0.5, alpha=0.4)
        below.plot(problem.f(forward).mean(axis=1), color="C0", linewidth=1.5, label="their mean")
        below.plot(problem.f(reverse), color="C1", linewidth=1.5)
        below.set(yscale="log", xlabel="step", ylabel="f")
        below.legend(fontsize=8)
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--runs", type=int, default=10)
    chosen = vars(parser.parse_args(arguments))
    out = chosen.pop("out")
    results = {name: descend(problem, **chosen) for name, problem in PROBLEMS.items()}
    content: dict[str, Any] = dict(chosen)
    for name, (forward, reverse) in results.items():
        f = PROBLEMS[name].f
        content[name] = {
            "start": PROBLEMS[name].start,
            "rate": PROBLEMS[name].rate,
            "at the start": float(f(forward[0, 0])),
            "forward gradient": f(forward[-1]).tolist(),
            "backpropagation": float(f(reverse[-1])),
        }
        print(name, "forward", np.mean(content[name]["forward gradient"]), "backpropagation",
              content[name]["backpropagation"])  # fmt: skip
    save(out, "paths", content, draw(results))


if __name__ == "__main__":
    main()
