"""fgi.vmap: around and inside the other transforms, against a loop in NumPy written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import INSTALLED_AUTODIFF, backend, load, to_framework, to_numpy

Numpy = np.ndarray[Any, Any]

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
compiled_or_not = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])

# A recurrent unit: c_t = tanh(w c_(t-1)) + x_t, over rows of three steps.
W = 0.7
C0 = np.array([[0.4, -1.2], [1.5, 0.1], [-0.6, 0.9], [0.2, 2.0]])
XS = np.linspace(-1, 1, 24).reshape(4, 3, 2) ** 3
VS = np.cos(np.arange(8.0)).reshape(4, 2)
US = np.sin(np.arange(8.0)).reshape(4, 2) * 3


def unit(c0: Any, xs: Any) -> tuple[Any, Any]:
    xp = fgi.namespace(c0)

    def step(c: Any, x: Any) -> tuple[Any, Any]:
        c = xp.tanh(W * c) + x
        return c, {"c": [c], "twice": 2 * c}

    return fgi.scan(step, c0, xs)


def by_hand() -> tuple[Numpy, Numpy, Numpy]:
    """c_1, c_2, c_3 and dc_3/dc_0, for each row."""
    c, slope, cs = C0, np.ones_like(C0), []
    for t in range(3):
        slope = slope * W * (1 - np.tanh(W * c) ** 2)
        c = np.tanh(W * c) + XS[:, t]
        cs.append(c)
    return np.stack(cs, axis=1), c, slope


def check(framework: str, got: Any, expected: Numpy) -> None:
    got = to_numpy(framework, got)
    assert (got.dtype, got.shape) == (np.float64, expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


def arrays(framework: str, *xs: Numpy) -> list[Any]:
    return [to_framework(framework, x) for x in xs]


@compiled_or_not
@every_framework
def test_nested_in_and_out_and_through_scan(framework: str, compiled: bool) -> None:
    c0, xs = arrays(framework, C0, XS)
    run = fgi.vmap(lambda p, more: unit(p["c0"], more[0]))
    last, ys = (fgi.compile(run) if compiled else run)({"c0": c0}, [xs])
    cs, c, _ = by_hand()
    check(framework, last, c)
    check(framework, ys["c"][0], cs)
    check(framework, ys["twice"], 2 * cs)


@compiled_or_not
@every_framework
def test_around_forward_and_reverse_mode(framework: str, compiled: bool) -> None:
    c0, xs, v, u = arrays(framework, C0, XS, VS, US)
    xp = backend(framework)

    def both(c0: Any, xs: Any, v: Any, u: Any) -> Any:
        dy = fgi.jvp(lambda c: unit(c, xs)[0], (c0,), (v,))[1]
        return dy, fgi.grad(lambda c: xp.sum(u * unit(c, xs)[0]))(c0)

    run = fgi.vmap(both)
    dy, dx = (fgi.compile(run) if compiled else run)(c0, xs, v, u)
    _, _, slope = by_hand()
    check(framework, dy, slope * VS)
    check(framework, dx, slope * US)


@compiled_or_not
@every_framework
def test_inside_forward_and_reverse_mode(framework: str, compiled: bool) -> None:
    c0, xs, v, u = arrays(framework, C0, XS, VS, US)

    def both(c0: Any, v: Any, u: Any) -> Any:
        rows = fgi.vmap(lambda c, x: unit(c, x)[0])
        dy = fgi.jvp(lambda c: rows(c, xs), (c0,), (v,))[1]
        return dy, fgi.vjp(lambda c: rows(c, xs), c0)[1](u)[0]

    dy, dx = (fgi.compile(both) if compiled else both)(c0, v, u)
    _, _, slope = by_hand()
    check(framework, dy, slope * VS)
    check(framework, dx, slope * US)


# Said by torch.compile of itself, while it looks at an intermediate tensor.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@compiled_or_not
@every_framework
def test_reverse_over_forward_over_vmap(framework: str, compiled: bool) -> None:
    """d/dx (3 x^2 v) = 6 x v: what a compiled function would lose in TensorFlow's forward mode."""
    x, v, u = arrays(framework, C0, VS, US)

    def ddx(x: Any, v: Any, u: Any) -> Any:
        rows = fgi.vmap(lambda x: x * x * x)
        return fgi.vjp(lambda x: fgi.jvp(rows, (x,), (v,))[1], x)[1](u)[0]

    check(framework, (fgi.compile(ddx) if compiled else ddx)(x, v, u), 6 * C0 * VS * US)


@every_framework
def test_of_vmap(framework: str) -> None:
    x, y = arrays(framework, C0, XS[0])  # (4, 2) and (3, 2)
    xp = backend(framework)
    table = fgi.vmap(lambda a: fgi.vmap(lambda b: xp.sum(a * b))(y))(x)
    check(framework, table, C0 @ XS[0].T)


@every_framework
def test_of_a_surrogate(framework: str) -> None:
    (x,) = arrays(framework, C0[:, 0])
    spike = fgi.surrogates.ATan()
    check(framework, fgi.vmap(fgi.grad(spike))(x), 1 / (1 + (np.pi * C0[:, 0]) ** 2))


@every_framework
def test_what_is_no_array_reaches_the_function_as_it_is(framework: str) -> None:
    (x,) = arrays(framework, C0)

    def f(x: Any, options: Any) -> Any:
        assert options == {"factor": 3, "name": "row", "none": None}
        return x[0] * options["factor"]

    got = fgi.vmap(f)(x, {"factor": 3, "name": "row", "none": None})
    check(framework, got, 3 * C0[:, 0])


@every_framework
def test_a_single_row(framework: str) -> None:
    c0, xs = arrays(framework, C0[:1], XS[:1])
    check(framework, fgi.vmap(unit)(c0, xs)[0], by_hand()[1][:1])


@every_framework
@pytest.mark.parametrize("shapes", [[(3, 2), (4, 2)], [(1, 2), (4, 2)], [()], [(2,), ()]])
def test_lengths_that_differ_or_are_none(shapes: list[tuple[int, ...]], framework: str) -> None:
    xs = arrays(framework, *(np.ones(shape) for shape in shapes))
    shown = str(shapes).replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")
    with pytest.raises(
        ValueError,
        match=rf"^fgi\.vmap: the arguments hold arrays of shapes {shown}; expected at least one "
        rf"array, and one length along the first axis$",
    ):
        fgi.vmap(lambda *xs: xs[0])(*xs)


def test_no_array_where_a_backend_is_chosen() -> None:
    fgi.set_backend(INSTALLED_AUTODIFF[0])
    with pytest.raises(ValueError, match=r"^fgi\.vmap: the arguments hold arrays of shapes \[\]"):
        fgi.vmap(lambda x: x)(1.5)


def test_tensorflow_says_nothing_of_many_calls(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "tensorflow" not in INSTALLED_AUTODIFF:
        pytest.skip("tensorflow is not installed")
    tf = load("tensorflow")
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    for k in range(8):
        y = fgi.vmap(lambda row, k=k: k * tf.reduce_sum(row * row))(x)
        assert y.numpy().tolist() == [5.0 * k, 25.0 * k]
    assert not caplog.records
