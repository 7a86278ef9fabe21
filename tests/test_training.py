"""Training: by hand, gone on with, compared; and what is said about bad input."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.backend import trees
from support import bptt, frameworks, training_page

pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
pytest.importorskip("typer", reason="the command line needs typer")

from typer.testing import CliRunner

from fgi import training
from fgi.cli import app
from fgi.data import Sequences, batches, digits
from fgi.training import Checkpoint, Settings, optimiser
from fgi.training.learner import State

INSTALLED = frameworks.INSTALLED_AUTODIFF
AUTODIFF = pytest.mark.parametrize("framework", INSTALLED)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])

# torch.compile asks tensors that a step closes over for a gradient, and hides what is said then,
# unless warnings are errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")

if not INSTALLED:
    pytest.skip("no framework that differentiates is installed", allow_module_level=True)


@pytest.fixture(autouse=True)
def loaded() -> None:
    for name in INSTALLED:
        frameworks.load(name)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's step as it is: to compile it takes longer than all else here."""
    monkeypatch.setattr("fgi.networks.compile", lambda step: step)


def small(framework: str = INSTALLED[-1], **given: Any) -> Settings:
    """Two steps of 32 numbers, five neurons, and a rate that moves them."""
    options: dict[str, Any] = {
        "backend": framework, "seq_length": 2, "hidden": 5, "batch": 8, "epochs": 4, "rate": 0.05,
    }  # fmt: skip
    return training.settings(**options | given)


def few(settings: Settings, count: int = 40) -> Sequences:
    data = training.sequences(settings)
    return Sequences(
        data.train[:, :count], data.train_labels[:count], data.test[:, :20], data.test_labels[:20]
    )


def numbers(run: Checkpoint) -> dict[str, Any]:
    first, second = run.state.moments
    return trees.named({"params": run.state.params, "first": first, "second": second})


# The optimiser


def adam_by_hand(
    w: dict[str, Any], gradients: list[dict[str, Any]], rates: list[float], memory: float
) -> dict[str, Any]:
    """Kingma and Ba, Algorithm 1, in float64, an array at a time."""
    result = {}
    for name, start in w.items():
        x, m, v = start.astype(np.float64), 0.0, 0.0
        for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
            g = gradient[name]
            m, v = 0.9 * m + 0.1 * g, memory * v + (1 - memory) * g**2
            x = x - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - memory**t)) + 1e-8)
        result[name] = x
    return result


@AUTODIFF
@DTYPES
@pytest.mark.parametrize("memory", [0.999, 0.99])
def test_adam_is_the_published_algorithm(framework: str, dtype: str, memory: float) -> None:
    rng = np.random.default_rng(3)
    start = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    gradients = [{"a": rng.normal(size=(3, 2)), "b": 1e-3 * rng.normal(size=4)} for _ in range(5)]
    rates = [0.1, 0.05, 0.2, 0.01, 0.3]
    placed = lambda tree: fgi.convert(trees.map(lambda a: a.astype(dtype), tree), framework)  # noqa: E731
    params = placed({"layer": start})
    moments = optimiser.zero_moments(params)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        params, moments = optimiser.adam(
            params, placed({"layer": gradient}), moments, placed(np.array(rate)),
            placed(np.array(float(t))), memory=memory,
        )  # fmt: skip
    found = fgi.convert(params, "numpy")["layer"]
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for name, expected in adam_by_hand(start, gradients, rates, memory).items():
        np.testing.assert_allclose(found[name], expected, rtol=tolerance, atol=tolerance / 10)


@AUTODIFF
def test_the_clipped_gradient_has_the_norm_that_is_allowed(framework: str) -> None:
    gradient = fgi.convert({"a": {"x": np.array([3.0, 0.0]), "y": np.array([[4.0]])}}, framework)
    for limit, factor in ((1.0, 0.2), (2.5, 0.5), (5.0, 1.0), (80.0, 1.0)):
        found = fgi.convert(optimiser.clipped(gradient, limit), "numpy")["a"]
        np.testing.assert_allclose(found["x"], [3 * factor, 0.0], rtol=1e-12)
        np.testing.assert_allclose(found["y"], [[4 * factor]], rtol=1e-12)
    nothing = fgi.convert({"a": np.zeros(3)}, framework)
    assert fgi.convert(optimiser.clipped(nothing, 1.0), "numpy")["a"].tolist() == [0.0] * 3


