"""The members of a backend: which it has, which it has by default, and the error for the others."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from fgi_backends import defaults

from . import derived
from .protocol import TIERS

__all__ = ["Completed", "MissingMemberError", "lacking", "members", "missing", "tier_of"]


class MissingMemberError(TypeError, AttributeError):
    """A backend lacks the member ``name``; an AttributeError, so that ``hasattr`` is False."""

    name: str


@cache
def members(tier: str) -> tuple[str, ...]:
    """The members of a tier, by its name in ``TIERS``."""
    return tuple(name for name in vars(TIERS[tier]) if not name.startswith("_"))


@cache
def tier_of(member: str) -> str | None:
    """The tier that has the member; None where none has."""
    return next((tier for tier in TIERS if member in members(tier)), None)


def lacking(backend: Any, tier: str) -> tuple[str, ...]:
    """The members of a tier that the backend neither has nor gets by default."""
    return tuple(name for name in members(tier) if not hasattr(backend, name))


def missing(
    backend: Any, *names: str, caller: str = "fgi", instead: str = ""
) -> MissingMemberError:
    """The error for a backend without these members of one tier: what to define, and where.

    ``caller`` is the function that a user called, ``instead`` what the user may do.
    """
    tier = tier_of(names[0]) or ""
    if getattr(backend, "__name__", "").startswith("fgi_backends."):
        # NumPy's: the other built-in backends have everything.
        told = "has no automatic differentiation"
    else:
        wanted = ", ".join(_signature(tier, name) for name in names)
        told = f"has no {', '.join(names)} (tier {tier}); define {wanted} in the backend, as "
        told += f"fgi.backend.{TIERS[tier].__name__} says"
    found = f"{caller}: {getattr(backend, 'name', backend)} {told}"
    error = MissingMemberError(f"{found}; {instead}" if instead else found)
    error.name = names[0]
    return error


def _signature(tier: str, name: str) -> str:
    """``erfc(x, /)``; and from which members it would be made."""
    member = vars(TIERS[tier])[name]
    if not callable(member):
        return name
    _, *parameters = inspect.signature(member).parameters.values()
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    instead = "".join(f", or {_signature(tier_of(n) or tier, n)}" for n in _origins(name))
    return f"{name}{inspect.Signature(bare)}{instead}"


def _origins(name: str) -> Iterator[str]:
    """The members that a backend may define in place of this one."""
    for needed in derived.NEEDS.get(name, ()):
        inner = tuple(_origins(needed))
        yield from inner or (needed,)


class Completed:
    """A registered backend as the core sees it: its own members, then those it has by default.

    Members are looked up when they are needed, in ``module`` first. One that is nowhere is a
    ``MissingMemberError``.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    def __repr__(self) -> str:
        return f"<fgi backend {self.module.name}>"

    def __getattr__(self, name: str) -> Any:
        # Only names that are no attributes of the instance get here.
        if name == "module":
            raise AttributeError(name)
        try:
            return getattr(self.module, name)
        except AttributeError:
            tier = tier_of(name)
            if tier is None:
                raise
        if all(hasattr(self, needed) for needed in derived.NEEDS.get(name, ())):
            if name in derived.FUNCTIONS:
                return partial(derived.FUNCTIONS[name], self)
            if name in derived.ATTRIBUTES:
                return derived.ATTRIBUTES[name](self)
        if name in defaults.__all__:
            return getattr(defaults, name)
        raise missing(self, name)
