"""What other libraries call it: a function of their parameters for each of their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["made"]

from ..parameters import did_you_mean

T = TypeVar("T")


def made(
    caller: str, known: Mapping[str, Callable[..., T]], name: str, parameters: Mapping[str, Any]
) -> T:
    """``known[name](**parameters)``, by the rules that every catalogue has.

    Errors: ValueError for a name that is not there, naming the close ones; TypeError for a
    parameter that the library's function has not.
    """
    if name not in known:
        raise ValueError(
            f"{caller}: unknown preset {name!r}; {did_you_mean(name, known)}"
            f"{caller}s() has them all"
        )
    signature = inspect.signature(known[name])
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise TypeError(f"{caller}: {name}: {error}; expected {name}{signature}") from None
    return known[name](**parameters)