@AUTODIFF
@pytest.mark.parametrize("size", [1e-30, 1e20, 1e38])
def test_a_clipped_gradient_may_have_a_norm_whose_square_is_no_float32(
    framework: str, size: float
) -> None:
    given = {"x": np.array([3 * size, 0.0], np.float32), "y": np.array([-2 * size], np.float32)}
    norm = math.sqrt(13) * size
    for limit in (1.0, 0.5 * size, 2e38):
        found = fgi.convert(optimiser.clipped(fgi.convert(given, framework), limit), "numpy")
        factor = min(1.0, limit / norm)
        np.testing.assert_allclose(found["x"], [3 * size * factor, 0.0], rtol=1e-6)
        np.testing.assert_allclose(found["y"], [-2 * size * factor], rtol=1e-6)


def test_the_decays() -> None:
    expected = {
        "cosine": [1.0, 0.5 + 0.5 * np.sqrt(0.5), 0.5, 0.0],
        "linear": [1.0, 0.75, 0.5, 0.0],
        "none": [1.0, 1.0, 1.0, 1.0],
    }
    assert set(optimiser.DECAYS) == set(expected)
    for name, factors in expected.items():
        found = [optimiser.DECAYS[name](progress) for progress in (0, 0.25, 0.5, 1)]
        np.testing.assert_allclose(found, factors, atol=1e-15)


# A run


@AUTODIFF
@pytest.mark.parametrize(("clip", "decay"), [(0.0, "linear"), (0.3, "cosine")])
def test_two_epochs_are_backpropagation_and_adam_by_hand(
    framework: str, clip: float, decay: str, eager: None
) -> None:
    """Every batch, in NumPy: gradient through time, norm, Adam, the rate of the epoch."""
    settings = small(
        framework, dtype="float64", epochs=2, clip=clip, decay=decay, seed=5,
        surrogate={"name": "gaussian"},
    )  # fmt: skip
    data = few(settings, 24)
    params = settings.initial(32, 10)
    seen, expected = [], trees.map(np.copy, params)
    first, second, t = trees.map(np.zeros_like, params), trees.map(np.zeros_like, params), 0
    for epoch in range(2):
        factor = {"linear": 1 - epoch / 2, "cosine": (1 + np.cos(np.pi * epoch / 2)) / 2}[decay]
        order = np.random.default_rng([epoch, 5]).permutation(24)
        losses = []
        for chosen in order.reshape(3, 8):
            t += 1
            labels = np.eye(10)[data.train_labels[chosen]]
            loss, slopes, _ = bptt.loss_and_gradient(
                bptt.ALIF(), expected, data.train[:, chosen], labels, output="mean", gain=10.0
            )
            losses.append(loss)
            norm = np.sqrt(sum(np.sum(g**2) for g in trees.leaves(slopes)))
            if clip:
                assert norm > clip
                slopes = trees.map(lambda g, n=norm: g * clip / n, slopes)
            first = trees.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
            second = trees.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, slopes)
            expected = trees.map(
                lambda w, m, v, t=t, rate=0.05 * factor: (
                    w - rate * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
                ),
                expected, first, second,
            )  # fmt: skip
        seen.append(np.mean(losses))
    run = training.train(settings, data=data)
    np.testing.assert_allclose([epoch.loss for epoch in run.history], seen, rtol=1e-9)
    found = trees.named(run.state.params)
    for name, right in trees.named(expected).items():
        np.testing.assert_allclose(found[name], right, rtol=1e-7, atol=1e-9, err_msg=name)
    assert run.state.step == 6


def test_accuracies_are_shares_of_right_answers(eager: None) -> None:
    settings = small(epochs=1, rate=1e-12)
    data = few(settings)
    run = training.train(settings, data=data)
    network, params = settings.network(), fgi.convert(settings.initial(32, 10), settings.backend)

    def right(xs: Any, labels: Any) -> float:
        scores = network.scores(params, fgi.convert(xs, settings.backend))
        return float(np.mean(fgi.convert(scores, "numpy").argmax(axis=1) == labels))

    (epoch,) = run.history
    assert epoch.accuracy == right(data.test, data.test_labels)
    assert epoch.train_accuracy == right(data.train, data.train_labels)
    assert epoch.accuracy != epoch.train_accuracy


