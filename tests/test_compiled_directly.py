"""Each surrogate compiled on a graph's own input: on a leaf, on a parameter, on a result.

A compiler may treat the input of a graph in another way than what is computed from it, and the
modes of test_promises.py give each surrogate a row of a larger array. One function holds the whole
catalogue here, each surrogate with an input of its own. Inductor's passes over the graph run for
all of them, its code generation for one of each kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import catalogue

torch = pytest.importorskip("torch")

X = np.array([[-1.5, 0.0, 0.3, np.inf], [0.75, -0.2, np.nan, 4.0]])
U = np.array([[1.5, -2.0, 3.0, 0.5], [-0.75, 4.0, 2.0, 1.25]])
SPIKES = [cls() for cls in catalogue.CLASSES.values()]
# Numbers for those that are random, outside of the compiled function.
KEYS = [None if (key := catalogue.key(spike, X)) is None else torch.tensor(key) for spike in SPIKES]


KINDS = ("Gaussian", "Rectangle", "StraightThrough", "GradientReversal")


def passes_of_inductor() -> Any:
    """A backend: the graph as Inductor's passes and partitioner leave it, run by PyTorch."""
    from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.fx_passes.joint_graph import joint_graph_passes

    def partition(joint: Any, inputs: Any, **options: Any) -> Any:
        joint_graph_passes(joint)
        return min_cut_rematerialization_partition(joint, inputs, **options)

    return aot_autograd(
        fw_compiler=lambda graph, _: make_boxed_func(graph.forward),
        partition_fn=partition,
        decompositions=select_decomp_table(),
    )


def outputs(xs: tuple[Any, ...], way: str, wanted: tuple[int, ...]) -> list[Any]:
    found = []
    for i, x in zip(wanted, xs, strict=True):
        spike, key = SPIKES[i], KEYS[i]
        z = 2 * x if way == "result" else x
        y = spike(z) if key is None else spike(z, key)
        found.append(torch.ones(3, 2, dtype=y.dtype) @ y if way == "parameter" else y)
    return found


def inputs(way: str, count: int) -> tuple[Any, ...]:
    finite = np.where(np.isfinite(X), X, 0.5)  # a product with infinities is NaN
    x = torch.tensor(finite if way == "parameter" else X)
    made = (
        torch.nn.Parameter(x.clone()) if way == "parameter" else x.clone() for _ in range(count)
    )
    return tuple(x.requires_grad_() for x in made)


def value_and_gradients(f: Any, way: str, wanted: tuple[int, ...]) -> Any:
    xs = inputs(way, len(wanted))
    ys = f(xs, way, wanted)
    u = torch.tensor(np.resize(U, ys[0].shape))
    gradients = torch.autograd.grad(ys, xs, [u] * len(ys), materialize_grads=True)
    return [y.detach().numpy() for y in ys], [g.numpy() for g in gradients]


def compare(compiled: Any, way: str, wanted: tuple[int, ...]) -> None:
    values, gradients = value_and_gradients(compiled, way, wanted)
    with fgi.use_fast_paths(False):
        own_values, own_gradients = value_and_gradients(outputs, way, wanted)
    for i, y, own, g, own_g in zip(
        wanted, values, own_values, gradients, own_gradients, strict=True
    ):
        np.testing.assert_array_equal(y, own, err_msg=str(SPIKES[i]))
        np.testing.assert_allclose(g, own_g, rtol=1e-12, atol=1e-300, err_msg=str(SPIKES[i]))
        assert way == "parameter" or (g[~np.isfinite(X)] == 0).all(), SPIKES[i]


@pytest.mark.parametrize("way", ["leaf", "parameter", "result"])
def test_the_whole_catalogue(way: str) -> None:
    compiled = torch.compile(outputs, fullgraph=True, backend=passes_of_inductor())
    compare(compiled, way, tuple(range(len(SPIKES))))


@pytest.mark.parametrize("way", ["leaf", "parameter", "result"])
def test_one_of_each_kind(way: str) -> None:
    wanted = tuple(i for i, spike in enumerate(SPIKES) if type(spike).__name__ in KINDS)
    compare(torch.compile(outputs, fullgraph=True), way, wanted)
