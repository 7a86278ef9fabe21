"""What other libraries call it: a function of their parameters for each of their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["did_you_mean", "made"]

T = TypeVar("T")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The close ones as a question, and a blank; nothing where none is close."""
    import difflib

    close = difflib.get_close_matches(word, words, n=3)
    return f"did you mean {' or '.join(close)}? " if close else ""


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
