"""Which backends exist: the built-in ones, those that were registered, those of entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .members import Completed, lacking, missing
from .protocol import Array, Backend

if TYPE_CHECKING:
    import fgi_backends.jax
    import fgi_backends.numpy
    import fgi_backends.tensorflow
    import fgi_backends.torch

    from .protocol import Autodiff

    # mypy holds each module to the protocol here.
    _autodiff: tuple[Autodiff, ...] = (
        fgi_backends.torch,
        fgi_backends.jax,
        fgi_backends.tensorflow,
    )
    _values_only: Backend = fgi_backends.numpy

__all__ = [
    "AUTO",
    "BUILT_IN",
    "available_backends",
    "backend_of_array",
    "completed",
    "load",
    "register_backend",
    "under_test",
]

AUTO = "auto"
BUILT_IN = ("torch", "jax", "tensorflow", "numpy")
ENTRY_POINTS = "fgi.backends"

_registered: dict[str, Backend] = {}


def _built_in(name: str) -> Backend:
    # One import statement for each: torch.compile follows these, and not importlib.
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
    """List the names that ``set_backend`` takes on this machine; nothing is imported to find out.

    Built-in backends count where their framework is installed, others where they are registered
    or announced by an entry point in the group ``fgi.backends``.
    """
    from importlib.util import find_spec

    installed = [name for name in BUILT_IN if name in sys.modules or find_spec(name)]
    return tuple(dict.fromkeys([*installed, *_registered, *_entry_points()]))


def load(name: str) -> Backend | str:
    """Import the backend of that name; ``AUTO`` stays as it is.

    Errors: ValueError for an unknown name, ImportError where the framework does not load.
    """
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
    """The backend of an entry point, registered from now on."""
    try:
        module: Any = point.load()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"fgi: the backend {point.name!r} needs {error.name}, which is not installed; choose "
            f"one of {', '.join(available_backends())}"
        ) from error
    register_backend(module)
    return _registered[module.name]


def register_backend(module: Any) -> None:
    """Add a backend of your own: a module, or any object, with the members of tier 0.

        fgi.register_backend(my_backend)

    Tier 0 is ``fgi.backend.Injection``, nine members, and enough for ``fgi.inject``, ``fgi.bypass``
    and ``fgi.custom_jvp``. Members of further tiers are looked up when they are needed: one that
    the module lacks has a default, or is a TypeError that names it, its tier and what to define.

    A package announces one without being imported by an entry point in the group ``fgi.backends``,
    named as the framework is imported: ``mlx = "my_package.mlx_backend"``.

    Errors: TypeError naming what is missing of tier 0; ValueError where a built-in backend has the
    name.
    """
    lacks = lacking(module, "injection")
    if lacks:
        raise missing(module, *lacks, caller="fgi.register_backend")
    if module.name in BUILT_IN:
        raise ValueError(
            f"fgi.register_backend: {module.name!r} is a built-in backend; expected another name"
        )
    _registered[module.name] = completed(module)


def completed(module: Any) -> Backend:
    """The backend with its defaults; a built-in one is complete, and stays the module it is."""
    built_in = module.name in BUILT_IN and module is _built_in(module.name)
    backend: Any = module if built_in or isinstance(module, Completed) else Completed(module)
    found: Backend = backend
    return found


@contextmanager
def under_test(backend: Any) -> Iterator[Backend]:
    """Register a backend inside the block, whatever it lacks; gives it with its defaults.

    Errors: TypeError for what has no name, ValueError where a built-in backend has it.
    """
    name = getattr(backend, "name", None)
    if not isinstance(name, str):
        raise TypeError(
            f"fgi.testing: {getattr(backend, '__name__', backend)} has no name; expected a module "
            f"that satisfies fgi.backend.Injection"
        )
    if name in BUILT_IN and backend is not _built_in(name):
        raise ValueError(f"fgi.testing: {name!r} is a built-in backend; expected another name")
    before = dict(_registered)
    found = completed(backend)
    if name not in BUILT_IN:
        _registered[name] = found
    try:
        yield found
    finally:
        _registered.clear()
        _registered.update(before)


def _known(x: Array) -> Backend | None:
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


def backend_of_array(x: Array, *, announced: bool = False) -> Backend | None:
    """The backend whose array ``x`` is, found without importing a framework.

    With ``announced``, entry points whose framework is loaded are asked too.
    """
    found = _known(x)
    if found is not None or not announced:
        return found
    for name, point in _entry_points().items():
        if name in sys.modules and name not in _registered:
            _announced(point)
    return _known(x)
