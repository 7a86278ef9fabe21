"""A backend with tier 0 injects; each further member is asked for where it is needed, once."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
import fgi.testing
import fgi_backends.numpy
from fgi.backend import MissingMemberError
from fgi.backend.members import lacking, members, tier_of
from fgi.backend.protocol import TIERS
from fgi.backend.registry import completed
from support import dual, frameworks
from support.dual import Dual

INF, NAN = np.inf, np.nan
X, V = np.array([0.5, -2.0, 1.5, INF, NAN]), np.array([3.0, -1.0, 2.0, 4.0, 5.0])
FINITE = np.isfinite(X)

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgi.backend.registry._registered", {})


@pytest.fixture
def x() -> Dual:
    fgi.register_backend(dual.BACKEND)
    return Dual(X, V)


def check(y: Dual, value: Any, tangent: Any) -> None:
    np.testing.assert_array_equal(y.x, value)
    np.testing.assert_allclose(y.dx, tangent, rtol=1e-14, atol=0)


def test_the_toy_is_small_and_has_tier_0() -> None:
    lines = [line for line in Path(dual.__file__).read_text().splitlines() if line.strip()]
    assert len(lines) < 40
    own = set(vars(dual.BACKEND)) - {"jvp", "asarray", "to_numpy"}
    assert own == set(members("injection"))


def test_the_toy_conforms() -> None:
    report = fgi.testing.backend_conformance(dual.BACKEND)
    assert report.ok, str(report)
    assert report.settings["tiers"] == ["injection", "tools", "hooks"]
    assert "\ntiers: injection, tools, hooks\n" in str(report)
    ran = {(row.subject, row.dtype) for row in report.rows if row.status == "ok"}
    for subject in ("inject", "bypass", "custom_jvp"):
        assert {(subject, "float32"), (subject, "float64")} <= ran
    # ATan is arithmetic, and differentiated forward; exp is not there.
    assert [row.status for row in report.rows if row.subject.startswith("ATan")] == ["ok"] * 3
    gaussian = {row.reason for row in report.rows if row.subject.startswith("Gaussian")}
    assert gaussian == {"dual has no exp"}


def test_what_is_wrong_in_tier_0_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dual.BACKEND, "stop_gradient", lambda x: x)
    report = fgi.testing.backend_conformance(dual.BACKEND, dtypes=["float64"])
    wrong = {row.subject for row in report.failures}
    assert {"stop_gradient", "inject", "bypass", "custom_jvp"} <= wrong


def test_a_tier_that_is_begun_is_to_be_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dual.BACKEND, "uniform", lambda key, x: x, raising=False)
    report = fgi.testing.backend_conformance(dual.BACKEND, modes=["tier"])
    (row,) = report.failures
    assert row.subject == "random"
    assert row.failures[0].cause == "has no Key, normal, split, beside uniform"


def test_numbers_go_in_and_out_or_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(dual.BACKEND, "to_numpy")
    with pytest.raises(TypeError, match=r"dual has no to_numpy \(tier tools\)"):
        fgi.testing.backend_conformance(dual.BACKEND)


def test_inject(x: Dual) -> None:
    """By hand: the slope 1 + x^2 times the tangent, 0 where x is not finite."""
    fx = Dual(X > 0)
    slope = np.where(FINITE, 1 + X**2, 0)
    check(fgi.inject(x, fx, lambda x: 1.0 + x * x), X > 0, slope * V)
    check(fgi.inject(x, fx, Dual(1 + X**2)), X > 0, slope * V)
    check(fgi.inject(x, fx, lambda x: 1.0 + x * x, order=3), X > 0, slope * V)
    check(fgi.inject(x * 0.5, fx, -3.0), X > 0, np.where(FINITE, -1.5 * V, 0))
    with fgi.inference_mode():
        check(fgi.inject(x, fx, 2.0), X > 0, 0 * V)


def test_bypass_and_tangent(x: Dual) -> None:
    fx = np.array([7.0, -0.0, 2.0, 3.0, 4.0])
    check(fgi.bypass(Dual(fx), x * x), fx, np.where(FINITE, 2 * X * V, 0))
    check(fgi.tangent(x), 0 * V, np.where(FINITE, V, 0))
    check(fgi.stop_gradient(x), X, 0 * V)


def test_custom_jvp(x: Dual) -> None:
    def rule(points: Any, tangents: Any) -> Any:
        (_, y), (dx, dy) = points, tangents
        return {"first": 2.0 * dx * y - dy, "second": [None]}

    f = fgi.custom_jvp(lambda x, y: {"first": x * y, "second": [x]}, rule)
    y = np.array([0.25, 3.0, -1.0, 2.0, 1.0])
    out = f(x, Dual(y, 10.0))
    check(out["first"], X * y, np.where(FINITE, 2 * V * y, 0) - 10)
    check(out["second"][0], X, 0 * V)


def test_a_surrogate_of_arithmetic_needs_no_more(x: Dual) -> None:
    y = fgi.surrogates.ATan(alpha=2.0)(x)
    check(y, X > 0, np.where(FINITE, V / (1 + (np.pi * X) ** 2), 0))


MISSING: dict[str, tuple[Callable[[Dual], Any], str]] = {
    "a surrogate": (
        lambda x: fgi.surrogates.Gaussian()(x),
        r"^fgi: dual has no exp \(tier arrays\); define exp\(x, /\) in the backend, as "
        r"fgi\.backend\.Arrays says$",
    ),
    "an attribute": (
        lambda x: fgi.namespace(x).float32,
        r"^fgi: dual has no float32 \(tier arrays\); define float32 in the backend, as",
    ),
    "grad": (
        lambda x: fgi.grad(lambda x: x)(x),
        r"^fgi\.grad: dual has no grad \(tier autodiff\); define grad\(f, \*, argnums=0\), or "
        r"vjp\(f, \*primals\) in the backend, as fgi\.backend\.Differentiation says; expected "
        r"arrays of torch, jax or tensorflow",
    ),
    "vmap": (
        lambda x: fgi.vmap(lambda x: x)(x),
        r"^fgi\.vmap: dual has no vmap \(tier autodiff\); define vmap\(f, /\) in the backend",
    ),
    "scan": (
        lambda x: fgi.scan(lambda c, x: (c, x), x, x),
        r"^fgi\.scan: dual has no scan \(tier autodiff\); define scan\(.*\), or stack\(xs, /, \*, "
        r"axis=0\) in the backend",
    ),
    "random numbers": (
        lambda x: fgi.namespace(x).uniform(None, x),
        r"^fgi: dual has no uniform \(tier random\); define uniform\(key, x, /\) in the backend",
    ),
}


@pytest.mark.parametrize("what", MISSING)
def test_a_missing_member_is_one_error(what: str, x: Dual) -> None:
    call, says = MISSING[what]
    with pytest.raises(MissingMemberError, match=says) as raised:
        call(x)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, AttributeError)


def test_what_no_tier_has_is_an_attribute_error(x: Dual) -> None:
    xp: Any = fgi.namespace(x)
    assert not hasattr(xp, "exp")
    with pytest.raises(AttributeError, match="nothing"):
        _ = xp.nothing
    assert repr(xp) == "<fgi backend dual>"


def test_a_member_is_looked_up_when_it_is_needed(x: Dual, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defined after the backend is registered, as in a notebook."""

    def exp(x: Dual) -> Dual:
        return Dual(np.exp(x.x), np.exp(x.x) * x.dx)

    monkeypatch.setattr(dual.BACKEND, "exp", exp, raising=False)
    y = fgi.surrogates.Gaussian(sigma=1.0)(x)
    check(y, X > 0, np.where(FINITE, np.exp(-(X**2) / 2) * V, 0))


