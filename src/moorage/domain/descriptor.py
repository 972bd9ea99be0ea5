"""Descriptors: how a manifest points at blobs and at other manifests (OCI image-spec, "Descriptors").

The readers below turn the members of a parsed manifest into typed facts. Each takes ``where``, the place in the
document that a refusal names, and raises ``ManifestInvalid``. A member that is ``null`` counts as absent: Go
programs write their empty lists and maps that way.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from moorage.domain.digest import Digest
from moorage.domain.errors import DigestInvalid, ManifestInvalid
from moorage.domain.json_document import shorten
from moorage.domain.media_types import is_media_type

#: The largest size that a database keeps, far above any layer.
MAX_SIZE: Final = 2**63 - 1

_MEMBERS: Final = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one entry of a manifest says of the thing it points to. Claims of the client, checked for form only.

    ``size`` is in bytes, None in Docker schema 1, which does not tell it. ``platform`` is in the usual short
    form, ``os/architecture`` or ``os/architecture/variant``, None where the entry has none.
    """

    media_type: str
    digest: Digest
    size: int | None
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    platform: str | None = None


def read_descriptor(value: object, where: str) -> Descriptor:
    """One descriptor of a manifest. Raises ``ManifestInvalid``."""
    if not isinstance(value, dict):
        raise ManifestInvalid(reason=f"{where} is not an object")
    media_type, digest, size = (
        _read_media_type(value, where),
        _read_digest(value, where),
        _read_size(value, where),
    )
    if len(value) == 3:
        return Descriptor(media_type, digest, size)
    refuse_lookalikes(value, _MEMBERS, where)
    _check_data(value.get("data"), digest, size, where)
    return Descriptor(
        media_type,
        digest,
        size,
        _read_urls(value.get("urls"), where),
        read_annotations(value.get("annotations"), where),
        read_artifact_type(value.get("artifactType"), where),
        _read_platform(value.get("platform"), where),
    )


def read_digest_text(text: object, where: str) -> Digest:
    """A digest at this place. Raises ``ManifestInvalid``."""
    if not isinstance(text, str):
        raise ManifestInvalid(reason=f"{where} is not a string")
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        form = "sha256: or sha512: with lower-case hex of the right length"
        raise ManifestInvalid(reason=f"{where} is not {form}: {shorten(text)}") from error


def read_annotations(value: object, where: str) -> dict[str, str]:
    """The ``annotations`` of a manifest or descriptor, empty when absent. Raises ``ManifestInvalid``."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ManifestInvalid(reason=f"{where}.annotations is not an object")
    for name, text in value.items():
        if not isinstance(text, str):
            raise ManifestInvalid(reason=f"{where}.annotations[{shorten(name)}] is not a string")
    return value


def read_artifact_type(value: object, where: str) -> str | None:
    """The ``artifactType`` of a manifest or descriptor, None when absent or empty. Raises ``ManifestInvalid``.

    Empty counts as absent in OCI image-spec, "Guidelines for Artifact Usage".
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not is_media_type(value):
        raise ManifestInvalid(reason=f"{where}.artifactType is not a media type")
    return value


def refuse_lookalikes(document: dict[str, object], members: frozenset[str], where: str) -> None:
    """Refuse names that differ from a known one in case alone. Raises ``ManifestInvalid``.

    Go's JSON reader takes ``Layers`` for ``layers``: such a document is another image to the clients than here.
    """
    folded = _folded(members)
    for name in document.keys() - members:
        if name.casefold() in folded:
            raise ManifestInvalid(
                reason=f"{where} has a member {shorten(name)}, which some clients take for another"
            )


@cache
def _folded(members: frozenset[str]) -> frozenset[str]:
    return frozenset(member.casefold() for member in members)


def _read_media_type(value: dict[str, object], where: str) -> str:
    media_type = value.get("mediaType")
    if not isinstance(media_type, str) or not is_media_type(media_type):
        raise ManifestInvalid(reason=f"{where}.mediaType is missing or not a media type")
    return media_type


def _read_digest(value: dict[str, object], where: str) -> Digest:
    return read_digest_text(value.get("digest"), f"{where}.digest")


def _read_size(value: dict[str, object], where: str) -> int:
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise ManifestInvalid(reason=f"{where}.size is missing or not a number of bytes")
    return size


def _check_data(value: object, digest: Digest, size: int, where: str) -> None:
    """``data`` is the content itself, in base64 (OCI image-spec, "Embedded Content")."""
    if value is None:
        return
    if not isinstance(value, str):
        raise ManifestInvalid(reason=f"{where}.data is not a string")
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise ManifestInvalid(reason=f"{where}.data is not base64") from error
    if len(data) != size:
        raise ManifestInvalid(reason=f"{where}.data has {len(data)} bytes, its size says {size}")
    if Digest.of(data, digest.algorithm) != digest:
        raise ManifestInvalid(reason=f"{where}.data has another digest than the descriptor")


def _read_urls(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        raise ManifestInvalid(reason=f"{where}.urls is not a list of strings")
    return tuple(value)


def _read_platform(value: object, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid(reason=f"{where}.platform is not an object")
    parts = [_read_platform_part(value.get(name), where) for name in ("os", "architecture", "variant")]
    return "/".join(parts).rstrip("/") or None


def _read_platform_part(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ManifestInvalid(reason=f"{where}.platform has a part that is not a string")
    return value
