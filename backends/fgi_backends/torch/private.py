"""The private and undocumented names of PyTorch that this backend reads, all of them.

Each is looked up once. Where a version of PyTorch lacks one, the function that asks it gives the
answer that is never wrong: that somebody may look, so that only arithmetic is used.

``fgi.torch.Surrogate`` also overrides ``_version`` and ``_load_from_state_dict``, which PyTorch
gives to modules for that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from . import trees

__all__ = [
    "graph_breaks",
    "in_forward_mode",
    "in_transform",
    "is_compiled",
    "is_eager",
    "is_exporting",
    "is_plain_eager",
    "memory_changes",
    "pytree",
]

PRIVATE = {
    "transform": "_C._functorch.peek_interpreter_stack",
    "dispatch_modes": "_C._len_torch_dispatch_stack",
    "forward_level": "autograd.forward_ad._current_level",
    "exporting": "compiler._is_exporting_flag",
    "pytree": "utils._pytree",
}


def _found(path: str) -> Any:
    """The attribute of ``torch`` at this path; None where this version lacks it."""
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


_transform = _found(PRIVATE["transform"])
_dispatch_modes = _found(PRIVATE["dispatch_modes"])
_forward_level = _found(PRIVATE["forward_level"])
_exporting = _found(PRIVATE["exporting"])
_pytree = _found(PRIVATE["pytree"])

# 2.6 does not tell an export from a compilation.
_is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

COMPILED = "CompiledFunctionBackward"

TYPES = (Tensor, torch.nn.Parameter)


def in_forward_mode() -> bool:
    """Whether forward-mode differentiation is at work."""
    # The level is a number that changes; what was found says that it is there.
    return _forward_level is None or torch.autograd.forward_ad._current_level >= 0


def in_transform() -> bool:
    """Whether ``torch.func`` is at work."""
    # To the compiler the None of no transform is an object that is not None.
    return _transform is None or not isinstance(_transform(), NoneType)


def is_exporting() -> bool:
    """Whether ``torch.export`` traces."""
    # 2.11 folds torch.compiler.is_exporting() to True while it compiles: pytorch/pytorch#176347.
    return bool(_is_exporting() if _exporting is None else torch.compiler._is_exporting_flag)


def is_eager() -> bool:
    """Whether PyTorch only computes: not for a compiler, tracer, ``torch.func`` or forward AD."""
    return (
        not torch.compiler.is_compiling()
        and not in_forward_mode()
        and not in_transform()
        and _dispatch_modes is not None
        and _dispatch_modes() == 0
        and not torch.jit.is_tracing()
    )


def is_plain_eager(x: Tensor) -> bool:
    """Whether ``x`` is a tensor as such, in eager code: nothing but its numbers can be seen."""
    return is_eager() and type(x) in TYPES


def is_compiled(node: Any) -> bool:
    """Whether a node of the tape is a backward pass that ``torch.compile`` made."""
    return bool(node.name() == COMPILED)


def pytree() -> Any:
    """Functions of nested containers: PyTorch's own, which know every registered container."""
    return trees if _pytree is None else _pytree


def graph_breaks() -> int | None:
    """How many there were in this process; None before anything was compiled."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", None)
    return None if counters is None else sum(counters["graph_break"].values())


def memory_changes(run: Callable[[], Any]) -> list[int] | None:
    """Bytes taken (> 0) and given back on the CPU, in order; None where nobody counts."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        run()
    results = getattr(profile, "kineto_results", None)
    if results is None:
        return None
    events = [event for event in results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
