"""The raw-socket fuzzer: many connections at once to a real server, in plain text and over TLS."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import uvloop

from moorage.cli.certificates import make_authority, make_server
from moorage.ecr.contract import TARGET_PREFIX
from tests.fuzz import answers, oracles
from tests.fuzz.answers import Outcome
from tests.fuzz.integrity import Traces
from tests.fuzz.json_api import SIGNED
from tests.fuzz.oracles import PATIENCE
from tests.fuzz.raw_cases import NAME, Case, End, RawCases
from tests.fuzz.registry_api import told_token
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.volume import MOST_FAULTS, Chunk, Fault, Tally, fast_directory, play
from tests.serving import Served, command, free_port, running, wait_until_ready
from tests.support import signing
from tests.support.signing import Scope

#: Connections at once.
_AT_ONCE: Final = 24
_CHECK_EVERY: Final = 1_000
#: Seconds for which an answer is waited for before the client says that it has nothing more to say.
_LULL: Final = 0.3
_NOTHING: Final = Sent("GET", b"/", [])


@dataclass(frozen=True)
class Target:
    """A running server, and how to speak to it."""

    served: Served
    tls: ssl.SSLContext | None = None

    def sign(self, operation: str, body: bytes) -> list[tuple[str, str]]:
        """The headers of a well-signed call."""
        key, moment = self.served.credentials, datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "localhost"),
            ("x-amz-date", moment),
            ("x-amz-target", f"{TARGET_PREFIX}.{operation}"),
        ]
        scope = Scope(key.access_key_id, key.secret_access_key, moment)
        return [*headers, ("authorization", signing.header_value(scope, headers, SIGNED, body))]

    async def call(self, operation: str, **given: object) -> bytes:
        """The body that a well-signed call brings."""
        body = json.dumps(given).encode()
        lines = [f"{name}: {value}" for name, value in self.sign(operation, body)]
        head = "\r\n".join(
            ["POST / HTTP/1.1", *lines, f"content-length: {len(body)}", "connection: close", "", ""]
        )
        outcome = await exchange(self, Case([head.encode() + body], End.WAIT, is_slow=False, requests=1))
        return outcome.received.partition(b"\r\n\r\n")[2]


@contextmanager
def serving(directory: Path, *, is_tls: bool) -> Iterator[Target]:
    """A server of two workers."""
    flags, context = ["--workers", "2"], None
    if is_tls:
        authority = make_authority()
        made = make_server(authority, ["localhost", "127.0.0.1"])
        (directory / "cert.pem").write_bytes(made.certificate_pem())
        (directory / "key.pem").write_bytes(made.key_pem())
        flags += ["--tls-cert", str(directory / "cert.pem"), "--tls-key", str(directory / "key.pem")]
        context = ssl.create_default_context(cadata=authority.certificate_pem().decode())
    address, log = f"127.0.0.1:{free_port()}", directory / "server.log"
    with running(command(directory / "data", address, *flags), log) as process:
        served = Served(address, directory / "data", log, process)
        target = Target(served, context)
        wait_until_ready(lambda: _is_ready(target), process, log)
        yield target


def _is_ready(target: Target) -> bool:
    host, _, port = target.served.address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=PATIENCE):
        return (target.served.data_dir / "credentials").exists()
    return False


async def exchange(target: Target, case: Case) -> Outcome:
    """One connection from its first byte to its end."""
    host, _, port = target.served.address.rpartition(":")
    name = "localhost" if target.tls else None
    reader, writer = await asyncio.open_connection(host, int(port), ssl=target.tls, server_hostname=name)
    received = bytearray()
    reading = asyncio.create_task(_read(reader, received))
    is_hung, is_reset, begun = False, False, time.perf_counter()
    try:
        await _write(case, writer)
        begun = time.perf_counter()
        if case.end is End.RESET:
            raw = writer.get_extra_info("socket")
            if raw is not None:  # None once the server has ended the connection.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif case.end is not End.CLOSE:
            is_hung, is_reset = await _wait(case, reading, writer)
    except OSError:
        is_reset = True
    finally:
        seconds = time.perf_counter() - begun
        writer.transport.abort() if case.end is End.RESET else writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(0.5):
                await writer.wait_closed()
        reading.cancel()
        is_reset |= bool((await asyncio.gather(reading, return_exceptions=True))[0])
    return Outcome(bytes(received), seconds, is_hung, is_reset)


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    while piece := await reader.read(65536):
        received += piece


async def _write(case: Case, writer: asyncio.StreamWriter) -> None:
    for piece in case.pieces:
        if writer.transport.is_closing():
            return  # The server has ended the connection.
        writer.write(piece)
        await writer.drain()
        if case.is_slow:
            await asyncio.sleep(0.02)


async def _wait(case: Case, reading: asyncio.Task[None], writer: asyncio.StreamWriter) -> tuple[bool, bool]:
    """Whether the connection hangs, and whether it was reset."""
    if case.requests is None:
        if case.end is End.WAIT:
            await asyncio.wait([reading], timeout=_LULL)
        if not writer.can_write_eof():
            # TLS has no half-close: all that is left is to go.
            return False, False
        # uvloop raises RuntimeError where the server has ended the connection meanwhile.
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
    done, _ = await asyncio.wait([reading], timeout=2 * PATIENCE if case.requests else PATIENCE)
    return not done, bool(done and reading.exception())


def perform(chunk: Chunk) -> Tally:
    """Play a chunk of either kind."""
    return play_raw(chunk) if chunk.is_raw else play(chunk)


def play_raw(chunk: Chunk) -> Tally:
    """Play a chunk of connections, four fifths in plain text."""
    tally = Tally()
    for is_tls, share in ((False, 0.8), (True, 0.2)):
        with (
            tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as directory,
            serving(Path(directory), is_tls=is_tls) as target,
        ):
            play = RawPlay(chunk, target, f"{chunk.seed}/{chunk.number}/{is_tls}")
            tally.add(uvloop.run(play.run(round(chunk.count * share))))
    return tally


class RawPlay:
    """Connections to one server while they are played."""

    def __init__(self, chunk: Chunk, target: Target, seed: str) -> None:
        self._chunk = chunk
        self._target = target
        self._random = Random(seed)
        self._tally = Tally()
        self._log_read = 0

    async def run(self, count: int) -> Tally:
        """All of them, or as many as the first faults allow."""
        await self._target.call("CreateRepository", repositoryName=NAME)
        token = told_token(await self._target.call("GetAuthorizationToken"))
        cases = RawCases(self._random, token, self._target.sign)
        traces = Traces(self._target.served.data_dir)
        numbers = iter(range(count))
        while (some := list(islice(numbers, _CHECK_EVERY))) and len(self._tally.faults) < MOST_FAULTS:
            shared = iter(some)
            await asyncio.gather(*(self._play_each(shared, cases) for _ in range(_AT_ONCE)))
            self._check(traces)
        traces.close()
        return self._tally

    async def _play_each(self, numbers: Iterator[int], cases: RawCases) -> None:
        for number in numbers:
            await self._play(number, cases.make())

    async def _play(self, number: int, case: Case) -> None:
        outcome = await exchange(self._target, case)
        if outcome.is_hung:
            # What hangs does so again; else the machine was too busy for a moment.
            self._tally.statuses["slow once"] += 1
            outcome = await exchange(self._target, case)
        found = list(answers.faults(case, outcome))
        self._tally.requests += 1
        self._tally.statuses[outcome.received[9:12].decode("latin-1") or "none"] += 1
        if found:
            self._tally.faults.append(Fault(self._chunk, number, found, case.describe()))

    def _check(self, traces: Traces) -> None:
        """Between connections: the server lives, its log tells of no fault, what it keeps fits together."""
        problems = self._contradictions(traces)
        if self._target.served.process.poll() is not None:
            problems.append("the server has ended")
        log = self._target.served.log.read_bytes()
        lines, self._log_read = log[self._log_read :], len(log)
        for line in lines.split(b"\n"):
            # What a starting server tells people is no JSON.
            if line.startswith(b"{") or any(mark.encode() in line for mark in oracles.FAULTS):
                found = oracles.logs_no_fault(_NOTHING, Answer(log=line))
                problems += [found] if found else []
        if problems:
            self._tally.faults.append(Fault(self._chunk, self._tally.requests, problems[:10]))

    def _contradictions(self, traces: Traces) -> list[str]:
        """What does not fit together for longer than it takes to end what clients have left behind."""
        found = list(traces.contradictions())
        if not found:
            return []
        time.sleep(PATIENCE)
        still = set(traces.contradictions())
        return [one for one in found if one in still]


async def send_alone(target: Target, case: Case) -> list[str]:
    """What is wrong with one connection to a fresh server."""
    await target.call("CreateRepository", repositoryName=NAME)
    return list(answers.faults(case, await exchange(target, case)))


def replay_raw(case: Case) -> list[str]:
    """Send one connection to a fresh server of each kind."""
    found: list[str] = []
    for is_tls in (False, True):
        with (
            tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as directory,
            serving(Path(directory), is_tls=is_tls) as target,
        ):
            found += uvloop.run(send_alone(target, case))
    return found
