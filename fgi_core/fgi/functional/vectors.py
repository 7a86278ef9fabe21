"""Straight-through estimators of whole vectors: codes, one-hot choices, spike times.

Each has a value that no rounding touches, equal in every framework, and the derivative of something
else, by the expansion of ``fgi.injection``. Derivatives beyond the first are those of a softmax
where there is one, else zero.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..backend.dispatch import same_backend
from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..injection.checks import floating_backend
from ..injection.expansion import expand
from ..injection.functions import bypass, inject
from ..injection.inference import frozen_copy, value_only
from ..parameters import Number, is_number
from ..values.formulas import logistic
from ..values.value import uniform

__all__ = [
    "argmax",
    "categorical",
    "diveq",
    "first_spike_time",
    "gumbel_softmax",
    "interpolate",
    "mask_score",
    "product_of_bits",
    "replace_value",
    "rotation_trick",
    "top_k",
    "vector_quantize",
]


def vector_quantize(x: Array, codes: Array) -> Array:
    """The code in place of the vector; the gradient goes to the vector as if nothing had happened.

        y = codes,   dy = dx

    Finding the nearest code of a codebook comes before, and is the framework's: ``codes`` are those
    that were chosen. The value is exactly that, where x + sg(codes - x) is not. Shapes and dtypes:
    equal, real floating. Where ``x`` is not finite the derivative is 0.

    Errors: TypeError for other dtypes or arrays of two frameworks; ValueError for shapes that
    differ.

    Source: van den Oord et al. 2017, VQ-VAE (arXiv:1711.00937), section 3.2.
    """
    _alike("fgi.functional.vector_quantize", x, codes=codes)
    return bypass(codes, x)


def replace_value(x: Array, replacement: Array) -> Array:
    """One value in place of another; the gradient goes to both, whole.

        y = replacement,   dy = dx + dreplacement

    Shapes and dtypes: equal, real floating. Where one of them is not finite, its derivative is 0.

    Errors: as ``vector_quantize``.

    Source: Xiao et al. 2022, online training through time (arXiv:2210.04195); SpikingJelly
    ReplaceforGrad.
    """
    xp = _alike("fgi.functional.replace_value", x, replacement=replacement)
    fx = frozen_copy(xp, replacement, x.dtype)
    if value_only(xp, x, replacement):
        return fx
    [y] = expand(xp, [fx], lambda _, d: [d[0] + d[1]], [x, replacement])
    return y


def rotation_trick(x: Array, codes: Array, axis: int = -1) -> Array:
    """The code in place of the vector; the gradient is rotated and scaled as the vector was.

        y = codes,   dy = s (dx - 2 r <r, dx> + 2 q <e, dx>)
        e = x / |x|,   q = codes / |codes|,   r = (e + q) / |e + q|,   s = |codes| / |x|

    Vectors lie along ``axis``. The matrix is the rotation from x to its code in the plane of the
    two, times the ratio of lengths; where they are opposite, the reflection. Where x is 0 the
    gradient passes unchanged. Shapes and dtypes: equal, real floating.

    Errors: as ``vector_quantize``.

    Source: Fifty et al. 2024 (arXiv:2410.06424), section 4.2.
    """
    xp = _alike("fgi.functional.rotation_trick", x, codes=codes)
    fx = frozen_copy(xp, codes, x.dtype)
    if value_only(xp, x, codes):
        return fx

    def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        (e, x_large, x_rest), (q, q_large, q_rest) = (_unit(xp, _wide(xp, p), axis) for p in points)
        d = _wide(xp, tangents[0])
        at_zero = x_rest == 0
        r, _, _ = _unit(xp, e + q, axis)
        r = xp.where(at_zero, 0.0, r)
        scale = q_large / x_large * (q_rest / xp.where(at_zero, 1.0, x_rest))
        # The value of d is 0, and 0 times a ratio beyond the largest number would not be.
        largest = float(xp.finfo(scale.dtype).max)
        scale = xp.where(scale <= largest, scale, largest)
        rotated = d - 2 * r * _dot(xp, r, d, axis) + 2 * q * _dot(xp, e, d, axis)
        return [xp.astype(xp.where(at_zero, 1.0, scale) * rotated, x.dtype)]

    [y] = expand(xp, [fx], rule, [x, codes])
    return y


def diveq(x: Array, codes: Array, noise: Array | None = None, axis: int = -1) -> Array:
    """The vector, moved by its distance from the code, into a frozen direction: towards the code.

        y = x + sg(v) |codes - x|,   v = (codes - x + noise) / |codes - x + noise|

    Vectors lie along ``axis``. The gradient reaches x and the codes through the distance. Without
    ``noise`` the value is exactly ``codes``. With it, numbers around 0 that the caller has drawn
    from a normal distribution, the direction is random. Shapes and dtypes: equal, real floating.

    Errors: as ``vector_quantize``.

    Source: Vali, Bäckström and Solin 2025, DiVeQ (arXiv:2509.26469).
    """
    xp = _alike("fgi.functional.diveq", x, codes=codes, noise=noise)
    error = _wide(xp, xp.stop_gradient(codes)) - _wide(xp, xp.stop_gradient(x))
    if noise is None:
        fx = frozen_copy(xp, codes, x.dtype)
    else:
        toward, _, _ = _unit(xp, error + _wide(xp, xp.stop_gradient(noise)), axis)
        _, large, rest = _unit(xp, error, axis)
        fx = xp.astype(_wide(xp, xp.stop_gradient(x)) + toward * (large * rest), x.dtype)
    if value_only(xp, x, codes, *(() if noise is None else (noise,))):
        return fx

    def rule(points: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        x0, codes0, *noise0 = (_wide(xp, p) for p in points)
        dx, dcodes = (_wide(xp, d) for d in tangents[:2])
        e, _, _ = _unit(xp, codes0 - x0, axis)
        v = e if noise is None else _unit(xp, codes0 - x0 + noise0[0], axis)[0]
        return [xp.astype(dx + v * _dot(xp, e, dcodes - dx, axis), x.dtype)]

    [y] = expand(xp, [fx], rule, [x, codes, *(() if noise is None else (noise,))])
    return y


def mask_score(score: Array, mask: Array) -> Array:
    """A mask in place of the scores that it was made from; the gradient goes to the scores.

        y = mask,   dy = dscore

    Shapes: equal. Dtypes: ``score`` is real floating, ``mask`` too or bool; the result has the
    dtype of ``score``.

    Errors: TypeError for other dtypes or arrays of two frameworks; ValueError for shapes that
    differ.

    Source: Sanh et al. 2020, movement pruning (arXiv:2005.07683), section 4.
    """
    _alike("fgi.functional.mask_score", score, "score", any_dtype=True, mask=mask)
    return bypass(mask, score)


def argmax(x: Array, axis: int = -1, temperature: Number = 1.0) -> Array:
    """The largest as a one-hot vector; the gradient of a softmax.

        y = 1 at the first of the largest along axis, else 0;   dy = d softmax(x / temperature)

    ``temperature`` > 0 may be an array. Shape and dtype: those of ``x``, real floating. A masked
    number may be -inf.

    Errors: TypeError for another dtype, ValueError for a temperature <= 0.

    Source: Bengio, Leonard and Courville 2013 (arXiv:1308.3432), the straight-through estimator.
    """
    return _largest("fgi.functional.argmax", x, 1, axis, temperature)


def top_k(x: Array, k: int, axis: int = -1, temperature: Number = 1.0) -> Array:
    """The k largest as a mask of ones; the gradient of a softmax.

        y = 1 at the k largest along axis, the first of equal ones, else 0
        dy = d softmax(x / temperature)

    ``temperature`` > 0 may be an array, ``k`` is an integer >= 1. Shape and dtype: those of ``x``,
    real floating. A masked number may be -inf.

    Errors: TypeError for another dtype or a ``k`` that is no integer; ValueError for a ``k`` < 1 or
    a temperature <= 0.

    Source: vector-quantize-pytorch and Spyx (raven), top-k routing.
    """
    if not isinstance(k, numbers.Integral) or isinstance(k, bool):
        raise TypeError(f"fgi.functional.top_k: k is {_shown(k)}; expected an integer >= 1")
    if k < 1:
        raise ValueError(f"fgi.functional.top_k: k is {k!r}; expected an integer >= 1")
    return _largest("fgi.functional.top_k", x, int(k), axis, temperature)


def gumbel_softmax(logits: Array, key: Any, temperature: Number = 1.0, axis: int = -1) -> Array:
    """A one-hot sample of softmax(logits); the gradient of a softmax with the same noise.

        y = argmax(logits + n) as a one-hot vector,   dy = d softmax((logits + n) / temperature)
        n = -log(-log(u))

    u is uniform on [0, 1), from ``key``: see ``fgi.values.uniform``. ``temperature`` > 0 may be an
    array. Shape and dtype: those of ``logits``, real floating.

    Errors: TypeError for another dtype or no key; ValueError for a temperature <= 0.

    Source: Jang, Gu and Poole 2017 (arXiv:1611.01144), Eq. 2 and section 2.2; Maddison, Mnih and
    Teh 2017 (arXiv:1611.00712).
    """
    caller = "fgi.functional.gumbel_softmax"
    xp = floating_backend(caller, logits, "logits")
    noise = -xp.log(_exponential(caller, xp, logits, key))
    noisy = _wide(xp, logits) + xp.astype(noise, _wide(xp, logits).dtype)
    return _choice(caller, xp, noisy, 1, axis, temperature, logits.dtype)


def categorical(probabilities: Array, key: Any, axis: int = -1) -> Array:
    """A one-hot sample; the gradient goes to the probabilities.

        y = a one-hot vector, with these probabilities;   dy = dprobabilities

    They are not negative, and need not add up to 1. Where they are made by a softmax, its
    derivative follows. The random numbers come from ``key``: see ``fgi.values.uniform``. Shape and
    dtype: those of ``probabilities``, real floating.

    Errors: TypeError for another dtype or no key.

    Source: PyTorch OneHotCategoricalStraightThrough; Bengio, Leonard and Courville 2013
    (arXiv:1308.3432).
    """
    caller = "fgi.functional.categorical"
    xp = floating_backend(caller, probabilities, "probabilities")
    p = _wide(xp, xp.stop_gradient(probabilities))
    possible = p > 0
    # The first of exponential arrivals: each is the first with its probability.
    arrival = _exponential(caller, xp, probabilities, key) / xp.where(possible, p, 1.0)
    first = _ranks(xp, xp.where(possible, arrival, math.inf), axis) < 1
    return bypass(xp.astype(first, probabilities.dtype), probabilities)


def product_of_bits(logits: Array, key: Any) -> Array:
    """One code of 2^n as a one-hot vector, from n random bits; the gradient of the probabilities.

        y = the product over bits i of (b[i] if bit i of the code else 1 - b[i])
        dy = d of the same product with p[i] for b[i]
        b[i] = 1 if u[i] < p[i] else 0,   p = 1 / (1 + exp(-logits))

    Bit i of a code is worth 2^i. u is uniform on [0, 1), from ``key``: see ``fgi.values.uniform``.
    Shapes: bits along the last axis, n of them, make 2^n codes there. Dtype: that of ``logits``,
    real floating.

    Errors: TypeError for another dtype or no key.

    Source: Fleuret 2025, the Free Transformer (arXiv:2510.17558); vector-quantize-pytorch
    BinaryMapper.
    """
    caller = "fgi.functional.product_of_bits"
    xp = floating_backend(caller, logits, "logits")
    (u,) = uniform(caller, xp, logits, key, True)
    p = logistic(xp, _wide(xp, logits))
    bits = xp.step(xp.stop_gradient(p), u)

    def codes(b: Array) -> Array:
        product = xp.ones_like(b[..., :1])
        for i in range(logits.shape[-1]):
            one = b[..., i : i + 1]
            product = xp.concat([product * (1 - one), product * one], axis=-1)
        return xp.astype(product, logits.dtype)

    return codes(bits) if value_only(xp, logits) else bypass(codes(bits), codes(p))


def first_spike_time(spikes: Array, axis: int = 0) -> Array:
    """When the first spike comes; making it stronger makes it earlier.

        y = the first t with spikes[t] > 0, else the last t;   dy = -dspikes[y]

    Time runs along ``axis``, which is summed over. A neuron that never fires counts as firing in
    the last step. Dtype: that of ``spikes``, real floating; 16 bits hold integers up to 2048
    (float16) or 256 (bfloat16).

    Errors: TypeError for another dtype.

    Source: snnTorch (github.com/jeshraghian/snntorch), functional.loss, FirstSpike.
    """
    xp = floating_backend("fgi.functional.first_spike_time", spikes, "spikes")
    frozen = _wide(xp, xp.stop_gradient(spikes))
    # Equal numbers stay in order, so that this counts from 0 along the axis.
    steps = xp.astype(xp.argsort(xp.zeros_like(frozen), axis=axis), frozen.dtype)
    last = xp.max(steps, axis=axis, keepdims=True)
    times = xp.where(frozen > 0, steps, last)
    first = -xp.max(-times, axis=axis, keepdims=True)
    y = xp.astype(-xp.max(-times, axis=axis), spikes.dtype)
    if value_only(xp, spikes):
        return y
    at_first = xp.astype(steps == first, spikes.dtype)
    [y] = expand(xp, [y], lambda _, d: [-xp.sum(at_first * d[0], axis=axis)], [spikes])
    return y


def interpolate(
    x: Array,
    points: Sequence[float],
    values: Sequence[float],
    scale: float = 1.0,
    leak: float = 0.0,
) -> Array:
    """A measured curve, such as the rate of a spiking neuron by its current, with its own slopes.

        y = values[i] + k[i] (x - points[i])   for points[i] < x <= points[i + 1]
        y = 0 to the left of all,   y = values[-1] to the right
        dy/dx = scale k[i] + leak,   k[i] = the slope of piece i, 0 outside

    ``points`` and ``values`` are two or more Python numbers each, the points ascending, in units of
    ``x``; ``scale`` multiplies the slopes and ``leak`` is added everywhere. Shape and dtype: those
    of ``x``, real floating. NaN gives 0.

    Errors: TypeError for another dtype; ValueError where there are not as many values as points, or
    the points do not ascend.

    Source: lava-dl (github.com/lava-nc/lava-dl), bootstrap, where scale is the last point over the
    last value.
    """
    caller = "fgi.functional.interpolate"
    xp = floating_backend(caller, x)
    points, values = list(map(float, points)), list(map(float, values))
    if not len(points) == len(values) >= 2:
        raise ValueError(
            f"{caller}: points are {len(points)}, values {len(values)}; expected as many, two or "
            f"more"
        )
    if not all(a < b for a, b in pairwise(points)):
        raise ValueError(f"{caller}: points are {points}; expected ascending numbers")
    z = _wide(xp, xp.stop_gradient(x))
    y = slope = xp.zeros_like(z)
    for i in range(len(points) - 1):
        k = (values[i + 1] - values[i]) / (points[i + 1] - points[i])
        beyond = z > points[i]
        y = xp.where(beyond, values[i] + k * (z - points[i]), y)
        slope = xp.where(beyond, k, slope)
    right = z > points[-1]
    y = xp.astype(xp.where(right, values[-1], y), x.dtype)
    return inject(x, y, scale * xp.where(right, 0.0, slope) + leak)


def _alike(
    caller: str, x: Array, argument: str = "x", *, any_dtype: bool = False, **others: Array | None
) -> Backend:
    """The backend of ``x``; the others are arrays of the same framework, shape and dtype."""
    xp = floating_backend(caller, x, argument)
    same_backend(caller, x, **others)
    for name, other in others.items():
        if other is None:
            continue
        if not isinstance(other, xp.Array) or not (any_dtype or other.dtype == x.dtype):
            raise TypeError(
                f"{caller}: {name} is {describe(other)} and {argument} is {describe(x)}; expected "
                f"arrays of one dtype"
            )
        if not xp.same_shape(other, x):
            raise ValueError(
                f"{caller}: {name} is {describe(other)} and {argument} is {describe(x)}; expected "
                f"equal shapes"
            )
    return xp


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else describe(value)


def _wide(xp: Backend, x: Array) -> Array:
    """``x`` in at least float32."""
    return xp.astype(x, xp.float32) if x.dtype in xp.half else x


def _dot(xp: Backend, a: Array, b: Array, axis: int) -> Array:
    return xp.sum(a * b, axis=axis, keepdims=True)


def _unit(xp: Backend, v: Array, axis: int) -> tuple[Array, Array, Array]:
    """v / |v|, or 0; and two numbers whose product is |v|, neither of which overflows."""
    large = xp.max(abs(v), axis=axis, keepdims=True)
    large = xp.where(large > 0, large, 1.0)
    v = v / large
    rest = xp.sqrt(_dot(xp, v, v, axis))
    return v / xp.where(rest > 0, rest, 1.0), large, rest


def _softmax(xp: Backend, x: Array, axis: int) -> Array:
    e = xp.exp(x - xp.stop_gradient(xp.max(x, axis=axis, keepdims=True)))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _ranks(xp: Backend, x: Array, axis: int) -> Array:
    """0 for the smallest along an axis, 1 for the next; of equal ones the first comes first."""
    order = xp.astype(xp.argsort(x, axis=axis), x.dtype)
    return xp.argsort(order, axis=axis)


def _exponential(caller: str, xp: Backend, x: Array, key: Any) -> Array:
    """Numbers from the exponential distribution, shaped like ``x``, in at least float32."""
    (u,) = uniform(caller, xp, x, key, True)
    # 0 is among the numbers of a generator, and has no logarithm.
    return -xp.log(xp.where(u > 0, u, 2.0**-60))


def _largest(caller: str, x: Array, k: int, axis: int, temperature: Number) -> Array:
    xp = floating_backend(caller, x)
    return _choice(caller, xp, _wide(xp, x), k, axis, temperature, x.dtype)


def _choice(
    caller: str, xp: Backend, x: Array, k: int, axis: int, temperature: Number, dtype: Any
) -> Array:
    """The k largest as a mask, with the gradient of softmax(x / temperature)."""
    if is_number(temperature):
        if not 0 < temperature < math.inf:
            raise ValueError(f"{caller}: temperature is {temperature!r}; expected a number > 0")
    elif not isinstance(temperature, xp.Array) or temperature.dtype not in xp.floating:
        raise TypeError(
            f"{caller}: temperature is {_shown(temperature)}; expected a number > 0, or a floating "
            f"array of {xp.name}"
        )
    else:
        temperature = xp.astype(temperature, x.dtype)
    hard = xp.astype(_ranks(xp, -xp.stop_gradient(x), axis) < k, dtype)
    if value_only(xp, x, *(() if is_number(temperature) else (temperature,))):
        return hard
    return bypass(hard, xp.astype(_softmax(xp, x / temperature, axis), dtype))
