"""Random numbers: their distribution, their dtype, and that a key gives the same ones again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .case import case
from .probe import Probe

__all__: list[str] = []

N = 20000

DISTRIBUTION: dict[str, Any] = {
    "uniform": lambda u: u,
    "normal": np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[np.float64]),
}


def _drawn(p: Probe, got: Any, shape: tuple[int, ...], quantity: str) -> Any:
    wide = "float64" if p.dtype == "float64" else "float32"
    return p.numbers(got, shape, quantity, p.xp.dtype(wide))


@case("distribution", *DISTRIBUTION)
def distribution(p: Probe, function: str) -> None:
    draw = getattr(p.xp, function)
    again, other = p.keys(1), p.keys(2)
    for i, key in enumerate(p.keys(1)):
        p.require(isinstance(key, p.xp.Key), "key", f"a {type(key).__name__} is no Key")
        x = p.into(np.full((2, N // 2), np.nan))
        v = _drawn(p, draw(key, x), (2, N // 2), f"key {i}")
        if v is None:
            continue
        if function == "uniform":
            inside = bool(((v >= 0) & (v < 1)).all())
            p.require(inside, f"key {i}", f"from {v.min()} to {v.max()}; expected [0, 1)")
        # Kolmogorov and Smirnov: beyond 2 / sqrt(n) by chance once in 1500 times.
        below = DISTRIBUTION[function](np.sort(v, axis=None))
        distance = float(np.abs(below - (np.arange(N) + 0.5) / N).max())
        p.require(distance < 2 / math.sqrt(N), f"key {i}", f"another distribution: {distance:.3g}")
        repeated = len(np.unique(v)) <= 0.99 * N
        p.require(not repeated, f"key {i}", "numbers are repeated")
        related = float(np.abs(np.corrcoef(v)[0, 1]))
        p.require(related < 5 / math.sqrt(N / 2), f"key {i}", f"rows are related: {related:.3g}")
        same = np.array_equal(np.asarray(p.xp.to_numpy(draw(again[i], x)), np.float64), v)
        p.require(same, f"key {i}", "the same seed gives other numbers")
        differ = np.mean(np.asarray(p.xp.to_numpy(draw(other[i], x)), np.float64) != v)
        p.require(bool(differ > 0.99), f"key {i}", "another seed gives the same numbers")


@case("dtype and shape", *DISTRIBUTION)
def shapes(p: Probe, function: str) -> None:
    for key in p.keys(3):
        for shape in [(), (0, 2), (2, 1, 3)]:
            _drawn(p, getattr(p.xp, function)(key, p.into(np.ones(shape))), shape, f"{shape}")
    if function == "normal":
        for key in p.keys(3):
            for shape, batch in [((), (3,)), ((0, 2), (2, 1)), ((2, 3), (4,))]:
                got = p.xp.normal(key, p.into(np.ones(shape)), batch=batch)
                _drawn(p, got, (*batch, *shape), f"batch {batch} of {shape}")


@case("independence", "split", dtypes=("float32",))
def independence(p: Probe) -> None:
    x = p.into(np.ones(N))
    for key, again in zip(p.keys(4), p.keys(4), strict=True):

        def normal(key: Any) -> Any:
            return np.asarray(p.xp.to_numpy(p.xp.normal(key, x)), np.float64)

        parts = p.xp.split(key, 3)
        p.require(len(parts) == 3, "count", f"{len(parts)} keys; expected 3")
        drawn = [normal(part) for part in parts]
        if parts[0] is not key:  # no state, so that it can be drawn from once more
            drawn.append(normal(key))
            p.require(np.array_equal(normal(key), drawn[-1]), "key", "a key gives other numbers")
        related = float(np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max())
        p.require(related < 5 / math.sqrt(N), "numbers", f"the keys are related: {related:.3g}")
        first = normal(p.xp.split(again, 3)[0])
        p.require(np.array_equal(first, drawn[0]), "numbers", "the same key splits differently")
