"""Forward gradients against gradients written out by hand, and forward mode against reverse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import forward
from fgi.backend import trees
from support.frameworks import INSTALLED_AUTODIFF, backend, keys, load, to_framework, to_numpy
from support.reverse import no_reverse_mode

Numpy = np.ndarray[Any, Any]

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
compiled_or_not = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])

# f(p) = -2.5 sum_i a_i tanh(w b_i) + c^3, and its gradient by hand.
A = np.array([[0.5, -2.0], [1.5, 0.25]])
B = np.array([[0.4, -1.1], [0.2, 1.6]])
W, C = np.array(0.7), np.array([-1.3])
PARAMETERS = {"a": A, "more": [W, (B, C)]}


def f(p: Any) -> Any:
    xp = fgi.namespace(p["a"])
    w, (b, c) = p["more"]
    return xp.sum(p["a"] * xp.tanh(w * b)) * -2.5 + xp.sum(c * c * c)


VALUE = -2.5 * np.sum(A * np.tanh(W * B)) + C[0] ** 3
SECH = 1 - np.tanh(W * B) ** 2
GRADIENT = {
    "a": -2.5 * np.tanh(W * B),
    "more": [-2.5 * np.sum(A * SECH * B), (-2.5 * A * SECH * W, 3 * C**2)],
}


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, list | tuple):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def mapped(g: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: mapped(g, value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(g, value) for value in tree)
    return g(tree)


def flat(framework: str, tree: Any, rows: tuple[int, ...] = ()) -> Numpy:
    """The numbers of a nest, in one axis after those of ``rows``."""
    return np.concatenate(
        [to_numpy(framework, leaf).reshape(*rows, -1) for leaf in leaves(tree)], axis=-1
    )


def flat_numpy(tree: Any) -> Numpy:
    return np.concatenate([np.ravel(leaf) for leaf in leaves(tree)])


def into(framework: str, tree: Any, dtype: str = "float64") -> Any:
    return mapped(lambda x: to_framework(framework, np.asarray(x, dtype)), tree)


def estimated(vs: Numpy) -> Numpy:
    """The estimate by hand, from directions (K, numbers)."""
    return np.mean((vs @ flat_numpy(GRADIENT))[:, None] * vs, axis=0)


@every_framework
@pytest.mark.parametrize("directions", [1, 3])
def test_it_is_the_slope_along_each_direction_times_the_direction(
    directions: int, framework: str
) -> None:
    p = into(framework, PARAMETERS)
    for key, again in zip(keys(framework, 3), keys(framework, 3), strict=True):
        v = forward.draw(key, p, directions=directions)
        vs = flat(framework, v, (directions,) if directions > 1 else ())
        for source in (v, again):
            value, estimate = fgi.forward_gradient(f, p, source, directions=directions)
            np.testing.assert_allclose(to_numpy(framework, value), VALUE, rtol=1e-14)
            assert tuple(value.shape) == ()
            shapes = mapped(lambda x: (x.shape, "float64"), PARAMETERS)
            assert mapped(lambda x: (tuple(x.shape), np.asarray(x).dtype.name), estimate) == shapes
            got = flat(framework, estimate)
            np.testing.assert_allclose(got, estimated(np.atleast_2d(vs)), rtol=1e-13, atol=1e-13)


@every_framework
def test_directions_of_ones_and_of_axes(framework: str) -> None:
    """Along (1, ..., 1), the sum of the gradient; along all n axes, the gradient over n."""
    p = into(framework, PARAMETERS)
    ones = mapped(backend(framework).ones_like, p)
    _, estimate = fgi.forward_gradient(f, p, ones)
    total = flat_numpy(GRADIENT).sum()
    np.testing.assert_allclose(flat(framework, estimate), np.full(10, total), rtol=1e-13)

    axes = iter(np.split(np.eye(10), [4, 5, 9], axis=1))
    rows = mapped(lambda x: next(axes).reshape(10, *x.shape), PARAMETERS)
    _, estimate = fgi.forward_gradient(f, p, into(framework, rows), directions=10)
    np.testing.assert_allclose(flat(framework, estimate) * 10, flat_numpy(GRADIENT), rtol=1e-13)


@every_framework
def test_the_mean_over_20000_directions_is_the_gradient(framework: str) -> None:
    """Within five standard errors in each coordinate: Var = |g|^2 + g_i^2 for v ~ N(0, I)."""
    count = 20000
    p = into(framework, PARAMETERS)
    g = flat_numpy(GRADIENT)
    error = np.sqrt((g @ g + g * g) / count)
    for key in keys(framework, 11):
        _, estimate = fgi.forward_gradient(f, p, key, directions=count)
        z = (flat(framework, estimate) - g) / error
        assert np.abs(z).max() < 5
        # And not by being less random than it says.
        assert np.abs(z).max() > 0.1
        assert np.abs(g).max() > 5 * error.max()


@every_framework
def test_leaves_and_directions_are_not_correlated(framework: str) -> None:
    """Equal shapes from one key: a sum over two leaves has the variance of independent numbers."""
    x = into(framework, {"a": np.zeros(2500), "b": np.zeros(2500)})
    for key in keys(framework, 5):
        v = forward.draw(key, x, directions=4)
        rows = np.concatenate([to_numpy(framework, v["a"]), to_numpy(framework, v["b"])])
        assert np.abs(np.corrcoef(rows) - np.eye(8)).max() < 5 / np.sqrt(2500)


@every_framework
@pytest.mark.parametrize("directions", [1, 3])
def test_compiled(directions: int, framework: str) -> None:
    """With the directions in every framework; with the key where the framework compiles drawing."""
    p = into(framework, PARAMETERS)

    def run(p: Any, key: Any) -> Any:
        return fgi.forward_gradient(f, p, key, directions=directions)

    whole = fgi.compile(run)
    if framework == "torch":
        torch = load("torch")
        torch._dynamo.reset()
        whole = torch.compile(run, fullgraph=True)
    for key, again in zip(keys(framework, 3), keys(framework, 3), strict=True):
        v = forward.draw(key, p, directions=directions)
        _, expected = fgi.forward_gradient(f, p, v, directions=directions)
        for source in (v,) if framework == "torch" else (v, again):
            value, estimate = whole(p, source)
            np.testing.assert_allclose(to_numpy(framework, value), VALUE, rtol=1e-14)
            np.testing.assert_allclose(
                flat(framework, estimate), flat(framework, expected), rtol=1e-12, atol=1e-14
            )


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("directions", [1, 400])
def test_dtypes(directions: int, dtype: str, framework: str) -> None:
    """f = 2 x_0 - 3 x_1: exact slopes, so that only drawing and averaging round."""
    xp = backend(framework)
    x = xp.astype(into(framework, np.array([1.0, 2.0]), "float32"), xp.dtype(dtype))
    for key, again in zip(keys(framework, 2), keys(framework, 2), strict=True):
        v = forward.draw(key, x, directions=directions)
        assert v.dtype == x.dtype
        value, estimate = fgi.forward_gradient(
            lambda x: 2 * x[0] - 3 * x[1], x, again, directions=directions
        )
        assert (value.dtype, estimate.dtype) == (x.dtype, x.dtype)
        assert float(value) == -4
        vs = to_numpy(framework, v).astype(float).reshape(directions, 2)
        g = np.array([2.0, -3.0])
        expected = np.mean((vs @ g)[:, None] * vs, axis=0)
        eps = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-22}[dtype]
        got = to_numpy(framework, estimate).astype(float)
        scale = np.mean(np.abs(vs) @ np.abs(g)) * np.abs(vs).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=4 * eps * scale)


@every_framework
def test_what_is_not_floating_passes(framework: str) -> None:
    x = into(framework, np.array([2.0, 3.0]))
    index = to_framework(framework, np.array(1, "int32"))
    p = {"x": x, "index": index, "power": 3, "name": "cube"}

    def cube(p: Any) -> Any:
        assert p["name"] == "cube"
        assert tuple(p["index"].shape) == ()
        xp = fgi.namespace(p["x"])
        return xp.sum(p["x"] ** p["power"]) * xp.astype(p["index"], p["x"].dtype)

    v = into(framework, np.array([1.0, -0.5]))
    for key in ({"x": v, "index": None, "power": None, "name": None}, *keys(framework, 4)):
        _, estimate = fgi.forward_gradient(cube, p, key)
        assert {name: estimate[name] is None for name in estimate} == {
            "x": False, "index": True, "power": True, "name": True
        }  # fmt: skip
        if isinstance(key, dict):
            slope = 3 * 4 * 1 + 3 * 9 * -0.5
            np.testing.assert_allclose(to_numpy(framework, estimate["x"]), [slope, -slope / 2])
    drawn = forward.draw(keys(framework, 4)[0], p)
    assert drawn["index"] is None
    assert tuple(drawn["x"].shape) == (2,)


@every_framework
def test_an_array_alone_and_the_order_of_names(framework: str) -> None:
    x, v = into(framework, [np.array([2.0, 3.0]), np.array([1.0, -0.5])])
    xp = backend(framework)
    value, estimate = fgi.forward_gradient(lambda x: xp.sum(x * x * x), x, v)
    assert float(value) == 35
    np.testing.assert_allclose(to_numpy(framework, estimate), [-1.5, 0.75])

    # Directions are matched by name, and a list serves for a tuple.
    p, d = {"x": x, "y": (v,)}, {"y": [x], "x": v}
    _, estimate = fgi.forward_gradient(lambda p: xp.sum(p["x"] * p["y"][0]), p, d)
    slope = np.sum(np.array([1.0, -0.5]) ** 2 + np.array([2.0, 3.0]) ** 2)
    np.testing.assert_allclose(to_numpy(framework, estimate["x"]), slope * np.array([1.0, -0.5]))
    np.testing.assert_allclose(to_numpy(framework, estimate["y"][0]), slope * np.array([2.0, 3.0]))


@every_framework
@pytest.mark.parametrize("directions", [1, 2])
def test_a_constant_has_the_estimate_zero(directions: int, framework: str) -> None:
    p, one = into(framework, (PARAMETERS, 1.5))
    key = keys(framework, 1)[0]
    value, estimate = fgi.forward_gradient(lambda p: one, p, key, directions=directions)
    assert float(value) == 1.5
    assert not flat(framework, estimate).any()


@compiled_or_not
@every_framework
def test_no_reverse_mode_runs(
    framework: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = into(framework, PARAMETERS)
    key = keys(framework, 3)[0]
    v = forward.draw(key, p, directions=2)

    def run(p: Any, v: Any) -> Any:
        return fgi.forward_gradient(f, p, v, directions=2)

    with no_reverse_mode(monkeypatch):
        with pytest.raises(AssertionError, match="reverse mode ran"):
            fgi.grad(f)(p)
        with pytest.raises(AssertionError, match="reverse mode ran"):
            fgi.value_and_grad(f)(p)
        with pytest.raises(AssertionError, match="reverse mode ran"):
            fgi.vjp(f, p)
        _, estimate = (fgi.compile(run) if compiled else run)(p, v)
    vs = flat(framework, v, (2,))
    np.testing.assert_allclose(flat(framework, estimate), estimated(vs), rtol=1e-12, atol=1e-13)


@every_framework
@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
def test_forward_mode_through_a_spiking_network(framework: str, recurrent: bool) -> None:
    """u . (J v) = (J^T u) . v, with the reverse mode of the framework; and the same in each."""
    pytest.importorskip("sklearn", reason="the demo needs scikit-learn")
    from fgi.demo import training

    rng = np.random.default_rng(0)
    xs_ = rng.uniform(0, 1, (8, 5, 8))
    weights = training.initial(8)
    if not recurrent:
        del weights["hidden0"]["recurrent"]
    v_ = trees.map(lambda w: rng.normal(size=w.shape), weights)
    u_ = rng.normal(size=(5, 10))
    spike = fgi.surrogates.Gaussian(sigma=0.5, height=0.5)
    p, v, xs, u = (into(framework, x) for x in (weights, v_, xs_, u_))

    network = training.network(spike)

    def scores(p: Any) -> Any:
        return network.scores(p, xs)

    y, dy = fgi.jvp(scores, (p,), (v,))
    assert 0.02 < to_numpy(framework, network.apply(p, xs).spikes[0]).mean() < 0.5
    twin, pullback = fgi.vjp(scores, p)
    (dp,) = pullback(u)
    np.testing.assert_allclose(to_numpy(framework, y), to_numpy(framework, twin), rtol=1e-13)
    forward_mode = np.sum(u_ * to_numpy(framework, dy))
    products = trees.map(lambda d, w: to_numpy(framework, d) * w, dp, v_)
    terms = trees.named(products)
    size = sum(np.abs(term).sum() for term in terms.values())
    reverse_mode = sum(term.sum() for term in terms.values())
    np.testing.assert_allclose(forward_mode, reverse_mode, rtol=0, atol=1e-13 * size)
    # What goes through the spikes is no small part of it.
    assert np.abs(terms["hidden0.input"].sum()) > 1e-3 * size
    assert np.abs(forward_mode) > 1e-3 * size


@every_framework
@pytest.mark.parametrize("directions", [1, 3])
def test_directions_drawn_by_numpy_serve_every_framework(directions: int, framework: str) -> None:
    vs_ = forward.draw(np.random.default_rng(7), PARAMETERS, directions=directions)
    assert vs_["more"][1][0].shape == ((directions, 2, 2) if directions > 1 else (2, 2))
    v, p = into(framework, (vs_, PARAMETERS))
    _, estimate = fgi.forward_gradient(f, p, v, directions=directions)
    rows = (directions,) if directions > 1 else (1,)
    vs = np.concatenate([np.reshape(leaf, (*rows, -1)) for leaf in leaves(vs_)], axis=1)
    np.testing.assert_allclose(flat(framework, estimate), estimated(vs), rtol=1e-12, atol=1e-13)


ERRORS: dict[str, tuple[Callable[[str, Any], Any], type[Exception], str]] = {
    "f returns a vector": (
        lambda fw, p: fgi.forward_gradient(lambda p: p["a"][0], p, keys(fw, 1)[0]),
        ValueError,
        "fgi.forward_gradient: f returned a float64 array of shape (2,); expected a scalar; sum or "
        "average in f",
    ),
    "f returns a vector, several directions": (
        lambda fw, p: fgi.forward_gradient(lambda p: p["a"][0], p, keys(fw, 1)[0], directions=2),
        ValueError,
        "fgi.forward_gradient: f returned a float64 array of shape (2,); expected a scalar; sum or "
        "average in f",
    ),
    "f returns a number": (
        lambda fw, p: fgi.forward_gradient(lambda p: 1.5, p, keys(fw, 1)[0]),
        TypeError,
        "fgi.forward_gradient: f returned a float; expected a scalar of float16, bfloat16, float32 "
        "or float64",
    ),
    "f returns an integer": (
        lambda fw, p: fgi.forward_gradient(
            lambda p: to_framework(fw, np.array(1, "int32")), p, keys(fw, 1)[0]
        ),
        TypeError,
        "fgi.forward_gradient: f returned an int32 array of shape (); expected a scalar of",
    ),
    "f returns a pair": (
        lambda fw, p: fgi.forward_gradient(lambda p: (f(p), p), p, keys(fw, 1)[0]),
        TypeError,
        "fgi.forward_gradient: f returned a tuple; expected a scalar of",
    ),
    "nothing floating": (
        lambda fw, p: fgi.forward_gradient(
            f, {"n": to_framework(fw, np.array([1], "int32")), "s": "x"}, keys(fw, 1)[0]
        ),
        TypeError,
        "fgi.forward_gradient: params holds an int32 array of shape (1,), a str; expected at least "
        "one array of float16, bfloat16, float32 or float64",
    ),
    "no key": (
        lambda fw, p: fgi.forward_gradient(f, p, None),
        TypeError,
        "fgi.forward_gradient: key is None; expected {fw}'s own key or generator, or directions "
        "built like params: fgi.forward.draw(key, params)",
    ),
    "a number for a key": (
        lambda fw, p: fgi.forward_gradient(f, p, 3),
        TypeError,
        "fgi.forward_gradient: key is a int; expected {fw}'s own key or generator, or directions",
    ),
    "NumPy's generator for a key": (
        lambda fw, p: fgi.forward_gradient(f, p, np.random.default_rng(0)),
        TypeError,
        "fgi.forward_gradient: key is a Generator; expected {fw}'s own key or generator, or dire",
    ),
    "no key to draw from": (
        lambda fw, p: forward.draw(None, p),
        TypeError,
        "fgi.forward.draw: key is None; expected {fw}'s own key or generator, or directions",
    ),
    "no direction": (
        lambda fw, p: fgi.forward_gradient(f, p, keys(fw, 1)[0], directions=0),
        ValueError,
        "fgi.forward_gradient: directions is 0; expected an integer >= 1",
    ),
    "half a direction": (
        lambda fw, p: fgi.forward_gradient(f, p, keys(fw, 1)[0], directions=2.5),
        TypeError,
        "fgi.forward_gradient: directions is a float; expected an integer >= 1",
    ),
    "True directions": (
        lambda fw, p: fgi.forward_gradient(f, p, keys(fw, 1)[0], directions=True),
        TypeError,
        "fgi.forward_gradient: directions is a bool; expected an integer >= 1",
    ),
    "directions of another shape": (
        lambda fw, p: fgi.forward_gradient(f, p, {**p, "a": p["a"][0]}),
        ValueError,
        "fgi.forward_gradient: params['a'] is a float64 array of shape (2, 2), its direction a "
        "float64 array of shape (2,); expected the shape (2, 2)",
    ),
    "directions without their axis": (
        lambda fw, p: fgi.forward_gradient(f, p, p, directions=3),
        ValueError,
        "fgi.forward_gradient: params['a'] is a float64 array of shape (2, 2), its direction a "
        "float64 array of shape (2, 2); expected the shape (3, 2, 2)",
    ),
    "directions of another number": (
        lambda fw, p: fgi.forward_gradient(
            f, p, forward.draw(keys(fw, 1)[0], p, directions=4), directions=3
        ),
        ValueError,
        "fgi.forward_gradient: params['a'] is a float64 array of shape (2, 2), its direction a "
        "float64 array of shape (4, 2, 2); expected the shape (3, 2, 2)",
    ),
    "directions with another name": (
        lambda fw, p: fgi.forward_gradient(f, p, {"a": p["a"], "less": p["more"]}),
        TypeError,
        "fgi.forward_gradient: params is a dict with a, more, its direction a dict with a, less; "
        "expected the same; build the directions like params: fgi.forward.draw(key, params)",
    ),
    "directions of another length": (
        lambda fw, p: fgi.forward_gradient(f, p, {**p, "more": [p["more"][0]]}),
        TypeError,
        "fgi.forward_gradient: params['more'] is a list of 2, its direction a list of 1; expected",
    ),
    "an array for a container": (
        lambda fw, p: fgi.forward_gradient(f, p, p["a"]),
        TypeError,
        "fgi.forward_gradient: params is a dict with a, more, its direction a float64 array of "
        "shape (2, 2); expected the same",
    ),
    "a missing direction": (
        lambda fw, p: fgi.forward_gradient(f, p, {**p, "more": [None, p["more"][1]]}),
        TypeError,
        "fgi.forward_gradient: params['more'][0] is a float64 array of shape (), its direction "
        "None; expected the same",
    ),
}


@every_framework
@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str, framework: str) -> None:
    call, error, message = ERRORS[case]
    with pytest.raises(error, match="^" + re.escape(message.replace("{fw}", framework))):
        call(framework, into(framework, PARAMETERS))


@pytest.mark.parametrize("framework", ["numpy"])
def test_numpy_has_no_automatic_differentiation(framework: str) -> None:
    with pytest.raises(
        TypeError, match=r"^fgi\.forward_gradient: numpy has no automatic differentiation; expected"
    ):
        fgi.forward_gradient(f, PARAMETERS, np.random.default_rng(0))


def test_no_arrays() -> None:
    with pytest.raises(TypeError, match="no array was passed and no backend is chosen"):
        fgi.forward_gradient(f, {"a": 1.5}, None)
