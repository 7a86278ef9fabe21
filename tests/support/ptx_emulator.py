"""Straight-line PTX, executed in NumPy: what a kernel computes, without the GPU it was made for.

Reading PTX shows a product fused into a subtraction; running it says how many values that costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]


def fma32(a: Array, b: Array, c: Array) -> Array:
    # a * b is exact in double, the sum is not: rounded to odd it keeps the sticky bit, so that
    # the second rounding, to float32, is the only one that counts.
    p, c = a.astype(np.float64) * b, c.astype(np.float64)
    s = p + c
    t = s - p
    err = (p - (s - t)) + (c - t)
    even = (s.view(np.int64) & 1) == 0
    nudge = np.isfinite(s) & even & (err != 0)
    return np.where(nudge, np.nextafter(s, np.copysign(np.inf, err)), s).astype(np.float32)


def fma64(a: Array, b: Array, c: Array) -> Array:
    out = a * b + c  # right for inf, NaN and for the sign of an exact zero
    for i in np.flatnonzero(np.isfinite(a) & np.isfinite(b) & np.isfinite(c)):
        exact = Fraction(a[i]) * Fraction(b[i]) + Fraction(c[i])
        if exact:
            try:
                out[i] = float(exact)  # one correct rounding
            except OverflowError:
                out[i] = np.copysign(np.inf, float(np.sign(exact.numerator)))
    return out


def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c, rounded once."""
    return {np.dtype(np.float32): fma32, np.dtype(np.float64): fma64}[a.dtype](a, b, c)


TYPES: dict[str, Any] = {"pred": "?", "bf16": ml_dtypes.bfloat16} | {
    f"{kind}{8 * size}": f"{'u' if kind == 'b' else 'i' if kind == 's' else kind}{size}"
    for kind in "fbsu"
    for size in (2, 4, 8)
}
# By the whole opcode but its type, so that .ftz, .sat, .rz, ... fail instead of being ignored.
# ptxas may contract mul, add, sub without .rn: that it does not is a test of its own.
OPERATIONS: dict[str, Callable[..., Array]] = {
    "mov": lambda a: a,
    "abs": np.abs,
    "neg": np.negative,
    "add": np.add,
    "add.rn": np.add,
    "sub": np.subtract,
    "sub.rn": np.subtract,
    "mul": np.multiply,
    "mul.rn": np.multiply,
    "fma.rn": fma,
    "ex2.approx": np.exp2,  # off by an ulp or two: fine, it is only ever a factor of d or of h
    "mul.wide": lambda a, b: a.astype(np.int64) * b,
    "mad.wide": lambda a, b, c: a.astype(np.int64) * b + c,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "selp": lambda a, b, p: np.where(p, a, b),
    # Ordered comparisons: false for NaN, also ne, unlike NumPy's.
    "setp.lt": np.less,
    "setp.le": np.less_equal,
    "setp.gt": np.greater,
    "setp.ne": lambda a, b: (a < b) | (a > b),
}
OPERAND_TYPES = {("selp", 2): "pred", ("mad.wide", 2): "s64", ("shl", 1): "u32"}
CONVERSIONS = ("cvt.f32.f16", "cvt.f32.bf16", "cvt.f64.f32", "cvt.rn.f32.f64", "cvt.rn.f32.s32")
LINE = re.compile(r"(?:@(!?)(%\w+)\s+)?([a-z]\w*(?:\.\w+)*)\s+(.*);")
TOKEN = re.compile(r"%[\w.]+|0[fd][0-9A-Fa-f]+|param_\d+|-?0x[0-9A-Fa-f]+|-?\d+")
SPACE = 40  # array number j is at address (j + 1) << SPACE


