"""The loads: each puts one kind of work on a server for a while and says how much of it was done, at what price."""

import json
import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.seeds import MANIFEST, BigFile, Seeded, begin_upload, check_blob, lines, local_part, with_digest
from bench.servers import BenchError, Server

GIBIBYTE = 1024**3
UPLOADS = "bench/uploads"
_LUA = Path(__file__).with_name("choose.lua")


@dataclass(frozen=True)
class Sample:
    """One measurement. ``units`` is requests, or bytes where the load moves big blobs."""

    units: float
    seconds: float
    server_cpu: float
    client_cpu: float

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def server_cpu_per_unit(self) -> float:
        """Processor seconds of the server's processes for one unit."""
        return self.server_cpu / self.units

    @property
    def client_share(self) -> float:
        """What part of all processor time went to the load generator."""
        return self.client_cpu / max(self.client_cpu + self.server_cpu, 1e-9)


def _measure(server: Server, work: Callable[[], float]) -> Sample:
    """``work`` returns the units it did; its clients are child processes."""
    client, cpu, began = _children_cpu(), server.cpu_seconds(), time.perf_counter()
    units = work()
    seconds = time.perf_counter() - began
    return Sample(units, seconds, server.cpu_seconds() - cpu, _children_cpu() - client)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- Many small requests -------------------------------------------------------------------------------------


def get_manifests(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET manifests by tag, a random one each time."""
    return _wrk(server, seeded.manifests, connections, seconds)


def get_small_blobs(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """GET blobs of 1 KiB, a random one each time."""
    return _wrk(server, seeded.blobs, connections, seconds)


def _wrk(server: Server, paths: Iterable[str], connections: int, seconds: int) -> Sample:
    with tempfile.NamedTemporaryFile("w", suffix=".paths") as file:
        file.write(lines(iter(paths)))
        file.flush()
        argv = [
            "wrk",
            "-t1",
            f"-c{connections}",
            "-s",
            str(_LUA),
            "-H",
            f"Accept: {MANIFEST}",
            "--timeout",
            "10s",
        ]
        for name, value in server.headers.items():
            argv += ["-H", f"{name}: {value}"]
        tail = [f"http://{server.address}", "--", file.name, str(random.randrange(2**31))]
        _run_wrk([*argv, "-d1s", *tail])  # to warm up
        return _measure(server, lambda: _run_wrk([*argv, f"-d{seconds}s", *tail]))


def _run_wrk(argv: list[str]) -> float:
    """Returns the requests that were answered. Raises ``BenchError`` if any was not, or not with 200."""
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise BenchError(f"{found['failed']} of {found['requests']} requests failed")
    return float(found["requests"])


# --- Big blobs -----------------------------------------------------------------------------------------------


def get_big_blobs(server: Server, seeded: Seeded, at_once: int, size: int) -> Sample:
    """GET big blobs, several at once."""
    url = [f"http://{server.address}{path}" for path in seeded.big]

    def work() -> float:
        _curl_all(
            [[*_curl(server), "-o", os.devnull, url[number % len(url)]] for number in range(at_once)], "200"
        )
        return float(at_once * size)

    return _measure(server, work)


def put_big_blobs(server: Server, files: list[BigFile]) -> Sample:
    """Upload big blobs at once: POST, then one PUT with the body."""

    def upload(file: BigFile) -> None:
        location = with_digest(begin_upload(server, UPLOADS), file.digest)
        _send(server, file, "PUT", location, [], "201")

    return _upload(server, files, upload)


def patch_big_blobs(server: Server, files: list[BigFile]) -> Sample:
    """Upload big blobs at once as the Docker engine does: POST, one PATCH in HTTP chunks, an empty PUT."""

    def upload(file: BigFile) -> None:
        chunked = ["-H", "Transfer-Encoding: chunked"]
        location = _send(server, file, "PATCH", begin_upload(server, UPLOADS), chunked, "202")
        status, _, body = server.request("PUT", with_digest(local_part(server, location), file.digest), b"")
        if status != 201:
            raise BenchError(f"closing PUT: {status} {body[:200]!r}")

    return _upload(server, files, upload)


def _upload(server: Server, files: list[BigFile], upload: Callable[[BigFile], None]) -> Sample:
    server.create_repository(UPLOADS)

    def work() -> float:
        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(upload, files))
        return float(sum(file.size for file in files))

    sample = _measure(server, work)
    check_blob(server, f"/v2/{UPLOADS}/blobs/{files[0].digest}")
    return sample


def _send(server: Server, file: BigFile, method: str, path: str, flags: list[str], wanted: str) -> str:
    """Send a file as the body of a request; returns the Location of the answer."""
    argv = [*_curl(server), "-X", method, "-T", str(file.path), "-H", "Content-Type: application/octet-stream"]
    argv += ["-H", "Expect:", *flags, "-D", "-", "-o", os.devnull, f"http://{server.address}{path}"]
    [output] = _curl_all([argv], wanted)
    return next(
        (line.split(":", 1)[1].strip() for line in output.splitlines() if line.lower().startswith("location:")),
        "",
    )


def _curl(server: Server) -> list[str]:
    argv = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}"]
    for name, value in server.headers.items():
        argv += ["-H", f"{name}: {value}"]
    return argv


def _curl_all(commands: list[list[str]], wanted: str) -> list[str]:
    """Run curl several times at once. Raises ``BenchError`` for another status than ``wanted``."""
    running = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for argv in commands
    ]
    outputs = []
    for one in running:
        output, errors = one.communicate(timeout=300)
        if one.returncode or output.rpartition("\n")[2] != wanted:
            raise BenchError(f"curl: {output[-200:]} {errors}")
        outputs.append(output)
    return outputs
