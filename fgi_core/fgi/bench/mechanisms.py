"""Ways to have the value of a surrogate and its slope for gradient, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fgi

from ..backend import Array, Backend
from ..definition import NativeTwin, Surrogate
from ..injection import inject_as_published

__all__ = ["BASELINE", "BY_HAND", "VALUE_ALONE", "mechanisms"]

Elementwise = Callable[[Array], Array]

BASELINE = "fgi"
VALUE_ALONE = "f alone"
"""What is to be reached where no derivative can be asked for; it has none."""
BY_HAND = "by hand"
"""The same operations, written inline with the framework's own functions."""


def mechanisms(xp: Backend, spike: Surrogate) -> dict[str, Elementwise]:
    return dict(_mechanisms(xp, spike))


def _mechanisms(xp: Backend, spike: Surrogate) -> Iterator[tuple[str, Elementwise]]:
    value = NativeTwin(spike, None).value

    def published(x: Any) -> Any:
        return inject_as_published(x, value(x), spike.derivative(x))

    def bypass(x: Any) -> Any:
        return fgi.bypass(value(x), spike.primitive(x))

    yield BASELINE, lambda x: spike(x)
    for name in xp.mechanisms:
        yield name, spike.native(name)
    yield "as published", published
    if type(spike).antiderivative is not Surrogate.antiderivative:
        yield "bypass", bypass
    yield VALUE_ALONE, value
