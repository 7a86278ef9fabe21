"""fgi.scan: the same numbers by every option, as many compilations for every length."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import numpy as np
import pytest

import fgi
from support.frameworks import INSTALLED_AUTODIFF, backend, load, to_numpy
from support.trees import check, into, tree_map

Numpy = np.ndarray[Any, Any]

every_framework = pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)

# An exponential moving average, c_t = a c_(t-1) + (1 - a) x_t, and its gradients by hand.
A, C0 = 0.8, -1.5
XS = np.array([0.5, -2.0, 1.0, 3.0, 0.25])
US = np.array([2.0, -1.0, 0.5, 4.0, -3.0])
STEPS = len(XS)


def average(a: Any, c0: Any, xs: Any) -> tuple[Any, Any]:
    def step(c: Any, x: Any) -> tuple[Any, Any]:
        c = a * c + (1 - a) * x
        return c, c

    return fgi.scan(step, c0, xs)


def average_by_hand() -> tuple[Numpy, Numpy, Numpy, Numpy]:
    """c_t, and its derivatives by a, by c_0 and by each x_s."""
    t = np.arange(1, STEPS + 1)
    lag = t[:, None] - t
    weight = np.where(lag >= 0, (1 - A) * A ** np.maximum(lag, 0), 0)
    # d/da of (1 - a) a^k is k a^(k - 1) - (k + 1) a^k.
    k = np.maximum(lag, 0)
    by_a = np.where(lag >= 0, k * A ** (k - 1.0) - (k + 1) * A**k, 0)
    return weight @ XS + A**t * C0, by_a @ XS + t * A ** (t - 1) * C0, A**t, weight


@every_framework
def test_scan(framework: str) -> None:
    a, c0, xs = into(framework, (A, C0, XS))
    c, _, _, _ = average_by_hand()
    check(framework, average(a, c0, xs), (c[-1], c))
    check(framework, average(a, c0, xs[:1]), (c[0], c[:1]))


@every_framework
def test_gradient_of_scan(framework: str) -> None:
    xp = backend(framework)
    args = into(framework, (A, C0, XS))
    u = into(framework, US)
    _, by_a, by_c0, by_xs = average_by_hand()

    def last(*args: Any) -> Any:
        return -3 * average(*args)[0]

    def outputs(*args: Any) -> Any:
        return xp.sum(u * average(*args)[1])

    for argnums, dc in enumerate((by_a, by_c0, by_xs)):
        check(framework, fgi.grad(last, argnums=argnums)(*args), -3 * dc[-1])
        check(framework, fgi.grad(outputs, argnums=argnums)(*args), US @ dc)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@every_framework
def test_jvp_through_scan(framework: str, compiled: bool) -> None:
    a, c0, xs, u = into(framework, (A, C0, XS, US))

    def run(xs: Any, u: Any) -> tuple[Any, Any]:
        return fgi.jvp(lambda c0, xs: average(a, c0, xs), (c0, xs), (3 * c0, u))

    c, _, by_c0, by_xs = average_by_hand()
    dc = by_xs @ US + by_c0 * 3 * C0
    check(framework, (fgi.compile(run) if compiled else run)(xs, u), ((c[-1], c), (dc[-1], dc)))


@every_framework
def test_compiled_scan(framework: str) -> None:
    xp = backend(framework)
    args = into(framework, (A, C0, XS))
    u = into(framework, US)
    c, by_a, _, by_xs = average_by_hand()

    def run(a: Any, c0: Any, xs: Any, u: Any) -> Any:
        def outputs(a: Any, xs: Any) -> Any:
            return xp.sum(u * average(a, c0, xs)[1])

        value, da = fgi.value_and_grad(outputs)(a, xs)
        return average(a, c0, xs), value, da, fgi.grad(outputs, argnums=1)(a, xs)

    got = fgi.compile(run)(*args, u)
    check(framework, got, ((c[-1], c), US @ c, US @ by_a, US @ by_xs))


@every_framework
def test_scan_over_nests(framework: str) -> None:
    """A leaky integrator and a counter: nested carry, nested inputs, several outputs."""
    rows = np.array([[0.5, 2.0], [-1.0, 4.0], [3.0, 0.25]])
    scale = np.array([1.0, -2.0, 0.5])
    carry = {"v": np.array([0.25, -1.0]), "count": [np.array(10.0), ()]}

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        v = carry["v"] * 0.5 + x["row"] * x["scale"][0]
        count = carry["count"][0] + 1
        return {"v": v, "count": [count, ()]}, ({"v": v, "before": carry["v"]}, [count], ())

    xs = into(framework, {"row": rows, "scale": (scale,)})
    last, (vs, counts, nothing) = fgi.scan(step, into(framework, carry), xs)

    v, before, after = carry["v"], [], []
    for row, factor in zip(rows, scale, strict=True):
        before.append(v)
        v = v / 2 + row * factor
        after.append(v)
    check(framework, last, {"v": v, "count": [np.array(13.0), ()]})
    check(framework, vs, {"v": np.stack(after), "before": np.stack(before)})
    check(framework, counts, [np.array([11.0, 12.0, 13.0])])
    assert nothing == ()

    xp = backend(framework)
    u = into(framework, np.array([-2.0, 3.0]))
    gradient = fgi.grad(lambda xs: xp.sum(u * fgi.scan(step, into(framework, carry), xs)[0]["v"]))
    fading = np.array([0.25, 0.5, 1.0])
    by_row = (fading * scale)[:, None] * np.array([-2.0, 3.0])
    by_scale = fading * (rows @ np.array([-2.0, 3.0]))
    check(framework, gradient(xs), {"row": by_row, "scale": (by_scale,)})


@every_framework
def test_scan_without_steps(framework: str) -> None:
    c0, xs = into(framework, (C0, XS))
    for none in (xs[:0], {"x": [xs[:0]]}):
        with pytest.raises(ValueError, match=r"^fgi\.scan: .*shapes \[\(0,\)\].*one step"):
            fgi.scan(lambda c, x: (c, c), c0, none)
    with pytest.raises(ValueError, match=r"^fgi\.scan: .*shapes \[\(\)\].*one step"):
        fgi.scan(lambda c, x: (c, c), c0, c0)


@every_framework
def test_scan_over_no_array(framework: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^fgi\.scan: xs "):
        fgi.scan(lambda c, x: (c, c), into(framework, C0), {"x": ()})


@every_framework
@pytest.mark.parametrize("steps", [STEPS - 1, STEPS + 2], ids=["shorter", "longer"])
def test_scan_over_arrays_of_different_length(steps: int, framework: str) -> None:
    xs = into(framework, (XS, np.ones(steps)))
    with pytest.raises(ValueError, match=rf"{STEPS}.*{steps}|longer|shorter"):
        fgi.scan(lambda c, x: (c + x[0] * x[1], c), into(framework, C0), xs)


# Said by torch.compile of itself, while it looks at weights that were computed.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")

# A network with everything a loop may have: nested carry, inputs and outputs, a number that counts,
# weights that the step closes over, one of them computed outside of the loop.
RNG = np.random.default_rng(0)
BATCH, UNITS = 2, 3
WEIGHTS = {
    "recurrent": RNG.normal(size=(UNITS, UNITS)),
    "bias": RNG.normal(size=UNITS),
    "decay": [RNG.normal(size=UNITS)],
}
LONGEST = 48
DRIVE = RNG.normal(size=(LONGEST, BATCH, UNITS))
UPSTREAM = RNG.normal(size=(LONGEST, BATCH, UNITS))
START = RNG.normal(size=(BATCH, UNITS))
spike = fgi.surrogates.Gaussian(order=2)


def python_loop(step: Any, carry: Any, xs: Any, **_: Any) -> Any:
    """What ``fgi.scan`` is the same as; for this network's outputs."""
    ys = []
    for t in range(xs["drive"][0].shape[0]):
        carry, y = step(carry, {"drive": [xs["drive"][0][t]]})
        ys.append(y)
    xp = fgi.namespace(ys[0]["z"])
    stack = {"z": xp.stack([y["z"] for y in ys]), "more": (xp.stack([y["more"][0] for y in ys]),)}
    return carry, stack


