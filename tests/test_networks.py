"""One network, one gradient: between frameworks, and against a backpropagation written by hand."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.networks import Network, cross_entropy
from fgi.neurons import ALIF, BRF, LIF, RF, LeakyIntegrator, SynapticLIF, YinALIF, normal
from support import bptt, frameworks

AUTODIFF = pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)


@dataclasses.dataclass(frozen=True)
class Model:
    """A network, its counterpart by hand, and draws and input with which it spikes."""

    network: Network
    cell: Callable[[], bptt.Cell]
    current: float = 1.0
    draws: Any = None
    hidden: tuple[int, ...] = (12,)
    recurrent: bool = True


MODELS = {
    "ALIF": Model(Network(ALIF(), gain=3.0), bptt.ALIF, 3.0),
    "ALIF, last output": Model(
        Network(ALIF(), output="last", gain=2.0), bptt.ALIF, 3.0, {"alpha": normal(0.0, 0.5)}
    ),
    "ALIF, two layers, feed-forward": Model(
        Network(ALIF()), bptt.ALIF, 4.0, {"alpha": normal(0, 0.5)}, (9, 8), recurrent=False
    ),
    "YinALIF": Model(Network(YinALIF()), bptt.YinALIF, 3.0),
    "LIF, soft": Model(
        Network(LIF(threshold=0.3)), lambda: bptt.LIF("subtract", threshold=0.3), 3.0
    ),
    "LIF, hard": Model(
        Network(LIF(threshold=0.3, reset="value", reset_to=-0.1, rest=0.05)),
        lambda: bptt.LIF("value", threshold=0.3, rest=0.05, to=-0.1),
        3.0,
    ),
    "LIF, delayed": Model(
        Network(LIF(threshold=0.7, gain=1.0, delay=1, reset_gradient="stopped")),
        lambda: bptt.DelayedLIF(0.7),
        draws={"beta": normal(0.0, 1.0)},
    ),
    "SynapticLIF": Model(
        Network(SynapticLIF(threshold=0.5)), lambda: bptt.Synaptic("subtract", threshold=0.5), 2.0
    ),
    "RF": Model(Network(RF(threshold=0.1)), lambda: bptt.RF(theta=0.1), 30.0),
    "BRF": Model(Network(BRF(threshold=0.2)), lambda: bptt.BRF(theta=0.2), 40.0),
}


def problem(name: str, steps: int) -> tuple[Any, Any, Any]:
    """Parameters (biases not zero), sequences of 784 numbers, one-hot labels; float64."""
    model, features = MODELS[name], 784 // steps
    params = model.network.init(
        (features, *model.hidden, 5),
        seed=7,
        recurrent=model.recurrent,
        draws=model.draws,
        dtype="float64",
    )
    rng = np.random.default_rng(steps)
    for layer in params.values():
        layer["bias"] += rng.uniform(-0.2, 0.2, layer["bias"].shape)
    xs = model.current * rng.uniform(0, 1, (steps, 3, features)) * np.sqrt(28 / (27 + features))
    return params, xs, np.eye(5)[[0, 3, 1]]


def framework_answer(name: str, framework: str, given: Any) -> tuple[float, dict[str, Any]]:
    params, xs, labels = given
    frameworks.load(framework)
    xs, labels = (frameworks.to_framework(framework, a) for a in (xs, labels))
    both = fgi.value_and_grad(
        lambda p, xs: cross_entropy(MODELS[name].network.scores(p, xs), labels)
    )
    if framework != "torch":
        both = fgi.compile(both)
    value, gradient = both(fgi.convert(params, framework), xs)
    return float(value), fgi.convert(gradient, "numpy")


def check_same_gradient(name: str, steps: int, framework: str) -> None:
    given = problem(name, steps)
    model = MODELS[name]
    expected, slopes, rate = bptt.loss_and_gradient(
        model.cell(), *given, output=model.network.output, gain=model.network.gain
    )
    assert 0.01 < rate < 0.9, "a network that does not spike shows nothing"
    value, gradient = framework_answer(name, framework, given)
    assert abs(value - expected) <= 1e-12 * abs(expected)
    assert gradient.keys() == slopes.keys()
    for layer, arrays in slopes.items():
        assert gradient[layer].keys() == arrays.keys()
        for key, right in arrays.items():
            assert np.abs(right).max() > 0, (layer, key)
            error = np.abs(gradient[layer][key] - right).max() / np.abs(right).max()
            assert error <= 1e-9, (layer, key, error)


@AUTODIFF
@pytest.mark.parametrize("steps", [28, 98])
@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_backpropagation_by_hand(
    name: str, steps: int, framework: str
) -> None:
    check_same_gradient(name, steps, framework)


@pytest.mark.sweep
@AUTODIFF
@pytest.mark.parametrize("name", MODELS)
def test_also_for_784_steps(name: str, framework: str) -> None:
    check_same_gradient(name, 784, framework)


@AUTODIFF
def test_a_checkpoint_changes_no_gradient(framework: str) -> None:
    params, xs, labels = problem("ALIF, two layers, feed-forward", 14)
    network = MODELS["ALIF, two layers, feed-forward"].network
    frameworks.load(framework)
    xs, labels = (frameworks.to_framework(framework, a) for a in (xs, labels))

    def loss(p: Any, checkpoint: int | None) -> Any:
        return cross_entropy(network.scores(p, xs, checkpoint=checkpoint), labels)

    both = fgi.value_and_grad(loss)
    wanted, slopes = both(fgi.convert(params, framework), None)
    found, same = both(fgi.convert(params, framework), 4)
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)
    slopes, same = (fgi.convert(g, "numpy") for g in (slopes, same))
    for layer, arrays in slopes.items():
        for key, right in arrays.items():
            error = np.abs(same[layer][key] - right).max()
            assert error <= 1e-9 * np.abs(right).max(), (layer, key)


def test_the_hand_is_right_about_what_is_smooth() -> None:
    """Central differences of the readout's parameters, which no spike depends on."""
    params, xs, labels = problem("ALIF", 28)
    _, gradient, _ = bptt.loss_and_gradient(bptt.ALIF(), params, xs, labels, output="mean", gain=3)
    for key, array in params["readout"].items():
        right = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = array.copy()
                moved[i] += step
                there = {**params, "readout": {**params["readout"], key: moved}}
                ends.append(
                    bptt.loss_and_gradient(bptt.ALIF(), there, xs, labels, output="mean", gain=3)[0]
                )
            right[i] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient["readout"][key], right, rtol=1e-5, atol=1e-9)


