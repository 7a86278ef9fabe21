"""Ways to run in PyTorch, and seconds: by CUDA events on a GPU, by the clock on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..execution import Execution, Function, Phases, table
from .transforms import apart

__all__ = ["EXECUTIONS", "device_name", "flush", "nodes", "peak_memory", "settings", "to_device"]


def to_device(tree: Any, device: str) -> Any:
    return pytree.tree_map_only(Tensor, lambda x: x.to(device), tree)


def device_name(device: str) -> str | None:
    """The GPU's name; None for a CPU. RuntimeError where there is no such device."""
    return torch.cuda.get_device_name(device) if device != "cpu" else None


def settings(device: str) -> dict[str, Any]:
    """What else decides how fast it is."""
    if device == "cpu":
        return {"threads": torch.get_num_threads()}
    return {"TF32": torch.backends.cuda.matmul.allow_tf32, "CUDA": torch.version.cuda}


def flush(device: str) -> None:
    """Leave nothing of the arrays in a cache."""
    torch.empty(2**26, device=device).zero_()


def peak_memory(device: str, run: Callable[[], Any]) -> int | None:
    """Bytes of arrays at most while ``run`` runs; None where PyTorch does not count."""
    if device == "cpu":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations in the graph of f that PyTorch's compiler takes down; raises at a graph break."""
    found = 0

    def count(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        nonlocal found
        found += sum(node.op.startswith("call_") for node in graph.graph.nodes)
        return graph

    torch.compiler.reset()
    torch.compile(f, fullgraph=True, dynamic=False, backend=count)(_leaves(p), *data)
    return found


def _leaves(p: Any) -> Any:
    return pytree.tree_map_only(Tensor, lambda x: x.detach().requires_grad_(), p)


def _seconds(x: Tensor, run: Callable[[], Any]) -> float:
    if x.device.type == "cpu":
        before = time.perf_counter()
        run()
        return time.perf_counter() - before
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _phases(f: Function, p: Any, data: tuple[Any, ...], u: Tensor) -> Phases:
    p = _leaves(p)
    leaves = pytree.tree_leaves(p)

    def gradient(y: Tensor) -> Any:
        return torch.autograd.grad(y, leaves, u)

    def inference() -> float:
        with torch.no_grad():
            return _seconds(u, lambda: f(p, *data))

    def backward() -> float:
        y = f(p, *data)
        return _seconds(u, lambda: gradient(y))

    return {
        "inference": inference,
        "forward": lambda: _seconds(u, lambda: f(p, *data)),
        "backward": backward,
        "both": lambda: _seconds(u, lambda: gradient(f(p, *data))),
    }


def _compiled(**options: Any) -> Callable[..., Phases]:
    def build(f: Function, p: Any, data: tuple[Any, ...], u: Tensor) -> Phases:
        # A function of its own: graphs of different functions with one code object are counted
        # together, and the ninth is not compiled any more.
        own = torch.compile(apart(f), fullgraph=True, dynamic=False, **options)
        return _phases(own, p, data, u)

    return build


def _without_gpu() -> str | None:
    return None if torch.cuda.is_available() else "needs a CUDA device"


EXECUTIONS = table(
    Execution("eager", "operation by operation", _phases),
    Execution("compile", "torch.compile(fullgraph=True)", _compiled(), takes=("function",)),
    Execution(
        "compiled step",
        "the step of the loop behind fgi.compile, the loop in Python",
        _phases,
        takes=("loop",),
        compiles_step=True,
    ),
    Execution(
        "CUDA graphs",
        'torch.compile(mode="reduce-overhead")',
        _compiled(mode="reduce-overhead"),
        takes=("function",),
        absent=_without_gpu,
    ),
)
