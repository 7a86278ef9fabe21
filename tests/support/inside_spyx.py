"""Spyx' neuron in a model of Flax, and what is done with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx.nn
from flax import nnx
from jax import Array

STEPS, BATCH, INPUTS, NEURONS = 5, 2, 3, 4

Numbers = dict[str, Array]


class Net(nnx.Module):  # type: ignore[misc]
    """A linear layer and the neuron after it, over time."""

    def __init__(self, spike: Any) -> None:
        self.linear = nnx.Linear(INPUTS, NEURONS, rngs=nnx.Rngs(0))
        self.neuron = spyx.nn.LIF((NEURONS,), beta=0.9, activation=spike, rngs=nnx.Rngs(1))

    def __call__(self, xs: Array) -> Array:
        v, spikes = self.neuron.initial_state(xs.shape[1]), []
        for x in xs:
            z, v = self.neuron(self.linear(x), v)
            spikes.append(z)
        return jnp.stack(spikes)


def inputs() -> tuple[Array, Array]:
    """Numbers that make some neurons fire, and an upstream gradient."""
    xs = 1 + 2 * jax.random.normal(jax.random.key(0), (STEPS, BATCH, INPUTS), "float32")
    return xs, jax.random.normal(jax.random.key(1), (STEPS, BATCH, NEURONS), "float32")


def loss(net: Net) -> Array:
    """A random sum of what the model says."""
    xs, u = inputs()
    return (net(xs) * u).sum()


def numbers(net: Net, gradient: Any = None) -> Numbers:
    found = (gradient or nnx.grad(loss))(net)
    return {
        "y": net(inputs()[0]),
        "kernel": found["linear"]["kernel"][...],
        "beta": found["neuron"]["beta"][...],
    }


def close(got: Numbers, wanted: Numbers) -> None:
    """float32, in another order of summation."""
    for name in got:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5, atol=1e-5, err_msg=name)


def train(spike: Any) -> tuple[list[float], Array]:
    """The loss of each of ten steps, and the weights after them."""
    net, losses = Net(spike), []
    optimizer = nnx.Optimizer(net, optax.sgd(2.0), wrt=nnx.Param)
    for _ in range(10):
        value, gradient = nnx.value_and_grad(
            lambda net: ((net(inputs()[0]).mean(axis=0) - 0.4) ** 2).mean()
        )(net)
        optimizer.update(net, gradient)
        losses.append(float(value))
    return losses, net.linear.kernel[...]


def of_weights(net: Net) -> tuple[Callable[[Any], Array], Any]:
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    return lambda params: loss(nnx.merge(graph, params, rest)), params


def pickled(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    close(numbers(pickle.loads(pickle.dumps(net))), wanted)


def copied(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    close(numbers(copy.deepcopy(net)), wanted)


def compiled(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    close(numbers(net, nnx.jit(nnx.grad(loss))), wanted)


def batched(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    xs, u = inputs()
    each = jax.vmap(jax.grad(lambda x, u: (net(x[:, None])[:, 0] * u).sum()), (1, 1), 1)(xs, u)
    close({"dx": each}, {"dx": jax.grad(lambda xs: (net(xs) * u).sum())(xs)})


def forward(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    f, params = of_weights(net)
    _, slope = jax.jvp(f, (params,), (params,))
    by_hand = jax.tree.map(lambda p, g: (p * g).sum(), params, jax.grad(f)(params))
    close({"slope": slope}, {"slope": sum(jax.tree.leaves(by_hand))})


def jacobian(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    f, params = of_weights(net)
    close({"kernel": jax.jacfwd(f)(params)["linear"]["kernel"][...]}, wanted)


def one_program(net: Net, make: Callable[[], Any], wanted: Numbers) -> None:
    traces = []

    @nnx.jit  # type: ignore[untyped-decorator]
    def run(net: Net) -> Array:
        traces.append(net)
        return loss(net)

    run(net)
    run(Net(make()))
    assert len(traces) == 1


ROWS: dict[str, Callable[[Net, Callable[[], Any], Numbers], None]] = {
    "pickle": pickled,
    "`copy.deepcopy`": copied,
    "`nnx.jit`": compiled,
    "`jax.vmap` of a gradient": batched,
    "`jax.jvp`: forward mode": forward,
    "`jax.jacfwd`": jacobian,
    "two equal models are one program to `nnx.jit`": one_program,
}
"""The rows of the page; ``make`` makes the surrogate once more."""
