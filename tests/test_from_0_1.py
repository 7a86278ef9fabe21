"""What was written with 0.1.0 still works: imports, pickles, configurations, files, checkpoints."""

from __future__ import annotations

import base64
import importlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing
import fgi.training
from fgi.backend.trees import named
from support import frameworks, written_by_0_1 as old

# Fixture files: see support/written_by_0_1.py.
PATHS: dict[str, list[str]] = json.loads((old.FOLDER / "paths.json").read_text())
OBJECTS: list[dict[str, Any]] = json.loads((old.FOLDER / "objects.json").read_text())

NEEDS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow", "keras": "keras"}


def needed(module: str) -> str | None:
    """The framework that a module imports, as its name says."""
    return NEEDS.get(f"{module}.".split(".")[1])


@pytest.mark.parametrize("module", PATHS)
def test_each_name_is_where_it_was(module: str) -> None:
    framework = needed(module)
    if framework is not None:
        pytest.importorskip(framework)
    found = importlib.import_module(module)
    for name in PATHS[module]:
        if (module, name) == ("fgi.jax", "Surrogate"):
            pytest.importorskip("flax")
        getattr(found, name)
    names: dict[str, Any] = {}
    if module != "fgi.jax":
        exec(f"from {module} import *", names)
        assert set(PATHS[module]) <= set(names)


def test_old_modules_are_found_by_every_kind_of_import() -> None:
    pytest.importorskip("torch")
    code = """
import fgi_backends.torch.face, fgi.testing.judge, fgi.surrogates.counts
import fgi.definition as definition
from fgi import forward
from fgi_backends.torch import script
import fgi, importlib.util
assert fgi_backends.torch.face.Surrogate is fgi.torch.Surrogate
assert definition.Surrogate is fgi.definition.Surrogate is fgi.Surrogate
assert forward.forward_gradient is fgi.forward_gradient
assert fgi.testing.judge.Judge.__name__ == "Judge"
assert script.inject is fgi_backends.torch.inject
assert "definition" not in dir(fgi)
assert not hasattr(fgi.definition, "nothing")
"""
    root = Path(fgi.__file__).parents[2]
    paths = [str(root / "fgi_core"), str(root / "backends")]
    code = f"import sys; sys.path[:0] = {paths!r}\n" + code
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_the_list_of_paths_is_not_short() -> None:
    assert len(PATHS) == 141
    assert sum(map(len, PATHS.values())) == 657


@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_attached_takes_its_arguments_in_the_old_order(framework: str) -> None:
    xp = frameworks.backend(framework)
    fast = importlib.import_module(f"fgi_backends.{framework}.with_value")
    x, fx = xp.asarray([0.5, -1.0]), xp.asarray([1.0, 0.0])
    y = fast.attached(lambda x: 2 * x, x, fx)
    assert y is None or frameworks.to_numpy(framework, y).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("row", OBJECTS, ids=[row["made_by"] for row in OBJECTS])
def test_pickles_and_configurations(row: dict[str, Any]) -> None:
    now = eval(row["made_by"], dict(old.NAMES))
    loaded = pickle.loads(base64.b64decode(row["pickle"]))
    assert loaded == now
    assert type(loaded) is type(now)
    assert repr(loaded) == repr(now)
    if "config" in row:
        assert type(now).from_config(row["config"]) == now
        assert loaded.to_config() == row["config"]


def test_each_class_is_among_the_pickles() -> None:
    made = " ".join(row["made_by"] for row in OBJECTS)
    for name in fgi.surrogates.catalogue():
        assert name in PATHS["fgi.surrogates"]
        assert f"fgi.surrogates.{name}(" in made
    for name in PATHS["fgi.values"]:
        assert f"fgi.values.{name}" in made or f"fgi.{name}" in made or name == "Value"


def outcome(f: Any) -> tuple[Any, Any]:
    """Value and gradient of what takes tensors, and has an upstream gradient that is not 1."""
    import torch

    x = torch.tensor([[-0.75, 0.5], [0.125, 2.0]], requires_grad=True)
    y = f(x)
    (dx,) = torch.autograd.grad(y, x, torch.tensor([[2.0, -3.0], [0.5, 4.0]]))
    return y.detach().numpy(), dx.numpy()


