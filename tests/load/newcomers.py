"""Ten times as many requests as can be served, each on a connection of its own: what docker and its kin do.

Such requests wait where the server cannot see them, in the queue of connections that are not accepted yet; health, asked
for on connections of its own, too, must not wait there.
"""

import asyncio
import socket
import time
from contextlib import suppress

from moorage.web.descriptors import raise_limit
from tests.load.generators import Crew, Outcome
from tests.load.machine import RARELY, PeakMemory, cpu_seconds
from tests.load.overload import (
    LATE,
    PEAK_CONNECTIONS,
    RECOVERY_SECONDS,
    TIMES,
    Size,
    conclude,
    judge,
    read_answer,
    requests,
)
from tests.load.report import Report
from tests.load.target import Target
from tests.load.wire import Answer, request
from tests.serving import Served

#: A connection that is not answered for so long counts as a hang.
PATIENCE_SECONDS = 30.0
HEALTH_PAUSE = 0.1


async def visit(address: str, data: bytes) -> Answer | None:
    """Connect, ask, and leave with the answer; None when there was none. Raises ``TimeoutError``.

    On bare sockets: asyncio's streams would cost the generator more than the server needs to turn it away.
    """
    loop, received = asyncio.get_running_loop(), b""
    host, _, port = address.rpartition(":")
    with socket.socket() as connection, suppress(ConnectionError):
        connection.setblocking(False)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await loop.sock_connect(connection, (host, int(port)))
            await loop.sock_sendall(connection, data)
            while piece := await loop.sock_recv(connection, 65536):
                received += piece
                answer = read_answer(received)
                if answer is not None:
                    return answer
    return None


async def closed(target: Target, kind: str, name: str, connections: int, seconds: float) -> Outcome:
    """So many clients, each of whom comes again when it was answered: the server's best."""
    outcome, source, end = Outcome(), requests(target, kind, name), time.monotonic() + seconds

    async def ask() -> None:
        while time.monotonic() < end:
            answer = await visit(target.address, next(source))
            outcome.count("closed unanswered" if answer is None else judge(answer))

    await asyncio.gather(*(ask() for _ in range(connections)))
    return outcome


async def flood(target: Target, kind: str, name: str, most: int, rate: float, seconds: float) -> Outcome:
    """``rate`` clients a second whatever is answered; while ``most`` wait already, one more does not come."""
    raise_limit()
    outcome, source = Outcome(), requests(target, kind, name)
    running: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        begun = time.monotonic()
        try:
            answer = await visit(target.address, next(source))
        except TimeoutError as error:
            outcome.broken.append(repr(error))
            return
        outcome.count("closed unanswered" if answer is None else judge(answer))
        outcome.latencies.append(time.monotonic() - begun)

    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate) - sent
        sent += due
        for _ in range(due):
            if len(running) >= most:
                outcome.count("not sent")
                continue
            task = asyncio.create_task(ask())
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.sleep(0.002)
    outcome.seconds = time.monotonic() - begun
    counted = dict(outcome.statuses)
    await asyncio.gather(*running)
    late = {what: number - counted.get(what, 0) for what, number in outcome.statuses.items()}
    outcome.statuses = counted | {LATE: late.pop("ok", 0), "turned away late": sum(late.values())}
    return outcome


async def watch(target: Target, seconds: float) -> Outcome:
    """Ask for health again and again, as an orchestrator does."""
    outcome, end = Outcome(), time.monotonic() + seconds
    while time.monotonic() < end:
        for path in ("/livez", "/readyz"):
            begun = time.monotonic()
            answer = await visit(target.address, request("GET", path, "connection: close"))
            outcome.count("unanswered" if answer is None else str(answer.status))
            outcome.latencies.append(time.monotonic() - begun)
        await asyncio.sleep(HEALTH_PAUSE)
    return outcome


async def recover(target: Target, kind: str, name: str) -> Outcome:
    """How long until ten clients in a row are served, each within a second."""
    outcome, source, begun = Outcome(), requests(target, kind, name), time.monotonic()
    row = 0
    while row < 10 and time.monotonic() - begun < 3 * RECOVERY_SECONDS:
        asked = time.monotonic()
        answer = await visit(target.address, next(source))
        is_well = answer is not None and judge(answer) == "ok" and time.monotonic() - asked < 1
        row = row + 1 if is_well else 0
    outcome.seconds = time.monotonic() - begun
    return outcome


def measure(
    served: Served, target: Target, crew: Crew, kind: str, size: Size, health_seconds: float, report: Report
) -> None:
    """The best, then ten times that with somebody who asks for health, then the time it takes to be well again."""
    server, half = served.process.pid, size.connections // 2
    crew.start(closed, target, kind, "warm", PEAK_CONNECTIONS, 1.0).result()
    cpu = cpu_seconds(server)
    best = crew.start(closed, target, kind, "best", PEAK_CONNECTIONS, size.seconds).result()
    peak, cost = best.rate("ok"), (cpu_seconds(server) - cpu) / best.statuses["ok"]
    report.say(f"newcomers, {kind}: at best {peak:.0f}/s with {PEAK_CONNECTIONS} at once")
    before = cpu_seconds(server)
    with PeakMemory(server, RARELY) as memory:
        floods = [
            crew.start(flood, target, kind, f"flood{number}", half, TIMES * peak / 2, size.seconds)
            for number in range(2)
        ]
        health = crew.start(watch, target, size.seconds).result()
        seen = Outcome()
        for one in floods:
            seen.add(one.result())
    used = cpu_seconds(server) - before
    well = crew.start(recover, target, kind, "after").result()
    conclude(size, report, peak, cost, seen, memory, used, well)
    slowest = max(health.latencies)
    report.judge(f"health is answered: {health.statuses}", is_kept=set(health.statuses) == {"200"})
    report.judge(
        f"health takes {slowest:.2f} s at most, within {health_seconds:.1f} s",
        is_kept=slowest <= health_seconds,
    )
