"""Neurons against the conventions of others, each written out in NumPy as they write it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi import neurons
from fgi.neurons import ALIF, BRF, LIF, RF, LeakyIntegrator, Neuron, SynapticLIF, YinALIF
from support import bptt, frameworks

EVERYWHERE = pytest.mark.parametrize("framework", frameworks.INSTALLED)
AUTODIFF = pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
KINDS = (LeakyIntegrator, LIF, SynapticLIF, ALIF, YinALIF, RF, BRF)
STEPS = 100

Trace = list[tuple[float, ...]]


def spikingjelly(
    tau: float = 2.0, whole: bool = False, reset: float | None = 0.0
) -> Callable[[Any], Trace]:
    def run(xs: Any) -> Trace:
        v, trace = reset or 0.0, []
        for x in xs:
            rest = reset or 0.0
            h = v - (v - rest) / tau + x if whole else v + (x - (v - rest)) / tau
            z = float(h >= 1.0)
            v = h - z if reset is None else (reset if z else h)
            trace.append((z, v))
        return trace

    return run


def snntorch(beta: float, reset: str) -> Callable[[Any], Trace]:
    def run(xs: Any) -> Trace:
        mem, trace = 0.0, []
        for x in xs:
            late = float(mem > 1.0)
            if reset == "zero":
                mem = beta * (0.0 if late else mem) + x
            else:
                mem = beta * mem + x - (late if reset == "subtract" else 0.0)
            trace.append((float(mem > 1.0), mem))
        return trace

    return run


def snntorch_synaptic(xs: Any) -> Trace:
    syn = mem = 0.0
    trace = []
    for x in xs:
        late = float(mem > 1.0)
        syn = 0.7 * syn + x
        mem = 0.9 * mem + syn - late
        trace.append((float(mem > 1.0), mem))
    return trace


def spyx(xs: Any) -> Trace:
    v, trace = 0.0, []
    for x in xs:
        z = float(v > 0.9)
        v = 0.8 * v + x - z * 0.9
        trace.append((z, v))
    return trace


def norse(synapse: bool) -> Callable[[Any], Trace]:
    def run(xs: Any) -> Trace:
        v, i, dt, trace = 0.1, 0.0, 0.001, []
        for x in xs:
            jump = i + x if synapse else x
            v = v + dt * 100.0 * ((0.1 - v) + jump)
            i = jump - dt * 200.0 * jump
            z = float(v > 0.9)
            v = -0.2 if z else v
            trace.append((z, v))
        return trace

    return run


# Each with a strength of input at which it spikes now and then.
CONVENTIONS: dict[str, tuple[Neuron, Callable[[Any], Trace], float]] = {
    "SpikingJelly, default": (neurons.preset("spikingjelly.LIFNode"), spikingjelly(), 2.0),
    "SpikingJelly, tau 3, soft": (
        neurons.preset("spikingjelly.LIFNode", tau=3.0, v_reset=None),
        spikingjelly(3.0, reset=None),
        2.5,
    ),
    "SpikingJelly, whole input, reset to -0.3": (
        neurons.preset("spikingjelly.LIFNode", tau=4.0, decay_input=False, v_reset=-0.3),
        spikingjelly(4.0, whole=True, reset=-0.3),
        1.0,
    ),
    "SpikingJelly, IF": (
        neurons.preset("spikingjelly.IFNode"),
        spikingjelly(math.inf, whole=True),
        0.6,
    ),
    "snnTorch, subtract": (
        neurons.preset("snntorch.Leaky", beta=0.8), snntorch(0.8, "subtract"), 0.9
    ),
    "snnTorch, zero": (
        neurons.preset("snntorch.Leaky", beta=0.8, reset_mechanism="zero"),
        snntorch(0.8, "zero"),
        0.9,
    ),
    "snnTorch, none": (
        neurons.preset("snntorch.Leaky", beta=0.8, reset_mechanism="none"),
        snntorch(0.8, "none"),
        0.4,
    ),
    "snnTorch, Synaptic": (
        neurons.preset("snntorch.Synaptic", alpha=0.7, beta=0.9), snntorch_synaptic, 0.2
    ),
    "Spyx": (neurons.preset("spyx.LIF", beta=0.8, threshold=0.9), spyx, 0.9),
    "Norse, box": (
        neurons.preset("norse.lif_box_feed_forward_step", v_leak=0.1, v_th=0.9, v_reset=-0.2),
        norse(synapse=False),
        2.5,
    ),
    "Norse, with synapse": (
        neurons.preset("norse.lif_feed_forward_step", v_leak=0.1, v_th=0.9, v_reset=-0.2),
        norse(synapse=True),
        0.6,
    ),
}  # fmt: skip


def run(
    neuron: Neuron, framework: str, xs: Any, params: Any = None, state: Any = None
) -> list[tuple[Any, Any]]:
    """State and output of each step, as NumPy arrays."""
    frameworks.load(framework)
    params = fgi.convert(params or {}, framework)
    state = fgi.convert(state, framework) if state else None
    trace = []
    for x in xs:
        x = frameworks.to_framework(framework, np.asarray(x))
        state, z = neuron(params, state or neuron.initial(x), x)
        trace.append((fgi.convert(state, "numpy"), frameworks.to_numpy(framework, z)))
    return trace


@EVERYWHERE
@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_preset_has_its_librarys_numbers(name: str, framework: str) -> None:
    neuron, theirs, strength = CONVENTIONS[name]
    xs = strength * np.random.default_rng(1).uniform(0, 1, (STEPS, 3))
    got = run(neuron, framework, xs)
    spikes = np.array([z for _, z in got])
    v = np.array([state["v"] for state, _ in got])
    for unit in range(3):
        right_z, right_v = zip(*theirs(xs[:, unit]), strict=True)
        assert spikes[:, unit].tolist() == list(right_z)
        assert 5 < sum(right_z) < 95
        np.testing.assert_allclose(v[:, unit], right_v, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_late_spikes_are_those_of_the_step_before(framework: str) -> None:
    """Spikes and gradient, shifted by a step, of a neuron that asks H twice."""
    rng = np.random.default_rng(3)
    xs = frameworks.to_framework(framework, 0.9 * rng.uniform(0, 1, (STEPS, 3)))
    u = frameworks.to_framework(framework, rng.normal(size=(STEPS - 1, 3)))
    late = neurons.preset("spyx.LIF", beta=0.8)
    answers = []
    for neuron, part in (late, slice(1, None)), (late.replace(spikes="now"), slice(0, -1)):

        def spikes(xs: Any, neuron: Any = neuron, part: slice = part) -> Any:
            constants = neuron.constants({}, xs[0])
            step = lambda state, x: neuron.step(constants, state, x)  # noqa: E731
            return fgi.scan(step, neuron.initial(xs[0]), xs)[1][part]

        y, pullback = fgi.vjp(spikes, xs)
        answers.append([frameworks.to_numpy(framework, a) for a in (y, pullback(u)[0])])
    (z, dx), (right_z, right_dx) = answers
    assert 5 < z.sum() < 250
    np.testing.assert_array_equal(z, right_z)
    assert abs(dx[:-1]).min() > 0
    np.testing.assert_allclose(dx, right_dx, rtol=1e-10, atol=1e-15)


@EVERYWHERE
def test_a_spike_at_the_threshold_itself(framework: str) -> None:
    """Numbers with exact sums: SpikingJelly fires at 1, snnTorch and Norse above it."""
    xs = np.array([[2.0], [1.0], [1.5]])
    spikes = [z.item() for _, z in run(neurons.preset("spikingjelly.LIFNode"), framework, xs)]
    assert spikes == [1.0, 0.0, 1.0]  # v = 1, 0.5, 1
    leaky = neurons.preset("snntorch.Leaky", beta=0.5)
    got = run(leaky, framework, np.array([[1.0], [0.75], [0.0]]))
    assert [z.item() for _, z in got] == [0.0, 1.0, 0.0]
    assert [state["v"].item() for state, _ in got] == [1.0, 1.25, -0.375]


@EVERYWHERE
def test_four_steps_of_alif_by_hand(framework: str) -> None:
    """Powers of two: alpha = rho = 1/2, theta 1/8, beta 1/2."""
    neuron = ALIF(alpha=0.5, rho=0.5, threshold=0.125, beta=0.5)
    got = run(neuron, framework, np.array([[1.0], [0.25], [1.0], [0.0]]))
    # th 1/8: u 1/2 fires, left 3/8, a 1/2; th 3/8: u 5/16 does not, a 1/4;
    # th 1/4: u 21/32 fires, left 13/32, a 5/8; th 7/16: u 13/64 does not, a 5/16.
    assert [z.item() for _, z in got] == [1.0, 0.0, 1.0, 0.0]
    assert [s["u"].item() for s, _ in got] == [3 / 8, 5 / 16, 13 / 32, 13 / 64]
    assert [s["a"].item() for s, _ in got] == [1 / 2, 1 / 4, 5 / 8, 5 / 16]


@EVERYWHERE
def test_three_steps_of_yins_alif_by_hand(framework: str) -> None:
    """The spike raises the threshold first, and what is taken off is what it is then."""
    neuron = YinALIF(alpha=0.5, rho=0.75, threshold=0.25, beta=2.0)
    got = run(neuron, framework, np.array([[1.0], [3.0], [0.0]]))
    # B 1/4: m 1/2 fires. b 1/4, B 3/4: m 1/4 + 3/2 - 3/4 = 1 fires.
    # b 7/16, B 9/8: m 1/2 - 9/8 = -5/8.
    assert [z.item() for _, z in got] == [1.0, 1.0, 0.0]
    assert [s["m"].item() for s, _ in got] == [0.5, 1.0, -0.625]
    assert [s["b"].item() for s, _ in got] == [0.0, 0.25, 0.4375]


@EVERYWHERE
def test_three_steps_of_brf_by_hand(framework: str) -> None:
    """dt omega = 0.6, so that the root is 0.8: p = -2, b = -3 in the first step, dt = 0.1."""
    neuron = BRF(omega=6.0, b_off=1.0, dt=0.1, threshold=0.5)
    got = run(neuron, framework, np.array([[10.0], [5.0], [0.0]]))
    # u 1, v 0 fires, q 1. b -4: u 0.6 + 0.5 = 1.1, v 0.6, against 1.5; q 0.9.
    # b -3.9: u 1.1 * 0.61 - 0.36, v 0.66 + 0.6 * 0.61.
    assert [z.item() for _, z in got] == [1.0, 0.0, 0.0]
    close = {"rtol": 1e-14}
    np.testing.assert_allclose([s["u"].item() for s, _ in got], [1.0, 1.1, 0.311], **close)
    np.testing.assert_allclose([s["v"].item() for s, _ in got], [0.0, 0.6, 1.026], **close)
    np.testing.assert_allclose([s["q"].item() for s, _ in got], [1.0, 0.9, 0.81], **close)


@EVERYWHERE
def test_rf_is_a_rotation(framework: str) -> None:
    """An impulse, then nothing: w_t = (1 + dt (b + i omega))^t dt x in closed form."""
    neuron, dt = RF(omega=20.0, b_off=2.0, threshold=0.3), 0.01
    xs = np.zeros((60, 1))
    xs[0] = 100.0
    got = run(neuron, framework, xs)
    w = (1 + dt * (-2.0 + 20.0j)) ** np.arange(60) * dt * 100.0
    np.testing.assert_allclose([s["u"].item() for s, _ in got], w.real, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose([s["v"].item() for s, _ in got], w.imag, rtol=1e-12, atol=1e-13)
    spikes = [z.item() for _, z in got]
    assert spikes == (w.real > 0.3).tolist()
    assert sum(spikes[20:]) > 0, "it comes round again"


@EVERYWHERE
def test_the_boundary_of_brf_neither_grows_nor_shrinks(framework: str) -> None:
    """With no offset |1 + dt (p + i omega)| = 1: that is what p is for."""
    neuron = BRF(omega=50.0, b_off=0.0, threshold=1e9)
    state = {"u": np.array([0.6]), "v": np.array([0.8]), "q": np.array([0.0])}
    got = run(neuron, framework, np.zeros((STEPS, 1)), state=state)
    size = [float(np.hypot(s["u"], s["v"]).item()) for s, _ in got]
    np.testing.assert_allclose(size, 1.0, rtol=1e-13)


LEARNED: dict[str, tuple[Neuron, bptt.Cell, dict[str, list[float]], float]] = {
    "LIF": (LIF(), bptt.LIF("subtract", threshold=1.0), {"beta": [1.0, 2.0]}, 9.0),
    "SynapticLIF": (
        SynapticLIF(reset="value"),
        bptt.Synaptic("value", threshold=1.0),
        {"beta": [1.0, 2.0], "alpha": [0.0, 1.0]},
        9.0,
    ),
    "ALIF": (ALIF(), bptt.ALIF(), {"alpha": [1.0, 2.0], "rho": [0.0, 1.0]}, 3.0),
    "YinALIF": (YinALIF(), bptt.YinALIF(), {"alpha": [2.0, 5.0], "rho": [5.0, 9.0]}, 4.0),
    "RF": (RF(), bptt.RF(), {"omega": [-20.0, 35.0], "b_off": [1.0, -2.0]}, 200.0),
    "BRF": (BRF(), bptt.BRF(), {"omega": [-20.0, 35.0], "b_off": [1.0, -2.0]}, 200.0),
}


@AUTODIFF
@pytest.mark.parametrize("name", LEARNED)
def test_one_step_has_the_gradient_by_hand(name: str, framework: str) -> None:
    """Of state, input and what is learned, each with an upstream gradient of its own."""
    neuron, cell, given, strength = LEARNED[name]
    frameworks.load(framework)
    rng = np.random.default_rng(3)
    params = {k: np.array(v) for k, v in given.items()}
    state = {k: rng.uniform(0, 0.5, (4, 2)) for k in cell.states}
    if "z" in state:
        state["z"] = np.round(2 * state["z"])
    x = strength * rng.uniform(0, 1, (4, 2))
    c = cell.values(params)
    after, z, memo = cell.forward(c, state, x)
    upstream = {k: rng.normal(size=(4, 2)) for k in cell.states}
    dz = rng.normal(size=(4, 2))
    dstate, dx, dvalues = cell.backward(c, memo, upstream, dz)
    dparams = cell.chain(params, {k: v.sum(axis=0) for k, v in dvalues.items()})

    args = fgi.convert([params, state, x], framework)
    (got_state, got_z), pullback = fgi.vjp(neuron, *args)
    got = fgi.convert(pullback((fgi.convert(upstream, framework),
                                fgi.convert(dz, framework))), "numpy")  # fmt: skip
    np.testing.assert_array_equal(frameworks.to_numpy(framework, got_z), z)
    assert 0 < z.mean() < 1
    for k in cell.states:
        ours = frameworks.to_numpy(framework, got_state[k])
        np.testing.assert_allclose(ours, after[k], rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(got[1][k], dstate[k], rtol=1e-12, atol=1e-14, err_msg=k)
    np.testing.assert_allclose(got[2], dx, rtol=1e-12, atol=1e-15)
    for k in params:
        np.testing.assert_allclose(got[0][k], dparams[k], rtol=1e-11, atol=1e-13, err_msg=k)


@AUTODIFF
def test_the_reset_passes_gradient_or_does_not(framework: str) -> None:
    """d v' / d u by hand at u = 1.25, threshold 1, triangle slope 0.75, reset to -1."""
    frameworks.load(framework)
    for reset, gradient, right in (
        ("subtract", "kept", 1 - 0.75), ("subtract", "stopped", 1.0),
        ("value", "kept", -0.75 * 2.25), ("value", "stopped", 0.0), ("none", "kept", 1.0),
    ):  # fmt: skip
        neuron = LIF(beta=0.5, gain=1.0, reset=reset, reset_to=-1.0, reset_gradient=gradient)
        x = frameworks.to_framework(framework, np.array([1.25]))
        start = neuron.initial(x)
        _, pullback = fgi.vjp(lambda x: neuron({}, start, x)[0]["v"], x)  # noqa: B023
        upstream = frameworks.to_framework(framework, np.array([3.0]))
        assert frameworks.to_numpy(framework, pullback(upstream)[0]).item() == 3 * right


