"""The module names of 0.1 that still import, and still unpickle, though their files have moved.

``import fgi_backends.torch.face`` gives a module whose names are looked up, when they are asked
for, where they are now. New code imports ``fgi.torch``, ``fgi.jax`` or ``fgi.keras``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "Moved", "keep_old_names"]

MOVED: dict[str, tuple[str, ...]] = {
    "fgi_backends.execution": ("fgi_backends.measure.execution",),
    "fgi_backends.face": ("fgi_backends.adapter",),
    "fgi_backends.mode": ("fgi_backends.measure.mode",),
    "fgi_backends.jax.face": ("fgi_backends.jax.pytree",),
    "fgi_backends.keras.face": ("fgi_backends.keras.layer",),
    "fgi_backends.torch.face": ("fgi_backends.torch.module",),
    "fgi_backends.torch.plain": ("fgi_backends.torch.private",),
    "fgi_backends.torch.script": ("fgi_backends.torch.torchscript",),
}
"""By old name, the modules that have its names now."""

for _framework in ("torch", "jax", "tensorflow"):
    _here = f"fgi_backends.{_framework}"
    MOVED[f"{_here}.loop"] = (f"{_here}.scan",)
    MOVED[f"{_here}.with_value"] = (f"{_here}.fast",)
    for _name in ("by_hand", "modes", "timing"):
        MOVED[f"{_here}.{_name}"] = (f"{_here}.measure.{_name}",)

RENAMED: dict[str, Callable[[Any], Any]] = {
    "Mould": attrgetter("Template"),
    "taken_apart": attrgetter("split_parameters"),
    "plain": attrgetter("is_plain_eager"),
    "unobserved": attrgetter("is_eager"),
    "with_value": attrgetter("assume_value"),
    "attached": lambda fast: lambda slope, x, fx, /: fast.first_order(fx, slope, x),
}
"""By old name, how a module that has it under a new one gives it."""


class Moved(ModuleType):
    """A module under its old name; it loads what it stands for on first use."""

    def __init__(self, name: str, targets: tuple[str, ...]) -> None:
        super().__init__(name, f"Moved to {' and '.join(targets)}.")
        self._targets = targets

    def __getattr__(self, name: str) -> Any:
        # Programs that look through all loaded modules ask for names such as __file__.
        if name == "__all__" or not name.startswith("__"):
            modules = [import_module(target) for target in self._targets]
            if name == "__all__":
                old = (old for old in RENAMED if any(_has(module, old) for module in modules))
                return sorted({*old, *(name for module in modules for name in _public(module))})
            for module in modules:
                if _has(module, name):
                    return _found(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        names: list[str] = self.__getattr__("__all__")
        return names


def _public(module: ModuleType) -> list[str]:
    """What ``from module import *`` takes."""
    names: list[str] = getattr(module, "__all__", [])
    return names or [name for name in vars(module) if not name.startswith("_")]


def _found(module: ModuleType, name: str) -> Any:
    return getattr(module, name) if hasattr(module, name) else RENAMED[name](module)


def _has(module: ModuleType, name: str) -> bool:
    try:
        _found(module, name)
    except (AttributeError, KeyError):
        return False
    return True


def keep_old_names(package: str, moved: Mapping[str, tuple[str, ...]] = MOVED) -> None:
    """Make the old names directly inside ``package`` importable; nothing is loaded.

    The package calls it while it is imported, so that they are there when Python looks for its
    modules, as ``os.path`` is.
    """
    for old, targets in moved.items():
        parent, _, name = old.rpartition(".")
        if parent == package:
            module = sys.modules.setdefault(old, Moved(old, targets))
            setattr(sys.modules[package], name, module)
