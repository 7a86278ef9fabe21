"""Installed spiking libraries against the presets: what agrees, and what ``check`` says where not.

``make test-peers``; the facts are measured ones, of the versions that it installs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
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

ROOT = Path(__file__).parents[1]
ROOTS = (str(ROOT / "fgi_core"), str(ROOT / "backends"))
README = ROOT / "README.md"
Library = Callable[[str], Any]

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
    called: str = ""
    """What of the function it is, where that is not all of it."""

    @property
    def name(self) -> str:
        not_like = f", not {self.like}" * bool(self.like)
        return f"{self.preset}{self.called}, {self.mode}, {self.dtype}{not_like}"


def preset(name: str, **parameters: Any) -> fgi.Surrogate:
    return fgi.surrogates.preset(name, **parameters)


def norse(name: str, *parameters: float) -> Callable[[Any], Any]:
    return lambda module: lambda x: getattr(module, f"{name}_fn")(x, *parameters)


def sinabs(surrogate: str, value: str = "SingleSpike", kept: bool = False) -> Callable[[Any], Any]:
    """With ``kept`` the dtype is made that of x again, so that the numbers are looked at."""

    def make(module: Any) -> Any:
        slope = getattr(module, surrogate)()

        def f(x: Any) -> Any:
            y = getattr(module, value).apply(x, 1.0, slope)
            return y.to(x.dtype) if kept else y

        return f

    return make


def traced(name: str) -> Callable[[Any], Any]:
    """A slope that a compiled function takes as an argument."""

    def make(module: Any) -> Any:
        import jax

        compiled = jax.jit(lambda x, k: getattr(module, name)(k)(x))
        return lambda x: compiled(x, 25.0)

    return make


def gradient(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The gradient as a function, which PyTorch's tape differentiates once more."""

    def made(module: Any) -> Any:
        import torch

        f = make(module)

        def slope(x: Any) -> Any:
            x = x if x.requires_grad else x.clone().requires_grad_()
            return torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]

        return slope

    return made


@fgi.surrogate
def flat(x: Any) -> Any:
    return fgi.namespace(x).zeros_like(x)


GAUSSIAN = preset("sinabs.SingleSpike+Gaussian")


@fgi.surrogate
def differentiable(x: Any) -> Any:
    """The derivative of that density, sigma 1/2 around 1."""
    return -4 * (x - 1) * GAUSSIAN.derivative(x)


def norse_heaviside(module: Any) -> Any:
    from norse.torch.functional.heaviside import heaviside

    return heaviside


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
    Peer("norse.triangle", norse("triangle", 0.3), "another slope", preset("spyx.triangular")),
    Peer("spikingjelly.Sigmoid", made("Sigmoid"), "another slope", preset("snntorch.sigmoid")),
    Peer("spikingjelly.Erf", made("Erf"), "another slope", preset("braintools.ERF")),
    Peer(
        "spikingjelly.SquarewaveFourierSeries", made("SquarewaveFourierSeries"), "another slope",
        preset("braintools.SquarewaveFourierSeries"),
    ),
    Peer(
        "spikingjelly.PiecewiseLeakyReLU", made("PiecewiseLeakyReLU"),
        r"first: x = 1\.0: got -0\.0799\d*, expected -4\.0",
        preset("braintools.PiecewiseLeakyRelu"),
    ),
    Peer(
        "norse.tanh", norse("heavi_tanh", 1.0), "another slope", preset("stork.TanhSpike", beta=1)
    ),
    Peer("spyx.tanh", made("tanh"), "another slope", preset("stork.TanhSpike", beta=1)),
    Peer("norse.heaviside", norse_heaviside, "lost", preset("snntorch.heaviside")),
    Peer(
        "sinabs.SingleSpike+Heaviside", sinabs("Heaviside"), "another slope",
        preset("snntorch.heaviside"),
    ),
    Peer(
        "sinabs.MultiSpike+PeriodicExponential", sinabs("PeriodicExponential", "MultiSpike"),
        r"gradient: wrong in the tails, from \|x\| = 1\.0\d",
        preset("rockpool_torch.PeriodicExponential"),
    ),
    Peer(
        "sinabs.SingleSpike+Gaussian", sinabs("Gaussian"), r"scaled by 0\.79",
        fgi.surrogates.Gaussian(0.5, 1.0, 1.0, forward=fgi.Heaviside(1, 1.0)),
    ),
    Peer(
        "sinabs.MultiSpike+SingleExponential", sinabs("SingleExponential", "MultiSpike"), "value",
        preset("stork.MultiSpike"),
    ),
]  # fmt: skip
"""The same name, other mathematics."""

