"""One small Triton kernel in several forms, compiled for a GPU that need not be there.

Each computes y = f(x) - g * d with f a step, g a Gaussian and d = 0 written as a difference; x is
made in the same kernel, so that the compiler sees where it comes from.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .ptx_emulator import Array, run

BLOCK = 128
# Name: the guard of z, and the expression that z goes into.
FORMS = {
    "fgi": ("abs(x) <= max", "slope"),
    "fgi, recomputed": ("abs(x) <= max", "recomputed"),
    "fgi bypass": ("abs(x) <= max", "bypass"),
    "below inf, recomputed": ("abs(x) < inf", "recomputed"),
    "below inf, bypass": ("abs(x) < inf", "bypass"),
    "plain": ("none", "slope"),
    "plain bypass": ("none", "bypass"),
    "paper": ("none", "paper"),
}
CASES = ("a", "0.3*a", "a*b", "a*b-c", "a*b+c", "a*b*c")
DTYPES: dict[str, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32),
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp64": np.dtype(np.float64),
    "i32": np.dtype(np.int32),
}


def computed(dtype: str) -> str:
    """What the kernel computes in: halves and integers in float32, as torch.compile does."""
    return "fp64" if dtype == "fp64" else "fp32"


def largest(dtype: str) -> float:
    """The bound of the guard: the largest float of the dtype that the caller sees."""
    return float(ml_dtypes.finfo(DTYPES["fp32" if dtype == "i32" else dtype]).max)


@triton.jit
def operand(a, b, c, i, m, case: tl.constexpr, of: tl.constexpr, volatile: tl.constexpr):
    x = tl.load(a + i, mask=m, volatile=volatile).to(of)
    if case == "0.3*a":
        x = x * 0.3
    elif case != "a":
        x = x * tl.load(b + i, mask=m, volatile=volatile).to(of)
    if case == "a*b-c":
        x = x - tl.load(c + i, mask=m, volatile=volatile).to(of)
    elif case == "a*b+c":
        x = x + tl.load(c + i, mask=m, volatile=volatile).to(of)
    elif case == "a*b*c":
        x = x * tl.load(c + i, mask=m, volatile=volatile).to(of)
    return x


@triton.jit
def frozen(x, guard: tl.constexpr, largest: tl.constexpr):
    if guard == "abs(x) <= max":
        x = tl.where(tl.abs(x) <= largest, x, 0.0)
    elif guard == "abs(x) < inf":
        x = tl.where(tl.abs(x) < float("inf"), x, 0.0)
    return x


@triton.jit
def gaussian(z):
    # In float32 also for float64: the exp of doubles branches, and g is only ever a factor of d.
    return tl.exp((-0.5 * z * z).to(tl.float32)).to(z.dtype)


@triton.jit
def kernel(
    a, b, c, y, n,
    guard: tl.constexpr, expression: tl.constexpr, case: tl.constexpr,
    of: tl.constexpr, largest: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * block + tl.arange(0, block)
    m = i < n
    x = operand(a, b, c, i, m, case, of, False)
    fx = (x > 0).to(of)
    if expression == "paper":
        h = x * gaussian(x)
        out = h - h + fx
    elif expression == "bypass":
        # The expression is written twice; that the compiler merges it is part of the test.
        out = fx - (frozen(0.3 * x, guard, largest) - frozen(0.3 * x, guard, largest))
    else:
        z = frozen(x, guard, largest)
        x0 = z
        if expression == "recomputed":
            # Volatile reads are not merged: x0 equals z and the compiler cannot know it.
            x0 = frozen(operand(a, b, c, i, m, case, of, True), guard, largest)
        out = fx - gaussian(z) * (x0 - z)
    tl.store(y + i, out, mask=m)


@cache
def stages(form: str, case: str, dtype: str = "fp32", *, fusion: bool = True) -> dict[str, str]:
    """What the compiler makes of a form, for sm_90: ``llir``, ``ptx``, ``sass``."""
    guard, expression = FORMS[form]
    compute = computed(dtype)
    constants = {
        "guard": guard,
        "expression": expression,
        "case": case,
        "of": {"fp32": tl.float32, "fp64": tl.float64}[compute],
        "largest": largest(dtype),
        "block": BLOCK,
    }
    arguments = dict.fromkeys("abc", f"*{dtype}") | {"y": f"*{compute}", "n": "i32"}
    source = ASTSource(
        kernel, arguments | dict.fromkeys(constants, "constexpr"), constexprs=constants
    )
    # Fusion is said outright: its default is the compiler's to change.
    options = {"enable_fp_fusion": fusion}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm


def execute(ptx: str, a: Array, b: Array, c: Array) -> Array:
    """What the kernel stores for these inputs, by the emulator."""
    y = np.full(len(a), np.nan, np.float64 if a.dtype == np.float64 else np.float32)
    run(ptx, [a, b, c, y, len(a)], blocks=-(-len(a) // BLOCK), threads=BLOCK)
    return y
