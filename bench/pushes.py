"""Pushes by skopeo: fresh, uncompressed, random layers into an empty repository, sent byte for byte."""

import base64
import json
import os
import random
import subprocess
from pathlib import Path

from bench.samples import Sample, measure
from bench.seeds import CONFIG, MANIFEST, check_blob, digest_of
from bench.servers import BenchError, Server

REPOSITORY = "bench/pushes"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def push_image(server: Server, directory: Path, layers: int, size: int) -> Sample:
    """One push of an image of ``layers`` layers of ``size`` bytes, all of them made for this push."""
    server.create_repository(REPOSITORY)
    digests = write_layout(directory, layers, size)
    argv = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", *_credentials(server)]
    argv += [f"oci:{directory}:bench", f"docker://{server.address}/{REPOSITORY}:bench"]

    def work() -> float:
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        if ran.returncode:
            raise BenchError(f"skopeo: {ran.stderr[-500:]}")
        return 1.0

    sample = measure(server, work)
    for digest in random.sample(digests, 3):
        check_blob(server, f"/v2/{REPOSITORY}/blobs/{digest}")
    return sample


def _credentials(server: Server) -> list[str]:
    if not server.authorization:
        return []
    return ["--dest-creds", base64.b64decode(server.authorization.removeprefix("Basic ")).decode()]


def write_layout(directory: Path, layers: int, size: int) -> list[str]:
    """An OCI image layout with one image named ``bench``; returns the digests of its layers."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, media_type: str) -> dict[str, object]:
        digest = digest_of(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    entries = [add(os.urandom(size), LAYER) for _ in range(layers)]
    digests = [str(entry["digest"]) for entry in entries]
    platform = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}}
    config = add(json.dumps(platform).encode(), CONFIG)
    image = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": entries}
    named = add(json.dumps(image).encode(), MANIFEST) | {
        "annotations": {"org.opencontainers.image.ref.name": "bench"}
    }
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return digests