@AUTODIFF
@pytest.mark.parametrize("kind", [RF, BRF])
def test_a_frequency_beyond_the_step_is_never_nan(kind: type[RF], framework: str) -> None:
    """At, near and beyond omega dt = 1: value and gradient finite, and at the limit beyond it."""
    frameworks.load(framework)
    omega = np.array([99.999, 100.0, 100.001, 1e3, -1e6, 1e300, 0.0])
    params = fgi.convert({"omega": omega, "b_off": np.full(7, 0.5)}, framework)
    x = frameworks.to_framework(framework, np.full((2, 7), 30.0))
    neuron = kind(threshold=0.1)

    def total(p: Any) -> Any:
        state = neuron.initial(x)
        for _ in range(5):
            state, z = neuron(p, state, x)
        return fgi.namespace(z).sum(z) + fgi.namespace(z).sum(state["u"] + state["v"])

    value, gradient = fgi.value_and_grad(total)(params)
    assert np.isfinite(float(value))
    for name in params:
        assert np.isfinite(frameworks.to_numpy(framework, gradient[name])).all()
    assert frameworks.to_numpy(framework, gradient["omega"])[2:6].tolist() == [0.0] * 4
    with pytest.raises(ValueError, match=rf"{kind.__name__}: neuron 2: omega is 100.001 .*at most"):
        neuron.check(params)


