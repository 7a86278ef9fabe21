"""Every surrogate of the catalogue as a function: ``fgi.functional.atan(x, alpha=2.0)``.

``fgi.functional.atan(x, alpha)`` is ``fgi.surrogates.ATan(alpha)(x)``. What works on whole vectors
or tensors and is no surrogate is here as well: the functions of ``MODULES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .. import surrogates
from ..backend.protocol import Array
from ..surrogates.surrogate import Surrogate

MODULES = ("vectors", "tensors")


def _function(definition: type[Surrogate]) -> Callable[..., Array]:
    def function(x: Array, *parameters: Any, key: Any = None, **named: Any) -> Array:
        return definition(*parameters, **named)(x, key)

    function.__name__ = function.__qualname__ = definition.name
    function.__module__ = __name__
    function.__doc__ = definition.__doc__
    return function


def _load() -> None:
    if "__all__" in globals():  # a second function of the same name could not be pickled
        return
    functions = {c.name: _function(c) for c in surrogates.catalogue().values()}
    for name in MODULES:
        module = importlib.import_module(f"{__name__}.{name}")
        functions |= {function: getattr(module, function) for function in module.__all__}
    globals().update(functions, __all__=sorted(functions))


def __getattr__(name: str) -> Callable[..., Array]:
    if name == "__all__" or not name.startswith("_"):
        _load()
        if name in globals():
            found: Callable[..., Array] = globals()[name]
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    _load()
    return sorted(globals())
