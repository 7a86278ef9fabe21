"""Exact although a compiler fuses products into the sums that use them.

The arithmetic of such a compiler, in NumPy: a product keeps its unrounded value, and a sum or
difference that has a product for an operand uses that. GPU compilers do this, LLVM's and ptxas'
(docs/contraction.md); the formulas of the core run here on such numbers, as a backend of their own.
What compilers really make is looked at by test_ptx.py and, on a device, by test_gpu.py.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fgi
import fgi_backends.numpy
from support import catalogue

F64 = np.float64


class Fused:
    """A float32 array that remembers the unrounded product it came from, if it is one."""

    fuses = "left"
    """Which operand is fused where both are products: compilers do either."""

    def __init__(self, value: Any, product: Any = None) -> None:
        self.value = np.asarray(value, np.float32)
        self.product = product

    dtype = np.dtype("float32")
    shape = property(lambda self: self.value.shape)

    def __mul__(self, other: Any) -> Fused:
        other = fused(other)
        product = self.value.astype(F64) * other.value.astype(F64)  # exact: 24 + 24 < 53 bits
        return Fused(product.astype(np.float32), product)

    def _plus(self, other: Any, sign: int) -> Fused:
        other = fused(other)
        left, right = self.value.astype(F64), sign * other.value.astype(F64)
        for operand in ("left", "right") if Fused.fuses == "left" else ("right", "left"):
            if operand == "left" and self.product is not None:
                return Fused(self.product + right)
            if operand == "right" and other.product is not None:
                return Fused(left + sign * other.product)
        return Fused(left + right)

    def __add__(self, other: Any) -> Fused:
        return self._plus(other, 1)

    def __sub__(self, other: Any) -> Fused:
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> Fused:
        return fused(other) - self

    def __truediv__(self, other: Any) -> Fused:
        return Fused(self.value / fused(other).value)

    def __rtruediv__(self, other: Any) -> Fused:
        return fused(other) / self

    def __abs__(self) -> Fused:
        return Fused(np.abs(self.value))

    def __neg__(self) -> Fused:
        return Fused(-self.value, None if self.product is None else -self.product)

    def __gt__(self, other: Any) -> Any:
        return self.value > fused(other).value

    def __ge__(self, other: Any) -> Any:
        return self.value >= fused(other).value

    def __lt__(self, other: Any) -> Any:
        return self.value < fused(other).value

    def __le__(self, other: Any) -> Any:
        return self.value <= fused(other).value

    def __eq__(self, other: Any) -> Any:
        return self.value == fused(other).value

    __hash__ = None  # type: ignore[assignment]

    __radd__, __rmul__ = __add__, __mul__


def fused(x: Any) -> Fused:
    return x if isinstance(x, Fused) else Fused(x)


def elementwise(f: Callable[..., Any]) -> Callable[..., Fused]:
    return lambda *xs: Fused(f(*(fused(x).value for x in xs)))


# fmt: off
ELEMENTWISE = [
    "atan", "ceil", "cos", "divide", "erfc", "exp", "floor", "log", "log1p", "maximum", "minimum",
    "ones_like", "pow", "remainder", "round", "sign", "sin", "sqrt", "tanh", "trunc", "zeros_like",
]
# fmt: on


@pytest.fixture(autouse=True)
def fusing_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.SimpleNamespace(**vars(fgi_backends.numpy))
    module.name, module.Array, module.may_differentiate = "fusing", Fused, lambda *xs: True
    module.where = lambda c, x, y: Fused(np.where(c, fused(x).value, fused(y).value))
    module.copied = lambda x: Fused(x.value, x.product)  # a compiler leaves a copy out
    module.astype = lambda x, dtype: Fused(x) if isinstance(x, np.ndarray) else x
    module.step = lambda x, y, at_zero=0: Fused(
        fgi_backends.numpy.step(fused(x).value, fused(y).value, at_zero=at_zero)
    )
    for name in ELEMENTWISE:
        setattr(module, name, elementwise(getattr(fgi_backends.numpy, name)))
    monkeypatch.setattr("fgi.backend.registry._registered", {})
    fgi.register_backend(module)
    with np.errstate(all="ignore"):
        yield


rng = np.random.default_rng(0)
A, B, C = (
    Fused(np.concatenate([rng.standard_normal(1000), [np.inf, 0.0, -0.0, 3e38, np.nan]]))
    for _ in range(3)
)
INPUTS: dict[str, Callable[[], Fused]] = {
    "loaded": lambda: A,
    "a*b": lambda: A * B,
    "a*b - c": lambda: A * B - C,
    "a*b*c": lambda: A * B * C,
}
SPIKES = catalogue.DEFAULTS


def paper(x: Fused, slope: Callable[[Fused], Fused]) -> Fused:
    h = x * slope(x)
    return h - h + fused(x > 0)


def naive(x: Fused, slope: Callable[[Fused], Fused]) -> Fused:
    return fused(x > 0) + slope(x) * (x - x)


def wrong(y: Fused, value: Any) -> int:
    return int(np.sum(y.value.view(np.uint32) != np.asarray(value, np.float32).view(np.uint32)))


@pytest.mark.parametrize("fuses", ["left", "right"])
@pytest.mark.parametrize("case", INPUTS)
def test_surrogates_are_exact(case: str, fuses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fused, "fuses", fuses)
    x = INPUTS[case]()
    for spike in SPIKES:
        assert wrong(spike(x), spike.native().value(x).value) == 0, spike


@pytest.mark.parametrize("fuses", ["left", "right"])
@pytest.mark.parametrize("case", INPUTS)
def test_the_formulas_are_exact(case: str, fuses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fused, "fuses", fuses)
    x = INPUTS[case]()
    fx = Fused(x > 0)
    assert wrong(fgi.inject(x, fx, 0.3), fx.value) == 0
    assert wrong(fgi.inject(x, fx, x * B), fx.value) == 0  # also where the slope overflows
    assert wrong(fgi.bypass(fx, 0.3 * x), fx.value) == 0
    assert wrong(fgi.tangent(x), np.zeros_like(x.value)) == 0


def test_the_emulation_sees_the_hazard() -> None:
    """Were it blind, the tests above would prove nothing."""
    bell = fgi.surrogates.Gaussian().slope
    xp = fgi.namespace(A)

    def slope(x: Fused) -> Fused:
        return bell(xp, x)

    value = {case: INPUTS[case]() > 0 for case in INPUTS}
    assert wrong(naive(A * B, slope), value["a*b"]) > 200
    assert wrong(naive(A * B * C, slope), value["a*b*c"]) > 200
    for case, x in INPUTS.items():
        assert wrong(paper(x(), slope), value[case]) > 200
