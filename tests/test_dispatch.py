"""Which backend: scoped before process-wide before the arrays; and nothing changed by a failure."""

from __future__ import annotations

import importlib.metadata
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

import fgi
import fgi_backends.numpy
from support import frameworks

INSTALLED = frameworks.INSTALLED
OTHER = next((name for name in INSTALLED if name != "numpy"), "numpy")
spike = fgi.surrogates.ATan()


def array(framework: str) -> Any:
    return frameworks.to_framework(framework, np.array([-1.0, 0.0, 0.5]))


@pytest.mark.parametrize("framework", INSTALLED)
def test_arrays_choose_on_auto(framework: str) -> None:
    x = array(framework)
    assert fgi.namespace(x) is frameworks.backend(framework)
    assert fgi.namespace(x, 2.0, None, x) is frameworks.backend(framework)
    assert isinstance(spike(x), fgi.namespace(x).Array)
    assert fgi.get_backend() == "auto"


@pytest.mark.parametrize("framework", INSTALLED)
@pytest.mark.parametrize("other", INSTALLED)
def test_a_set_backend_refuses_foreign_arrays(framework: str, other: str) -> None:
    fgi.set_backend(framework)
    assert fgi.get_backend() == framework
    assert fgi.namespace() is frameworks.backend(framework)
    x = array(other)
    if other == framework:
        assert isinstance(spike(x), fgi.namespace(x).Array)
        return
    with pytest.raises(TypeError, match=rf"{other}.*set to {framework}.*set_backend\('{other}'\)"):
        spike(x)


def test_use_backend_nests_and_restores() -> None:
    fgi.set_backend("numpy")
    with fgi.use_backend(OTHER):
        assert fgi.get_backend() == OTHER
        with fgi.use_backend("auto"):
            assert fgi.get_backend() == "auto"
            with fgi.use_backend("numpy"):
                assert fgi.get_backend() == "numpy"
            assert fgi.get_backend() == "auto"
        with pytest.raises(KeyError), fgi.use_backend("numpy"):
            raise KeyError
        assert fgi.get_backend() == OTHER
        # Process-wide, seen once the block ends.
        fgi.set_backend("auto")
        assert fgi.get_backend() == OTHER
    assert fgi.get_backend() == "auto"


