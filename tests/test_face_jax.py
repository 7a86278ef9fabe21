"""fgi.jax: surrogates as pytrees, in Equinox models, and as modules of Flax NNX."""

from __future__ import annotations

import copy
import math
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from support import catalogue
from support.frameworks import load

jax: Any = pytest.importorskip("jax", reason="jax is not installed")
load("jax")
import jax.numpy as jnp  # noqa: E402, needs jax

import fgi.jax  # noqa: E402, needs jax

ATan = fgi.surrogates.ATan

X, U = np.array([[-0.5, 0.0, 1.5], [0.3, -2.0, 0.1]]), np.array([[2.0, -1.0, 3.0], [0.5, 4.0, -2]])
ALPHA = np.array([2.5, 0.5, 1.25])


def atan(alpha: Any) -> tuple[np.ndarray[Any, Any], ...]:
    """y, dL/dx, dL/da of L = sum u y: g' = a / 2 / (1 + (pi a x / 2)^2) and dg/da = x g' / a."""
    slope = alpha / 2 / (1 + (math.pi / 2 * alpha * X) ** 2)
    by_alpha = U * X * slope / alpha
    return (X > 0).astype(float), U * slope, by_alpha.sum(axis=0 if np.ndim(alpha) else None)


def spike(alpha: Any, **named: Any) -> Any:
    return ATan(alpha=jnp.asarray(alpha, "float64"), through="primitive", **named)


def loss(spike: Any, x: Any) -> Any:
    return (U * spike(x)).sum()


@pytest.mark.parametrize("alpha", [2.5, ALPHA], ids=["number", "array"])
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_the_gradient_by_a_surrogate(jitted: bool, alpha: Any) -> None:
    gradient = jax.grad(loss, argnums=(0, 1))
    by_spike, dx = (jax.jit(gradient) if jitted else gradient)(spike(alpha), X)
    _, wanted_dx, wanted = atan(alpha)
    assert type(by_spike) is ATan
    np.testing.assert_allclose(by_spike.alpha, wanted, rtol=1e-13)
    np.testing.assert_allclose(dx, wanted_dx, rtol=1e-13)


def test_arrays_are_leaves_and_numbers_structure() -> None:
    (leaf,) = jax.tree.leaves(spike(2.5))
    assert float(leaf) == 2.5
    assert jax.tree.leaves(ATan(alpha=2.5)) == []
    inner = ATan(forward=fgi.Heaviside(threshold=jnp.array(0.5)), scale=jnp.array(2.0))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(inner)]
    assert paths == [".scale", ".forward.threshold"]


def test_structures_are_equal_where_all_but_the_arrays_is() -> None:
    def structure(s: Any) -> Any:
        return jax.tree.structure(s)

    same = structure(spike(2.5))
    assert structure(spike(3.5)) == same
    assert hash(structure(spike(3.5))) == hash(same)
    others = (
        spike(2.5, scale=2.0),
        spike(2.5, order=2),
        spike(2.5, forward=fgi.Sign()),
        ATan(alpha=2.5, through="primitive"),
        ATan(scale=jnp.array(2.5), through="primitive"),
        fgi.surrogates.Sigmoid(alpha=jnp.array(2.5), through="primitive"),
    )
    for other in others:
        assert structure(other) != same


def test_another_array_is_no_other_program_and_another_number_is() -> None:
    traced = 0

    @jax.jit
    def f(s: Any, x: Any) -> Any:
        nonlocal traced
        traced += 1
        return s(x)

    for made, count in ((spike(2.5), 1), (spike(3.5), 1), (spike(2.5, scale=2.0), 2)):
        np.testing.assert_array_equal(f(made, X), X > 0)
        assert traced == count


def test_a_batch_of_surrogates() -> None:
    def gradient(s: Any, x: Any) -> Any:
        return jax.grad(loss, argnums=1)(s, x)

    got = jax.vmap(gradient, in_axes=(0, None))(spike(ALPHA), X)
    np.testing.assert_allclose(got, np.stack([atan(a)[1] for a in ALPHA]), rtol=1e-13)


@pytest.mark.parametrize(
    "instead", [None, True, 0, 1.5, "x", object()], ids=lambda x: type(x).__name__
)
def test_whatever_stands_in_place_of_an_array_the_structure_is_the_same(instead: Any) -> None:
    made = spike(2.5)
    other = jax.tree.map(lambda _: instead, made)
    assert other.alpha is instead
    none_too = {"is_leaf": lambda leaf: leaf is None}
    assert jax.tree.structure(other, **none_too) == jax.tree.structure(made, **none_too)
    back = jax.tree.map(lambda _, leaf: leaf, other, made, **none_too)
    assert back == made


def test_round_trips() -> None:
    made = spike(ALPHA, forward=fgi.Sign())
    leaves, structure = jax.tree.flatten(made)
    again = jax.tree.unflatten(structure, leaves)
    assert again == made
    assert hash(again) == hash(made)
    assert repr(again) == repr(made)
    for other in (pickle.loads(pickle.dumps(again)), copy.deepcopy(again)):
        assert jax.tree.structure(other) == structure
        np.testing.assert_array_equal(other.alpha, ALPHA)
    assert again.replace(alpha=2.0).to_config() == made.replace(alpha=2.0).to_config()


