"""Surrogates: every published surrogate and straight-through estimator, once.

Each module of ``catalogue`` is a group, each class in it one definition: equation, parameters,
source, and in ``presets`` its names in other libraries. A class that is defined there is found: as
``fgi.surrogates.ATan``, as ``fgi.functional.atan``, by ``fgi.from_config``, by ``fgi list``, and by
the tests. The modules are loaded on first use, so that ``import fgi`` stays quick.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..moved import keep_old_names
from . import catalogue as _groups
from .presets import made
from .surrogate import Primitive as Primitive, Surrogate

if TYPE_CHECKING:
    from .catalogue.cusps import *
    from .catalogue.gradient_scaling import *
    from .catalogue.piecewise import *
    from .catalogue.quantisers import *
    from .catalogue.smooth import *
    from .catalogue.spike_counts import *
    from .catalogue.stochastic import *


def groups() -> tuple[str, ...]:
    """The names of the modules."""
    return tuple(module.name for module in pkgutil.iter_modules(_groups.__path__))


def catalogue() -> Mapping[str, type[Surrogate]]:
    """Every class by its name, group after group."""
    found: dict[str, type[Surrogate]] = {}
    for group in groups():
        module = importlib.import_module(f"{_groups.__name__}.{group}")
        found |= {
            name: definition
            for name, definition in vars(module).items()
            if isinstance(definition, type)
            and issubclass(definition, Surrogate)
            and definition.group == group
        }
    return found


Surrogate._load_all = staticmethod(catalogue)
keep_old_names(__name__)


def presets() -> Mapping[str, Callable[..., Surrogate]]:
    """What other libraries call it: "library.function", and a function of their parameters.

    The parameters have the library's names and defaults; what comes back is a surrogate.
    """
    return {
        name: make
        for definition in catalogue().values()
        for name, make in definition.presets.items()
    }


def preset(name: str, **parameters: Any) -> Surrogate:
    """The surrogate that another library has under that name, with the same numbers.

        preset("spikingjelly.ATan", alpha=2.0) == ATan(alpha=2.0, forward=Heaviside(at_zero=1))

    ``name`` is "library.function" as ``fgi list --library all`` shows it, ``parameters`` are those
    of that library. With ".primitive" (SpikingJelly) or ".surrogate_fun" (braintools) after the
    name, the smooth function that these libraries ship beside it.

    Errors: ValueError for a name that is not there, naming the close ones; TypeError for a
    parameter that the library's function has not.
    """
    base = name
    for suffix in (".primitive", ".surrogate_fun"):
        base = base.removesuffix(suffix)
    surrogate = made("fgi.surrogates.preset", presets(), base, parameters)
    return surrogate if base == name else surrogate.smooth()


def _load() -> None:
    module = sys.modules[__name__]
    for name, definition in catalogue().items():
        setattr(module, name, definition)
    for group in groups():
        # Values that are defined beside a surrogate, for pickles.
        for name, found in vars(importlib.import_module(f"{_groups.__name__}.{group}")).items():
            if isinstance(found, type) and found.__module__ == __name__:
                setattr(module, name, found)
    module.__all__ = [*catalogue(), "preset", "presets"]  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    if name == "__all__" or not name.startswith("_"):
        _load()
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    _load()
    return sorted(globals())
