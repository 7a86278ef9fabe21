"""A scalar from elsewhere with its gradients: exact, in every mode, through what follows."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import INSTALLED, INSTALLED_AUTODIFF, load, to_framework, to_numpy

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
Pair = namedtuple("Pair", "x y")


def array(framework: str, values: Any, dtype: str = "float64") -> Any:
    return to_framework(framework, np.asarray(values, dtype))


@every_framework
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_three_times_the_value_has_three_times_the_gradients(
    framework: str, compiled: bool
) -> None:
    a, b = array(framework, [1.0, 2.0]), array(framework, [[3.0], [4.0]])
    ga, gb = array(framework, [10.0, -20.0]), array(framework, [[0.5], [0.25]])
    value = array(framework, 0.1)

    def run(a: Any, b: Any, value: Any, upstream: Any) -> Any:
        def loss(a: Any, b: Any) -> Any:
            return 3 * fgi.set_gradients(value, (a, b), (ga, gb))

        y, pullback = fgi.vjp(loss, a, b)
        return y, pullback(upstream)

    y, (da, db) = (fgi.compile(run) if compiled else run)(a, b, value, array(framework, 1.0))
    assert float(y) == 3 * 0.1
    assert to_numpy(framework, da).tolist() == [30, -60]
    assert to_numpy(framework, db).tolist() == [[1.5], [0.75]]


@every_framework
def test_forward_mode_and_nested_containers(framework: str) -> None:
    pair = Pair(array(framework, 3.0), array(framework, -1.0))
    tree = {"w": [array(framework, [1.0, 2.0]), ()], "p": pair, "steps": 7}
    gradients = {"w": [array(framework, [4.0, 0.5]), ()], "p": (array(framework, 2.0), None),
                 "steps": None}  # fmt: skip

    def f(w: Any, x: Any, y: Any) -> Any:
        inputs = {**tree, "w": [w, ()], "p": Pair(x, y)}
        return -2 * fgi.set_gradients(array(framework, 8.0), inputs, gradients)

    primals = (tree["w"][0], *tree["p"])
    tangents = array(framework, [-1.0, 6.0]), array(framework, 5.0), array(framework, 9.0)
    y, dy = fgi.jvp(f, primals, tangents)
    assert (float(y), float(dy)) == (-16, -2 * (-4 + 3 + 10))
    found = fgi.vjp(lambda *args: f(*args) + 0 * sum(args[1:]), *primals)[1](array(framework, 1.0))
    assert [to_numpy(framework, g).tolist() for g in found] == [[-8, -1], -4, 0]


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_are_kept_and_may_differ(framework: str, dtype: str) -> None:
    x, g = array(framework, [1.0, 2.0], dtype), array(framework, [3.0, -0.25], dtype)
    value = array(framework, 1.5, "float32")
    y, pullback = fgi.vjp(lambda x: fgi.set_gradients(value, x, g), x)
    (dx,) = pullback(array(framework, 2.0, "float32"))
    y, dx = to_numpy(framework, y), to_numpy(framework, dx)
    assert (y.dtype, dx.dtype) == (np.float32, np.dtype(dtype))
    assert (y.tolist(), dx.tolist()) == (1.5, [6, -0.5])


@every_framework
def test_what_is_not_finite(framework: str) -> None:
    inf, nan = np.inf, np.nan
    x, g = array(framework, [inf, nan, 2.0]), array(framework, [1.0, 2.0, 3.0])
    value = array(framework, -inf)
    for inputs, gradients, expected in (x, g, [0, 0, 6]), (g, x, [0, 0, 4]):
        y, pullback = fgi.vjp(lambda x, g=gradients: fgi.set_gradients(value, x, g), inputs)
        assert float(y) == -inf
        assert to_numpy(framework, pullback(array(framework, 2.0))[0]).tolist() == expected


@every_framework
def test_the_value_and_the_gradients_are_off_the_graph(framework: str) -> None:
    def f(x: Any) -> Any:
        return fgi.set_gradients(x * x, x, x * x * x)

    x = array(framework, 2.0)
    value, gradient = fgi.value_and_grad(f)(x)
    assert (float(value), float(gradient)) == (4, 8)
    assert float(fgi.grad(fgi.grad(f))(x)) == 0


@every_framework
def test_batched(framework: str) -> None:
    x_, g_ = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, -2], [3, 4], [0.5, 6]])
    x, g = array(framework, x_), array(framework, g_)

    def one(x: Any, g: Any) -> Any:
        return fgi.grad(lambda x: 3 * fgi.set_gradients(x[0], x, g))(x)

    if framework == "torch":
        got = load("torch").func.vmap(one)(x, g)
    elif framework == "jax":
        got = load("jax").vmap(one)(x, g)
    else:
        got = load("tensorflow").vectorized_map(lambda pair: one(*pair), (x, g))
    assert to_numpy(framework, got).tolist() == (3 * g_).tolist()


@every_framework
def test_without_inputs_and_without_a_derivative(framework: str) -> None:
    value, x = array(framework, 5.0), array(framework, [1.0])
    assert float(fgi.set_gradients(value, (), [])) == 5
    assert float(fgi.set_gradients(value, x, None)) == 5
    with fgi.inference_mode(traced=True):
        y, pullback = fgi.vjp(lambda x: fgi.set_gradients(x[0], x, 3 * x), x)
    assert (float(y), to_numpy(framework, pullback(array(framework, 2.0))[0])) == (1, 0)


def test_numpy_has_the_value() -> None:
    assert fgi.set_gradients(np.float64(5), np.ones(2), np.full(2, np.inf)) == 5


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_torch_compiles_it_whole() -> None:
    torch = load("torch")
    g = torch.tensor([3.0, -1.0])
    f = torch.compile(lambda x: 2 * fgi.set_gradients(x.sum(), {"x": x}, {"x": g}), fullgraph=True)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    f(x).backward()
    assert x.grad.tolist() == [6, -2]


@every_framework
def test_errors(framework: str) -> None:
    value, x = array(framework, 1.0), array(framework, [1.0, 2.0])
    single, n = array(framework, [1.0, 2.0], "float32"), to_framework(framework, np.array([1, 2]))
    for wrong, args, text in (
        (ValueError, (x, x, x), r"value is a float64 array of shape \(2,\); expected a scalar"),
        (TypeError, (1.0, x, x), r"value is a float; expected an array"),
        (TypeError, (n, x, x), r"value is an int64 array of shape \(2,\); expected float16"),
        (ValueError, (value, x, value), r"inputs is a float64 array of shape \(2,\), gradients a "
         r"float64 array of shape \(\); expected equal shapes"),
        (TypeError, (value, x, single), r"inputs is a float64 array of shape \(2,\), gradients a "
         r"float32 array of shape \(2,\); expected the same; build gradients as"),
        (TypeError, (value, x, 1.0), r"inputs is .*, gradients a float; expected the same"),
        (TypeError, (value, x, (x,)), r"inputs is .*, gradients a tuple of 1; expected the same"),
        (TypeError, (value, {"a": [x, x]}, {"a": [x]}),
         r"inputs\['a'\] is a list of 2, gradients\['a'\] a list of 1"),
        (TypeError, (value, {"a": x}, {"b": x}), r"inputs is a dict with a, gradients a dict of 1"),
        (TypeError, (value, (x, {"a": x}), (x, x)),
         r"inputs\[1\] is a dict with a, gradients\[1\] a float64 array"),
        (TypeError, (value, [n], [x]), r"inputs\[0\] is an int64 array .*; write None for its"),
        (TypeError, (value, 2.0, x), r"inputs is a float; expected a real floating array"),
        (TypeError, (value, [x], [np.ones(2)]),
         rf"value is an array of {framework}, gradients\[0\] one of numpy; expected arrays of one"),
        (TypeError, (value, np.ones(2), x), rf"value is an array of {framework}, inputs one of nu"),
    ):  # fmt: skip
        with pytest.raises(wrong, match=r"^fgi.set_gradients: " + text):
            fgi.set_gradients(*args)
