"""When connections with a request that was too much look at it again."""

import asyncio
from dataclasses import dataclass, field

from moorage.web.second_look import SECONDS, SecondLook


Looks = asyncio.Queue[tuple[str, float]]


@dataclass
class Connection:
    """Tells when it looked."""

    name: str
    looks: Looks
    is_broken: bool = False

    def look_again(self) -> None:
        self.looks.put_nowait((self.name, asyncio.get_running_loop().time()))
        if self.is_broken:
            raise RuntimeError("a fault of one connection")


@dataclass
class Worker:
    """A process with a queue of its own."""

    queue: SecondLook = field(default_factory=SecondLook)
    looks: Looks = field(default_factory=asyncio.Queue)

    def hold(self, name: str, *, is_broken: bool = False) -> None:
        """Have a connection wait."""
        self.queue.await_turn(Connection(name, self.looks, is_broken), asyncio.get_running_loop())

    async def next_looks(self, count: int) -> list[tuple[str, float]]:
        """Names and times of those who look next."""
        async with asyncio.timeout(10):
            return [await self.looks.get() for _ in range(count)]


def test_each_looks_after_its_time_those_that_came_first_in_front() -> None:
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


def test_a_fault_of_one_keeps_nobody_else_waiting() -> None:
    async def play() -> None:
        worker, faults = Worker(), list[str]()
        asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(str(told["exception"])))
        worker.hold("broken", is_broken=True)
        worker.hold("sound")
        assert [name for name, _ in await worker.next_looks(2)] == ["broken", "sound"]
        assert faults == ["a fault of one connection"]

    asyncio.run(play())
