"""What the faces have in common: a surrogate taken apart into arrays, which a framework keeps in
its own way, and the rest, which never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Template", "split_parameters"]


@dataclass(frozen=True)
class Template:
    """The class of a surrogate and those of its parameters that are fixed."""

    kind: Callable[..., Any]
    fixed: tuple[tuple[str, Any], ...]

    def build(self, arrays: Mapping[str, Any]) -> Any:
        """The surrogate with these for its other parameters."""
        return self.kind(**dict(self.fixed), **arrays)


def split_parameters(
    caller: str, spike: Any, learnable: str | Iterable[str]
) -> tuple[Template, dict[str, Any], tuple[str, ...]]:
    """The mould, the parameters that are arrays or to be learned, and which are to be learned.

    Errors: TypeError where ``spike`` is no surrogate; ValueError for a name in ``learnable`` that
    is no parameter of it, or one that is no number and no array.
    """
    parameters = getattr(spike, "parameters", None)
    if not isinstance(parameters, dict) or not callable(spike) or isinstance(spike, type):
        came = "None" if spike is None else f"a {type(spike).__name__}"
        raise TypeError(
            f"{caller}: spike is {came}; expected a surrogate such as "
            f"fgi.surrogates.ATan(alpha=2.0), or fgi.get('atan')"
        )
    learned = (learnable,) if isinstance(learnable, str) else tuple(learnable)
    arrays = {name for name, value in parameters.items() if hasattr(value, "dtype")}
    possible = [n for n, value in parameters.items() if n in arrays or isinstance(value, float)]
    wrong = [name for name in learned if name not in possible]
    if wrong:
        raise ValueError(
            f"{caller}: learnable has {', '.join(map(repr, wrong))}; expected some of "
            f"{', '.join(possible) or 'none'}, the parameters of {type(spike).__name__} that are "
            f"numbers"
        )
    kept = {name: value for name, value in parameters.items() if name in arrays or name in learned}
    fixed = tuple((name, value) for name, value in parameters.items() if name not in kept)
    return Template(type(spike), fixed), kept, learned