@AUTODIFF
def test_a_recurrent_matrix_is_the_papers_one_matrix_beside_the_inputs(framework: str) -> None:
    """x W + z U is [x, z] [W; U]: a layer that is fed its own last spikes as inputs."""
    network = Network(ALIF(threshold=0.05))
    params = network.init((3, 4, 2), seed=1, dtype="float64", bias=False)
    xs = np.random.default_rng(0).uniform(0, 3, (6, 2, 3))
    hidden = params["hidden0"]
    both = np.concatenate([hidden["input"], hidden["recurrent"]])
    p = fgi.convert(params, framework)
    got = network.apply(p, frameworks.to_framework(framework, xs))
    spikes = frameworks.to_numpy(framework, got.spikes[0])
    alpha, rho = bptt.sigmoid(hidden["alpha"]), bptt.sigmoid(hidden["rho"])
    z, u, a = np.zeros((3, 2, 4))
    for t, x in enumerate(xs):
        th = 0.05 + 0.8 * a
        u = alpha * u + (1 - alpha) * (np.concatenate([x, z], axis=1) @ both)
        z = 1.0 * (u > th)
        u, a = u - z * th, rho * a + (1 - rho) * z
        np.testing.assert_array_equal(spikes[t], z)
    assert 0 < spikes.mean() < 1