def network(scan: Any, options: dict[str, Any], compiled: bool = False) -> Any:
    """A loss of weights, first state, inputs and upstream."""

    def loss(p: Any, start: Any, drive: Any, upstream: Any) -> Any:
        xp = fgi.namespace(drive)
        decay = 0.5 + 0.4 * xp.tanh(p["decay"][0])

        def step(carry: Any, x: Any) -> Any:
            v, (z, count) = carry["v"], carry["others"]
            v = decay * v + xp.tanh(x["drive"][0] + z @ p["recurrent"] + p["bias"])
            z = spike(v - 0.3)
            return {"v": v - 0.1 * z, "others": (z, count + 1)}, {"z": z, "more": (v * v,)}

        carry = {"v": start, "others": (xp.zeros_like(start), xp.zeros_like(start))}
        run = fgi.compile(step) if compiled else step
        last, ys = scan(run, carry, {"drive": [drive]}, **options)
        rows = xp.sum(upstream * (ys["z"] + ys["more"][0]))
        return rows + xp.sum(last["v"] * last["v"] * last["others"][1])

    return loss


def arguments(framework: str, steps: int) -> Any:
    return into(framework, (WEIGHTS, START, DRIVE[:steps], UPSTREAM[:steps]))


def everything(scan: Any, options: dict[str, Any], compiled: bool = False) -> Any:
    """The loss and its gradients by weights, first state and inputs."""

    def run(p: Any, start: Any, drive: Any, upstream: Any) -> Any:
        def loss(both: Any) -> Any:
            return network(scan, options, compiled)(*both, upstream)

        value, gradient = fgi.value_and_grad(loss)((p, start, drive))
        return value, gradient

    return run


