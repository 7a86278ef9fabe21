"""Blocks and ``torch.compile``: traced without a break, noticed, and private to a task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import fgi

torch = pytest.importorskip("torch")

SEES_COROUTINES = torch.__version__ >= "2.14"
"""Whether compiled code sees a block of ``async def``: it reads a ``ContextVar``."""

REFUSED = "set to numpy|Observed exception|Hard failure due to fullgraph"
"""The error for another backend, in PyTorch's words where it does not repeat ours."""

spike = fgi.surrogates.ATan()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(f: Any) -> Any:
    return torch.compile(f, fullgraph=True, backend="aot_eager")


def leaf() -> Any:
    return torch.tensor([-1.0, 0.5], requires_grad=True)


def has_gradient(f: Any) -> bool:
    y = f(leaf())
    assert y.tolist() == [0, 1]
    return bool(y.requires_grad)


def test_blocks_around() -> None:
    f = compiled(spike)
    for _ in range(2):
        assert has_gradient(f)
        with fgi.inference_mode(traced=True):
            assert not has_gradient(f)
            with fgi.inference_mode():
                assert has_gradient(f)
            with fgi.use_backend("torch"), fgi.use_fast_paths(False):
                assert not has_gradient(f)
            assert not has_gradient(f)
        with fgi.use_backend("numpy"), pytest.raises(Exception, match=REFUSED):
            f(leaf())
        with fgi.use_fast_paths(False):
            assert has_gradient(f)
    assert has_gradient(f)


def test_fast_paths_are_left_out_of_the_graph() -> None:
    graphs = []

    def keep(graph: Any, inputs: Any) -> Any:
        graphs.append(str(graph.graph))
        return graph

    f = torch.compile(spike, fullgraph=True, backend=keep)
    for fast in (True, False):
        with fgi.use_fast_paths(fast):
            assert has_gradient(f)
    # PyTorch 2.6 does not tell a compilation from an export, whose graph stays arithmetic.
    told = hasattr(torch.compiler, "is_exporting")
    assert ["copy_" in graph for graph in graphs] == [told, False]


def both(x: Any) -> tuple[Any, Any, Any]:
    with fgi.inference_mode(traced=True):
        a = spike(x)
        with fgi.inference_mode():
            b = spike(x)
    return a, b, spike(x)


@pytest.mark.skipif(torch.__version__ < "2.7", reason="it cannot trace contextlib.contextmanager")
def test_blocks_inside() -> None:
    f = compiled(both)
    assert [y.requires_grad for y in f(leaf())] == [False, True, True]
    with fgi.inference_mode(traced=True):
        assert [y.requires_grad for y in f(leaf())] == [False, True, False]
    assert [y.requires_grad for y in f(leaf())] == [False, True, True]
    assert fgi.get_backend() == "auto"


@pytest.mark.parametrize("first", ["compiled before", "compiled by the other"])
def test_a_task_compiles_and_runs_while_another_awaits_in_its_block(first: str) -> None:
    f = compiled(spike)
    if first == "compiled before":
        assert has_gradient(f)
    found: dict[str, list[bool]] = {"trains": [], "exports": []}

    async def exports(entered: asyncio.Event, done: asyncio.Event) -> None:
        with fgi.inference_mode(traced=True):
            found["exports"].append(has_gradient(f))
            entered.set()
            await done.wait()
            found["exports"].append(has_gradient(f))
        found["trains"].append(has_gradient(f))

    async def trains(entered: asyncio.Event, done: asyncio.Event) -> None:
        await entered.wait()
        found["trains"].append(has_gradient(f))
        done.set()
        await asyncio.sleep(0)
        found["trains"].append(has_gradient(f))

    async def main() -> None:
        events = asyncio.Event(), asyncio.Event()
        await asyncio.gather(exports(*events), trains(*events))

    asyncio.run(main())
    assert found["trains"] == [True] * 3
    assert found["exports"] == [not SEES_COROUTINES] * 2


def test_a_plain_function_that_a_task_calls() -> None:
    """As in a notebook, whose cells run in a task."""
    f = compiled(spike)

    def cell() -> bool:
        with fgi.inference_mode(traced=True):
            return has_gradient(f)

    async def main() -> list[bool]:
        return [has_gradient(f), cell(), has_gradient(f)]

    assert asyncio.run(main()) == [True, False, True]


def test_exceptions_in_compiled_code() -> None:
    def fails(x: Any) -> Any:
        with fgi.inference_mode(traced=True):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        torch.compile(fails, backend="aot_eager")(leaf())
    assert has_gradient(compiled(spike))
    assert has_gradient(spike)
