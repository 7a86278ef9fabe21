"""``fgi.keras``: any surrogate as a Keras layer, and as an activation that is saved with a model.

Importing it imports Keras, and registers every class of surrogates and value functions with it, so
that ``keras.models.load_model`` finds them.
"""

from __future__ import annotations

from typing import Any

from fgi_backends.keras.layer import Surrogate, register

from . import surrogates
from .parameters import SCHEMA, SCHEMA_KEY, Definition, each_definition

__all__ = ["Surrogate"]


def _config(definition: Definition) -> dict[str, Any]:
    return {**definition.to_config(), SCHEMA_KEY: SCHEMA}


def _register(definition: type[Definition]) -> None:
    # A value function may share its name with a surrogate.
    kind = next(base for base in definition.__mro__ if Definition in base.__bases__)
    register(definition, f"{kind.__name__}.{definition.name}", _config)


surrogates.catalogue()
each_definition(_register)
