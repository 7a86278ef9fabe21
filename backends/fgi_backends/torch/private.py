"""The private and undocumented names of PyTorch that this backend reads, all of them.

Each is looked up once. Where a version of PyTorch lacks one, the function that asks it gives the
answer that is never wrong: that somebody may look, so that only arithmetic is used.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = [
    "in_forward_mode",
    "in_jit_trace",
    "in_transform",
    "is_compiled",
    "is_eager",
    "is_exporting",
    "is_plain_eager",
]


def _found(path: str) -> Any:
    """The attribute of ``torch`` at this path; None where this version lacks it."""
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


PRIVATE = {
    "transform": "_C._functorch.peek_interpreter_stack",
    "dispatch_modes": "_C._len_torch_dispatch_stack",
    "tracing": "_C._get_tracing_state",
}

_transform = _found(PRIVATE["transform"])
_dispatch_modes = _found(PRIVATE["dispatch_modes"])
_tracing = _found(PRIVATE["tracing"])

# 2.11 folds torch.compiler.is_exporting() to True while it compiles (pytorch/pytorch#176347), and
# 2.6 does not have it.
EXPORTING = "_is_exporting_flag"
_has_flag = hasattr(torch.compiler, EXPORTING)
_is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

TYPES = (Tensor, torch.nn.Parameter)


def in_forward_mode() -> bool:
    """Whether forward-mode differentiation is at work."""
    return bool(getattr(forward_ad, "_current_level", 0) >= 0)


def in_transform() -> bool:
    """Whether ``torch.func`` is at work."""
    # To the compiler the None of no transform is an object that is not None.
    return _transform is None or not isinstance(_transform(), NoneType)


def is_exporting() -> bool:
    """Whether ``torch.export`` traces."""
    return bool(torch.compiler._is_exporting_flag if _has_flag else _is_exporting())


def in_jit_trace() -> bool:
    """Whether ``torch.jit.trace`` traces."""
    return _tracing is None or _tracing() is not None


def is_compiled(node: Any) -> bool:
    """Whether a node of the tape is a backward pass that ``torch.compile`` made."""
    return bool(node.name() == "CompiledFunctionBackward")


def is_eager() -> bool:
    """Whether PyTorch only computes: not for a compiler, tracer, ``torch.func`` or forward AD."""
    return (
        not torch.compiler.is_compiling()
        and not in_forward_mode()
        and not in_transform()
        and _dispatch_modes is not None
        and _dispatch_modes() == 0
        and not in_jit_trace()
    )


def is_plain_eager(x: Tensor) -> bool:
    """Whether ``x`` is a tensor as such, in eager code: nothing but its numbers can be seen."""
    return is_eager() and type(x) in TYPES
