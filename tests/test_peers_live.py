"""Installed spiking libraries against the presets: what agrees, and what ``check`` says where not.

``make test-peers``; the facts are measured ones, of the versions that it installs.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fgi
import fgi.testing
from support import frameworks

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

HOMES = {
    "spikingjelly": ("torch", "spikingjelly.activation_based.surrogate"),
    "snntorch": ("torch", "snntorch.surrogate"),
    "norse": ("torch", "norse.torch.functional.threshold"),
    "sinabs": ("torch", "sinabs.activation"),
    "spyx": ("jax", "spyx.axn"),
}
"""The framework, and the module with the surrogates."""


@dataclass(frozen=True)
class Peer:
    """A library's function, the preset of that name, and how the two compare."""

    preset: str
    make: Callable[[Any], Any]
    says: str = ""
    """What the report says; nothing where they agree."""
    like: fgi.Surrogate | None = None
    """Another surrogate than the preset."""
    mode: str = "eager"
    dtype: str = "float32"
    status: str = "differs"

    @property
    def name(self) -> str:
        return f"{self.preset}, {self.mode}, {self.dtype}" + (
            f", not {self.like}" * bool(self.like)
        )


def preset(name: str, **parameters: Any) -> fgi.Surrogate:
    return fgi.surrogates.preset(name, **parameters)


def norse(name: str, *parameters: float) -> Callable[[Any], Any]:
    return lambda module: lambda x: getattr(module, f"{name}_fn")(x, *parameters)


def sinabs(surrogate: str, **parameters: float) -> Callable[[Any], Any]:
    def make(module: Any) -> Any:
        slope = getattr(module, surrogate)(**parameters)
        return lambda x: module.SingleSpike.apply(x, 1.0, slope)

    return make


def made(name: str, *arguments: Any, **parameters: Any) -> Callable[[Any], Any]:
    return lambda module: getattr(module, name)(*arguments, **parameters)


AGREE = [
    *(
        Peer(f"spikingjelly.{name}", made(name))
        for name in (
            "ATan", "Erf", "LogTailedReLU", "NonzeroSignLogAbs", "PiecewiseExp",
            "PiecewiseQuadratic", "QPseudoSpike", "Rect", "S2NN", "SoftSign", "SuperSpike",
        )
    ),
    *(
        Peer(f"snntorch.{name}", made(name))
        for name in ("SFS", "atan", "fast_sigmoid", "spike_rate_escape")
    ),
    Peer("norse.super", norse("super", 100.0)),
    Peer("norse.triangle", norse("triangle", 0.3)),
    *(
        Peer(f"sinabs.SingleSpike+{name}", sinabs(name))
        for name in ("Gaussian", "MultiGaussian", "SingleExponential")
    ),
    *(
        Peer(f"spyx.{name}", made(name))
        for name in ("arctan", "boxcar", "superspike", "tanh", "triangular")
    ),
    Peer("spikingjelly.ATan", made("ATan"), mode="compile"),
    Peer("spyx.arctan", made("arctan"), mode="jit"),
    Peer("norse.heavi_erfc", norse("heavi_erfc", 4.0), like=preset("norse.heavi_erfc", k=4.0)),
]  # fmt: skip

ONE_NAME = [
    Peer("spyx.superspike", made("superspike"), "another slope", preset("norse.super")),
    Peer(
        "norse.super", norse("super", 100.0), "another slope", preset("norse.super", version="git")
    ),
    Peer("spikingjelly.SuperSpike", made("SuperSpike"), "another slope", preset("spyx.superspike")),
    Peer("spyx.arctan", made("arctan"), "another slope", preset("snntorch.atan")),
    Peer("snntorch.triangular", made("triangular"), "another slope", preset("spyx.triangular")),
    Peer("spikingjelly.SoftSign", made("SoftSign"), "another slope", preset("braintools.SoftSign")),
    Peer(
        "spikingjelly.QPseudoSpike", made("QPseudoSpike"), "another slope",
        preset("braintools.QPseudoSpike"),
    ),
    Peer(
        "norse.heavi_erfc", norse("heavi_erfc", 4.0), r"scaled by 0\.5",
        preset("spikingjelly.Erf", alpha=4.0),
    ),
    Peer(
        "spyx.custom", made("custom"), "another slope",
        preset("snntorch.straight_through_estimator"),
    ),
]  # fmt: skip
"""The same name, other mathematics."""

