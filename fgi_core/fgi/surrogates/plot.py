"""Pictures of surrogates: value, slope and primitive against x.

NumPy computes the numbers, Matplotlib draws them; neither is imported before a picture is asked
for. ``Surrogate.plot`` and ``fgi plot`` are the ways in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..backend.dispatch import namespace, use_backend
from ..parameters import Definition, brief, is_number
from .surrogate import Surrogate

__all__ = [
    "CURVES",
    "FORMATS",
    "draw",
    "has_primitive",
    "interesting_range",
    "named",
    "own_style",
    "save",
]

Numbers = NDArray[np.float64]
D = TypeVar("D", bound=Definition)

CURVES = {"value": "f(x)", "slope": "g'(x)", "primitive": "g(x)"}
COLOURS = {"value": "black", "slope": "C3", "primitive": "C0"}
DASHES = {"value": ":", "slope": "-", "primitive": "--"}
FORMATS = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Suffixes, and the metadata that would make two files of one picture differ."""

SIZES = np.logspace(-8, 7, 901)
"""Distances at which a surrogate is looked at to find its scale; each 4 % beyond the last."""


def draw(
    surrogates: Sequence[tuple[str | None, Surrogate]],
    curves: Sequence[str],
    x: tuple[float, float] | None,
    ax: Axes,
    **line: Any,
) -> None:
    """Curves of labelled surrogates into ``ax``; all curves that there are, where none is named.

    A label of None is the surrogate and the curve; one of your own names the surrogate.
    ``x`` is the range, by default the union of the surrogates' ``interesting_range``.

    Errors: ValueError for an unknown curve or an empty range; TypeError for a primitive that is
    not there.
    """
    unknown = [curve for curve in curves if curve not in CURVES]
    if unknown:
        raise ValueError(
            f"plot: {unknown[0]!r} is no curve; expected one or several of {', '.join(CURVES)}"
        )
    with use_backend("auto"):
        pairs = [(label, _in_numpy(spike)) for label, spike in surrogates]
        ranges = [_checked_range(x)] if x else [interesting_range(spike) for _, spike in pairs]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        for i, (label, spike) in enumerate(pairs):
            shown = curves or [c for c in CURVES if c != "primitive" or has_primitive(spike)]
            for curve in shown:
                words = [brief(spike) if label is None else label]
                if len(shown) > 1 or label is None:
                    words.append(named(spike, curve))
                at, columns = _sampled(spike, curve, low, high)
                looks = _looks(curve, len(shown) > 1, i if len(pairs) > 1 else None)
                first, *_ = ax.plot(at, columns, **(looks | line))
                first.set_label(" ".join(word for word in words if word))
    ax.set_xlabel("x")
    ax.margins(x=0)
    if ax.get_legend_handles_labels()[0]:
        ax.legend()


def named(spike: Surrogate, curve: str) -> str:
    """What a curve is called: "slope g'(x)"; of what is random the mean is drawn."""
    mean = "mean " if spike._is_random and curve != "primitive" else ""
    return f"{mean}{curve} {CURVES[curve]}"


def _looks(curve: str, several_curves: bool, surrogate: int | None) -> dict[str, Any]:
    """Colours tell the surrogates apart where there are several, and the curves of a single one."""
    if surrogate is not None:
        dash = DASHES[curve] if several_curves else "-"
        return {"color": f"C{surrogate % 10}", "linestyle": dash}
    return {"color": COLOURS[curve]} if several_curves else {}


def has_primitive(spike: Surrogate) -> bool:
    """Whether there is a closed form at these parameters."""
    try:
        spike.primitive(np.zeros(()))
    except TypeError:
        return False
    return True


def interesting_range(spike: Surrogate) -> tuple[float, float]:
    """Where slope and value happen, and a fifth of it on both sides.

    That is where the slope has not settled to what it is far out; at most six of its half-widths
    where it has a slow tail, and a few turns where it never settles. And where the value jumps, a
    few times. One unit around a single point, where that is all there is.
    """
    x = _landmarks(spike)
    slopes, values = (_evaluate(spike, c, x, levels=16).T for c in ("slope", "value"))
    places = [p for column in slopes for p in _unsettled(x, column, spike)]
    places += [p for column in values for p in _jumps(x, column)]
    if not places:
        places = [p for column in values for p in _unsettled(x, column, spike)]
    low, high = min(places, default=0.0), max(places, default=0.0)
    if high - low <= 1e-7 * max(1.0, abs(low)):
        return low - 1, high + 1
    margin = (high - low) / 5
    return low - margin, high + margin


@contextmanager
def own_style() -> Iterator[None]:
    """Inside the block Matplotlib draws alike everywhere, whatever its user has set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
        mpl.rcParams.update({"svg.hashsalt": "fgi", "svg.fonttype": "none"})
        yield


def save(figure: Figure, path: Path) -> None:
    """Into a file; within ``own_style`` the same bytes for the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata=FORMATS[path.suffix.lower()], dpi=150)


def _checked_range(x: tuple[float, float]) -> tuple[float, float]:
    if len(x) == 2 and all(is_number(v) and np.isfinite(v) for v in x) and x[0] < x[1]:
        return x
    raise ValueError(f"plot: x is {x!r}; expected a range such as (-2, 2)")