def test_every_member_has_one_tier() -> None:
    every = [name for tier in TIERS for name in members(tier)]
    assert len(every) == len(set(every))
    assert tier_of("vjp") == "autodiff"
    assert tier_of("_private") is None
    assert members("injection")[:2] == ("name", "Array")


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
def test_built_in_backends_are_modules_with_all_tiers(framework: str) -> None:
    xp = frameworks.backend(framework)
    assert completed(xp) is xp
    assert isinstance(xp, types.ModuleType)
    for tier in TIERS:
        differentiates = framework in frameworks.AUTODIFF
        wanted = () if tier != "autodiff" or differentiates else members("autodiff")
        assert lacking(xp, tier) == wanted, tier


def without(module: Any, *names: str) -> Any:
    """The backend as a third party would register it, without these members."""
    kept = {k: v for k, v in vars(module).items() if not k.startswith("__") and k not in names}
    return completed(types.SimpleNamespace(**(kept | {"name": f"my_{module.name}"})))


def test_defaults_have_the_meaning_of_the_built_in_members() -> None:
    names = ("half", "dtype", "step", "divide", "version", "device", "mechanisms", "same_shape")
    ours: Any = fgi_backends.numpy
    theirs = without(ours, *names)
    assert theirs.half == ours.half
    assert theirs.dtype("bfloat16") == ours.dtype("bfloat16")
    with pytest.raises(LookupError, match="my_numpy has no dtype 'int3'; expected one of float16"):
        theirs.dtype("int3")
    x = np.array([0.5, -0.0, 0.0, 2.0, -INF, NAN], np.float32)
    for at_zero in (0, 1):
        for y in (0, 0.5, x[::-1].copy()):
            expected = ours.step(x, y, at_zero=at_zero)
            np.testing.assert_array_equal(theirs.step(x, y, at_zero=at_zero), expected)
            assert theirs.step(x, y, at_zero=at_zero).dtype == np.float32
    with np.errstate(all="ignore"):
        for y in (0.7, x[::-1].copy()):
            np.testing.assert_array_equal(theirs.divide(x, y), ours.divide(x, y))
    assert theirs.version == "unknown"
    assert without(ours, *names, "name").mechanisms == {}
    with theirs.device("cpu"), pytest.raises(LookupError, match="no device 'cuda'"):
        theirs.device("cuda")


