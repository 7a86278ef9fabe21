"""fgi.keras on PyTorch, JAX and TensorFlow: one model, its numbers in closed form, its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import frameworks

pytest.importorskip("keras", reason="keras is not installed")

TESTS = Path(__file__).parent
BACKENDS = frameworks.INSTALLED_AUTODIFF

X, U = np.array([[-0.5, 0.25, 1.5]]), np.array([[2.0, -1.0, 3.0]])
KERNEL = np.array([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0], [0.0, 0.75, 1.5]])
SIGMA, ALPHA, BETA = 0.7, 2.5, np.array([2.0, 3.0, 0.5])


def expected(alpha: Any = ALPHA, beta: Any = BETA, kernel: Any = KERNEL) -> dict[str, Any]:
    """By hand: y = step(b), b = a kernel, a = x K, the slope of each surrogate, a step of 1/8."""
    a = X @ KERNEL
    b = a @ kernel
    s = 1 / (1 + np.exp(-beta * b))
    slope = alpha / 2 / (1 + (np.pi / 2 * alpha * b) ** 2)
    by_b = U * slope * beta * s * (1 - s)
    by_a = by_b @ kernel.T * np.exp(-(a**2) / 2 / SIGMA**2)
    return {
        "now": {"y": (b > 0).astype(float), "dx": by_a @ KERNEL.T},
        "weights": {"alpha": alpha, "beta": beta, "kernel": kernel},
        "step": {
            "alpha": alpha - (U * b * slope / alpha).sum() / 8,
            "beta": beta - (U * slope * b * s * (1 - s))[0] / 8,
            "kernel": kernel - a.T @ by_b / 8,
        },
    }


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Of each backend; each reads the files of those before, and the first those of the last."""
    folder = tmp_path_factory.mktemp("keras")
    found = {}
    for backend in (*BACKENDS, BACKENDS[0]):
        done = subprocess.run(
            [sys.executable, "-m", "support.keras_face", str(folder)],
            cwd=TESTS,
            env=os.environ
            | {
                "KERAS_BACKEND": backend,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("facts:"))
        found[backend] = json.loads(line.removeprefix("facts:"))
    return found


def check(got: dict[str, Any], wanted: dict[str, Any], rtol: float = 1e-5) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=rtol, err_msg=name)


every_backend = pytest.mark.parametrize("framework", BACKENDS)


@every_backend
def test_value_gradient_and_a_training_step(framework: str, facts: dict[str, Any]) -> None:
    wanted = expected()
    check(facts[framework]["made"], wanted["now"] | wanted["weights"])
    check(facts[framework]["trained"], wanted["step"])
    check(facts[framework]["trained"], expected(**wanted["step"])["now"])
    assert facts[framework]["trainable"] == ["kernel", "alpha", "alpha"]


@every_backend
def test_files_lose_nothing(framework: str, facts: dict[str, Any]) -> None:
    own = facts[framework]
    assert own["loaded"] == own["trained"] == own["pickled"]
    assert own["equal"] == [True, True, True]
    check(own["cloned"], {"alpha": ALPHA, "beta": BETA})  # as for any layer, the first ones


@every_backend
def test_files_of_the_other_backends(framework: str, facts: dict[str, Any]) -> None:
    others = facts[framework]["others"]
    if framework == BACKENDS[0]:
        assert set(others) == set(BACKENDS) - {framework}
    for name, got in others.items():
        check(got, facts[name]["trained"])


def test_a_saved_model_of_tensorflow_has_value_and_gradient(facts: dict[str, Any]) -> None:
    if "tensorflow" not in facts:
        pytest.skip("tensorflow is not installed")
    own = facts["tensorflow"]
    check(own["exported"], {name: own["trained"][name] for name in ("y", "dx")})


@every_backend
def test_a_mixed_policy_keeps_its_dtypes(framework: str, facts: dict[str, Any]) -> None:
    assert facts[framework]["mixed"] == {
        "steep": (X > 0).astype(float).tolist(),
        "layer": "float16",
        "weight": "float32",
        "dense": "bfloat16",
    }


@every_backend
def test_a_constraint_keeps_the_range(framework: str, facts: dict[str, Any]) -> None:
    without, kept = facts[framework]["constrained"]
    slope = 0.25 / 2 / (1 + (np.pi / 2 * 0.25 * X) ** 2)
    np.testing.assert_allclose(without, 0.25 - 16 * (U * X * slope / 0.25).sum(), rtol=1e-5)
    assert without < 0 == kept


@every_backend
def test_what_is_wrong_is_said(framework: str, facts: dict[str, Any]) -> None:
    own = facts[framework]
    assert "schema is 2; expected 1 or less; a newer fgi wrote it: update fgi" in own["newer"]
    assert "get_config" in own["without"]
    no_spike, no_name, no_config = own["wrong"]
    assert "TypeError: fgi.keras.Surrogate: spike is a str; expected a surrogate" in no_spike
    assert "ValueError: fgi.keras.Surrogate: learnable has 'beta'; expected some of al" in no_name
    assert "TypeError: ATan.to_config: forward is a builtin_function_or_method" in no_config
