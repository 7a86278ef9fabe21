"""The native twin: the same function by each framework's own mechanism, in the modes it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fgi
from support import exact, frameworks
from support.modes import MODES, PAIRS
from test_promises import EIGHT, UPSTREAM, bank, same_numbers

MECHANISMS = {
    "torch": ["autograd_function"],
    "jax": ["custom_jvp", "custom_vjp"],
    "tensorflow": ["custom_gradient"],
}
LACKS = {
    "autograd_function": {
        "compile(func.grad)": "torch 2.13 returns zeros; see the test below",
        "compile(vmap(func.grad))": "as above",
        "func.jvp": "no forward mode",
        "forward AD": "no forward mode",
        "export": "the exported program has no gradient",
        "jit.trace": "an autograd.Function is Python",
        "jit.trace, saved": "as above",
    },
    "custom_vjp": dict.fromkeys(("jvp", "linearize", "while_loop"), "no forward mode"),
    "custom_gradient": {},
    "custom_jvp": {},
}
TARGETS = [
    (framework, mechanism, mode)
    for framework, mode in PAIRS
    for mechanism in MECHANISMS[framework]
    if mode not in LACKS[mechanism]
]


@pytest.mark.parametrize(("framework", "mechanism", "mode"), TARGETS)
def test_fgi_returns_what_the_native_mechanism_returns(
    framework: str, mechanism: str, mode: str
) -> None:
    twins = [spike.native(mechanism) for spike in EIGHT]

    row = exact.grid(np.dtype("float32"))
    x = np.stack([row] * len(EIGHT))
    u = np.resize(UPSTREAM, x.shape).astype(x.dtype)
    x_, u_ = (frameworks.to_framework(framework, a) for a in (x, u))
    run = MODES[framework][mode].run
    ours, twin = (
        [frameworks.to_numpy(framework, a) for a in run(bank(f), x_, u_)] for f in (EIGHT, twins)
    )
    assert same_numbers(ours[0], twin[0])
    # Two compilations may round a slope differently; eager code may not.
    ulps = 0 if mode == "eager" else 4
    spacing = np.spacing(np.abs(twin[1]).astype(x.dtype)).astype(np.float64)
    gap = np.abs(ours[1].astype(np.float64) - twin[1].astype(np.float64))
    assert np.all(gap <= ulps * spacing)


@pytest.mark.parametrize("framework", MODES)
def test_the_first_mechanism_is_the_default(framework: str) -> None:
    x = frameworks.to_framework(framework, np.array([-0.5, 0.25]))
    assert list(frameworks.backend(framework).mechanisms) == MECHANISMS[framework]
    _, pullback = fgi.vjp(fgi.surrogates.ATan().native(), x)
    expected = 2 * fgi.surrogates.ATan().derivative(np.array([-0.5, 0.25]))
    got = frameworks.to_numpy(
        framework, pullback(2 * frameworks.backend(framework).ones_like(x))[0]
    )
    np.testing.assert_allclose(got, expected, rtol=1e-14)


@pytest.mark.skipif("torch" not in MODES, reason="torch is not installed")
def test_why_the_compiled_functional_gradient_is_left_out() -> None:
    """torch 2.13: the gradient of every autograd.Function is silently lost. Ours is not."""
    import torch

    spike = fgi.surrogates.ATan()
    x = torch.tensor([-0.5, 0.25])

    def gradient(f: Any) -> Any:
        torch._dynamo.reset()
        return torch.compile(torch.func.grad(lambda x: f(x).sum()), backend="aot_eager")(x)

    torch.testing.assert_close(gradient(spike), spike.derivative(x))
    lost = gradient(spike.native())
    if torch.__version__.startswith("2.13"):
        assert lost.tolist() == [0, 0]