def test_pytorch_modules_and_their_states() -> None:
    torch = pytest.importorskip("torch")
    expected = old.torch_module()
    whole = torch.load(old.FOLDER / "module.pt", weights_only=False)
    state = old.torch_module()
    for tensor in (*state.parameters(), *state.buffers()):
        tensor.data.fill_(1.5)
    state.load_state_dict(torch.load(old.FOLDER / "state.pt", weights_only=True))
    for module in (whole, state):
        assert str(module) == str(expected)
        for name, tensor in expected.state_dict().items():
            assert torch.equal(module.state_dict()[name], tensor), name
        for found, right in zip(outcome(module), outcome(expected), strict=True):
            np.testing.assert_array_equal(found, right)
    assert whole[0].learnable == ("alpha",)
    assert isinstance(whole[0], fgi.torch.Surrogate)


def test_a_surrogate_whose_parameters_are_tensors() -> None:
    torch = pytest.importorskip("torch")
    spike = torch.load(old.FOLDER / "surrogate.pt", weights_only=False)
    assert type(spike) is fgi.surrogates.Gaussian
    assert spike.sigma.tolist() == [0.5, 2.0]
    assert spike.mu.item() == 0.25
    expected = fgi.surrogates.Gaussian(sigma=torch.tensor([0.5, 2.0]), mu=torch.tensor(0.25))
    for found, right in zip(outcome(spike), outcome(expected), strict=True):
        np.testing.assert_array_equal(found, right)


def assert_trees_equal(found: Any, expected: Any, rtol: float = 0.0) -> None:
    """The same names, dtypes, shapes and numbers."""
    found, expected = named(found), named(expected)
    assert set(found) == set(expected)
    for name, x in expected.items():
        x, y = np.asarray(x), np.asarray(found[name])
        assert (y.dtype, y.shape) == (x.dtype, x.shape), name
        np.testing.assert_allclose(y, x, rtol=rtol, atol=0, err_msg=name)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_files_of_parameters(suffix: str) -> None:
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    assert_trees_equal(fgi.load(old.FOLDER / f"parameters.{suffix}"), old.parameters())


# PyTorch hides it, but not from a filter that makes errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_run_goes_on_from_its_checkpoint() -> None:
    pytest.importorskip("torch")
    checkpoint = fgi.training.Checkpoint.read(old.FOLDER)
    assert checkpoint.settings == old.settings()
    assert [len(checkpoint.history), checkpoint.state.step] == [1, 3]
    resumed = fgi.training.train(checkpoint, data=old.sequences())
    assert [len(resumed.history), resumed.state.step] == [3, 9]
    # 0.1.0 trained to the end, and this version trained without a stop.
    assert_trees_equal(resumed.state.params, fgi.load(old.FOLDER / "trained.npz"), 1e-9)
    whole = fgi.training.train(old.settings(), data=old.sequences())
    assert_trees_equal(resumed.state.params, whole.state.params, 1e-9)


def test_a_check_goes_on_from_its_journal(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    journal = tmp_path / "journal.jsonl"
    shutil.copy(old.FOLDER / "journal.jsonl", journal)
    _, *lines = journal.read_text().splitlines()
    report = old.check(journal)
    found = [json.loads(json.dumps(row.to_dict())) for row in report.rows]
    assert found == [json.loads(line) for line in lines]  # seconds, too: nothing was run again


def test_keras_models() -> None:
    pytest.importorskip("keras")
    code = """
import json
from pathlib import Path
import keras, numpy as np
from support import written_by_0_1 as old
import fgi.keras
text = (old.FOLDER / "keras.json").read_text()
model, expected = keras.models.model_from_json(text), old.keras_model()
assert model.layers[0].activation == expected.layers[0].activation
assert type(model.layers[1]) is fgi.keras.Surrogate
for a, b in zip(model.weights, expected.weights, strict=True):
    a.assign(b)
x = np.array([[0.5, -1.0, 2.0], [-0.25, 0.75, 1.0]], "float32")
np.testing.assert_array_equal(model(x), expected(x))
"""
    root = Path(fgi.__file__).parents[2]
    paths = [str(root / name) for name in ("fgi_core", "backends", "tests")]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"], check=True
    )
