"""The time loop: ``jax.lax.scan``, nested and checkpointed where steps are to be recomputed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["compiles_loops", "scan"]

Step = Callable[[Any, Any], tuple[Any, Any]]

compiles_loops = True


def scan(
    step: Step,
    carry: Any,
    xs: Any,
    *,
    unroll: int | None,
    checkpoint: int | None,
    segmented: bool,
) -> tuple[Any, Any]:
    """``jax.lax.scan``; with ``checkpoint``, one over segments of another."""

    def segment(carry: Any, xs: Any) -> tuple[Any, Any]:
        if segmented:
            return step(carry, xs)
        carry, ys = jax.lax.scan(step, carry, xs, unroll=unroll or 1)
        return carry, ys

    if checkpoint is None:
        return segment(carry, xs)
    steps = jax.tree.leaves(xs)[0].shape[0]
    whole = steps - steps % checkpoint
    again = jax.checkpoint(segment)
    parts = []
    if whole:
        folded = jax.tree.map(
            lambda x: x[:whole].reshape(whole // checkpoint, checkpoint, *x.shape[1:]), xs
        )
        carry, ys = jax.lax.scan(again, carry, folded)
        parts.append(jax.tree.map(lambda y: y.reshape(whole, *y.shape[2:]), ys))
    if steps > whole:
        carry, ys = again(carry, jax.tree.map(lambda x: x[whole:], xs))
        parts.append(ys)
    return carry, jax.tree.map(lambda *ys: jnp.concatenate(ys), *parts)
