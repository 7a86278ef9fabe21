"""One program on one device and on several, by each framework's own engine.

    loss(w, v) = mean((f(a w) v - t)^2),   f a spike

Each engine is called in a process of its own, whose devices are fixed when it starts, and answers
with what tests/test_devices.py compares: for each layout and each way to write f, the gradients and
how often the devices talked to each other.
"""

from __future__ import annotations

import collections
import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import fgi

ROWS = 16
RANKS = 2
Layouts: TypeAlias = dict[str, dict[str, dict[str, Any]]]
Numbers: TypeAlias = np.ndarray[Any, Any]

_random = np.random.default_rng(8)
A, W, V, T = (
    _random.normal(size=shape).astype(np.float32)
    for shape in ((ROWS, 8), (8, 24), (24, 8), (ROWS, 8))
)
GAUSSIAN = fgi.surrogates.Gaussian()


def spikes(framework: str) -> dict[str, Callable[[Any], Any]]:
    """f in each way to write it; the first is the framework's own mechanism."""

    def rule(primals: Any, tangents: Any) -> Any:
        return GAUSSIAN.derivative(primals[0]) * tangents[0]

    return {
        "native": GAUSSIAN.native(),
        "surrogate": GAUSSIAN,
        "order=2": GAUSSIAN.replace(order=2),
        "through": GAUSSIAN.replace(through="primitive"),
        "bypass": lambda x: fgi.bypass(fgi.heaviside(x), GAUSSIAN.primitive(x)),
        "custom_jvp": fgi.custom_jvp(fgi.heaviside, rule),
    }


def by_hand() -> list[Numbers]:
    """The gradients in float64, with the slope exp(-h^2 / 2)."""
    a, w, v, t = (array.astype(np.float64) for array in (A, W, V, T))
    h = a @ w
    by_y = 2 * ((h > 0) @ v - t) / t.size
    return [a.T @ ((by_y @ v.T) * np.exp(-h * h / 2)), (h > 0).T @ by_y]


def loss(f: Callable[[Any], Any], w: Any, v: Any, a: Any, t: Any) -> Any:
    difference = f(a @ w) @ v - t
    return (difference * difference).sum() / T.size


# PyTorch: each rank is a process, and ``main`` of both is called at once.


@contextmanager
def _group(rank: int, store: Path) -> Iterator[Any]:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    try:
        yield dist
    finally:
        dist.destroy_process_group()


def torch_engines(rank: int, store: Path) -> dict[str, Any]:
    """What rank ``rank`` has found; the ranks meet at the file ``store``."""
    with _group(rank, store):
        return {
            "DTensor": dtensor(),
            "catalogue": dtensor_catalogue(),
            "DDP": distributed_data_parallel(rank),
            "fully_shard": fully_sharded(rank),
        }


def dtensor() -> Layouts:
    import torch
    from torch.distributed.tensor import (
        Replicate,
        Shard,
        distribute_tensor,
        init_device_mesh,
    )
    from torch.distributed.tensor.debug import CommDebugMode

    mesh = init_device_mesh("cpu", (RANKS,))
    layouts = {
        "rows": (Replicate(), Replicate(), Shard(0), Shard(0)),
        "features": (Shard(1), Shard(0), Replicate(), Replicate()),
        "pending sum": (Shard(0), Replicate(), Shard(1), Replicate()),
    }
    layouts["pending sum, redistributed"] = layouts["pending sum"]
    found: Layouts = {}
    for name, layout in layouts.items():
        found[name] = {}
        for written, spike in spikes("torch").items():

            def f(h: Any, spike: Any = spike, name: str = name) -> Any:
                return spike(h.redistribute(placements=[Replicate()]) if "," in name else h)

            w, v, a, t = (
                distribute_tensor(torch.tensor(array), mesh, [place])
                for array, place in zip((W, V, A, T), layout, strict=True)
            )
            w.requires_grad_()
            v.requires_grad_()
            with CommDebugMode() as talk:
                gradient = torch.autograd.grad(loss(f, w, v, a, t), (w, v))
            found[name][written] = {
                "gradient": [g.full_tensor().numpy() for g in gradient],
                "talk": {str(op): count for op, count in talk.get_comm_counts().items()},
            }
    return found


def dtensor_catalogue() -> dict[str, dict[str, Any]]:
    """Value and gradient of each surrogate on one device and sharded; and the talk."""
    import torch
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
    from torch.distributed.tensor.debug import CommDebugMode

    from . import catalogue

    mesh = init_device_mesh("cpu", (RANKS,))
    x = torch.linspace(-3, 3, 26, dtype=torch.float64)
    u = torch.linspace(-2, 2, 26, dtype=torch.float64)
    found = {}
    for spike in catalogue.DEFAULTS:
        one = x.clone().requires_grad_()
        y = spike(one)
        (dx,) = torch.autograd.grad(y, one, u)
        several, us = (distribute_tensor(array, mesh, [Shard(0)]) for array in (x, u))
        several.requires_grad_()
        with CommDebugMode() as talk:
            ys = spike(several)
            (dxs,) = torch.autograd.grad(ys, several, us)
        pairs = [(y, ys), (dx, dxs)]
        found[repr(spike)] = {
            "pairs": [(a.detach().numpy(), b.full_tensor().detach().numpy()) for a, b in pairs],
            "talk": talk.get_total_counts(),
        }
    return found


