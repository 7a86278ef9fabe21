"""The tiers, the attributes, and whether the core finds the backend by its arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError

from ...backend.dispatch import get_backend, namespace, use_backend
from ...backend.members import lacking, members, tier_of
from ...backend.messages import describe
from ...backend.protocol import TIERS
from ...backend.registry import completed
from ..cell import has
from .case import ANY, EVERY, case
from .probe import Probe

__all__ = ["AUTODIFF", "REQUIRED", "tiers"]

AUTODIFF = members("autodiff")
REQUIRED = tuple(name for tier in TIERS for name in members(tier) if tier != "autodiff")


def tiers(module: Any) -> tuple[str, ...]:
    """The tiers that a backend holds, its own members and defaults together."""
    xp = completed(module)
    return tuple(tier for tier in TIERS if not lacking(xp, tier))


def without(xp: Any, *names: str) -> str:
    """Why something is absent: the tier, where the backend has nothing of it, or the members."""
    lacks = []
    for name in names:
        tier = tier_of(name)
        lacks.append(f"tier {tier}" if tier and not _begun(xp, tier) else name)
    return f"{xp.name} has no {' and no '.join(dict.fromkeys(lacks))}"


def _begun(xp: Any, tier: str) -> list[str]:
    """The members of a tier that a backend defines itself."""
    own = getattr(xp, "module", xp)
    return [member for member in members(tier) if hasattr(own, member)]


@case("tier", *TIERS, dtypes=ANY)
def tier(p: Probe, name: str) -> None:
    lacks = lacking(p.xp, name)
    if not lacks:
        p.comparisons += len(members(name))
        return
    begun = _begun(p.xp, name)
    if name == "autodiff" or not begun:
        raise AbsentError(without(p.xp, *lacks))
    p.fail("members", f"has no {', '.join(lacks)}, beside {', '.join(begun[:3])}")


@case("attributes", *TIERS, dtypes=ANY)
def attributes(p: Probe, tier: str) -> None:
    ATTRIBUTES[tier](p, p.xp)


def _injection(p: Probe, xp: Any) -> None:
    p.require(isinstance(xp.name, str), "name", f"is {describe(xp.name)}; expected a string")
    p.require(len(xp.floating) > 0, "floating", "is empty; expected the floating dtypes")
    p.require(not isinstance([1.0], xp.Array), "Array", "a list is one")


def _arrays(p: Probe, xp: Any) -> None:
    p.require(xp.float32 in xp.floating, "floating", f"has no float32: {xp.floating}")
    stray = [dtype for dtype in xp.half if dtype not in xp.floating]
    p.require(not stray, "half", f"{stray} is not in floating")
    named = [name for name in EVERY if has(xp, name)]
    short = [name for name in EVERY[:2] if name in named and xp.dtype(name) not in xp.half]
    p.require(not short, "half", f"lacks {', '.join(short)}; slopes are computed in float32 there")
    wide = [name for name in EVERY[2:] if name in named and xp.dtype(name) in xp.half]
    p.require(not wide, "half", f"has {', '.join(wide)}, which is not of 16 bits")


def _autodiff(p: Probe, xp: Any) -> None:
    differentiates = hasattr(xp, "vjp") or hasattr(xp, "jvp")
    if not differentiates:
        raise AbsentError(f"{xp.name} has no vjp and no jvp")
    p.require(xp.may_differentiate() is True, "may_differentiate", "is False outside of functions")


def _random(p: Probe, xp: Any) -> None:
    p.require(not isinstance([1.0], xp.Key), "Key", "a list is one")


def _tools(p: Probe, xp: Any) -> None:
    p.require(isinstance(xp.version, str), "version", f"is {describe(xp.version)}; not a string")
    for name, make in xp.mechanisms.items():
        p.require(callable(make), "mechanisms", f"{name} is {describe(make)}")


def _hooks(p: Probe, xp: Any) -> None:
    x = p.xp.asarray([0.5])
    for name, found in (
        ("compiles_loops", xp.compiles_loops),
        ("may_differentiate", xp.may_differentiate()),
        ("may_differentiate", xp.may_differentiate(x)),
        ("is_traced", xp.is_traced()),
        ("is_traced", xp.is_traced(x)),
    ):
        p.require(isinstance(found, bool), name, f"is {found!r}; expected True or False")


ATTRIBUTES: dict[str, Callable[[Probe, Any], None]] = {
    "injection": _injection,
    "arrays": _arrays,
    "autodiff": _autodiff,
    "random": _random,
    "tools": _tools,
    "hooks": _hooks,
}


@case("found by its arrays", "dispatch", dtypes=ANY)
def dispatch(p: Probe) -> None:
    xp = p.xp
    x = xp.asarray([0.5])
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
    p.require(managed, "type", f"got {describe(context)}; expected a context manager")
    if managed and has(p.xp, "float64"):
        with context:
            x = p.xp.asarray([0.1], dtype=p.xp.dtype("float64"))
            p.require(float(np.asarray(p.xp.to_numpy(x))[0]) == 0.1, "value", "float64 is narrower")
