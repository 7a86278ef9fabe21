"""Ways to run in PyTorch, and seconds: by CUDA events on a GPU, by the clock on a CPU."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ...measure.execution import Execution, Function, Phases, table
from ..private import graph_breaks as graph_breaks, memory_changes, pytree
from ..transforms import with_own_code

__all__ = [
    "EXECUTIONS",
    "device_name",
    "flush",
    "graph_breaks",
    "peak_memory",
    "settings",
    "to_device",
]


def to_device(tree: Any, device: str) -> Any:
    return pytree().tree_map_only(Tensor, lambda x: x.to(device), tree)


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


def peak_memory(device: str, both: Callable[[], Any]) -> int | None:
    """Bytes that ``both`` has in use at most, beyond its arguments."""
    if device != "cpu":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        both()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    changes = memory_changes(both)
    return None if changes is None else max(accumulate(changes), default=0)


def _nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations that PyTorch's compiler takes down; raises at a graph break."""
    found = 0

    def count(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        nonlocal found
        # With those of the functions that a checkpoint, or a function of autograd, is called with.
        graphs = [m.graph for m in graph.modules() if isinstance(m, torch.fx.GraphModule)]
        found += sum(node.op.startswith("call_") for g in graphs for node in g.nodes)
        return graph

    torch.compile(with_own_code(f), fullgraph=True, dynamic=False, backend=count)(_leaves(p), *data)
    return found


def _leaves(p: Any) -> Any:
    return pytree().tree_map_only(Tensor, lambda x: x.detach().requires_grad_(), p)


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


def _phases(
    f: Function, p: Any, data: tuple[Any, ...], u: Tensor, inference: Function | None = None
) -> Phases:
    p = _leaves(p)
    leaves = pytree().tree_leaves(p)
    value = inference or f

    def gradient(y: Tensor) -> Any:
        return torch.autograd.grad(y, leaves, u, allow_unused=True)

    def without_gradient() -> float:
        with torch.no_grad():
            return _seconds(u, lambda: value(p, *data))

    def backward() -> float:
        y = f(p, *data)
        return _seconds(u, lambda: gradient(y))

    return {
        "inference": without_gradient,
        "forward": lambda: _seconds(u, lambda: f(p, *data)),
        "backward": backward,
        "both": lambda: _seconds(u, lambda: gradient(f(p, *data))),
    }


def _compiled(**options: Any) -> Callable[..., Phases]:
    def build(f: Function, p: Any, data: tuple[Any, ...], u: Tensor) -> Phases:
        # A function of its own: graphs of different functions with one code object are counted
        # together, and the ninth is not compiled any more.
        own = torch.compile(with_own_code(f), fullgraph=True, dynamic=False, **options)
        return _phases(own, p, data, u)

    return build


def _traced(f: Function, p: Any, data: tuple[Any, ...], u: Tensor) -> Phases:
    """By ``torch.jit.trace``, whose graph is made where it is first run: at inference, of f."""
    return _phases(_when_called(f), p, data, u, inference=_when_called(f))


def _when_called(f: Function) -> Function:
    made: list[Any] = []

    def run(p: Any, *data: Any) -> Any:
        leaves = pytree().tree_leaves((p, data))
        if not made:
            made.append(_trace(f, p, data))
        return made[0](*leaves)

    return run


def _trace(f: Function, p: Any, data: tuple[Any, ...]) -> Any:
    leaves, structure = pytree().tree_flatten((p, data))

    def flat(*leaves: Tensor) -> Any:
        p, data = pytree().tree_unflatten(list(leaves), structure)
        return f(p, *data)

    with warnings.catch_warnings():
        # Sizes are tensors in a trace, and whoever looks at one is warned that it stays what it is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return torch.jit.trace(  # type: ignore[no-untyped-call]
            flat, tuple(leaves), check_trace=False
        )


def _traced_nodes(f: Function, p: Any, data: tuple[Any, ...]) -> int:
    """Operations of the trace, without those that only hold numbers."""
    graph = _trace(f, _leaves(p), data).inlined_graph
    return sum(
        node.kind() == "prim::PythonOp" or not node.kind().startswith("prim::")
        for node in graph.nodes()
    )


def _captured(f: Function, p: Any, data: tuple[Any, ...], u: Tensor) -> Phases:
    """All kernels of a loop in one CUDA graph; what it reads is copied in, as it has to be."""
    p, given = _leaves(p), data
    leaves = pytree().tree_leaves(p)
    data = pytree().tree_map(torch.clone, given)

    def replayed(run: Callable[[], Any]) -> Callable[[], float]:
        graphs: list[torch.cuda.CUDAGraph] = []

        def capture() -> torch.cuda.CUDAGraph:
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(3):  # as PyTorch's notes on CUDA graphs ask for
                    run()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                run()
            return graph

        def fed() -> None:
            for mine, theirs in zip(data, given, strict=True):
                mine.copy_(theirs)
            graphs[0].replay()

        def seconds() -> float:
            if not graphs:
                graphs.append(capture())
            return _seconds(u, fed)

        return seconds

    def inference() -> Any:
        with torch.no_grad():
            return f(p, *data)

    def both() -> Any:
        return torch.autograd.grad(f(p, *data), leaves, u, allow_unused=True)

    return {"inference": replayed(inference), "both": replayed(both)}


def _without_gpu() -> str | None:
    return None if torch.cuda.is_available() else "needs a CUDA device"


EXECUTIONS = table(
    Execution("eager", "operation by operation", _phases, takes=("function", "loop", "call")),
    Execution(
        "compile",
        "torch.compile(fullgraph=True)",
        _compiled(),
        takes=("function",),
        nodes=_nodes,
    ),
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
    Execution(
        "CUDA graph of the loop",
        "torch.cuda.graph of forward and backward, every step in it",
        _captured,
        takes=("loop",),
        absent=_without_gpu,
    ),
    Execution("TorchScript", "torch.jit.trace, a loop unrolled", _traced, nodes=_traced_nodes),
)
