"""SIGTERM in the middle of many pushes and pulls: each is finished or was never begun, and nothing is cut."""

import asyncio
import hashlib
import signal
import time
from pathlib import Path

from tests.load.generators import Crew, Outcome
from tests.load.report import Report
from tests.load.target import REPOSITORY, Target, prepare
from tests.load.wire import NoAnswer, Peer, Truncated, request
from tests.serving import Served, serve

MEBIBYTE = 1024 * 1024
PIECES = 16
DRAIN_SECONDS = 60.0
HURRY_SECONDS = 10.0


def blob(number: int) -> bytes:
    """Two megabytes that nobody else pushes."""
    return hashlib.sha256(b"%d" % number).digest() * 65536


async def push(target: Target, number: int, pause: float, outcome: Outcome) -> None:
    """One blob in one request, slowly; what is acknowledged is noted."""
    data = blob(number)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path, size = f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}", len(data) // PIECES
    async with Peer(target.address) as peer:
        await peer.send(request("POST", path, target.authorization, length=len(data)))
        for start in range(0, len(data), size):
            await peer.send(data[start : start + size])
            await asyncio.sleep(pause)
        answer = await peer.receive()
    outcome.count(f"push {answer.status}")
    if answer.status == 201:
        outcome.count(f"acknowledged {digest}")


async def pull(target: Target, pause: float, outcome: Outcome) -> None:
    """The large blob, slowly and whole."""
    async with Peer(target.address, receive_buffer=65536) as peer:
        await peer.send(target.pull_blob())
        answer = await peer.receive(pause=pause)
    outcome.count(f"pull {answer.status}")
    if answer.status == 200 and f"sha256:{answer.sha256}" != target.blob_digest:
        outcome.broken.append("a pull brought other bytes")


async def both(target: Target, first: int, clients: int, pause: float, seconds: float) -> Outcome:
    """Half of the clients push and half pull, again and again, until the time is over or nobody listens any more."""
    outcome, end = Outcome(), time.monotonic() + seconds

    async def client(number: int) -> None:
        turn = 0
        while time.monotonic() < end:
            turn += 1
            try:
                if number % 2:
                    await push(target, first + number + 1000 * turn, pause, outcome)
                else:
                    await pull(target, pause, outcome)
            except NoAnswer:
                outcome.count("no answer begun")
                await asyncio.sleep(0.2)
            except (Truncated, TimeoutError) as error:
                outcome.broken.append(repr(error))

    await asyncio.gather(*(client(number) for number in range(clients)))
    return outcome


def measure(
    directory: Path, crew: Crew, clients: int, rounds: int, report: Report, *, is_hurried: bool = False
) -> None:
    """Each round stops a server under load and starts it again, to see what it kept."""
    how = "two SIGTERM a second apart" if is_hurried else "SIGTERM"
    report.say(f"{how} during {clients} pushes and pulls, {rounds} rounds")
    for number in range(rounds):
        _round(directory / f"{is_hurried}{number}", crew, clients, report, is_hurried=is_hurried)


def _round(directory: Path, crew: Crew, clients: int, report: Report, *, is_hurried: bool) -> None:
    with serve(directory, "--workers", "2") as served:
        target = prepare(served)
        load = crew.start(both, target, 0, clients, 0.1, 6.0)
        time.sleep(2.5)
        status, took = _stop(served, is_hurried=is_hurried)
        outcome = load.result()
    acknowledged = [what.split()[1] for what in outcome.statuses if what.startswith("acknowledged ")]
    counts = {what: number for what, number in outcome.statuses.items() if not what.startswith("acknowledged ")}
    with serve(directory, "--workers", "2") as served:
        lost = [digest for digest in acknowledged if not _is_there(served, target, digest)]
    report.say(f"    stopped with {status} after {took:.1f} s; {counts}")
    known = {"push 201", "pull 200", "push 503", "pull 503", "push 429", "pull 429", "no answer begun"}
    report.judge(f"no answer is of another kind {set(counts) - known or ''}", is_kept=set(counts) <= known)
    report.judge(f"none of {len(acknowledged)} acknowledged pushes is lost {lost or ''}", is_kept=not lost)
    most = HURRY_SECONDS if is_hurried else DRAIN_SECONDS
    report.judge(f"it ended in order within {most:.0f} s", is_kept=status == 0 and took <= most)
    if not is_hurried:
        report.judge(f"nothing was truncated {outcome.broken[:3] or ''}", is_kept=not outcome.broken)


def _stop(served: Served, *, is_hurried: bool) -> tuple[int, float]:
    begun = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    if is_hurried:
        time.sleep(1)
        served.process.send_signal(signal.SIGTERM)
    status = served.process.wait(2 * DRAIN_SECONDS)
    return status, time.monotonic() - begun


def _is_there(served: Served, target: Target, digest: str) -> bool:
    """Pull it from the server that runs now; the token of the former one is still good."""

    async def ask() -> bool:
        async with Peer(served.address) as peer:
            path = f"/v2/{REPOSITORY}/blobs/{digest}"
            answer = await peer.ask(request("GET", path, target.authorization))
            return answer.status == 200 and f"sha256:{answer.sha256}" == digest

    return asyncio.run(ask())
