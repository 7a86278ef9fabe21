"""docs/export.md: each row of its table; the programs of it; and what runs elsewhere is f."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import catalogue, exact, exports, frameworks

ROOT = Path(__file__).parents[1]
TEXT = exports.PAGE.read_text()
ROWS = exports.on_page()
AUTODIFF = frameworks.INSTALLED_AUTODIFF
needs_torch = pytest.mark.skipif("torch" not in AUTODIFF, reason="torch is not installed")
needs_tensorflow = pytest.mark.skipif(
    "tensorflow" not in AUTODIFF, reason="tensorflow is not installed"
)


def installed(framework: str, written: str) -> None:
    if framework not in AUTODIFF:
        pytest.skip(f"{framework} is not installed")
    if (name := exports.missing(written)) is not None:
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize(("framework", "written"), [cells[:2] for cells in ROWS])
def test_a_row_of_the_page_is_what_is_found(framework: str, written: str) -> None:
    installed(framework, written)
    (row,) = (cells for cells in ROWS if cells[:2] == (framework, written))
    assert exports.row(framework, written) == row


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_page_has_every_way_and_no_other(framework: str) -> None:
    on_page = [written for name, written, *_ in ROWS if name == framework]
    assert on_page == list(exports.WAYS[framework]())


def test_the_page_is_of_the_pinned_versions() -> None:
    pins = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    (said,) = re.findall(r"^Versions: (.*?)\.\n\n", TEXT, re.MULTILINE | re.DOTALL)
    versions = dict(each.split() for each in said.split(","))
    assert set(versions) == {"torch", "jax", "tensorflow-cpu", *exports.NEEDS["torch.onnx.export"]}
    for name, version in versions.items():
        assert pins.get(name, version) == version


# Training goes on after the file.

W = np.array([[0.5, -1.0, 0.25], [2.0, 0.75, -0.5]])
DATA = np.array([[1.0, -0.5], [0.25, 1.5], [-2.0, 0.5]])
TARGET = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
RATE = 0.125
WIDE = fgi.surrogates.Sigmoid(alpha=2.0)


def steps(count: int) -> list[np.ndarray[Any, Any]]:
    """By hand: gradient descent on sum((step(x w) - t)^2), with the slope 2 s (1 - s)."""
    w, found = W, []
    for _ in range(count):
        h = DATA @ w
        s = 1 / (1 + np.exp(-2 * h))
        w = w - RATE * DATA.T @ (2 * ((h > 0) - TARGET) * 2 * s * (1 - s))
        found.append(w)
    return found


def torch_weights(change: Any) -> list[np.ndarray[Any, Any]]:
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor(W))

        def forward(self, x: torch.Tensor) -> Any:
            return WIDE(x @ self.w)

    x, target = torch.tensor(DATA), torch.tensor(TARGET)
    file = io.BytesIO()
    with exports.quiet():
        torch.export.save(change(torch.export.export(Model(), (x,))), file)
        file.seek(0)
        model = torch.export.load(file).module()
    optimiser, found = torch.optim.SGD(model.parameters(), RATE), []
    for _ in range(3):
        optimiser.zero_grad()
        ((model(x) - target) ** 2).sum().backward()
        optimiser.step()
        found.append(model.get_parameter("w").detach().numpy().copy())
    return found


@needs_torch
def test_an_exported_program_of_torch_trains_after_it_is_loaded() -> None:
    import torch

    table = torch.export.default_decompositions()
    table.pop(torch.ops.aten.detach.default)
    for change in (lambda p: p, lambda p: p.run_decompositions(table)):
        np.testing.assert_allclose(torch_weights(change), steps(3), rtol=1e-12)
    lost = torch_weights(lambda p: p.run_decompositions())
    np.testing.assert_array_equal(lost, [W, W, W])


@pytest.mark.skipif("jax" not in AUTODIFF, reason="jax is not installed")
def test_an_exported_program_of_jax_trains_after_it_is_loaded() -> None:
    jax = frameworks.load("jax")
    from jax import export

    w = jax.numpy.asarray(W)
    file = export.export(jax.jit(lambda w, x: WIDE(x @ w)))(w, DATA).serialize(vjp_order=1)
    program = export.deserialize(file).call
    gradient = jax.jit(jax.grad(lambda w: ((program(w, DATA) - TARGET) ** 2).sum()))
    found = [w := w - RATE * gradient(w) for _ in range(3)]
    np.testing.assert_allclose(found, steps(3), rtol=1e-12)


@needs_tensorflow
def test_a_saved_model_of_tensorflow_trains_after_it_is_loaded(tmp_path: Path) -> None:
    tf = frameworks.load("tensorflow")
    module = tf.Module()
    module.w = tf.Variable(W)
    signature = [tf.TensorSpec([None, 2], tf.float64)]
    module.f = tf.function(lambda x: WIDE(x @ module.w), input_signature=signature, autograph=False)
    with exports.quiet():
        tf.saved_model.save(module, tmp_path)
    loaded, found = tf.saved_model.load(tmp_path), []
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((loaded.f(tf.constant(DATA)) - TARGET) ** 2)
        loaded.w.assign_sub(RATE * tape.gradient(loss, loaded.w))
        found.append(loaded.w.numpy())
    np.testing.assert_allclose(found, steps(3), rtol=1e-12)


# What runs elsewhere is f.


def bank(x: Any) -> Any:
    """Row i of x through surrogate i of the catalogue."""
    return fgi.namespace(x).stack([f(x[i]) for i, f in enumerate(catalogue.DEFAULTS)])


def elsewhere(framework: str, written: str, dtype: str) -> tuple[Any, Any, Any]:
    """x, the catalogue there, and the same by NumPy."""
    installed(framework, written)
    row = exact.grid(np.dtype(dtype))
    x = np.stack([row] * len(catalogue.DEFAULTS))
    x_ = frameworks.to_framework(framework, x)
    with exports.quiet():
        there = exports.WAYS[framework]()[written](bank, x_).call(x_)
    with np.errstate(all="ignore"):
        return row, there, bank(x)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_catalogue_in_onnxruntime(dtype: str) -> None:
    _, there, numpys = elsewhere("torch", "`torch.onnx.export` in `torch.no_grad()`", dtype)
    assert there.dtype == dtype
    np.testing.assert_array_equal(there, numpys)


def test_the_catalogue_in_tensorflow_lite() -> None:
    way = "`tf.lite.TFLiteConverter` in `fgi.inference_mode(traced=True)`"
    row, there, numpys = elsewhere("tensorflow", way, "float32")
    assert there.dtype == "float32"
    for spike, got, expected in zip(catalogue.DEFAULTS, there, numpys, strict=True):
        # The sign of NaN is 0 there.
        compared = ~np.isnan(row) if spike.name == "swish_sign" else slice(None)
        np.testing.assert_array_equal(got[compared], expected[compared], err_msg=repr(spike))


# Whether the gradient is still there.


def heaviside(x: Any) -> Any:
    return fgi.heaviside(x)


INJECTED: dict[str, Any] = {
    "surrogate": lambda x: fgi.surrogates.ATan()(x),
    "order": lambda x: fgi.surrogates.ATan(order=4)(x),
    "through": lambda x: fgi.surrogates.ATan(through="primitive")(x),
    "number": lambda x: fgi.surrogates.StraightThrough()(x),
    "negative number": lambda x: fgi.surrogates.GradientReversal()(x),
    "learnable": lambda x: fgi.surrogates.LSQ(step=x.sum())(x),
    "inject": lambda x: fgi.inject(x, heaviside(x), 3 * x),
    "inject a function": lambda x: fgi.inject(x, heaviside(x), lambda x: 3 * x, order=2),
    "bypass": lambda x: fgi.bypass(heaviside(x), 3 * x),
    "custom_jvp": lambda x: fgi.custom_jvp(heaviside, lambda p, t: 3 * t[0])(x),
    "set_gradients": lambda x: fgi.set_gradients(x.detach().sum(), [x], [3 * x.detach()]),
    "tangent": lambda x: fgi.tangent(x),
    "estimator": lambda x: fgi.functional.top_k(x, 2),
}
"""One of each way to inject."""


@needs_torch
@pytest.mark.parametrize("name", INJECTED)
def test_a_lost_gradient_is_named(name: str) -> None:
    import torch

    from fgi_backends.torch.measure.modes import Module

    with exports.quiet():
        program = torch.export.export(Module(INJECTED[name]), (torch.tensor([0.5, -1.0, 2.0]),))
        fgi.torch.check_exported(program)
        fgi.torch.check_exported(program.module())
        lost = program.run_decompositions()
    for each in (lost, lost.module()):
        with pytest.raises(ValueError, match=r"injected gradients? became zero, the first at File"):
            fgi.torch.check_exported(each)


@needs_torch
def test_how_many_are_lost_and_where() -> None:
    import torch

    from fgi_backends.torch.measure.modes import Module

    atan, gaussian = fgi.surrogates.ATan(), fgi.surrogates.Gaussian()

    def branches(x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda x: atan(x), lambda x: gaussian(2 * x), (x,))

    x = torch.tensor([0.5, -1.0])
    for f, count in ((lambda x: gaussian(atan(x) - 0.5), 2), (branches, 2), (atan, 1)):
        with exports.quiet():
            lost = torch.export.export(Module(f), (x,)).run_decompositions()
        ending = "s" * (count > 1)
        match = rf"^fgi\.torch\.check_exported: {count} injected gradient{ending} became zero, "
        with pytest.raises(ValueError, match=match):
            fgi.torch.check_exported(lost)
    with pytest.raises(ValueError, match=r'modes\.py", line \d+, in forward: return self\.f\(x\);'):
        fgi.torch.check_exported(lost)


@needs_torch
def test_a_program_that_has_none_to_lose_passes() -> None:
    import torch

    from fgi_backends.torch.measure.modes import Module

    x = torch.tensor([0.5, -1.0])
    with exports.quiet():
        smooth = torch.export.export(Module(lambda x: (x - 1) - (x + 1)), (x,))
        with torch.no_grad():
            alone = torch.export.export(Module(fgi.surrogates.ATan()), (x,))
        for program in (smooth, alone):
            fgi.torch.check_exported(program.run_decompositions())
    match = r"program is a Linear; expected what torch\.export\.export returns, or its module\(\)"
    with pytest.raises(TypeError, match=match):
        fgi.torch.check_exported(torch.nn.Linear(1, 1))  # type: ignore[arg-type]


@needs_torch
def test_a_surrogate_is_traced_alone() -> None:
    import fgi.testing as T

    T.assert_gradients_match(
        fgi.surrogates.ATan(), backends=["torch"], dtypes=["float32"],
        modes=["jit.trace", "jit.trace, saved"],
    )  # fmt: skip
