"""The modes of each framework: its backend's own list, and derivatives of derivatives."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from fgi_backends.mode import Function, Mode, direct, table

from ..backend import Autodiff
from ..dispatch import BUILT_IN, _load, namespace
from ..transforms import jvp, vjp

__all__ = ["AUTODIFF", "backend", "chosen", "modes"]

AUTODIFF = ("torch", "jax", "tensorflow")
"""In the order in which they are loaded: TensorFlow before torch does not end well."""


def backend(framework: str) -> Autodiff:
    """The backend module of that name; ImportError where its framework does not load."""
    return cast("Autodiff", _load(framework))


def _slope(f: Function) -> Function:
    def slope(x: Any) -> Any:
        y, pullback = vjp(f, x)
        return pullback(namespace(y).ones_like(y))[0]

    return slope


def _reverse(f: Function, x: Any, u: Any) -> tuple[Any, Any]:
    y, pullback = vjp(f, x)
    return y, pullback(u)[0]


TWICE = table(
    Mode(
        "grad of grad",
        "the second derivative, reverse over reverse",
        direct(lambda f, x, u: _reverse(_slope(f), x, u)),
        order=2,
        quick=True,
    ),
    Mode(
        "jvp of grad",
        "the second derivative, forward over reverse",
        direct(lambda f, x, u: jvp(_slope(f), (x,), (u,))),
        order=2,
        quick=True,
    ),
)
"""Value g'(x), gradient u * g''(x)."""

OWN = table(Mode("eager", "vjp of the backend", direct(_reverse), quick=True))
"""Of a backend that is not one of ours."""


def modes(framework: str) -> Mapping[str, Mode]:
    """Every mode of a framework, which is loaded."""
    if framework not in BUILT_IN:
        return OWN | TWICE
    own = importlib.import_module(f"fgi_backends.{framework}.modes").MODES
    return {**own, **TWICE}


def chosen(framework: str, names: Sequence[str] | None, quick: bool = False) -> list[str]:
    """Those modes of a framework that are asked for, in its order."""
    wanted: Callable[[Mode], bool] = lambda mode: (  # noqa: E731
        (mode.name in names) if names is not None else (mode.quick or not quick)
    )
    return [name for name, mode in modes(framework).items() if wanted(mode)]
