"""What an execution is: one way to run a function in a framework, and to take the time of it.

``EXECUTIONS`` of ``fgi_backends.<framework>.measure.timing`` has those of each, as data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .mode import always

__all__ = ["Execution", "Function", "Phases", "table"]

Function: TypeAlias = Callable[..., Any]
"""y = f(p, *data): one array of an array, or of nested dicts of arrays, and of data."""

Phases: TypeAlias = Mapping[str, Callable[[], float]]
"""By name what runs once, all work awaited, and returns its seconds."""


@dataclass(frozen=True)
class Execution:
    """One way to run: ``build(f, p, data, u)`` gives the phases that this way can tell apart.

    "forward" is f with what a gradient needs later, "backward" the gradient of u . f by p from
    there, "both" the two. "inference" is f where no derivative can be asked for, "call" f where one
    can, in a framework whose forward is not told from it.
    """

    name: str
    covers: str
    build: Callable[[Function, Any, tuple[Any, ...], Any], Phases]
    takes: tuple[str, ...] = ("function", "loop")
    """A loop over time is something else to a compiler that unrolls it; a "call" is one number."""
    compiles_step: bool = False
    """Whether f is asked to compile the step of its loop."""
    nodes: Callable[[Function, Any, tuple[Any, ...]], int] | None = None
    """Operations in the graph that it makes of f; None where it makes none of the whole of f."""
    absent: Callable[[], str | None] = always
    """Why it cannot run here; None where it can."""


def table(*executions: Execution) -> dict[str, Execution]:
    return {execution.name: execution for execution in executions}