def test_one_seed_one_network() -> None:
    network = Network(ALIF())
    first, again = (network.init((3, 4, 5, 2), seed=3) for _ in range(2))
    other = network.init((3, 4, 5, 2), seed=4)
    assert list(first) == ["hidden0", "hidden1", "readout"]
    assert list(first["hidden1"]) == ["input", "recurrent", "bias", "alpha", "rho"]
    assert list(first["readout"]) == ["input", "bias", "beta"]
    assert first["hidden1"]["input"].shape == (4, 5)
    assert first["hidden1"]["recurrent"].shape == (5, 5)
    for name, layer in first.items():
        for key, array in layer.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, again[name][key])
            assert key == "bias" or not np.array_equal(array, other[name][key])


def test_initial_numbers_have_the_distributions_that_the_docstrings_name() -> None:
    params = Network(ALIF()).init((20, 3000, 10), seed=0, dtype="float64")
    hidden = params["hidden0"]
    bound = np.sqrt(6 / (20 + 3000 + 3000))
    for key in ("input", "recurrent"):
        assert 0.99 * bound < np.abs(hidden[key]).max() <= bound
        assert abs(hidden[key].mean()) < 0.02 * bound
    assert hidden["alpha"].mean() == pytest.approx(3.0, abs=0.01)
    assert hidden["alpha"].std() == pytest.approx(0.1, rel=0.1)
    assert hidden["rho"].mean() == pytest.approx(4.0, abs=0.05)
    assert hidden["rho"].std() == pytest.approx(0.5, rel=0.1)
    narrow = Network(ALIF()).init((20, 50, 10), scale="fan_in", dtype="float64")
    assert np.abs(narrow["hidden0"]["input"]).max() <= 20**-0.5
    assert np.abs(narrow["hidden0"]["recurrent"]).max() <= 50**-0.5
    omega = Network(BRF()).init((1, 500, 2), recurrent=False)["hidden0"]["omega"]
    assert 15 <= omega.min() < 17
    assert 48 < omega.max() <= 50


@AUTODIFF
def test_what_is_not_in_the_parameters_is_as_the_neuron_says(framework: str) -> None:
    """A layer without learned decays, bias and recurrence: the numbers of the definition."""
    network = Network(LIF(beta=0.75, threshold=0.2), readout=LeakyIntegrator(0.5))
    params = network.init(
        (2, 3, 2), recurrent=False, bias=False, draws={"beta": None}, readout_draws={"beta": None}
    )
    assert {name: set(layer) for name, layer in params.items()} == {
        "hidden0": {"input"},
        "readout": {"input"},
    }
    xs = np.random.default_rng(5).uniform(0, 3, (5, 2, 2)).astype(np.float32)
    got = network.apply(fgi.convert(params, framework), frameworks.to_framework(framework, xs))
    v = np.zeros((2, 2))
    u = np.zeros((2, 3))
    for t, x in enumerate(xs):
        u = 0.75 * u + 0.25 * (x @ params["hidden0"]["input"])
        z = 1.0 * (u > 0.2)
        u = u - 0.2 * z
        v = 0.5 * v + 0.5 * (z @ params["readout"]["input"])
        assert frameworks.to_numpy(framework, got.spikes[0])[t].tolist() == z.tolist()
        np.testing.assert_allclose(
            frameworks.to_numpy(framework, got.readout)[t], v, rtol=1e-5, atol=1e-7
        )
    assert got.readout.dtype == fgi.namespace(got.readout).dtype("float32")


def test_dynamo_follows_a_network_without_a_break() -> None:
    torch = pytest.importorskip("torch")
    network = Network(BRF())
    params = fgi.convert(network.init((4, 6, 3), seed=0), "torch")
    xs = 30 * torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(network.scores, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(params, xs), network.scores(params, xs))


@pytest.mark.parametrize("columns", [3, 40])
def test_a_matrix_of_few_columns_is_laid_out_by_column(columns: int) -> None:
    torch = pytest.importorskip("torch")
    from fgi_backends.torch import for_many_rows

    x, w = torch.rand(7, 50), torch.rand(50, columns, requires_grad=True)
    u = torch.rand(7, columns)
    arranged = for_many_rows(w)
    assert torch.equal(arranged, w)
    assert arranged.stride() == ((1, 50) if columns == 3 else (40, 1))
    (gradient,) = torch.autograd.grad(x @ arranged, w, u)
    torch.testing.assert_close(gradient, x.T @ u)


