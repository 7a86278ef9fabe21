"""Nested dicts, lists and tuples of arrays: what parameters and states are kept in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["leaves", "map", "named", "nested", "rebuilt"]


def leaves(tree: Any) -> Iterator[Any]:
    """What a container holds, in order."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree


def rebuilt(tree: Any, parts: Iterator[Any]) -> Any:
    """A container like ``tree`` with these leaves."""
    if isinstance(tree, dict):
        return {name: rebuilt(value, parts) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return like(tree, [rebuilt(value, parts) for value in tree])
    return next(parts)


def like(tree: Any, parts: list[Any]) -> Any:
    """A list, tuple or named tuple as ``tree`` is, of these parts."""
    if isinstance(tree, list):
        return parts
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """``f`` of each leaf and its counterparts in containers built the same way."""
    if isinstance(tree, dict):
        # By name: a framework may have sorted the others.
        return {k: map(f, part, *(other[k] for other in others)) for k, part in tree.items()}
    if isinstance(tree, list | tuple):
        return like(tree, [map(f, *parts) for parts in zip(tree, *others, strict=True)])
    return f(tree, *others)


def named(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by path: ``{"hidden": {"bias": b}}`` is ``{"hidden.bias": b}``.

    Errors: TypeError for other containers and for names that are no text; ValueError for a name
    that is empty or has a dot, and for an empty dict.
    """
    found: dict[str, Any] = {}
    if not tree:
        raise ValueError(f"fgi: {prefix or 'the dict'} is empty; expected arrays by name")
    for name, value in tree.items():
        if not isinstance(name, str):
            raise TypeError(f"fgi: the name {prefix}{name!r} is no text; expected a string")
        if not name or "." in name:
            raise ValueError(f"fgi: the name {prefix}{name!r}; expected some letters and no dot")
        if isinstance(value, Mapping):
            found |= named(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            raise TypeError(
                f"fgi: {prefix}{name} is a {type(value).__name__}; expected an array or a dict"
            )
        else:
            found[prefix + name] = value
    return found


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dicts whose leaves have these paths; undoes ``named``.

    Errors: ValueError where one path goes on behind the end of another.
    """
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split(".")
        inside = tree
        for parent in parents:
            inside = inside.setdefault(parent, {})
            if not isinstance(inside, dict):
                break
        if not isinstance(inside, dict) or name in inside:
            raise ValueError(f"fgi: {path} lies inside another array, or has its name")
        inside[name] = value
    return tree
