"""What other libraries call it: a function of their parameters for each of their names."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["made"]

T = TypeVar("T")


def made(
    caller: str, known: Mapping[str, Callable[..., T]], name: str, parameters: Mapping[str, Any]
) -> T:
    """``known[name](**parameters)``, by the rules that every catalogue has.

    Errors: ValueError for a name that is not there, naming the close ones; TypeError for a
    parameter that the library's function has not.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        raise ValueError(
            f"{caller}: unknown preset {name!r}; "
            + (f"did you mean {' or '.join(close)}? " if close else "")
            + f"{caller}s() has them all"
        )
    signature = inspect.signature(known[name])
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise TypeError(f"{caller}: {name}: {error}; expected {name}{signature}") from None
    return known[name](**parameters)
