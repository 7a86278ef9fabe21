"""Quantisers of whole tensors: the levels depend on all the numbers, or on a second tensor.

The statistics of the tensor are not differentiated: they are constants of the call, as in the
libraries that have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..backend.dispatch import same_backend
from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.checks import floating_backend
from ..injection.functions import bypass, inject
from ..parameters import is_number
from ..surrogates.catalogue.piecewise import Rectangle, StraightThrough
from ..values.formulas import clip, logistic
from ..values.rounding import Floor, KBit
from ..values.steps import Ternary, binary

__all__ = ["dorefa_weight", "learned_round", "magnitude_aware_sign", "ternary_weight"]

Axis = int | tuple[int, ...] | None


def dorefa_weight(x: Array, bits: int = 2, axis: Axis = None) -> Array:
    """Weights as one of 2^bits levels from -1 to 1, the largest of them at an end.

        y = 2 round((2^bits - 1) w) / (2^bits - 1) - 1
        w = tanh(x) / (2 max |tanh(x)|) + 1 / 2
        dy = (1 - tanh(x)^2) / max |tanh(x)| dx

    The largest is that of the whole tensor, or along ``axis``, one or several. Where all are 0, so
    that there is none, it counts as 1. Shape and dtype: those of ``x``, real floating.

    Errors: TypeError for another dtype; TypeError or ValueError for ``bits`` that is no integer >=
    1.

    Source: Zhou et al. 2016, DoReFa-Net (arXiv:1606.06160); larq DoReFa(mode="weights"),
    which does not differentiate the largest, either.
    """
    xp = floating_backend("fgi.functional.dorefa_weight", x)
    quantize = StraightThrough(forward=KBit(bits, 0.0, 1.0))
    t = xp.tanh(_wide(xp, x))
    largest = _over(xp.max, abs(xp.stop_gradient(t)), axis)
    w = xp.divide(t, 2 * xp.where(largest == 0, 1.0, largest)) + 0.5
    return xp.astype(2 * quantize(w) - 1, x.dtype)


def magnitude_aware_sign(x: Array, axis: Axis = None, clip: float = 1.0) -> Array:
    """The sign, times the mean magnitude.

        y = mean(|x|) (1 if x >= 0 else -1)
        dy = mean(|x|) (1 if |x| <= clip else 0) dx

    The mean is over the whole tensor, or along ``axis``, one or several: for the weights of
    TensorFlow's layers, larq takes all axes but the last. ``clip`` > 0 may be infinite. Shape and
    dtype: those of ``x``, real floating.

    Errors: TypeError for another dtype; ValueError for a ``clip`` that is not > 0.

    Source: Liu et al. 2018, Bi-Real Net (arXiv:1808.00278); larq MagnitudeAwareSign.
    """
    caller = "fgi.functional.magnitude_aware_sign"
    xp = floating_backend(caller, x)
    scale = xp.astype(_mean(xp, _wide(xp, abs(xp.stop_gradient(x))), axis), x.dtype)
    return inject(x, scale * binary(x), scale * _window(caller, x, clip))


def ternary_weight(
    x: Array, axis: Axis = None, clip: float = math.inf, scaled: bool = True
) -> Array:
    """Weights as -1, 0 or 1, times the mean magnitude of those that are not 0.

        y = a (0 if |x| < t else sign(x)),   t = 0.7 mean(|x|),   a = mean(|x| where |x| >= t)
        dy = (1 if |x| <= clip else 0) dx

    The means are over the whole tensor, or along ``axis``, one or several. ``clip`` > 0 is infinite
    in the paper; larq has 1 and leaves out the scale a: ``ternary_weight(x, clip=1.0,
    scaled=False)``. Shape and dtype: those of ``x``, real floating.

    Errors: TypeError for another dtype; ValueError for a ``clip`` that is not > 0.

    Source: Li and Liu 2016, ternary weight networks (arXiv:1605.04711); larq
    SteTern(ternary_weight_networks=True).
    """
    caller = "fgi.functional.ternary_weight"
    xp = floating_backend(caller, x)
    wide = _wide(xp, xp.stop_gradient(x))
    magnitude = abs(wide)
    threshold = 0.7 * _mean(xp, magnitude, axis)
    level = Ternary(threshold).evaluate(xp, wide)
    if scaled:
        large = xp.step(magnitude, threshold, at_zero=1)
        # The ratio of two means: how many there are in all does not matter.
        share = _over(xp.mean, large, axis)
        total = _mean(xp, xp.where(magnitude >= threshold, magnitude, 0.0), axis)
        level = level * (total / xp.where(share == 0, 1.0, share))
    return inject(x, xp.astype(level, x.dtype), _window(caller, x, clip))


def learned_round(x: Array, v: Array, hard: bool = False) -> Array:
    """Rounding down or up as a second tensor says, which is learned.

        y = floor(x) + h(v),   h(v) = min(max(1.2 / (1 + exp(-v)) - 0.1, 0), 1)
        dy = dx + h'(v) dv

    h becomes 0 or 1 as v is learned, under a regulariser of yours; ``hard`` gives those values
    already, floor(x) + (1 if v >= 0 else 0), and keeps the gradient. Shapes and dtypes: ``v`` those
    of ``x``, real floating. The scale of a quantiser is yours to divide by and to multiply with.

    Errors: TypeError for other dtypes or arrays of two frameworks; ValueError for shapes that
    differ.

    Source: Nagel et al. 2020, AdaRound (arXiv:2004.10568); Brevitas
    LearnedRoundHardSigmoid.
    """
    caller = "fgi.functional.learned_round"
    xp = floating_backend(caller, x)
    same_backend(caller, x, v=v)
    floating_backend(caller, v, "v")
    if v.dtype != x.dtype:
        raise TypeError(f"{caller}: v is {describe(v)}, x {describe(x)}; expected equal dtypes")
    if not xp.same_shape(v, x):
        raise ValueError(f"{caller}: v is {describe(v)}, x {describe(x)}; expected equal shapes")
    down = StraightThrough(forward=Floor())(x)
    h = clip(xp, 1.2 * logistic(xp, _wide(xp, v)) - 0.1, 0.0, 1.0)
    if hard:
        h = bypass(xp.stop_gradient(v) >= 0, h)
    return down + xp.astype(h, x.dtype)


def _window(caller: str, x: Array, clip: float) -> Array:
    """1 where the gradient passes."""
    if not is_number(clip) or not clip > 0:
        raise ValueError(f"{caller}: clip is {clip!r}; expected a number > 0")
    spike = StraightThrough() if clip == math.inf else Rectangle(-clip, clip, closed="both")
    return spike.derivative(x)


def _wide(xp: Backend, x: Array) -> Array:
    return xp.astype(x, xp.float32) if x.dtype in xp.half else x


def _mean(xp: Backend, x: Array, axis: Axis) -> Array:
    """The mean of numbers >= 0, also where their sum overflows."""
    mean = _over(xp.mean, x, axis)
    small = _over(xp.mean, x * 2.0**-64, axis)
    return xp.where(mean == math.inf, small * 2.0**64, mean)


def _over(reduce: Callable[..., Array], x: Array, axis: Axis) -> Array:
    """Over all axes, one or several; what comes broadcasts to ``x``."""
    if axis is None:
        return reduce(x)
    for one in (axis,) if isinstance(axis, int) else axis:
        x = reduce(x, axis=one, keepdims=True)
    return x
