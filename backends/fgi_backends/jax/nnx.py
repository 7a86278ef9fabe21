"""``fgi.jax.Surrogate``: a surrogate as a module of Flax NNX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ..adapter import split_parameters

__all__ = ["Surrogate"]

CALLER = "fgi.jax.Surrogate"


class Surrogate(nnx.Module):  # type: ignore[misc]
    """A Flax module that is a surrogate, with those of its parameters learned that you name.

        module(x) = spike(x),   module.spike: the surrogate with the parameters of now

    A parameter named in ``learnable`` is an ``nnx.Param`` of that name; one that is an array and
    not named there an ``nnx.Variable``. What a loss has a derivative for is said by the surrogate:
    the parameters of one with ``through="primitive"``, and those in its own ``learnable``; by
    others it is zero, and they are learned from the gradient's derivative. Their range is not
    looked into while they are learned.

    Shape and dtype: those of ``x``, as for the surrogate.

    Errors: TypeError where ``spike`` is no surrogate, or has arrays of another framework;
    ValueError for names that are no numbers of it.
    """

    def __init__(self, spike: Any, learnable: str | Iterable[str] = ()) -> None:
        self._mould, values, self.learnable = split_parameters(CALLER, spike, learnable)
        self._kept = tuple(values)
        for name, value in values.items():
            if not isinstance(value, float | jax.Array):
                raise TypeError(
                    f"{CALLER}: {name} is a {type(value).__name__}; expected a number or a "
                    f"jax.Array; convert it first, for example with jax.numpy.asarray(...)"
                )
            kind = nnx.Param if name in self.learnable else nnx.Variable
            # Of JAX's default dtype, as a number alone would not say.
            dtype = jnp.result_type(float) if isinstance(value, float) else value.dtype
            setattr(self, name, kind(jnp.asarray(value, dtype)))

    @property
    def spike(self) -> Any:
        """The surrogate, whose learned parameters are the module's."""
        return self._mould.build({name: getattr(self, name)[...] for name in self._kept})

    def __call__(self, x: Any, key: Any = None) -> Any:
        return self.spike(x, key)
