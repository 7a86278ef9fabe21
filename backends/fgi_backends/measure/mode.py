"""What a mode is: one way to run and differentiate a function in a framework.

``MODES`` of ``fgi_backends.<framework>.measure.modes`` has those of each, as data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["AbsentError", "Build", "Function", "Mode", "table"]

Function: TypeAlias = Callable[[Any], Any]
Build: TypeAlias = Callable[[Function, Any, Any], Callable[[Any, Any], tuple[Any, Any]]]


class AbsentError(Exception):
    """A function, or an installed version, that a mode cannot run; the text is the reason."""


def always() -> None:
    return None


def unchanged(f: Any) -> Any:
    return f


@dataclass(frozen=True)
class Mode:
    """One way to run and differentiate: value f(x) and gradient u * f'(x), for an element-wise f.

    ``build(f, x, u)`` makes a function of arrays shaped like ``x`` and ``u``, so that what is
    compiled once runs often. x has a row for each of several functions, which f treats apart: one
    compilation serves them all, and the modes that batch go over the columns.
    """

    name: str
    covers: str
    build: Build
    absent: Callable[[], str | None] = always
    """Why the installed version lacks the mode; None where it has it."""
    prepare: Callable[[Any], Any] = unchanged
    """What stands for one function in this mode; raises ``AbsentError`` where nothing can."""
    dtypes: tuple[str, ...] = ("float16", "bfloat16", "float32", "float64")
    order: int = 1
    """2 where value and gradient are those of the derivative."""
    quick: bool = False
    """Whether a bank of functions is through in a few seconds."""

    def run(self, f: Function, x: Any, u: Any) -> tuple[Any, Any]:
        return self.build(self.prepare(f), x, u)(x, u)


def direct(run: Callable[[Function, Any, Any], tuple[Any, Any]]) -> Build:
    """A mode that prepares nothing."""
    return lambda f, *example: lambda x, u: run(f, x, u)


def table(*modes: Mode) -> dict[str, Mode]:
    return {mode.name: mode for mode in modes}