def expected(framework: str, steps: int) -> Any:
    result = everything(python_loop, {})(*arguments(framework, steps))
    return tree_map(lambda x: to_numpy(framework, x), result)


def close(framework: str, got: Any, wanted: Any) -> None:
    flat_got, flat = [], []
    tree_map(lambda x: flat_got.append(to_numpy(framework, x)), got)
    tree_map(flat.append, wanted)
    assert len(flat) == len(flat_got)
    for g, w in zip(flat_got, flat, strict=True):
        assert (g.dtype, g.shape) == (np.float64, w.shape)
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12 * max(1, np.abs(w).max()))


OPTIONS: list[dict[str, Any]] = [
    {},
    {"unroll": 1},
    {"unroll": 3},
    {"unroll": 20},
    {"checkpoint": 1},
    {"checkpoint": 4},
    {"checkpoint": 20},
    {"checkpoint": 4, "unroll": 2},
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


@pytest.mark.parametrize("steps", [1, 2, 11, 12])
@every_option
@every_framework
def test_the_same_as_a_python_loop(framework: str, options: dict[str, Any], steps: int) -> None:
    got = everything(fgi.scan, options)(*arguments(framework, steps))
    close(framework, got, expected(framework, steps))


@every_option
@every_framework
def test_the_same_inside_a_compilation(framework: str, options: dict[str, Any]) -> None:
    run = everything(fgi.scan, options)
    steps = 5 if framework == "torch" else 11
    got = fgi.compile(run)(*arguments(framework, steps))
    close(framework, got, expected(framework, steps))


@every_option
def test_the_same_by_xla_in_tensorflow(options: dict[str, Any]) -> None:
    tf = pytest.importorskip("tensorflow")
    run = tf.function(everything(fgi.scan, options), jit_compile=True, autograph=False)
    for steps in (11, 1):
        close("tensorflow", run(*arguments("tensorflow", steps)), expected("tensorflow", steps))


@pytest.mark.parametrize("options", [{"unroll": 2}, {"checkpoint": 3}], ids=str)
@every_framework
def test_the_same_with_a_compiled_step(framework: str, options: dict[str, Any]) -> None:
    run = everything(fgi.scan, options, compiled=True)
    for steps in (5, 1):
        got = run(*arguments(framework, steps))
        close(framework, got, expected(framework, steps))


every_way = pytest.mark.parametrize(
    ("options", "compiled"),
    [({}, False), ({"unroll": 3}, False), ({"checkpoint": 4}, False), ({"unroll": 4}, True)],
    ids=["plain", "unrolled", "recomputed", "compiled"],
)


@every_way
@every_framework
def test_jvp(framework: str, options: dict[str, Any], compiled: bool) -> None:
    args = arguments(framework, 11)
    tangents = tree_map(lambda x: 0.5 * x + 1, args)
    got = fgi.jvp(network(fgi.scan, options, compiled), args, tangents)
    wanted = fgi.jvp(network(python_loop, {}), args, tangents)
    close(framework, got, tree_map(lambda x: to_numpy(framework, x), wanted))


@every_way
@every_framework
def test_second_order(framework: str, options: dict[str, Any], compiled: bool) -> None:
    def twice(scan: Any, options: dict[str, Any], compiled: bool) -> Any:
        loss = network(scan, options, compiled)

        def slope(p: Any, *rest: Any) -> Any:
            g = fgi.grad(loss)(p, *rest)
            xp = fgi.namespace(g["bias"])
            return xp.sum(g["bias"] * g["bias"]) + xp.sum(g["recurrent"] * g["recurrent"])

        return fgi.grad(slope)(*arguments(framework, 7))

    wanted = tree_map(lambda x: to_numpy(framework, x), twice(python_loop, {}, False))
    close(framework, twice(fgi.scan, options, compiled), wanted)


@every_way
@pytest.mark.parametrize("framework", [f for f in INSTALLED_AUTODIFF if f != "tensorflow"])
def test_vmap(framework: str, options: dict[str, Any], compiled: bool) -> None:
    module = load(framework)
    vmap = module.func.vmap if framework == "torch" else module.vmap
    p, start, drive, upstream = arguments(framework, 11)
    starts = backend(framework).stack([start, -2 * start, start * start])

    def gradients(scan: Any, options: dict[str, Any], compiled: bool) -> Any:
        loss = network(scan, options, compiled)
        return lambda start: fgi.grad(loss, argnums=1)(p, start, drive, upstream)

    got = vmap(gradients(fgi.scan, options, compiled))(starts)
    one_by_one = [gradients(python_loop, {}, False)(s) for s in starts]
    close(framework, got, np.stack([to_numpy(framework, g) for g in one_by_one]))


@every_framework
def test_a_loop_in_a_loop(framework: str) -> None:
    """Powers by a loop, summed by another; the gradient by what both close over."""
    a_, xs_ = 0.7, np.array([0.5, -2.0, 1.5, 3.0, 0.25])
    a, xs = into(framework, (a_, xs_))
    for options in ({}, {"unroll": 2}, {"checkpoint": 2}):

        def loss(a: Any, options: Any = options) -> Any:
            def outer(c: Any, x: Any) -> Any:
                thrice = fgi.namespace(x).stack([x, x, x])
                power = fgi.scan(lambda p, x: (a * p * x, p), x, thrice)[0]
                return c + power, c

            return fgi.scan(outer, 0 * a, xs, **options)[0]

        for run in (fgi.value_and_grad(loss), fgi.compile(fgi.value_and_grad(loss))):
            check(framework, run(a), (a_**3 * np.sum(xs_**4), 3 * a_**2 * np.sum(xs_**4)))


# What is compiled, how often.


def graphs() -> int:
    torch = load("torch")
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@pytest.fixture
def fresh() -> None:
    """PyTorch without anything compiled."""
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


@pytest.mark.usefixtures("fresh")
def test_torch_compiles_the_same_for_every_length() -> None:
    torch = load("torch")
    p, start, drive, upstream = arguments("torch", LONGEST)
    found = []
    for steps in (12, 24, 48):
        leaves = {**p, "decay": [p["decay"][0].clone().requires_grad_()]}
        # The step is defined anew, around these weights, which change.
        loss = network(fgi.scan, {"unroll": 4}, compiled=True)
        loss(leaves, start, drive[:steps], upstream[:steps]).backward()
        wanted = everything(python_loop, {})(p, start, drive[:steps], upstream[:steps])
        close("torch", leaves["decay"][0].grad, wanted[1][0]["decay"][0].numpy())
        found.append(graphs())
        p = tree_map(lambda x: 1.1 * x, p)
    # The first state, which has no gradient, is no reason for another.
    assert found == [1, 1, 1]
    with torch.no_grad():
        for steps in (12, 48):
            loss(p, start, drive[:steps], upstream[:steps])
            assert graphs() == 2


@pytest.mark.usefixtures("fresh")
def test_torch_has_two_sizes_of_graphs_at_most() -> None:
    from fgi_backends.torch.scan import _alike

    for most in (1, 2, 7, 8):
        for steps in range(1, 200):
            sizes = _alike(most)(steps)
            assert sum(sizes) == steps
            assert max(sizes) <= most
            assert len(set(sizes)) <= 2
    assert [set(_alike(14)(steps)) for steps in (28, 49, 98, 196, 392, 784)] == [
        {14}, {7}, {14}, {14}, {14}, {14},
    ]  # fmt: skip


@pytest.mark.usefixtures("fresh")
def test_torch_compiles_each_of_many_steps() -> None:
    """PyTorch gives up after so many graphs of one piece of code, which the loop would share."""
    torch = load("torch")
    xs = torch.tensor(DRIVE[:2])
    sources = [f"lambda c, x: (c * {k} + x, c - {k})" for k in range(4)]
    with torch.no_grad(), torch._dynamo.config.patch(recompile_limit=2):
        for k, source in enumerate(sources):
            last, ys = fgi.scan(fgi.compile(eval(source)), torch.zeros_like(xs[0]), xs)
            np.testing.assert_allclose(last, k * DRIVE[0] + DRIVE[1], rtol=1e-14)
            np.testing.assert_allclose(ys[1], DRIVE[0] - k, rtol=1e-14)
            assert graphs() == k + 1


@pytest.mark.usefixtures("fresh")
def test_torch_compiles_one_step_for_each_of_many_surrogates() -> None:
    """But once where it is only the number in an array that changes."""
    torch = load("torch")
    xs = torch.tensor(DRIVE[:2])

    def last(spike: Any) -> Any:
        def step(c: Any, x: Any) -> tuple[Any, Any]:
            return c + spike.derivative(x), c

        return fgi.scan(fgi.compile(step), torch.zeros_like(xs[0]), xs)[0]

    def wanted(alpha: float) -> Any:
        return sum(alpha / 2 / (1 + (np.pi / 2 * alpha * x) ** 2) for x in DRIVE[:2])

    numbers = [1.5, 2.0, 2.5, 3.0]
    with torch.no_grad(), torch._dynamo.config.patch(recompile_limit=2):
        for k, alpha in enumerate(numbers):
            found = last(fgi.surrogates.ATan(alpha=alpha))
            np.testing.assert_allclose(found, wanted(alpha), rtol=1e-14)
            assert graphs() == k + 1
        for alpha in numbers:
            found = last(fgi.surrogates.ATan(alpha=torch.tensor(alpha, dtype=torch.float64)))
            np.testing.assert_allclose(found, wanted(alpha), rtol=1e-14)
            assert graphs() == len(numbers) + 1


@pytest.mark.usefixtures("fresh")
def test_torch_forward_ad_and_torch_func_leave_graphs_alone() -> None:
    """Called under them, a compiled function would never be compiled again."""
    torch = load("torch")
    p, *rest = arguments("torch", 4)
    loss = network(fgi.scan, {"unroll": 2}, compiled=True)
    wanted = everything(python_loop, {})(p, *rest)[1][0]["bias"]
    close("torch", torch.func.grad(loss)(p, *rest)["bias"], wanted.numpy())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(p["bias"], torch.ones_like(p["bias"]))
        y = torch.autograd.forward_ad.unpack_dual(loss({**p, "bias": dual}, *rest))
        close("torch", y.tangent, wanted.sum().numpy())
    assert graphs() == 0
    close(
        "torch", everything(fgi.scan, {"unroll": 2}, True)(p, *rest)[1][0]["bias"], wanted.numpy()
    )
    assert graphs() == 1


@pytest.mark.parametrize("framework", [f for f in INSTALLED_AUTODIFF if f != "torch"])
@pytest.mark.parametrize("options", [{}, {"unroll": 3}, {"checkpoint": 4}], ids=str)
def test_traces_the_same_for_every_length(framework: str, options: dict[str, Any]) -> None:
    traces = []
    for steps in (12, 24, 48):
        count = [0]

        def counted(step: Any, *args: Any, count: Any = count, **named: Any) -> Any:
            def stepped(*args: Any) -> Any:
                count[0] += 1
                return step(*args)

            return fgi.scan(stepped, *args, **named)

        fgi.compile(everything(counted, options))(*arguments(framework, steps))
        traces.append(count[0])
    assert len(set(traces)) == 1, traces


# What is kept for reverse mode.


@dataclasses.dataclass(eq=False)
class Saved:
    """A tensor kept for reverse mode."""

    tensor: Any


def test_memory_in_torch() -> None:
    torch = pytest.importorskip("torch")

    def saved(steps: int, options: dict[str, Any]) -> int:
        """The numbers kept between forward and backward, inputs of the loop apart."""
        p, start, drive, upstream = arguments("torch", steps)
        p = tree_map(lambda x: x.requires_grad_(), p)
        given = {x.untyped_storage().data_ptr() for x in (drive, upstream)}
        # What leads to no output is freed on the way, and its memory used again: count what lives.
        kept: weakref.WeakSet[Saved] = weakref.WeakSet()

        def pack(x: Any) -> Saved:
            entry = Saved(x)
            kept.add(entry)
            return entry

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda entry: entry.tensor):
            loss = network(fgi.scan, options)(p, start, drive, upstream)
        storages = {s.data_ptr(): s for s in (x.tensor.untyped_storage() for x in kept)}
        count = sum(s.nbytes() // 8 for pointer, s in storages.items() if pointer not in given)
        loss.backward()
        return count

    plain = [saved(steps, {}) for steps in (12, 24, 48)]
    assert plain[2] - plain[1] == pytest.approx(2 * (plain[1] - plain[0]), rel=0.01)
    # ys are kept by the loss; beside them, nothing that the steps of a segment have saved.
    assert saved(48, {"checkpoint": 8}) < plain[2] / 3


def test_memory_in_jax() -> None:
    jax = pytest.importorskip("jax")

    def needed(steps: int, options: dict[str, Any]) -> int:
        run = jax.jit(everything(fgi.scan, options)).lower(*arguments("jax", steps)).compile()
        return int(run.memory_analysis().temp_size_in_bytes)

    load("jax")
    assert needed(48, {"checkpoint": 8}) < 0.7 * needed(48, {})


# What is refused.


@every_framework
@pytest.mark.parametrize("option", ["unroll", "checkpoint"])
def test_options_are_numbers_of_steps(option: str, framework: str) -> None:
    xs = into(framework, XS)
    for wrong, error in ((0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)):
        message = rf"^fgi\.scan: {option} is {wrong!r}; expected a number of steps >= 1, or None$"
        with pytest.raises(error, match=message):
            fgi.scan(lambda c, x: (c, c), xs[0], xs, **{option: wrong})
