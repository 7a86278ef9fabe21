"""grad, value_and_grad, jvp, vjp and compile: what is more than any backend is asked for.

``fgi.testing.backend_conformance`` compares them with derivatives by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import INSTALLED, INSTALLED_AUTODIFF, backend, load, to_framework, to_numpy
from support.trees import check, into, out_of

Numpy = np.ndarray[Any, Any]

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)


def other_than(framework: str) -> str:
    others = [name for name in INSTALLED if name != framework]
    if not others:
        pytest.skip("needs a second framework")
    return others[0]


# A model with parameters in a dict of arrays and lists, and its derivatives by hand:
#     y_i = a_i tanh(w x_i) + b x_i^3,   loss = sum_i u_i y_i
PARAMETERS = {"a": np.array([0.5, -2.0, 1.5, 0.25]), "more": [np.array(0.7), (np.array(-0.3),)]}
X = np.array([0.4, -1.1, 0.2, 1.6])
U = np.array([-2.0, 0.5, 3.0, -0.75])


def model(p: Any, x: Any) -> Any:
    xp = fgi.namespace(x)
    w, (b,) = p["more"]
    return p["a"] * xp.tanh(w * x) + b * x * x * x


def loss(p: Any, x: Any, u: Any) -> Any:
    return fgi.namespace(x).sum(u * model(p, x))


def test_gradients_are_the_same_in_every_framework() -> None:
    found = {}
    for framework in INSTALLED_AUTODIFF:
        p, x, u = into(framework, (PARAMETERS, X, U))
        dp = out_of(framework, fgi.grad(loss)(p, x, u))
        found[framework] = np.array([*dp["a"], dp["more"][0], dp["more"][1][0]])
    if len(found) < 2:
        pytest.skip("needs a second framework")
    first, *rest = found.values()
    assert np.abs(first).min() > 0.1
    for gradient in rest:
        np.testing.assert_allclose(gradient, first, rtol=1e-14)


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradient_has_the_dtype_of_its_argument(dtype: str, framework: str) -> None:
    x, u = (to_framework(framework, v.astype(dtype)) for v in (np.array([0.5, -3.0]), U[:2]))
    dx = fgi.grad(lambda x: fgi.namespace(x).sum(u * x * x))(x)
    got = to_numpy(framework, dx)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, [-2.0, -3.0])


XS = np.array([0.5, -2.0, 1.0, 3.0, 0.25])

TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda x: fgi.grad(lambda x: x)(x),
    "value_and_grad": lambda x: fgi.value_and_grad(lambda x: x)(x),
    "jvp": lambda x: fgi.jvp(lambda x: 2 * x, (x,), (x,)),
    "vjp": lambda x: fgi.vjp(lambda x: 2 * x, x),
    "vmap": lambda x: fgi.vmap(lambda x: 2 * x)([x]),
    "compile": lambda x: fgi.compile(lambda x: 2 * x)(x),
    "scan": lambda x: fgi.scan(lambda c, x: (c, x), x, {"x": [x]}),
}
every_transform = pytest.mark.parametrize("transform", TRANSFORMS)


@pytest.mark.parametrize("framework", ["numpy"])
@every_transform
def test_numpy_has_no_automatic_differentiation(transform: str, framework: str) -> None:
    assert framework in INSTALLED
    message = rf"^fgi\.{transform}: numpy has no automatic differentiation; expected arrays of"
    with pytest.raises(TypeError, match=message):
        TRANSFORMS[transform](np.ones(3))


@every_transform
@pytest.mark.parametrize("nothing", [1.5, None, (), {"x": []}, [2.0]], ids=repr)
def test_no_arrays(nothing: Any, transform: str) -> None:
    with pytest.raises(TypeError, match="no array was passed and no backend is chosen"):
        TRANSFORMS[transform](nothing)


@every_framework
@every_transform
def test_use_backend(transform: str, framework: str) -> None:
    """The backend chosen for a block is used, restored after it, and others' arrays refused."""
    x = into(framework, 1.5 if "grad" in transform else XS)
    other = other_than(framework)
    result = repr(TRANSFORMS[transform](x)) if transform != "vjp" else None
    with fgi.use_backend(framework):
        again = TRANSFORMS[transform](x)
        assert transform == "vjp" or repr(again) == result
        with fgi.use_backend(other):
            message = rf"^fgi\.{transform}: .*array of {framework}, but .*set to {other};"
            with pytest.raises(TypeError, match=message):
                TRANSFORMS[transform](x)
        assert fgi.get_backend() == framework
        TRANSFORMS[transform](x)
    assert fgi.get_backend() == "auto"


