"""Differentiation by tape or ``torch.func``, compilation by ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .private import is_eager

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp", "vmap"]


def on_tape() -> bool:
    """Whether PyTorch differentiates what it computes, if at all, by its tape alone.

    ``torch.compile`` takes a function for unsuitable, for good, that it meets under ``torch.func``.
    """
    return is_eager() and not torch.is_inference_mode_enabled()


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    both = value_and_grad(f, argnums=argnums)
    return lambda *args, **named: both(*args, **named)[1]


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """By the tape where that is enough, as compiled functions inside ``f`` run compiled there."""
    reversed_pair = torch.func.grad_and_value(f, argnums=argnums, has_aux=has_aux)

    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        if on_tape() and not _has_history((args, named)):
            leaves, structure = pytree.tree_flatten(args[argnums])
            leaves = [leaf.detach().requires_grad_() for leaf in leaves]
            argument = pytree.tree_unflatten(leaves, structure)
            with torch.enable_grad():
                result = f(*args[:argnums], argument, *args[argnums + 1 :], **named)
            value = result[0] if has_aux else result
            if isinstance(value, Tensor) and not _reaches_others(value, leaves):
                gradient = _gradient(value, leaves)
                result = pytree.tree_map_only(Tensor, Tensor.detach, result)
                return result, pytree.tree_unflatten(gradient, structure)
        gradient, value = reversed_pair(*args, **named)
        return value, gradient

    return both


def _gradient(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    gradient = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
    return [g.detach() for g in gradient]


def _has_history(tree: Any) -> bool:
    leaves = pytree.tree_leaves(tree)
    return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves)


def _reaches_others(value: Tensor, leaves: list[Tensor]) -> bool:
    """Whether a derivative of the gradient can be asked for, by a tensor that ``f`` closes over."""
    own = {id(leaf) for leaf in leaves}
    nodes, seen = [value.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in own:
            return True
        nodes += [following for following, _ in node.next_functions]
    return False


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    y, dy, *_ = torch.func.jvp(f, primals, tangents)
    return y, dy


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    y, pullback, *_ = torch.func.vjp(f, *primals)
    return y, pullback


def vmap(f: Callable[..., Any], /) -> Callable[..., Any]:
    mapped: Callable[..., Any] = torch.func.vmap(f)
    return mapped


def with_own_code(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of a code object of its own.

    PyTorch keeps what it compiled by code object, and gives up after eight.
    """
    if not isinstance(f, FunctionType) or torch.compiler.is_compiling():
        return f
    copy = FunctionType(
        f.__code__.replace(), f.__globals__, f.__name__, f.__defaults__, f.__closure__
    )
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(with_own_code(f))
    return compiled