def in_thread(function: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_threads() -> None:
    fgi.set_backend("numpy")
    assert in_thread(fgi.get_backend) == "numpy"
    with fgi.use_backend(OTHER):
        assert in_thread(fgi.get_backend) == "numpy"

        def other() -> str:
            with fgi.use_backend("auto"):
                fgi.set_backend(OTHER)
                return fgi.get_backend()

        assert in_thread(other) == "auto"
        assert fgi.get_backend() == OTHER
    assert fgi.get_backend() == OTHER


@pytest.mark.parametrize("choose", [fgi.set_backend, lambda n: fgi.use_backend(n).__enter__()])
def test_a_failed_choice_changes_nothing(choose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fgi.set_backend("numpy")
    with pytest.raises(ValueError, match=r"unknown backend 'theano'; expected 'auto' or one of .*"):
        choose("theano")
    assert fgi.get_backend() == "numpy"

    # Not installed, as Python sees it: the remedy is named.
    for name in [n for n in sys.modules if n.startswith("fgi_backends.jax")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("fgi_backends.jax", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r"'jax' needs jax.*pip install 'fgi\[jax\]'"):
        choose("jax")
    assert fgi.get_backend() == "numpy"


def test_a_framework_that_breaks_while_loading_leaves_the_old_backend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fgi.set_backend("numpy")
    broken = types.SimpleNamespace(name="broken", load=lambda: 1 / 0)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])
    with pytest.raises(ZeroDivisionError):
        fgi.set_backend("broken")
    assert fgi.get_backend() == "numpy"


def test_mixed_arrays() -> None:
    a, b = array(OTHER), array("numpy")
    for call in (
        lambda: fgi.namespace(a, b),
        lambda: fgi.inject(a, a, b),
        lambda: fgi.inject(a, b, a),
        lambda: fgi.bypass(b, a),
        lambda: fgi.surrogates.ATan(alpha=b)(a),
        lambda: fgi.Heaviside(at_zero=b)(a),
    ):
        with pytest.raises(TypeError, match=rf"{OTHER}.*numpy.*convert"):
            call()


def test_no_array_and_no_choice() -> None:
    with pytest.raises(TypeError, match="no array was passed and no backend is chosen"):
        fgi.namespace(1.0, None)
    with pytest.raises(TypeError, match="a list; expected an array"):
        fgi.namespace([1.0])


class Tagged(np.ndarray[Any, Any]):
    """An array type of a third party."""


def third_party(**changes: Any) -> types.ModuleType:
    module = types.ModuleType("tagged")
    for name, value in vars(fgi_backends.numpy).items():
        if not name.startswith("__"):
            setattr(module, name, value)
    module.name, module.Array = "tagged", Tagged  # type: ignore[attr-defined]
    for name, value in changes.items():
        setattr(module, name, value)
    return module


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgi.backend.registry._registered", {})
    # NumPy would claim its own subclass first.
    monkeypatch.setattr("fgi.backend.registry.BUILT_IN", ("torch", "jax", "tensorflow"))


@pytest.mark.usefixtures("registry")
def test_register_backend() -> None:
    module = third_party()
    x = np.array([-1.0, 2.0]).view(Tagged)
    with pytest.raises(TypeError, match="expected an array of torch"):
        fgi.namespace(x)
    fgi.register_backend(module)
    xp = fgi.namespace(x)
    assert (xp.name, xp.exp) == ("tagged", module.exp)
    assert "tagged" in fgi.available_backends()
    np.testing.assert_array_equal(spike(x), [0, 1])
    with fgi.use_backend("tagged"):
        assert fgi.get_backend() == "tagged"


@pytest.mark.usefixtures("registry")
def test_entry_points_are_found_by_name_and_by_array(monkeypatch: pytest.MonkeyPatch) -> None:
    module = third_party()
    point = types.SimpleNamespace(name="tagged", load=lambda: module)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    x = np.array([-1.0, 2.0]).view(Tagged)
    assert "tagged" in fgi.available_backends()
    with pytest.raises(TypeError, match="expected an array of torch"):
        fgi.namespace(x)  # the framework that the entry point is named after is not loaded
    monkeypatch.setitem(sys.modules, "tagged", module)
    assert fgi.namespace(x).exp is module.exp
    monkeypatch.setattr("fgi.backend.registry._registered", {})
    fgi.set_backend("tagged")
    assert fgi.get_backend() == "tagged"


def test_register_backend_says_what_is_missing(registry: None) -> None:
    module = third_party()
    del module.where, module.stop_gradient  # type: ignore[attr-defined]
    wanted = (
        r"^fgi.register_backend: tagged has no stop_gradient, where \(tier injection\); define "
        r"stop_gradient\(x, /\), where\(condition, x, y, /\) in the backend, as "
        r"fgi.backend.Injection says$"
    )
    with pytest.raises(TypeError, match=wanted):
        fgi.register_backend(module)
    with pytest.raises(TypeError, match=r"has no name, Array, floating, .* \(tier injection\)"):
        fgi.register_backend(types.SimpleNamespace())
    with pytest.raises(ValueError, match="'torch' is a built-in backend"):
        fgi.register_backend(third_party(name="torch"))
    assert "tagged" not in fgi.available_backends()


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_code_compiled_by_torch_notices_a_switch() -> None:
    import torch

    torch._dynamo.reset()
    compiled = torch.compile(spike, fullgraph=True, backend="aot_eager")
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    assert compiled(x).requires_grad
    with fgi.inference_mode():
        assert compiled(x).requires_grad
    with fgi.inference_mode(traced=True):
        assert not compiled(x).requires_grad
    assert compiled(x).requires_grad
    fgi.set_backend("numpy")
    with pytest.raises(Exception, match="set to numpy"):
        compiled(x)
    fgi.set_backend("torch")
    assert compiled(x).tolist() == [0, 1]
    with fgi.use_backend("numpy"), pytest.raises(Exception, match="set to numpy"):
        compiled(x)
    assert compiled(x).tolist() == [0, 1]
