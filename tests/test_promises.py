"""Value exact, gradient right: in every mode of every framework.

The whole catalogue in float32, eight of it in the other dtypes; test_accuracy.py has the catalogue
in all dtypes, at more points, where no mode is concerned.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fgi
from support import catalogue, exact, frameworks
from support.modes import MODES, RUNNING

NAMES = (
    "Gaussian", "DoubleGaussian", "Sigmoid", "ATan", "Triangle", "FastSigmoid", "StraightThrough",
    "StepPWL",
)  # fmt: skip
EIGHT = [catalogue.CLASSES[name]() for name in NAMES]
BANKS = {dtype: catalogue.DEFAULTS if dtype == "float32" else EIGHT for dtype in frameworks.DTYPES}
UPSTREAM = np.array([-2.0, 0.5, 4.0, -0.25])  # powers of two: no rounding of their own


def bank(functions: Any) -> Any:
    """Row i of x through function i."""
    return lambda x: fgi.namespace(x).stack([f(x[i]) for i, f in enumerate(functions)])


def same_numbers(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


@cache
def allowed(dtype: str) -> list[Any]:
    """The least and the largest slope that is right, for each surrogate, over the finite grid."""
    x = exact.finite(exact.grid(frameworks.numpy_dtype(dtype)))
    # 16 bits are computed in float32 and rounded once.
    bound = {"points": 0, "ulps": 1} if "float16" in dtype else {}
    return [exact.bounds(spike, x, **bound) for spike in BANKS[dtype]]


PROMISED = {
    "torch": {
        "eager",
        "compile",
        "func.grad",
        "vmap(func.grad)",
        "func.jvp",
        "forward AD",
        "compile(func.grad)",
        "compile(vmap(func.grad))",
        "jit.script",
        "jit.script, saved",
        "jit.trace",
        "jit.trace, saved",
        "export",
        "checkpoint",
        "autocast",
    },
    "jax": {
        "eager",
        "jit",
        "grad",
        "jvp",
        "vmap(grad)",
        "jit(vmap(grad))",
        "linearize",
        "scan",
        "while_loop",
        "remat",
        "export",
        "shard",
    },
    "tensorflow": {
        "eager",
        "function",
        "XLA",
        "ForwardAccumulator",
        "vectorized_map",
        "while_loop",
        "SavedModel",
        "mixed precision",
    },
}
"""The modes of the README."""


def test_no_promised_mode_is_left_out() -> None:
    for framework, modes in MODES.items():
        assert PROMISED[framework] <= set(modes)
        assert PROMISED[framework] <= {mode for name, mode in RUNNING if name == framework}
    assert set(MODES) == set(frameworks.INSTALLED_AUTODIFF)


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@pytest.mark.parametrize(("framework", "mode"), RUNNING)
def test_value_and_gradient(framework: str, mode: str, dtype: str) -> None:
    if dtype not in MODES[framework][mode].dtypes:
        pytest.skip(f"{mode} is for {', '.join(MODES[framework][mode].dtypes)}")
    hold(framework, mode, dtype)


# Where Inductor compiles the expansion of the whole catalogue it takes minutes: these modes are run
# without the fast paths by ``make test-expansion``, which switches them off for all tests.
MINUTES = {("torch", "compile"), ("torch", "compile(func.grad)"),
           ("torch", "compile(vmap(func.grad))")}  # fmt: skip


@pytest.mark.parametrize(("framework", "mode"), [m for m in RUNNING if m not in MINUTES])
def test_the_expansion_alone(framework: str, mode: str) -> None:
    dtypes = MODES[framework][mode].dtypes
    with fgi.use_fast_paths(False):
        hold(framework, mode, "float32" if "float32" in dtypes else dtypes[0])


def hold(framework: str, mode: str, dtype: str) -> None:
    """Assert the promises of value and gradient, for a bank of surrogates."""
    how = MODES[framework][mode]
    spikes = BANKS[dtype]
    row = exact.grid(frameworks.numpy_dtype(dtype))
    x = np.stack([row] * len(spikes))
    u = np.resize(UPSTREAM, x.shape).astype(x.dtype)
    x_, u_ = (frameworks.to_framework(framework, a) for a in (x, u))

    prepared = bank([how.prepare(spike) for spike in spikes])
    y, dx = (frameworks.to_numpy(framework, a) for a in how.run(prepared, x_, u_))

    # Value: bit for bit that of the framework's own arithmetic, and NumPy's; but for subnormals,
    # which XLA and TensorFlow read as zero.
    with fgi.inference_mode():
        own = frameworks.to_numpy(framework, bank(spikes)(x_))
    tiny = exact.smallest_normal(x.dtype)
    normal = (row == 0) | ~(np.abs(row.astype(np.float64)) < tiny)
    with np.errstate(all="ignore"):
        numpys = bank(spikes)(x)
    for spike, got, value, expected in zip(spikes, y, own, numpys, strict=True):
        if type(spike).value is not fgi.Surrogate.value:
            # f computes, and a compiler may choose the sign of its zeros.
            got, value, expected = (v + np.zeros_like(v) for v in (got, value, expected))
        else:
            expected = (row.astype(np.float64) > 0).astype(x.dtype)
        assert same_numbers(got[normal], value[normal]), spike
        assert same_numbers(got[normal], expected[normal]), spike
        assert np.all((got == value) | (got == 0) | normal), spike

    # Gradient: upstream times slope; 0 where x is not finite.
    assert dx.dtype == x.dtype
    finite = np.isfinite(row.astype(np.float64))
    assert np.all(dx[:, ~finite].astype(np.float64) == 0)
    for spike, got, v, (least, largest) in zip(spikes, dx, u, allowed(dtype), strict=True):
        # Where the product is subnormal or overflows, the slope cannot be had back from it.
        slope = got.astype(np.float64)[finite] / v.astype(np.float64)[finite]
        huge = np.maximum(abs(least), abs(largest)) > float(ml_dtypes.finfo(x.dtype).max) / 8
        wrong = ~((slope >= least) & (slope <= largest) | huge)
        assert not wrong.any(), (
            f"{spike} at x = {row[finite][wrong][:3]}: {slope[wrong][:3]}, expected "
            f"{least[wrong][:3]} to {largest[wrong][:3]}"
        )
