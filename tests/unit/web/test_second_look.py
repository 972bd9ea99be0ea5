"""When requests that were too much are looked at again."""

import asyncio
import time

import uvloop

from moorage.web.admission import LOOK_SECONDS, Turn
from moorage.web.second_look import MOST_BYTES, SECONDS, SecondLook


class Worker:
    """A process that has so many places, and who was served or turned away in it, and when."""

    def __init__(self, places: int = 0) -> None:
        self.places = places
        self.second_look = SecondLook()
        self.told: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()

    def hold(self, name: str, size: int = 0) -> None:
        """Hold a request."""
        loop = asyncio.get_running_loop()

        def look(*, is_last: bool) -> bool:
            if self.places:
                self.places -= 1
                self.told.put_nowait((name, "served", loop.time()))
                return True
            if is_last:
                self.told.put_nowait((name, "turned away", loop.time()))
            return is_last

        self.second_look.hold(look, size, loop)

    async def next_told(self, count: int) -> list[tuple[str, str, float]]:
        """What becomes of those who are told next."""
        async with asyncio.timeout(10):
            return [await self.told.get() for _ in range(count)]


def test_each_is_turned_away_when_its_time_is_over() -> None:
    async def play() -> None:
        worker, begun = Worker(), asyncio.get_running_loop().time()
        worker.hold("first")
        worker.hold("second")
        await asyncio.sleep(SECONDS / 2)
        worker.hold("third")
        told = await worker.next_told(3)
        assert [name for name, _, _ in told] == ["first", "second", "third"]
        assert {what for _, what, _ in told} == {"turned away"}
        waited = [at - begun for *_, at in told]
        assert waited[0] >= SECONDS
        assert waited[2] >= 1.5 * SECONDS

    asyncio.run(play())


def test_who_came_first_is_served_as_soon_as_there_is_room() -> None:
    """A burst drains at the pace of the work."""

    async def play() -> None:
        worker = Worker()
        for name in ("first", "second", "third"):
            worker.hold(name)
        worker.places = 2
        assert [told[:2] for told in await worker.next_told(3)] == [
            ("first", "served"),
            ("second", "served"),
            ("third", "turned away"),
        ]

    asyncio.run(play())


def test_a_queue_that_was_empty_begins_anew() -> None:
    async def play() -> None:
        worker = Worker(places=2)
        for name in ("first", "second"):
            worker.hold(name)
            assert [told[:2] for told in await worker.next_told(1)] == [(name, "served")]

    asyncio.run(play())


def test_there_is_room_until_so_many_bytes_are_held() -> None:
    async def play() -> None:
        worker = Worker()
        worker.hold("large", MOST_BYTES - 10)
        assert worker.second_look.has_room(10)
        assert not worker.second_look.has_room(11)
        await worker.next_told(1)
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

        def look(*, is_last: bool) -> bool:
            if is_last:
                was_late.set_result(turn.is_late())
            return is_last

        second_look.hold(look, 0, loop)
        await asyncio.sleep(SECONDS - LOOK_SECONDS / 4)
        time.sleep(SECONDS)  # noqa: ASYNC251 - the loop must not turn
        assert turn.is_late()
        assert not await was_late

    uvloop.run(play())


def _make_late(turn: Turn) -> None:
    while not turn.is_over():
        pass
