"""Nested dicts, lists and tuples, for a PyTorch without ``torch.utils._pytree``.

The names are those of that module. Anything else than the three, None too, is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "tree_flatten",
    "tree_iter",
    "tree_leaves",
    "tree_map",
    "tree_map_only",
    "tree_unflatten",
]


def tree_iter(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for part in tree:
            yield from tree_iter(part)
    else:
        yield tree


def tree_leaves(tree: Any) -> list[Any]:
    return list(tree_iter(tree))


def tree_flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves, and the tree with None in their places."""
    return tree_leaves(tree), tree_map(lambda _: None, tree)


def tree_unflatten(leaves: list[Any], structure: Any) -> Any:
    rest = iter(leaves)
    return tree_map(lambda _: next(rest), structure)


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """f(leaf, ...) of the corresponding leaves of trees that are built alike."""
    if isinstance(tree, dict):
        return {k: tree_map(f, v, *(other[k] for other in others)) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        parts = [tree_map(f, *part) for part in zip(tree, *others, strict=True)]
        if isinstance(tree, list):
            return parts
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return f(tree, *others)


def tree_map_only(kind: Any, f: Callable[[Any], Any], tree: Any) -> Any:
    return tree_map(lambda leaf: f(leaf) if isinstance(leaf, kind) else leaf, tree)
