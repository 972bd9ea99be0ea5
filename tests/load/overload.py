"""Ten times as many requests as the server can serve: it serves on at nearly its best and turns the rest away."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import cast

from tests.load.generators import Crew, Outcome
from tests.load.machine import RARELY, PeakMemory, cpu_seconds
from tests.load.report import Report, percentile
from tests.load.target import Target
from tests.load.wire import PATIENCE_SECONDS, Answer, NoAnswer, Peer
from tests.serving import Served

MEBIBYTE = 1024 * 1024
TIMES = 10
PEAK_CONNECTIONS = 32
RECOVERY_SECONDS = 10.0

#: Served, but when the time was over.
LATE = "served late"

#: What turns a request away, by status, in the words of each face.
DIALECTS = {429: "TOOMANYREQUESTS", 400: "ThrottlingException", 503: ""}


@dataclass(frozen=True)
class Size:
    """``connections`` in all, in two processes; goodput is at least ``least_share`` of the best.

    That is judged by the rate, or by what part of the server's processor time went into what it served: the generators
    run on the same cores, and ten times as many requests take more of them than those of the best.
    """

    seconds: float
    connections: int
    least_share: float
    most_mebibytes: int


def requests(target: Target, kind: str, name: str) -> Iterator[bytes]:
    """Pushes that are all different, or the same signed call again and again."""
    return (target.push(f"{name}-{number}") if kind == "push" else target.describe for number in count())


def read_answer(received: bytes) -> Answer | None:
    """The answer, once all of it is there."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    return Answer(int(status.split()[1]), headers, length, "", body) if len(body) >= length else None


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


class Caller(asyncio.Protocol):
    """A connection that sends one request at a time; ``settle`` takes its answer, None when there will be none.

    Streams and tasks would cost the generator more than most of these requests cost the server, on the same cores.
    """

    def __init__(self, settle: Callable[["Caller", Answer | None, float], None]) -> None:
        self._settle = settle
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._begun = 0.0
        self._news: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may be used."""
        self._transport = cast("asyncio.Transport", transport)

    @property
    def is_open(self) -> bool:
        """Whether it may still be used."""
        return self._transport is not None

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is due."""
        return self._begun > 0

    @property
    def has_begun(self) -> bool:
        """Whether a part of the answer has come."""
        return bool(self._received)

    async def rest(self) -> None:
        """Wait until no answer is due."""
        while self.is_waiting:
            self._news = asyncio.Event()
            await self._news.wait()

    def ask(self, data: bytes) -> None:
        """Send a whole request."""
        assert self._transport is not None
        self._received, self._begun = b"", time.monotonic()
        self._transport.write(data)

    def close(self) -> None:
        """Let go of it."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """A part of the answer."""
        self._received += data
        answer = read_answer(self._received)
        if answer is not None:
            self._settled(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone, or has no more to say."""
        self._transport = None
        if self._begun:
            self._settled(None)

    def _settled(self, answer: Answer | None) -> None:
        seconds, self._begun = time.monotonic() - self._begun, 0.0
        self._settle(self, answer, seconds)
        if self._news is not None:
            self._news.set()


class Flood:
    """``connections`` that are used again as soon as they are free."""

    def __init__(self, address: str, connections: int) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self.outcome = Outcome()
        self._callers = [Caller(self._settle) for _ in range(connections)]
        self._free: list[Caller] = []

    async def open(self, callers: list[Caller] | None = None) -> None:
        """Connect all, or these."""
        loop = asyncio.get_running_loop()
        for caller in self._callers if callers is None else callers:
            with suppress(OSError):
                await loop.create_connection(lambda caller=caller: caller, *self._address)  # type: ignore[misc]
            self._free.append(caller)

    def send(self, source: Iterator[bytes], due: int) -> list[Caller]:
        """Send so many requests; those for which there is no connection are counted. Returns callers to be opened."""
        closed = []
        possible = min(due, len(self._free))
        self.outcome.count("not sent", due - possible)
        for _ in range(possible):
            caller = self._free.pop()
            if caller.is_open:
                caller.ask(next(source))
            else:
                closed.append(caller)
        return closed

    async def end(self) -> None:
        """Wait for what is due, and let go."""
        until = time.monotonic() + PATIENCE_SECONDS
        for caller in self._callers:
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    await caller.rest()
        if left := sum(caller.is_waiting for caller in self._callers):
            self.outcome.broken.append(f"{left} requests were not answered in time")
        for caller in self._callers:
            caller.close()

    def _settle(self, caller: Caller, answer: Answer | None, seconds: float) -> None:
        if answer is not None:
            self.outcome.count(judge(answer))
            self.outcome.latencies.append(seconds)
        elif caller.has_begun:
            self.outcome.broken.append("an answer that broke off")
        else:
            self.outcome.count("closed unanswered")
        self._free.append(caller)


async def flood(target: Target, kind: str, name: str, connections: int, rate: float, seconds: float) -> Outcome:
    """``rate`` requests a second whatever is answered, each on a free connection; without one it is not sent."""
    source, clients = requests(target, kind, name), Flood(target.address, connections)
    await clients.open()
    outcome = clients.outcome
    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate) - sent
        sent += due
        await clients.open(clients.send(source, due))
        await asyncio.sleep(0.002)
    outcome.seconds = time.monotonic() - begun
    # What is answered later is no goodput of this time, though the server had its work with it.
    counted = dict(outcome.statuses)
    await clients.end()
    late = {what: number - counted.get(what, 0) for what, number in outcome.statuses.items()}
    outcome.statuses = counted | {LATE: late.pop("ok", 0), "turned away late": sum(late.values())}
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
    with PeakMemory(server, RARELY) as memory:
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
    known = {"ok", LATE, "turned away", "turned away late", "not sent", "closed unanswered"}
    wrong = {what: number for what, number in seen.statuses.items() if what not in known}
    share, offered = seen.rate("ok") / peak, sum(seen.statuses.values()) / seen.seconds / peak
    sent = offered - seen.rate("not sent") / peak
    report.say(
        f"    {offered:.1f} times that offered on {size.connections} connections, {sent:.1f} times that sent, the rest for "
        f"want of a free one not: {seen.rate('ok'):.0f}/s served, {seen.rate('turned away'):.0f}/s turned away, "
        f"p99 {percentile(seen.latencies, 0.99):.2f} s"
    )
    report.say(
        f"    CPU seconds: server {used:.1f}, generators {seen.cpu:.1f}; memory +{memory.raised / MEBIBYTE:.0f} MiB; "
        f"well again after {well.seconds:.2f} s"
    )
    thrift = cost * (seen.statuses.get("ok", 0) + seen.statuses.get(LATE, 0)) / used
    is_kept = max(share, thrift) >= size.least_share
    report.judge(
        f"goodput is {share:.0%} of the best, {thrift:.0%} by processor time, at least {size.least_share:.0%}",
        is_kept=is_kept,
    )
    report.judge(f"every other answer says when to come back {wrong or ''}", is_kept=not wrong)
    report.judge(f"no answer is truncated or missing {seen.broken[:3] or ''}", is_kept=not seen.broken)
    is_bounded = memory.raised <= size.most_mebibytes * MEBIBYTE
    report.judge(f"memory grows by at most {size.most_mebibytes} MiB", is_kept=is_bounded)
    report.judge(f"it recovers within {RECOVERY_SECONDS:.0f} s", is_kept=well.seconds <= RECOVERY_SECONDS)
