"""A layer of any size, pushed in one chunked PATCH as docker does and pulled again: memory must not follow its size."""

import hashlib
from collections.abc import Iterator

from tests.load.generators import Crew, Outcome
from tests.load.machine import PeakMemory, cpu_seconds
from tests.load.report import Report
from tests.load.target import REPOSITORY, Target
from tests.load.wire import Peer, chunk, request
from tests.serving import Served

MEBIBYTE = 1024 * 1024
MOST_RAISED = 50 * MEBIBYTE


def pieces(mebibytes: int) -> Iterator[bytes]:
    """Bytes that no two pieces share, made as they are sent."""
    base = hashlib.shake_128(b"layer").digest(MEBIBYTE)
    for number in range(mebibytes):
        yield number.to_bytes(8, "big") + base[8:]


async def push(target: Target, mebibytes: int) -> Outcome:
    """One PATCH in chunks, and a PUT with the digest, which is what the outcome names."""
    outcome, digest = Outcome(), hashlib.sha256()
    line = target.authorization
    async with Peer(target.address) as peer:
        begun = await peer.ask(request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", line, length=0))
        location = begun.headers["location"]
        await peer.send(request("PATCH", location, line, length=-1))
        for piece in pieces(mebibytes):
            digest.update(piece)
            await peer.send(chunk(piece))
        await peer.send(chunk(b""))
        patched = await peer.receive()
        separator = "&" if "?" in patched.headers["location"] else "?"
        path = f"{patched.headers['location']}{separator}digest=sha256:{digest.hexdigest()}"
        put = await peer.ask(request("PUT", path, line, length=0))
    outcome.count(f"{patched.status} {put.status}")
    outcome.broken.append(digest.hexdigest())
    return outcome


async def pull(target: Target, digest: str) -> Outcome:
    """The whole blob; the outcome says whether its bytes were right."""
    outcome = Outcome()
    async with Peer(target.address) as peer:
        path = f"/v2/{REPOSITORY}/blobs/sha256:{digest}"
        answer = await peer.ask(request("GET", path, target.authorization))
    outcome.count(f"{answer.status} {answer.length // MEBIBYTE} {answer.sha256 == digest}")
    return outcome


def measure(served: Served, target: Target, crew: Crew, mebibytes: int, report: Report) -> None:
    """A small layer first, so that what the server makes once is there already."""
    report.say(f"one layer of {mebibytes} MiB, pushed in chunks and pulled")
    _transfer(target, crew, 64)
    server = served.process.pid
    before = cpu_seconds(server)
    with PeakMemory(server) as memory:
        pushed, pulled = _transfer(target, crew, mebibytes)
    report.say(
        f"    push {mebibytes / pushed.seconds:.0f} MiB/s, pull {mebibytes / pulled.seconds:.0f} MiB/s; CPU seconds: "
        f"server {cpu_seconds(server) - before:.1f}, generator {pushed.cpu + pulled.cpu:.1f}"
    )
    report.say(
        f"    memory of all processes {memory.before / MEBIBYTE:.0f} MiB before, "
        f"{memory.peak / MEBIBYTE:.0f} MiB at most"
    )
    is_right = set(pushed.statuses) == {"202 201"} and set(pulled.statuses) == {f"200 {mebibytes} True"}
    report.judge(f"the same bytes come back ({pushed.statuses}, {pulled.statuses})", is_kept=is_right)
    raised = memory.raised / MEBIBYTE
    report.judge(f"memory grows by {raised:.1f} MiB, less than 50", is_kept=memory.raised < MOST_RAISED)


def _transfer(target: Target, crew: Crew, mebibytes: int) -> tuple[Outcome, Outcome]:
    pushed = crew.start(push, target, mebibytes).result()
    return pushed, crew.start(pull, target, pushed.broken[0]).result()
