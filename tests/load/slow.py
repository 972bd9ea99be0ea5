"""Slow clients by the hundred: others must not notice.

Headers and bodies at one byte a second, and readers that take a large blob in drops. Those that the server ends are
there again at once, so that the number stays.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass

from moorage.transfers.downloads import PIECES_BUDGET
from moorage.web.body_reader import MOST_READERS, PIECE
from moorage.web.flow import HIGH_WATER_BYTES
from moorage.web.limits import Limits
from tests.load.generators import Crew, Outcome
from tests.load.machine import RARELY, PeakMemory, cpu_seconds
from tests.load.report import Report, percentile
from tests.load.target import REPOSITORY, Target
from tests.load.wire import NoAnswer, Peer, Truncated, chunk, request
from tests.serving import Served

MEBIBYTE = 1024 * 1024
NORMAL_CONNECTIONS = 8
NORMAL_PAUSE = 0.02

#: What a slow client can make its connection keep: of a body that nobody takes, of a header, and the objects around
#: them. The rest of what it sends or does not read waits in the kernel.
CONNECTION_BYTES = HIGH_WATER_BYTES + Limits().header_bytes + 16 * 1024
#: What all of them share: pieces of downloads, buffers of the threads that read bodies; and what a worker grows by when
#: it has its first work at all (threads, connections to the database, its pages).
SHARED_BYTES = PIECES_BUDGET + MOST_READERS * PIECE + 32 * MEBIBYTE


@dataclass(frozen=True)
class Size:
    """How much of each, and for how long each of the windows is measured."""

    headers: int
    uploads: int
    readers: int
    seconds: float
    windows: int
    most_ratio: float
    least_bound: float

    @property
    def most_bytes(self) -> int:
        """What the memory may grow by."""
        return SHARED_BYTES + (self.headers + self.uploads + self.readers) * CONNECTION_BYTES


async def normal(target: Target, seconds: float) -> Outcome:
    """Pulls of a manifest at the pace of people: what slow clients must not disturb."""
    outcome, end = Outcome(), time.monotonic() + seconds
    data = target.pull()

    async def pull() -> None:
        async with Peer(target.address) as peer:
            while time.monotonic() < end:
                begun = time.monotonic()
                answer = await peer.ask(data)
                outcome.latencies.append(time.monotonic() - begun)
                outcome.count(str(answer.status))
                await asyncio.sleep(NORMAL_PAUSE)

    await asyncio.gather(*(pull() for _ in range(NORMAL_CONNECTIONS)))
    return outcome


async def crawl(target: Target, size: Size, seconds: float) -> Outcome:
    """All slow clients at once. Counted is how the server ended them."""
    outcome = Outcome()
    head = request("GET", "/v2/", target.authorization)
    upload = request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", target.authorization, length=0)

    async def drip(peer: Peer, data: bytes) -> None:
        for number in range(len(data)):
            if not peer.is_open:
                return
            await peer.send(data[number : number + 1])
            await asyncio.sleep(1)

    async def slow_header() -> None:
        async with Peer(target.address) as peer:
            await drip(peer, head)

    async def slow_upload() -> None:
        async with Peer(target.address) as peer:
            location = (await peer.ask(upload)).headers.get("location", "")
            await peer.send(request("PATCH", location, target.authorization, length=-1))
            while peer.is_open:
                await peer.send(chunk(b"x"))
                await asyncio.sleep(1)

    async def slow_reader() -> None:
        async with Peer(target.address, receive_buffer=4096) as peer:
            await peer.send(target.pull_blob())
            await peer.receive(pause=1, piece=1024)

    async def again(name: str, client: Callable[[], Coroutine[None, None, None]]) -> None:
        # They have nothing to do with each other: in step, each second's bytes would come in one burst.
        await asyncio.sleep(random.random())
        while True:
            with suppress(NoAnswer, Truncated, TimeoutError):
                await client()
            outcome.count(name)
            await asyncio.sleep(0.5)

    clients = [again("headers ended", slow_header) for _ in range(size.headers)]
    clients += [again("uploads ended", slow_upload) for _ in range(size.uploads)]
    clients += [again("readers ended", slow_reader) for _ in range(size.readers)]
    tasks = [asyncio.create_task(client) for client in clients]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return outcome


def measure(served: Served, target: Target, crew: Crew, size: Size, report: Report) -> None:
    """Alternate windows with and without slow clients."""
    report.say(
        f"slow clients: {size.headers} headers and {size.uploads} uploads at a byte a second, {size.readers} readers"
    )
    quiet, crowded, ended, raised = [], [], Outcome(), 0
    server = served.process.pid
    for _ in range(size.windows):
        # Both windows are watched alike: each look at the memory is felt.
        with PeakMemory(server, RARELY) as memory:
            quiet.append(_window(target, crew, size))
            began, before = time.monotonic(), cpu_seconds(server)
            attack = crew.start(crawl, target, size, size.seconds + 12)
            time.sleep(8)  # until all are there
            crowded.append(_window(target, crew, size))
            ended.add(attack.result())
            took = time.monotonic() - began
        raised = max(raised, memory.raised)
        report.say(
            f"    p99 {quiet[-1] * 1000:.1f} ms without, {crowded[-1] * 1000:.1f} ms with them; memory +"
            f"{memory.raised / MEBIBYTE:.0f} MiB; server {(cpu_seconds(server) - before) / took:.2f} cores"
        )
    report.say(f"    {ended.statuses}; their generator took {ended.cpu:.1f} CPU seconds")
    ratio = statistics.median(crowded) / statistics.median(quiet)
    is_kept = ratio <= size.most_ratio or statistics.median(crowded) <= size.least_bound
    report.judge(
        f"memory grows by {raised / MEBIBYTE:.0f} MiB at most, within {size.most_bytes / MEBIBYTE:.0f} MiB",
        is_kept=raised <= size.most_bytes,
    )
    report.judge(f"p99 of others is {ratio:.2f} times as long, at most {size.most_ratio}", is_kept=is_kept)


def _window(target: Target, crew: Crew, size: Size) -> float:
    outcome = crew.start(normal, target, size.seconds).result()
    if set(outcome.statuses) != {"200"}:
        raise RuntimeError(f"normal requests were answered {outcome.statuses}")
    return percentile(outcome.latencies, 0.99)
