"""When requests that were too much are looked at again."""

import asyncio
import time
from collections.abc import Callable

import uvloop

from moorage.web.admission import LOOK_SECONDS, Turn
from moorage.web.second_look import MOST_BYTES, SECONDS, SecondLook


class Worker:
    """A process, and who looked in it and when."""

    def __init__(self) -> None:
        self.second_look = SecondLook()
        self.looks: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    def hold(self, name: str, size: int = 0) -> None:
        """Hold a request."""
        loop = asyncio.get_running_loop()
        self.second_look.hold(self._looking(name, loop), size, loop)

    def _looking(self, name: str, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        return lambda: self.looks.put_nowait((name, loop.time()))

    async def next_looks(self, count: int) -> list[tuple[str, float]]:
        """Names and times of those who look next."""
        async with asyncio.timeout(10):
            return [await self.looks.get() for _ in range(count)]


def test_each_is_looked_at_after_its_time_those_that_came_first_in_front() -> None:
    async def play() -> None:
        worker, begun = Worker(), asyncio.get_running_loop().time()
        worker.hold("first")
        worker.hold("second")
        await asyncio.sleep(SECONDS / 2)
        worker.hold("third")
        looks = await worker.next_looks(3)
        assert [name for name, _ in looks] == ["first", "second", "third"]
        waited = [at - begun for _, at in looks]
        assert waited[0] >= SECONDS
        assert waited[2] >= 1.5 * SECONDS

    asyncio.run(play())


def test_a_queue_that_was_empty_begins_anew() -> None:
    async def play() -> None:
        worker = Worker()
        for name in ("first", "second"):
            worker.hold(name)
            assert [one for one, _ in await worker.next_looks(1)] == [name]

    asyncio.run(play())


def test_there_is_room_until_so_many_bytes_are_held() -> None:
    async def play() -> None:
        worker = Worker()
        worker.hold("large", MOST_BYTES - 10)
        assert worker.second_look.has_room(10)
        assert not worker.second_look.has_room(11)
        await worker.next_looks(1)
        assert worker.second_look.has_room(MOST_BYTES)

    asyncio.run(play())


def test_who_was_held_is_not_judged_by_the_turn_before() -> None:
    """A turn that lasted too long is over when the timers ring, whichever of them rings first."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        clock = iter(range(1_000_000))
        turn, second_look, was_late = (
            Turn(1, clock=lambda: next(clock) * 10.0),
            SecondLook(),
            loop.create_future(),
        )
        # Its look at the clock is due after the round: all of the wait before is over when both are.
        loop.call_later(SECONDS - LOOK_SECONDS / 2, _make_late, turn)
        second_look.hold(lambda: was_late.set_result(turn.is_late()), 0, loop)
        await asyncio.sleep(SECONDS - LOOK_SECONDS / 4)
        time.sleep(SECONDS)  # noqa: ASYNC251 - the loop must not turn
        assert turn.is_late()
        assert not await was_late

    uvloop.run(play())


def _make_late(turn: Turn) -> None:
    while not turn.is_over():
        pass
