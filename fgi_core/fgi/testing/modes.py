"""The modes of each framework: its backend's own list, or what any backend can be asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from fgi_backends.measure.mode import Function, Mode, direct, table

from ..backend.dispatch import namespace
from ..backend.protocol import Autodiff
from ..backend.registry import BUILT_IN, load
from ..transforms.framework import compile, grad, jvp, scan, vjp, vmap

__all__ = ["AUTODIFF", "GENERIC", "backend", "chosen", "generic", "modes"]

AUTODIFF = ("torch", "jax", "tensorflow")
"""In the order in which they are loaded: TensorFlow before torch does not end well."""


def backend(framework: str) -> Autodiff:
    """The backend module of that name; ImportError where its framework does not load."""
    return cast("Autodiff", load(framework))


def _slope(f: Function) -> Function:
    def slope(x: Any) -> Any:
        y, pullback = vjp(f, x)
        return pullback(namespace(y).ones_like(y))[0]

    return slope


def _reverse(f: Function, x: Any, u: Any) -> tuple[Any, Any]:
    y, pullback = vjp(f, x)
    return y, pullback(u)[0]


def _blocks(x: Any) -> Any:
    """The columns in up to four blocks, along a new first axis."""
    columns = x.shape[1]
    size = columns // max(count for count in (1, 2, 3, 4) if columns % count == 0)
    return namespace(x).stack([x[:, i : i + size] for i in range(0, columns, size)])


def _joined(blocks: Any) -> Any:
    return namespace(blocks).concat([blocks[i, ...] for i in range(blocks.shape[0])], axis=1)


def _batched(f: Function, x: Any, u: Any) -> tuple[Any, Any]:
    slopes = vmap(grad(lambda x, u: namespace(x).sum(f(x) * u)))
    return f(x), _joined(slopes(_blocks(x), _blocks(u)))


def _compiled(f: Function, *example: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    return compile(lambda x, u: _reverse(f, x, u))


def _scanned(f: Function, x: Any, u: Any) -> tuple[Any, Any]:
    def through(x: Any) -> Any:
        blocks = _blocks(x)
        start = namespace(x).zeros_like(blocks[0, ...])
        return _joined(scan(lambda carry, x: (carry, f(x)), start, blocks)[1])

    return _reverse(through, x, u)


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

GENERIC = {
    **table(
        Mode("eager", "vjp of the backend", direct(_reverse), quick=True),
        Mode("jvp", "forward mode", direct(lambda f, x, u: jvp(f, (x,), (u,))), quick=True),
        Mode("vmap(grad)", "the gradient, batched", direct(_batched), quick=True),
        Mode("compile", "value and vjp, compiled", _compiled, quick=True),
        Mode("scan", "inside the time loop, reverse mode", direct(_scanned), quick=True),
    ),
    **TWICE,
}
"""What the protocol itself can express; ``FACETS`` are the members that each needs."""

FACETS = {
    "eager": ("vjp",),
    "jvp": ("jvp",),
    "vmap(grad)": ("vmap", "grad"),
    "compile": ("compile", "vjp"),
    "scan": ("scan", "vjp"),
    "grad of grad": ("vjp",),
    "jvp of grad": ("vjp", "jvp"),
}


def generic(xp: Any) -> Mapping[str, Mode]:
    """The modes of a backend that is not one of ours; those that it has no facet for are absent."""

    def absent(mode: str) -> str | None:
        missing = [name for name in FACETS[mode] if not hasattr(xp, name)]
        return f"{xp.name} has no {' and no '.join(missing)}" if missing else None

    return {name: replace(m, absent=partial(absent, name)) for name, m in GENERIC.items()}


def modes(framework: str) -> Mapping[str, Mode]:
    """Every mode of a framework, which is loaded."""
    if framework not in BUILT_IN:
        return generic(backend(framework))
    own = importlib.import_module(f"fgi_backends.{framework}.measure.modes").MODES
    return {**own, **TWICE}


def chosen(framework: str, names: Sequence[str] | None, quick: bool = False) -> list[str]:
    """Those modes of a framework that are asked for, in its order."""
    wanted: Callable[[Mode], bool] = lambda mode: (  # noqa: E731
        (mode.name in names) if names is not None else (mode.quick or not quick)
    )
    return [name for name, mode in modes(framework).items() if wanted(mode)]
