"""Coroutines that run at once, and become tasks where they wait."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from moorage.web import eager

_name: ContextVar[str] = ContextVar("name", default="outside")


async def _run(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
    """As a transport would: called by the loop, not by a task."""
    loop = asyncio.get_running_loop()
    started: asyncio.Future[asyncio.Task[None] | None] = loop.create_future()

    def start() -> None:
        try:
            started.set_result(eager.run(loop, work))
        except Exception as error:  # noqa: BLE001 - handed to the test
            started.set_exception(error)

    loop.call_soon(start)
    return await started


def test_what_need_not_wait_is_done_at_once() -> None:
    done = []

    async def work() -> None:
        done.append("all")

    assert asyncio.run(_run(work())) is None
    assert done == ["all"]


def test_what_waits_goes_on_as_a_task() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("first")
        await asyncio.sleep(0)
        done.append("second")

    async def main() -> None:
        task = await _run(work())
        assert task is not None
        await task

    asyncio.run(main())
    assert done == ["first", "second"]


def test_a_time_limit_that_was_set_before_the_first_wait_holds() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async def main() -> None:
        task = await _run(work())
        assert task is not None
        with pytest.raises(TimeoutError):
            await task

    asyncio.run(main())


def test_a_task_group_may_be_opened_before_the_first_wait() -> None:
    done = []

    async def child() -> None:
        done.append("child")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    async def main() -> None:
        task = await _run(work())
        assert task is not None
        await task

    asyncio.run(main())
    assert done == ["child"]


def test_a_cancellation_reaches_the_coroutine_where_it_waits() -> None:
    seen = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        task = await _run(work())
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["cancelled"]


@pytest.mark.parametrize("waits_for_something", [True, False])
def test_a_cancellation_in_the_same_turn_reaches_the_coroutine(waits_for_something: bool) -> None:
    """The end of a drain cancels whatever runs, also what has just begun."""
    seen = []

    async def work() -> None:
        try:
            await (asyncio.Event().wait() if waits_for_something else asyncio.sleep(0))
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)
            seen.append("answered")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def start() -> None:
            task = eager.run(loop, work())
            assert task is not None
            task.cancel()
            task.add_done_callback(ended.set_result)

        loop.call_soon(start)
        (await ended).result()

    asyncio.run(main())
    assert seen == ["cancelled", "answered"]


def test_a_cancellation_in_the_same_turn_reaches_what_is_waited_for() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        inner: asyncio.Future[None] = loop.create_future()

        async def work() -> None:
            await inner

        def start() -> None:
            task = eager.run(loop, work())
            assert task is not None
            task.cancel()

        loop.call_soon(start)
        with pytest.raises(asyncio.CancelledError):
            await inner

    asyncio.run(main())


def test_an_error_that_is_awaited_reaches_the_coroutine() -> None:
    seen = []

    async def work() -> None:
        failing = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failing.set_exception, ValueError("no"))
        try:
            await failing
        except ValueError:
            seen.append("seen")

    async def main() -> None:
        task = await _run(work())
        assert task is not None
        await task

    asyncio.run(main())
    assert seen == ["seen"]


def test_an_error_before_the_first_wait_is_raised() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(_run(work()))


def test_context_variables_stay_inside_and_last_beyond_the_first_wait() -> None:
    seen = []

    async def work() -> None:
        _name.set("inside")
        await asyncio.sleep(0)
        seen.append(_name.get())

    async def main() -> None:
        task = await _run(work())
        seen.append(_name.get())
        assert task is not None
        await task

    asyncio.run(main())
    assert seen == ["outside", "inside"]


def test_within_a_task_it_is_a_task_from_the_beginning() -> None:
    async def work() -> None:
        return

    async def main() -> None:
        task = eager.run(asyncio.get_running_loop(), work())
        assert task is not None
        await task

    asyncio.run(main())
