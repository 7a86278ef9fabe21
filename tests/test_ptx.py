"""The value stays exact where the compiler of a GPU fuses products into sums: shown without one.

Triton is what torch.compile makes GPU code with. docs/contraction.md has the numbers.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import ml_dtypes
import numpy as np
import pytest

if find_spec("tensorflow"):
    pytest.skip(
        "triton and tensorflow each bring an LLVM, and abort in one process; make test-ptx has an "
        "environment of its own",
        allow_module_level=True,
    )
pytest.importorskip("triton", reason="triton is not installed; make test-ptx installs it")

from support import ptx_emulator, ptx_kernels

pytestmark = pytest.mark.ptx

Array = ptx_emulator.Array

EXACT = ("fgi", "fgi, recomputed", "fgi bypass")
BELOW_INF = ("below inf, recomputed", "below inf, bypass")
N = 1000


def inputs(dtype: str, *, hostile: bool) -> list[Array]:
    """a, b, c: normal draws, or, if hostile, half any exponent, half zeros, ends, inf and NaN."""
    rng = np.random.default_rng(0)
    to = ptx_kernels.DTYPES[dtype]
    if dtype == "i32":
        limit = 2**31 - 1 if hostile else 20
        return [rng.integers(-limit, limit, N, to, endpoint=True) for _ in range(3)]
    arrays = []
    for _ in range(3):
        v = rng.standard_normal(N)
        if hostile:
            info = ml_dtypes.finfo(to)
            largest, tiny = float(info.max), float(info.smallest_normal)
            v *= np.exp2(rng.uniform(info.minexp - 5, info.maxexp - 3, N))
            special = [0.0, -0.0, np.inf, -np.inf, np.nan, largest, -largest, tiny, 1.0]
            v[: N // 2] = rng.choice(special, N // 2)
        arrays.append(v.astype(to))
    return arrays


def step(case: str, a: Array, b: Array, c: Array, *, fusion: bool) -> Array:
    """f(x) for the x that the kernel sees: a*b-c and a*b+c are one fma there, where allowed."""
    to = np.float64 if a.dtype == np.float64 else np.float32
    a, b, c = (v.astype(to) for v in (a, b, c))
    fma = ptx_emulator.fma
    with np.errstate(all="ignore"):
        x = {
            "a": lambda: a,
            "0.3*a": lambda: a * to(0.3),
            "a*b": lambda: a * b,
            "a*b-c": lambda: fma(a, b, -c) if fusion else a * b - c,
            "a*b+c": lambda: fma(a, b, c) if fusion else a * b + c,
            "a*b*c": lambda: a * b * c,
        }[case]()
        return (x > 0).astype(to)


def wrong(
    form: str, case: str, dtype: str = "fp32", *, hostile: bool = False, fusion: bool = True
) -> int:
    """How many of the 1000 outputs differ from f(x) in any bit."""
    arrays = inputs(dtype, hostile=hostile)
    ptx = ptx_kernels.stages(form, case, dtype, fusion=fusion)["ptx"]
    y = ptx_kernels.execute(ptx, *arrays)
    bits = f"u{y.itemsize}"
    return int((y.view(bits) != step(case, *arrays, fusion=fusion).view(bits)).sum())


def test_fma_rounds_once() -> None:
    # Just below the midpoint of two floats: rounding to double first lands on it, then on 1+2^-22.
    e = np.float32(2.0**-23)
    a, b, c = (np.array([v], np.float32) for v in ((1 + e) / 2**24, 1 - e, 1 + e))
    assert ptx_emulator.fma(a, b, c)[0] == 1 + e
    assert (a.astype(np.float64) * b + c).astype(np.float32)[0] == 1 + 2 * e
    d = np.array([1 + 2.0**-52])
    assert ptx_emulator.fma(d, d, -(d * d))[0] == 2.0**-104


@pytest.mark.parametrize("dtype", ptx_kernels.DTYPES)
@pytest.mark.parametrize("case", ptx_kernels.CASES)
@pytest.mark.parametrize("form", EXACT)
def test_value_is_bit_exact(form: str, case: str, dtype: str) -> None:
    assert wrong(form, case, dtype) == 0
    assert wrong(form, case, dtype, hostile=True) == 0


@pytest.mark.parametrize("form", BELOW_INF)
def test_guard_below_inf_is_removed(form: str) -> None:
    # Why the guard is <= max: an integer times a constant is finite, the compiler knows, drops
    # the selection and fuses. Where this fails the compiler has changed, not the project.
    assert "0f7F800000" in ptx_kernels.stages(form, "0.3*a", "fp32")["ptx"]
    assert "0f7F800000" not in ptx_kernels.stages(form, "0.3*a", "i32")["ptx"]
    assert wrong(form, "0.3*a", "i32") > N // 10


# Without these the tests above would prove nothing: the emulator must see the hazard.
@pytest.mark.parametrize(
    ("form", "case"),
    [("plain", "0.3*a"), ("plain", "a*b"), ("plain", "a*b*c")]
    + [(form, case) for form in ("plain bypass", "paper") for case in ptx_kernels.CASES],
)
def test_unguarded_value_is_wrong(form: str, case: str) -> None:
    assert wrong(form, case) > N // 4
    assert wrong(form, case, fusion=False) == 0


@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize("case", ptx_kernels.CASES)
@pytest.mark.parametrize("form", [*EXACT, "plain"])
def test_assembler_fuses_nothing_further(form: str, case: str, dtype: str) -> None:
    # PTX leaves mul and sub open to contraction by ptxas, which comes after what is emulated.
    stages = ptx_kernels.stages(form, case, dtype)
    for instruction, opcode in (("fma.rn.f32", "FFMA"), ("fma.rn.f64", "DFMA")):
        fused = re.findall(rf"\b{opcode}\b", stages["sass"])
        assert len(fused) == stages["ptx"].count(instruction)