@EVERYWHERE
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", frameworks.DTYPES)
def test_shape_and_dtype_are_those_of_the_input(
    dtype: str, kind: type[Neuron], framework: str
) -> None:
    if (dtype, framework) == ("bfloat16", "numpy"):
        pytest.skip("beside a Python number NumPy makes float32 of it")
    neuron = kind()
    x = np.full((2, 3), 0.5).astype(frameworks.numpy_dtype(dtype))
    params = {name: np.ones(3).astype(x.dtype) for name in neuron.learned}
    frameworks.load(framework)
    x = frameworks.to_framework(framework, x)
    for p in ({}, fgi.convert(params, framework)):
        state, z = neuron(p, neuron.initial(x), x)
        assert tuple(state) == neuron.states
        for array in (z, *state.values()):
            assert array.dtype == x.dtype
            assert tuple(array.shape) == (2, 3)


@AUTODIFF
def test_a_parameter_may_be_an_array_with_a_gradient(framework: str) -> None:
    """d v' / d threshold of the soft reset by hand: -z + slope * threshold."""
    frameworks.load(framework)
    threshold = frameworks.to_framework(framework, np.array([1.0, 2.0]))
    x = frameworks.to_framework(framework, np.array([[1.25, 1.5]]))
    both = fgi.vjp(lambda th: LIF(threshold=th, gain=1.0)({}, {"v": 0 * x}, x)[0]["v"], threshold)
    got = frameworks.to_numpy(framework, both[1](frameworks.to_framework(
        framework, np.array([[2.0, -1.0]])))[0])  # fmt: skip
    assert got.tolist() == [2 * (-1 + 0.75 * 1.0), -1 * (0.5 * 2.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_dynamo_follows_a_neuron_without_a_break(kind: type[Neuron]) -> None:
    torch = pytest.importorskip("torch")
    neuron = kind()
    x = 3 * torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    p = {name: torch.full((3,), 1.5, requires_grad=True) for name in neuron.learned}
    step = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    outcomes = []
    for f in (step, neuron):
        state, z = f(p, neuron.initial(x), x)
        total = (z + sum(state.values())).sum()
        outcomes.append((z, state, torch.autograd.grad(total, list(p.values()))))
    torch.testing.assert_close(outcomes[0], outcomes[1])


def test_numbers_that_change_compile_again() -> None:
    """As parameters of one neuron and its surrogate after another, in one place of the code."""
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.25, 3.0])
    for beta in (0.25, 0.5, 0.75, 0.875):
        neuron = LIF(fgi.surrogates.ATan(alpha=1 + beta), beta, gain=1.0)
        step = torch.compile(lambda x: neuron({}, {"v": x}, x), fullgraph=True, backend="aot_eager")  # noqa: B023
        state, z = step(x)
        assert z.tolist() == [0.0, 1.0]
        assert state["v"].tolist() == [0.25 * (1 + beta), 3 * (1 + beta) - 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_neuron_is_a_value(kind: type[Neuron]) -> None:
    neuron = kind()
    assert neuron == kind()
    assert hash(neuron) == hash(kind())
    assert pickle.loads(pickle.dumps(neuron)) == neuron
    assert Neuron.from_config(neuron.to_config()) == neuron
    assert eval(repr(neuron), {**vars(fgi.surrogates), **vars(neurons)}) == neuron
    assert "State:" in (kind.__doc__ or "")


def test_published_surrogates() -> None:
    """The slopes that the issue's figures name, at points of their own."""
    x = np.array([0.0, 0.3, -0.8, 2.5])
    for neuron, slope in (
        (ALIF(), bptt.SLOPES["gaussian"]),
        (YinALIF(), bptt.SLOPES["yin"]),
        (BRF(), bptt.SLOPES["brf"]),
        (LIF(), bptt.SLOPES["triangle"]),
    ):
        np.testing.assert_allclose(
            neuron.spike.derivative(x), slope(x), rtol=1e-13, atol=1e-300  # type: ignore[union-attr]
        )  # fmt: skip
    assert float(BRF().spike.derivative(np.zeros(1))[0]) == pytest.approx(0.4388, abs=5e-5)  # type: ignore[union-attr]


def test_wrong_parameters_are_refused() -> None:
    for make, error, said in (
        (lambda: LIF(beta=1.5), ValueError, r"LIF: beta is 1\.5; expected a number from 0 to 1"),
        (lambda: LIF(reset="zero"), ValueError, r"reset is 'zero'; expected one of subtract, val"),
        (lambda: LIF(delay=2), ValueError, r"LIF: delay is 2; expected 0 or 1"),
        (lambda: LIF(spikes="late"), ValueError, r"LIF: delay is 0; expected 1 as spikes are late"),
        (lambda: LIF(gain="whole"), TypeError, r"LIF: gain is 'whole'; expected a finite number"),
        (lambda: LIF(spike="atan"), TypeError, r"LIF: spike is a str; expected a surrogate"),
        (lambda: BRF(omega=101.0), ValueError, r"omega is 101\.0 and dt 0\.01; .* at most 100\.0"),
        (lambda: RF(omega=-1.0), ValueError, r"RF: omega is -1\.0; expected a number > 0"),
        (lambda: RF(dt=0.0), ValueError, r"RF: dt is 0\.0; expected a number > 0"),
        (lambda: RF(dt=np.ones(1)), TypeError, r"RF: dt is an array; expected a number"),
        (lambda: ALIF(rho=math.nan), ValueError, r"ALIF: rho is nan; expected a number from 0"),
        (lambda: neurons.preset("snntorch.Leak"), ValueError, r"did you mean snntorch\.Leaky"),
        (
            lambda: neurons.preset("snntorch.Leaky", beta=0.5, tau=3),
            TypeError,
            r"unexpected keyword argument 'tau'; expected snntorch\.Leaky\(beta",
        ),
        (
            lambda: neurons.preset("snntorch.Leaky", beta=0.5, reset_mechanism="hard"),
            ValueError,
            r"reset_mechanism is 'hard'; expected one of subtract, zero, none",
        ),
        (
            lambda: neurons.preset(
                "snntorch.Synaptic", alpha=0.5, beta=0.5, reset_mechanism="zero"
            ),
            ValueError,
            r"clears the current too",
        ),
        (
            lambda: neurons.preset("spikingjelly.LIFNode", tau=0.5),
            ValueError,
            r"LIF: beta is -1\.0; expected a number from 0 to 1",
        ),
    ):
        with pytest.raises(error, match=said):
            make()


@EVERYWHERE
def test_wrong_input_is_refused(framework: str) -> None:
    frameworks.load(framework)
    neuron = ALIF()
    x = frameworks.to_framework(framework, np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"ALIF: params has tau; expected none but alpha, rho"):
        neuron({"tau": x}, neuron.initial(x), x)
    with pytest.raises(TypeError, match=r"ALIF: x is an int64 array"):
        neuron.initial(frameworks.to_framework(framework, np.zeros((2, 3), np.int64)))
    with pytest.raises(TypeError, match=r"ALIF: x is a list"):
        neuron({}, {}, [1.0])