@AUTODIFF
def test_what_does_not_fit_is_refused_by_name(framework: str) -> None:
    network = Network(ALIF())
    params = fgi.convert(network.init((3, 4, 2)), framework)

    def array(*shape: int, dtype: str = "float32") -> Any:
        return frameworks.to_framework(framework, np.zeros(shape, dtype))

    for shape in ((5, 3), (5, 2, 3, 1), (5, 0, 3), (0, 2, 3), (5, 2, 0)):
        with pytest.raises(ValueError, match=r"^Network: xs is .*\(steps, batch, inputs\)"):
            network.scores(params, array(*shape))
    with pytest.raises(ValueError, match=r"xs has 4 numbers .* hidden0\.input .*expected 4 rows"):
        network.scores(params, array(5, 2, 4))
    with pytest.raises(TypeError, match=r"xs is an int32 array .*expected float16"):
        network.scores(params, array(5, 2, 3, dtype="int32"))
    with pytest.raises(TypeError, match=r"xs is a float16 array .*hidden0\.input a float32"):
        network.scores(params, array(5, 2, 3, dtype="float16"))
    with pytest.raises(ValueError, match=r"hidden0 has input, recurent; expected input, perhaps"):
        network.scores({**params, "hidden0": {"input": array(3, 4), "recurent": 0}}, array(5, 2, 3))
    with pytest.raises(ValueError, match=r"params has readout; expected hidden0"):
        network.scores({"readout": params["readout"]}, array(5, 2, 3))
    with pytest.raises(TypeError, match=rf"x is an array of {framework}, hidden0\.input one of nu"):
        network.scores(network.init((3, 4, 2)), array(5, 2, 3))
    with pytest.raises(ValueError, match=r"scores is .* and labels is .*one-hot"):
        cross_entropy(array(2, 3), array(2, 4))


