"""The frameworks' private names: each stands in one module, and without it nothing is wrong.

``fgi_backends.<framework>.private`` looks each up once. Here each is missing in turn, as in a
version that renamed it: the promises hold, by arithmetic alone.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing
from support.frameworks import INSTALLED_AUTODIFF, backend, to_framework, to_numpy
from support.trees import check, into

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "backends").rglob("*.py"), *(ROOT / "fgi_core").rglob("*.py")]

FRAMEWORKS = {"torch", "jax", "tensorflow", "keras", "flax"}
UNDOCUMENTED = ("jax.interpreters", "jax.extend", "jax.experimental.jet", "keras.src")
"""Modules without a leading underscore that their frameworks do not document."""


def is_private(path: str) -> bool:
    if path.partition(".")[0] not in FRAMEWORKS:
        return False
    private = any(p.startswith("_") and not p.startswith("__") for p in path.split("."))
    return private or path.startswith((*UNDOCUMENTED, "tensorflow.python"))


def private_names(source: str) -> Iterator[str]:
    """The dotted paths in a program that are private names of a framework, also as text."""
    tree = ast.parse(source)
    alias = {name: name for name in FRAMEWORKS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                alias[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
                yield name.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for name in node.names:
                path = f"{node.module}.{name.name}"
                alias[name.asname or name.name] = path
                yield path
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield _path(node, alias)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _path(node: ast.expr, alias: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value, alias)}.{node.attr}"
    return alias.get(node.id, "") if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\ntorch._dynamo.reset()", "torch._dynamo"),
        ("from torch.utils import _pytree as pytree", "torch.utils._pytree"),
        ("from torch.autograd import forward_ad\nforward_ad._current_level",
         "torch.autograd.forward_ad._current_level"),
        ("import jax._src.core", "jax._src.core"),
        ("from jax.interpreters import ad", "jax.interpreters.ad"),
        ("import tensorflow as tf\ntf.__internal__", None),
        ("import tensorflow as tf\ntf.raw_ops._x()", "tensorflow.raw_ops._x"),
        ("sys.modules.get('torch._dynamo.utils')", "torch._dynamo.utils"),
        ("import torch\ntorch.__version__\nself._x", None),
    ],
)  # fmt: skip
def test_private_names_are_recognised(source: str, found: str | None) -> None:
    names = [name for name in private_names(source) if is_private(name)]
    assert found in names if found else names == []


def test_private_names_stand_in_one_module_of_each_backend() -> None:
    assert len(SOURCES) > 100
    places = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        if path.name != "private.py"
        for name in private_names(path.read_text())
        if is_private(name)
    }
    assert places == set()


def names(framework: str) -> list[str]:
    """The names that a backend's module says it looks up."""
    return list(importlib.import_module(f"fgi_backends.{framework}.private").PRIVATE)


