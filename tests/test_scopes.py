"""Blocks of ``use_backend``, ``inference_mode`` and ``use_fast_paths``: private to thread and task.

Tasks interleave at each ``await``, generators at each ``yield``, and their blocks end in any order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

import fgi
from fgi.injection import inference
from fgi.injection.fast import fast_paths_enabled
from support.frameworks import INSTALLED, INSTALLED_AUTODIFF, backend, to_framework, to_numpy

State = tuple[str, str | None, bool]

FAST = fast_paths_enabled()
OUTSIDE: State = ("auto", None, FAST)

SECOND = INSTALLED[0]


def state() -> State:
    """What the three scopes say here."""
    return fgi.get_backend(), inference._scope.get(), fast_paths_enabled()


BLOCKS: dict[str, tuple[Callable[[], AbstractContextManager[None]], State]] = {
    "use_backend": (lambda: fgi.use_backend("numpy"), ("numpy", None, FAST)),
    "another backend": (lambda: fgi.use_backend(SECOND), (SECOND, None, FAST)),
    "inference_mode": (fgi.inference_mode, ("auto", "eager", FAST)),
    "traced": (lambda: fgi.inference_mode(traced=True), ("auto", "traced", FAST)),
    "use_fast_paths": (lambda: fgi.use_fast_paths(not FAST), ("auto", None, not FAST)),
}

every_block = pytest.mark.parametrize("name", BLOCKS)
every_pair = pytest.mark.parametrize(("first", "second"), [*itertools.product(BLOCKS, BLOCKS)])


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    assert state() == OUTSIDE
    yield
    assert state() == OUTSIDE


def within(outer: State, name: str) -> State:
    """The state inside a block of that name, entered where the state is ``outer``."""
    inner = BLOCKS[name][1]
    changed = [a != b for a, b in zip(inner, OUTSIDE, strict=True)]
    parts = zip(inner, outer, changed, strict=True)
    a, b, c = (new if differs else old for new, old, differs in parts)
    return str(a), b if b is None else str(b), bool(c)


@every_pair
def test_nested(first: str, second: str) -> None:
    (enter, inside), (enter_too, _) = BLOCKS[first], BLOCKS[second]
    with enter():
        assert state() == inside
        with enter_too():
            assert state() == within(inside, second)
        assert state() == inside


@every_pair
def test_tasks_interleaved(first: str, second: str) -> None:
    """Each task is in its own block alone, whichever ends first."""

    async def task(name: str, rounds: int) -> None:
        enter, inside = BLOCKS[name]
        for _ in range(2):
            assert state() == OUTSIDE
            with enter():
                for _ in range(rounds):
                    assert state() == inside
                    await asyncio.sleep(0)
                    assert state() == inside
                    with enter_other():
                        await asyncio.sleep(0)
                assert state() == inside
            assert state() == OUTSIDE
            await asyncio.sleep(0)

    async def bystander() -> None:
        for _ in range(20):
            assert state() == OUTSIDE
            await asyncio.sleep(0)

    def enter_other() -> AbstractContextManager[None]:
        return BLOCKS[second][0]()

    async def main() -> None:
        await asyncio.gather(task(first, 3), bystander(), task(second, 2), task(second, 5))
        assert state() == OUTSIDE

    asyncio.run(main())


@every_block
def test_what_is_started_inside_a_block_is_inside(name: str) -> None:
    enter, inside = BLOCKS[name]

    async def child() -> State:
        await asyncio.sleep(0)
        return state()

    async def main() -> None:
        with enter():
            assert await asyncio.create_task(child()) == inside
            assert await asyncio.to_thread(state) == inside
            assert await asyncio.gather(child(), child()) == [inside, inside]
            late = asyncio.create_task(child())
        # The block has ended before the task began.
        assert await late == OUTSIDE
        assert await asyncio.to_thread(state) == OUTSIDE

    asyncio.run(main())


@every_block
def test_around_a_loop(name: str) -> None:
    enter, inside = BLOCKS[name]

    async def main() -> State:
        return (await asyncio.gather(asyncio.to_thread(state), child()))[1]

    async def child() -> State:
        await asyncio.sleep(0)
        return state()

    with enter():
        assert asyncio.run(main()) == inside


@every_block
def test_a_block_in_a_worker_thread_of_a_task(name: str) -> None:
    enter, inside = BLOCKS[name]

    def work() -> State:
        with enter():
            return state()

    async def main() -> None:
        assert await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4))) == [inside] * 4
        assert state() == OUTSIDE
        assert await asyncio.to_thread(state) == OUTSIDE

    asyncio.run(main())


@every_pair
def test_generators_that_end_out_of_order(first: str, second: str) -> None:
    def generator(name: str) -> Iterator[None]:
        with BLOCKS[name][0]():
            yield
            yield

    a, b = generator(first), generator(second)
    next(a)
    next(b)
    a.close()  # type: ignore[attr-defined]
    assert state() == BLOCKS[second][1]
    next(b)
    assert state() == BLOCKS[second][1]
    b.close()  # type: ignore[attr-defined]
    assert state() == OUTSIDE


@every_block
def test_an_async_generator_that_another_task_closes(name: str) -> None:
    enter, inside = BLOCKS[name]

    async def generator() -> AsyncIterator[State]:
        with enter():
            yield state()
            yield state()

    async def main() -> None:
        found = generator()
        assert await anext(found) == inside
        await asyncio.create_task(found.aclose())  # type: ignore[attr-defined]
        assert state() == OUTSIDE

    asyncio.run(main())


@every_block
def test_threads(name: str) -> None:
    """Each thread is in its own block alone, while the others are in theirs."""
    enter, inside = BLOCKS[name]
    found: list[State] = []
    together = threading.Barrier(3)

    def work(blocked: bool) -> None:
        with enter() if blocked else contextlib.nullcontext():
            together.wait()
            found.append(state())
            together.wait()
        found.append(state())

    with enter():
        threads = [threading.Thread(target=work, args=(blocked,)) for blocked in (True, False)]
        for thread in threads:
            thread.start()
        together.wait()
        together.wait()
        for thread in threads:
            thread.join()
        assert state() == inside
    assert sorted(map(str, found)) == sorted(map(str, [inside, OUTSIDE, OUTSIDE, OUTSIDE]))


@every_pair
def test_exceptions(first: str, second: str) -> None:
    with pytest.raises(ZeroDivisionError), BLOCKS[first][0](), BLOCKS[second][0]():
        _ = 1 / 0
    assert state() == OUTSIDE

    async def cancelled() -> None:
        with BLOCKS[first][0](), BLOCKS[second][0]():
            await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert state() == OUTSIDE

    asyncio.run(main())


@every_block
def test_as_a_decorator(name: str) -> None:
    enter, inside = BLOCKS[name]

    @enter()  # type: ignore[operator]
    def f(depth: int) -> list[State]:
        return [state(), *(f(depth - 1) if depth else [])]

    assert f(2) == [inside] * 3


def test_a_choice_that_does_not_load_leaves_no_block() -> None:
    with pytest.raises(ValueError, match="unknown backend"), fgi.use_backend("nothing"):
        pass
    assert state() == OUTSIDE


X, U = np.array([-0.5, 0.25, 2.0]), np.array([3.0, -1.0, 0.5])
GRADIENT = U / (1 + (np.pi * X) ** 2)


def gradient(framework: str) -> Any:
    xp = backend(framework)
    u, spike = to_framework(framework, U), fgi.surrogates.ATan()
    dx = fgi.grad(lambda x: xp.sum(u * spike(x)))(to_framework(framework, X))
    return to_numpy(framework, dx)


@pytest.mark.parametrize("framework", INSTALLED_AUTODIFF)
@pytest.mark.parametrize("name", ["inference_mode", "traced", "use_backend"])
def test_a_task_trains_while_another_awaits_in_its_block(name: str, framework: str) -> None:
    trained: list[Any] = []

    async def evaluates(entered: asyncio.Event, done: asyncio.Event) -> None:
        with BLOCKS[name][0]():
            entered.set()
            await done.wait()

    async def trains(entered: asyncio.Event, done: asyncio.Event) -> None:
        await entered.wait()
        trained.append(gradient(framework))
        done.set()

    async def main() -> None:
        events = asyncio.Event(), asyncio.Event()
        await asyncio.gather(evaluates(*events), trains(*events))

    asyncio.run(main())
    np.testing.assert_allclose(trained[0], GRADIENT, rtol=1e-14)
    with fgi.inference_mode(traced=True):
        np.testing.assert_array_equal(gradient(framework), 0)
