"""Frameworks against each other, in eager float64: for functions without a definition."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from ..backend.dispatch import use_backend
from . import points
from .bounds import bound
from .cell import Settings, numbers, of_dtype
from .diagnosis import Evidence, diagnose
from .modes import backend, modes
from .precision import PRECISIONS, Floats
from .report import DIFFERS, OK, Element, Failure, Row
from .subjects import Subject

__all__ = ["MODE", "collect", "compare"]

MODE = "between frameworks"
DOUBLE = PRECISIONS["float64"]

Numbers = Mapping[str, tuple[Floats, Floats]]


def collect(framework: str, subjects: Sequence[Subject], settings: Settings) -> Numbers:
    """Value and gradient of each; those that do not run are left out, as they have rows."""
    xp = backend(framework)
    found = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(xp.double_precision())
        stack.enter_context(use_backend("auto"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for subject in subjects:
            function = subject.function(framework)
            if function is None:
                continue
            x, u = (of_dtype(xp, a, DOUBLE) for a in _inputs(subject, settings))
            with contextlib.suppress(Exception):
                y, dx = modes(framework)["eager"].run(function, x, u)
                found[subject.name] = numbers(xp, y), numbers(xp, dx)
    return found


def _inputs(subject: Subject, settings: Settings) -> tuple[Floats, Floats]:
    x = points.row(subject, DOUBLE, settings.seed, settings.inputs)
    return x, points.upstream(len(x), settings.seed)


def compare(
    subjects: Sequence[Subject], collected: Mapping[str, Numbers], settings: Settings
) -> list[Row]:
    """Each framework against the middle of all; of two, the second against the first."""
    rows = []
    for subject in subjects:
        names = [name for name, numbers in collected.items() if subject.name in numbers]
        if len(names) < 2:
            continue
        x, u = _inputs(subject, settings)
        found = {name: collected[name][subject.name] for name in names}
        middle = [_middle([pair[i] for pair in found.values()]) for i in range(2)]
        for name in names if len(names) > 2 else names[1:]:
            failures = []
            worst = 0.0
            for i, quantity in enumerate(("value", "gradient")):
                kind = f"{quantity} of a function"
                limit = bound(kind, "float64", MODE, subject.name, settings.bounds)
                failure, ulps = _compared(
                    subject, quantity, x, u if i else np.ones_like(u), found[name][i], middle[i],
                    limit.ulps, settings.seed,
                )  # fmt: skip
                failures += [failure] if failure else []
                worst = max(worst, ulps if i else 0.0)
            status = DIFFERS if failures else OK
            rows.append(
                Row(
                    subject.name,
                    name,
                    MODE,
                    "float64",
                    status,
                    ulps=worst,
                    comparisons=2 * len(x),
                    failures=tuple(failures),
                    reason=f"compared with {', '.join(n for n in names if n != name)}"
                    if failures
                    else "",
                )
            )
    return rows


def _middle(numbers: Sequence[Floats]) -> Floats:
    """The middle one, so that one framework alone does not move it; NaN counts as the largest."""
    if len(numbers) == 2:
        return numbers[0]
    ordered = np.sort(np.stack(numbers), axis=0)
    middle: Floats = ordered[len(numbers) // 2]
    return middle


def _compared(
    subject: Subject,
    quantity: str,
    x: Floats,
    u: Floats,
    got: Floats,
    right: Floats,
    ulps: float,
    seed: int,
) -> tuple[Failure | None, float]:
    normal = (x == 0) | ~(np.abs(x) < DOUBLE.tiny)  # XLA and TensorFlow read subnormals as 0
    with np.errstate(all="ignore"):
        size = np.where(np.isfinite(right), np.abs(right / u), 1)
        # As in the modes: terms that cancel set the scale, and a moderate x shows them.
        scale = float(np.max(size, initial=0.0, where=(np.abs(x) <= 8) & np.isfinite(right)))
        spacing = DOUBLE.ulp(size, max(DOUBLE.eps * scale, 256 * DOUBLE.tiny))
        # A tail amplifies the rounding of x, by no more than |x| times its logarithmic slope.
        distance = np.abs(got - right) / (np.abs(u) * spacing * np.maximum(np.abs(x), 1))
        distance = np.where(np.isnan(distance), np.inf, distance)
        same = (got == right) | (np.isnan(got) & np.isnan(right))
        distance = np.where(same, 0, distance)
    wrong = normal & (distance > ulps)
    worst = float(np.max(distance, initial=0.0, where=normal & np.isfinite(distance)))
    if not wrong.any():
        return None, worst

    def element(i: int) -> Element:
        return Element(*(float(v) for v in (x[i], u[i], got[i], right[i], distance[i])))

    cause = diagnose(Evidence(quantity, DOUBLE, x, u, got, right / u, wrong, points.kinks(subject)))
    at = int(np.argmax(np.where(wrong, distance, -1)))
    first = int(np.argmax(wrong))
    failure = Failure(quantity, cause, int(wrong.sum()), len(x), seed, element(first), element(at))
    return failure, worst
