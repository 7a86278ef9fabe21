"""``fgi.testing.backend_conformance``: our backends pass, each planted fault is found and named."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing
from fgi.injection.expansion import freeze
from fgi.testing import conformance
from support.frameworks import INSTALLED, INSTALLED_AUTODIFF, backend, keys

pytest_plugins = ["pytester"]

MODES = tuple(dict.fromkeys(case.mode for case in conformance.CASES)) + conformance.MODES


def conform(framework: str, **options: Any) -> fgi.testing.Report:
    make = partial(keys, framework)
    return fgi.testing.backend_conformance(backend(framework), keys=make, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framework", INSTALLED)
def test_our_backends_conform(framework: str, mode: str) -> None:
    report = conform(framework, modes=[mode])
    assert not report.told(), str(report)
    absent = {row.subject for row in report.rows if row.status == "absent"}
    if framework in INSTALLED_AUTODIFF:
        # What is asked of those that do not differentiate, and of those with arrays to write to.
        expected = {
            "no derivative": {"fgi.grad"},
            "memory of its own": set() if framework == "torch" else {"copied"},
        }
        assert absent == expected.get(mode, set())
        assert report.ok or absent
    assert report.rows


def test_every_name_of_the_protocol_is_asked_for() -> None:
    asked = {case.subject.partition(",")[0] for case in conformance.CASES}
    # Which are looked at together.
    attributes = {"name", "version", "Array", "Key", "floating", "half", "float32", "mechanisms"}
    attributes |= {"compiles_loops"}
    assert set(conformance.REQUIRED + conformance.AUTODIFF) <= asked | attributes


Change = Callable[[Any], Any]
"""From what is there to what is planted."""


@dataclass(frozen=True)
class Fault:
    name: str
    framework: str
    attribute: str
    change: Change
    subject: str
    """The row that has it."""
    says: str
    """A regular expression that its description fits."""
    modes: tuple[str, ...] | None = None


def flipped(vjp: Any) -> Any:
    def planted(f: Any, *primals: Any) -> Any:
        y, pullback = vjp(f, *primals)
        return y, lambda u: tuple(-g for g in pullback(u))

    return planted


def doubled(jvp: Any) -> Any:
    def planted(f: Any, primals: Any, tangents: Any) -> Any:
        y, dy = jvp(f, primals, tangents)
        return y, 2 * dy

    return planted


def forgetful(scan: Any) -> Any:
    def planted(step: Any, carry: Any, xs: Any, **options: Any) -> Any:
        first = carry
        return scan(lambda _, x: step(first, x), carry, xs, **options)

    return planted


def stuck(compile: Any) -> Any:
    def planted(f: Any) -> Any:
        kept: list[Any] = []

        def call(*args: Any, **named: Any) -> Any:
            kept.append(f(*args, **named))
            return kept[0]

        return call

    return planted


def twin(mechanisms: Any) -> Any:
    def wrong(make: Any) -> Any:
        return lambda value, slope: make(value, lambda x: 0.5 * slope(x))

    return {name: wrong(make) for name, make in mechanisms.items()}


def unguarded(first_order: Any) -> Any:
    """The operations of JAX that give the first order, without a look at where x is not finite."""

    def planted(fx: Any, slope: Any, x: Any) -> Any:
        from fgi_backends.jax.private import PRIMITIVES, Tracer

        if PRIMITIVES is None or not isinstance(x, Tracer):
            return None
        xp = backend("jax")
        scaled = PRIMITIVES.scale(x, xp.stop_gradient(x), lambda d, x: slope(freeze(xp, x)[0]) * d)
        return PRIMITIVES.assume_value(scaled, fx)

    return planted


def always(value: Any) -> Change:
    return lambda _: lambda *args, **named: value


def _nan_at_infinity(erfc: Any) -> Any:
    return lambda x: erfc(x) + 0 * x


DERIVED = ("derivative zero", "eager", "by hand")
FAULTS = (
    Fault("where swapped", "numpy", "where",
          lambda f: lambda c, x, y: f(c, y, x), "where", "value"),
    Fault("where in float64", "numpy", "where",
          lambda f: lambda c, x, y: f(c, x, y).astype(np.float64), "where",
          "the dtype: got a float64"),
    Fault("astype keeps", "numpy", "astype", lambda f: lambda x, dtype: x, "astype",
          "from float64: the dtype: got a float64 array"),
    Fault("astype by float16", "numpy", "astype",
          lambda f: lambda x, dtype: x.astype(np.float16).astype(dtype), "astype",
          "from float32: wrong for positive x alone"),
    Fault("the sign of zero", "numpy", "floor", lambda f: lambda x: f(x) + x.dtype.type(0),
          "floor", "the sign of a zero"),
    Fault("erfc at infinity", "numpy", "erfc", _nan_at_infinity, "erfc",
          "where x is infinite or NaN alone"),
    Fault("erfc as 1 - erf", "numpy", "erfc", lambda f: lambda x: 1 - (1 - f(x)), "erfc",
          "wrong for positive x alone"),
    Fault("half up", "numpy", "round", lambda f: lambda x: np.floor(x + x.dtype.type(0.5)), "round",
          "value"),
    Fault("exp in float32", "numpy", "exp",
          lambda f: lambda x: f(x.astype(np.float32)).astype(x.dtype), "exp", "exp, numpy"),
    Fault("sign of the sine", "numpy", "sin", lambda f: lambda x: -f(x), "sin",
          "the sign is flipped"),
    Fault("tanh is NaN far out", "numpy", "tanh",
          lambda f: lambda x: np.where(abs(x) > 5, np.nan, f(x)).astype(x.dtype), "tanh",
          "value: not finite", ("values",)),
    Fault("maximum without NaN", "numpy", "maximum", lambda f: np.fmax, "maximum", "NaN is lost"),
    Fault("sign of NaN", "numpy", "sign", lambda f: lambda x: np.nan_to_num(f(x)), "sign",
          "NaN is lost"),
    Fault("remainder as C has it", "numpy", "remainder",
          lambda f: lambda x, y: np.fmod(x, np.asarray(y, x.dtype)), "remainder",
          "wrong for negative x alone"),
    Fault("pow by logarithms", "numpy", "pow",
          lambda f: lambda x, y: np.exp(np.asarray(y, x.dtype) * np.log(x)), "pow",
          "another number; [23] ulp pass"),
    Fault("divide by the reciprocal", "numpy", "divide",
          lambda f: lambda x, y: x * (1 / np.asarray(y, x.dtype)), "divide", "another number"),
    Fault("sum in 16 bits", "numpy", "sum",
          lambda f: lambda x, axis: np.add.reduce(x, axis=axis, dtype=x.dtype), "sum",
          "axis 0: another number", ("long",)),
    Fault("mean overflows", "numpy", "mean",
          lambda f: lambda x, axis=None, keepdims=False: np.asarray(
              (np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype) / (x.size if axis is None
               else x.shape[axis])), x.dtype), "mean", "not finite"),
    Fault("argsort has NaN first", "numpy", "argsort",
          lambda f: lambda x, axis=-1: f(np.where(np.isnan(x), -np.inf, x), axis=axis), "argsort",
          "NaN comes last"),
    Fault("stack along the first axis", "numpy", "stack",
          lambda f: lambda xs, axis=0: f(xs), "stack", "axis 1: "),
    Fault("asarray of float32", "numpy", "asarray",
          lambda f: lambda x, dtype=None: f(x, dtype=dtype or np.float32), "asarray",
          "got a float32 array"),
    Fault("a list for an array", "numpy", "to_numpy", lambda f: lambda x: f(x).tolist(),
          "to_numpy", "got a (list|float); expected an array of NumPy"),
    Fault("every shape is the same", "numpy", "same_shape", always(True), "same_shape",
          r"True for \(\) and \(1,\)"),
    Fault("the largest number", "numpy", "finfo",
          lambda f: lambda dtype: types.SimpleNamespace(max=1e30, eps=1e-7), "finfo",
          r"max: got 1e\+30"),
    Fault("uniform from (0, 1]", "numpy", "uniform", lambda f: lambda key, x: 1 - 0 * f(key, x),
          "uniform", r"expected \[0, 1\)"),
    Fault("normal without its tails", "numpy", "normal",
          lambda f: lambda key, x, batch=(): np.clip(f(key, x, batch=batch), -1, 1), "normal",
          "another distribution"),
    Fault("split gives one key", "jax", "split", lambda f: lambda key, count: [key] * count,
          "split", "the keys are related|differ", ("independence",)),
    Fault("a member is missing", "numpy", "erfc", lambda f: None, "arrays",
          "members: has no erfc, beside float32, half, abs"),
    Fault("half has float32", "numpy", "half", lambda f: (*f, np.dtype("float32")), "arrays",
          "half: has float32, which is not of 16 bits"),
    Fault("the stop gradient is forgotten", "torch", "stop_gradient", lambda f: lambda x: x,
          "stop_gradient", "derivative of x sg.x., which is sg.x.", DERIVED),
    Fault("on the tape twice", "torch", "keep_on_tape", lambda f: lambda d: f(d) + d,
          "keep_on_tape", "derivative: another number", ("derivative one",)),
    Fault("step in turns", "numpy", "step", lambda f: lambda x, y, at_zero=0: f(y + 0 * x, x),
          "step", "threshold"),
    Fault("step counts what is equal", "torch", "step",
          lambda f: lambda x, y, at_zero=0: f(x, y, at_zero=1), "step", "at_zero 0"),
    Fault("no derivative of the value", "torch", "assume_value", lambda f: lambda y, fx: fx,
          "assume_value", "derivative, plain: another number", ("derivative kept",)),
    Fault("the first order has another value", "jax", "first_order",
          lambda f: lambda fx, slope, x: f(0 * fx, slope, x), "first_order",
          "value, plain: ", ("first order",)),
    Fault("the first order twice", "torch", "first_order",
          lambda f: lambda fx, slope, x: f(fx, lambda x: 2 * slope(x), x),
          "first_order", "derivative, plain: another number", ("first order",)),
    Fault("the first order at infinity", "jax", "first_order", unguarded,
          "first_order", "derivative, plain: where x is infinite or NaN alone",
          ("first order",)),
    Fault("a copy that is none", "torch", "copied", lambda f: lambda x: x, "copied",
          "the array that was copied: another number", ("memory of its own",)),
    Fault("a compiler that is not seen", "jax", "is_traced", always(False), "is_traced",
          "inside: False in a function that is compiled", ("knows a compiler",)),
    Fault("the reciprocal of a neighbour", "numpy", "reciprocal",
          lambda f: lambda x: f(np.nextafter(x, x.dtype.type(9))), "reciprocal",
          "another number|the sign"),
    Fault("a mode that stays", "jax", "is_traced", always(False), "inference_mode",
          "gradient: ", ("the gradient afterwards",)),
    Fault("where stops the gradient", "torch", "where",
          lambda f: lambda c, x, y: f(c, x, y).detach(), "where", "by argument 0", ("reverse",)),
    Fault("a tie goes to the first", "torch", "maximum",
          lambda f: lambda x, y: backend("torch").where(x >= y, x, y), "maximum",
          "reverse, plain, by argument 0: another number", ("ties in reverse",)),
    Fault("a tie goes to the second, by row", "torch", "minimum",
          lambda f: lambda x, y: f(x, y) if x.shape else backend("torch").where(x < y, x, y),
          "minimum", "reverse, by row, by argument 1: another number", ("ties in reverse",)),
    Fault("abs has a slope at 0", "torch", "abs",
          lambda f: lambda x: backend("torch").where(x < 0, -x, x), "abs",
          "forward, plain, by argument 0: at x = 0 alone", ("ties in forward mode",)),
    Fault("vjp has the wrong sign", "torch", "vjp", flipped, "tanh", "the sign is flipped",
          ("reverse",)),
    Fault("jvp twice", "torch", "jvp", doubled, "ATan", "gradient: scaled by 2", ("jvp",)),
    Fault("grad forgets argnums", "torch", "grad",
          lambda f: lambda g, argnums=0: f(g), "grad", "by argument 1", ("by hand",)),
    Fault("value_and_grad forgets the rest", "torch", "value_and_grad",
          lambda f: lambda g, argnums=0, has_aux=False: f(
              lambda *a: g(*a)[0] if has_aux else g(*a), argnums=argnums), "value_and_grad",
          "error", ("by hand",)),
    Fault("vmap runs once", "torch", "vmap", lambda f: lambda g: g, "vmap", "", ("by hand",)),
    Fault("scan forgets the carry", "torch", "scan", forgetful, "scan", "the carry, plain",
          ("by hand",)),
    Fault("compile keeps its first result", "torch", "compile", stuck, "compile",
          r"of shape \(3,\)", ("by hand",)),
    Fault("no derivative is asked for", "torch", "may_differentiate", always(False), "ATan",
          "gradient: the gradient is lost", ("eager",)),
    Fault("the mechanism has half the slope", "torch", "mechanisms", twin, "ATan",
          "native twin: scaled by 2", ("eager",)),
    Fault("shapes are not compared", "torch", "same_shape", always(True),
          "a parameter that broadcasts", "nothing is raised", ("the same words",)),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_named(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault.framework not in INSTALLED:
        pytest.skip(f"{fault.framework} is not installed")
    module = backend(fault.framework)
    planted = fault.change(getattr(module, fault.attribute))
    if planted is None:
        monkeypatch.delattr(module, fault.attribute)
    else:
        monkeypatch.setattr(module, fault.attribute, planted)
    report = conform(fault.framework, modes=fault.modes)
    monkeypatch.undo()
    told = [
        report.describe(row)
        for row in (*report.failures, *report.errors)
        if row.subject.startswith(fault.subject)
    ]
    assert any(re.search(fault.says, text) for text in told), str(report)
    assert not report.ok


@pytest.mark.parametrize("framework", INSTALLED[:1])
def test_another_backend_of_a_built_in_name(framework: str) -> None:
    copy = types.ModuleType("copy")
    vars(copy).update({k: v for k, v in vars(backend(framework)).items() if k[:2] != "__"})
    with pytest.raises(ValueError, match=f"'{framework}' is a built-in backend"):
        fgi.testing.backend_conformance(copy)
    copy.name = "copy"  # type: ignore[attr-defined]
    report = fgi.testing.backend_conformance(copy, subjects=["dispatch"])
    assert f"its arrays are taken for those of {framework}" in str(report)
    assert "copy" not in fgi.available_backends()
    with pytest.raises(TypeError, match=r"namespace\(\) has no name; expected a module that"):
        fgi.testing.backend_conformance(types.SimpleNamespace())


def test_what_is_not_known() -> None:
    for option in ("subjects", "modes", "dtypes"):
        with pytest.raises(ValueError, match=f"unknown {option[:-1]} 'nothing'; expected one of"):
            conform("numpy", **{option: ["nothing"]})


def test_bounds_of_your_own() -> None:
    exact = fgi.testing.Bound("tanh", "float32", 0.0, 0.0, "a tanh that is exact")
    report = conform("numpy", subjects=["tanh"], bounds=(exact, *conformance.BOUNDS))
    (row,) = report.failures
    assert (row.subject, row.dtype) == ("tanh", "float32")


# As a third party has it: one line.
test_as_tests_of_pytest = fgi.testing.conformance_test(
    backend("numpy"), keys=partial(keys, "numpy"), dtypes=["float32"]
)


def test_tests_of_pytest_fail_and_skip(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        """
        import types
        import fgi.testing
        from fgi_backends import numpy

        # The tests run in this process, where NumPy's own backend is not to be changed.
        test_conformance = fgi.testing.conformance_test(
            numpy, subjects=["sign", "fgi.grad", "uniform"], dtypes=["float32"]
        )
        """
    )
    monkeypatch.setattr(backend("numpy"), "sign", lambda x: -np.sign(x))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*sign, numpy *, kinks, float32: differs*"])
    result.stdout.fnmatch_lines(["*the sign is flipped*"])
    result.stdout.fnmatch_lines(["*no keys to draw with*"])
