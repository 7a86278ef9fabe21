"""Ways to have the value of a surrogate and its slope for gradient, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import fgi

from ..backend.protocol import Array, Backend
from ..injection.functions import inject_as_published
from ..surrogates.surrogate import NativeTwin, Surrogate

__all__ = ["BASELINE", "BY_HAND", "VALUE_ALONE", "by_hand", "mechanisms"]

Elementwise = Callable[[Array], Array]

BASELINE = "fgi"
VALUE_ALONE = "f alone"
"""What is to be reached where no derivative can be asked for; it has none."""
BY_HAND = "by hand"
"""Written inline with the framework's own functions: fgi's definition, or a native rule."""


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


def by_hand(xp: Backend, spike: Surrogate, *, expanded: bool) -> dict[str, Elementwise]:
    """The native rules as one writes them, and fgi's definition; none of what nobody has written.

    Such a rule has no guard where x is not finite. The value is the step.
    """
    written = importlib.import_module(f"fgi_backends.{xp.name}.measure.by_hand")
    if spike.name not in written.slopes or spike.forward is not None:
        return {}

    def slope(x: Any) -> Any:
        return written.slopes[spike.name](x, **parameters)

    parameters = {
        name: value for name, value in spike.parameters.items() if name not in spike._keywords
    }
    natives = {
        f"{name}, {BY_HAND}": make(written.step, slope) for name, make in xp.mechanisms.items()
    }
    return natives | ({BY_HAND: lambda x: written.expanded(x, slope)} if expanded else {})
