"""The equations of a docstring for arrays: the slopes of ``exact``, at a million points at once.

NumPy evaluates the equation twice, in float64 and in long double. Where the two agree far beyond
the precision that is asked for, long double is right. Where they do not, and where a fraction of a
large number is asked for, the equation is evaluated by mpmath as in ``exact``.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np
from mpmath import mpf

from fgi.testing.precision import Precision

from .exact import Exact, equations

Array = np.ndarray[Any, Any]

WIDE = np.dtype(np.longdouble)
SPARE = 2.0**-6
"""The two precisions must agree within this part of an ulp of the dtype."""
PERIODIC = frozenset({"floor", "ceil", "round", "trunc", "sin", "cos"})
LARGE = 2.0 ** (np.finfo(WIDE).nmant - 3)
"""From here on long double has no fraction of x, so that both may lose the same."""


def _reduced(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def of(first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return of


FUNCTIONS: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "log2": np.log2, "sqrt": np.sqrt, "atan": np.arctan,
    "tanh": np.tanh, "cosh": np.cosh, "sin": np.sin, "cos": np.cos,
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
    "abs": np.abs, "sign": np.sign,
    "min": _reduced(np.minimum), "max": _reduced(np.maximum),
    "sum": builtins.sum, "range": builtins.range, "inf": np.inf,
    "_where": np.where, "_and": _reduced(np.logical_and), "_or": _reduced(np.logical_or),
}  # fmt: skip
PI = "3.14159265358979323846264338327950288419716939937510"


class _Elementwise(ast.NodeTransformer):
    """``a if c else b``, ``and``, ``or`` and ``a < b < c`` as functions of arrays."""

    @staticmethod
    def _call(name: str, *arguments: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        return self._call("_where", node.test, node.body, node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        return self._call("_and" if isinstance(node.op, ast.And) else "_or", *node.values)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        places = [node.left, *node.comparators]
        pairs: list[ast.expr] = [
            ast.Compare(left, [op], [right])
            for left, op, right in zip(places[:-1], node.ops, places[1:], strict=True)
        ]
        return pairs[0] if len(pairs) == 1 else self._call("_and", *pairs)


class Equations:
    """The equations of one definition, for arrays: ``Equations(spike)("g'(x)", x)``."""

    def __init__(self, definition: Any) -> None:
        self.parameters = dict(definition.parameters)
        self.helpers: dict[str, tuple[tuple[str, ...] | None, CodeType]] = {}
        self.code: dict[str, CodeType] = {}
        for left, right in equations(type(definition)).items():
            tree = ast.fix_missing_locations(_Elementwise().visit(ast.parse(right, mode="eval")))
            code = compile(tree, f"{type(definition).__name__}: {left}", "eval")
            name, _, arguments = left.rstrip(")").partition("(")
            if "'" in name or "/" in name or left in ("f(x)", "g(x)"):
                self.code[left] = code
            else:
                self.helpers[name] = (tuple(arguments.split(", ")) if arguments else None, code)

    def __contains__(self, left: str) -> bool:
        return left in self.code

    def names(self, left: str) -> set[str]:
        """Every name that the equation needs, through its helpers too."""
        found: set[str] = set()
        waiting = [self.code[left]]
        while waiting:
            code = waiting.pop()
            new = set(code.co_names) - found
            found |= new
            waiting += [self.helpers[name][1] for name in new & set(self.helpers)]
            waiting += [part for part in code.co_consts if isinstance(part, CodeType)]
        return found

    def __call__(self, left: str, x: Array, **more: Any) -> Array:
        """The right side, operation by operation, in the dtype of ``x``."""
        kind = x.dtype.type
        needed = self.names(left)
        scope: dict[str, Any] = {**FUNCTIONS, "pi": kind(PI)}
        for name, value in self.parameters.items():
            scope[name] = kind(value) if isinstance(value, float) else value
        scope |= {"x": x, **more}

        def function(names: tuple[str, ...], code: CodeType) -> Callable[..., Any]:
            return lambda *args: eval(code, {**scope, **dict(zip(names, args, strict=True))})

        later = []
        for name, (arguments, code) in self.helpers.items():
            if arguments:
                scope[name] = function(arguments, code)
            elif name in needed:
                later.append((name, code))
        while later:  # one may need another, in whatever order they are written
            waiting = []
            for name, code in later:
                try:
                    scope[name] = eval(code, scope)
                except NameError:
                    waiting.append((name, code))
            assert len(waiting) < len(later), f"undefined: {waiting}"
            later = waiting
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(eval(self.code[left], scope), x.dtype), x.shape)


class ExactSlope:
    """The exact slope of a surrogate at many points, as long doubles, for judging a dtype.

    A slope beyond the largest number of the dtype counts as the largest.
    """

    def __init__(self, definition: Any, precision: Precision) -> None:
        self.precision = precision
        self.equations, self.exact = Equations(definition), Exact(definition)
        self.periodic = bool(self.equations.names("g'(x)") & PERIODIC)
        self.by_mpmath = 0
        """At how many points mpmath was asked."""

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        """At finite numbers; ``key`` has the random numbers of a slope that is random."""
        more = [{} if key is None else {"u": key.astype(kind)} for kind in (WIDE, np.float64)]
        x = x.astype(WIDE)
        largest = self.precision.largest
        with np.errstate(all="ignore"):
            wide = np.clip(self.equations("g'(x)", x, **more[0]), -largest, largest)
            double = self.equations("g'(x)", x.astype(np.float64), **more[1])
            double = np.clip(double, -largest, largest)
            apart = np.abs(wide - double)
            agree = apart <= SPARE * self.precision.ulp(wide.astype(np.float64))
        if self.periodic:
            agree &= np.abs(x) < LARGE
        doubtful = np.flatnonzero(~agree)
        self.by_mpmath += len(doubtful)
        for i in doubtful:
            random = {} if key is None else {"u": mpf(float(key[i]))}
            found = self.exact("g'(x)", mpf(float(x[i])), **random)
            found = min(max(found, -mpf(largest)), mpf(largest))
            high = float(found)
            wide[i] = WIDE.type(high) + WIDE.type(float(found - mpf(high)))
        return wide

    def around(self, x: Array, step: Array, key: Array | None = None) -> tuple[Array, Array]:
        """The least and the largest exact slope within two steps of ``x``, by half steps."""
        half = step.astype(WIDE) / 2
        found = np.stack([self(x.astype(WIDE) + k * half, key) for k in range(-4, 5)])
        return found.min(axis=0), found.max(axis=0)
