"""What fgi promises, of injection and surrogates: value, gradient, order, dtype, shape, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError

from ...backend.dispatch import use_backend
from ...injection.custom_jvp import custom_jvp
from ...injection.functions import bypass, inject, tangent
from ...injection.inference import inference_mode
from ...surrogates import ATan, FastSigmoid, Gaussian, Rectangle, Sigmoid, StraightThrough
from ...transforms.framework import grad, vjp
from ...values.chance import Bernoulli, Logistic
from ...values.rounding import Round
from .. import points
from ..cell import Cell, Settings, has, numbers, of_dtype
from ..compare import Judge, Judgement
from ..modes import GENERIC, generic
from ..precision import PRECISIONS
from ..report import ABSENT, DIFFERS, OK, Row
from ..run import divide, failed, in_mode
from ..subjects import Subject, subjects
from .case import case
from .probe import Probe

__all__ = ["MODES", "SURROGATES", "dtypes", "rows"]

SURROGATES = (
    Gaussian(sigma=0.5),
    ATan(alpha=2.0),
    FastSigmoid(),
    Rectangle(),
    Sigmoid(alpha=4.0, order=2),
    StraightThrough(forward=Round(step=0.25)),
    Sigmoid(forward=Bernoulli(Logistic())),
)
"""A tail, a pole of the parameter, a kink, jumps, an order, a quantiser, chance."""

SLOPE = "slope"
MODES = (SLOPE, *GENERIC)
"""The value and ``derivative(x)``, without a framework's differentiation; then with it."""


def dtypes(xp: Any, mode: str) -> tuple[str, ...]:
    """In which dtypes a mode is run: the numbers of a dtype are looked at in one of them."""
    numbers = "eager" if hasattr(xp, "vjp") else "jvp" if hasattr(xp, "jvp") else SLOPE
    return tuple(PRECISIONS) if mode == numbers else ("float32",)


def rows(xp: Any, mode: str, dtype: str, settings: Settings) -> list[Row]:
    """Every surrogate in one mode and dtype."""
    cell = Cell(xp.name, mode, dtype)
    found = subjects(SURROGATES)
    if not has(xp, dtype):
        return [Row("", **vars(cell), status=ABSENT, reason=f"{xp.name} has no {dtype}")]
    if mode == SLOPE:

        def run(some: Sequence[Subject]) -> list[Row]:
            return [_slope(xp, cell, subject, settings) for subject in some]

        return divide(run, lambda subject, error: failed(subject, cell, error), found)
    return in_mode(xp, generic(xp)[mode], cell, found, settings)


def _slope(xp: Any, cell: Cell, subject: Subject, settings: Settings) -> Row:
    precision, seed = PRECISIONS[cell.dtype], settings.seed
    x = points.row(subject, precision, seed, settings.inputs)
    u = points.upstream(len(x), seed)
    key = points.keys(len(x), seed) if subject.random else None
    judgement = Judgement()
    with use_backend("auto"), xp.double_precision():
        spike = subject.target
        keys = () if key is None else (of_dtype(xp, key, precision),)
        with inference_mode():
            y = numbers(xp, spike(of_dtype(xp, x, precision), *keys))
        inside = np.where(np.isfinite(x), x, 0.0)
        slope = numbers(xp, spike.derivative(of_dtype(xp, inside, precision), *keys))
        dx = u * np.where(np.isfinite(x), slope, 0.0)
        mode = generic(xp)["eager"]
        Judge(xp, cell, mode, subject, settings, seed, x, u, key).judge(y, dx, judgement)
    return Row(
        subject.name,
        **vars(cell),
        status=DIFFERS if judgement.failures else OK,
        ulps=judgement.ulps,
        relative=judgement.relative,
        comparisons=judgement.comparisons,
        failures=tuple(judgement.failures),
    )


def _integers(p: Probe) -> Any:
    return p.xp.asarray(np.array([1, 2], np.int32))


WORDS = "; expected float16, bfloat16, float32 or float64; cast it first"

Call = Callable[[Probe], Any]
ERRORS: dict[str, tuple[Call, type[Exception], str]] = {
    "integers": (
        lambda p: ATan()(_integers(p)),
        TypeError,
        f"ATan: x is an int32 array of shape (2,){WORDS}",
    ),
    "booleans": (
        lambda p: tangent(p.xp.asarray(np.array([True]))),
        TypeError,
        f"fgi.tangent: x is a bool array of shape (1,){WORDS}",
    ),
    "an array of NumPy": (
        lambda p: ATan()([0.5] if isinstance(np.ones(1), p.xp.Array) else np.array([0.5])),
        TypeError,
        "ATan: x is a",
    ),
    "fx of another shape": (
        lambda p: inject(p.into([1.0]), p.into([1.0, 2.0]), 1.0),
        ValueError,
        "fgi.inject: fx is a float32 array of shape (2,) and x is a float32 array of shape (1,); "
        "expected equal shapes",
    ),
    "gx of another shape": (
        lambda p: bypass(p.into([1.0]), p.into([1.0, 2.0])),
        ValueError,
        "fgi.bypass: fx is a float32 array of shape (1,) and gx is a float32 array of shape (2,)",
    ),
}


