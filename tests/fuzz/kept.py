"""Honest users beside the fuzzers: what they push, they can pull, byte for byte, through either face."""

import json
from collections.abc import Awaitable, Callable, Container
from random import Random

from tests.fuzz.json_api import HOST, JsonRequests
from tests.fuzz.registry_api import KINDS
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.values import REPOSITORIES, Known, digest_of

#: A name that no generator makes.
NAME = "kept/apart"

Send = Callable[[Sent], Awaitable[Answer]]


class Broken(Exception):
    """An honest request was not served as it must be."""


class Kept:
    """An honest user with a key and a token. ``send`` is how requests get to the server."""

    def __init__(self, random: Random, send: Send, key: tuple[str, str], token: str) -> None:
        self._random = random
        self._send = send
        self._calls = JsonRequests(Random(0), Known(), key)
        self._token = token
        #: Digest of each image, its manifest and its layer.
        self._images: dict[str, tuple[bytes, bytes]] = {}

    async def call(self, operation: str, **given: object) -> Answer:
        """A well-signed call."""
        return await self._send(self._calls.signed(operation, json.dumps(given).encode()))

    async def tend(self, standing: Container[str] = ()) -> None:
        """Make what the fuzzers have deleted, so that they do not only meet what is missing.

        ``standing`` are the repositories that are known to be there: to make them again would only be refused.
        """
        for name in REPOSITORIES[:4]:
            if name in standing:
                continue
            mutability = self._random.choice(("MUTABLE", "MUTABLE", "IMMUTABLE"))
            await self.call("CreateRepository", repositoryName=name, imageTagMutability=mutability)

    async def work(self) -> None:
        """Push an image and pull it and an older one. Raises ``Broken``."""
        await self.call("CreateRepository", repositoryName=NAME)
        config, layer = b"{}", self._random.randbytes(300)
        for blob in (config, layer):
            await self._registry("POST", f"blobs/uploads/?digest={digest_of(blob)}", 201, blob)
        manifest = _manifest(config, layer)
        digest = digest_of(manifest)
        await self._registry("PUT", f"manifests/{digest}?tag=t{len(self._images)}", 201, manifest)
        self._images[digest] = (manifest, layer)
        await self._pull(digest)
        await self._pull(self._random.choice(list(self._images)))

    async def _pull(self, digest: str) -> None:
        manifest, layer = self._images[digest]
        if (await self._registry("GET", f"manifests/{digest}", 200)).body != manifest:
            raise Broken(f"the manifest {digest} came back otherwise")
        if (await self._registry("GET", f"blobs/{digest_of(layer)}", 200)).body != layer:
            raise Broken(f"the layer {digest_of(layer)} came back otherwise")
        answer = await self.call("BatchGetImage", repositoryName=NAME, imageIds=[{"imageDigest": digest}])
        if answer.status != 200 or json.loads(answer.body)["images"][0]["imageManifest"].encode() != manifest:
            raise Broken(f"BatchGetImage of {digest}: {answer.status} {answer.body[:300]!r}")

    async def _registry(self, method: str, path: str, status: int, body: bytes = b"") -> Answer:
        headers = [
            (b"host", HOST.encode()),
            (b"authorization", self._token.encode()),
            (b"content-type", KINDS[0].encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        answer = await self._send(Sent(method, f"/v2/{NAME}/{path}".encode(), headers, (body,)))
        if answer.status != status:
            raise Broken(f"{method} {path}: {answer.status} {answer.body[:300]!r} {answer.failure}")
        return answer


def _manifest(config: bytes, layer: bytes) -> bytes:
    parts = [
        {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
        for kind, data in (
            ("application/vnd.oci.image.config.v1+json", config),
            ("application/octet-stream", layer),
        )
    ]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": KINDS[0], "config": parts[0], "layers": parts[1:]}
    ).encode()
