"""Which backend: ``use_backend`` before ``set_backend`` before the arrays themselves.

Compilers read everything on the path of a call, and they decide its shape: ``torch.compile`` traces
a module global and a ``threading.local`` with ``__init__``, and guards both, so that compiled code
notices a switch. ``lru_cache``, ``importlib`` and a cache filled on first use break the graph, warn
or keep the old backend.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from .messages import describe, mixed_backends_error
from .protocol import Array, Backend
from .registry import AUTO, backend_of_array, load
from .scope import Scope

__all__ = [
    "backend_of",
    "chosen_backend",
    "get_backend",
    "namespace",
    "same_backend",
    "set_backend",
    "use_backend",
]

_process: Backend | str = AUTO
_scope: Scope[Backend | str | None] = Scope("fgi.use_backend", None)


def set_backend(name: str) -> None:
    """Choose the backend of the whole process, new threads included; ``"auto"`` asks the arrays.

    Errors: ValueError for an unknown name, ImportError where the framework does not load; the
    backend of before then stays.
    """
    global _process
    _process = load(name)


def use_backend(name: str) -> AbstractContextManager[None]:
    """Choose the backend inside a ``with`` block, for this thread and task only; blocks nest.

    Errors: as ``set_backend``. The end of the block restores the earlier choice, also after an
    exception.
    """
    return _scope.block(load(name))


def get_backend() -> str:
    """The name that ``use_backend`` or ``set_backend`` chose, ``"auto"`` where none did."""
    chosen = chosen_backend()
    return chosen if isinstance(chosen, str) else chosen.name


def chosen_backend() -> Backend | str:
    """The backend chosen for this thread and task, or ``AUTO``."""
    chosen = _scope.get()
    return _process if chosen is None else chosen


def backend_of(x: Array, caller: str, argument: str = "x") -> Backend:
    """The backend for ``x``, which must be an array of the chosen backend or, on auto, of any."""
    chosen = chosen_backend()
    if not isinstance(chosen, str):
        if isinstance(x, chosen.Array):
            return chosen
        found = backend_of_array(x)
        if found is not None:
            raise TypeError(
                f"{caller}: {argument} is an array of {found.name}, but the backend is set to "
                f"{chosen.name}; convert the array, or write fgi.set_backend({found.name!r}) "
                f"or fgi.set_backend('auto')"
            )
    else:
        found = backend_of_array(x, announced=True)
        if found is not None:
            return found
    raise TypeError(
        f"{caller}: {argument} is {describe(x)}; expected an array of torch, jax, tensorflow, "
        f"numpy or a registered backend; convert it first, for example with torch.tensor(...)"
    )


def same_backend(caller: str, x: Array, **others: Any) -> Backend:
    """The backend for ``x``; the others, unless numbers or None, must be arrays of the same."""
    backend = backend_of(x, caller)
    for argument, other in others.items():
        if other is None or isinstance(other, (int, float, backend.Array)):
            continue
        raise mixed_backends_error(caller, backend, argument, backend_of(other, caller, argument))
    return backend


def namespace(*xs: Any) -> Backend:
    """Return the backend module for these arrays, as the array-API's ``array_namespace`` does.

    Numbers and None are ignored; without any array, the result is the backend that was chosen.

    Errors: TypeError where ``xs`` are arrays of two frameworks, of another framework than the one
    chosen, or not arrays at all and none is chosen.
    """
    arrays = [x for x in xs if x is not None and not isinstance(x, int | float)]
    if arrays:
        first, *rest = arrays
        return same_backend(
            "fgi.namespace", first, **{f"argument {i}": x for i, x in enumerate(rest, 2)}
        )
    chosen = chosen_backend()
    if isinstance(chosen, str):
        raise TypeError(
            "fgi.namespace: no array was passed and no backend is chosen; pass an array, or write "
            "fgi.set_backend('torch')"
        )
    return chosen
