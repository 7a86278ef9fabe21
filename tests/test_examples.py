"""docs/examples/custom_jvp, in every framework, against answers from NumPy, SciPy and mpmath."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import fgi
from support.frameworks import INSTALLED_AUTODIFF, load, to_framework, to_numpy

Numpy = np.ndarray[Any, Any]
FOLDER = Path(__file__).parents[1] / "docs/examples/custom_jvp"

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
eager_and_compiled = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where torch.compile looks
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


def into(framework: str, *arrays: Any) -> tuple[Any, ...]:
    return tuple(to_framework(framework, np.asarray(a, np.float64)) for a in arrays)


def both_modes(
    framework: str, f: Callable[..., Any], primals: Any, tangents: Any, u: Any, compiled: bool
) -> tuple[Numpy, Numpy, list[Numpy]]:
    """Value, tangent, and cotangents for the upstream gradient ``u``, each in one compilation."""
    n = len(primals)

    def forward(*args: Any) -> Any:
        return fgi.jvp(f, args[:n], args[n:])

    def reverse(u: Any, *args: Any) -> Any:
        return fgi.vjp(f, *args)[1](u)

    if compiled and framework == "torch":
        torch = load("torch")
        torch._dynamo.reset()
        forward, reverse = (
            torch.compile(g, fullgraph=True, backend="aot_eager") for g in (forward, reverse)
        )
    elif compiled:
        forward, reverse = fgi.compile(forward), fgi.compile(reverse)
    primals, tangents, (u,) = (
        into(framework, *primals),
        into(framework, *tangents),
        into(framework, u),
    )
    y, dy = forward(*primals, *tangents)
    cotangents = reverse(u, *primals)
    y, dy, *found = (to_numpy(framework, a) for a in (y, dy, *cotangents))
    return y, dy, found


def batched(framework: str, f: Callable[..., Any], *xs: Any) -> Numpy:
    """f over the first axis of each."""
    xs = into(framework, *xs)
    if framework == "torch":
        got = load("torch").func.vmap(f)(*xs)
    elif framework == "jax":
        got = load("jax").vmap(f)(*xs)
    else:
        got = load("tensorflow").vectorized_map(lambda each: f(*each), xs)
    return to_numpy(framework, got)


A = np.array([[3.0, 1.0, -0.5], [0.2, -2.0, 0.7], [1.5, 0.4, 4.0]])
B = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])
DA = np.array([[0.1, -0.3, 0.7], [2.0, 0.0, -1.0], [0.4, 0.5, -0.6]])
DB = np.array([[2.0, 0.3], [-0.4, 1.0], [0.6, -3.0]])
U = np.array([[-1.0, 0.5], [2.0, 4.0], [3.0, -0.25]])


@eager_and_compiled
@every_framework
def test_linear_solve(framework: str, compiled: bool) -> None:
    solve = example("linear_solve").solve
    x, dx, (a, b) = both_modes(framework, solve, (A, B), (DA, DB), U, compiled)
    inverse = np.linalg.inv(A)
    np.testing.assert_allclose(x, inverse @ B, rtol=1e-13)
    np.testing.assert_allclose(dx, inverse @ (DB - DA @ inverse @ B), rtol=1e-12)
    np.testing.assert_allclose(b, inverse.T @ U, rtol=1e-12)
    np.testing.assert_allclose(a, -inverse.T @ U @ (inverse @ B).T, rtol=1e-12)


@every_framework
def test_linear_solve_twice_and_batched(framework: str) -> None:
    module = example("linear_solve")
    xp = fgi.namespace(*into(framework, A))
    many = np.stack([A, A.T, A @ A])
    solved = batched(framework, module.solve, many, np.stack([B, U, DB]))
    np.testing.assert_allclose(solved, np.linalg.solve(many, np.stack([B, U, DB])), rtol=1e-12)

    # f(t) = <U, (A + t DA)^-1 B> has f''(0) = 2 <U, A^-1 DA A^-1 DA A^-1 B>.
    a, b, da, u = into(framework, A, B, DA, U)

    def f(t: Any) -> Any:
        return xp.sum(u * module.solve_twice(a + t * da, b))

    (t,) = into(framework, 0.0)
    inverse = np.linalg.inv(A)
    got = to_numpy(framework, fgi.grad(fgi.grad(f))(t))
    step = inverse @ DA
    np.testing.assert_allclose(got, 2 * np.sum(U * (step @ step @ inverse @ B)), rtol=1e-12)


X = np.array([0.3, -1.2, 2.0, 0.5, 0.45])
V, W = np.array([2.0, -1.0, 0.5, 3.0, -4.0]), np.array([1.0, -0.5, 2.5, -3.0, 4.0])
TAU = 0.7


def soft_sort_jacobian(x: Numpy) -> Numpy:
    """By complex steps of the formula, in NumPy; |z| is z times the sign of its real part."""

    def soft(z: Any) -> Any:
        y = z[np.argsort(-z.real)]
        difference = y[:, None] - z[None, :]
        weight = np.exp(-difference * np.sign(difference.real) / TAU)
        return (weight / weight.sum(axis=1, keepdims=True)) @ z

    return np.stack([soft(x + 1e-30j * e).imag / 1e-30 for e in np.eye(len(x))], axis=1)


@eager_and_compiled
@every_framework
def test_soft_sort(framework: str, compiled: bool) -> None:
    sort = example("soft_sort").sort
    y, dy, (dx,) = both_modes(framework, lambda x: sort(x, TAU), (X,), (V,), W, compiled)
    jacobian = soft_sort_jacobian(X)
    np.testing.assert_array_equal(y, np.sort(X)[::-1])
    np.testing.assert_allclose(dy, jacobian @ V, rtol=1e-12)
    np.testing.assert_allclose(dx, jacobian.T @ W, rtol=1e-12)


@every_framework
def test_soft_sort_of_rows_and_of_infinities(framework: str) -> None:
    sort = example("soft_sort").sort
    rows = np.stack([X, -X, X[::-1]])
    np.testing.assert_array_equal(batched(framework, sort, rows), -np.sort(-rows, axis=1))
    (x,) = into(framework, [1.0, np.inf, -np.inf, 1.0, 0.0])
    assert to_numpy(framework, sort(x)).tolist() == [np.inf, 1, 1, 0, -np.inf]


M = np.array([0.1, 1.0, 2.5, -1.7])
E = np.array([0.05, 0.6, 0.3, 0.8])
KEPLER: dict[str, Any] = {}


def kepler(framework: str) -> Any:
    """One for each framework, as PyTorch takes a name once."""
    if framework not in KEPLER:
        KEPLER[framework] = example("black_box").kepler(framework)
    return KEPLER[framework]


def anomaly(m: Numpy, e: Numpy) -> Numpy:
    from mpmath import mp

    def root(m: float, e: float) -> float:
        return float(mp.findroot(lambda z: z - e * mp.sin(z) - m, m))

    return np.array([root(*pair) for pair in zip(m, e, strict=True)])


@eager_and_compiled
@every_framework
def test_black_box(framework: str, compiled: bool) -> None:
    dm, de, u = V[:4], W[:4], np.array([3.0, -1.0, 0.5, 2.0])
    y, dy, (m, e) = both_modes(framework, kepler(framework), (M, E), (dm, de), u, compiled)
    wanted, h = anomaly(M, E), 1e-5
    by_m = (anomaly(M + h, E) - anomaly(M - h, E)) / (2 * h)
    by_e = (anomaly(M, E + h) - anomaly(M, E - h)) / (2 * h)
    np.testing.assert_allclose(y, wanted, rtol=1e-14)
    np.testing.assert_allclose(dy, by_m * dm + by_e * de, rtol=1e-7)
    np.testing.assert_allclose(m, u * by_m, rtol=1e-7)
    np.testing.assert_allclose(e, u * by_e, rtol=1e-7)
    # And to full precision, by the formula at that root.
    slope = 1 / (1 - E * np.cos(wanted))
    np.testing.assert_allclose(m, u * slope, rtol=1e-13)
    np.testing.assert_allclose(e, u * slope * np.sin(wanted), rtol=1e-13)


@every_framework
def test_black_box_batched(framework: str) -> None:
    ms, es = np.stack([M, M + 1, -M]), np.stack([E, E / 2, E])
    f = kepler(framework)
    wanted = np.stack([anomaly(m, e) for m, e in zip(ms, es, strict=True)])
    np.testing.assert_allclose(batched(framework, f, ms, es), wanted, rtol=1e-14)
    xp = fgi.namespace(*into(framework, M))
    gradient = fgi.grad(lambda m, e: xp.sum(3 * f(m, e)))
    np.testing.assert_allclose(
        batched(framework, gradient, ms, es), 3 / (1 - es * np.cos(wanted)), rtol=1e-13
    )


THETA = np.array([0.05, 0.2, 0.4, 0.6])  # dphi/dx is up to -0.4


@eager_and_compiled
@every_framework
def test_fixed_point(framework: str, compiled: bool) -> None:
    """x = theta exp(-x) is solved by Lambert's W, and dW = W / (theta (1 + W)) dtheta."""
    (start,) = into(framework, np.zeros(4))

    def phi(x: Any, theta: Any) -> Any:
        return theta * fgi.namespace(x).exp(-x)

    f = example("fixed_point").fixed_point(phi, start, steps=40)
    dtheta, u = np.array([2.0, -1.0, 0.5, 3.0]), np.array([-3.0, 4.0, 0.25, 2.0])
    x, dx, (by_theta,) = both_modes(framework, f, (THETA,), (dtheta,), u, compiled)
    w = scipy.special.lambertw(THETA).real
    slope = w / (THETA * (1 + w))
    np.testing.assert_allclose(x, w, rtol=1e-13)
    np.testing.assert_allclose(dx, slope * dtheta, rtol=1e-12)
    np.testing.assert_allclose(by_theta, slope * u, rtol=1e-12)