def is_traced(framework: str, x: Any) -> bool:
    module = load(framework)
    if framework == "torch":
        return bool(module.compiler.is_compiling())
    if framework == "jax":
        return isinstance(x, module.core.Tracer)
    return not module.executing_eagerly()


@every_framework
def test_compile_compiles(framework: str) -> None:
    def f(x: Any, p: Any) -> dict[str, Any]:
        factor = -2 if is_traced(framework, x) else 1
        return {"y": [factor * x + p["b"][0]]}

    compiled = fgi.compile(f)
    for x in (X, X[:3], XS):  # each shape is a trace of its own
        x_, p = into(framework, (x, {"b": [0.5]}))
        check(framework, compiled(x_, p), {"y": [-2 * x + 0.5]})
        check(framework, f(x_, p), {"y": [x + 0.5]})


def spike_gradient(framework: str) -> tuple[Any, Any, Numpy]:
    """A compiled gradient of a spiking function, its argument, and the answer by hand."""
    xp = backend(framework)
    x, u = into(framework, (X, U))
    spike = fgi.surrogates.ATan()
    compiled = fgi.compile(fgi.grad(lambda x: xp.sum(u * (spike(x) + 3 * x))))
    return compiled, x, U * (1 / (1 + (np.pi * X) ** 2) + 3)


def test_torch_compiles_each_of_many_functions() -> None:
    """PyTorch gives up after so many graphs of one piece of code, which they would share."""
    torch = pytest.importorskip("torch")
    stats = torch._dynamo.utils.counters["stats"]
    before = stats["unique_graphs"]
    with torch._dynamo.config.patch(recompile_limit=2):
        for k in range(4):
            y = fgi.compile(eval(f"lambda x: x * {k} + 1"))(torch.tensor(X))
            np.testing.assert_allclose(y, k * X + 1, rtol=1e-15)
    assert stats["unique_graphs"] == before + 4


def test_torch_gradient_that_something_outside_differentiates() -> None:
    """d/dw d/dx (w x^3) = 3 x^2, where w is closed over, an argument, or computed from another."""
    torch = pytest.importorskip("torch")
    x, w = torch.tensor(-2.0, dtype=torch.float64), torch.tensor(5.0, dtype=torch.float64)
    w.requires_grad_()
    by_w = (
        fgi.grad(lambda x: w * x**3)(x),
        fgi.grad(lambda x, w: w * x**3)(x, w),
        fgi.value_and_grad(lambda x: (3 * w) * x**3, has_aux=False)(x)[1] / 3,
    )
    for gradient in by_w:
        assert gradient == 60
        assert torch.autograd.grad(gradient, w)[0] == 12
    tracked = x.clone().requires_grad_()
    (by_x,) = torch.autograd.grad(fgi.grad(lambda x: 5 * x**3)(tracked), tracked)
    assert by_x == -60
    (value, aux), gradient = fgi.value_and_grad(lambda x: (x**2, {"x": x * 3}), has_aux=True)(x)
    assert (value, aux["x"], gradient) == (4, -6, -4)
    assert not any(found.requires_grad for found in (value, aux["x"], gradient))


@every_framework
def test_compile_notices_another_backend(framework: str) -> None:
    gradient, x, expected = spike_gradient(framework)
    other = other_than(framework)
    refused = rf"^fgi\.compile: .*array of {framework}, but .*set to {other};"
    check(framework, gradient(x), expected)
    for before in ("auto", framework):
        fgi.set_backend(before)
        check(framework, gradient(x), expected)
        fgi.set_backend(other)
        with pytest.raises(TypeError, match=refused):
            gradient(x)
        with fgi.use_backend(framework):
            check(framework, gradient(x), expected)
    fgi.set_backend("auto")
    check(framework, gradient(x), expected)


