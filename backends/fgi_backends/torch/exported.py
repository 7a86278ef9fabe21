"""``fgi.torch.check_exported``: whether an exported program has kept what was injected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

__all__ = ["check_exported"]

aten = torch.ops.aten
# What a detach is made into, and what may stand beside it: the same numbers with the same gradient.
SAME = (aten.alias, aten.alias_copy, aten.clone)


def check_exported(program: ExportedProgram | GraphModule) -> None:
    """Raises where an exported program has lost injected gradients.

        x - sg(x), whose derivative is 1, has become x - x, whose derivative is 0

    ``ExportedProgram.run_decompositions()`` does that: its default table makes an alias of each
    detach, and the gradient zero, without an error. A program that has none to lose, as one
    exported under ``torch.no_grad()``, passes.

    Errors: ValueError naming how many are lost, and where the first was; TypeError for what is no
    exported program.
    """
    if not isinstance(program, ExportedProgram | GraphModule):
        raise TypeError(
            f"fgi.torch.check_exported: program is a {type(program).__name__}; expected what "
            f"torch.export.export returns, or its module()"
        )
    lost = list(_lost(program))
    if lost:
        raise ValueError(
            f"fgi.torch.check_exported: {len(lost)} injected gradient{'s' * (len(lost) > 1)} "
            f"became zero, the first at {_place(lost[0])}; expected a program that has kept its "
            f"detaches; write table = torch.export.default_decompositions(); "
            f"table.pop(torch.ops.aten.detach.default); program.run_decompositions(table)"
        )


def _lost(program: ExportedProgram | GraphModule) -> Iterator[Node]:
    """The differences of something with itself, which nothing but a lost detach makes."""
    module = program if isinstance(program, GraphModule) else program.graph_module
    for part in module.modules():  # the bodies of conditions and loops too
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            if _packet(node) is aten.sub and _origin(node.args[0]) is _origin(node.args[1]):
                yield node


def _packet(node: Any) -> Any:
    return getattr(node.target, "overloadpacket", None) if isinstance(node, Node) else None


def _origin(node: Any) -> Any:
    while _packet(node) in SAME:
        node = node.args[0]
    return node


def _place(node: Node) -> str:
    trace = [line.strip() for line in (node.stack_trace or "").splitlines() if line.strip()]
    return ": ".join(trace[-2:]) or f"the node {node.name}"
