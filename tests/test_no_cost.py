"""What fgi hands a compiler has the operations of the definition written inline, by hand.

Apart from those of the fast paths, of which the compiler makes nothing and for which it leaves out
most others: tests/test_assume_value.py. At inference there are those of f alone, and a stop
gradient. Counted in the jaxpr, in PyTorch's graph and trace, and in TensorFlow's graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.bench import measure, mechanisms
from support.frameworks import INSTALLED_AUTODIFF, backend, load, to_framework, to_numpy

GRAPHS = {"torch": ("compile", "TorchScript"), "jax": ("jit",), "tensorflow": ("function", "XLA")}
SPIKES = {
    "gaussian": fgi.surrogates.Gaussian(sigma=0.5, height=2.0, mu=0.25),
    "atan": fgi.surrogates.ATan(alpha=3.0, scale=0.5),
}
# A clone, a detached view of it and a copy into that; a checkpoint and its result for two
# differences. The primitive that says the value, a second selection, of three operations, for two
# differences.
FAST = {("torch", "compile"): 3, ("jax", "jit"): 2}
CASES = [
    (framework, execution) for framework in INSTALLED_AUTODIFF for execution in GRAPHS[framework]
]
every_graph = pytest.mark.parametrize(("framework", "execution"), CASES)
every_spike = pytest.mark.parametrize("name", SPIKES)


def counting(framework: str, execution: str) -> Callable[[Callable[[Any], Any], Any], int]:
    nodes = measure.timing(framework).EXECUTIONS[execution].nodes
    assert nodes is not None
    return lambda f, x: nodes(f, x, ())  # type: ignore[no-any-return]


def by_hand(framework: str, name: str) -> Callable[[Any], Any]:
    load(framework)
    written = mechanisms.by_hand(backend(framework), SPIKES[name], expanded=True)
    return written[mechanisms.BY_HAND]


@every_spike
@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
def test_what_is_written_by_hand_is_the_same_function(framework: str, name: str) -> None:
    x_ = np.array([-np.inf, -1.5, -0.2, 0.0, 0.3, 2.0, np.inf, np.nan])
    u_ = np.array([2.0, -1.0, 0.5, 3.0, 1.5, -2.0, 1.0, 1.0])
    x, u = to_framework(framework, x_), to_framework(framework, u_)
    answers = []
    for f in (by_hand(framework, name), SPIKES[name]):
        y, pullback = fgi.vjp(f, x)
        answers.append((to_numpy(framework, y), to_numpy(framework, pullback(u)[0])))
    for theirs, ours in zip(*answers, strict=True):
        np.testing.assert_array_equal(theirs, ours)
    assert answers[1][1][1] != 0


@every_spike
@every_graph
def test_no_more_operations_than_by_hand(framework: str, execution: str, name: str) -> None:
    x = to_framework(framework, np.ones(4, np.float32))
    count = counting(framework, execution)
    ours, theirs = count(lambda x: SPIKES[name](x), x), count(by_hand(framework, name), x)
    assert 8 < ours - FAST.get((framework, execution), 0) <= theirs


@every_spike
@every_graph
def test_at_inference_the_operations_of_f_alone(framework: str, execution: str, name: str) -> None:
    x = to_framework(framework, np.ones(4, np.float32))
    count = counting(framework, execution)
    with fgi.inference_mode(traced=True):
        ours = count(lambda x: SPIKES[name](x), x)
    theirs = count(lambda x: SPIKES[name].native().value(fgi.stop_gradient(x)), x)
    assert 0 < ours <= theirs <= 3