def test_a_network_is_a_value() -> None:
    network = Network(ALIF(), output="last", gain=2.0)
    assert Network.from_config(network.to_config()) == network
    assert network != Network(BRF(), output="last", gain=2.0)
    with pytest.raises(TypeError, match=r"Network: neuron is a type; expected a neuron"):
        Network(ALIF)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"output is 'sum'; expected one of mean, last"):
        Network(ALIF(), output="sum")
    for sizes in ((3, 2), (3, 0, 2), (3, 2.0, 1)):
        with pytest.raises(ValueError, match=r"Network\.init: sizes is .*\(28, 128, 10\)"):
            network.init(sizes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scale is 'lecun'; expected one of xavier, fan_in"):
        network.init((3, 4, 2), scale="lecun")
    with pytest.raises(ValueError, match=r"ALIF has no learned tau; expected alpha, rho"):
        network.init((3, 4, 2), draws={"tau": normal(0, 1)})


def test_a_frequency_that_ran_away_is_found_between_steps() -> None:
    network = Network(BRF())
    params = network.init((3, 4, 2), seed=0)
    network.check(params)
    params["hidden0"]["omega"][2] = -130.0
    with pytest.raises(ValueError, match=r"hidden0: BRF: neuron 2: omega is 130.0 .*dt <= 1"):
        network.check(params)
    params["hidden0"]["omega"][2] = np.nan
    with pytest.raises(ValueError, match=r"neuron 2: omega is nan"):
        network.check(params)


@AUTODIFF
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_convert_keeps_numbers_dtypes_and_containers(dtype: str, framework: str) -> None:
    x = np.array([[0.5, -1.25], [3.0, 0.0]]).astype(frameworks.numpy_dtype(dtype))
    tree = {"a": [frameworks.to_framework(framework, x)], "b": (x, {"c": x})}
    for target in frameworks.INSTALLED:
        got = fgi.convert(tree, target)
        assert isinstance(got["a"], list)
        assert isinstance(got["b"], tuple)
        for leaf in (got["a"][0], got["b"][0], got["b"][1]["c"]):
            assert fgi.namespace(leaf).name == target
            back = frameworks.to_numpy(target, leaf)
            assert back.dtype == x.dtype
            assert back.tobytes() == x.tobytes()


def test_convert_refuses_what_would_be_lost() -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError, match=r"fgi\.convert: an array is a str; expected"):
        fgi.convert({"a": "x"}, "numpy")
    with pytest.raises(ValueError, match=r"unknown backend 'theano'"):
        fgi.convert(np.zeros(1), "theano")
    with jax.enable_x64(False), pytest.raises(TypeError, match=r"float64 .* became a float32"):
        fgi.convert(np.zeros(1), "jax")


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_is_saved_is_loaded(suffix: str, framework: str, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    frameworks.load(framework)
    params = Network(ALIF()).init((3, 4, 2), seed=0, dtype="float64")
    params["hidden0"]["input"] = params["hidden0"]["input"].T.copy().T  # not in C order
    params["hidden0"]["bias"] = params["hidden0"]["bias"].astype(np.float16)
    path = tmp_path / f"weights{suffix}"
    fgi.save(fgi.convert(params, framework), path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    loaded = fgi.load(path)
    assert loaded.keys() == params.keys()
    for name, layer in params.items():
        assert loaded[name].keys() == layer.keys()
        for key, array in layer.items():
            assert loaded[name][key].dtype == array.dtype
            np.testing.assert_array_equal(loaded[name][key], array)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_damaged_file_is_named(suffix: str, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"weights{suffix}"
    fgi.save({"a": {"b": np.arange(100.0)}}, path)
    whole = path.read_bytes()
    for content in (b"", whole[:40], whole[: len(whole) // 2], whole[:-1], b"x" + whole[1:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^fgi\.load: .*weights.* is damaged or no .* file"):
            fgi.load(path)
    np.save(tmp_path / "one", np.zeros(3))
    (tmp_path / "one.npy").rename(path)
    with pytest.raises(ValueError, match=r"is damaged or no .* file"):
        fgi.load(path)
    with pytest.raises(FileNotFoundError):
        fgi.load(tmp_path / f"absent{suffix}")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_full_disk_leaves_the_file_of_before(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"weights{suffix}"
    fgi.save({"a": np.zeros(3)}, path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fgi.save({"a": np.ones(3)}, path)
    monkeypatch.undo()
    assert fgi.load(path)["a"].tolist() == [0, 0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_save_refuses_what_it_could_not_bring_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    for wrong, error, said in (
        ({"a.b": np.zeros(1)}, ValueError, r"'a\.b'; expected some letters and no dot"),
        ({"a": {}}, ValueError, r"a\. is empty"),
        ({"a": [np.zeros(1)]}, TypeError, r"a is a list; expected an array or a dict"),
        ({1: np.zeros(1)}, TypeError, r"1 is no text"),
        ({"a": 3.0}, TypeError, r"a is a float; expected an array"),
        ({"a": np.zeros(1, frameworks.BFLOAT16)}, TypeError, r"a is bfloat16, which NumPy has not"),
    ):
        with pytest.raises(error, match=said):
            fgi.save(wrong, path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"weights\.pt; expected a name that ends in \.npz or"):
        fgi.save({"a": np.zeros(1)}, tmp_path / "weights.pt")
    assert list(tmp_path.iterdir()) == []


def test_converted_arrays_are_ones_own() -> None:
    """PyTorch takes NumPy's memory as it is: an optimiser in place would change both."""
    for target in frameworks.INSTALLED:
        given = np.array([1.0, 2.0])
        frameworks.load(target)
        converted = fgi.convert({"a": given}, target)["a"]
        given[0] = 9.0
        assert frameworks.to_numpy(target, converted).tolist() == [1.0, 2.0]


def test_without_safetensors_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ImportError, match=r"fgi\.save: needs safetensors, .*or end the name in"):
        fgi.save({"a": np.zeros(1)}, path)
    path.write_bytes(b"x")
    with pytest.raises(ImportError, match=r"fgi\.load: needs safetensors"):
        fgi.load(path)
