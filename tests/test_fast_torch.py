"""Where PyTorch only computes, a surrogate is an autograd function: the definition's numbers.

For a tracer, ``torch.func``, forward mode, a mode that sees every operation, and a subclass it is
the definition itself; for ``torch.compile`` see tests/test_assume_value.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fgi

torch = pytest.importorskip("torch")

from fgi_backends.torch import first_order, step  # noqa: E402
from fgi_backends.torch.private import is_plain_eager  # noqa: E402

DTYPES = ("float16", "bfloat16", "float32", "float64")
X = [-2.0, -0.3, -0.0, 0.0, 0.3, 1.5]
NOT_FINITE = [np.inf, -np.inf, np.nan]
SPIKE = fgi.surrogates.Gaussian(sigma=0.5, height=2.0)


def tensor(values: Any, dtype: str = "float32") -> Any:
    return torch.tensor(values, dtype=getattr(torch, dtype))


def differentiated(f: Callable[[Any], Any], x: Any, u: Any) -> tuple[Any, ...]:
    """The value, the derivative without and with a graph, and of that the derivative by x and u."""
    x, u = x.detach().requires_grad_(), u.detach().requires_grad_()
    y = f(x)
    (plain,) = torch.autograd.grad(y, x, u.detach(), retain_graph=True)
    (gradient,) = torch.autograd.grad(y, x, u, create_graph=True)
    bend, by_u = torch.autograd.grad(gradient, (x, u), u.detach())
    return y.detach(), plain, gradient.detach(), bend, by_u


def definition(x: Any) -> Any:
    with fgi.use_fast_paths(False):
        return SPIKE(x)


def same(got: Any, expected: Any) -> None:
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


def with_strides(x: Any) -> dict[str, Any]:
    return {
        "a vector": x,
        "of shape ()": x[1],
        "empty": x[:0],
        "every second": x[::2],
        "expanded": x[:, None].expand(-1, 3),
        "transposed": x.reshape(3, -1).T,
    }


@pytest.mark.parametrize("more", [[], NOT_FINITE, [60000.0, 65000.0] * 8], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_numbers_of_the_definition(dtype: str, more: list[float]) -> None:
    """Also where the sum of what is finite is not."""
    values = X + more + ([3e38, 3e38, -1e38] if dtype in ("float32", "bfloat16") and more else [])
    for x in with_strides(tensor(values[: len(values) // 3 * 3], dtype)).values():
        u = torch.linspace(-2, 3, x.numel()).reshape(x.shape).to(x.dtype)
        for got, expected in zip(
            differentiated(SPIKE, x, u), differentiated(definition, x, u), strict=True
        ):
            same(got, expected)
        assert SPIKE(x.detach().requires_grad_()).is_contiguous() or x.dim() == 2


def test_by_hand() -> None:
    x, u = tensor(X + NOT_FINITE), tensor([2.0, -1, 0.5, 3, -4, 1, 2, 2, 2])
    y, plain, gradient, bend, by_u = differentiated(SPIKE, x, u)
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0]
    slope = 2 * np.exp(-2 * np.array([*X, *NOT_FINITE]) ** 2)
    slope[6:] = 0
    for got in plain, gradient, by_u:
        np.testing.assert_allclose(got.numpy(), slope * u.numpy(), rtol=1e-6)
    assert bend.tolist() == [0] * 9


def test_a_slope_and_an_upstream_gradient_that_are_not_finite() -> None:
    """The slope counts as 0 there; an infinite gradient times a slope that is 0 is NaN."""

    @fgi.surrogate
    def root(x: Any) -> Any:
        return 1 / torch.sqrt(1 - x * x)

    spike, inf = root(), float("inf")
    x, u = tensor([0.6, 1.0, 2.0, inf, 0.0, -0.6]), tensor([2.0, -3.0, 5.0, inf, inf, -2.0])
    for chosen in True, False:
        with fgi.use_fast_paths(chosen):
            y, plain, gradient, bend, by_u = differentiated(spike, x, u)
        assert y.tolist() == [1, 1, 1, 1, 0, 0]
        for got in plain, gradient, by_u:
            np.testing.assert_allclose(got, [2.5, 0, 0, 0, inf, -2.5], rtol=1e-6)
        assert bend.tolist() == [0] * 6


@pytest.mark.parametrize("more", [[], NOT_FINITE], ids=str)
@pytest.mark.parametrize("slope", [1.0, -1.5, 0.0])
def test_a_slope_that_is_a_number(slope: float, more: list[float]) -> None:
    @fgi.surrogate
    def line(x: Any) -> Any:
        return slope

    x, u = tensor(X + more), tensor([2.0, -1, 0.5, 3, -4, 1, 2, 2, 2][: len(X + more)])
    y, *gradients, bend, by_u = differentiated(line(forward=fgi.round), x, u)
    same(y, torch.round(x))
    for got in *gradients, by_u:
        same(got + 0.0, torch.where(x.isfinite(), slope * u, 0.0) + 0.0)
    assert not bend.any()


def of_a_tape(x: Any) -> Any:
    return x.detach().requires_grad_()


class Subclass(torch.Tensor):  # type: ignore[misc]
    pass


PLAIN: dict[str, Callable[[Any], Any]] = {
    "no history": lambda x: x,
    "a leaf": of_a_tape,
    "a result": lambda x: 2 * of_a_tape(x),
    "a parameter": torch.nn.Parameter,
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain(kind: str) -> None:
    x = PLAIN[kind](tensor(X))
    assert is_plain_eager(x)
    with torch.no_grad(), torch.device("cpu"):
        assert is_plain_eager(x)
    assert first_order(x, lambda x: 1.0, x) is not None


def by_export(f: Any, x: Any) -> None:
    class Module(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return f(x)

    torch.export.export(Module(), (x,))


def by_make_fx(f: Any, x: Any) -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    make_fx(f)(x)


def by_fake_tensor(f: Any, x: Any) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        f(mode.from_tensor(x))


def by_forward_mode(f: Any, x: Any) -> None:
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        f(forward_ad.make_dual(x, torch.ones_like(x)))


def by_dispatch_mode(f: Any, x: Any) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        f(x)


LOOKING_ON: dict[str, Callable[[Any, Any], None]] = {
    "torch.export": by_export,
    "make_fx": by_make_fx,
    "a fake tensor": by_fake_tensor,
    "forward mode": by_forward_mode,
    "a mode": by_dispatch_mode,
    "torch.func.grad": lambda f, x: torch.func.grad(lambda x: f(x).sum())(x),
    "torch.func.jvp": lambda f, x: torch.func.jvp(f, (x,), (x,)),
    "torch.vmap": lambda f, x: torch.vmap(f)(x),
    "torch.jit.trace": lambda f, x: torch.jit.trace(f, (x,), check_trace=False),
    "a subclass": lambda f, x: f(x.as_subclass(Subclass)),
    "a fake tensor of a parameter": lambda f, x: by_fake_tensor(f, torch.nn.Parameter(x)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
@pytest.mark.parametrize("way", LOOKING_ON)
def test_the_definition_where_somebody_looks_on(way: str) -> None:
    answers = []

    def asked(x: Any) -> Any:
        answers.append((is_plain_eager(x), first_order(x, lambda x: 1.0, x) is None))
        return SPIKE(x)

    LOOKING_ON[way](asked, tensor(X))
    assert answers
    assert all(answer == (False, True) for answer in answers)


@pytest.mark.parametrize("dtype", DTYPES)
def test_step_is_the_comparison(dtype: str) -> None:
    x = tensor(X + NOT_FINITE + [0.1, 65504.0], dtype)
    for threshold in (0, 0.0, 0.1, -0.3, 1e-8, np.inf):
        same(step(x, threshold), (x > threshold).to(x.dtype))
        same(step(x, threshold, at_zero=1), (x >= threshold).to(x.dtype))
    leaf = of_a_tape(x)
    assert not step(leaf, 0).requires_grad
    same(step(x, x.flip(0)), (x > x.flip(0)).to(x.dtype))


def test_nothing_else_is_written_into() -> None:
    """Of a value that is the input itself, or a tensor that is kept, y has a copy."""
    kept = tensor([1.0, 2.0, 3.0])
    for forward in (fgi.values.identity, lambda x: kept):
        x = of_a_tape(tensor([-1.0, 0.5, 2.0]))
        y = SPIKE.replace(forward=forward)(x)
        before = (x.detach().clone(), kept.clone())
        y.mul_(7)
        same(x.detach(), before[0])
        same(kept, before[1])
        y.sum().backward()
        np.testing.assert_allclose(x.grad, 14 * np.exp(-2 * np.array([1.0, 0.25, 4.0])), rtol=1e-6)
    x = of_a_tape(tensor([-1.0, 0.5]))
    result = x * 3
    y = fgi.bypass(torch.round(result), result)
    y.add_(1)
    assert result.tolist() == [-3.0, 1.5]
    y.backward(tensor([2.0, 5.0]))
    assert x.grad.tolist() == [6.0, 15.0]


def test_a_slope_with_a_history_keeps_it() -> None:
    """d is 0, so that y has no derivative by the width, and the gradient has the right one."""
    x, u = of_a_tape(tensor([-1.0, 0.5, 2.0])), tensor([2.0, -1.0, 3.0])
    sigma = of_a_tape(tensor(0.5))
    y = fgi.surrogates.Gaussian(sigma=sigma)(x)
    gradient, by_sigma = torch.autograd.grad(y, (x, sigma), u, create_graph=True)
    assert by_sigma.item() == 0
    (mixed,) = torch.autograd.grad(gradient.sum(), sigma)
    at = np.array([-1.0, 0.5, 2.0])
    expected = (u.numpy() * np.exp(-(at**2) / 2 / 0.25) * at**2 / 0.125).sum()
    np.testing.assert_allclose(mixed.item(), expected, rtol=1e-5)


def test_what_is_saved() -> None:
    """The input alone, which somebody has already."""
    saved: list[Any] = []
    x = of_a_tape(torch.linspace(-2, 2, 1000))

    def pack(t: Any) -> Any:
        saved.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = SPIKE(x)
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]
    assert y.data_ptr() != x.data_ptr()


def test_a_segment_that_is_recomputed() -> None:
    from torch.utils.checkpoint import checkpoint

    x, u = tensor(X + NOT_FINITE), tensor([2.0, -1, 0.5, 3, -4, 1, 2, 2, 2])
    gradients = []
    for reentrant in (None, False, True):
        leaf = of_a_tape(x)
        again = reentrant is not None
        y = checkpoint(SPIKE, leaf, use_reentrant=reentrant) if again else SPIKE(leaf)
        y.backward(u)
        gradients.append(leaf.grad)
    same(gradients[1], gradients[0])
    same(gradients[2], gradients[0])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_slope_of_another_shape_is_the_error_of_the_expansion(dtype: str) -> None:
    @fgi.surrogate
    def outer(x: Any) -> Any:
        return torch.stack([x, x])

    x = torch.ones(4, dtype=getattr(torch, dtype), requires_grad=True)
    with pytest.raises(ValueError, match=r"outer: x is .*, slope makes the result .*\(2, 4\)"):
        outer()(x).sum().backward()
