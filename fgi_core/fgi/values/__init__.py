"""Value functions: what the forward pass returns.

Each states its equation in its docstring in Python's own notation; the tests read it there. The
name of each is public here: ``fgi.values.Round``.
"""

from .chance import Bernoulli, Logistic, StochasticRound, StochasticTernary
from .rounding import (
    BitShiftDecay,
    Cast,
    Ceil,
    Floor,
    KBit,
    Lookup,
    MidRise,
    PowerOfTwo,
    Quantize,
    Round,
    Truncate,
    ceil,
    floor,
    round,
    truncate,
)
from .shapes import Absolute, Clip, Compose, Identity, identity
from .steps import (
    GradedSpike,
    Heaviside,
    LogSpikeCount,
    Sign,
    SpikeCount,
    Ternary,
    binary,
    heaviside,
    sign,
    spike_at_zero,
)
from .value import Value, uniform

__all__ = [
    "Absolute",
    "Bernoulli",
    "BitShiftDecay",
    "Cast",
    "Ceil",
    "Clip",
    "Compose",
    "Floor",
    "GradedSpike",
    "Heaviside",
    "Identity",
    "KBit",
    "LogSpikeCount",
    "Logistic",
    "Lookup",
    "MidRise",
    "PowerOfTwo",
    "Quantize",
    "Round",
    "Sign",
    "SpikeCount",
    "StochasticRound",
    "StochasticTernary",
    "Ternary",
    "Truncate",
    "Value",
    "binary",
    "ceil",
    "floor",
    "heaviside",
    "identity",
    "round",
    "sign",
    "spike_at_zero",
    "truncate",
    "uniform",
]
