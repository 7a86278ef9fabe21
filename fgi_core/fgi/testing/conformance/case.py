"""A case: one thing that is asked of a backend, in one dtype; and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .probe import Probe

__all__ = ["CASES", "Case", "case"]


@dataclass(frozen=True)
class Case:
    """``run(probe)`` leaves what it finds in the probe."""

    subject: str
    """Mostly a name of the protocol."""
    mode: str
    """What is asked of it."""
    run: Callable[[Probe], None]
    dtypes: tuple[str, ...]
    """Or ``("*",)``, where no dtype matters."""
    needs: tuple[str, ...]
    """Without these names of the protocol it is absent."""


CASES: list[Case] = []

EVERY = ("float16", "bfloat16", "float32", "float64")
ANY = ("*",)
WIDEST = ("widest",)
"""float64, or float32 where there is none: for what is the same in each, and takes long."""


def case(
    mode: str,
    *subjects: str,
    dtypes: tuple[str, ...] = EVERY,
    needs: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put a function into the list; of several subjects it is told which."""

    def add(ask: Callable[..., None]) -> Callable[..., None]:
        for subject in subjects:

            def run(probe: Probe, subject: str = subject) -> None:
                ask(probe, *([subject] if len(subjects) > 1 else []))

            CASES.append(Case(subject, mode, run, dtypes, needs))
        return ask

    return add