@every_framework
def test_fixed_point_twice(framework: str) -> None:
    """W'' = -W^2 (W + 2) / (theta^2 (1 + W)^3)."""
    (start, theta) = into(framework, np.zeros(4), THETA)
    xp = fgi.namespace(theta)
    f = example("fixed_point").fixed_point(lambda x, t: t * xp.exp(-x), start, order=2)
    second = fgi.grad(lambda t: xp.sum(fgi.grad(lambda t: xp.sum(f(t)))(t)))(theta)
    w = scipy.special.lambertw(THETA).real
    wanted = -(w**2) * (w + 2) / (THETA**2 * (1 + w) ** 3)
    np.testing.assert_allclose(to_numpy(framework, second), wanted, rtol=1e-11)


@every_framework
def test_fixed_point_of_a_network(framework: str) -> None:
    """x = tanh(K x + b): the same as solving with the matrix I - D K."""
    k, b = 0.3 * A / np.abs(A).sum(), np.array([0.5, -1.0, 2.0])
    kernel, start, theta, u = into(framework, k, np.zeros((3, 1)), b[:, None], U[:, :1])
    f = example("fixed_point").fixed_point(
        lambda x, theta: fgi.namespace(x).tanh(kernel @ x + theta), start
    )
    x, pullback = fgi.vjp(f, theta)
    x = to_numpy(framework, x)
    d = np.diag(1 - x[:, 0] ** 2)
    np.testing.assert_allclose(x, np.tanh(k @ x + b[:, None]), rtol=1e-14)
    wanted = (np.linalg.inv(np.eye(3) - d @ k) @ d).T @ U[:, :1]
    np.testing.assert_allclose(to_numpy(framework, pullback(u)[0]), wanted, rtol=1e-13)
