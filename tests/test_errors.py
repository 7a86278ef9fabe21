"""Wrong input: one error of the same text in every framework, and nothing changed by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

INSTALLED = frameworks.INSTALLED
ATan = fgi.surrogates.ATan


def array(framework: str, values: Any, dtype: str = "float32") -> Any:
    return frameworks.to_framework(framework, np.array(values).astype(dtype))


@fgi.surrogate
def forgetful(x: Any) -> Any:
    abs(x)


@fgi.surrogate
def listed(x: Any) -> Any:
    return [1.0]


CASES: dict[str, tuple[Callable[[str], Any], type[Exception], str]] = {
    "int": (
        lambda fw: ATan()(array(fw, [1, 2], "int32")),
        TypeError,
        r"ATan: x is an int32 array of shape \(2,\); expected float16, bfloat16, float32 or f",
    ),
    "bool": (lambda fw: ATan()(array(fw, [1], "bool")), TypeError, r"ATan: x is a bool array"),
    "complex": (
        lambda fw: ATan()(array(fw, [1], "complex64")),
        TypeError,
        r"ATan: x is a complex64 array of shape \(1,\); expected float16",
    ),
    "list": (lambda fw: ATan()([1.0]), TypeError, r"ATan: x is a list; expected an array of torch"),
    "None": (lambda fw: ATan()(None), TypeError, r"ATan: x is None; expected an array of torch"),
    "float": (lambda fw: ATan()(1.0), TypeError, r"ATan: x is a float; expected an array"),
    "derivative of int": (
        lambda fw: ATan().derivative(array(fw, [1], "int64")),
        TypeError,
        r"ATan\.derivative: x is an int64 array",
    ),
    "a slope that returns nothing": (
        lambda fw: forgetful().derivative(array(fw, [1.0])),
        TypeError,
        r"forgetful: slope\(x\) is None; expected an array or a number",
    ),
    "a slope that returns a list, in half precision": (
        lambda fw: listed().derivative(array(fw, [1.0], "float16")),
        TypeError,
        r"listed: slope\(x\) is a list; expected an array or a number",
    ),
    "heaviside of int": (
        lambda fw: fgi.heaviside(array(fw, [1], "int64")),
        TypeError,
        r"fgi\.heaviside: x is an int64 array",
    ),
    "tangent of int": (
        lambda fw: fgi.tangent(array(fw, [1], "int64")),
        TypeError,
        r"fgi\.tangent: x is an int64 array",
    ),
    "stop_gradient of a list": (
        lambda fw: fgi.stop_gradient([1]),
        TypeError,
        r"fgi\.stop_gradient: x is a list",
    ),
    "inject, fx broadcasts": (
        lambda fw: fgi.inject(array(fw, [1.0]), array(fw, [1.0, 2.0]), 1.0),
        ValueError,
        r"fgi\.inject: fx is a float32 array of shape \(2,\) and x is a float32 array of shape "
        r"\(1,\); expected equal shapes",
    ),
    "inject, fx a number": (
        lambda fw: fgi.inject(array(fw, [1.0]), 1.0, 1.0),
        TypeError,
        r"fgi\.inject: fx is a float; expected an array shaped like x",
    ),
    "inject, fx None": (
        lambda fw: fgi.inject(array(fw, [1.0]), None, 1.0),
        TypeError,
        r"fgi\.inject: fx is None; expected an array shaped like x",
    ),
    "inject, slope None": (
        lambda fw: fgi.inject(array(fw, [1.0]), array(fw, [1.0]), None),
        TypeError,
        r"fgi\.inject: gdx is None; expected an array or a number",
    ),
    "bypass, shapes differ": (
        lambda fw: fgi.bypass(array(fw, [1.0]), array(fw, [1.0, 2.0])),
        ValueError,
        r"fgi\.bypass: fx is .*\(1,\) and gx is .*\(2,\); expected equal shapes",
    ),
    "bypass, fx a number": (
        lambda fw: fgi.bypass(1.0, array(fw, [1.0])),
        TypeError,
        r"fgi\.bypass: fx is a float; expected an array",
    ),
    "unknown surrogate": (
        lambda fw: fgi.from_config({"name": "atam"}),
        ValueError,
        r"unknown surrogate 'atam'; did you mean atan",
    ),
    "config without a name": (
        lambda fw: fgi.from_config({"alpha": 2.0}),
        TypeError,
        r"expected a mapping such as \{'name': 'atan', 'alpha': 2\.0\}",
    ),
    "config with a strange key": (
        lambda fw: fgi.from_config({"name": "atan", "beta": 2.0}),
        ValueError,
        r"atan has no parameter beta; expected .*alpha",
    ),
    "alpha = 0": (lambda fw: ATan(alpha=0), ValueError, r"ATan: alpha is 0; expected a number > 0"),
    "alpha < 0": (lambda fw: ATan(-2.0), ValueError, r"alpha is -2\.0; expected a number > 0"),
    "alpha NaN": (lambda fw: ATan(float("nan")), ValueError, r"alpha is nan; expected a number >"),
    "alpha inf": (lambda fw: ATan(float("inf")), ValueError, r"alpha is inf; expected a number >"),
    "alpha a string": (
        lambda fw: ATan("2"),
        TypeError,
        r"ATan: alpha is '2'; expected a number > 0, or a floating array",
    ),
    "alpha None": (lambda fw: ATan(None), TypeError, r"alpha is None; expected a number > 0"),
    "alpha True": (lambda fw: ATan(True), TypeError, r"alpha is True; expected a number > 0"),
    "alpha an int array": (
        lambda fw: ATan(array(fw, [1], "int32")),
        TypeError,
        r"alpha is an int32 array of shape \(1,\); expected a number > 0, or a floating array",
    ),
    "forward no function": (
        lambda fw: ATan(forward="step"),
        TypeError,
        r"ATan: forward is a str; expected a function of an array such as fgi\.heaviside",
    ),
    "no function as a slope": (
        lambda fw: fgi.surrogate(2.0),
        TypeError,
        r"fgi\.surrogate: got a float; expected a function such as def hat",
    ),
    "a slope with *args": (
        lambda fw: fgi.surrogate(_with_args),
        TypeError,
        r"_with_args has the variadic positional parameter args; expected named ones",
    ),
    "native, unknown mechanism": (
        lambda fw: ATan().native("magic")(array(fw, [1.0])),
        ValueError,
        r"ATan\.native: unknown mechanism 'magic'",
    ),
}

BROADCASTS = {
    # Only where a derivative is asked for: NumPy computes the value alone.
    "parameter broadcasts x": (
        lambda fw: ATan(alpha=array(fw, [[1.0], [2.0]]))(array(fw, [1.0, 2.0, 3.0])),
        ValueError,
        r"ATan: x is a float32 array of shape \(3,\), alpha makes the result a float32 "
        r"array of shape \(2, 3\); expected the shape of x",
    ),
    "inject, slope broadcasts x": (
        lambda fw: fgi.inject(array(fw, [1.0]), array(fw, [1.0]), array(fw, [1.0, 2.0])),
        ValueError,
        r"fgi\.inject: x is a float32 array of shape \(1,\), gdx makes the result a float32 array "
        r"of shape \(2,\)",
    ),
}


def _with_args(x: Any, *args: Any) -> Any:
    return x


@pytest.mark.parametrize("case", [*CASES, *BROADCASTS])
def test_the_same_error_in_every_framework(case: str) -> None:
    wrong, kind, text = (CASES | BROADCASTS)[case]
    targets = [f for f in INSTALLED if f != "numpy" or case not in (*BROADCASTS, *_ASK_AUTODIFF)]
    if not targets:
        pytest.skip("no framework that differentiates is installed")
    said = {}
    for framework in targets:
        with pytest.raises(kind, match=text) as caught:
            wrong(framework)
        said[framework] = re.sub(r"; (torch|jax|tensorflow) has .*", "", str(caught.value))
    assert len(set(said.values())) == 1, said
    assert fgi.get_backend() == "auto"


_ASK_AUTODIFF = ("native, unknown mechanism",)


@pytest.mark.parametrize("framework", INSTALLED)
def test_a_failed_call_changes_nothing(framework: str) -> None:
    x = array(framework, [-1.0, 2.0])
    kept = frameworks.to_numpy(framework, x).copy()
    spike = ATan(alpha=3.0)
    for call in (lambda: spike([1]), lambda: fgi.inject(x, x, "a"), lambda: spike.replace(alpha=0)):
        with pytest.raises((TypeError, ValueError)):
            call()
    np.testing.assert_array_equal(frameworks.to_numpy(framework, x), kept)
    assert spike == ATan(alpha=3.0)
    np.testing.assert_array_equal(frameworks.to_numpy(framework, spike(x)), [0, 1])


@pytest.mark.parametrize("name", ["alpha", "forward", "new"])
def test_surrogates_are_immutable(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(ATan(), name, 1.0)


@pytest.mark.parametrize("argument", [{"beta": 1.0}, {"alpha": 1.0, "width": 2.0}])
def test_an_unknown_parameter_is_python_s_own_error(argument: dict[str, float]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        ATan(**argument)  # type: ignore[arg-type]


def test_numpy_says_that_it_has_no_gradient() -> None:
    x = np.array([1.0])
    with pytest.raises(TypeError, match=r"fgi\.grad: numpy has no automatic differentiation"):
        fgi.grad(lambda x: ATan()(x).sum())(x)
    with pytest.raises(TypeError, match=r"ATan\.native: numpy has no custom-gradient mechanism"):
        ATan().native()(x)
