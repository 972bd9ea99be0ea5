"""Chunks of requests to both faces: each on a fresh server, from its own seed, so that any can be played again."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop

from tests.fuzz import oracles
from tests.fuzz.application import Fuzzed
from tests.fuzz.json_api import JsonRequests
from tests.fuzz.kept import Broken, Kept
from tests.fuzz.registry_api import RegistryRequests
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.values import Known

#: Of all requests, those to the JSON API.
JSON_SHARE: Final = 0.55

_TEND_EVERY: Final = 100
_WORK_EVERY: Final = 500
_CHECK_EVERY: Final = 2_500
MOST_FAULTS: Final = 20


@dataclass(frozen=True)
class Chunk:
    """What is played on one server: ``count`` requests from a seed, or connections where it is raw."""

    seed: int
    number: int
    count: int
    is_raw: bool = False


@dataclass
class Fault:
    """What was wrong, and the request after which it showed."""

    chunk: Chunk
    index: int
    sentences: list[str]
    sent: dict[str, Any] | None = None


@dataclass
class Tally:
    """What came of one chunk or many."""

    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Take another one's counts into this one."""
        self.requests += other.requests
        self.statuses += other.statuses
        self.faults += other.faults


def fast_directory() -> str | None:
    """Memory, where there is such a directory: what is written here is thrown away, and syncing it proves nothing."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def play(chunk: Chunk, until: int | None = None) -> Tally:
    """Play a chunk, or its first ``until`` requests."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as directory:
        return uvloop.run(Play(chunk, chunk.count if until is None else until).run(Path(directory)))


class Play:
    """One chunk while it is played."""

    def __init__(self, chunk: Chunk, count: int) -> None:
        self._chunk = chunk
        self._count = count
        self._random = Random(f"{chunk.seed}/{chunk.number}")
        self._tally = Tally()
        self._known = Known()

    async def run(self, directory: Path) -> Tally:
        """All of it, or as much as the first faults allow."""
        async with Fuzzed(directory) as server:
            tokens = await server.tokens()
            kept = Kept(Random(0), server.send, server.key, tokens[0])
            json_api = JsonRequests(self._random, self._known, server.key)
            registry_api = RegistryRequests(self._random, self._known, tokens)
            for index in range(self._count):
                if index % _TEND_EVERY == 0:
                    await self._look_after(index, server, kept)
                if self._random.random() < JSON_SHARE:
                    sent = json_api.make()
                    answer = await server.send(sent)
                    json_api.learn(answer)
                else:
                    sent = registry_api.make()
                    answer = await server.send(sent)
                    registry_api.learn(sent, answer)
                self._judge(index, sent, answer)
                if oracles.is_quick(sent, answer):
                    await self._ask_again(index, sent, server)
                if len(self._tally.faults) >= MOST_FAULTS:
                    break
            await self._look_after(self._count, server, kept)
        return self._tally

    async def _look_after(self, index: int, server: Fuzzed, kept: Kept) -> None:
        """Between two requests: honest users are served, and what is kept fits together."""
        await kept.tend(server.traces.standing())
        is_end = index == self._count
        problems: list[str] = []
        if is_end or index % _WORK_EVERY == 0:
            try:
                await kept.work()
            except Broken as error:
                problems.append(f"an honest user: {error}")
        if is_end or index % _CHECK_EVERY == 0:
            problems += server.traces.contradictions()
        if problems:
            self._tally.faults.append(Fault(self._chunk, index, problems))

    async def _ask_again(self, index: int, sent: Sent, server: Fuzzed) -> None:
        """What hangs does so again; else the machine was too busy for a moment, which is counted and no fault."""
        self._tally.statuses["slow once"] += 1
        slow = oracles.is_quick(sent, await server.send(sent))
        if slow:
            self._tally.faults.append(Fault(self._chunk, index, [slow], sent.describe()))

    def _judge(self, index: int, sent: Sent, answer: Answer) -> None:
        self._tally.requests += 1
        self._tally.statuses[str(answer.status)] += 1
        found = [
            text for text in oracles.faults(sent, answer) if not text.startswith(oracles.is_quick.__name__)
        ]
        if found:
            self._tally.faults.append(Fault(self._chunk, index, found, sent.describe()))


def replay(sent: Sent, chunk: Chunk, index: int) -> list[str]:
    """What is wrong when a request is sent alone to a fresh server; else when its chunk is played up to it."""
    found = uvloop.run(_send_alone(sent))
    if found:
        return ["alone:", *found]
    return [sentence for fault in play(chunk, until=index + 1).faults for sentence in fault.sentences]


async def _send_alone(sent: Sent) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as directory:
        async with Fuzzed(Path(directory)) as server:
            tokens = await server.tokens()
            await Kept(Random(0), server.send, server.key, tokens[0]).tend()
            headers = [
                (
                    name,
                    tokens[0].encode() if name == b"authorization" and value.startswith(b"Basic ") else value,
                )
                for name, value in sent.headers
            ]
            renewed = Sent(sent.method, sent.target, headers, sent.pieces, sent.is_cut)
            return list(oracles.faults(renewed, await server.send(renewed)))
