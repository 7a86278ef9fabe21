"""``fgi.jax``: surrogates as pytrees. Importing it imports JAX, and registers every class.

Parameters that are arrays are leaves, those that are numbers part of the structure::

    import fgi.jax

    spike = fgi.surrogates.ATan(alpha=jnp.array(2.0), through="primitive")
    jax.grad(lambda spike: spike(x).sum())(spike).alpha

``Surrogate`` is a module of Flax NNX, and needs flax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fgi_backends.jax.pytree import register

from . import surrogates
from .parameters import each_definition

if TYPE_CHECKING:
    from fgi_backends.jax.nnx import Surrogate

__all__ = ["Surrogate"]

surrogates.catalogue()
each_definition(register)


def __getattr__(name: str) -> Any:
    if name != "Surrogate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from fgi_backends.jax.nnx import Surrogate
    except ModuleNotFoundError as error:
        raise ImportError(
            f"fgi.jax.Surrogate: needs {error.name}, which is not installed; write pip install "
            f"flax, or use surrogates as they are, which are pytrees"
        ) from error
    return Surrogate
