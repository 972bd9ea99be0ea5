"""Big blobs, moved by curl: downloads, uploads in one PUT, and uploads in chunks as the Docker engine sends them."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.samples import Sample, measure
from bench.seeds import BigFile, Seeded, begin_upload, check_blob, expect, local_part, with_digest
from bench.servers import BenchError, Server

UPLOADS = "bench/uploads"


def get_big_blobs(server: Server, seeded: Seeded, at_once: int, size: int) -> Sample:
    """GET big blobs, several at once."""
    urls = [f"{server.url}{path}" for path in seeded.big]

    def work() -> float:
        commands = [[*_curl(server), "-o", os.devnull, urls[number % len(urls)]] for number in range(at_once)]
        _curl_all(commands, "200")
        return float(at_once * size)

    return measure(server, work)


def put_big_blobs(server: Server, files: list[BigFile]) -> Sample:
    """Upload big blobs at once: POST, then one PUT with the body."""

    def upload(file: BigFile) -> None:
        _send(server, file, "PUT", with_digest(_begin(server), file.digest), [], "201")

    return _upload(server, files, upload)


def patch_big_blobs(server: Server, files: list[BigFile]) -> Sample:
    """Upload big blobs at once as the Docker engine does: POST, one PATCH in HTTP chunks, an empty PUT."""

    def upload(file: BigFile) -> None:
        chunked = ["-H", "Transfer-Encoding: chunked"]
        location = _send(server, file, "PATCH", _begin(server), chunked, "202")
        status, _, _ = server.request("PUT", with_digest(local_part(server, location), file.digest), b"")
        expect(status, 201, "the closing PUT")

    return _upload(server, files, upload)


def _begin(server: Server) -> str:
    connection = server.connect()
    try:
        return begin_upload(server, connection, UPLOADS)
    finally:
        connection.close()


def _upload(server: Server, files: list[BigFile], upload: Callable[[BigFile], None]) -> Sample:
    server.create_repository(UPLOADS)

    def work() -> float:
        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(upload, files))
        return float(sum(file.size for file in files))

    sample = measure(server, work)
    check_blob(server, f"/v2/{UPLOADS}/blobs/{files[-1].digest}")
    return sample


def _send(server: Server, file: BigFile, method: str, path: str, flags: list[str], wanted: str) -> str:
    """Send a file as the body of a request; returns the Location of the answer."""
    argv = [*_curl(server), "-X", method, "-T", str(file.path), "-H", "Content-Type: application/octet-stream"]
    argv += ["-H", "Expect:", *flags, "-D", "-", "-o", os.devnull, f"{server.url}{path}"]
    [output] = _curl_all([argv], wanted)
    return next(
        (line.split(":", 1)[1].strip() for line in output.splitlines() if line.lower().startswith("location:")),
        "",
    )


def _curl(server: Server) -> list[str]:
    # HTTP/1.1, as the container clients' bodies go when they are large; without a check of the fresh certificate.
    argv = ["curl", "--silent", "--show-error", "--http1.1", "--insecure", "--write-out", "\n%{http_code}"]
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
