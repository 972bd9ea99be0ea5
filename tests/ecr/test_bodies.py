"""The memory that bodies may take at once."""

import asyncio

import pytest

from moorage.domain.errors import Unavailable
from moorage.ecr.bodies import SMALL, BodyBudget
from moorage.web.admission import Load
from tests.ecr.driver import Driver

LARGE = SMALL + 1


async def enter(budget: BodyBudget, size: int, log: list[int], leave: asyncio.Event) -> None:
    """Take room, note it, and keep it until told to leave."""
    async with budget.hold(size, Load()):
        log.append(size)
        await leave.wait()


async def turns(count: int = 5) -> None:
    """Let every other task run on."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_small_bodies_never_wait(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the bodies of others take: a small one needs no room."""

    def wait(_budget: BodyBudget, _size: int, _load: Load) -> None:
        raise AssertionError("a small body waits for room")

    monkeypatch.setattr(BodyBudget, "hold", wait)
    driver.ok("CreateRepository", repositoryName="team/app")


def test_who_waits_in_line_takes_no_place_of_those_who_could_be_served() -> None:
    """What it waits for are other clients, who may be as slow as they like."""

    async def scene() -> tuple[int, int]:
        budget, load, leave = BodyBudget(LARGE), Load(), asyncio.Event()

        async def take() -> None:
            load.running += 1
            async with budget.hold(LARGE, load):
                await leave.wait()
            load.running -= 1

        tasks = [asyncio.create_task(take()) for _ in range(3)]
        await turns()
        while_waiting = load.running
        leave.set()
        await asyncio.gather(*tasks)
        return while_waiting, load.running

    assert asyncio.run(scene()) == (1, 0)


def test_large_bodies_wait_in_line() -> None:
    """Who finds no room waits, and nobody overtakes, not even with a body that would fit."""

    async def scene() -> list[list[int]]:
        budget, log = BodyBudget(2 * LARGE), list[int]()
        first, others = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(enter(budget, LARGE, log, first))]
        await turns()
        tasks += [asyncio.create_task(enter(budget, size, log, others)) for size in (2 * LARGE, LARGE)]
        await turns()
        seen = [list(log)]
        first.set()
        await turns()
        seen.append(list(log))
        others.set()
        await asyncio.gather(*tasks)
        return [*seen, log]

    assert asyncio.run(scene()) == [[LARGE], [LARGE, 2 * LARGE], [LARGE, 2 * LARGE, LARGE]]


def test_who_gives_up_waiting_makes_way() -> None:
    """A client that goes away while it waits holds nobody up and takes no room with it."""

    async def scene() -> list[int]:
        budget, log, leave = BodyBudget(2 * LARGE), list[int](), asyncio.Event()
        holder = asyncio.create_task(enter(budget, LARGE, log, leave))
        await turns()
        waiting = asyncio.create_task(enter(budget, 2 * LARGE, log, leave))
        behind = asyncio.create_task(enter(budget, LARGE, log, leave))
        await turns()
        waiting.cancel()
        await turns()
        seen = list(log)
        leave.set()
        await asyncio.gather(holder, behind)
        async with asyncio.timeout(5), budget.hold(2 * LARGE, Load()):
            return seen

    assert asyncio.run(scene()) == [LARGE, LARGE]


def test_who_gives_up_in_its_very_turn_gives_the_room_back() -> None:
    """Room that was handed to a task that is cancelled at once is not lost."""

    async def scene() -> bool:
        budget, log, leave = BodyBudget(LARGE), list[int](), asyncio.Event()
        holder = asyncio.create_task(enter(budget, LARGE, log, leave))
        await turns()
        waiting = asyncio.create_task(enter(budget, LARGE, log, asyncio.Event()))
        await turns()
        leave.set()
        await holder
        waiting.cancel()
        await turns()
        async with asyncio.timeout(5), budget.hold(LARGE, Load()):
            return waiting.cancelled()

    assert asyncio.run(scene())


def test_a_slow_body_makes_way_for_those_who_wait() -> None:
    """Who holds room and sends nothing loses it as soon as somebody waits, whether that was there before or not."""

    async def linger(budget: BodyBudget) -> str:
        try:
            async with budget.hold(LARGE, Load()) as hold, hold.reading():
                await asyncio.Event().wait()
        except Unavailable as refusal:
            return str(refusal.facts["what"])
        return ""

    async def scene() -> list[str]:
        budget = BodyBudget(LARGE, grace_seconds=0)
        async with asyncio.timeout(10):
            slow = asyncio.gather(*(linger(budget) for _ in range(3)))
            await turns()
            async with budget.hold(LARGE, Load()):
                return await slow

    assert asyncio.run(scene()) == ["the body came too slowly while others waited"] * 3


def test_a_slow_body_for_which_nobody_waits_may_take_its_time() -> None:
    """Without others in line there is no end to the time that a body may take."""

    async def scene() -> None:
        async with BodyBudget(LARGE, grace_seconds=-1).hold(LARGE, Load()) as hold, hold.reading():
            await turns()

    asyncio.run(scene())


def test_a_body_that_has_come_keeps_its_room() -> None:
    """Only what is still coming can be too slow: work on the body takes what it takes."""

    async def scene() -> list[int]:
        budget, log = BodyBudget(LARGE, grace_seconds=-1), list[int]()
        leave = asyncio.Event()
        async with budget.hold(LARGE, Load()) as hold:
            async with hold.reading():
                pass
            waiting = asyncio.create_task(enter(budget, LARGE, log, leave))
            await turns()
            seen = len(log)
        leave.set()
        await waiting
        return [seen, len(log)]

    assert asyncio.run(scene()) == [0, 1]
