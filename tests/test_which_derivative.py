"""docs/derivatives.md: every cell of its tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import fgi
from fgi.surrogates import ATan
from support.frameworks import INSTALLED_AUTODIFF, to_framework, to_numpy

PAGE = (Path(__file__).parents[1] / "docs" / "derivatives.md").read_text()
X = np.array([-1.25, -0.375, 0.625, 2.0])
A = 1.5
every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)


def table(name: str) -> list[list[str]]:
    """The rows below the head, each as its cells."""
    _, body, _ = re.split(rf"<!-- /?{name} -->\n", PAGE)
    _, _, *rows = body.strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [[code.strip("`"), *rest] for code, *rest in cells]


def forward(f: Callable[..., Any], argument: int = 0) -> Callable[..., Any]:
    def derivative(*args: Any) -> Any:
        tangents = [fgi.namespace(a).zeros_like(a) for a in args]
        tangents[argument] = fgi.namespace(args[argument]).ones_like(args[argument])
        return fgi.jvp(f, args, tuple(tangents))[1]

    return derivative


def reverse(f: Callable[..., Any], argument: int = 0) -> Callable[..., Any]:
    def derivative(*args: Any) -> Any:
        y, pullback = fgi.vjp(f, *args)
        return pullback(fgi.namespace(y).ones_like(y))[argument]

    return derivative


WAYS = (
    (reverse, reverse, reverse),
    (reverse, forward, forward),
    (forward, forward, forward),
    (forward, reverse, reverse),
)


def normal(order: int) -> np.ndarray[Any, Any]:
    """The derivative of that order of the normal distribution function, at each x."""
    with mp.workdps(40):
        return np.array([float(mp.diff(mp.ncdf, mpf(x), order)) for x in X])


def cell(text: str) -> np.ndarray[Any, Any]:
    """What a cell of the first table says."""
    named = {"f": (X > 0) * 1.0, "round": np.round(X), "0": 0 * X, "1": 0 * X + 1}
    if text in named:
        return named[text]
    factor, _, g = text.rpartition(" ")
    top, bottom = factor.split("/") if factor else (1, 1)
    assert g.rstrip("'") == "g"
    return np.asarray(int(top) / int(bottom) * normal(g.count("'")))


def gaussian(framework: str) -> dict[str, Any]:
    spike = fgi.surrogates.Gaussian(height=(2 * np.pi) ** -0.5)
    f, g1 = fgi.heaviside, spike.derivative
    rule = eval("lambda p, t: g1(p[0]) * t[0]", {"g1": g1})
    return {"fgi": fgi, "spike": spike, "f": f, "g": spike.primitive, "g1": g1, "rule": rule}


@pytest.mark.parametrize("row", table("by the input"), ids=lambda row: row[0])
@every_framework
def test_by_the_input(framework: str, row: list[str]) -> None:
    code, *cells = row
    x = to_framework(framework, X)
    y = eval(f"lambda x: {code}", gaussian(framework))
    for way in WAYS:
        f = y
        for k, text in enumerate(cells):
            if k:
                f = way[k - 1](f)
            got = to_numpy(framework, f(x))
            np.testing.assert_allclose(got, cell(text), rtol=1e-11, atol=1e-15, err_msg=text)


def g(x: Any, a: Any) -> Any:
    return mp.atan(mp.pi / 2 * a * x) / mp.pi + mp.mpf(1) / 2


def parameter_cell(text: str) -> np.ndarray[Any, Any]:
    """What a cell of the second table says."""
    if text in ("f", "0"):
        return cell(text)
    top = text.removesuffix("/da").removeprefix("d") if text.endswith("/da") else text
    orders = (top.count("'"), int(text.endswith("/da")))
    with mp.workdps(40):
        return np.array([float(mp.diff(g, (mpf(x), mpf(A)), orders)) for x in X])


@pytest.mark.parametrize("row", table("by a parameter"), ids=lambda row: row[0])
@every_framework
def test_by_a_parameter(framework: str, row: list[str]) -> None:
    code, *cells = row
    x, a = to_framework(framework, X), to_framework(framework, np.full(4, A))
    names = {
        "fgi": fgi,
        "ATan": ATan,
        "f": fgi.heaviside,
        "g": lambda x, a: ATan(alpha=a).primitive(x),
        "g1": lambda x, a: ATan(alpha=a).derivative(x),
    }
    y = eval(f"lambda x, a: {code}", names)
    for first, second in ((reverse, reverse), (reverse, forward), (forward, forward)):
        along_x = first(y, 0)
        functions = (y, along_x, first(y, 1), second(along_x, 1))
        for function, text in zip(functions, cells, strict=True):
            got = to_numpy(framework, function(x, a))
            np.testing.assert_allclose(
                got, parameter_cell(text), rtol=1e-11, atol=1e-15, err_msg=text
            )


def test_a_cell_that_is_wrong_is_noticed() -> None:
    with pytest.raises(AssertionError):
        test_by_the_input(INSTALLED_AUTODIFF[0], ["spike(x)", "f", "g'", "g''", "0"])
    with pytest.raises(AssertionError):
        test_by_a_parameter(INSTALLED_AUTODIFF[0], ["ATan(alpha=a)(x)", "f", "g'", "dg/da", "0"])


def test_the_rule_of_the_page_is_the_one_that_is_tested() -> None:
    assert "`lambda p, t: g1(p[0]) * t[0]`" in PAGE
    assert "`fgi.surrogates.Gaussian(height=(2 * pi) ** -0.5)`" in PAGE
