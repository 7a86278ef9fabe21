"""The frameworks as test targets: arrays in and out of NumPy, bit by bit.

torch is imported before tensorflow, which is what the two need in one process.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import Any

import ml_dtypes
import numpy as np

# JAX reads it once, when it starts: what is sharded needs several devices.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

AUTODIFF = ("torch", "jax", "tensorflow")
ALL = (*AUTODIFF, "numpy")
# Not every version of one framework shares a process with every version of another.
ASKED = os.environ.get("FGI_TEST_FRAMEWORKS", ",".join(ALL)).split(",")
INSTALLED = tuple(name for name in ALL if name in ASKED and find_spec(name))
INSTALLED_AUTODIFF = tuple(name for name in AUTODIFF if name in INSTALLED)

DTYPES = ("float16", "bfloat16", "float32", "float64")
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def numpy_dtype(name: str) -> np.dtype[Any]:
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def load(name: str) -> Any:
    """The framework, set up as the tests need it."""
    module = importlib.import_module(name)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


def backend(name: str) -> Any:
    load(name)
    return importlib.import_module(f"fgi_backends.{name}")


def to_framework(name: str, x: np.ndarray[Any, Any]) -> Any:
    if name == "torch":
        import torch

        if x.dtype == BFLOAT16:
            return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(x.copy())
    return backend(name).asarray(x)


def to_numpy(name: str, x: Any) -> np.ndarray[Any, Any]:
    if name == "torch" and x.dtype == load("torch").bfloat16:
        return np.asarray(x.detach().view(load("torch").int16).numpy().view(BFLOAT16))
    return np.asarray(backend(name).to_numpy(x))


def keys(name: str, seed: int) -> list[Any]:
    """One of each kind of the framework's own sources of randomness."""
    module = load(name)
    if name == "torch":
        return [module.Generator().manual_seed(seed)]
    if name == "jax":
        return [module.random.key(seed), module.random.PRNGKey(seed)]
    if name == "tensorflow":
        return [module.random.Generator.from_seed(seed), module.constant([seed, 7])]
    return [np.random.default_rng(seed)]
