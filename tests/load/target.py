"""The server under load, and what was pushed to it beforehand."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.load.wire import request
from tests.serving import Served, serve
from tests.threats.wire import Attacker

REPOSITORY = "load"
BLOB_BYTES = 16 * 1024 * 1024
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Target:
    """What the processes that make the load need to know; it can be pickled."""

    address: str
    token: str
    describe: bytes
    manifest: bytes
    blob_digest: str

    @property
    def authorization(self) -> str:
        """A line of a request's head."""
        return f"authorization: {self.token}"

    def pull(self) -> bytes:
        """The request for the manifest."""
        return request("GET", f"/v2/{REPOSITORY}/manifests/latest", self.authorization)

    def pull_blob(self) -> bytes:
        """The request for the large blob."""
        return request("GET", f"/v2/{REPOSITORY}/blobs/{self.blob_digest}", self.authorization)

    def push(self, number: str) -> bytes:
        """A whole push of a manifest that nobody pushed before, to a tag of its own: a durable commit."""
        body = self.manifest[:-1] + b', "annotations": {"number": "%b"}}' % number.encode()
        path = f"/v2/{REPOSITORY}/manifests/t-{number}"
        lines = self.authorization, f"content-type: {MANIFEST_TYPE}"
        return request("PUT", path, *lines, length=len(body)) + body


@contextmanager
def prepared(directory: Path, *flags: str) -> Iterator[tuple[Served, Target]]:
    """A server of two workers with a repository, an image and a large blob."""
    with serve(directory, "--workers", "2", *flags) as served:
        yield served, prepare(served)


def prepare(served: Served) -> Target:
    """Push what the load needs; the signed call may be repeated for a quarter of an hour."""
    owner = Attacker(served, served.credentials)
    assert owner.call("CreateRepository", repositoryName=REPOSITORY).status == 200
    config = b"{}"
    blob = b"".join(hashlib.sha256(b"%d" % number).digest() * 1024 for number in range(BLOB_BYTES // 32768))
    digest, config_digest = owner.push(REPOSITORY, blob), owner.push(REPOSITORY, config)
    layer = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": digest,
        "size": len(blob),
    }
    image = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": config_digest,
        "size": len(config),
    }
    document = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": image, "layers": [layer]}
    manifest = json.dumps(document).encode()
    put = owner.registry("PUT", f"/v2/{REPOSITORY}/manifests/latest", manifest, content_type=MANIFEST_TYPE)
    assert put.status == 201, put
    body = json.dumps({"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "latest"}]}).encode()
    headers = [f"{name}: {value}" for name, value in owner.sign("DescribeImages", body)]
    signed = "\r\n".join(["POST / HTTP/1.1", *headers, f"content-length: {len(body)}", "", ""])
    return Target(served.address, owner.token(), signed.encode() + body, manifest, digest)
