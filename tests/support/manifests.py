"""Manifests of every kind, as bytes that a client would push."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.domain import media_types
from moorage.domain.digest import Digest
from moorage.domain.manifest import Manifest

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

CONFIG = b'{"architecture":"amd64","os":"linux"}'
LAYER = b"a layer"


def describe_blob(content: bytes, media_type: str = LAYER_TYPE, **members: object) -> dict[str, Any]:
    """The descriptor of a blob."""
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(content)),
        "size": len(content),
        **members,
    }


def describe_manifest(manifest: Manifest, **members: object) -> dict[str, Any]:
    """The descriptor of a manifest: an entry of an index, or a subject."""
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": manifest.size,
        **members,
    }


def image_manifest(
    layers: Sequence[bytes | dict[str, Any]] = (LAYER,),
    *,
    config: bytes = CONFIG,
    config_type: str = CONFIG_TYPE,
    subject: Manifest | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
    digest_algorithm: str = "sha256",
    **members: object,
) -> Manifest:
    """An OCI image of these layers, given as bytes or as descriptors; ``members`` are added to the document."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": describe_blob(config, config_type),
        "layers": [layer if isinstance(layer, dict) else describe_blob(layer) for layer in layers],
    }
    if subject is not None:
        document["subject"] = describe_manifest(subject)
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    if annotations is not None:
        document["annotations"] = dict(annotations)
    return _parse(document | members, digest_algorithm)


def artifact(
    subject: Manifest, artifact_type: str = "application/vnd.example.signature", **annotations: str
) -> Manifest:
    """An artifact that says something of another image. It needs the blob ``b"{}"``."""
    return image_manifest(
        (),
        config=b"{}",
        config_type=EMPTY_TYPE,
        subject=subject,
        artifact_type=artifact_type,
        annotations=annotations,
    )


def index(children: Sequence[Manifest], **members: object) -> Manifest:
    """An OCI index of these manifests."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [describe_manifest(child) for child in children],
    }
    return _parse(document | members)


def schema1(layers: Sequence[bytes] = (LAYER,), *, name: str = "team/app", tag: str = "old") -> Manifest:
    """An unsigned Docker schema 1 manifest."""
    document = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": str(Digest.of(layer))} for layer in layers],
        "history": [{"v1Compatibility": "{}"} for _ in layers],
    }
    return Manifest.parse(json.dumps(document).encode(), None)


def distinct_image(number: int, layers: Sequence[bytes] = (LAYER,)) -> Manifest:
    """An image that differs from others only by its number, so that all of them need the same blobs."""
    return image_manifest(layers, annotations={"number": str(number)})


def _parse(document: Mapping[str, object], digest_algorithm: str = "sha256") -> Manifest:
    return Manifest.parse(json.dumps(document).encode(), None, digest_algorithm=digest_algorithm)


def signed_schema1(*, signature: bytes = b"signature", tag: str = "old") -> Manifest:
    """The manifest of ``schema1`` as Docker signed it; the signature is not a real one."""
    payload = schema1(tag=tag).content
    protected = json.dumps({"formatLength": len(payload) - 1, "formatTail": _base64url(b"}")})
    entry = {
        "header": {"alg": "ES256"},
        "signature": _base64url(signature),
        "protected": _base64url(protected.encode()),
    }
    return Manifest.parse(payload[:-1] + b', "signatures": ' + json.dumps([entry]).encode() + b"}", None)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
