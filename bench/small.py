"""Many small requests: ready-made ones, sent by wrk; HEAD by a generator of our own, for wrk waits for a body."""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.samples import Sample, measure
from bench.seeds import MANIFEST, Seeded, check
from bench.servers import BenchError, Server

_LUA = Path(__file__).with_name("replay.lua")

#: A server warms up for so many times as long as it is measured: every round begins with its start, and what is measured
#: is neither side's first look at each of 10,000 tags.
WARM_UP_TIMES = 1.5

#: Bodies that are compared again after each measurement; all of them were before the first.
COMPARED = 50


def get_manifests(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET manifests by tag, a random one each time."""
    return _read(server, seeded, "GET", seeded.manifests, connections, seconds)


def head_manifests(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """HEAD manifests by tag, a random one each time."""
    return _read(server, seeded, "HEAD", seeded.manifests, connections, seconds)


def get_one_manifest(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET the same manifest again and again."""
    return _read(server, seeded, "GET", _first(seeded.manifests), connections, seconds)


def get_small_blobs(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET blobs of 1 KiB, a random one each time."""
    return _read(server, seeded, "GET", seeded.blobs, connections, seconds)


def get_one_small_blob(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET the same blob of 1 KiB again and again."""
    return _read(server, seeded, "GET", _first(seeded.blobs), connections, seconds)


def _first(bodies: dict[str, bytes]) -> dict[str, bytes]:
    path = min(bodies)
    return {path: bodies[path]}


def _read(
    server: Server, seeded: Seeded, method: str, bodies: dict[str, bytes], connections: int, seconds: int
) -> Sample:
    requests = [raw_request(server, method, path, {"Accept": MANIFEST}) for path in bodies]
    sample = replay(server, requests, connections, seconds, is_head=method == "HEAD")
    some = random.sample(sorted(bodies), min(COMPARED, len(bodies)))
    check(server, Seeded({path: bodies[path] for path in some}, {}, [], seeded.images))
    return sample


def raw_request(
    server: Server,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes = b"",
    *,
    is_signed: bool = False,
) -> bytes:
    """A request as it goes over the wire. One that is signed carries its own Host and credentials."""
    fields = headers if is_signed else {"Host": server.address} | server.headers | headers
    if body:
        fields = fields | {"Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def replay(
    server: Server, requests: Iterable[bytes], connections: int, seconds: int, *, is_head: bool = False
) -> Sample:
    """Send random ones of these requests for some seconds. Raises ``BenchError`` unless all are answered well."""
    with _request_file(requests) as file:
        command = _heads if is_head else _wrk
        _run(command(server, file, connections, int(seconds * WARM_UP_TIMES)))
        return measure(server, lambda: _run(command(server, file, connections, seconds)))


def replay_once(server: Server, requests: list[bytes], connections: int, seconds: int) -> Sample:
    """As ``replay``, each request at most once, in order. Raises ``BenchError`` if they do not suffice."""
    with _request_file(requests) as file:
        sample = measure(server, lambda: _run(_wrk(server, file, connections, seconds, order="once")))
    if sample.units > len(requests) - connections:
        raise BenchError(f"{len(requests)} requests were too few for {seconds} s")
    return sample


@contextmanager
def _request_file(requests: Iterable[bytes]) -> Iterator[str]:
    """A file of requests, each behind its length, as both generators read them."""
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        for request in requests:
            file.write(b"%d\n%b\n" % (len(request), request))
        file.flush()
        yield file.name


def _wrk(server: Server, file: str, connections: int, seconds: int, order: str = "random") -> list[str]:
    # With one thread our server has time left that wrk has not; but each thread counts for itself what it has sent.
    threads = 1 if order == "once" else 2
    flags = [f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    return ["wrk", *flags, "-s", str(_LUA), server.url, "--", file, str(random.randrange(2**31)), order]


def _heads(server: Server, file: str, connections: int, seconds: int) -> list[str]:
    return [sys.executable, "-m", "bench.heads", server.address, file, str(connections), str(seconds)]


def _run(argv: list[str]) -> float:
    """Returns the requests that were answered. Raises ``BenchError`` if any was not, or not well."""
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode:
        raise BenchError(f"{argv[0]}: {ran.stderr[-500:]}")
    found = json.loads(ran.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise BenchError(f"{found['failed']} of {found['requests']} requests failed: {ran.stderr[-500:]}")
    return float(found["requests"])
