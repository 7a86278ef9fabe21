"""The time loop: Python's own, as MLX has no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from fgi.backend.trees import leaves, map as tree_map

Step = Callable[[Any, Any], tuple[Any, Any]]

# mx.compile unrolls it.
compiles_loops = False


def scan(
    step: Step,
    carry: Any,
    xs: Any,
    *,
    unroll: int | None,
    checkpoint: int | None,
    segmented: bool,
) -> tuple[Any, Any]:
    if segmented:
        return step(carry, xs)
    # ``checkpoint`` is about memory alone, and kept is everything: mx.checkpoint loses the gradient
    # by what ``step`` closes over.
    collected = []
    for t in range(next(leaves(xs)).shape[0]):
        carry, y = step(carry, tree_map(lambda x, t=t: x[t], xs))
        collected.append(y)
    return carry, tree_map(lambda *ys: mx.stack(list(ys)), *collected)