def _in_numpy(definition: D) -> D:
    """With NumPy's arrays for those of a framework, and numbers for those of no dimension."""

    def converted(value: Any) -> Any:
        if isinstance(value, Definition):
            return _in_numpy(value)
        if not hasattr(value, "dtype"):
            return value
        array = namespace(value).to_numpy(value).astype(np.float64)
        return array if array.ndim else float(array)

    return definition.replace(**{n: converted(v) for n, v in definition.parameters.items()})


def _nested(definition: Definition) -> list[Definition]:
    inner = [v for v in definition.parameters.values() if isinstance(v, Definition)]
    return [definition, *(d for part in inner for d in _nested(part))]


def _centres(spike: Surrogate) -> Numbers:
    """0 and the parameters, on both sides of it: what happens, happens near one of these."""
    values = [
        v for d in _nested(spike) for name, v in d.parameters.items() if name not in d._keywords
    ]
    found = [np.ravel(v) for v in values if is_number(v) or hasattr(v, "dtype")]
    centres = np.concatenate([np.zeros(1), *found, *(-v for v in found)]).astype(np.float64)
    return np.unique(centres[np.isfinite(centres)])


def _landmarks(spike: Surrogate) -> Numbers:
    """From 1e-8 to 1e7 away from each centre."""
    offsets = np.concatenate([-SIZES[::-1], np.zeros(1), SIZES])
    x = np.unique(_centres(spike)[:, None] + offsets)
    return x[np.diff(x, prepend=-np.inf) > 1e-9]


def _evaluate(spike: Surrogate, curve: str, x: Numbers, levels: int = 256) -> Numbers:
    """A column for each channel; the mean over the random numbers, where there are any."""
    arrays = [a for d in _nested(spike) for a in d.arrays.values()]
    channels = np.broadcast_shapes(*(a.shape for a in arrays))
    x = np.broadcast_to(x.reshape(-1, *[1] * len(channels)), (x.size, *channels)).copy()
    with np.errstate(all="ignore"):
        if curve == "primitive":
            y = spike.primitive(x)
        else:
            function = spike if curve == "value" else spike.derivative
            if not spike._is_random:
                y = function(x)
            else:
                u = (np.arange(levels) + 0.5) / levels
                y = np.mean([function(x, np.full_like(x, v)) for v in u], axis=0)
    return np.asarray(y, np.float64).reshape(len(x), -1)


def _sampled(spike: Surrogate, curve: str, low: float, high: float) -> tuple[Numbers, Numbers]:
    """Points enough: more where it is steep or turns, so that jumps are upright and tips sharp."""
    near = _landmarks(spike)
    x = np.unique(np.r_[np.linspace(low, high, 401), near[(near > low) & (near < high)]])
    y = _evaluate(spike, curve, x)
    for _ in range(12):
        change = np.diff(y, axis=0)
        turns = (change[1:] * change[:-1] < 0).any(axis=1)
        steep = (np.abs(change) > 0.02 * np.ptp(y, axis=0)).any(axis=1)
        steep |= np.r_[turns, False] | np.r_[False, turns]
        if not steep.any():
            break
        between = (x[1:][steep] + x[:-1][steep]) / 2
        order = np.argsort(np.r_[x, between])
        x = np.r_[x, between][order]
        y = np.concatenate([y, _evaluate(spike, curve, between)])[order]
    return x, y


def _unsettled(x: Numbers, y: Numbers, spike: Surrogate) -> list[float]:
    """The first and the last place where ``y`` differs from its two ends, roughly."""
    centres = _centres(spike)
    beside = np.abs(x[:, None] - centres).min(axis=1) <= 2 * SIZES[0]
    cap = 4 * np.nanmax(np.abs(y[beside]))
    if cap > 0:  # what grows without bound is looked at near the centres only
        y = np.clip(y, -cap, cap)
    span = np.nanmax(y) - np.nanmin(y)
    if not span > 0:
        return []

    def ends(level: float) -> tuple[float, float]:
        left = x[np.abs(y - y[0]) > level * span]
        right = x[np.abs(y - y[-1]) > level * span]
        return left[0], right[-1]

    low, high = ends(0.02)
    low_half, high_half = ends(0.5)
    if low_half < high_half:
        centre, width = (low_half + high_half) / 2, (high_half - low_half) / 2
        low, high = max(low, centre - 6 * width), min(high, centre + 6 * width)

    above = y > (np.nanmax(y) + np.nanmin(y)) / 2
    turns = x[1:][above[1:] != above[:-1]]
    return [max([low, *turns[turns < 0][-4:-3]]), min([high, *turns[turns >= 0][3:4]])]


def _jumps(x: Numbers, y: Numbers) -> list[float]:
    """The first places on each side of 0 where ``y`` changes without its neighbours changing."""
    change = np.abs(np.diff(y))
    rate = change / np.diff(x)
    around = np.r_[0.0, rate[:-1]] + np.r_[rate[1:], 0.0]
    size = np.maximum(np.abs(y[1:]), np.abs(y[:-1]))
    places = x[1:][(change > 1e-6 * size) & (rate > 5 * around)]
    return [*places[places < 0][-7:], *places[places >= 0][:7]]
