"""The names, the attributes, and whether the core finds the backend by its arrays."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ...backend.dispatch import get_backend, namespace, use_backend
from ...backend.messages import describe
from ...backend.protocol import Autodiff, Backend
from ..cell import has
from .case import ANY, EVERY, case
from .probe import Probe

__all__ = ["AUTODIFF", "REQUIRED"]

REQUIRED = tuple(name for name in vars(Backend) if not name.startswith("_"))
AUTODIFF = tuple(
    name for name in vars(Autodiff) if not name.startswith("_") and name not in REQUIRED
)


@case("complete", "names", dtypes=ANY)
def names(p: Probe) -> None:
    missing = [name for name in REQUIRED if not hasattr(p.xp, name)]
    told = f"lacks {', '.join(missing)}; expected everything that fgi.backend.Backend names"
    p.require(not missing, "names", told)


@case("attributes", "names", dtypes=ANY)
def attributes(p: Probe) -> None:
    xp = p.xp
    for name in ("name", "version"):
        value = getattr(xp, name)
        p.require(isinstance(value, str), name, f"is {describe(value)}; expected a string")
    p.require(xp.float32 in xp.floating, "floating", f"has no float32: {xp.floating}")
    stray = [dtype for dtype in xp.half if dtype not in xp.floating]
    p.require(not stray, "half", f"{stray} is not in floating")
    named = [name for name in EVERY if has(xp, name)]
    short = [name for name in EVERY[:2] if name in named and xp.dtype(name) not in xp.half]
    p.require(not short, "half", f"lacks {', '.join(short)}; slopes are computed in float32 there")
    wide = [name for name in EVERY[2:] if name in named and xp.dtype(name) in xp.half]
    p.require(not wide, "half", f"has {', '.join(wide)}, which is not of 16 bits")
    p.require(not isinstance([1.0], xp.Array), "Array", "a list is one")
    for name, make in xp.mechanisms.items():
        p.require(callable(make), "mechanisms", f"{name} is {describe(make)}")
    if hasattr(xp, "compiles_loops"):
        told = f"is {xp.compiles_loops!r}; expected True or False"
        p.require(isinstance(xp.compiles_loops, bool), "compiles_loops", told)
    p.require(isinstance(xp.may_differentiate(), bool), "may_differentiate", "is no bool")
    differentiates = [name for name in AUTODIFF if hasattr(xp, name)]
    missing = [name for name in ("vjp", "grad", "value_and_grad") if name not in differentiates]
    told = f"has {', '.join(differentiates)} but no {', '.join(missing)}"
    p.require(not differentiates or not missing, "autodiff", told)


@case("found by its arrays", "dispatch", dtypes=ANY)
def dispatch(p: Probe) -> None:
    xp = p.xp
    x = xp.asarray([0.5], dtype=xp.float32)
    with use_backend("auto"):
        theirs = namespace(x)
        told = f"its arrays are taken for those of {theirs.name}; expected an Array of its own"
        p.require(theirs is xp, "Array", told)
    with use_backend(xp.name):
        p.require(namespace() is xp, "name", f"fgi.use_backend({xp.name!r}) is another backend")
        p.require(get_backend() == xp.name, "name", f"it is called {get_backend()!r}")


@case("named in errors", "dispatch", dtypes=ANY)
def described(p: Probe) -> None:
    xp = p.xp
    wanted: list[tuple[str, Any]] = [
        (f"a {name} array of shape (2,)", Probe(xp, name).into([0.5, 1.0]))
        for name in EVERY
        if has(xp, name)
    ]
    wanted.append(("a bool array of shape (1, 1)", xp.asarray(np.array([[True]]))))
    wanted.append(("an int32 array of shape (1,)", xp.asarray(np.array([1], np.int32))))
    for expected, x in wanted:
        p.require(describe(x) == expected, "words", f"{describe(x)!r}; expected {expected!r}")


@case("a context", "double_precision", dtypes=ANY)
def double_precision(p: Probe) -> None:
    context = p.xp.double_precision()
    managed = isinstance(context, contextlib.AbstractContextManager)
    p.require(managed, "type", f"came {describe(context)}; expected a context manager")
    if managed and has(p.xp, "float64"):
        with context:
            x = p.xp.asarray([0.1], dtype=p.xp.dtype("float64"))
            p.require(float(np.asarray(p.xp.to_numpy(x))[0]) == 0.1, "value", "float64 is narrower")
