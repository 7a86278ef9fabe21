"""SpikingJelly's, snnTorch's and sinabs' neurons in a model, and what is done with it."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import fgi

STEPS, BATCH, INPUTS, NEURONS = 5, 2, 3, 4

Numbers = dict[str, Tensor]


class Net(torch.nn.Module):
    """A linear layer and a library's neuron after it, over time."""

    def __init__(self, neuron: Any, loop: Callable[..., Any]) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(INPUTS, NEURONS)
        self.neuron, self.loop = neuron, loop

    def forward(self, xs: Tensor) -> Any:
        return self.loop(self.neuron, self.linear(xs))


class Through:
    """What sinabs calls in the place of an autograd.Function."""

    required_states = ("v_mem",)

    @staticmethod
    def apply(v_mem: Tensor, threshold: Tensor, spike: Any) -> Any:
        return spike(v_mem - threshold)


def spikingjelly_loop(node: Any, currents: Tensor) -> Tensor:
    node.v = 0.0
    return torch.stack([node(current) for current in currents])


def snntorch_loop(leaky: Any, currents: Tensor) -> Tensor:
    membrane, spikes = torch.zeros_like(currents[0]), []
    for current in currents:
        z, membrane = leaky(current, membrane)
        spikes.append(z)
    return torch.stack(spikes)


def sinabs_loop(layer: Any, currents: Tensor) -> Any:
    layer.reset_states()
    return layer(currents.transpose(0, 1)).transpose(0, 1)


def spikingjelly(spike: Any) -> Net:
    from spikingjelly.activation_based import neuron

    return Net(neuron.LIFNode(surrogate_function=spike), spikingjelly_loop)


def snntorch(spike: Any) -> Net:
    import snntorch as library

    return Net(library.Leaky(beta=0.9, spike_grad=spike), snntorch_loop)


def sinabs(spike: Any) -> Net:
    from sinabs.activation import SingleSpike
    from sinabs.layers import LIF

    spike_fn = Through if isinstance(spike, fgi.Surrogate) else SingleSpike
    layer = LIF(tau_mem=5.0, norm_input=False, spike_fn=spike_fn, surrogate_grad_fn=spike)
    return Net(layer, sinabs_loop)


NETS = {"spikingjelly": spikingjelly, "snntorch": snntorch, "sinabs": sinabs}


def net(library: str, spike: Any) -> Net:
    """Of the same weights each time."""
    torch.manual_seed(3)
    return NETS[library](spike)


def inputs() -> tuple[Tensor, Tensor]:
    """Numbers that make some neurons fire, and an upstream gradient."""
    generator = torch.Generator().manual_seed(0)
    xs = 2 + 3 * torch.randn(STEPS, BATCH, INPUTS, generator=generator)
    return xs, torch.randn(STEPS, BATCH, NEURONS, generator=generator)


def numbers(made: Callable[[Tensor], Any]) -> Numbers:
    """Value, and the gradients of a random sum of it by the input and by what is learned."""
    xs, u = inputs()
    xs.requires_grad_()
    y = made(xs)
    (y * u).sum().backward()  # type: ignore[no-untyped-call]
    found = {"y": y.detach(), "dx": xs.grad}
    if isinstance(made, torch.nn.Module):
        found |= {n: p.grad for n, p in made.named_parameters() if n.startswith("linear.")}
    return found  # type: ignore[return-value]


def close(got: Numbers, wanted: Numbers) -> None:
    """float32, in another order of summation."""
    for name in got:
        torch.testing.assert_close(got[name], wanted[name], rtol=1e-5, atol=1e-6)


def train(library: str, spike: Any) -> tuple[list[float], Tensor]:
    """The loss of each of ten steps, and the weights after them."""
    made, (xs, _), losses = net(library, spike), inputs(), []
    optimizer = torch.optim.SGD(made.linear.parameters(), 0.1)
    for _ in range(10):
        optimizer.zero_grad()
        loss = (made(xs).mean(dim=0) - 0.4).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses, made.linear.weight.detach()


def of_weights(made: Net) -> tuple[Callable[..., Any], Tensor]:
    """The random sum as a function of the weights."""
    _, u = inputs()
    rest = {name: p.detach() for name, p in made.named_parameters()}
    weight = rest.pop("linear.weight")

    def f(weight: Tensor, xs: Tensor) -> Any:
        y = torch.func.functional_call(made, {**rest, "linear.weight": weight}, (xs,))
        return (y * u).sum()

    return f, weight


def pickled(made: Net, wanted: Numbers) -> None:
    torch.save(made, io.BytesIO())
    close(numbers(pickle.loads(pickle.dumps(made))), wanted)


def compiled(made: Net, wanted: Numbers) -> None:
    torch._dynamo.reset()
    close(numbers(torch.compile(made, fullgraph=True, backend="aot_eager")), wanted)


def functional(made: Net, wanted: Numbers) -> None:
    f, weight = of_weights(made)
    close({"linear.weight": torch.func.grad(f)(weight, inputs()[0])}, wanted)


def batched(made: Net, wanted: Numbers) -> None:
    f, weight = of_weights(made)
    # Another, as sinabs keeps the batched state of before.
    again, _ = of_weights(copy.deepcopy(made))
    found = torch.func.vmap(torch.func.grad(f), in_dims=(0, None))(
        torch.stack([weight, 2 * weight]), inputs()[0]
    )
    close({"linear.weight": found[0]}, wanted)
    close({"second": found[1]}, {"second": torch.func.grad(again)(2 * weight, inputs()[0])})


def forward(made: Net, wanted: Numbers) -> None:
    f, weight = of_weights(made)
    v = torch.linspace(-1, 1, weight.numel()).reshape(weight.shape)
    _, slope, *_ = torch.func.jvp(lambda w: f(w, inputs()[0]), (weight,), (v,))
    torch.testing.assert_close(slope, (wanted["linear.weight"] * v).sum(), rtol=1e-4, atol=1e-5)


def exported(made: Net, wanted: Numbers) -> None:
    close(numbers(torch.export.export(made, (inputs()[0],)).module()), wanted)


def traced(made: Net, wanted: Numbers) -> None:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(made, (inputs()[0],), check_trace=False), file)
    file.seek(0)
    close(numbers(torch.jit.load(file)), wanted)  # type: ignore[no-untyped-call]


def double(made: Net, wanted: Numbers) -> None:
    assert copy.deepcopy(made).double()(inputs()[0].double()).dtype == torch.float64


ROWS: dict[str, Callable[[Net, Numbers], None]] = {
    "pickle, `torch.save`": pickled,
    "`torch.compile(fullgraph=True)`": compiled,
    "`torch.func.grad`": functional,
    "`torch.func.vmap` of it: a gradient for each example": batched,
    "`torch.func.jvp`: forward mode": forward,
    "`torch.export`, trained after": exported,
    "`torch.jit.trace` and `save`": traced,
    "float64 stays float64": double,
}
"""The rows of the page: what fails where it does not work, or comes to other numbers."""