TRAPS = [
    Peer("snntorch.sigmoid", made("sigmoid"), "got nan, expected"),
    Peer("snntorch.LSO", made("LSO"), "missing 1 required positional", status="error"),
    Peer("snntorch.LSO", lambda module: lambda x: module.LeakySpikeOperator.apply(x, 0.1),
         "incorrect number of gradients", status="error", called=", its Function"),
    Peer("spyx.superspike", traced("superspike"), "TypeError", status="error",
         called=", k traced"),
    Peer("snntorch.heaviside", gradient(made("heaviside")), "gradient", flat(),
         called=", its gradient"),
    Peer("sinabs.SingleSpike+Gaussian", gradient(sinabs("Gaussian")), "the gradient is lost",
         differentiable(forward=GAUSSIAN.derivative), called=", its gradient"),
    Peer("sinabs.SingleSpike+Gaussian", sinabs("Gaussian", kept=True), "as exact as float32",
         dtype="float64", called=", its dtype kept"),
    Peer("spikingjelly.Sigmoid", made("Sigmoid"), "gradient: wrong for positive x alone"),
    Peer("norse.tanh", norse("heavi_tanh", 1.0), "gradient: wrong in the tails",
         preset("norse.tanh", k=1.0)),
    *(
        Peer(name, make, "not zero where x is infinite")
        for name, make in (
            ("snntorch.heaviside", made("heaviside")),
            ("sinabs.SingleSpike+Heaviside", sinabs("Heaviside")),
            ("spikingjelly.PiecewiseLeakyReLU", made("PiecewiseLeakyReLU")),
        )
    ),
    Peer("sinabs.MultiSpike+SingleExponential", sinabs("SingleExponential", "MultiSpike"),
         "value: NaN where x is infinite"),
    *(
        Peer(name, make, r"gradient: wrong in the tails, from \|x\| = \d\.\d*e\+.*got nan")
        for name, make in (
            ("spikingjelly.SquarewaveFourierSeries", made("SquarewaveFourierSeries")),
            ("sinabs.SingleSpike+PeriodicExponential", sinabs("PeriodicExponential")),
        )
    ),
    Peer("norse.circ", norse("heavi_circ", 1.0), "not finite|got nan",
         preset("norse.circ", k=1.0), dtype="float16"),
    Peer("spikingjelly.Rect", made("Rect", spiking=False), "off at kinks alone",
         preset("spikingjelly.Rect").smooth(), called=", its primitive"),
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
def test_a_library_against_the_preset(peer: Peer, library: Library) -> None:
    framework, home = HOMES[peer.preset.partition(".")[0]]
    library(framework)
    frameworks.load(framework)
    function = peer.make(library(home))
    like = peer.like or preset(peer.preset)
    report = fgi.testing.check(
        {framework: function}, like=like, backends=[framework], modes=[peer.mode],
        dtypes=[peer.dtype],
    )  # fmt: skip
    (row,) = report.rows
    told = report.describe(row)
    assert row.status == (peer.status if peer.says else "ok"), told
    assert re.search(peer.says, told, re.DOTALL), told


def shell(command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """As somebody types it, ``fgi`` being this one."""
    return subprocess.run(
        ["bash", "-c", f'fgi() {{ "$PYTHON" -m fgi "$@"; }}; {command} {shlex.join(options)}'],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(ROOTS)},
    )  # fmt: skip


def test_from_the_shell(tmp_path: Path, library: Library) -> None:
    library("spikingjelly")
    source = "'torch=spikingjelly.activation_based.surrogate:ATan(alpha=3.0)'"
    path = tmp_path / "report.json"
    for like, status in (("spikingjelly.ATan(alpha=3)", 0), ("snntorch.atan(alpha=3)", 1)):
        command = f"fgi check {source} --like '{like}'"
        done = shell(command, "--modes", "eager", "--dtypes", "float32", "--json", str(path))
        assert done.returncode == status, done.stdout + done.stderr
        (row,) = json.loads(path.read_text())["rows"]
        # SpikingJelly's step is 1 at 0, snnTorch's is not.
        causes = [failure["cause"] for failure in row["failures"]]
        assert [cause.startswith("off at kinks alone") for cause in causes] == [True] * status


def test_the_line_of_the_readme(library: Library) -> None:
    library("snntorch")
    lines = [line for line in README.read_text().splitlines() if "=snntorch." in line]
    (line,) = (line.strip() for line in lines)
    assert line.startswith("fgi check ")
    done = shell(line, "--modes", "eager", "--dtypes", "float32")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 subjects, 512 numbers compared: 1 ok." in done.stdout
    done = shell(line, "--modes", "eager", "--dtypes", "float64")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the dtype is changed" in done.stdout
