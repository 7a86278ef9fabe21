"""The words for an array in an error message, the same for every framework."""

from __future__ import annotations

from typing import Any

from .protocol import Injection

__all__ = ["describe", "dtype_name", "mixed_backends_error"]


def dtype_name(dtype: Any) -> str:
    """``float32``, whichever framework's it is."""
    return getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]


def describe(x: Any) -> str:
    """Describe an argument for an error message: ``a float32 array of shape (2, 3)``."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        return "None" if x is None else f"a {type(x).__name__}"
    dtype = dtype_name(x.dtype)
    return f"{'an' if dtype.startswith('int') else 'a'} {dtype} array of shape {tuple(x.shape)}"


def mixed_backends_error(
    caller: str, backend: Injection, argument: str, theirs: Injection, first: str = "x"
) -> TypeError:
    """The error for two arguments, ``first`` and ``argument``, of two frameworks."""
    return TypeError(
        f"{caller}: {first} is an array of {backend.name}, {argument} one of {theirs.name}; "
        f"expected arrays of one framework; convert one of them"
    )
