"""Differentiation by ``torch.func``, compilation by ``torch.compile``, the time loop in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

__all__ = ["compile", "grad", "jvp", "value_and_grad", "vjp"]


def grad(f: Callable[..., Any], *, argnums: int = 0) -> Callable[..., Any]:
    gradient: Callable[..., Any] = torch.func.grad(f, argnums=argnums)
    return gradient


def value_and_grad(
    f: Callable[..., Any], *, argnums: int = 0, has_aux: bool = False
) -> Callable[..., Any]:
    reversed_pair = torch.func.grad_and_value(f, argnums=argnums, has_aux=has_aux)

    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        gradient, value = reversed_pair(*args, **named)
        return value, gradient

    return both


def jvp(
    f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    y, dy, *_ = torch.func.jvp(f, primals, tangents)
    return y, dy


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    y, pullback, *_ = torch.func.vjp(f, *primals)
    return y, pullback


def compile(f: Callable[..., Any], /) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(f)
    return compiled
