"""The PyTorch backend: stop gradient is ``Tensor.detach``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..defaults import double_precision as double_precision
from ..moved import keep_old_names
from .fast import assume_value as assume_value, first_order as first_order
from .native import mechanisms as mechanisms
from .private import in_forward_mode, is_plain_eager
from .scan import compiles_loops as compiles_loops, for_many_rows as for_many_rows, scan as scan
from .torchscript import bypass as bypass, inject as inject
from .transforms import (
    compile as compile,
    grad as grad,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
    vmap as vmap,
)

name = "torch"
version: str = torch.__version__
Array = Tensor
Key = torch.Generator

float16 = torch.float16
float32 = torch.float32
half = (torch.float16, torch.bfloat16)
floating = (*half, torch.float32, torch.float64)


def stop_gradient(x: Tensor, /) -> Tensor:
    return x.detach()


def keep_on_tape(d: Tensor, /) -> Tensor:
    # Of all functions that are the identity, the cheapest whose gradient depends on d in form: one
    # more pass, where 0 * d * d takes five. A compiled function has one derivative only.
    return d if torch.compiler.is_compiling() else torch.nn.functional.leaky_relu(d, 1.0)


def may_differentiate(*xs: Tensor) -> bool:
    """Whether a derivative can be asked for: reverse mode is on, or forward mode is at work.

    Not by tensors without a history, in plain eager mode.

    ``torch.func`` switches one or the other on inside its transforms, also under ``no_grad``.
    ``torch.jit.trace`` checks its trace by a second one under ``no_grad``, which must not differ.
    """
    if not torch.is_grad_enabled():
        return in_forward_mode() or torch.jit.is_tracing()
    return len(xs) == 0 or any(x.requires_grad or not is_plain_eager(x) for x in xs)


def is_traced(*xs: Tensor) -> bool:
    """Whether a compiler keeps what is computed here."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def copied(x: Tensor, /) -> Tensor:
    return x.clone()


def device(kind: str, /) -> torch.device:
    if kind == "cuda" and not torch.cuda.is_available():
        raise LookupError(f"torch {version} sees no {kind} device")
    return torch.device(kind)


def sign(x: Tensor, /) -> Tensor:
    # torch.sign gives 0 at NaN, the array API and the other frameworks NaN.
    return torch.where(x.detach().isnan(), x.detach(), torch.sign(x))


def same_shape(x: Tensor, y: Tensor, /) -> bool:
    # Under torch.jit.trace sizes are tensors, and comparing them is a warning.
    return torch.jit.is_tracing() or x.shape == y.shape


def dtype(name: str, /) -> torch.dtype:
    found: torch.dtype = getattr(torch, name)
    return found


def astype(x: Tensor, dtype: torch.dtype, /) -> Tensor:
    return x.to(dtype)


def step(x: Tensor, y: Tensor | float, /, *, at_zero: int = 0) -> Tensor:
    compare = torch.ge if at_zero else torch.gt
    if is_plain_eager(x) and not isinstance(y, Tensor):
        # Booleans and their conversion take six times as long as comparing into floats.
        x0 = x.detach() if x.requires_grad else x
        return compare(x0, y, out=torch.empty_like(x0))
    return compare(x, y).to(x.dtype)


def maximum(x: Tensor, y: Tensor | float, /) -> Tensor:
    return _extremum(torch.maximum, torch.clamp_min, x, y)


def minimum(x: Tensor, y: Tensor | float, /) -> Tensor:
    return _extremum(torch.minimum, torch.clamp_max, x, y)


def _extremum(
    of_two: Callable[..., Tensor], by_number: Callable[..., Tensor], x: Tensor, y: Tensor | float
) -> Tensor:
    if isinstance(y, Tensor):
        return of_two(x, y)
    # The derivative of clamp at a tie is 1, and that of maximum 1/2.
    if is_plain_eager(x) and not x.requires_grad:
        return by_number(x, y)
    return of_two(x, torch.full((), y, dtype=x.dtype, device=x.device))


def asarray(x: Any, /, *, dtype: torch.dtype | None = None) -> Tensor:
    if getattr(x, "dtype", None) == "bfloat16":  # NumPy's, which torch does not take
        return torch.asarray(x.astype("float32"), dtype=dtype or torch.bfloat16)
    return torch.asarray(x, dtype=dtype)


def to_numpy(x: Tensor, /) -> Any:
    # NumPy has no bfloat16; float32 holds each of its numbers.
    return (x.float() if x.dtype == torch.bfloat16 else x).detach().cpu().numpy()


def uniform(key: torch.Generator, x: Tensor, /) -> Tensor:
    dtype = torch.float32 if x.dtype in half else x.dtype
    return torch.rand(x.shape, generator=key, dtype=dtype, device=x.device)


def normal(key: torch.Generator, x: Tensor, /, *, batch: tuple[int, ...] = ()) -> Tensor:
    dtype = torch.float32 if x.dtype in half else x.dtype
    return torch.randn((*batch, *x.shape), generator=key, dtype=dtype, device=x.device)


def split(key: torch.Generator, count: int, /) -> Sequence[torch.Generator]:
    return [key] * count


def divide(x: Tensor, y: Tensor | float, /) -> Tensor:
    # On a GPU, PyTorch multiplies by the rounded reciprocal of a number.
    if not isinstance(y, Tensor):
        y = torch.full((), y, dtype=x.dtype, device=x.device)
    return x / y


def _wide(f: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor | float) -> Tensor:
    # In 16 bits PyTorch multiplies out whole powers. And beside float32 a number as it stands keeps
    # its 53 bits, which as an exponent it shows.
    dtype = torch.float32 if x.dtype in half else x.dtype
    y = y.to(dtype) if isinstance(y, Tensor) else torch.full((), y, dtype=dtype, device=x.device)
    return f(x.to(dtype), y).to(x.dtype)


def _remainder(x: Tensor, y: Tensor) -> Tensor:
    # torch.remainder divides. torch.fmod is exact, but NaN where x / y overflows; a multiple of y
    # as large as there is brings x to where x / y does not.
    r = torch.fmod(torch.fmod(x, y.detach() / torch.finfo(y.dtype).tiny), y)
    return torch.where(r < 0, r + y, r)


def remainder(x: Tensor, y: Tensor | float, /) -> Tensor:
    return _wide(_remainder, x, y)


def pow(x: Tensor, y: Tensor | float, /) -> Tensor:
    return _wide(torch.pow, x, y)


def sum(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.sum(x, dim=axis, keepdim=keepdims)


def mean(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.mean(x, dim=axis, keepdim=keepdims)


def max(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.amax(x, dim=() if axis is None else axis, keepdim=keepdims)


def argsort(x: Tensor, /, *, axis: int = -1) -> Tensor:
    return torch.argsort(x, dim=axis, stable=True)


def argmax(x: Tensor, /, *, axis: int) -> Tensor:
    return torch.argmax(x, dim=axis)


def concat(xs: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return torch.cat(list(xs), dim=axis)


def stack(xs: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return torch.stack(list(xs), dim=axis)


abs = torch.abs
atan = torch.atan
ceil = torch.ceil
cos = torch.cos
erfc = torch.erfc
exp = torch.exp
floor = torch.floor
log = torch.log
log1p = torch.log1p
ones_like = torch.ones_like
reciprocal = torch.reciprocal
round = torch.round
sin = torch.sin
sqrt = torch.sqrt
tanh = torch.tanh
trunc = torch.trunc
where = torch.where
zeros_like = torch.zeros_like
finfo = torch.finfo

keep_old_names(__name__)
