"""What the servers hold while they are measured: the same images and blobs in each, compared byte by byte."""

import hashlib
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.servers import BenchError, Server

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PIECE = 4 * 1024 * 1024
PUSHERS = 8

Item = TypeVar("Item")


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
    """What was pushed: a path for every tag and for every small blob, with the body of each; paths of big blobs.

    ``images`` has the digests of each repository's images by tag.
    """

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    big: list[str] = field(default_factory=list)
    images: dict[str, dict[str, str]] = field(default_factory=dict)


def digest_of(data: bytes) -> str:
    """The sha256 of bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest(layer: bytes, label: str) -> bytes:
    """A manifest of common size: one config, eight layers."""
    entry = {"digest": digest_of(layer), "size": len(layer)}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **entry},
            "layers": [{"mediaType": LAYER, **entry}] * 8,
            "annotations": {"org.opencontainers.image.version": label},
        }
    ).encode()


def seed_images(server: Server, repositories: int, tags: int) -> Seeded:
    """Push ``tags`` images, each with a small blob of its own, spread over the repositories."""
    names = [f"bench/images-{number}" for number in range(repositories)]
    shared = {name: hashlib.shake_256(name.encode()).digest(1024) for name in names}
    seeded = Seeded()
    for name in names:
        server.create_repository(name)

    def push(connection: http.client.HTTPConnection, number: int) -> None:
        name = names[number % repositories]
        blob = hashlib.shake_256(b"%d" % number).digest(1024)
        body = manifest(shared[name], str(number))
        seeded.blobs[f"/v2/{name}/blobs/{push_blob(server, connection, name, blob)}"] = blob
        put_manifest(server, connection, name, f"v{number}", body)
        seeded.manifests[f"/v2/{name}/manifests/v{number}"] = body

    def share(connection: http.client.HTTPConnection, name: str) -> None:
        push_blob(server, connection, name, shared[name])

    with_connections(server, share, names)
    with_connections(server, push, range(tags))
    return seeded


def seed_calls(server: Server, repositories: int, images: int) -> Seeded:
    """Put images by ``PutImage`` into repositories, the same number into each."""
    seeded = Seeded()

    def put(connection: http.client.HTTPConnection, name: str) -> None:
        server.create_repository(name)
        for number in range(images):
            # Each with a layer of its own: moto takes images of the same layers for the same image.
            layer = hashlib.shake_256(f"{name}:{number}".encode()).digest(1024)
            if server.authorization:
                push_blob(server, connection, name, layer)
            body = manifest(layer, str(number))
            payload = {"repositoryName": name, "imageManifest": body.decode(), "imageTag": f"v{number}"}
            server.call("PutImage", payload, connection)
            seeded.images.setdefault(name, {})[f"v{number}"] = digest_of(body)

    with_connections(server, put, [f"bench/calls-{number}" for number in range(repositories)])
    return seeded


def seed_big(server: Server, file: BigFile) -> Seeded:
    """Push a big file."""
    server.create_repository("bench/big")
    with file.path.open("rb") as body:
        connection = server.connect()
        location = begin_upload(server, connection, "bench/big")
        headers = server.headers | {"Content-Length": str(file.size)}
        connection.request("PUT", with_digest(location, file.digest), body, headers)
        expect(connection.getresponse().status, 201, location)
        connection.close()
    return Seeded(big=[f"/v2/bench/big/blobs/{file.digest}"])


def with_connections(
    server: Server, work: Callable[[http.client.HTTPConnection, Item], None], items: Iterable[Item]
) -> None:
    """Do something for each item, in a few threads with a connection each."""
    local = threading.local()
    opened: list[http.client.HTTPConnection] = []

    def run(item: Item) -> None:
        if not hasattr(local, "connection"):
            local.connection = server.connect()
            opened.append(local.connection)
        work(local.connection, item)

    with ThreadPoolExecutor(PUSHERS) as pool:
        for _ in pool.map(run, items):
            pass
    for connection in opened:
        connection.close()


def push_blob(server: Server, connection: http.client.HTTPConnection, repository: str, data: bytes) -> str:
    """Push a blob; returns its digest."""
    digest = digest_of(data)
    location = begin_upload(server, connection, repository)
    connection.request("PUT", with_digest(location, digest), data, server.headers)
    finish(connection, 201, location)
    return digest


def put_manifest(
    server: Server, connection: http.client.HTTPConnection, repository: str, tag: str, body: bytes
) -> None:
    """Push a manifest under a tag."""
    path = f"/v2/{repository}/manifests/{tag}"
    connection.request("PUT", path, body, server.headers | {"Content-Type": MANIFEST})
    finish(connection, 201, path)


def begin_upload(server: Server, connection: http.client.HTTPConnection, repository: str) -> str:
    """Begin an upload; returns the path and query of its location."""
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", b"", server.headers)
    return local_part(server, finish(connection, 202, repository)["Location"])


def finish(connection: http.client.HTTPConnection, wanted: int, what: str) -> http.client.HTTPMessage:
    """Read the answer to its end; its headers. Raises ``BenchError`` for another status than ``wanted``."""
    response = connection.getresponse()
    response.read()
    expect(response.status, wanted, what)
    return response.headers


def local_part(server: Server, location: str) -> str:
    """A location without scheme and host."""
    return location.removeprefix(server.url)


def with_digest(location: str, digest: str) -> str:
    """The closing request of an upload."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def check(server: Server, seeded: Seeded) -> None:
    """Read everything once and compare it with what was pushed. Raises ``BenchError``."""

    def compare(connection: http.client.HTTPConnection, item: tuple[str, bytes]) -> None:
        path, body = item
        connection.request("GET", path, headers=server.headers | {"Accept": MANIFEST})
        response = connection.getresponse()
        if (response.read(), response.status) != (body, 200):
            raise BenchError(
                f"{server.name}: GET {path} has status {response.status} and other bytes than were pushed"
            )

    with_connections(server, compare, [*seeded.manifests.items(), *seeded.blobs.items()])
    for path in seeded.big:
        check_blob(server, path)


def check_blob(server: Server, path: str) -> None:
    """Read a blob and compare its digest with its name. Raises ``BenchError``."""
    hashed = hashlib.sha256()
    connection = server.connect()
    connection.request("GET", path, headers=server.headers)
    response = connection.getresponse()
    while piece := response.read(PIECE):
        hashed.update(piece)
    connection.close()
    if response.status != 200 or not path.endswith(hashed.hexdigest()):
        raise BenchError(
            f"{server.name}: GET {path} has status {response.status} and other bytes than were pushed"
        )


def expect(status: int, wanted: int, what: str) -> None:
    """Raises ``BenchError`` for another status than ``wanted``."""
    if status != wanted:
        raise BenchError(f"{what}: status {status}, not {wanted}")
