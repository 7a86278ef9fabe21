"""Every surrogate of the catalogue as a function: ``fgi.functional.atan(x, alpha=2.0)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import surrogates
from .backend import Array
from .definition import Surrogate


def _function(definition: type[Surrogate]) -> Callable[..., Array]:
    def function(x: Array, *parameters: Any, **named: Any) -> Array:
        return definition(*parameters, **named)(x)

    function.__name__ = function.__qualname__ = definition.name
    function.__doc__ = definition.__doc__
    return function


__all__ = []
for _name in surrogates.__all__:
    _definition: type[Surrogate] = getattr(surrogates, _name)
    globals()[_definition.name] = _function(_definition)
    __all__.append(_definition.name)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
