"""Numbers in their order, exactly, with the derivative of a sort that is soft.

    y = sort(x), the largest first
    dy = d (P x),   P[i, j] = exp(-|y[i] - x[j]| / tau) / sum_k exp(-|y[i] - x[k]| / tau)

The derivative of a sort is a permutation: each number hears of its own place alone. Through the
soft permutation P it hears of those within about ``tau`` as well. Shape: (..., n).
Source: Prillo and Eisenschlos 2020, SoftSort (arXiv:2006.16038).
"""

from __future__ import annotations

from typing import Any

import fgi


def hard_sort(x: Any) -> Any:
    xp = fgi.namespace(x)
    order, places = xp.argsort(-x), xp.argsort(xp.zeros_like(x))
    permutation = order[..., :, None] == places[..., None, :]
    return xp.sum(xp.where(permutation, x[..., None, :], 0.0), axis=-1)


def soft_sort(x: Any, tau: float) -> Any:
    xp = fgi.namespace(x)
    distance = abs(hard_sort(x)[..., :, None] - x[..., None, :])
    weight = xp.exp(-distance / tau)
    weight = weight / xp.sum(weight, axis=-1, keepdims=True)
    return xp.sum(weight * x[..., None, :], axis=-1)


def sort(x: Any, tau: float = 1.0) -> Any:
    # The derivative is that of a function, so that bypass is enough, and has it in every order.
    return fgi.bypass(hard_sort(x), soft_sort(x, tau))