@every_framework
def test_compile_notices_inference_mode(framework: str) -> None:
    """Compiled code takes no notice of the mode, unless it is traced for it alone."""
    gradient, x, expected = spike_gradient(framework)
    without = 3 * U  # the spike passes none, and the rest is as before
    check(framework, gradient(x), expected)
    with fgi.inference_mode():
        check(framework, gradient(x), expected)
    with fgi.inference_mode(traced=True):
        check(framework, gradient(x), without)
        with fgi.inference_mode(traced=True):
            check(framework, gradient(x), without)
        with fgi.inference_mode():
            check(framework, gradient(x), expected)
        check(framework, gradient(x), without)
    check(framework, gradient(x), expected)


@every_framework
@pytest.mark.parametrize("traced", [False, True])
def test_compiled_first_in_inference_mode(traced: bool, framework: str) -> None:
    gradient, x, expected = spike_gradient(framework)
    with fgi.inference_mode(traced=traced):
        check(framework, gradient(x), 3 * U if traced else expected)
    check(framework, gradient(x), expected)


@pytest.mark.parametrize("framework", [n for n in INSTALLED_AUTODIFF if n != "torch"])
def test_inference_mode_is_no_reason_to_compile_again(framework: str) -> None:
    """PyTorch, whose guards look at the mode, compiles once more."""
    traced = []

    def f(x: Any) -> Any:
        traced.append(x)
        return fgi.surrogates.ATan()(x)

    compiled = fgi.compile(f)
    x = into(framework, X)
    compiled(x)
    before = len(traced)
    with fgi.inference_mode():
        compiled(x)
    assert len(traced) == before


@every_framework
def test_gradient_of_what_is_compiled(framework: str) -> None:
    """The other order, and with the value: inside the block it stays what it was."""
    xp = backend(framework)
    x, u = into(framework, (X, U))
    spike = fgi.surrogates.ATan()
    compiled = fgi.compile(lambda x: xp.sum(u * spike(x)))
    value, slope = np.sum(U * (X > 0)), U / (1 + (np.pi * X) ** 2)
    check(framework, fgi.value_and_grad(compiled)(x), (value, slope))
    with fgi.inference_mode():
        check(framework, fgi.value_and_grad(compiled)(x), (value, slope))
    with fgi.inference_mode(traced=True):
        check(framework, fgi.value_and_grad(compiled)(x), (value, np.zeros(4)))
    check(framework, fgi.value_and_grad(compiled)(x), (value, slope))


@every_framework
def test_named_arguments(framework: str) -> None:
    x, w = into(framework, (np.array([1.0, -2.0]), np.array([3.0, 0.5])))

    def f(x: Any, *, w: Any, power: int = 3) -> Any:
        return backend(framework).sum(w * x**power)

    value, gradient = fgi.value_and_grad(f)(x, w=w, power=3)
    check(framework, value, np.array(-1.0))
    expected = np.array([9.0, 6.0])  # 3 w x^2
    check(framework, gradient, expected)
    check(framework, fgi.grad(f)(x, w=w, power=3), expected)
    check(framework, fgi.compile(fgi.grad(f))(x, w=w), expected)


def cube(x: Any) -> Any:
    return x * x * x


# Said by torch.compile of itself, while it looks at an intermediate tensor.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("where", ["eager", "compiled", "compiled inside", "over scan, compiled"])
@every_framework
def test_reverse_over_forward(framework: str, where: str) -> None:
    """d/dx (3 x^2 t) = 6 x t: TensorFlow loses it where a function is called in forward mode."""
    x_, t_, u_ = np.array([-2.0, 0.5]), np.array([2.0, -3.0]), np.array([0.5, 4.0])
    x, t, u = into(framework, (x_, t_, u_))

    def repeated(x: Any) -> Any:
        # x^3 as the last carry of three steps.
        xs = backend(framework).stack([x, x, x])
        return fgi.scan(lambda c, x: (c * x, c), backend(framework).ones_like(x), xs)[0]

    f = {"compiled inside": fgi.compile(cube), "over scan, compiled": repeated}.get(where, cube)

    def both(x: Any, u: Any) -> Any:
        dy, pullback = fgi.vjp(lambda x: fgi.jvp(f, (x,), (t,))[1], x)
        return dy, pullback(u)[0]

    run = fgi.compile(both) if where in ("compiled", "over scan, compiled") else both
    dy, ddx = run(x, u)
    check(framework, dy, 3 * x_**2 * t_)
    check(framework, ddx, 6 * x_ * t_ * u_)
