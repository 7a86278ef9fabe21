"""Quantisers whose value and gradient share parameters; some of them are learned."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from ...backend.protocol import Array, Backend
from ...parameters import Number, choice, count, integer, is_number, number, positive
from ...values.formulas import clip
from ...values.rounding import Quantize, unfused
from ..surrogate import Surrogate
from .piecewise import Rectangle


def _single(value: Any) -> Any:
    """A number as float32 has it, which is what libraries compute with; an array as it is."""
    return struct.unpack("f", struct.pack("f", value))[0] if is_number(value) else value


def _fake_quantize(
    scale: Number = 1.0,
    zero_point: Number = 0,
    quant_min: int = -128,
    quant_max: int = 127,
) -> FakeQuantize:
    return FakeQuantize(_single(scale), zero_point, quant_min, quant_max)


def _fake_quantize_learnable(
    scale: Number = 1.0,
    zero_point: Number = 0.0,
    quant_min: int = -128,
    quant_max: int = 127,
    grad_factor: Number = 1.0,
) -> FakeQuantize:
    spike = _fake_quantize(scale, zero_point, quant_min, quant_max)
    return spike.replace(gradient_factor=grad_factor)


def _fake_quant(
    min: float = -6.0, max: float = 6.0, num_bits: int = 8, narrow_range: bool = False
) -> FakeQuantize:
    lowest, highest = int(narrow_range), 2**num_bits - 1
    scale = (_single(max) - _single(min)) / (highest - lowest)
    # TensorFlow moves the range so that 0 is a level; by how much, float32 decides.
    zero_point = _single(lowest - _single(_single(min) / _single(scale)))
    return FakeQuantize(scale, zero_point, lowest, highest, mask="input", ties="up")


def _passed(xp: Backend, x: Array, inside: Array, low: Number, high: Number) -> Array:
    """min(max(x, low), high) - low, with no slope at the edges but that of what is inside."""
    above = xp.step(x, (low + high) / 2)
    return xp.where(inside, x - low, (high - low) * above)


class FakeQuantize(Surrogate):
    """The quantiser of an integer network, whose gradient passes where nothing is clipped.

        f(x) = (min(max(code, lowest), highest) - z) * scale
        g'(x) = 1 if inside else 0
        g(x) = min(max(x, low - edge), high + edge) - (low - edge)
        dy/dscale = gradient_factor * ((code - z - x / scale) if inside else
                (min(max(code, lowest), highest) - z))
        dy/dzero_point = gradient_factor * (0 if inside else -scale)
        inside = lowest <= code <= highest if mask == "code" else low <= x <= high
        code = (round(x / scale) if ties == "even" else floor(x / scale + 1 / 2)) + z
        z = min(max(floor(zero_point + 1 / 2), lowest), highest)
        low = (lowest - z) * scale
        high = (highest - z) * scale
        edge = scale / 2 if mask == "code" else 0

    ``scale`` > 0 is the distance of two levels, in units of ``x``; ``zero_point`` is the integer
    that stands for 0, of ``lowest`` to ``highest``; both may be learned. ``mask`` says what must
    be in range for the gradient to pass: the rounded "code", as in PyTorch, or the "input", half a
    step less at either end, as in TensorFlow. ``ties`` says where halves go, "even" or "up".
    ``gradient_factor`` > 0 multiplies what scale and zero point learn by.
    Source: Jacob et al. 2018 (arXiv:1712.05877); torch.fake_quantize_per_tensor_affine; the
    gradient of the scale is that of LSQ (arXiv:1902.08153).
    """

    scale: Number = positive(default=1.0)
    zero_point: Number = number(default=0.0)
    lowest: int = integer(default=-8)
    highest: int = integer(default=7)
    mask: str = choice("input", default="code")
    ties: str = choice("up", default="even")
    gradient_factor: Number = positive(default=1.0)

    learnable = ("scale", "zero_point")
    presets = {
        "torch_builtin.fake_quantize_per_tensor_affine": _fake_quantize,
        "torch_builtin._fake_quantize_learnable_per_tensor_affine": _fake_quantize_learnable,
        "tf_builtin.fake_quant_with_min_max_args": _fake_quant,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("lowest", "highest")

    def _quantize(self) -> Quantize:
        return Quantize(self.scale, self.zero_point, self.lowest, self.highest, self.ties)

    def _inside(self, xp: Backend, x: Array) -> Array:
        if self.mask == "code":
            code = self._quantize().code(xp, x)
            return (code >= self.lowest) & (code <= self.highest)
        low, high = self._quantize().ends(xp)
        return (x >= low) & (x <= high)

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        return self._quantize().evaluate(xp, x)

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.astype(self._inside(xp, x), x.dtype)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        low, high = self._quantize().ends(xp)
        edge = self.scale / 2 if self.mask == "code" else 0.0
        return _passed(xp, x, self._inside(xp, x), low - edge, high + edge)

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        quantize, inside = self._quantize(), self._inside(xp, x)
        low, high = quantize.ends(xp)
        code = quantize.code(xp, x) - quantize.zero(xp)
        end = clip(xp, quantize.code(xp, x), float(self.lowest), float(self.highest))
        u = clip(xp, x, low - self.scale, high + self.scale) / self.scale
        return {
            "scale": self.gradient_factor * xp.where(inside, code - u, end - quantize.zero(xp)),
            "zero_point": -self.gradient_factor * (1 - xp.astype(inside, x.dtype)) * self.scale,
        }


class LSQ(Surrogate, name="lsq"):
    """A quantiser that learns its step size, and its offset.

        f(x) = round(min(max(u, lowest), highest)) * step + offset
        g'(x) = 1 if lowest < u < highest else 0
        g(x) = min(max(x, low), high) - low
        dy/dstep = gradient_factor * ((round(u) - u) if lowest < u < highest else
                min(max(u, lowest), highest))
        dy/doffset = gradient_factor * (0 if lowest < u < highest else 1)
        u = (x - offset) / step
        low = lowest * step + offset
        high = highest * step + offset

    ``step`` > 0 and ``offset``, in units of ``x``, may both be learned; without an offset it is
    LSQ, with one it is LSQ+. ``lowest`` and ``highest`` are the integers of the levels at the ends.
    ``gradient_factor`` > 0 multiplies what step and offset learn by: 1 / sqrt(N * highest) in the
    paper, where N numbers share a step.
    Source: Esser et al. 2020, LSQ (arXiv:1902.08153), Eq. 1-3; Bhalgat et al. 2020, LSQ+
    (arXiv:2004.09576).
    """

    step: Number = positive(default=1.0)
    offset: Number = number(default=0.0)
    lowest: int = integer(default=-8)
    highest: int = integer(default=7)
    gradient_factor: Number = positive(default=1.0)

    learnable = ("step", "offset")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascending("lowest", "highest")

    def _ends(self) -> tuple[Number, Number]:
        return self.lowest * self.step + self.offset, self.highest * self.step + self.offset

    def _scaled(self, xp: Backend, x: Array) -> Array:
        """u, which a step out of range is cut off, before it overflows."""
        low, high = self._ends()
        x = clip(xp, x, low - self.step, high + self.step)
        return xp.divide(x - self.offset, self.step)

    def _inside(self, u: Array) -> Array:
        return (u > self.lowest) & (u < self.highest)

    def _level(self, xp: Backend, u: Array) -> Array:
        return clip(xp, u, float(self.lowest), float(self.highest))

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        n = xp.round(self._level(xp, self._scaled(xp, x)))
        if isinstance(self.offset, float) and self.offset == 0:
            return n * self.step
        return unfused(xp, n * self.step, n) + self.offset

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return xp.astype(self._inside(self._scaled(xp, x)), x.dtype)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return _passed(xp, x, self._inside(self._scaled(xp, x)), *self._ends())

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        u = self._scaled(xp, x)
        inside = self._inside(u)
        within = xp.where(inside, xp.round(u) - u, self._level(xp, u))
        outside = 1 - xp.astype(inside, x.dtype)
        return {
            "step": self.gradient_factor * within,
            "offset": self.gradient_factor * outside,
        }


class PACT(Surrogate, name="pact"):
    """A quantised ReLU that learns where to clip.

        f(x) = round(min(max(x, 0), alpha) / alpha * n) / n * alpha
        g'(x) = 1 if 0 < x < alpha else 0
        g(x) = min(max(x, 0), alpha)
        dy/dalpha = 1 if x >= alpha else 0
        n = 2**bits - 1

    ``alpha`` > 0 is where to clip, in units of ``x``, and may be learned; ``bits`` >= 1 says how
    many levels there are, 2**bits.
    Source: Choi et al. 2018, PACT (arXiv:1805.06085), Eq. 1-3.
    """

    alpha: Number = positive(default=8.0)
    bits: int = count(default=4)

    learnable = ("alpha",)

    def value(self, xp: Backend, x: Array, *u: Array) -> Array:
        levels = float(2**self.bits - 1)
        part = xp.divide(clip(xp, x, 0.0, self.alpha), self.alpha)
        return xp.divide(xp.round(part * levels), levels) * self.alpha

    def slope(self, xp: Backend, x: Array, *u: Array) -> Array:
        return Rectangle(0.0, self.alpha).slope(xp, x)

    def antiderivative(self, xp: Backend, x: Array) -> Array:
        return Rectangle(0.0, self.alpha).antiderivative(xp, x)

    def partials(self, xp: Backend, x: Array) -> Mapping[str, Array]:
        return {"alpha": xp.step(x, self.alpha, at_zero=1)}