def test_every_definition_is_a_pytree_those_to_come_too() -> None:
    for made in catalogue.ALL:
        leaves, structure = jax.tree.flatten(made)
        assert leaves == []
        assert jax.tree.unflatten(structure, leaves) == made

    @fgi.surrogate
    def hat(x: Any, width: Any = 1.0) -> Any:
        return fgi.namespace(x).maximum(1 - abs(x) / width, 0 * x)

    (leaf,) = jax.tree.leaves(hat(width=jnp.array(0.5)))
    assert float(leaf) == 0.5


# Equinox


@pytest.mark.peers
def test_in_an_equinox_model(tmp_path: Any, library: Callable[[str], Any]) -> None:
    eqx = library("equinox")

    class Model(eqx.Module):  # type: ignore[misc, name-defined]
        scale: Any
        spike: fgi.Surrogate

        def __call__(self, x: Any) -> Any:
            return self.spike(self.scale * x)

    model = Model(jnp.array(1.0), spike(2.5))
    _, wanted_dx, wanted = atan(2.5)
    for change in (lambda f: f, eqx.filter_jit):
        gradient = change(eqx.filter_grad(loss))(model, X)
        np.testing.assert_allclose(gradient.spike.alpha, wanted, rtol=1e-13)
        np.testing.assert_allclose(gradient.scale, (wanted_dx * X).sum(), rtol=1e-13)
    arrays, rest = eqx.partition(model, eqx.is_array)
    assert eqx.combine(arrays, rest).spike == model.spike
    updated = eqx.apply_updates(model, gradient)
    np.testing.assert_allclose(updated.spike.alpha, 2.5 + wanted, rtol=1e-13)
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", updated)
    restored = eqx.tree_deserialise_leaves(tmp_path / "model.eqx", model)
    np.testing.assert_array_equal(restored.spike.alpha, updated.spike.alpha)


# Flax NNX


@pytest.mark.peers
@pytest.mark.parametrize("alpha", [2.5, ALPHA], ids=["number", "array"])
def test_a_flax_module(alpha: Any, library: Callable[[str], Any]) -> None:
    nnx = library("flax.nnx")
    module = fgi.jax.Surrogate(ATan(alpha=alpha if np.ndim(alpha) == 0 else jnp.asarray(alpha),
                                    through="primitive"), "alpha")  # fmt: skip
    y, wanted_dx, wanted = atan(alpha)

    def both(module: Any, x: Any) -> Any:
        return nnx.grad(loss, argnums=(0, 1))(module, x)

    graph, state = nnx.split(module)
    others = (module, nnx.merge(graph, state), copy.deepcopy(module),
              pickle.loads(pickle.dumps(module)))  # fmt: skip
    assert isinstance(hash(graph), int)
    for other in others:
        np.testing.assert_array_equal(other(X), y)
        for run in (both, nnx.jit(both)):
            by_module, dx = run(other, X)
            np.testing.assert_allclose(by_module["alpha"][...], wanted, rtol=1e-13)
            np.testing.assert_allclose(dx, wanted_dx, rtol=1e-13)
        assert other.spike.replace(alpha=1.0) == module.spike.replace(alpha=1.0)


@pytest.mark.peers
def test_what_of_a_flax_module_is_learned(library: Callable[[str], Any]) -> None:
    nnx = library("flax.nnx")
    module = fgi.jax.Surrogate(ATan(alpha=jnp.array(2.0), scale=3.0), "scale")
    assert type(module.scale) is nnx.Param
    assert type(module.alpha) is nnx.Variable
    assert list(nnx.state(module, nnx.Param)) == ["scale"]
    with pytest.raises(ValueError, match=r"fgi\.jax\.Surrogate: learnable has 'beta'; expected so"):
        fgi.jax.Surrogate(ATan(), "beta")
    with pytest.raises(TypeError, match=r"alpha is a ndarray; expected a number or a jax\.Array"):
        fgi.jax.Surrogate(ATan(alpha=np.array(2.0)))


def test_without_flax_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fgi_backends.jax.nnx", raising=False)
    monkeypatch.setitem(sys.modules, "flax", None)
    with pytest.raises(ImportError, match=r"needs flax, which is not installed; write pip install"):
        _ = fgi.jax.Surrogate
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fgi.jax.nothing


@pytest.mark.parametrize("named", [{}, {"through": "primitive"}, {"order": 3}], ids=str)
def test_an_array_of_numpy_where_jax_takes_one(named: dict[str, Any]) -> None:
    _, wanted, _ = atan(2.5)
    made = ATan(alpha=2.5, **named)
    np.testing.assert_allclose(jax.grad(lambda x: loss(made, x))(X), wanted, rtol=1e-13)
    y, dy = jax.jvp(made, (X,), (U,))
    np.testing.assert_array_equal(y, X > 0)
    np.testing.assert_allclose(dy, wanted, rtol=1e-13)
    assert "copy" not in str(jax.make_jaxpr(made)(X))
