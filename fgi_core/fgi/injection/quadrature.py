"""Gauss-Legendre nodes on [0, 1]: where a slope is asked for derivatives of higher order.

    d * sum_i w_i g'(x0 + s_i d)  =  g(x0 + d) - g(x0)   up to terms of order 2 n + 1 in d

so that n nodes have the derivatives 1 to 2 n of the primitive g at x0, and nobody needs to know g.
"""

from __future__ import annotations

import math

__all__ = ["Nodes", "nodes"]

Nodes = tuple[tuple[float, float], ...]


def nodes(order: int) -> Nodes:
    """(s, w) for each node that derivatives up to ``order`` need: for the first, x0 itself."""
    if order == 1:
        return ((0.0, 1.0),)
    # Counted, for PyTorch's compiler may have made the order a symbol; it takes no integer of that.
    n = 1
    while 2 * n < order:
        n += 1
    return TABLE[n] if n in TABLE else _all(n)


def _all(n: int) -> Nodes:
    return tuple(_node(n, i) for i in range(n))


def _node(n: int, i: int) -> tuple[float, float]:
    """The i-th root of the Legendre polynomial of degree n, and its weight, moved to [0, 1]."""
    x = -math.cos(math.pi * (i + 0.75) / (n + 0.5))
    for _ in range(8):  # Newton's method, which doubles the digits each time
        before, value = 1.0, x
        for k in range(2, n + 1):
            before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
        slope = n * (x * value - before) / (x * x - 1)
        x -= value / slope
    return (1 + x) / 2, 1 / ((1 - x * x) * slope * slope)


# Made here, not where they are used: with dynamic=True PyTorch's compiler takes even math.pi for a
# number that may change, and works for minutes at the roots as expressions of it.
TABLE = {n: _all(n) for n in range(1, 9)}