@pytest.mark.parametrize("framework", frameworks.INSTALLED_AUTODIFF)
def test_derived_transforms(framework: str) -> None:
    """By hand: f = sum(u a^3 b), df/da = 3 u a^2 b, df/db = u a^3."""
    xp = without(frameworks.backend(framework), "grad", "value_and_grad", "scan")
    a, b, u = np.array([0.5, -2.0, 3.0]), np.array([1.5, 0.25, -1.0]), np.array([2.0, -3.0, 0.5])
    to = lambda array: frameworks.to_framework(framework, array)  # noqa: E731
    out = lambda array: frameworks.to_numpy(framework, array)  # noqa: E731

    def f(a: Any, b: Any, *, u: Any) -> Any:
        return xp.sum(u * a["a"] * a["a"] * a["a"] * b)

    got = xp.grad(f)({"a": to(a)}, to(b), u=to(u))
    np.testing.assert_allclose(out(got["a"]), 3 * u * a**2 * b, rtol=1e-14)
    got = xp.grad(f, argnums=1)({"a": to(a)}, to(b), u=to(u))
    np.testing.assert_allclose(out(got), u * a**3, rtol=1e-14)

    def with_aux(a: Any, b: Any) -> Any:
        return xp.sum(a * b), {"twice": [2 * a], "word": "kept"}

    (value, aux), gradient = xp.value_and_grad(with_aux, argnums=0, has_aux=True)(to(a), to(b))
    np.testing.assert_allclose(out(value), (a * b).sum(), rtol=1e-14)
    np.testing.assert_array_equal(out(aux["twice"][0]), 2 * a)
    assert aux["word"] == "kept"
    np.testing.assert_array_equal(out(gradient), b)

    def step(carry: Any, x: Any) -> Any:
        return carry + x["x"], {"y": [carry * x["x"]]}

    options: dict[str, Any] = {"unroll": None, "checkpoint": None, "segmented": False}
    carry, ys = xp.scan(step, to(np.array(4.0)), {"x": to(a)}, **options)
    np.testing.assert_array_equal(out(carry), 4.0 + a.sum())
    np.testing.assert_array_equal(out(ys["y"][0]), [2.0, -9.0, 7.5])
