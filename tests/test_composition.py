"""Transforms of transforms, through loops and rematerialisation: the derivatives of the recursion.

Where a composition does not work in a framework, it does not work with the framework's own tanh
either, and the same test says so.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import compositions
from support.compositions import FIRST, PROGRAMS, WAYS, V, by_hand
from support.frameworks import INSTALLED, INSTALLED_AUTODIFF, backend, load, to_framework, to_numpy

Numpy = np.ndarray[Any, Any]
Functions = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]
every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)

SIGMA = 0.8


def spike(order: int) -> Any:
    return fgi.surrogates.Gaussian(sigma=SIGMA, order=order)


def bell(v: Any) -> Any:
    return np.exp(-v * v / (2 * SIGMA**2))


# Value, slope and curvature.
SPIKE: Functions = (lambda v: float(v > 0), bell, lambda v: -v / SIGMA**2 * bell(v))
LINEAR: Functions = (SPIKE[0], bell, lambda v: 0.0)
TANH: Functions = (
    np.tanh,
    lambda v: 1 - np.tanh(v) ** 2,
    lambda v: -2 * np.tanh(v) * (1 - np.tanh(v) ** 2),
)

ALL = frozenset({*FIRST, *(way for ways in WAYS.values() for way in ways)})
TAPES = {"grad of grad", "nested tapes", "one persistent tape", "jacobian of a tape"}
BOTH = ("eager", "compiled")
LACKS: list[tuple[str, tuple[str, ...], set[str] | frozenset[str], tuple[str, ...], str]] = [
    ("jax", ("while loop",), ALL - {"jvp", "jvp of jvp", "jacfwd of jacfwd"}, BOTH,
     "no reverse mode through lax.while_loop; jet has no rule for it"),
    ("jax", ("scan", "rematerialised"), {"jet"}, BOTH, "jet has no rule for it"),
    ("torch", ("rematerialised",), ALL - {"grad", "jvp", "jvp of jvp", "jacfwd of jacfwd",
     "backward of backward", "autograd.functional.hessian", "autograd.functional.hvp"}, ("eager",),
     "torch.func cannot save tensors through hooks, which is how checkpoint works"),
    ("torch", ("loop", "scan", "while loop"), {"jvp of jvp", "linearize of grad",
     "backward of backward", "autograd.functional.hessian", "autograd.functional.hvp"},
     ("compiled",), "torch.compile does not take them"),
    ("tensorflow", ("rematerialised",), ALL - {"grad"}, BOTH,
     "recompute_grad has one derivative, in reverse mode"),
    ("tensorflow", ("while loop",), {"vmap of grad of jvp", "vmap of jvp of grad"}, ("eager",),
     "no forward mode through a loop in a graph"),
    ("tensorflow", ("while loop",), ALL - TAPES - set(FIRST), ("compiled",),
     "no forward mode through a loop in a graph: an error, or zeros, or an error by chance"),
    ("tensorflow", ("scan",), {"accumulator over tape", "tape over accumulator"}, ("compiled",),
     "the same: fgi.jvp unrolls fgi.scan, an accumulator of one's own does not"),
]  # fmt: skip

BY_CHANCE = {"jvp of grad", "jvp of jvp", "vmap of jvp of grad", "accumulator over tape"}
"""Of a while loop in a graph TensorFlow leaves an exception here, which Python sees or not."""

Case = tuple[str, str, str, str]


def lacks(framework: str, program: str, way: str, how: str) -> bool:
    return any(
        framework == name and program in programs and way in ways and how in hows
        for name, programs, ways, hows, _ in LACKS
    )


def table() -> str:
    """What works, for docs/derivatives.md: each cell is the cases of the test below."""
    lines = ["| | " + " | ".join(PROGRAMS) + " |", "| --- " * (1 + len(PROGRAMS)) + "|"]
    for way in (*FIRST, *dict.fromkeys(way for ways in WAYS.values() for way in ways)):
        cells = [_cell(framework, way) for framework in PROGRAMS]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(framework: str, way: str) -> str:
    if way not in (*FIRST, *WAYS[framework]):
        return "-"
    missing = {
        how: [name for name in PROGRAMS[framework] if lacks(framework, name, way, how)]
        for how in BOTH
    }
    if framework == "torch":  # compiled, all of its programs are the loop, which alone is tried
        missing["compiled"] = [name for name in missing["compiled"] if name == "loop"]
    if missing["eager"] == missing["compiled"]:
        missing = {"": missing["eager"]}
    said = [f"{how} {', '.join(names)}".strip() for how, names in missing.items() if names]
    return "yes, but not: " + "; ".join(said) if said else "yes"


@pytest.mark.skipif(set(PROGRAMS) != {"torch", "jax", "tensorflow"}, reason="needs all three")
def test_the_page_says_what_works() -> None:
    page = (Path(__file__).parents[1] / "docs" / "derivatives.md").read_text()
    assert page.split("<!-- by the transform -->\n")[1].split("<!--")[0] == table()


def cases() -> list[Any]:
    """What takes long is for ``make sweep``: all that is compiled, but for the loops that are."""
    found = []
    for framework, programs in PROGRAMS.items():
        for program in programs:
            for way in (*FIRST, *WAYS[framework]):
                for how in BOTH:
                    if framework == "torch" and how == "compiled" and program != "loop":
                        continue  # to torch.compile they are all the same
                    slow = "vmap" in way or "jac" in way or "hessian" in way
                    short = program == ("loop" if framework == "torch" else "scan") and not slow
                    long = how == "compiled" and not short and way not in FIRST
                    long |= framework == "tensorflow" and "vmap" in way and program != "scan"
                    marks = [pytest.mark.sweep] if long else []
                    found.append(pytest.param(framework, program, way, how, marks=marks))
    return found


def wanted(hand: tuple[float, Numpy, Numpy], way: str, got: Numpy) -> Any:
    _, first, second = hand
    if way in FIRST:
        return (first @ V, first)[got.ndim]
    return (V @ second @ V, second @ V, second)[got.ndim]


def right(case: Case, s: Callable[[Any], Any], functions: Functions) -> bool:
    framework, program, way, how = case
    got = compositions.derivative(framework, program, way, s, how == "compiled")
    got = to_numpy(framework, got)
    return np.allclose(got, wanted(by_hand(*functions), way, got), rtol=1e-11, atol=1e-13)


def fails(case: Case, s: Callable[[Any], Any], functions: Functions) -> bool:
    try:
        return not right(case, s, functions)
    except Exception:
        return True


# Said by torch.compile and by torch.func.linearize of themselves.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")
@pytest.mark.parametrize(("framework", "program", "way", "how"), cases())
def test_derivatives_of_a_spiking_neuron(framework: str, program: str, way: str, how: str) -> None:
    case = framework, program, way, how
    if lacks(*case) and case[:2] == ("tensorflow", "while loop") and way in BY_CHANCE:
        for s, functions in ((backend(framework).tanh, TANH), (spike(2), SPIKE)):
            with contextlib.suppress(SystemError):
                assert right(case, s, functions)
    elif lacks(*case):
        assert fails(case, backend(framework).tanh, TANH), "the framework can do it now"
        assert fails(case, spike(2), SPIKE), "fgi can do it"
    else:
        assert right(case, spike(2), SPIKE)


@pytest.mark.parametrize("way", ["grad of jvp", "jvp of grad", "grad of grad"])
@every_framework
def test_at_order_1_the_spike_adds_no_curvature(framework: str, way: str) -> None:
    assert right((framework, "loop", way, "eager"), spike(1), LINEAR)
    # The recursion is linear in w but for the spike: of it there is no second derivative at all.
    _, _, second = by_hand(*LINEAR)
    assert not second.any()


# sum_k c_k s(a_k.w), of which the m-th derivative is sum_k c_k s^(m) a_k a_k ... a_k.
A = np.array([[0.7, -0.4, 0.9], [-1.2, 0.8, 0.3], [0.5, 1.1, -0.6], [0.2, -0.9, 1.3]])
C = np.array([2.0, -1.0, 0.5, 3.0])


def layer(framework: str) -> Callable[[Any], Any]:
    xp = backend(framework)
    a, c = (to_framework(framework, x) for x in (A, C))
    return lambda w: xp.sum(c * spike(4)(xp.sum(a * w, axis=1)))


def slopes(t: Numpy) -> tuple[Numpy, ...]:
    """s' to s'''', with Hermite's polynomials."""
    z = t / SIGMA
    polynomials = (1 + 0 * z, -z, z**2 - 1, 3 * z - z**3)
    return tuple(p * bell(t) / SIGMA**m for m, p in enumerate(polynomials))


@pytest.mark.skipif("jax" not in INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_jet(compiled: bool) -> None:
    """Four derivatives along a line, at once."""
    jax = load("jax")
    from jax.experimental.jet import jet

    f = layer("jax")

    def series(w: Any, v: Any) -> Any:
        return jet(f, (w,), ((v, 0 * v, 0 * v, 0 * v),))

    w, v = (to_framework("jax", x) for x in (compositions.W, V))
    value, found = (jax.jit(series) if compiled else series)(w, v)
    t, along = A @ compositions.W, A @ V
    assert float(value) == C @ (t > 0)
    expected = [np.sum(C * s * along**m) for m, s in enumerate(slopes(t), 1)]
    np.testing.assert_allclose(np.array(found), expected, rtol=1e-12)


@every_framework
def test_the_fourth_derivative(framework: str) -> None:
    """H of v.H v: by the framework's own Hessian, and by four reverse modes."""
    f = layer(framework)
    w, v = (to_framework(framework, x) for x in (compositions.W, V))
    xp = backend(framework)

    def along(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda w: xp.sum(v * fgi.grad(f)(w))

    t = A @ compositions.W
    fourth = A.T @ np.diag(C * slopes(t)[3] * (A @ V) ** 2) @ A
    got = fgi.grad(along(along(along(f))))(w)
    np.testing.assert_allclose(to_numpy(framework, got), fourth @ V, rtol=1e-11)
    if framework != "tensorflow":
        hessian = load("torch").func.hessian if framework == "torch" else load("jax").hessian
        got = hessian(along(along(f)))(w)
        np.testing.assert_allclose(to_numpy(framework, got), fourth, rtol=1e-11)


FORWARD_OVER_FORWARD = """
import tensorflow as tf

def cube(x):
    m = tf.identity(x)
    return (m * m) * m

def second(x):
    one = tf.ones_like(x)
    with tf.autodiff.ForwardAccumulator(x, one) as outer:
        with tf.autodiff.ForwardAccumulator(x, one) as inner:
            y = cube(x)
        dy = inner.jvp(y)
    return outer.jvp(dy)

x = tf.constant(0.7, tf.float64)
print("eager", round(float(second(x)), 6), "function", round(float(tf.function(second)(x)), 6))
"""


@pytest.mark.skipif("tensorflow" not in INSTALLED, reason="tensorflow is not installed")
def test_tensorflow_s_eager_forward_over_forward_is_wrong() -> None:
    """6 x is 4.2. What is traced first for a product is used for others; hence a new process.

    github.com/tensorflow/tensorflow/issues/127753; a compiled function has it right.
    """
    run = subprocess.run(
        [sys.executable, "-c", FORWARD_OVER_FORWARD], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["eager", "2.4", "function", "4.2"]
