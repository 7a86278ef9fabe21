"""Value exact, gradient right: eight surrogates, four dtypes, every mode of every framework."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import exact, frameworks
from support.modes import MODES, PAIRS

EIGHT = [fgi.surrogates.__dict__[name]() for name in fgi.surrogates.__all__]
UPSTREAM = np.array([-2.0, 0.5, 4.0, -0.25])  # powers of two: no rounding of their own


def bank(x: Any) -> Any:
    """Row i of x through surrogate i."""
    return fgi.namespace(x).stack([spike(x[i]) for i, spike in enumerate(EIGHT)])


def same_numbers(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


@pytest.fixture(scope="module")
def allowed() -> dict[tuple[str, str], Any]:
    """Bounds of the slope by surrogate and dtype, over the finite part of the grid."""
    found = {}
    for dtype in frameworks.DTYPES:
        x = exact.grid(frameworks.numpy_dtype(dtype))
        finite = x[np.isfinite(x.astype(np.float64))]
        # 16 bits are computed in float32 and rounded once.
        bound = {"points": 0, "ulps": 1} if "float16" in dtype else {}
        for spike in EIGHT:
            found[spike.name, dtype] = exact.bounds(spike.name, finite, **bound)
    return found


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
        "jit.trace",
        "jit.trace, saved",
        "export",
        "checkpoint",
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
        "remat",
    },
    "tensorflow": {"eager", "function", "XLA", "ForwardAccumulator", "vectorized_map"},
}
"""The modes of the README; torch.jit.script has test_script.py."""


def test_no_promised_mode_is_left_out() -> None:
    for framework, modes in MODES.items():
        assert PROMISED[framework] <= set(modes)
    assert set(MODES) == set(frameworks.INSTALLED_AUTODIFF)


@pytest.mark.parametrize("dtype", frameworks.DTYPES)
@pytest.mark.parametrize(("framework", "mode"), PAIRS)
def test_value_and_gradient(framework: str, mode: str, dtype: str, allowed: Any) -> None:
    row = exact.grid(frameworks.numpy_dtype(dtype))
    x = np.stack([row] * len(EIGHT))
    u = np.resize(UPSTREAM, x.shape).astype(x.dtype)
    x_, u_ = (frameworks.to_framework(framework, a) for a in (x, u))

    y, dx = (frameworks.to_numpy(framework, a) for a in MODES[framework][mode](bank, x_, u_))

    # Value: bit for bit what the framework's own comparison says; NumPy's but for subnormals,
    # which XLA and TensorFlow read as zero.
    own = frameworks.to_numpy(framework, x_ > 0).astype(x.dtype)
    assert same_numbers(y, own)
    tiny = exact.smallest_normal(x.dtype)
    normal = ~(np.abs(row.astype(np.float64)) < tiny)
    assert same_numbers(y[:, normal], (x.astype(np.float64) > 0).astype(x.dtype)[:, normal])

    # Gradient: upstream times slope; 0 where x is not finite.
    assert dx.dtype == x.dtype
    finite = np.isfinite(row.astype(np.float64))
    assert np.all(dx[:, ~finite].astype(np.float64) == 0)
    slope = dx.astype(np.float64)[:, finite] / u.astype(np.float64)[:, finite]
    for spike, got in zip(EIGHT, slope, strict=True):
        least, largest = allowed[spike.name, dtype]
        wrong = ~((got >= least) & (got <= largest))
        assert not wrong.any(), (
            f"{spike} at x = {row[finite][wrong][:3]}: {got[wrong][:3]}, expected "
            f"{least[wrong][:3]} to {largest[wrong][:3]}"
        )
