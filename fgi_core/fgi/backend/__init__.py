"""Backends: what one has to have, which exist, and which is chosen."""

from .array_api import from_array_api
from .dispatch import get_backend, namespace, set_backend, use_backend
from .members import MissingMemberError
from .protocol import (
    Array,
    Arrays,
    Autodiff,
    Backend,
    Differentiation,
    Hooks,
    Injection,
    Minimal,
    Randomness,
    Tools,
)
from .registry import available_backends, register_backend

__all__ = [
    "Array",
    "Arrays",
    "Autodiff",
    "Backend",
    "Differentiation",
    "Hooks",
    "Injection",
    "Minimal",
    "MissingMemberError",
    "Randomness",
    "Tools",
    "available_backends",
    "from_array_api",
    "get_backend",
    "namespace",
    "register_backend",
    "set_backend",
    "use_backend",
]
