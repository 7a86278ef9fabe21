"""Where a slope has a kink or a jump: derivatives beyond the first are 0, in every framework.

One rule for ``order=k`` and for ``through="primitive"``. Kinks are found in the equation of the
docstring, by its one-sided derivatives in 60 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import fgi
from fgi.parameters import is_number
from support import catalogue, exact, frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF

Function = Callable[[Any], Any]


@cache
def kinks(spike: Any) -> tuple[float, ...]:
    """Those among the numbers that the surrogate's parameters may make special."""
    equation, h = exact.Exact(spike), mpf(10) ** -20
    found = []
    with mp.workdps(60):
        for x in np.unique(catalogue.sample(spike)):
            at = mpf(float(x))
            far, left, middle, right, end = (
                equation.at_once("g'(x)", at + k * h) for k in (-2, -1, 0, 1, 2)
            )
            size = max(map(abs, (far, left, middle, right, end)))
            before, after = left - far, end - right
            steep, bend = abs(before) + abs(after), abs(before - after)
            gap = max(abs(left - middle), abs(right - middle))
            # Where all is smooth, a bend is h^2 and the others h times a derivative, which may be 0.
            bends = bend > size * mpf(10) ** -30 and bend > steep * mpf(10) ** -9
            if bends or gap > size * mpf(10) ** -9 + 10 * steep:
                found.append(float(x))
    return tuple(found)


S = fgi.surrogates
# Whose kinks are numbers with few digits, and a peak beside the jump.
ROUND = [
    S.HardTanhSpike(beta=2.0),
    S.FakeNumericalGradient(alpha=0.5),
    S.SparseFastSigmoid(alpha=2.0, bound=-1.0),
    S.FakeQuantize(scale=1.0, lowest=-2, highest=1),
]
EVERY = [*catalogue.ALL, *ROUND]
KINKED = [spike for spike in EVERY if kinks(spike)]
SMOOTH = [spike for spike in EVERY if 0.0 not in kinks(spike)]


def test_which_are_kinked() -> None:
    """The search finds what is known to be there, and nothing in what is smooth."""
    found = {type(spike).__name__: kinks(spike) for spike in catalogue.DEFAULTS}
    assert found["Triangle"] == (-1.0, 0.0, 1.0)
    assert found["Exponential"] == found["FastSigmoid"] == found["Reciprocal"] == (0.0,)
    assert found["LogTailedReLU"] == (0.0, 1.0)
    assert found["Rectangle"] == (-0.5, 0.5)
    assert found["PeriodicExponential"] == (1.0, 1.5, 2.0, 2.5, 3.0)
    for name in ("Gaussian", "ATan", "Sigmoid", "SwishSign", "Circular", "Softplus"):
        assert found[name] == ()
    assert [kinks(spike) for spike in ROUND] == [(-0.5, 0.5), (-2.0, 2.0), (-1.0, 0.0), (-2.5, 1.5)]


def reverse(f: Function) -> Function:
    def derivative(x: Any) -> Any:
        y, pullback = fgi.vjp(f, x)
        return pullback(3 * fgi.namespace(y).ones_like(y))[0]

    return derivative


def forward(f: Function) -> Function:
    return lambda x: fgi.jvp(f, (x,), (3 * fgi.namespace(x).ones_like(x),))[1]


WAYS: dict[str, Callable[[int], list[Callable[[Function], Function]]]] = {
    "reverse over reverse": lambda k: [reverse] * k,
    "forward over reverse": lambda k: [reverse, *[forward] * (k - 1)],
    "forward over forward": lambda k: [forward] * k,
}


def derivatives(framework: str, way: str, k: int, spikes: list[Any], rows: Any) -> Any:
    """The k-th derivative of each surrogate at its row, without the factors of 3."""

    def bank(x: Any) -> Any:
        return fgi.namespace(x).stack([spike(x[i]) for i, spike in enumerate(spikes)])

    f: Function = bank
    for d in WAYS[way](k):
        f = d(f)
    return frameworks.to_numpy(framework, f(frameworks.to_framework(framework, rows))) / 3.0**k


def rows_of(spikes: list[Any]) -> np.ndarray[Any, Any]:
    longest = max(len(kinks(spike)) for spike in spikes)
    return np.array([np.resize(kinks(spike), longest) for spike in spikes])


PRIMITIVE = [
    spike for spike in KINKED if type(spike).antiderivative is not fgi.Surrogate.antiderivative
]
MODES: dict[str, tuple[list[Any], Callable[[Any], Any], tuple[int, ...]]] = {
    "order 2": (KINKED, lambda s: s.replace(order=2), (2,)),
    "order 4": (KINKED[::4], lambda s: s.replace(order=4), (2, 3)),
    "primitive": (PRIMITIVE, lambda s: s.replace(through="primitive"), (2,)),
    "primitive, third": (PRIMITIVE[::4], lambda s: s.replace(through="primitive"), (3,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_beyond_the_first_they_are_zero(framework: str, way: str, mode: str, dtype: str) -> None:
    spikes, make, orders = MODES[mode]
    rows = rows_of(spikes).astype(dtype)
    if dtype == "float32":
        # What is a kink in float64 need not be one of its numbers.
        if mode not in ("order 2", "primitive"):
            pytest.skip("in float64")
        rows = np.where(rows == rows_of(spikes), rows, 0.3)
    with np.errstate(all="ignore"):
        got = {k: derivatives(framework, way, k, [make(s) for s in spikes], rows) for k in (1, *orders)}
    at_kink = rows == rows_of(spikes)
    for k in orders:
        wrong = (got[k] != 0) & at_kink
        assert not wrong.any(), [
            (k, spikes[i], rows[i, j], got[k][i, j]) for i, j in np.argwhere(wrong)
        ]
    # And the first is the slope.
    slopes = np.array(
        [[float(exact.Exact(s)("g'(x)", mpf(float(v)))) for v in row] for s, row in zip(spikes, rows)]
    )
    np.testing.assert_allclose(got[1][at_kink], slopes[at_kink], rtol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("framework", AUTODIFF)
def test_what_is_smooth_at_zero_has_its_derivatives_there(framework: str) -> None:
    """Many are written in |x|, which has none: by hand of the equation, in 60 digits."""
    asked = [spike.replace(order=4) for spike in SMOOTH]
    rows = np.zeros((len(asked), 1))
    for k in (2, 3, 4):
        got = derivatives(framework, "reverse over reverse", k, asked, rows)
        with mp.workdps(60):
            wanted = np.array(
                [
                    [float(mp.diff(lambda t, e=exact.Exact(s): e.at_once("g'(x)", t), mpf(0), k - 1))]
                    for s in SMOOTH
                ]
            )
        # Of a derivative that vanishes, relative to what it is made of.
        alpha = np.array([[max(map(abs, filter(is_number, s.parameters.values())))] for s in SMOOTH])
        wrong = ~(np.abs(got - wanted) <= 1e-9 * np.abs(wanted) + 1e-13 * alpha**k)
        assert not wrong.any(), [
            (k, SMOOTH[i], got[i, j], wanted[i, j]) for i, j in np.argwhere(wrong)
        ]
