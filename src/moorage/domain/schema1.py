"""Docker schema 1 manifests, as ECR still takes them: stored as sent, never made, never converted.

A signed one ends in a member ``signatures``. Its digest is that of the payload, the document as it was before
signing: the first ``formatLength`` bytes and then ``formatTail``, both said in the protected header of each
signature (Docker image manifest V2 schema 1, "Signed Manifests"). The signatures themselves are not verified:
they are made with throw-away keys and prove nothing.
"""

import binascii
from dataclasses import dataclass
from typing import Final

from moorage.domain.descriptor import Descriptor, read_digest_text, refuse_lookalikes
from moorage.domain.errors import ManifestInvalid
from moorage.domain.json_document import JsonInvalid, load_object
from moorage.domain.media_types import DOCKER_LAYER

MAX_SIGNATURES: Final = 64
_MAX_PROTECTED: Final = 4096
_MAX_TAIL: Final = 64
_LAYER_MEMBERS: Final = frozenset({"blobSum"})
_BASE64: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Schema1:
    """``payload`` is what the digest is taken over; ``layers`` are top layer first, as in the document."""

    payload: bytes
    layers: tuple[Descriptor, ...]
    tag: str | None


def read_schema1(content: bytes, document: dict[str, object], *, max_layers: int) -> Schema1:
    """The facts of a schema 1 document, ``content`` being its bytes. Raises ``ManifestInvalid``."""
    layers = _read_layers(document.get("fsLayers"), max_layers)
    history = document.get("history")
    if history is not None and (not isinstance(history, list) or len(history) != len(layers)):
        raise ManifestInvalid(reason="history is not a list as long as fsLayers")
    return Schema1(_payload(content, document), layers, _read_tag(document.get("tag")))


def _read_layers(value: object, max_layers: int) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise ManifestInvalid(reason="fsLayers is missing or not a list")
    if len(value) > max_layers:
        raise ManifestInvalid(reason=f"fsLayers has {len(value)} entries, at most {max_layers} are taken")
    return tuple(_read_layer(entry, f"fsLayers[{position}]") for position, entry in enumerate(value))


def _read_layer(entry: object, where: str) -> Descriptor:
    if not isinstance(entry, dict):
        raise ManifestInvalid(reason=f"{where} is not an object")
    refuse_lookalikes(entry, _LAYER_MEMBERS, where)
    return Descriptor(DOCKER_LAYER, read_digest_text(entry.get("blobSum"), f"{where}.blobSum"), None)


def _read_tag(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ManifestInvalid(reason="tag is not a string")
    return value or None


def _payload(content: bytes, document: dict[str, object]) -> bytes:
    signatures = document.get("signatures")
    if signatures is None:
        return content
    if not isinstance(signatures, list) or not 0 < len(signatures) <= MAX_SIGNATURES:
        raise ManifestInvalid(reason=f"signatures is not a list of 1 to {MAX_SIGNATURES} entries")
    forms = {_read_form(entry, f"signatures[{position}]") for position, entry in enumerate(signatures)}
    if len(forms) != 1:
        raise ManifestInvalid(reason="the signatures are over different payloads")
    length, tail = forms.pop()
    if length > len(content):
        raise ManifestInvalid(reason="formatLength of the signatures lies beyond the end of the manifest")
    payload = content[:length] + tail
    _check_payload(payload, document)
    return payload


def _check_payload(payload: bytes, document: dict[str, object]) -> None:
    """The payload must say what the document says, else one digest would stand for two images."""
    unsigned = {name: value for name, value in document.items() if name != "signatures"}
    try:
        signed = load_object(payload)
    except JsonInvalid as error:
        raise ManifestInvalid(reason=f"the signed payload cannot be read: {error.reason}") from error
    if signed != unsigned:
        raise ManifestInvalid(reason="the signed payload is not the manifest without its signatures")


def _read_form(entry: object, where: str) -> tuple[int, bytes]:
    """``formatLength`` and ``formatTail`` of one signature."""
    protected = entry.get("protected") if isinstance(entry, dict) else None
    try:
        header = load_object(_decode(protected, _MAX_PROTECTED))
        length, tail = header.get("formatLength"), _decode(header.get("formatTail"), _MAX_TAIL)
    except ValueError as error:  # neither base64 nor, as JsonInvalid, JSON
        raise ManifestInvalid(reason=f"{where}.protected cannot be read: {error}") from error
    if type(length) is not int or length < 0:
        raise ManifestInvalid(reason=f"{where}.protected has no formatLength")
    return length, tail


def _decode(value: object, limit: int) -> bytes:
    """Base64url without padding (RFC 7515). Raises ``ValueError``."""
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"a member is not a string of at most {limit} characters")
    padded = value.rstrip("=").translate(_BASE64)
    return binascii.a2b_base64(padded + "=" * (-len(padded) % 4), strict_mode=True)
