"""Equations as the docstrings write them, in Python's notation, in that of mathematics.

g'(x) = a / (1 + abs(x))**2 is g'(x) = \\frac{a}{\\left(1 + \\left|x\\right|\\right)^{2}}.
"""

from __future__ import annotations

import ast
import re

__all__ = ["display"]

SUM, PRODUCT, POWER, ATOM = range(1, 5)
"""How tightly a term holds together."""

GREEK = {"alpha", "beta", "gamma", "sigma", "tau", "mu", "theta", "pi", "lambda"}
FUNCTIONS = {
    **{name: rf"\{name}" for name in ("exp", "log", "sin", "cos", "tanh", "cosh", "max", "min")},
    "atan": r"\arctan",
}
FENCES = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\lfloor ", r" \rfloor"),
    "ceil": (r"\lceil ", r" \rceil"),
}
COMPARISONS = {
    ast.Lt: "<",
    ast.LtE: r"\le",
    ast.Gt: ">",
    ast.GtE: r"\ge",
    ast.Eq: "=",
    ast.NotEq: r"\ne",
    ast.In: r"\in",
}
LEFT = re.compile(r"^(?:dy/d\w+|\w+'*(?:\([\w, ]*\))?) = ")


class UnknownError(Exception):
    """What is no equation, or in words."""


def display(block: str) -> str | None:
    """A block of equations in TeX, one below the other; None where it is none."""
    try:
        lines = [_line(text) for text in _statements(block)]
    except (UnknownError, SyntaxError):
        return None
    return "\n\n".join(f"$$ {line} $$" for line in lines) if lines else None


def _statements(block: str) -> list[str]:
    """An equation goes on over several lines until its brackets are closed."""
    found: list[str] = []
    depth = 0
    for line in block.strip().splitlines():
        if depth == 0:
            found.append(line.strip())
        else:
            found[-1] += " " + line.strip()
        depth += line.count("(") - line.count(")")
    return found


def _line(text: str) -> str:
    left = LEFT.match(text)
    if left is None:
        raise UnknownError
    by = re.fullmatch(r"dy/d(\w+)", left[0].removesuffix(" = "))
    right = _tex(ast.parse(text[left.end() :], mode="eval").body)
    if by:
        return rf"\frac{{\partial y}}{{\partial {_name(by[1])}}} = {right}"
    name = re.match(r"(\w+)('*)", left[0])
    assert name is not None
    inside = re.search(r"\((.*)\)", left[0])
    arguments = f"({', '.join(map(_name, inside[1].split(', ')))})" if inside else ""
    return f"{_name(name[1])}{name[2]}{arguments} = {right}"


def _name(name: str) -> str:
    if name in GREEK:
        return rf"\{name}"
    if name == "inf":
        return r"\infty"
    if numbered := re.fullmatch(r"([a-zA-Z])(\d)", name):
        return f"{numbered[1]}_{numbered[2]}"
    return name if len(name) == 1 else rf"\text{{{name.replace('_', ' ')}}}"


def _in(node: ast.expr, least: int) -> str:
    """The term, in brackets where it holds together less than what is around it."""
    text = _tex(node)
    return text if _binding(node) >= least else rf"\left({text}\right)"


def _binding(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add | ast.Sub):
            return SUM
        return POWER if isinstance(node.op, ast.Pow) else PRODUCT
    if isinstance(node, ast.UnaryOp | ast.IfExp | ast.Compare | ast.BoolOp):
        return SUM
    return ATOM


def _tex(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=int() | float() as number):
            return str(number)
        case ast.Constant(value=str() as word):
            return rf"\text{{{word}}}"
        case ast.Name(id=name):
            return _name(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_in(operand, PRODUCT)}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_in(left, SUM)} + {_in(right, SUM)}"
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return f"{_in(left, SUM)} - {_in(right, PRODUCT)}"
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            second = _in(right, PRODUCT)
            sign = r"\cdot" if second[0].isdigit() or (_number(left) and _number(right)) else r"\,"
            return f"{_in(left, PRODUCT)} {sign} {second}"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return rf"\frac{{{_tex(left)}}}{{{_tex(right)}}}"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base = (
                _in(left, ATOM)
                if not isinstance(left, ast.BinOp)
                else rf"\left({_tex(left)}\right)"
            )
            return f"{base}^{{{_tex(right)}}}"
        case ast.IfExp():
            return _cases(node)
        case ast.Compare(left=left, ops=ops, comparators=others):
            signs = [COMPARISONS[type(op)] for op in ops]
            pairs = zip(signs, map(_tex, others), strict=True)
            return " ".join([_tex(left), *(f"{sign} {term}" for sign, term in pairs)])
        case ast.BoolOp(op=op, values=values):
            word = "and" if isinstance(op, ast.And) else "or"
            return rf" \text{{ {word} }} ".join(map(_tex, values))
        case ast.Tuple(elts=elements):
            return rf"\{{{', '.join(map(_tex, elements))}\}}"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments)
    raise UnknownError


def _number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _call(name: str, arguments: list[ast.expr]) -> str:
    match name, arguments:
        case "sqrt", [x]:
            return rf"\sqrt{{{_tex(x)}}}"
        case "abs" | "floor" | "ceil", [x]:
            opened, closed = FENCES[name]
            return f"{opened}{_tex(x)}{closed}"
        case "sum", [ast.GeneratorExp(elt=term, generators=[over])]:
            match over:
                case ast.comprehension(
                    target=ast.Name(id=i),
                    iter=ast.Call(func=ast.Name(id="range"), args=[first, ast.BinOp(left=last)]),
                    ifs=[],
                ):
                    limits = rf"_{{{i} = {_tex(first)}}}^{{{_tex(last)}}}"
                    return rf"\sum{limits} {_in(term, PRODUCT)}"
            raise UnknownError
    named = name if len(name) == 1 else rf"\operatorname{{{name}}}"
    function = FUNCTIONS.get(name, named)
    return rf"{function}\left({', '.join(map(_tex, arguments))}\right)"


def _cases(node: ast.expr) -> str:
    rows = []
    while isinstance(node, ast.IfExp):
        rows.append(rf"{_tex(node.body)} & {_tex(node.test)}")
        node = node.orelse
    rows.append(rf"{_tex(node)} & \text{{otherwise}}")
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
