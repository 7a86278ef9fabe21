"""``fgi.jax``: surrogates as pytrees, their array parameters as leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
from jax.tree_util import GetAttrKey

__all__ = ["register"]

LEAVES, ARRAYS = "_leaves", "_array_names"

_registered: set[type] = set()


def register(kind: type[Any]) -> None:
    """Make a pytree of a class of definitions: arrays and definitions inside are its children.

    The rest, numbers among it, is static: part of the structure, which ``jax.jit`` compiles anew
    for, and compares by ``==``.
    """
    _registered.add(kind)
    jax.tree_util.register_pytree_with_keys(kind, _with_keys, _unflatten(kind), _flatten)


def _with_keys(spike: Any) -> tuple[list[tuple[GetAttrKey, Any]], Any]:
    children, structure = _flatten(spike)
    leaves, _ = structure
    return [(GetAttrKey(n), child) for n, child in zip(leaves, children, strict=True)], structure


def _flatten(spike: Any) -> tuple[list[Any], Any]:
    parameters = spike.parameters
    leaves = vars(spike).get(LEAVES)
    if leaves is None:
        leaves = tuple(
            name
            for name, value in parameters.items()
            if hasattr(value, "dtype") or type(value) in _registered
        )
    fixed = tuple((name, value) for name, value in parameters.items() if name not in leaves)
    return [parameters[name] for name in leaves], (leaves, fixed)


def _unflatten(kind: type[Any]) -> Any:
    def unflatten(structure: Any, children: Iterable[Any]) -> Any:
        # Not by its constructor, which checks: JAX and its libraries put None, booleans, axes and
        # placeholders in place of arrays, and want the same structure of those.
        leaves, fixed = structure
        spike = object.__new__(kind)
        vars(spike).update(fixed)
        inside = dict(zip(leaves, children, strict=True))
        vars(spike).update(inside)
        vars(spike)[LEAVES] = leaves
        vars(spike)[ARRAYS] = tuple(name for name, x in inside.items() if hasattr(x, "dtype"))
        return spike

    return unflatten
