"""Which backend: ``use_backend`` before ``set_backend`` before the arrays themselves.

Everything on the path of a call is read by compilers too, and they decide its shape: a module
global and a ``threading.local`` with ``__init__`` are traced and guarded by ``torch.compile``,
so that compiled code notices a switch; ``ContextVar``, ``lru_cache``, ``importlib`` and a cache
filled on first use break the graph, warn or keep the old backend.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .backend import Array, Backend

if TYPE_CHECKING:
    import fgi_backends.jax
    import fgi_backends.numpy
    import fgi_backends.tensorflow
    import fgi_backends.torch

    from .backend import Autodiff

    # mypy holds each module to the protocol here.
    _autodiff: tuple[Autodiff, ...] = (
        fgi_backends.torch,
        fgi_backends.jax,
        fgi_backends.tensorflow,
    )
    _values_only: Backend = fgi_backends.numpy

__all__ = [
    "available_backends",
    "get_backend",
    "namespace",
    "register_backend",
    "set_backend",
    "use_backend",
]

AUTO = "auto"
BUILT_IN = ("torch", "jax", "tensorflow", "numpy")
ENTRY_POINTS = "fgi.backends"


class _Thread(threading.local):
    """The choice of ``use_backend``: a backend, ``AUTO``, or None where there is none."""

    def __init__(self) -> None:
        self.choice: Backend | str | None = None


_process: Backend | str = AUTO
_thread = _Thread()
_registered: dict[str, Backend] = {}


def _built_in(name: str) -> Backend:
    # Import statements, one by one: torch.compile follows them, and importlib it does not.
    if name == "torch":
        from fgi_backends import torch

        return torch
    if name == "jax":
        from fgi_backends import jax

        return jax
    if name == "tensorflow":
        from fgi_backends import tensorflow

        return tensorflow
    from fgi_backends import numpy

    return numpy


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def available_backends() -> tuple[str, ...]:
    """Names that ``set_backend`` takes on this machine; nothing is imported to find out.

    Built-in backends count where their framework is installed, others where they are registered
    or announced by an entry point in the group ``fgi.backends``.
    """
    from importlib.util import find_spec

    installed = [name for name in BUILT_IN if name in sys.modules or find_spec(name)]
    return tuple(dict.fromkeys([*installed, *_registered, *_entry_points()]))


def _load(name: str) -> Backend | str:
    if name == AUTO:
        return AUTO
    if name in _registered:
        return _registered[name]
    if name in BUILT_IN:
        try:
            return _built_in(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"fgi: the backend {name!r} needs {error.name}, which is not installed; "
                f"write pip install 'fgi[{name}]', or choose one of "
                f"{', '.join(available_backends())}"
            ) from error
    points = _entry_points()
    if name in points:
        return _announced(points[name])
    raise ValueError(
        f"fgi: unknown backend {name!r}; expected 'auto' or one of "
        f"{', '.join(available_backends())}"
    )


def _announced(point: Any) -> Backend:
    """The backend of an entry point; from now on arrays find it too."""
    try:
        backend: Backend = point.load()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"fgi: the backend {point.name!r} needs {error.name}, which is not installed; choose "
            f"one of {', '.join(available_backends())}"
        ) from error
    register_backend(backend)
    return backend


def set_backend(name: str) -> None:
    """Choose the backend of the whole process, new threads included; ``"auto"`` asks the arrays.

    Errors: ValueError for an unknown name, ImportError where the framework does not load; the
    backend of before then stays.
    """
    global _process
    _process = _load(name)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Choose the backend inside a ``with`` block, in this thread only; blocks nest.

    Errors: as ``set_backend``. What was there before is restored, also after an exception.
    """
    choice = _load(name)
    before = _thread.choice
    _thread.choice = choice
    try:
        yield
    finally:
        _thread.choice = before


def get_backend() -> str:
    """The name that ``use_backend`` or ``set_backend`` chose, ``"auto"`` where none did."""
    chosen = choice()
    return chosen if isinstance(chosen, str) else chosen.name


def choice() -> Backend | str:
    """The backend chosen for this thread, or ``AUTO``."""
    return _process if _thread.choice is None else _thread.choice


def register_backend(module: Any) -> None:
    """Add a backend of your own: a module, or any object, that satisfies ``fgi.backend.Backend``.

    A package announces one without being imported by an entry point in the group ``fgi.backends``,
    named as the framework is imported: ``mlx = "my_package.mlx_backend"``.

    Errors: TypeError naming what is missing; ValueError where a built-in backend has the name.
    """
    wanted = [name for name in vars(Backend) if not name.startswith("_")]
    missing = [name for name in wanted if not hasattr(module, name)]
    if missing:
        raise TypeError(
            f"fgi.register_backend: {getattr(module, '__name__', module)} lacks "
            f"{', '.join(missing)}; expected everything that fgi.backend.Backend names"
        )
    if module.name in BUILT_IN:
        raise ValueError(
            f"fgi.register_backend: {module.name!r} is a built-in backend; expected another name"
        )
    _registered[module.name] = module


