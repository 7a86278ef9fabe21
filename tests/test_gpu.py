"""On a GPU, compiled: y is f(x) bit for bit, also where x is a product of the same kernel.

And fgi beside each framework's own custom-gradient mechanism there: the same values and gradients,
and the time of each, printed. ``make test-gpu``; without a device each test says that it was
skipped. The same code runs on the CPU at the end, so that it cannot rot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.bench import measure, report, runner
from support import catalogue, frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
# Without jumps: in 16 bits the x of a kernel need not be the x of here.
SMOOTH = [
    catalogue.CLASSES[name]()
    for name in ("Gaussian", "DoubleGaussian", "Sigmoid", "ATan", "Triangle", "FastSigmoid")
]
INPUTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "loaded": lambda a, b, c: a,
    "a*b": lambda a, b, c: a * b,
    "a*b - c": lambda a, b, c: a * b - c,
}
SIZE = 4096


def on_gpu(framework: str, x: np.ndarray[Any, Any]) -> Any:
    """The array on the device; skips where the framework sees none."""
    if framework == "torch":
        torch = frameworks.load("torch")
        if not torch.cuda.is_available():
            pytest.skip("torch sees no CUDA device")
        return frameworks.to_framework("torch", x).cuda()
    if framework == "jax":
        jax = frameworks.load("jax")
        if jax.default_backend() != "gpu":
            pytest.skip("jax sees no GPU")
        return jax.device_put(x)
    tf = frameworks.load("tensorflow")
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("tensorflow sees no GPU")
    with tf.device("/GPU:0"):
        return tf.convert_to_tensor(x)


def on_cpu(framework: str, x: np.ndarray[Any, Any]) -> Any:
    return frameworks.to_framework(framework, x)


def to_numpy(framework: str, x: Any) -> np.ndarray[Any, Any]:
    return frameworks.to_numpy(framework, x.cpu() if framework == "torch" else x)


def check(
    framework: str,
    case: str,
    dtype: str,
    place: Callable[..., Any],
    spikes: list[Any] = catalogue.DEFAULTS,
) -> None:
    """The value of all of them; the slope of those without jumps."""
    rng = np.random.default_rng(0)
    ends = [np.inf, -np.inf, np.nan, 0.0, -0.0]
    a_, b_, c_, u_ = (
        np.concatenate([rng.standard_normal(SIZE), ends]).astype(frameworks.numpy_dtype(dtype))
        for _ in range(4)
    )
    u_ = np.where(np.isfinite(u_.astype(np.float32)), u_, 2).astype(a_.dtype)
    a, b, c, u = (place(framework, v) for v in (a_, b_, c_, u_))
    xp = frameworks.backend(framework)

    for spike in spikes:

        def both(a: Any, b: Any, c: Any, spike: Any = spike) -> Any:
            x = INPUTS[case](a, b, c)
            # f of the very x that this kernel computed, whatever was fused to get it.
            return spike(x), spike.native().value(x)

        def slopes(a: Any, b: Any, c: Any, u: Any, spike: Any = spike) -> Any:
            def loss(a: Any) -> Any:
                return xp.sum(spike(INPUTS[case](a, b, c)) * u)

            return fgi.grad(loss)(a)

        y, fx = (to_numpy(framework, v) for v in fgi.compile(both)(a, b, c))
        assert y.tobytes() == fx.tobytes(), f"{spike}: {np.sum(y != fx)} values are not f(x)"
        if spike not in SMOOTH:
            continue

        with np.errstate(all="ignore"):
            x_ = INPUTS[case](*(v.astype(np.float64) for v in (a_, b_, c_)))
            inner = np.ones_like(x_) if case == "loaded" else b_.astype(np.float64)
            expected = u_.astype(np.float64) * spike.derivative(x_) * inner
        da = to_numpy(framework, fgi.compile(slopes)(a, b, c, u)).astype(np.float64)
        ordinary = np.isfinite(x_) & np.isfinite(inner)
        tolerance = {"float64": 1e-12, "float32": 2e-5, "bfloat16": 0.1}[dtype]
        np.testing.assert_allclose(da[ordinary], expected[ordinary], rtol=0, atol=4 * tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("case", INPUTS)
@pytest.mark.parametrize("framework", AUTODIFF)
def test_exact_on_the_device(framework: str, case: str, dtype: str) -> None:
    check(framework, case, dtype, on_gpu)


def compare(
    framework: str, execution: str, device: str, size: int, rounds: int, place: Callable[..., Any]
) -> list[dict[str, Any]]:
    """The rows of ``fgi bench``: the values of fgi are f, and its gradients the native ones."""
    xp = frameworks.backend(framework)
    spike = fgi.surrogates.ATan()
    rng = np.random.default_rng(0)
    x, u = (place(framework, rng.standard_normal(size).astype(np.float32)) for _ in range(2))
    native = [spike.native(name) for name in xp.mechanisms]
    answers = []
    for f in (spike, *native):
        y, pullback = fgi.vjp(f, x)
        answers.append([to_numpy(framework, v) for v in (y, pullback(u)[0])])
    for theirs in answers[1:]:
        for mine, other in zip(answers[0], theirs, strict=True):
            assert mine.tobytes() == other.tobytes()

    settings = json.dumps(spike.to_config())
    group = measure.Group("elementwise", size, "float32", settings, framework, execution, device)
    rows = measure.measure(group, rounds=rounds, seconds=10.0)
    by_name = {row["mechanism"]: row for row in rows}
    assert {"fgi", *xp.mechanisms} <= set(by_name)
    for name in ("fgi", *xp.mechanisms):
        row = by_name[name]
        assert "error" not in row, row
        assert row["differ"] == 0 < row["values"]
        assert {"inference", "both"} <= set(row["seconds"])
        assert all(3 <= len(taken) <= rounds for taken in row["seconds"].values())
        assert all(value > 0 for taken in row["seconds"].values() for value in taken)
    return rows


def told(framework: str, execution: str, rows: list[dict[str, Any]]) -> str:
    by_name = {row["mechanism"]: row for row in rows}
    best = report.native(by_name)
    training = report.ratio(by_name["fgi"], by_name[best], "both")
    inference = report.ratio(by_name["fgi"], by_name["f alone"], "inference")
    limit = report.ratio(by_name["fgi"], by_name["floor"], "both")
    return (
        f"{framework} {execution}: training {training:.2f} of {best}, {limit:.2f} of the limit; "
        f"inference {inference:.2f} of f alone"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("framework", AUTODIFF)
def test_timed_beside_the_native_mechanism_on_the_device(
    framework: str, record_property: Callable[[str, object], None], capfd: Any
) -> None:
    """Every way to run that the framework has there; the ratios are printed, not judged."""
    on_gpu(framework, np.ones(1, np.float32))  # skips without one
    about = runner.settings([framework], "cuda", "make test-gpu")["frameworks"][framework]
    lines = [f"{framework} {about}"]
    for name, execution in measure.timing(framework).EXECUTIONS.items():
        if "function" in execution.takes and execution.absent() is None:
            rows = compare(framework, name, "cuda", 2**24, 20, on_gpu)
            lines.append(told(framework, name, rows))
            record_property(f"{framework} {name}", lines[-1])
    with capfd.disabled():
        print("", *lines, sep="\n")


@pytest.mark.parametrize(
    ("framework", "execution"),
    [
        (framework, execution)
        for framework, execution in (
            ("torch", "eager"), ("torch", "TorchScript"), ("jax", "jit"), ("tensorflow", "XLA"),
        )
        if framework in AUTODIFF
    ],
)  # fmt: skip
def test_the_comparison_itself_on_the_cpu(framework: str, execution: str) -> None:
    rows = compare(framework, execution, "cpu", 256, 3, on_cpu)
    assert told(framework, execution, rows).startswith(f"{framework} {execution}: training ")


@pytest.mark.parametrize("framework", AUTODIFF)
def test_the_check_itself_on_the_cpu(framework: str) -> None:
    check(framework, "a*b", "float32", on_cpu, SMOOTH[:1])
