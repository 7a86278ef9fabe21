"""Backends: what one has to have, which exist, and which is chosen."""

from .dispatch import get_backend, namespace, set_backend, use_backend
from .protocol import Array, Autodiff, Backend
from .registry import available_backends, register_backend

__all__ = [
    "Array",
    "Autodiff",
    "Backend",
    "available_backends",
    "get_backend",
    "namespace",
    "register_backend",
    "set_backend",
    "use_backend",
]