class Machine:
    """All threads at once: a register is a row of raw bits, one entry per thread."""

    def __init__(self, arguments: Sequence[Array | int], blocks: int, threads: int) -> None:
        lane = np.arange(blocks * threads, dtype=np.uint32)
        self.lanes = len(lane)
        self.memory: list[Array] = []
        self.registers: dict[str, Array] = {"%ctaid.x": lane // threads, "%tid.x": lane % threads}
        for i, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray):
                self.memory.append(argument)
                value: Any = np.uint64(len(self.memory) << SPACE)
            else:
                value = np.uint32(argument)
            self.registers[f"param_{i}"] = np.full(self.lanes, value)

    def step(self, negated: str, predicate: str | None, opcode: str, operands: str) -> None:
        on = np.ones(self.lanes, bool)
        if predicate is not None:
            on = self.registers[predicate] ^ bool(negated)
        names = TOKEN.findall(operands)
        key, _, kind = opcode.rpartition(".")
        if key == "ld.param":
            self.write(names[0], self.registers[names[1]], on)
        elif key in ("ld.global", "ld.volatile.global"):
            array, index = self.address(names[1], names[2], on)
            value = np.zeros(self.lanes, array.dtype)
            value[on] = array[index]
            self.write(names[0], value, on)
        elif key == "st.global":
            array, index = self.address(names[0], names[1], on)
            array[index] = self.read(names[2], kind)[on].view(array.dtype)
        elif opcode in CONVERSIONS:
            to = TYPES[opcode.split(".")[-2]]
            self.write(names[0], self.read(names[1], kind).astype(to), on)
        elif key == "mov" and len(names) == 3:  # two halves and their pair: {low, high}
            if operands.startswith("{"):
                pair = self.read(names[2], kind)
                halves = pair.view(f"u{pair.itemsize // 2}").reshape(-1, 2)
                self.write(names[0], halves[:, 0].copy(), on)
                self.write(names[1], halves[:, 1].copy(), on)
            else:
                halves = np.stack([self.registers[name] for name in names[1:]], axis=1)
                (pair,) = halves.view(TYPES[kind]).T
                self.write(names[0], pair.copy(), on)
        elif key in OPERATIONS and (kind != "bf16" or key.startswith("setp")):
            kinds = [OPERAND_TYPES.get((key, i), kind) for i in range(len(names) - 1)]
            values = [self.read(name, of) for name, of in zip(names[1:], kinds, strict=True)]
            self.write(names[0], OPERATIONS[key](*values), on)
        else:
            raise NotImplementedError(opcode)

    def read(self, name: str, kind: str) -> Array:
        if name in self.registers:
            return self.registers[name].view(TYPES[kind])
        if name[1:2] in ("f", "d"):  # 0f3F800000: the bits of a float
            bits = np.full(self.lanes, int(name[2:], 16), f"u{len(name[2:]) // 2}")
            return bits.view(TYPES[kind])
        return np.full(self.lanes, int(name, 0)).astype(TYPES[kind])

    def write(self, name: str, value: Array, on: Array) -> None:
        bits = value if value.dtype == bool else value.view(f"u{value.itemsize}")
        self.registers[name] = bits if on.all() else np.where(on, bits, self.registers[name])

    def address(self, base: str, offset: str, on: Array) -> tuple[Array, Array]:
        address = self.registers[base][on].astype(np.int64) + int(offset)
        (number,) = set((address >> SPACE).tolist())
        array = self.memory[number - 1]
        return array, (address & ((1 << SPACE) - 1)) // array.itemsize


def instructions(ptx: str) -> list[str]:
    """The instructions of the kernel, up to its return."""
    lines = [line.split("//")[0].strip() for line in ptx.splitlines()]
    body = lines[: lines.index("ret;")]
    return [line for line in body if line.endswith(";") and not line.startswith(".")]


def run(ptx: str, arguments: Sequence[Array | int], *, blocks: int, threads: int) -> Machine:
    """Execute a kernel; it writes into the arrays among its arguments.

    Errors: NotImplementedError for whatever is not known to be executed exactly.
    """
    machine = Machine(arguments, blocks, threads)
    with np.errstate(all="ignore"):
        for line in instructions(ptx):
            found = LINE.fullmatch(line)
            if found is None:
                raise NotImplementedError(line)
            machine.step(*found.groups())
    return machine