@case("the same words", *ERRORS, dtypes=("float32",))
def errors(p: Probe, name: str) -> None:
    call, kind, text = ERRORS[name]
    p.raises("error", lambda: call(p), kind, text)


@case("the same words", "a parameter that broadcasts", dtypes=("float32",), needs=("vjp",))
def broadcasts(p: Probe) -> None:
    # Only where a derivative is asked for: otherwise the value alone is computed.
    p.raises(
        "error",
        lambda: ATan(alpha=p.into([[1.0], [2.0]]))(p.into([1.0, 2.0, 3.0])),
        ValueError,
        "ATan: x is a float32 array of shape (3,), alpha makes the result a float32 array of "
        "shape (2, 3); expected the shape of x",
    )


@case("the value alone", "inference_mode", dtypes=("float32",), needs=("vjp",))
def inference(p: Probe) -> None:
    x, u = np.array([-0.5, 0.0, 0.75]), np.array([2.0, -1.0, 4.0])
    # In whatever traces, too: JAX traces to differentiate.
    with inference_mode(traced=True):
        y, pullback = vjp(lambda x: ATan()(x) + 3 * x, p.into(x))
        p.same(y, 3 * x + (x > 0), x)
        p.same(pullback(p.into(u))[0], 3 * u, x, quantity="gradient")


@case("the gradient afterwards", "inference_mode", dtypes=("float32",), needs=("vjp", "compile"))
def compiled_in_inference_mode(p: Probe) -> None:
    """What is compiled inside the block and called after it has its gradient."""
    x, u = np.array([-0.5, 0.0, 2.0]), np.array([2.0, -1.0, 4.0])
    # The backend's own compile: that of fgi keeps a function for each mode.
    run = p.xp.compile(lambda x, u: vjp(lambda x: inject(x, x * x, 3.0), x)[1](u)[0])
    with inference_mode():
        run(p.into(x), p.into(u))
    p.same(run(p.into(x), p.into(u)), 3 * u, x, quantity="gradient")


@case("no derivative", "fgi.grad", dtypes=("float32",))
def no_derivative(p: Probe) -> None:
    if hasattr(p.xp, "vjp"):
        raise AbsentError(f"{p.xp.name} differentiates")
    text = f"fgi.grad: {p.xp.name} has no "
    p.raises("error", lambda: grad(lambda x: x)(p.into([0.5])), TypeError, text)


def _rule(points: Any, tangents: Any) -> Any:
    (x,), (dx,) = points, tangents
    return (x * x + 0.5) * dx


INJECTIONS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "inject": (lambda x, fx: inject(x, fx, lambda x: x * x + 0.5), lambda x: x * x + 0.5),
    "inject, an array": (lambda x, fx: inject(x, fx, x * x + 0.5), lambda x: x * x + 0.5),
    "inject, a number": (lambda x, fx: inject(x, fx, -1.5), lambda x: -1.5),
    "bypass": (lambda x, fx: bypass(fx, x + x), lambda x: 2.0),
    "custom_jvp": (lambda x, fx: custom_jvp(lambda x: fx, _rule)(x), lambda x: x * x + 0.5),
}
"""A function of x and of the value, and the slope; by arithmetic that every dtype does exactly."""


@case("value and slope", *INJECTIONS)
def injections(p: Probe, name: str) -> None:
    f, slope = INJECTIONS[name]
    x = np.array([0.5, -2.5, 3.0, -0.0, np.inf, -np.inf, np.nan])
    fx, u = np.array([1.0, -7.0, 0.0, 2.0, 0.5, -3.0, 4.0]), np.array([2.0, -1, 0.5, 4, -2, 1, 3])
    p.same(f(p.into(x), p.into(fx)), fx, x)
    if not (hasattr(p.xp, "vjp") or hasattr(p.xp, "jvp")):
        return
    y, dx = p.derivative(lambda x: f(x, p.into(fx)), x, u)
    p.same(y, fx, x, quantity="value, differentiated")
    inside = np.isfinite(x)
    expected = np.where(inside, slope(np.where(inside, x, 0.0)) * u, 0)
    p.same(dx, expected, x, zeros=False, quantity="derivative")