@contextmanager
def under_test(backend: Any) -> Iterator[None]:
    """Inside the block the backend is registered, complete or not.

    Errors: TypeError for what has no name, ValueError where a built-in backend has it.
    """
    name = getattr(backend, "name", None)
    if not isinstance(name, str):
        raise TypeError(
            f"fgi.testing: {getattr(backend, '__name__', backend)} has no name; expected a module "
            f"that satisfies fgi.backend.Backend"
        )
    if name in BUILT_IN and backend is not _built_in(name):
        raise ValueError(f"fgi.testing: {name!r} is a built-in backend; expected another name")
    before = dict(_registered)
    if name not in BUILT_IN:
        _registered[name] = backend
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)


def describe(x: Any) -> str:
    """What came, in the same words whatever the framework."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        return "None" if x is None else f"a {type(x).__name__}"
    dtype = getattr(x.dtype, "name", None) or str(x.dtype).rpartition(".")[2]
    return f"{'an' if dtype.startswith('int') else 'a'} {dtype} array of shape {tuple(x.shape)}"


def _owner(x: Array) -> Backend | None:
    """The backend whose array ``x`` is, found without importing a framework."""
    # An array of a framework cannot exist unless the framework is loaded, so looking is enough.
    for name in BUILT_IN:
        if name in sys.modules:
            backend = _built_in(name)
            if isinstance(x, backend.Array):
                return backend
    for backend in _registered.values():
        if isinstance(x, backend.Array):
            return backend
    return None


def _announced_owner(x: Array) -> Backend | None:
    """As ``_owner``, among the entry points whose framework is loaded and that nobody has used."""
    for name, point in _entry_points().items():
        if name in sys.modules and name not in _registered:
            _announced(point)
    return _owner(x)


def owner(x: Array, caller: str, argument: str = "x") -> Backend:
    """The backend for ``x``, which must be an array of the chosen backend or, on auto, of any."""
    chosen = choice()
    if not isinstance(chosen, str):
        if isinstance(x, chosen.Array):
            return chosen
        found = _owner(x)
        if found is not None:
            raise TypeError(
                f"{caller}: {argument} is an array of {found.name}, but the backend is set to "
                f"{chosen.name}; convert the array, or write fgi.set_backend({found.name!r}) "
                f"or fgi.set_backend('auto')"
            )
    else:
        found = _owner(x) or _announced_owner(x)
        if found is not None:
            return found
    raise TypeError(
        f"{caller}: {argument} is {describe(x)}; expected an array of torch, jax, tensorflow, "
        f"numpy or a registered backend; convert it first, for example with torch.tensor(...)"
    )


def together(caller: str, x: Array, **others: Any) -> Backend:
    """The backend for ``x``; the others, unless numbers or None, must be arrays of the same."""
    backend = owner(x, caller)
    for argument, other in others.items():
        if other is None or isinstance(other, (int, float, backend.Array)):
            continue
        raise foreign(caller, backend, argument, owner(other, caller, argument))
    return backend


def foreign(
    caller: str, backend: Backend, argument: str, theirs: Backend, first: str = "x"
) -> TypeError:
    """``x``, or whichever comes first, and another argument are arrays of two frameworks."""
    return TypeError(
        f"{caller}: {first} is an array of {backend.name}, {argument} one of {theirs.name}; "
        f"expected arrays of one framework; convert one of them"
    )


def namespace(*xs: Any) -> Backend:
    """The backend module for these arrays, as ``array_namespace`` has it in the array-API world.

    Numbers and None are ignored; without any array, the backend that was chosen.

    Errors: TypeError where ``xs`` are arrays of two frameworks, of another framework than the one
    chosen, or no arrays at all and none is chosen.
    """
    arrays = [x for x in xs if x is not None and not isinstance(x, int | float)]
    if arrays:
        first, *rest = arrays
        return together(
            "fgi.namespace", first, **{f"argument {i}": x for i, x in enumerate(rest, 2)}
        )
    chosen = choice()
    if isinstance(chosen, str):
        raise TypeError(
            "fgi.namespace: no array was passed and no backend is chosen; pass an array, or write "
            "fgi.set_backend('torch')"
        )
    return chosen