TRAPS = [
    Peer("snntorch.sigmoid", made("sigmoid"), "got nan, expected"),
    Peer("snntorch.LSO", made("LSO"), "missing 1 required positional", status="error"),
    Peer("spikingjelly.FakeNumericalGradient", made("FakeNumericalGradient"),
         r"not finite: 0 / 0.*x = -0\.0: got inf"),
    Peer("norse.heavi_erfc", norse("heavi_erfc", 2.0), "as exact as float32",
         preset("norse.heavi_erfc", k=2.0), dtype="float64"),
    *(
        Peer(name, make, f"the dtype is changed: x is a {dtype} array .* a float32 array",
             dtype=dtype)
        for name, make in (
            ("snntorch.atan", made("atan")),
            ("sinabs.SingleSpike+Gaussian", sinabs("Gaussian")),
        )
        for dtype in ("float64", "float16")
    ),
    *(
        Peer(name, make, "rounded more than once", dtype="float16")
        for name, make in (
            ("spikingjelly.ATan", made("ATan")), ("norse.super", norse("super", 100.0)),
        )
    ),
    *(
        Peer(name, make, "the gradient is lost", mode="compile(func.grad)")
        for name, make in (
            ("spikingjelly.ATan", made("ATan")), ("norse.super", norse("super", 100.0)),
        )
    ),
    Peer("snntorch.atan", made("atan"), "setup_context", mode="func.grad", status="error"),
    Peer("sinabs.SingleSpike+Gaussian", sinabs("Gaussian"), "setup_context", mode="func.grad",
         status="error"),
    Peer("spikingjelly.ATan", made("ATan"), "vmap", mode="vmap(func.grad)", status="error"),
    Peer("norse.super", norse("super", 100.0), "forward mode AD", mode="func.jvp", status="error"),
    Peer("spyx.arctan", made("arctan"), "forward-mode", mode="jvp", status="error"),
]  # fmt: skip
"""What was found by running."""


@pytest.mark.parametrize("peer", [*AGREE, *ONE_NAME, *TRAPS], ids=lambda peer: peer.name)
def test_a_library_against_the_preset(peer: Peer) -> None:
    framework, home = HOMES[peer.preset.partition(".")[0]]
    if framework not in frameworks.INSTALLED:
        pytest.skip(f"{framework} is not installed")
    frameworks.load(framework)
    pytest.importorskip(peer.preset.partition(".")[0], exc_type=ImportError)
    function = peer.make(importlib.import_module(home))
    like = peer.like or preset(peer.preset)
    report = fgi.testing.check(
        {framework: function}, like=like, backends=[framework], modes=[peer.mode],
        dtypes=[peer.dtype],
    )  # fmt: skip
    (row,) = report.rows
    told = report.describe(row)
    assert row.status == (peer.status if peer.says else "ok"), told
    assert re.search(peer.says, told, re.DOTALL), told


def test_from_the_shell(tmp_path: Path) -> None:
    pytest.importorskip("spikingjelly", exc_type=ImportError)
    source = "torch=spikingjelly.activation_based.surrogate:ATan(alpha=3.0)"
    for like, status in (("spikingjelly.ATan(alpha=3)", 0), ("snntorch.atan(alpha=3)", 1)):
        done = subprocess.run(
            [
                sys.executable, "-m", "fgi", "check", source, "--like", like, "--backends", "torch",
                "--modes", "eager", "--dtypes", "float32", "--json", str(tmp_path / "report.json"),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        (row,) = json.loads((tmp_path / "report.json").read_text())["rows"]
        # SpikingJelly's step is 1 at 0, snnTorch's is not.
        causes = [failure["cause"] for failure in row["failures"]]
        assert [cause.startswith("off at kinks alone") for cause in causes] == [True] * status
