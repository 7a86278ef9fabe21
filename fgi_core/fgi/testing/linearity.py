"""Whether a rule is linear in the tangents, as a derivative is; and a mode in which that is asked.

rule(x, a t + b s) = a rule(x, t) + b rule(x, s),   rule(x, 0) = 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend.protocol import Backend
from ..backend.trees import leaves as tree_leaves, rebuilt
from ..injection.custom_jvp import CustomJVP, first_backend

__all__ = ["assert_linear", "checking"]

Rule = Callable[[tuple[Any, ...], tuple[Any, ...]], Any]


def assert_linear(
    rule: Rule | CustomJVP, primals: tuple[Any, ...], *, seed: int = 0, rtol: float | None = None
) -> None:
    """Check that ``rule(primals, tangents)`` is linear in the tangents.

        rule(x, 0) = 0,   rule(x, c t) = c rule(x, t),   rule(x, t + s) = rule(x, t) + rule(x, s)

    ``primals`` are the arguments, in nested tuples, lists and dicts, of any framework; the tangents
    are drawn from a normal distribution. ``rtol`` is relative to the largest number of each result;
    without it, the square root of the dtype's eps.

    Errors: AssertionError naming the equation that does not hold, and the numbers; TypeError where
    no argument is an array.
    """
    if isinstance(rule, CustomJVP):
        rule = rule.rule
    if not isinstance(primals, tuple):
        primals = (primals,)
    leaves = list(tree_leaves(primals))
    xp = first_backend(leaves)
    rng = np.random.default_rng(seed)

    def draw() -> list[Any]:
        # Numbers that 8 bits hold, so that their sums and doubles are exact.
        return [
            rng.integers(-16, 17, tuple(x.shape)) / 8 if _floating(xp, x) else None for x in leaves
        ]

    def call(tangents: list[Any]) -> list[Any]:
        made = [
            None if t is None else xp.astype(xp.asarray(np.asarray(t, np.float32)), x.dtype)
            for t, x in zip(tangents, leaves, strict=True)
        ]
        result = rule(primals, rebuilt(primals, iter(made)))
        return [_numpy(xp, leaf) for leaf in tree_leaves(result)]

    def times(factor: float, tangents: list[Any]) -> list[Any]:
        return [None if t is None else factor * t for t in tangents]

    name = getattr(rule, "__name__", type(rule).__name__)
    t, s = draw(), draw()
    both = [None if a is None else a + b for a, b in zip(t, s, strict=True)]
    of_t, of_s = call(t), call(s)
    equations: list[tuple[str, list[Any], list[Any]]] = [
        ("rule(x, 0) = 0", call(times(0, t)), [None if v is None else 0 * v for v in of_t]),
        *(
            (f"rule(x, {c:g} t) = {c:g} rule(x, t)", call(times(c, t)), times(c, of_t))
            for c in (2.0, -1.0, 0.25)
        ),
        (
            "rule(x, t + s) = rule(x, t) + rule(x, s)",
            call(both),
            [None if a is None else a + b for a, b in zip(of_t, of_s, strict=True)],
        ),
    ]
    eps = max(_eps(xp, x) for x in leaves if _floating(xp, x))
    rtol = eps**0.5 if rtol is None else rtol
    for equation, left, right in equations:
        for i, (got, wanted) in enumerate(zip(left, right, strict=True)):
            if got is None or wanted is None or not got.size:
                continue
            scale = max(float(np.max(np.abs(of))) for of in (got, wanted, of_t[i], of_s[i]))
            off = np.abs(got - wanted)
            if not np.all(off <= rtol * scale):
                at = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
                result = f"result {i} of " if len(left) > 1 else ""
                raise AssertionError(
                    f"fgi.testing.assert_linear: {name} is not linear in the tangents: {equation} "
                    f"does not hold; {result}the left is {got.flat[at]}, the right "
                    f"{wanted.flat[at]} at element {at}; expected a rule without constants, "
                    f"powers, absolute values or conditions of the tangents"
                )


def _floating(xp: Backend, leaf: Any) -> bool:
    return isinstance(leaf, xp.Array) and leaf.dtype in xp.floating


def _numpy(xp: Backend, leaf: Any) -> np.ndarray[Any, Any] | None:
    return np.asarray(xp.to_numpy(leaf)).astype(np.float64) if _floating(xp, leaf) else None


def _eps(xp: Backend, leaf: Any) -> float:
    return float(xp.finfo(leaf.dtype).eps)


@contextmanager
def checking() -> Iterator[None]:
    """Inside the block every ``fgi.custom_jvp`` that is called checks its rule for linearity.

    At the point of the call, with tangents from ``assert_linear``, in eager code; what a compiler
    traces has no numbers to look at, and is not checked.

    Errors, at the call: AssertionError as in ``assert_linear``.
    """
    before = CustomJVP.watcher
    CustomJVP.watcher = staticmethod(_inspect)
    try:
        yield
    finally:
        CustomJVP.watcher = before


def _inspect(rule: Rule, points: tuple[Any, ...]) -> None:
    xp = first_backend(list(tree_leaves(points)))
    if not all(_concrete(xp, leaf) for leaf in tree_leaves(points)):
        return
    before, CustomJVP.watcher = CustomJVP.watcher, None  # a rule may call another
    try:
        assert_linear(rule, points)
    finally:
        CustomJVP.watcher = before


def _concrete(xp: Backend, leaf: Any) -> bool:
    if not isinstance(leaf, xp.Array):
        return True
    try:
        xp.to_numpy(leaf)
    except Exception:
        return False
    return True