def missing(framework: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the installed version did not have the name."""
    private = importlib.import_module(f"fgi_backends.{framework}.private")
    if framework == "jax":
        found = private._found
        monkeypatch.setattr(
            private,
            "_found",
            lambda module, wanted: None if wanted == name else found(module, wanted),
        )
        fast = importlib.import_module("fgi_backends.jax.fast")
        monkeypatch.setattr(fast, "PRIMITIVES", private.make())
        assert fast.PRIMITIVES is None
    else:
        assert getattr(private, f"_{name}") is not None, f"{name} is missing in this version"
        monkeypatch.setattr(private, f"_{name}", None)


MODES = {
    "torch": ["eager", "compile", "func.grad", "vmap(func.grad)", "func.jvp", "forward AD"],
    "jax": ["eager", "jit", "grad", "jvp", "vmap(grad)", "scan", "remat"],
    "tensorflow": ["eager", "function", "XLA", "ForwardAccumulator"],
}
SURROGATES = [
    fgi.surrogates.ATan(alpha=3.0),
    fgi.surrogates.Triangle(),
    fgi.surrogates.StraightThrough(forward=fgi.round),
    fgi.surrogates.Gaussian(sigma=0.75, forward=fgi.values.Heaviside(at_zero=1)),
]

# In JAX they are needed together: one of them stands for all.
PAIRS = [
    (framework, name)
    for framework in INSTALLED_AUTODIFF
    for name in (names(framework) if framework != "jax" else ["Primitive"])
]
each_missing = pytest.mark.parametrize(("framework", "name"), PAIRS)


@pytest.mark.parametrize("name", names("jax") if "jax" in INSTALLED_AUTODIFF else [])
def test_jax_needs_every_name_for_its_primitives(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing("jax", name, monkeypatch)


@each_missing
def test_values_and_gradients(framework: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(framework, name, monkeypatch)
    if framework == "torch":
        importlib.import_module("torch").compiler.reset()
    report = fgi.testing.check(
        SURROGATES, backends=[framework], modes=MODES[framework], dtypes=["float32"]
    )
    assert report.ok, str(report)
    assert {row.mode for row in report.rows} == set(MODES[framework])


X, U, V = np.array([-0.5, 0.25, 2.0]), np.array([3.0, -1.0, 0.5]), np.array([2.0, 0.5, -4.0])
SLOPE = 1 / (1 + (np.pi * X) ** 2)


@each_missing
def test_derivatives_of_higher_order(
    framework: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """d/dx of v . u g'(x) is 0, and v u g''(x) with order=2."""
    missing(framework, name, monkeypatch)
    xp = backend(framework)
    x, u, v = into(framework, (X, U, V))
    for order, expected in ((1, 0 * X), (2, -2 * np.pi**2 * X * SLOPE**2 * U * V)):
        spike = fgi.surrogates.ATan(order=order)
        gradient = fgi.grad(lambda x, spike=spike: xp.sum(u * spike(x)))
        check(framework, gradient(x), U * SLOPE)
        second = fgi.grad(lambda x, gradient=gradient: xp.sum(v * gradient(x)))
        check(framework, second(x), expected)


@each_missing
def test_nested_containers_loops_and_what_is_closed_over(
    framework: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(framework, name, monkeypatch)
    xp = backend(framework)
    p, xs = into(framework, ({"w": [np.array(1.5), (np.array(0.5),)]}, X))

    def loss(p: Any) -> tuple[Any, Any]:
        w, (b,) = p["w"]
        carry, ys = fgi.scan(lambda c, x: ({"c": w * c["c"] + x}, (c["c"],)), {"c": b}, xs)
        return carry["c"] + xp.sum(ys[0]), {"ys": ys}

    # c = b, w b + x0, w^2 b + w x0 + x1, w^3 b + w^2 x0 + w x1 + x2
    w, b, (x0, x1, x2) = 1.5, 0.5, X
    states = [b, w * b + x0, w**2 * b + w * x0 + x1, w**3 * b + w**2 * x0 + w * x1 + x2]
    by_w = b + (2 * w * b + x0) + (3 * w**2 * b + 2 * w * x0 + x1)
    by_b = 1 + w + w**2 + w**3
    (value, aux), gradient = fgi.value_and_grad(loss, has_aux=True)(p)
    check(framework, value, sum(states))
    check(framework, aux["ys"][0], np.array(states[:3]))
    check(framework, gradient, {"w": [np.array(by_w), (np.array(by_b),)]})


@each_missing
def test_at_inference(framework: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value, in memory of its own and without a history."""
    missing(framework, name, monkeypatch)
    x = to_framework(framework, X)
    with fgi.inference_mode():
        y = fgi.surrogates.GradientReversal()(x)
    np.testing.assert_array_equal(to_numpy(framework, y), X)
    if framework == "torch":
        torch = importlib.import_module("torch")
        p = torch.nn.Parameter(x.clone())
        for context in (torch.no_grad(), fgi.inference_mode()):
            with context:
                y = fgi.surrogates.GradientReversal()(p)
            assert not y.requires_grad
            y.mul_(5)
            np.testing.assert_array_equal(to_numpy("torch", p), X)


@each_missing
def test_errors_are_the_same(framework: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(framework, name, monkeypatch)
    x, wide = to_framework(framework, X), to_framework(framework, np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^fgi\.inject: .*expected equal shapes"):
        fgi.inject(x, wide, x)
    with pytest.raises(ValueError, match="alpha"):
        fgi.surrogates.ATan(alpha=wide)(x)
