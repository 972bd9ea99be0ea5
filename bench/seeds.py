"""What the servers hold while they are measured: the same images and blobs in both, compared byte by byte."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.servers import BenchError, Server

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PIECE = 4 * 1024 * 1024


@dataclass(frozen=True)
class BigFile:
    """A file to push, and its digest."""

    path: Path
    size: int
    digest: str

    @classmethod
    def make(cls, path: Path, size: int) -> "BigFile":
        """A file of random bytes; every piece differs from every other."""
        noise = os.urandom(PIECE)
        hashed = hashlib.sha256()
        with path.open("wb") as file:
            for number in range(-(-size // PIECE)):
                piece = (number.to_bytes(8, "big") + noise[8:])[: size - number * PIECE]
                hashed.update(piece)
                file.write(piece)
        return cls(path, size, f"sha256:{hashed.hexdigest()}")


@dataclass(frozen=True)
class Seeded:
    """What was pushed: a path for every tag, for every small blob, and the body of each."""

    manifests: dict[str, bytes]
    blobs: dict[str, bytes]
    big: list[str]


def seed(server: Server, repositories: int, tags: int, big: list[BigFile]) -> Seeded:
    """Push ``tags`` images to as many repositories, a small blob to each, and the big files to the first."""
    manifests: dict[str, bytes] = {}
    blobs: dict[str, bytes] = {}
    names = [f"bench/images-{number}" for number in range(repositories)]
    for name in names:
        server.create_repository(name)
        blob = hashlib.shake_256(name.encode()).digest(1024)
        blobs[f"/v2/{name}/blobs/{push_blob(server, name, blob)}"] = blob
    for number in range(tags):
        name = names[number % repositories]
        layer = blobs_of(blobs, name)
        body = _manifest(layer, number)
        path = f"/v2/{name}/manifests/v{number}"
        _expect(server.request("PUT", path, body, {"Content-Type": MANIFEST})[0], 201, path)
        manifests[path] = body
    for file in big:
        push_blob(server, names[0], file.path.read_bytes())
    return Seeded(manifests, blobs, [f"/v2/{names[0]}/blobs/{file.digest}" for file in big])


def blobs_of(blobs: dict[str, bytes], repository: str) -> bytes:
    """The small blob of a repository."""
    return next(body for path, body in blobs.items() if path.startswith(f"/v2/{repository}/blobs/"))


def _manifest(layer: bytes, number: int) -> bytes:
    """A manifest of common size: one config, eight layers."""
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(layer)}
    entry = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": len(layer)}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [entry] * 8,
            "annotations": {"org.opencontainers.image.version": str(number)},
        }
    ).encode()


def push_blob(server: Server, repository: str, data: bytes) -> str:
    """Push a blob; returns its digest."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    location = begin_upload(server, repository)
    _expect(server.request("PUT", with_digest(location, digest), data)[0], 201, location)
    return digest


def begin_upload(server: Server, repository: str) -> str:
    """Begin an upload; returns the path and query of its location."""
    status, headers, _ = server.request("POST", f"/v2/{repository}/blobs/uploads/")
    _expect(status, 202, repository)
    return local_part(server, headers["Location"])


def local_part(server: Server, location: str) -> str:
    """A location without scheme and host."""
    return location.removeprefix(f"http://{server.address}")


def with_digest(location: str, digest: str) -> str:
    """The closing request of an upload."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def check(server: Server, seeded: Seeded) -> None:
    """Read everything once and compare it with what was pushed. Raises ``BenchError``."""
    for path, body in (seeded.manifests | seeded.blobs).items():
        status, _, got = server.request("GET", path, headers={"Accept": MANIFEST})
        if (status, got) != (200, body):
            raise BenchError(f"{server.name}: GET {path} has status {status} and other bytes than were pushed")
    for path in seeded.big:
        check_blob(server, path)


def check_blob(server: Server, path: str) -> None:
    """Read a blob and compare its digest with its name. Raises ``BenchError``."""
    status, _, got = server.request("GET", path)
    if status != 200 or not path.endswith(hashlib.sha256(got).hexdigest()):
        raise BenchError(f"{server.name}: GET {path} has status {status} and {len(got)} wrong bytes")


def _expect(status: int, wanted: int, what: str) -> None:
    if status != wanted:
        raise BenchError(f"{what}: status {status}, not {wanted}")


def lines(paths: Iterator[str]) -> str:
    """One path a line, as ``choose.lua`` reads them."""
    return "".join(f"{path}\n" for path in paths)
