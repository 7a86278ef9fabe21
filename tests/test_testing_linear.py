"""A derivative is linear in the tangents, and a rule that is not is caught and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing as T
from support import frameworks

every_framework = pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)


def array(framework: str, values: Any, dtype: str = "float64") -> Any:
    return frameworks.to_framework(framework, np.asarray(values, dtype))


def product(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return dx * y + x * dy


WRONG = {
    "a constant": (lambda p, t: product(p, t) + 1, r"rule\(x, 0\) = 0"),
    "a square": (lambda p, t: t[0] * t[0] * p[1], r"rule\(x, 2 t\) = 2 rule\(x, t\)"),
    "an absolute value": (lambda p, t: abs(t[0]) * p[1], r"rule\(x, -1 t\) = -1 rule\(x, t\)"),
    "a product of tangents": (lambda p, t: t[0] * t[1], r"rule\(x, 2 t\) = 2"),
    "a sign of the largest": (
        lambda p, t: fgi.namespace(t[0]).maximum(t[0], t[1]),
        r"rule\(x, -1 t\)|rule\(x, t \+ s\)",
    ),
}


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@every_framework
def test_a_product_is_linear(framework: str, dtype: str) -> None:
    x = frameworks.to_framework(
        framework, np.array([2.0, -3.0]).astype(frameworks.numpy_dtype(dtype))
    )
    T.assert_linear(product, (x, x))


@pytest.mark.parametrize("wrong", WRONG)
@every_framework
def test_what_is_not_linear_is_named(framework: str, wrong: str) -> None:
    rule, equation = WRONG[wrong]
    x, y = array(framework, [2.0, -3.0, 0.5]), array(framework, [1.0, 4.0, -2.0])
    with pytest.raises(AssertionError, match=rf"is not linear in the tangents: ({equation})"):
        T.assert_linear(rule, (x, y))


@every_framework
def test_additivity_alone(framework: str) -> None:
    """Homogeneous of degree 1, and not linear: t^3 / (t^2 + s^2)."""

    def rule(primals: Any, tangents: Any) -> Any:
        t, s = tangents
        return t * t * t / (t * t + s * s + 1e-300)

    x = array(framework, [2.0, -3.0, 0.5, 1.0])
    with pytest.raises(AssertionError, match=r"rule\(x, t \+ s\) = rule\(x, t\) \+ rule\(x, s\)"):
        T.assert_linear(rule, (x, x))


@every_framework
def test_nested_containers_and_arguments_without_a_tangent(framework: str) -> None:
    def rule(primals: Any, tangents: Any) -> Any:
        tree, n = primals
        dtree, dn = tangents
        assert dn is None
        return {"sum": dtree["a"] + dtree["b"][0], "both": (dtree["a"] * tree["b"][0], None, n)}

    def wrong(primals: Any, tangents: Any) -> Any:
        found = rule(primals, tangents)
        return found | {"both": (found["both"][0] * tangents[0]["a"], None)}

    a, b = array(framework, [2.0, -3.0]), array(framework, [0.5, 1.0])
    T.assert_linear(rule, ({"a": a, "b": [b]}, 3))
    with pytest.raises(AssertionError, match=r"result 1 of the left is"):
        T.assert_linear(wrong, ({"a": a, "b": [b]}, 3))


@every_framework
def test_checking_catches_a_rule_where_it_is_called(framework: str) -> None:
    def square(primals: Any, tangents: Any) -> Any:
        return tangents[0] * tangents[0]

    good = fgi.custom_jvp(lambda x, y: x * y, product)
    wrong = fgi.custom_jvp(fgi.heaviside, square)
    x = array(framework, [2.0, -3.0])
    assert frameworks.to_numpy(framework, wrong(x)).tolist() == [1, 0]
    with T.checking():
        assert frameworks.to_numpy(framework, good(x, x)).tolist() == [4, 9]
        assert frameworks.to_numpy(framework, fgi.vjp(good, x, x)[1](x)[0]).tolist() == [4, 9]
        with pytest.raises(AssertionError, match=r"square is not linear in the tangents"):
            wrong(x)
        # What is traced has no numbers, and is left alone.
        assert frameworks.to_numpy(framework, fgi.compile(good)(x, x)).tolist() == [4, 9]
    wrong(x)


def test_a_custom_jvp_stands_for_its_rule() -> None:
    x = np.array([2.0, -3.0])
    T.assert_linear(fgi.custom_jvp(lambda x, y: x * y, product), (x, x))
    with pytest.raises(TypeError, match="no argument is an array"):
        T.assert_linear(product, (2.0, 3.0))


def test_a_rule_inside_a_rule_is_checked_once() -> None:
    calls: list[int] = []

    def inner(primals: Any, tangents: Any) -> Any:
        calls.append(1)
        return tangents[0]

    f = fgi.custom_jvp(lambda x: x, inner)
    g = fgi.custom_jvp(f, lambda primals, tangents: f(primals[0]) * tangents[0])
    (framework, *_) = frameworks.INSTALLED_AUTODIFF
    with T.checking():
        g(array(framework, [1.0]))
    assert calls