def distributed_data_parallel(rank: int) -> dict[str, Any]:
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    class Net(nn.Module):
        def __init__(self, f: Any) -> None:
            super().__init__()
            self.w, self.v = nn.Parameter(torch.tensor(W)), nn.Parameter(torch.tensor(V))
            self.f = f
            self.dtypes: list[str] = []

        def forward(self, a: Any, t: Any) -> Any:
            h = a @ self.w
            y = self.f(h)
            self.dtypes = [str(h.dtype), str(y.dtype)]
            return loss(lambda _: y, self.w, self.v, a, t.to(y.dtype))

    # Without annotations, as DDP looks at them and takes no text.
    def mean(talk, bucket):  # type: ignore[no-untyped-def]
        talk.append(bucket.buffer().numel())
        buffer = bucket.buffer().div_(RANKS)
        return dist.all_reduce(buffer, async_op=True).get_future().then(lambda f: f.value()[0])

    def run(net: Any, parallel: bool, autocast: bool) -> dict[str, Any]:
        net = copy.deepcopy(net)
        talk: list[int] = []
        rows = slice(rank, None, RANKS) if parallel else slice(None)
        model = DistributedDataParallel(net) if parallel else net
        if parallel:
            model.register_comm_hook(talk, mean)
        a, t = torch.tensor(A[rows]), torch.tensor(T[rows])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            # The loss is divided by all rows, and DDP takes the mean over ranks.
            (model(a, t) * (RANKS if parallel else 1)).backward()
        return {
            "gradient": [p.grad.numpy() for p in net.parameters()],
            "dtypes": net.dtypes,
            "parameters": sorted({str(p.grad.dtype) for p in net.parameters()}),
            "talk": {"all_reduce": talk},
        }

    alpha = fgi.surrogates.ATan(alpha=2.0, through="primitive")
    nets = {name: Net(f) for name, f in spikes("torch").items()}
    nets["learned"] = Net(fgi.torch.Surrogate(alpha, "alpha"))
    nets["learned by the slope"] = Net(fgi.torch.Surrogate(alpha.replace(through="slope"), "alpha"))
    return {
        name: {
            "autocast" if autocast else "float32": [run(net, p, autocast) for p in (False, True)]
            for autocast in (False, True)
        }
        for name, net in nets.items()
    }


def fully_sharded(rank: int) -> dict[str, Any]:
    """The gradients of a model with a learned parameter, on one device and sharded."""
    import torch
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import init_device_mesh

    class Net(torch.nn.Module):
        def __init__(self, alpha: Any) -> None:
            super().__init__()
            self.w, self.v = (torch.nn.Parameter(torch.tensor(array)) for array in (W, V))
            spike = fgi.surrogates.ATan(alpha=alpha, through="primitive")
            self.f = fgi.torch.Surrogate(spike, "alpha")

        def forward(self, a: Any, t: Any) -> Any:
            return loss(self.f, self.w, self.v, a, t)

    mesh = init_device_mesh("cpu", (RANKS,))
    one, several, scalar = (Net(torch.full(shape, 2.0)) for shape in ((1,), (1,), ()))
    fully_shard(several, mesh=mesh)
    one(torch.tensor(A), torch.tensor(T)).backward()
    # Each loss is divided by all rows, and the mean is taken over ranks.
    (several(torch.tensor(A[rank::RANKS]), torch.tensor(T[rank::RANKS])) * RANKS).backward()
    try:
        fully_shard(scalar, mesh=mesh)
        said = "nothing"
    except ValueError as error:
        said = str(error)
    return {
        "pairs": [
            (p.grad.numpy(), q.grad.full_tensor().numpy())
            for p, q in zip(one.parameters(), several.parameters(), strict=True)
        ],
        "scalar": said,
    }


# JAX: eight devices in one process.

COLLECTIVE = re.compile(
    r"\b(all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\("
)


