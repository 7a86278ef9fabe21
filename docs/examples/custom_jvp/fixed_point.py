"""A fixed point, found by iteration, with the derivative of the equation that it solves.

    x = phi(x, theta)
    dx = (I - dphi/dx)^-1 dphi/dtheta dtheta

The tangent is a fixed point itself, dx = dphi/dx dx + dphi/dtheta dtheta, and is found in the same
way: nothing is differentiated through the steps that found x, and no matrix is made. ``phi`` has
to be a contraction in x. Shapes: ``x`` is shaped like ``start``; ``theta`` is an array.
Source: the implicit function theorem; Christianson 1994 (doi:10.1080/10556789408805572).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fgi


def fixed_point(
    phi: Callable[[Any, Any], Any], start: Any, steps: int = 60, order: int = 1
) -> Callable[[Any], Any]:
    def value(theta: Any) -> Any:
        x = start
        for _ in range(steps):
            x = phi(x, theta)
        return x

    def rule(primals: tuple[Any], tangents: tuple[Any]) -> Any:
        (theta,), (dtheta,) = primals, tangents
        x = value(theta)
        dx = fgi.namespace(x).zeros_like(x)
        for _ in range(steps):
            dx = fgi.jvp(phi, (x, theta), (dx, dtheta))[1]
        return dx

    return fgi.custom_jvp(value, rule, order=order)
