"""The words for an array in an error message, the same for every framework."""

from __future__ import annotations

from typing import Any

from .protocol import Backend

__all__ = ["describe", "mixed_backends_error"]


def describe(x: Any) -> str:
    """Describe an argument for an error message: ``a float32 array of shape (2, 3)``."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        return "None" if x is None else f"a {type(x).__name__}"
    dtype = getattr(x.dtype, "name", None) or str(x.dtype).rpartition(".")[2]
    return f"{'an' if dtype.startswith('int') else 'a'} {dtype} array of shape {tuple(x.shape)}"


def mixed_backends_error(
    caller: str, backend: Backend, argument: str, theirs: Backend, first: str = "x"
) -> TypeError:
    """The error for two arguments, ``first`` and ``argument``, of two frameworks."""
    return TypeError(
        f"{caller}: {first} is an array of {backend.name}, {argument} one of {theirs.name}; "
        f"expected arrays of one framework; convert one of them"
    )
