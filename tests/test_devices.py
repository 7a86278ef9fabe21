"""Several devices are one: gradients, communication, dtypes, by each framework's own engine."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import devices, frameworks

AUTODIFF = frameworks.INSTALLED_AUTODIFF
ENGINE = {"torch": "DTensor", "jax": "jit", "tensorflow": "MirroredStrategy"}
MORE = {
    ("torch", "features", "order=2"): {"c10d_functional.reduce_scatter_tensor": 1},
}
"""Where fgi communicates more than the native mechanism: docs/devices.md says why."""

needs_torch = pytest.mark.skipif("torch" not in AUTODIFF, reason="torch is not installed")
every_framework = pytest.mark.parametrize("framework", AUTODIFF)


@cache
def found(framework: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return devices.found(framework, Path(folder))


def off(got: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@every_framework
def test_gradients_are_those_of_one_device(framework: str) -> None:
    wanted = devices.by_hand()
    for layout, by_form in found(framework)[ENGINE[framework]].items():
        assert set(by_form) == set(devices.spikes(framework))
        for written, answer in by_form.items():
            for got, each in zip(answer["gradient"], wanted, strict=True):
                assert off(got, each) < 1e-6, (layout, written)
            assert answer.get("same on each", True)


@every_framework
def test_fgi_communicates_no_more_than_the_native_mechanism(framework: str) -> None:
    layouts = found(framework)[ENGINE[framework]]
    assert any(by_form["native"]["talk"] for by_form in layouts.values())
    for layout, by_form in layouts.items():
        native = by_form["native"]["talk"]
        for written, answer in by_form.items():
            more = {op: n - native.get(op, 0) for op, n in answer["talk"].items()}
            more = {op: n for op, n in more.items() if n > 0}
            assert more == MORE.get((framework, layout, written), {}), (layout, written)


@needs_torch
def test_a_pending_sum_is_added_up_at_each_use() -> None:
    layouts = found("torch")["DTensor"]
    for written in ("native", "surrogate"):
        counts = [
            layouts[n][written]["talk"] for n in ("pending sum", "pending sum, redistributed")
        ]
        assert counts == [{"c10d_functional.all_reduce": n} for n in (3, 1)]


@needs_torch
def test_the_catalogue_as_dtensors() -> None:
    for spike, answer in found("torch")["catalogue"].items():
        assert answer["talk"] == 0
        for one, several in answer["pairs"]:
            # Shorter rows: another part of them is computed number by number.
            np.testing.assert_allclose(several, one, rtol=4e-16, atol=0, err_msg=spike)


@needs_torch
def test_distributed_data_parallel() -> None:
    wanted = devices.by_hand()
    native = found("torch")["DDP"]["native"]
    for written, by_precision in found("torch")["DDP"].items():
        learned = written.startswith("learned")
        for precision, (one, two) in by_precision.items():
            assert len(one["gradient"]) == (3 if learned else 2)
            for i, (got, alone) in enumerate(zip(two["gradient"], one["gradient"], strict=True)):
                if written == "learned by the slope" and i == 2:
                    assert not got.any()
                    assert not alone.any()
                    continue
                # 8 bits, rounded once more where the rows come together.
                assert off(got, alone) < (1e-6 if precision == "float32" else 2**-7)
                if not learned and precision == "float32":
                    assert off(got, wanted[i]) < 1e-6
            talk = native[precision][1]["talk"]["all_reduce"]
            assert two["talk"]["all_reduce"] == ([talk[0] + 1] if learned else talk)
            computed = "torch.bfloat16" if precision == "autocast" else "torch.float32"
            assert one["dtypes"] == two["dtypes"] == [computed, computed]
            assert one["parameters"] == two["parameters"] == ["torch.float32"]


@needs_torch
def test_fully_shard_with_a_learned_parameter() -> None:
    answer = found("torch")["fully_shard"]
    assert len(answer["pairs"]) == 3
    for one, several in answer["pairs"]:
        assert np.abs(one).max() > 0
        assert off(several, one) < 1e-6
    assert "scalar" in answer["scalar"]


@pytest.mark.skipif("tensorflow" not in AUTODIFF, reason="tensorflow is not installed")
def test_keras_under_a_mixed_policy_on_two_devices() -> None:
    pytest.importorskip("keras")
    bounds = {"float32": 1e-6, "mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}
    answers = found("tensorflow")["keras"]
    assert set(answers) == set(bounds)
    for policy, (one, two) in answers.items():
        dtype = policy.removeprefix("mixed_")
        for answer in (one, two):
            assert answer["dtypes"] == ["float32"]
            assert answer["spike"] == dtype
        for before, alone, got in zip(
            (devices.W, np.float32(2), devices.V), one["weights"], two["weights"], strict=True
        ):
            assert off(alone, before) > 0.01
            assert off(got, alone) < bounds[policy]
