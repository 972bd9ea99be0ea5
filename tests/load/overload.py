"""Ten times as many requests as the server can serve: it serves on at nearly its best and turns the rest away."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from tests.load.generators import Crew, Outcome
from tests.load.machine import PeakMemory, cpu_seconds
from tests.load.report import Report, percentile
from tests.load.target import Target
from tests.load.wire import Answer, NoAnswer, Peer, Truncated
from tests.serving import Served

MEBIBYTE = 1024 * 1024
TIMES = 10
PEAK_CONNECTIONS = 32
RECOVERY_SECONDS = 10.0

#: What turns a request away, by status, in the words of each face.
DIALECTS = {429: "TOOMANYREQUESTS", 400: "ThrottlingException", 503: ""}


@dataclass(frozen=True)
class Size:
    """``connections`` in all, in two processes.

    Where ``is_noisy`` others may have the machine at any time: then goodput is judged by the server's processor time.
    """

    seconds: float
    connections: int
    least_share: float
    most_mebibytes: int
    is_noisy: bool = False


def requests(target: Target, kind: str, name: str) -> Iterator[bytes]:
    """Pushes that are all different, or the same signed call again and again."""
    return (target.push(f"{name}-{number}") if kind == "push" else target.describe for number in count())


def judge(answer: Answer) -> str:
    """``ok``, ``turned away`` when that was said as it should be, else what was wrong."""
    if answer.status in {200, 201}:
        return "ok"
    if "retry-after" not in answer.headers:
        return f"{answer.status} without Retry-After: {answer.body[:100]!r}"
    if answer.status == 503 and answer.headers.get("content-type", "").startswith("text/plain"):
        return "turned away"
    told = json.loads(answer.body)
    code = told["__type"] if "__type" in told else told["errors"][0]["code"]
    expected = DIALECTS.get(answer.status)
    is_said = expected is not None and expected in code
    return "turned away" if is_said else f"{answer.status} {code}"


async def closed(target: Target, kind: str, name: str, connections: int, seconds: float) -> Outcome:
    """Each connection sends the next request when the last one is answered: the server's best."""
    outcome, source, end = Outcome(), requests(target, kind, name), time.monotonic() + seconds

    async def ask() -> None:
        async with Peer(target.address) as peer:
            while time.monotonic() < end:
                begun = time.monotonic()
                outcome.count(judge(await peer.ask(next(source))))
                outcome.latencies.append(time.monotonic() - begun)

    await asyncio.gather(*(ask() for _ in range(connections)))
    return outcome


async def flood(target: Target, kind: str, name: str, connections: int, rate: float, seconds: float) -> Outcome:
    """``rate`` requests a second whatever is answered, each on a free connection; without one it is not sent."""
    outcome, source = Outcome(), requests(target, kind, name)
    free = [Peer(target.address) for _ in range(connections)]
    running: set[asyncio.Task[None]] = set()

    async def ask(peer: Peer) -> None:
        begun = time.monotonic()
        try:
            outcome.count(judge(await peer.ask(next(source))))
        except NoAnswer:
            peer.close()
            outcome.count("closed unanswered")
        except (Truncated, TimeoutError) as error:
            peer.close()
            outcome.broken.append(repr(error))
        else:
            outcome.latencies.append(time.monotonic() - begun)
        free.append(peer)

    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate) - sent
        for _ in range(due):
            sent += 1
            if not free:
                outcome.count("not sent")
                continue
            task = asyncio.create_task(ask(free.pop()))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.sleep(0.002)
    outcome.seconds = time.monotonic() - begun
    # What is answered later is no goodput of this time.
    counted = dict(outcome.statuses)
    await asyncio.gather(*running)
    outcome.statuses = counted | {"answered late": sum(outcome.statuses.values()) - sum(counted.values())}
    for peer in free:
        peer.close()
    return outcome


async def recover(target: Target, kind: str, name: str) -> Outcome:
    """How long until ten requests in a row are served, one after the other, each within a second."""
    outcome, source, begun = Outcome(), requests(target, kind, name), time.monotonic()
    row = 0
    async with Peer(target.address) as peer:
        while row < 10 and time.monotonic() - begun < 3 * RECOVERY_SECONDS:
            asked = time.monotonic()
            verdict = ""
            with suppress(NoAnswer):
                verdict = judge(await peer.ask(next(source)))
            row = row + 1 if verdict == "ok" and time.monotonic() - asked < 1 else 0
    outcome.seconds = time.monotonic() - begun
    return outcome


def measure(served: Served, target: Target, crew: Crew, kind: str, size: Size, report: Report) -> None:
    """The best, then ten times that, then the time it takes to be well again."""
    server, half = served.process.pid, size.connections // 2
    crew.start(closed, target, kind, "warm", PEAK_CONNECTIONS, 1.0).result()
    cpu = cpu_seconds(server)
    best = crew.start(closed, target, kind, "best", PEAK_CONNECTIONS, size.seconds).result()
    peak, cost = best.rate("ok"), (cpu_seconds(server) - cpu) / best.statuses["ok"]
    report.say(f"overload, {kind}: at best {peak:.0f}/s on {PEAK_CONNECTIONS} connections")
    before = cpu_seconds(server)
    with PeakMemory(server) as memory:
        floods = [
            crew.start(flood, target, kind, f"flood{number}", half, TIMES * peak / 2, size.seconds)
            for number in range(2)
        ]
        seen = Outcome()
        for one in floods:
            seen.add(one.result())
    used = cpu_seconds(server) - before
    well = crew.start(recover, target, kind, "after").result()
    conclude(size, report, peak, cost, seen, memory, used, well)


def conclude(
    size: Size,
    report: Report,
    peak: float,
    cost: float,
    seen: Outcome,
    memory: PeakMemory,
    used: float,
    well: Outcome,
) -> None:
    """Judge what was seen against the promises."""
    known = {"ok", "turned away", "not sent", "answered late", "closed unanswered"}
    wrong = {what: number for what, number in seen.statuses.items() if what not in known}
    share, offered = seen.rate("ok") / peak, sum(seen.statuses.values()) / seen.seconds / peak
    report.say(
        f"    {offered:.1f} times that offered on {size.connections} connections: {seen.rate('ok'):.0f}/s served, "
        f"{seen.rate('turned away'):.0f}/s turned away, {seen.rate('not sent'):.0f}/s not sent for want of a connection, "
        f"p99 {percentile(seen.latencies, 0.99):.2f} s"
    )
    report.say(
        f"    CPU seconds: server {used:.1f}, generators {seen.cpu:.1f}; memory +{memory.raised / MEBIBYTE:.0f} MiB; "
        f"well again after {well.seconds:.2f} s"
    )
    thrift = cost * seen.statuses.get("ok", 0) / used
    is_kept = max(share, thrift if size.is_noisy else 0) >= size.least_share
    report.judge(
        f"goodput is {share:.0%} of the best, {thrift:.0%} by processor time, at least {size.least_share:.0%}",
        is_kept=is_kept,
    )
    report.judge(f"every other answer says when to come back {wrong or ''}", is_kept=not wrong)
    report.judge(f"no answer is truncated or missing {seen.broken[:3] or ''}", is_kept=not seen.broken)
    is_bounded = memory.raised <= size.most_mebibytes * MEBIBYTE
    report.judge(f"memory grows by at most {size.most_mebibytes} MiB", is_kept=is_bounded)
    report.judge(f"it recovers within {RECOVERY_SECONDS:.0f} s", is_kept=well.seconds <= RECOVERY_SECONDS)
