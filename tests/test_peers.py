"""Every record of what 24 libraries returned: reproduced by a preset, or known to differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks, peers

RECORDS = peers.records()
FUNCTIONS = sorted({record.preset for record in RECORDS})
BUT = set(peers.not_expressible())


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in BUT])
def test_reproduced_or_known_to_differ(function: str) -> None:
    compared = 0
    for record in RECORDS:
        if record.preset != function:
            continue
        spike = peers.spike(record)  # also of what the library itself could not do
        assert isinstance(spike, fgi.Surrogate)
        if "error" in record.index:
            assert any(d.concerns(record, "error") for d in peers.differences()), record
            continue
        compared += 1
        unexplained = peers.unexplained(record)
        assert not unexplained, (str(record), unexplained)
    raises = all("error" in record.index for record in RECORDS if record.preset == function)
    assert compared or raises


@pytest.mark.parametrize("entry", peers.differences(), ids=lambda entry: entry.reason)
def test_what_is_known_to_differ_differs(entry: peers.Difference) -> None:
    for preset in entry.presets:
        mine = [r for r in RECORDS if r.preset == preset and entry.concerns(r, entry.what)]
        assert mine, f"{preset}: no such record"
        assert any(peers.needed(entry, record) for record in mine), f"{preset}: nothing differs"


def test_no_library_is_left_out() -> None:
    tally = peers.tally()
    assert len(tally) == 24
    assert sum(sum(counts.values()) for counts in tally.values()) == len(RECORDS) == 1160
    assert all(counts["reproduced"] for counts in tally.values()), tally
    assert sum(counts["not expressible"] for counts in tally.values()) == sum(
        record.preset in BUT for record in RECORDS
    )
    assert not BUT & set(fgi.surrogates.presets())
    assert set(FUNCTIONS) >= BUT


def test_the_page_has_the_tally() -> None:
    page = (peers.DOCS / "peers.md").read_text()
    assert peers.table(peers.tally()) in page
    for entry in peers.differences():
        assert entry.reason in page


@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_the_example_of_spikingjelly(framework: str) -> None:
    """Sigmoid(alpha=4), as that library's documentation prints it."""
    x_ = [-0.1303, 0.4976, 0.3364, 0.4296, 0.2779, 0.4580, 0.4447, 0.2466]
    gradients = [0.9351, 0.4231, 0.6557, 0.5158, 0.7451, 0.4759, 0.4943, 0.7913]
    x = frameworks.to_framework(framework, np.array(x_, "float32"))
    spike = fgi.surrogates.preset("spikingjelly.Sigmoid", alpha=4.0)
    y, pullback = fgi.vjp(spike, x)
    (dx,) = pullback(frameworks.backend(framework).ones_like(x))
    assert frameworks.to_numpy(framework, y).tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(frameworks.to_numpy(framework, dx), gradients, atol=2e-4)


PEAK_ONE = (
    "PiecewiseQuadratic", "Sigmoid", "SoftSign", "SuperSpike", "ATan", "NonzeroSignLogAbs",
    "QPseudoSpike", "Rect", "S2NN", "LeakyKReLU", "DeterministicPass", "LogTailedReLU",
)  # fmt: skip


@pytest.mark.parametrize("name", PEAK_ONE)
def test_peak_slopes_of_spikingjelly(name: str) -> None:
    """Where its catalogue says that the largest slope at the defaults is 1."""
    x = np.concatenate([np.linspace(-3, 3, 601), [1e-9, 1e-12]])
    peak = fgi.surrogates.preset(f"spikingjelly.{name}").derivative(x).max()
    np.testing.assert_allclose(peak, 1, rtol=1e-8)


# "library.function" and its gradient with respect to a parameter; d(sum(y))/d(parameter).
LEARNED = [record for record in RECORDS if record.index.get("param_grads")]


@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_gradients_of_the_parameters(framework: str) -> None:
    """Step size and offset by their rule, alpha through the primitive."""
    compared: Counter[str] = Counter()
    xp = frameworks.backend(framework)
    for record in LEARNED:
        x_, expected = record["x"], record.index["param_grads"]
        if record.index["grid"] != "main" or x_ is None:
            continue
        x = frameworks.to_framework(framework, x_)
        for name, wanted in expected.items():

            def total(p: Any, record: Any = record, name: str = name, x: Any = x) -> Any:
                spike = fgi.surrogates.preset(record.preset, **{**record.params, name: p})
                if spike.learnable:
                    return xp.sum(spike(x))
                return xp.sum(fgi.bypass(x, spike.primitive(x)))

            p = frameworks.to_framework(framework, np.array(record.params[name], x_.dtype))
            got = float(frameworks.to_numpy(framework, fgi.grad(total)(p)))
            # A sum of 400 numbers in that dtype, in which most of AtanGrad's cancel.
            scale = np.finfo(record.dtype).eps * 400 * max(1.0, float(np.abs(x_).sum()) / 400)
            assert abs(got - wanted) <= 4 * scale + 1e-6 * abs(wanted), (str(record), name)
            compared[record.preset] += 1
    assert set(compared) == {record.preset for record in LEARNED}


@pytest.mark.parametrize("name", sorted(fgi.surrogates.presets()))
def test_a_preset_is_an_ordinary_surrogate(name: str) -> None:
    """It goes through JSON, and comes back equal."""
    required = {"max_spike_count": 4, "k": 2, "alpha": 1.0, "min_value": 0.0, "min_val": 0.0}
    make = fgi.surrogates.presets()[name]
    import inspect

    given = {
        p.name: required.get(p.name, 1.0)
        for p in inspect.signature(make).parameters.values()
        if p.default is p.empty
    }
    spike = fgi.surrogates.preset(name, **given)
    assert type(spike) in fgi.surrogates.catalogue().values()
    assert fgi.from_config(json.loads(json.dumps(spike.to_config()))) == spike


def test_errors_of_presets() -> None:
    with pytest.raises(
        ValueError, match=r"unknown preset 'spikingjelly.Atan'; did you mean .*ATan"
    ):
        fgi.surrogates.preset("spikingjelly.Atan")
    with pytest.raises(TypeError, match=r"spikingjelly.ATan: .*'beta'; expected .*\(alpha=2.0\)"):
        fgi.surrogates.preset("spikingjelly.ATan", beta=1.0)
    with pytest.raises(ValueError, match=r"ATan: alpha is -1; expected a number > 0"):
        fgi.surrogates.preset("spikingjelly.ATan", alpha=-1)
    assert fgi.surrogates.preset("norse.super", alpha=9.0).alpha == 1.0
    assert fgi.surrogates.preset("norse.super", alpha=9.0, version="git").alpha == 9.0
