"""The value of any function with the derivative of a rule: several inputs, nested results."""

from __future__ import annotations

import operator
import pickle
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import AUTODIFF, INSTALLED, load, to_framework, to_numpy
from support.modes import MODES, PAIRS

INF, NAN = np.inf, np.nan
Numpy = np.ndarray[Any, Any]
every_framework = pytest.mark.parametrize(
    "framework", [name for name in AUTODIFF if name in INSTALLED]
)


def array(framework: str, values: Any, dtype: str = "float64") -> Any:
    return to_framework(framework, np.asarray(values, dtype))


def product_rule(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return dx * y + x * dy


multiply = fgi.custom_jvp(operator.mul, product_rule)


def lorentz(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return dx / (1 + x * x)


step = fgi.custom_jvp(fgi.heaviside, lorentz)


def set_gradients(value: Any, inputs: tuple[Any, ...], gradients: tuple[Any, ...]) -> Any:
    """A scalar from elsewhere, with the gradients that came with it."""

    def rule(_: Any, tangents: Any) -> Any:
        pairs = zip(gradients, tangents, strict=True)
        return sum(fgi.namespace(g).sum(g * d) for g, d in pairs)

    return fgi.custom_jvp(lambda *_: value, rule)(*inputs)


def threshold_spike(v: Any, threshold: Any) -> Any:
    """A spike whose threshold, one for each column, is learned."""

    def rule(primals: Any, tangents: Any) -> Any:
        (v, threshold), (dv, dthreshold) = primals, tangents
        return (dv - dthreshold) / (1 + (v - threshold) ** 2)

    return fgi.custom_jvp(lambda v, threshold: fgi.heaviside(v - threshold), rule)(v, threshold)


@every_framework
def test_the_product_rule_in_reverse_and_forward_mode(framework: str) -> None:
    x, y = array(framework, [2.0, -0.5]), array(framework, [3.0, 7.0])
    z, pullback = fgi.vjp(multiply, x, y)
    dx, dy = pullback(array(framework, [10.0, -2.0]))
    assert to_numpy(framework, z).tolist() == [6, -3.5]
    assert to_numpy(framework, dx).tolist() == [30, -14]
    assert to_numpy(framework, dy).tolist() == [20, 1]
    tangents = array(framework, [5.0, 4.0]), array(framework, [-1.0, 0.25])
    z, dz = fgi.jvp(multiply, (x, y), tangents)
    assert to_numpy(framework, z).tolist() == [6, -3.5]
    assert to_numpy(framework, dz).tolist() == [5 * 3 - 2, 4 * 7 - 0.125]


@pytest.mark.parametrize(("framework", "mode"), PAIRS)
def test_every_mode(framework: str, mode: str) -> None:
    x = np.array([[-3.0, -0.5, -0.0, 0.0], [0.25, 1.5, 1e3, 1e-30]])
    u = np.array([[2.0, -1.0, 0.5, 3.0], [-4.0, 8.0, 0.25, 7.0]])
    y, dx = MODES[framework][mode].run(step, array(framework, x), array(framework, u))
    np.testing.assert_array_equal(to_numpy(framework, y), x > 0)
    np.testing.assert_allclose(to_numpy(framework, dx), u / (1 + x * x), rtol=1e-15)


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_value_is_that_of_f_and_dtypes_are_kept(framework: str, dtype: str) -> None:
    x = np.array([INF, -INF, NAN, 3.0, -0.0], dtype)
    for compiled in (step, fgi.compile(step)):
        y, pullback = fgi.vjp(compiled, array(framework, x, dtype))
        (dx,) = pullback(array(framework, [2.0, 3.0, 4.0, 5.0, 6.0], dtype))
        y, dx = to_numpy(framework, y), to_numpy(framework, dx)
        assert y.dtype == dx.dtype == np.dtype(dtype)
        assert y.tolist() == [1, 0, 0, 1, 0]
        assert dx.tolist() == [0, 0, 0, 0.5, 6]


@every_framework
def test_what_f_does_itself_has_no_derivative(framework: str) -> None:
    """Neither through its argument nor through what it closes over."""

    def loss(w: Any) -> Any:
        f = fgi.custom_jvp(lambda x: x * w, lambda _, tangents: 7 * tangents[0])
        return f(w) + 0 * w

    w = array(framework, 3.0)
    value, gradient = fgi.value_and_grad(loss)(w)
    assert (float(value), float(gradient)) == (9, 7)


@every_framework
def test_set_gradients(framework: str) -> None:
    a, b = array(framework, [1.0, 2.0]), array(framework, [[3.0], [4.0]])
    gradients = array(framework, [10.0, -20.0]), array(framework, [[0.5], [0.25]])

    def loss(a: Any, b: Any) -> Any:
        y = set_gradients(array(framework, 42.0), (a, b), gradients)
        return 3 * y

    y, pullback = fgi.vjp(loss, a, b)
    da, db = pullback(array(framework, 1.0))
    assert float(y) == 126
    assert to_numpy(framework, da).tolist() == [30, -60]
    assert to_numpy(framework, db).tolist() == [[1.5], [0.75]]


@every_framework
def test_a_threshold_is_learned(framework: str) -> None:
    v_, th_ = np.array([[0.5, -1.0, 2.0], [1.25, 0.0, -3.0]]), np.array([1.0, -1.0, 0.5])
    u_ = np.array([[2.0, -1.0, 4.0], [0.5, 3.0, -2.0]])
    v, th = array(framework, v_), array(framework, th_)
    for f in (threshold_spike, fgi.compile(threshold_spike)):
        y, pullback = fgi.vjp(f, v, th)
        dv, dth = pullback(array(framework, u_))
        expected = u_ / (1 + (v_ - th_) ** 2)
        np.testing.assert_array_equal(to_numpy(framework, y), v_ > th_)
        np.testing.assert_allclose(to_numpy(framework, dv), expected, rtol=1e-15)
        np.testing.assert_allclose(to_numpy(framework, dth), -expected.sum(axis=0), rtol=1e-15)


Pair = namedtuple("Pair", "sum product")


def nested(weights: Any, scale: Any, n: Any, word: str) -> Any:
    a, b = weights["a"], weights["b"][0]
    return {
        "pair": Pair(a + b, a * b),
        "list": [a * n, (scale * b,)],
        "flag": a > b,
        "word": word,
        "constant": b,
    }


def nested_rule(primals: Any, tangents: Any) -> Any:
    weights, scale, n, word = primals
    dweights, dscale, dn, dword = tangents
    assert dn is None
    assert dword is None
    assert word == "word"
    a, b, da, db = weights["a"], weights["b"][0], dweights["a"], dweights["b"][0]
    return {
        "pair": Pair(10 * da + db, da * b + a * db),
        "list": (da * n, [scale * db + dscale * b]),
        "flag": None,
        "word": None,
        "constant": None,
    }


@every_framework
def test_nested_arguments_and_results(framework: str) -> None:
    """Numbers and words reach f and the rule as they are; None is a tangent of zero."""
    a, b, scale = (array(framework, v) for v in ([1.0, 2.0], [4.0, 0.5], [3.0, -1.0]))
    f = fgi.custom_jvp(nested, nested_rule)

    def call(a: Any, b: Any, scale: Any) -> Any:
        y = f({"a": a, "b": [b]}, scale, 5, "word")
        assert isinstance(y["pair"], Pair)
        assert isinstance(y["list"], list)
        assert y["word"] == "word"
        return y["pair"].sum, y["pair"].product, y["list"][0], y["list"][1][0], y["constant"]

    values = call(a, b, scale)
    expected: list[list[float]] = [[5, 2.5], [4, 1], [5, 10], [12, -0.5], [4, 0.5]]
    assert [to_numpy(framework, v).tolist() for v in values] == expected
    # d/da of: the sum (10, 10), the product b, 5 a; each with an upstream gradient of its own.
    wanted = {0: ([10, 10], [1, 1], [0, 0]), 1: ([4, 0.5], [1, 2], [0, 0]),
              2: ([5, 5], [0, 0], [0, 0]), 3: ([0, 0], [3, -1], [4, 0.5]),
              4: ([0, 0], [0, 0], [0, 0])}  # fmt: skip
    u = np.array([2.0, -3.0])
    for i, slopes in wanted.items():
        _, pullback = fgi.vjp(lambda a, b, s, i=i: call(a, b, s)[i] + 0 * (a + b + s), a, b, scale)
        gradients = pullback(array(framework, u))
        for gradient, slope in zip(gradients, slopes, strict=True):
            assert to_numpy(framework, gradient).tolist() == (u * slope).tolist()


@every_framework
def test_an_integer_argument_has_no_tangent(framework: str) -> None:
    def rule(primals: Any, tangents: Any) -> Any:
        assert tangents[1] is None
        return tangents[0] * fgi.namespace(primals[0]).astype(primals[1], primals[0].dtype)

    def f(x: Any, n: Any) -> Any:
        return x + fgi.namespace(x).astype(n, x.dtype)

    n = to_framework(framework, np.array([5, 6]))
    y, pullback = fgi.vjp(lambda x: fgi.custom_jvp(f, rule)(x, n), array(framework, [1.0, 2.0]))
    (dx,) = pullback(array(framework, [3.0, 0.5]))
    assert to_numpy(framework, y).tolist() == [6, 8]
    assert to_numpy(framework, dx).tolist() == [15, 3]


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_compiled_by_torch_without_a_graph_break() -> None:
    torch = load("torch")
    torch._dynamo.reset()
    f = fgi.custom_jvp(nested, nested_rule)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def g(a: Any, b: Any, scale: Any) -> Any:
        y = f({"a": a, "b": [b]}, scale, 5, "word")
        return y["pair"].product + y["list"][1][0] + multiply(a, scale)

    a, b, scale = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for v in ([1.0, 2.0], [4.0, 0.5], [3.0, -1.0])
    )
    y = g(a, b, scale)
    u = torch.tensor([2.0, -3.0], dtype=torch.float64)
    da, db, dscale = torch.autograd.grad(y, (a, b, scale), u)
    assert y.tolist() == [4 + 12 + 3, 1 - 0.5 - 2]
    assert da.tolist() == [2 * (4 + 3), -3 * (0.5 - 1)]
    assert db.tolist() == [2 * (1 + 3), -3 * (2 - 1)]
    assert dscale.tolist() == [2 * (4 + 1), -3 * (0.5 + 2)]


def test_each_framework_batches_several_inputs() -> None:
    x_, y_ = np.array([[2.0, -0.5], [1.0, 4.0], [3.0, 0.25]]), np.array([[3.0], [7.0], [-2.0]])
    for framework in AUTODIFF:
        if framework not in INSTALLED:
            continue
        x, y = array(framework, x_), array(framework, y_)
        xp = fgi.namespace(x)

        def loss(x: Any, y: Any, xp: Any = xp) -> Any:
            return xp.sum(multiply(x, y + 0 * x) * 3)

        if framework == "torch":
            func = load("torch").func
            dy = func.vmap(func.grad(loss, argnums=1))(x, y)
        elif framework == "jax":
            jax = load("jax")
            dy = jax.jit(jax.vmap(jax.grad(loss, argnums=1)))(x, y)
        else:
            one = fgi.grad(loss, argnums=1)
            dy = load("tensorflow").vectorized_map(lambda pair, one=one: one(*pair), (x, y))
        np.testing.assert_array_equal(to_numpy(framework, dy), 3 * x_.sum(axis=1, keepdims=True))


@every_framework
def test_inference_mode_computes_f_alone(framework: str) -> None:
    def rule(primals: Any, tangents: Any) -> Any:
        raise AssertionError("not wanted")

    f = fgi.custom_jvp(operator.mul, rule)
    x = array(framework, [2.0, 3.0])
    with fgi.inference_mode():
        assert to_numpy(framework, f(x, x)).tolist() == [4, 9]
    with pytest.raises(AssertionError, match="not wanted"):
        f(x, x)


def test_numpy_has_values() -> None:
    x = np.array([2.0, 3.0])
    assert multiply(x, x).tolist() == [4, 9]


def test_equality_and_pickle() -> None:
    assert fgi.custom_jvp(operator.mul, product_rule) == multiply
    assert fgi.custom_jvp(operator.add, product_rule) != multiply
    assert pickle.loads(pickle.dumps(multiply)) == multiply


def test_not_two_functions() -> None:
    with pytest.raises(TypeError, match=r"rule is None; expected two functions"):
        fgi.custom_jvp(operator.mul, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"f is a float; expected two functions"):
        fgi.custom_jvp(2.0, product_rule)  # type: ignore[arg-type]


def test_no_array_among_the_arguments() -> None:
    with pytest.raises(TypeError, match=r"fgi.custom_jvp: no argument is an array; expected one"):
        multiply(2.0, {"a": [3.0]})


@every_framework
def test_arrays_of_two_frameworks(framework: str) -> None:
    with pytest.raises(TypeError, match=rf"x is an array of {framework}, .* one of numpy"):
        multiply(array(framework, [1.0]), np.array([2.0]))


@every_framework
def test_a_tangent_that_is_not_built_as_the_result(framework: str) -> None:
    x = array(framework, [1.0, 2.0])
    xp = fgi.namespace(x)

    def f(kind: Any) -> Any:
        return {"dict": {"a": x, "b": x}, "pair": (x, [x, x])}.get(kind, x)

    def call(kind: str, tangent: Any) -> Any:
        return fgi.custom_jvp(lambda _: f(kind), lambda p, t: tangent)(x)

    for kind, tangent, text in (
        ("array", (x, x), r"f\(...\) is a float64 array of shape \(2,\), its tangent a tuple of 2"),
        ("array", 0.0, r"f\(...\) is a float64 array of shape \(2,\), its tangent a float"),
        ("dict", {"a": x}, r"f\(...\) is a dict with a, b, its tangent a dict of 1"),
        ("dict", x, r"f\(...\) is a dict with a, b, its tangent a float64 array of shape \(2,\)"),
        ("pair", (x,), r"f\(...\) is a tuple of 2, its tangent a tuple of 1"),
        ("pair", (x, [x, (x,)]), r"f\(...\)\[1\]\[1\] is a float64 array .* tangent a tuple of 1"),
    ):
        with pytest.raises(TypeError, match=text + r".*; expected the same; rule returns"):
            call(kind, tangent)
    with pytest.raises(ValueError, match=r"its tangent a float64 array of shape \(\); expected eq"):
        call("array", xp.sum(x))
