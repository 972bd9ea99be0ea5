"""Layers and images pushed through boto3 alone, as a tool without any docker does it."""

import hashlib
import uuid
from typing import Any

import msgspec

from tests.clients.images import CONFIG, LAYER, MANIFEST

MEBIBYTE = 1024 * 1024


def push_layer(ecr: Any, repository: str, content: bytes, part_size: int = 10 * MEBIBYTE) -> str:
    """Upload ``content`` part by part; return its digest. Parts but the last take at least 5 MiB."""
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for first in range(0, len(content), part_size):
        part = content[first : first + part_size]
        ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    done = ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[digest])
    stored: str = done["layerDigest"]
    return stored


def push_image(ecr: Any, repository: str, tag: str | None, **members: object) -> str:
    """Push an image that no other is equal to, one layer in it; return its digest.

    ``members`` are added to the manifest.
    """
    manifest = new_manifest(ecr, repository, **members)
    tagged = {} if tag is None else {"imageTag": tag}
    image = ecr.put_image(repositoryName=repository, imageManifest=manifest, **tagged)["image"]
    digest: str = image["imageId"]["imageDigest"]
    return digest


def new_manifest(ecr: Any, repository: str, **members: object) -> str:
    """Push the config and the layer of an image that no other is equal to; return its manifest."""
    content = uuid.uuid4().bytes
    config = msgspec.json.encode({"architecture": "amd64", "os": "linux", "made": content.hex()})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": CONFIG,
            "digest": push_layer(ecr, repository, config),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": LAYER,
                "digest": push_layer(ecr, repository, content),
                "size": len(content),
            }
        ],
        **members,
    }
    return msgspec.json.encode(manifest).decode()