def test_the_order_of_batches_depends_on_seed_and_epoch_alone() -> None:
    xs, labels = np.arange(12.0).reshape(1, 12, 1), np.arange(12) % 3

    def order(epoch: int, seed: int) -> list[float]:
        found = batches(xs, labels, 4, classes=3, epoch=epoch, seed=seed)
        return [float(x) for batch, _ in found for x in batch.ravel()]

    orders = [order(epoch, seed) for epoch in range(3) for seed in range(3)]
    assert len({tuple(o) for o in orders}) == 9
    assert all(sorted(o) == list(range(12)) for o in orders)
    assert orders == [order(epoch, seed) for epoch in range(3) for seed in range(3)]


class StoppedError(Exception):
    pass


def stop_after(count: int) -> Callable[[Any], None]:
    left = [count]

    def on_epoch(epoch: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise StoppedError

    return on_epoch


@AUTODIFF
def test_a_run_that_is_gone_on_with_ends_where_the_whole_one_does(
    framework: str, tmp_path: Path
) -> None:
    settings = small(framework, decay="cosine", seed=2)
    data = few(settings)
    whole = training.train(settings, data=data)
    with pytest.raises(StoppedError):
        training.train(settings, data=data, folder=tmp_path, on_epoch=stop_after(2))
    half = Checkpoint.read(tmp_path)
    assert (len(half.history), half.state.step, half.settings) == (2, 10, settings)
    rest = training.train(half, data=data, folder=tmp_path)
    assert len(rest.history) == 4
    ends = numbers(whole), numbers(rest), numbers(Checkpoint.read(tmp_path))
    for name, right in ends[0].items():
        assert right.dtype == np.float32
        for found in ends[1:]:
            assert found[name].tobytes() == right.tobytes(), name
    moved = trees.named(settings.initial(32, 10))
    assert all(np.any(ends[0][f"params.{name}"] != a) for name, a in moved.items())
    losses = [[epoch.loss for epoch in run.history] for run in (whole, rest)]
    assert losses[0] == losses[1]


# Settings and data


def test_what_is_given_comes_before_the_recipe_and_that_before_the_defaults() -> None:
    plain = training.settings(backend="jax", model="lif")
    assert (plain.seq_length, plain.hidden, plain.gain) == (8, 128, 1.0)
    row = training.settings(backend="jax", by="row", hidden=7)
    assert (row.model, row.hidden, row.gain) == ("alif", 7, training.RECIPES["alif-row"]["gain"])
    pixel = training.settings(backend="jax", by="pixel")
    assert pixel.seq_length == 64
    assert dict(pixel.draws) == training.RECIPES["alif-pixel"]["draws"]
    mnist = training.settings(backend="jax", data="folder", by="pixel")
    assert mnist.seq_length == 784


def test_the_published_recipe() -> None:
    """As the paper and the names of the authors' files of weights have it."""
    s = training.settings(backend="torch", recipe="brf-smnist", data="folder")
    assert (s.model, s.seq_length, s.hidden, s.epochs) == ("brf", 784, 256, 300)
    assert (s.batch, s.rate, s.decay, s.clip) == (256, 0.1, "linear", 1.0)
    assert (s.output, s.bias, s.permuted) == ("last", False, False)
    params = s.initial(1, 10)
    omega, damping = params["hidden0"]["omega"], params["hidden0"]["b_off"]
    assert 15 <= omega.min() < 20 < 45 < omega.max() <= 50
    assert 0.1 <= damping.min() < 0.2 < 0.9 < damping.max() <= 1
    assert sum(a.size for a in trees.leaves(params)) == 68874  # as counted in the authors' code
    tau = -1 / np.log(1 / (1 + np.exp(-np.random.default_rng(0).normal(2.96, 0.25, 10**5))))
    assert abs(np.median(tau) - 20) < 0.5
    assert abs(np.std(tau) - 5) < 0.5
    config = json.loads(json.dumps(s.to_json()))
    assert Settings.from_json(config) == Settings.from_json(json.loads(json.dumps(config)))


@pytest.mark.parametrize("steps", [1, 4, 8, 64])
def test_digits_are_read_in_rows_of_any_length(steps: int) -> None:
    data = training.sequences(training.settings(backend="jax", seq_length=steps, current=3.0))
    rows = digits("row").train  # (8 rows, sequences, 8)
    images = rows.swapaxes(0, 1).reshape(-1, 64)
    assert data.train.shape == (steps, len(images), 64 // steps)
    assert data.train.dtype == np.float32
    for place in (0, 9, 33, 60):
        step, feature = divmod(place, 64 // steps)
        np.testing.assert_allclose(data.train[step, :, feature], 3 * images[:, place], rtol=1e-6)


def test_permuted_pixels_are_in_one_order_for_every_image_and_run() -> None:
    runs = [training.settings(backend="jax", by="pixel", permuted=True, seed=s) for s in (0, 1)]
    a, b = (training.sequences(settings).train for settings in runs)
    assert a.tobytes() == b.tobytes()
    plain = training.sequences(training.settings(backend="jax", by="pixel")).train
    assert a.tobytes() != plain.tobytes()
    np.testing.assert_array_equal(np.sort(a[:, :9, 0], axis=0), np.sort(plain[:, :9, 0], axis=0))
    order = [[np.flatnonzero((plain[:, :, 0] == row).all(axis=1))[0] for row in a[20:24, :, 0]]]
    assert len(set(order[0])) == 4


# Checkpoints


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoint:
    """A checkpoint without a framework having been asked."""
    settings = small()
    params = settings.initial(32, 10)
    rng = np.random.default_rng(0)
    moments = tuple(
        trees.map(lambda a: rng.normal(size=a.shape).astype(a.dtype), params) for _ in range(2)
    )
    epoch = training.Epoch(2.5, 0.25, 0.5, 1.5)
    run = Checkpoint(settings, State(params, (moments[0], moments[1]), 5), [epoch])
    run.write(tmp_path)
    return run


def test_a_checkpoint_comes_back_as_it_was(kept: Checkpoint, tmp_path: Path) -> None:
    back = Checkpoint.read(tmp_path)
    assert (back.settings.to_json(), back.history) == (kept.settings.to_json(), kept.history)
    assert back.state.step == 5
    right = numbers(kept)
    assert numbers(back).keys() == right.keys()
    for name, array in numbers(back).items():
        assert array.tobytes() == right[name].tobytes()
        assert array.dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def about(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], None]:
    def changed(arrays: dict[str, Any]) -> None:
        content = json.loads(arrays["about"].tobytes())
        change(content)
        arrays["about"] = np.frombuffer(json.dumps(content).encode(), np.uint8)

    return changed


def text(content: bytes) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update(about=np.frombuffer(content, np.uint8))


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no JSON": (lambda a: a.pop("about"), "lacks 'about'"),
    "half of the JSON": (
        lambda a: a.update(about=a["about"][:100]), r"is damaged \(.*(line 1|Unterminated)"
    ),
    "not UTF-8": (text(b"\xff\xfe{}"), "is damaged"),
    "JSON of something else": (text(b"[1, 2]"), "is damaged"),
    "no settings": (about(lambda c: c.pop("settings")), "lacks 'settings'"),
    "settings of another version": (
        about(lambda c: c["settings"].update(colour=1)), "settings differ in colour"
    ),
    "settings that are wrong": (
        about(lambda c: c["settings"].update(hidden=-1)), "hidden is -1; expected an integer"
    ),
    "a step that is none": (about(lambda c: c.update(step="x")), "step is 'x'"),
    "an epoch that is none": (about(lambda c: c.update(history=[{"a": 1}])), "is damaged"),
    "other sizes": (
        about(lambda c: c["settings"].update(hidden=6)), r"hidden0\.\w+ is float32 of shape"
    ),
    "another dtype": (
        about(lambda c: c["settings"].update(dtype="float64")), "settings say float64"
    ),
    "an array missing": (
        lambda a: a.pop("second.readout.bias"), r"second\.readout\.bias is missing"
    ),
    "an array too many": (
        lambda a: a.update({"params.hidden0.rest": np.zeros(3)}), "settings say none"
    ),
    "an array of another shape": (
        lambda a: a.update({"first.hidden0.bias": np.zeros(6, np.float32)}), r"of shape \(6,\)"
    ),
    "no parameters": (
        lambda a: [a.pop(k) for k in list(a) if k.startswith("params")], "has first, second"
    ),
    "a matrix that is a number": (
        lambda a: a.update({"params.hidden0.input": np.float32(1)}), "is damaged"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named(damage: str, kept: Checkpoint, tmp_path: Path) -> None:
    change, said = DAMAGES[damage]
    rewritten(tmp_path / "checkpoint.npz", change)
    with pytest.raises(ValueError, match=rf"checkpoint\.npz is damaged .*{said}|{said}") as caught:
        Checkpoint.read(tmp_path)
    assert "without --resume" in str(caught.value)


def test_a_checkpoint_cut_off_or_changed_anywhere_is_named(
    kept: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    ends = np.linspace(0, len(content) - 1, 40).astype(int)
    rng = np.random.default_rng(1)
    places = rng.integers(0, len(content), 60)
    changed = [content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
               for place in places]  # fmt: skip
    refused = 0
    for damaged in [*(content[:end] for end in ends), *changed]:
        path.write_bytes(damaged)
        try:
            found = Checkpoint.read(tmp_path)
        except ValueError as error:
            assert "checkpoint.npz" in str(error)  # noqa: PT017
            refused += 1
        else:  # in a part that nobody reads, such as the time in the archive
            for name, right in numbers(kept).items():
                assert numbers(found)[name].tobytes() == right.tobytes()
    assert refused > 80


def test_none_is_there_or_it_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a checkpoint to go on from"):
        Checkpoint.read(tmp_path)


def test_a_full_disk_leaves_the_checkpoint_of_before(
    kept: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.npz"
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    settings = small(epochs=2)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*before is as it was") as caught:
        training.train(settings, data=few(settings), folder=tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_write_that_the_kernel_refuses_leaves_the_checkpoint_of_before(
    kept: Checkpoint, tmp_path: Path
) -> None:
    """A real one: no file of this process may be longer than half a checkpoint."""
    path = tmp_path / "checkpoint.npz"
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"cannot be written .*as it was"):
            kept.write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


@AUTODIFF
def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_checkpoint(
    framework: str, tmp_path: Path, eager: None
) -> None:
    settings = small(framework, epochs=3, seed=1)
    data = few(settings)
    with pytest.raises(StoppedError):
        training.train(settings, data=data, folder=tmp_path, on_epoch=stop_after(1))
    before = (tmp_path / "checkpoint.npz").read_bytes()
    wild = replace(Checkpoint.read(tmp_path), settings=replace(settings, rate=3e38))
    with pytest.raises(FloatingPointError, match=r"epoch 2, step (6|7|8): .*lower the rate"):
        training.train(wild, data=data, folder=tmp_path)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


def test_a_moment_that_is_no_number_is_named(kept: Checkpoint) -> None:
    """Loss and parameters stay finite, but Adam would never move again."""
    mean, square = kept.state.moments
    square = trees.map(lambda v: np.full_like(v, np.inf), square)
    stuck = replace(kept, state=kept.state._replace(moments=(mean, square)))
    stuck = replace(stuck, settings=replace(kept.settings, epochs=len(kept.history) + 1))
    with pytest.raises(FloatingPointError, match=r"Adam's mean square of .* is not finite; "):
        training.train(stuck, data=few(stuck.settings))


def test_a_frequency_that_has_run_away_is_named() -> None:
    settings = small(model="brf", epochs=1, draws={"omega": ["uniform", 150.0, 160.0]})
    with pytest.raises(ValueError, match=r"hidden0: BRF: neuron 0: omega is 1.*expected omega"):
        training.train(settings, data=few(settings))


# Several frameworks


@pytest.mark.skipif(len(INSTALLED) < 2, reason="one framework cannot be compared")
def test_frameworks_stay_together_in_double_precision(eager: None) -> None:
    settings = small(INSTALLED[0], dtype="float64", epochs=2)
    found = training.compare(settings, INSTALLED, data=few(settings))
    assert found.partings == []
    assert found.tolerance == 1e-9
    assert len(found.first_steps) == 10 * (len(INSTALLED) - 1)
    assert {(d.backend, d.epoch) for d in found.epochs} == {
        (name, epoch) for name in INSTALLED[1:] for epoch in (1, 2)
    }
    for difference in (*found.first_steps, *found.epochs):
        assert max(difference.params.values()) <= 1e-9
        assert set(difference.params) == set(trees.named(settings.initial(32, 10)))
    # Rounding differs: what is compared is not one framework with itself.
    assert any(size > 0 for d in found.epochs for size in d.params.values())
    assert len(set(map(tuple, found.accuracies.values()))) == 1


@pytest.mark.skipif(len(INSTALLED) < 2, reason="one framework cannot be compared")
def test_where_and_when_frameworks_part_is_said(
    monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    """One of them is given another number in its seventh step."""
    from fgi.training.learner import Learner

    one, other = INSTALLED[-2:]
    step = Learner.step
    sizes: list[float] = []

    def disturbed(self: Learner, *batch: Any) -> Any:
        result = step(self, *batch)
        bias = self.params["readout"]["bias"]
        if self.settings.backend == one and self.made == 7:
            sizes.append(float(np.abs(fgi.convert(bias, "numpy")).max()))
        if self.settings.backend == other and self.made == 7:
            self.params = {**self.params, "readout": {**self.params["readout"], "bias": bias + 3.0}}
        return result

    monkeypatch.setattr(Learner, "step", disturbed)
    settings = small(one, dtype="float64", epochs=2)
    found = training.compare(settings, (one, other), data=few(settings))
    (parting,) = found.partings
    assert (parting.backend, parting.epoch, parting.step) == (other, 2, 7)
    assert parting.what == "readout.bias"
    before, after = found.first_steps[5], found.first_steps[6]
    assert before.params["readout.bias"] < 1e-9
    assert after.params["readout.bias"] == pytest.approx(3.0 / sizes[0], rel=1e-6)
    assert parting.difference == after.params["readout.bias"]
    assert after.params["hidden0.input"] < 1e-9


# The command line


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["train", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def program(*arguments: str, path: Path | str = "") -> subprocess.CompletedProcess[str]:
    """`fgi train` in a process of its own, which looks for modules in ``path`` first."""
    return subprocess.run(
        [sys.executable, "-m", "fgi", "train", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *sys.path])},
    )


TINY = ("--backend", INSTALLED[-1], "--seq-length", "2", "--hidden", "4", "--batch", "300")


def test_a_run_and_its_files(tmp_path: Path) -> None:
    folder, out = tmp_path / "kept", tmp_path / "run.json"
    options = [*TINY, "--decay", "none", "--surrogate", "gaussian:sigma=0.4", "--checkpoint"]
    status, said, _ = run(*options, str(folder), "--epochs", "2", "--json", str(out))
    assert status == 0
    assert len(re.findall(r"^ +[12] +\d\.\d+ +[\d.]+ % +[\d.]+ % +[\d.]+$", said, re.M)) == 2
    assert out.read_text().count("\n") == 1
    content = json.loads(out.read_text())
    assert len(content["history"]) == 2
    assert content["settings"]["surrogate"]["sigma"] == 0.4
    assert content["versions"] == {INSTALLED[-1]: frameworks.backend(INSTALLED[-1]).version}
    assert f"test accuracy {100 * content['accuracy']:.1f} %" in said
    assert {"command", "date", "machine", "threads", "python", "fgi"} <= set(content)

    # Twice two epochs are four, where the rate does not decay.
    status, said, _ = run("--checkpoint", str(folder), "--resume", "--epochs", "4", "--json", "-")
    assert status == 0
    assert len(json.loads(said.splitlines()[-1])["history"]) == 4
    other = tmp_path / "other"
    assert run(*options, str(other), "--epochs", "4")[0] == 0
    a, b = (numbers(Checkpoint.read(at)) for at in (folder, other))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)

    # Other settings are named, each of them; the same ones are none.
    before = (folder / "checkpoint.npz").read_bytes()
    status, _, error = run(
        "--checkpoint", str(folder), "--resume", "--hidden", "5", "--rate", "1", "--batch", "300",
        "--surrogate", "atan",
    )  # fmt: skip
    assert status == 2
    for difference in ("hidden: 4 there, 5 given", "rate: 0.01 there, 1.0 given", "surrogate: {"):
        assert difference in error
    assert "batch" not in error
    assert (folder / "checkpoint.npz").read_bytes() == before
    status, said, _ = run(*options, str(folder), "--resume")
    assert status == 0
    assert "4 of 4 epochs were done already" in said


@pytest.mark.skipif(len(INSTALLED) < 2, reason="one framework cannot be compared")
def test_a_comparison() -> None:
    status, said, error = run(
        "--compare", ",".join(INSTALLED[-2:]), *TINY[2:], "--epochs", "1", "--json", "-",
        "--dtype", "float64",
    )  # fmt: skip
    assert status == 0, error
    content = json.loads(said.splitlines()[-1])
    assert content["comparison"]["backends"] == list(INSTALLED[-2:])
    assert content["comparison"]["partings"] == []
    assert f"{INSTALLED[-1]} stays within 1e-09 of {INSTALLED[-2]}" in said


def npz(path: Path, **changes: Any) -> Path:
    parts: dict[str, Any] = {
        "x_train": np.zeros((6, 28, 28), np.float32), "y_train": np.arange(6),
        "x_test": np.zeros((2, 28, 28), np.float32), "y_test": np.arange(2),
    }  # fmt: skip
    np.savez(path, **parts | changes)
    return path


def holes() -> Any:
    images = np.zeros((6, 28, 28), np.float32)
    images[2, 3, 4] = np.nan
    return images


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "batch 0": (("--batch", "0"), r"batch is 0; expected an integer >= 1"),
    "batch too large": (("--batch", "5000"), r"batch is 5000; expected 1 to 1437"),
    "T = 0": (("--seq-length", "0"), r"seq-length is 0; expected a divisor of 64"),
    "T that divides nothing": (("--seq-length", "28"), r"seq-length is 28; expected a divisor"),
    "T twice": (("--seq-length", "4", "--by", "row"), r"by is 'row' and seq-length 4"),
    "no epochs": (("--epochs", "0"), r"epochs is 0; expected an integer >= 1"),
    "no neurons": (("--hidden", "-3"), r"hidden is -3"),
    "rate": (("--rate", "nan"), r"rate is nan; expected a number > 0"),
    "rate 0": (("--rate", "0"), r"rate is 0.0; expected a number > 0"),
    "clip": (("--clip", "-1"), r"clip is -1.0; expected a number >= 0"),
    "seed": (("--seed", "-1"), r"seed is -1; expected an integer >= 0"),
    "model": (("--model", "alf"), r"model is 'alf'; did you mean alif\? expected one of alif, brf"),
    "recipe": (("--recipe", "brf"), r"recipe is 'brf'; .*expected one of alif-row"),
    "reading": (("--by", "column"), r"by is 'column'; expected one of row, pixel"),
    "decay": (("--decay", "cosin"), r"decay is 'cosin'; did you mean cosine\?"),
    "dtype": (("--dtype", "float16"), r"dtype is 'float16'; .*expected one of float32, float64"),
    "surrogate": (("--surrogate", "atam"), r"'atam' is in no catalogue; did you mean atan"),
    "surrogate's parameter": (("--surrogate", "atan:alpha=-1"), r"alpha is -1"),
    "backend": (("--backend", "theano"), r"unknown backend 'theano'; expected"),
    "backend without gradients": (("--backend", "numpy"), r"no automatic differentiation"),
    "device": (("--device", "tpu"), r"device is 'tpu'; .*expected one of cpu, cuda"),
    "no such folder": (("--data", "/no/such/folder"), r"/no/such/folder is neither a folder nor"),
    "resume without a place": (("--resume",), r"--resume without --checkpoint; expected the f"),
    "nothing to resume": (
        ("--resume", "--checkpoint", "{tmp}/none"), r"checkpoint.npz is not there; expected a ch"
    ),
    "a place that is a file": (("--checkpoint", "{tmp}/file"), r"/file/checkpoint.npz cannot be"),
    "compare one": (("--compare", INSTALLED[0]), r"compare is \w+; expected two or three"),
    "compare nothing": (("--compare", ","), r"unknown|compare is"),
    "compare and keep": (("--compare", "torch,jax", "--checkpoint", "x"), r"expected one or the"),
    "wrong rank": (("--data", "{tmp}/rank.npz"), r"images of shape \(6, 28\)"),
    "NaN": (("--data", "{tmp}/nan.npz"), r"one of 1 numbers that are not finite"),
    "labels": (("--data", "{tmp}/labels.npz"), r"label 5 is 11, .*expected 0 to 9"),
    "no archive": (("--data", "{tmp}/bad.npz"), r"cannot be unpacked"),
    "a file that is no data": (("--data", "{tmp}/file"), r"cannot be unpacked"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "file").write_text("x")
    (folder / "bad.npz").write_bytes(b"PK\x03\x04 but no more")
    npz(folder / "rank.npz", x_train=np.zeros((6, 28), np.float32))
    npz(folder / "nan.npz", x_train=holes())
    npz(folder / "labels.npz", y_train=np.array([0, 1, 2, 3, 4, 11]))
    return folder


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case: str, bad_files: Path) -> None:
    arguments, said = BAD[case]
    given = [word.replace("{tmp}", str(bad_files)) for word in arguments]
    given += (
        [] if {"--backend", "--compare", "--resume"} & set(given) else ["--backend", INSTALLED[-1]]
    )
    given += [] if "--epochs" in given else ["--epochs", "1"]
    status, out, error = run(*given)
    assert status == 2, out
    assert error.startswith("fgi train: ")
    assert error.count("\n") == 1, error
    assert re.search(said, error), error


@pytest.mark.parametrize("arguments", [("--backend", "torch"), ("--compare", "torch,jax")])
def test_a_missing_framework_is_named(arguments: tuple[str, str], tmp_path: Path) -> None:
    """In a process that finds a torch which is none."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    done = program(*arguments, "--epochs", "1", path=tmp_path)
    assert done.returncode == 2
    assert "the backend 'torch' needs torch, which is not installed; write pip" in done.stderr
    assert done.stderr.count("\n") == 1


@AUTODIFF
def test_a_device_that_is_not_there_is_named(framework: str) -> None:
    with fgi.use_backend(framework):
        try:
            fgi.namespace().device("cuda")  # type: ignore[attr-defined]
        except LookupError:
            pass
        else:
            pytest.skip("a CUDA device is there")
    status, _, error = run("--backend", framework, "--device", "cuda", "--epochs", "1")
    assert status == 2
    assert re.search(rf"fgi train: {framework} \S+ sees no cuda device", error)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so that the system's answer is put in."""

    def refused(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    path = npz(tmp_path / "mnist.npz")
    monkeypatch.setattr(Path, "read_bytes", refused)
    status, _, error = run("--data", str(path), "--backend", INSTALLED[-1])
    assert status == 2
    assert error == f"fgi train: {path}: Permission denied\n"


# In a process of its own


def test_as_a_program(tmp_path: Path) -> None:
    done = program(*TINY, "--epochs", "1", "--checkpoint", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    assert "test accuracy" in done.stdout
    assert len(Checkpoint.read(tmp_path).history) == 1


# What is committed


def test_committed_runs_learned_what_the_page_says() -> None:
    """Rows from 95 % on; pixels from 80 % on with the better neuron; each within ten minutes."""
    runs = training_page.results()
    found = {
        (r["settings"]["seq_length"], r["settings"]["model"], r["settings"]["backend"]): r
        for r in runs
    }
    every = ("torch", "jax", "tensorflow")
    assert set(found) == {
        (steps, model, name)
        for steps, model in ((8, "alif"), (64, "alif"), (64, "brf"))
        for name in every
    }
    for name in every:
        assert found[8, "alif", name]["accuracy"] >= 0.95
        assert max(found[64, model, name]["accuracy"] for model in ("alif", "brf")) >= 0.8
    for run in runs:
        assert run["seconds"] < 600
        assert run["accuracy"] == run["history"][-1]["accuracy"]
        of = run["settings"]
        assert len(run["history"]) == of["epochs"]
        now = training.settings(
            backend=of["backend"], model=of["model"], seq_length=of["seq_length"]
        ).to_json()
        assert json.loads(json.dumps(now)) == of, "the recipe has changed: run it again"
        assert {"command", "date", "machine", "threads", "python", "versions"} <= set(run)


def test_the_page_has_the_table_of_the_committed_runs() -> None:
    assert training_page.page() == (training_page.DOCS / "training.md").read_text()
    text = training_page.page()
    for run in training_page.results():
        (version,) = run["versions"].values()
        of = run["settings"]
        line = rf"\| {of['seq_length']} \| {of['model'].upper()} \| \d+ \| {of['backend']} "
        assert re.search(rf"{line}{re.escape(version)} \| {100 * run['accuracy']:.1f} % ", text)


@pytest.mark.sweep
@AUTODIFF
@pytest.mark.parametrize(
    ("model", "by", "least"), [("alif", "row", 0.95), ("alif", "pixel", 0.8), ("brf", "pixel", 0.8)]
)
def test_the_recipes_learn(framework: str, model: str, by: str, least: float) -> None:
    run = training.train(training.settings(backend=framework, model=model, by=by))
    assert run.history[-1].accuracy >= least
    assert sum(epoch.seconds for epoch in run.history) < 600
