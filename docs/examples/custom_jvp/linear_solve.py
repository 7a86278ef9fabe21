"""The solution of a linear system, by each framework's own solver, with one rule for all.

    A x = b,   x = A^-1 b
    dx = A^-1 (db - dA x)

Shapes: ``A`` is (..., n, n), ``b`` and ``x`` are (..., n, k). ``solve_twice`` has the second
derivatives too: the rule is then differentiated, and with it the framework's own solver.
Source: Giles 2008, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (doi:10.1007/978-3-540-68942-3_4).
"""

from __future__ import annotations

from typing import Any

import fgi


def own_solver(A: Any, b: Any) -> Any:  # noqa: N803
    # Import statements, as torch.compile follows them.
    name = fgi.namespace(A).name
    if name == "torch":
        from torch import linalg
    elif name == "jax":
        from jax.numpy import linalg
    elif name == "tensorflow":
        from tensorflow import linalg
    else:
        from numpy import linalg
    return linalg.solve(A, b)


def rule(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> Any:
    (A, b), (dA, db) = primals, tangents  # noqa: N806
    return own_solver(A, db - dA @ own_solver(A, b))


solve = fgi.custom_jvp(own_solver, rule)
solve_twice = fgi.custom_jvp(own_solver, rule, order=2)