def jax_engines() -> dict[str, Any]:
    import jax
    from jax import shard_map
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

    names = ("rows", "features")
    mesh, explicit = (
        jax.make_mesh((4, 2), names, axis_types=(kind, kind))
        for kind in (AxisType.Auto, AxisType.Explicit)
    )
    layouts = {
        "rows": (P(), P(), P("rows"), P("rows")),
        "features": (P(None, "features"), P("features"), P(), P()),
        "rows and features": (P(None, "features"), P("features"), P("rows"), P("rows")),
        "pending sum": (P("features"), P(), P(None, "features"), P()),
        "rows, explicit": (P(), P(), P("rows"), P("rows")),
    }

    def answer(program: Any, arrays: Any) -> dict[str, Any]:
        compiled = jax.jit(program).lower(*arrays).compile()
        talk = collections.Counter(COLLECTIVE.findall(compiled.as_text()))
        return {"gradient": [np.asarray(g) for g in compiled(*arrays)], "talk": dict(talk)}

    found: Layouts = {name: {} for name in (*layouts, "shard_map")}
    for written, f in spikes("jax").items():
        gradient = jax.grad(lambda w, v, a, t, f=f: loss(f, w, v, a, t), argnums=(0, 1))
        for name, layout in layouts.items():
            arrays = [
                jax.device_put(array, NamedSharding(explicit if "," in name else mesh, place))
                for array, place in zip((W, V, A, T), layout, strict=True)
            ]
            found[name][written] = answer(gradient, arrays)

        def local(w: Any, v: Any, a: Any, t: Any, f: Any = f) -> Any:
            return jax.lax.psum(loss(f, w, v, a, t), "rows")

        program = shard_map(
            jax.grad(local, argnums=(0, 1)), mesh=mesh,
            in_specs=(P(), P(), P("rows"), P("rows")), out_specs=(P(), P()),
        )  # fmt: skip
        found["shard_map"][written] = answer(program, [jax.numpy.asarray(x) for x in (W, V, A, T)])
    return {"jit": found}


# TensorFlow: two virtual CPUs in one process.

TALK = ("Collective", "Nccl", "Send", "Recv")


def tensorflow_engines() -> dict[str, Any]:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == RANKS

    def spread(array: Numbers) -> Any:
        return strategy.experimental_distribute_values_from_function(
            lambda replica: tf.constant(array[replica.replica_id_in_sync_group :: RANKS])
        )

    found: Layouts = {"rows": {}}
    for written, f in spikes("tensorflow").items():
        with strategy.scope():
            w, v = tf.Variable(W), tf.Variable(V)

        def step(a: Any, t: Any, f: Any = f, w: Any = w, v: Any = v) -> Any:
            with tf.GradientTape() as tape:
                y = f(a @ w) @ v - t
                mean = tf.reduce_sum(y * y) / T.size
            gradient = tape.gradient(mean, (w, v))
            return tf.distribute.get_replica_context().all_reduce("sum", list(gradient))

        run = tf.function(lambda a, t, step=step: strategy.run(step, (a, t)), autograph=False)
        arrays = spread(A), spread(T)
        graph = run.get_concrete_function(*arrays).graph
        kinds = [op.type for op in graph.get_operations() if op.type.startswith(TALK)]
        crossing = sum(
            bool(op.device and source.op.device and op.device != source.op.device)
            for op in graph.get_operations()
            for source in op.inputs
        )
        per_replica = [strategy.experimental_local_results(g) for g in run(*arrays)]
        found["rows"][written] = {
            "gradient": [replicas[0].numpy() for replicas in per_replica],
            "same on each": all(
                np.array_equal(replicas[0], other) for replicas in per_replica for other in replicas
            ),
            "talk": {**collections.Counter(kinds), "from device to device": crossing},
        }
    return {"MirroredStrategy": found, "keras": keras_policies(strategy)}


def keras_policies(strategy: Any) -> dict[str, Any]:
    """A step of training under mixed precision, on one device and on two."""
    import contextlib

    import keras

    import fgi.keras

    def train(policy: str, scope: Any) -> dict[str, Any]:
        with scope:
            hidden = keras.layers.Dense(24, activation=GAUSSIAN, use_bias=False, dtype=policy)
            alpha = fgi.surrogates.ATan(alpha=2.0, through="primitive")
            learned = fgi.keras.Surrogate(alpha, "alpha", dtype=policy)
            last = keras.layers.Dense(8, use_bias=False, dtype=policy)
            model = keras.Sequential([keras.Input((8,)), hidden, learned, last])
            hidden.set_weights([W])
            last.set_weights([V])
            model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        model.fit(A, T, batch_size=ROWS, epochs=1, shuffle=False, verbose=0)
        return {
            "weights": [np.asarray(w) for w in model.get_weights()],
            "dtypes": sorted({str(w.dtype) for w in model.weights}),
            "results": [layer.compute_dtype for layer in model.layers],
            "spike": str(hidden(A).dtype.name),
        }

    return {
        policy: [train(policy, scope) for scope in (contextlib.nullcontext(), strategy.scope())]
        for policy in ("float32", "mixed_bfloat16", "mixed_float16")
    }


def found(framework: str, folder: Path) -> dict[str, Any]:
    """What the engines of a framework answer, from processes of their own."""
    from concurrent.futures import ThreadPoolExecutor

    from fgi.testing.workers import Worker

    ranks = RANKS if framework == "torch" else 1
    workers = [Worker(300) for _ in range(ranks)]
    try:
        with ThreadPoolExecutor(ranks) as pool:  # the ranks wait for each other
            calls = [
                pool.submit(worker.call, engines, framework, rank, folder / "store")
                for rank, worker in enumerate(workers)
            ]
            first, *_ = [call.result() for call in calls]
        return first
    finally:
        for worker in workers:
            worker.close()


def engines(framework: str, rank: int, store: Path) -> dict[str, Any]:
    if framework == "torch":
        return torch_engines(rank, store)
    return {"jax": jax_engines, "tensorflow": tensorflow_engines}[framework]()
