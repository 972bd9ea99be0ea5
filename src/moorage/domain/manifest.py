"""Manifests: the bytes as sent, and the facts that the registry acts on.

Parsing never trusts: the media type the client names, the one in the document and the shape of the document must
agree, and whatever two readers could understand differently is refused (CVE-2021-41190). The bytes are kept as they
came; unknown members are legal and stay in them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from moorage.domain import media_types
from moorage.domain.descriptor import (
    Descriptor,
    read_annotations,
    read_artifact_type,
    read_descriptor,
    refuse_lookalikes,
)
from moorage.domain.digest import Digest
from moorage.domain.errors import ManifestInvalid, ManifestTooLarge
from moorage.domain.json_document import JsonInvalid, load_object, shorten
from moorage.domain.schema1 import read_schema1

#: ECR takes manifests of up to 4 MiB, the least that the OCI specification asks for.
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024

#: Entries of ``layers`` and of ``manifests``; each becomes a row, so the work of one push is bounded.
MAX_LAYERS: Final = 10_000
MAX_MANIFESTS: Final = 10_000


class ManifestKind(Enum):
    """What a manifest is, whoever's media type it carries."""

    IMAGE = "image"
    INDEX = "index"
    SCHEMA1 = "schema1"


#: The members that decide what a document is, and those of them that each kind may have.
_SHAPE_MEMBERS: Final = frozenset({"config", "layers", "manifests", "fsLayers"})
_SHAPES: Final = {
    ManifestKind.IMAGE: frozenset({"config", "layers"}),
    ManifestKind.INDEX: frozenset({"manifests"}),
    ManifestKind.SCHEMA1: frozenset({"fsLayers"}),
}
_MEMBERS: Final = _SHAPE_MEMBERS | {"schemaVersion", "mediaType", "artifactType", "subject", "annotations"}
_SCHEMA1_MEMBERS: Final = _MEMBERS | {"tag", "history", "signatures"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that is well formed. Whether what it points to exists is not known here.

    ``content`` is what was sent, byte for byte. ``digest`` is over ``content``, but over the payload for a signed
    schema 1 manifest. ``media_type`` is the one to serve it with. ``manifests`` are all entries of an index, also
    those that point to blobs (a build cache). ``artifact_type`` is the document's own ``artifactType``.
    ``tag_in_manifest`` is the ``tag`` of schema 1, unchecked.
    """

    content: bytes = field(repr=False)
    digest: Digest
    media_type: str
    kind: ManifestKind
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    tag_in_manifest: str | None = None

    @classmethod
    def parse(cls, content: bytes, media_type: str | None, *, digest_algorithm: str = "sha256") -> "Manifest":
        """Read a pushed manifest.

        ``media_type`` is what the client says it is, lower case and without parameters, None or empty when it
        says nothing; the document's ``mediaType`` decides then, and ``schemaVersion`` 1 needs neither.
        ``digest_algorithm`` is one of ``digest.ALGORITHMS``.
        Raises ``ManifestTooLarge`` and ``ManifestInvalid``, nothing else.
        """
        if len(content) > MAX_MANIFEST_BYTES:
            raise ManifestTooLarge(limit=MAX_MANIFEST_BYTES)
        document = _load(content)
        effective = _effective_media_type(document, media_type or None)
        kind = _kind_of(effective)
        _check_shape(document, kind)
        match kind:
            case ManifestKind.IMAGE:
                return _read_image(content, document, effective, digest_algorithm)
            case ManifestKind.INDEX:
                return _read_index(content, document, effective, digest_algorithm)
            case ManifestKind.SCHEMA1:
                return _read_schema1(content, document, effective, digest_algorithm)

    @property
    def size(self) -> int:
        """Bytes of ``content``."""
        return len(self.content)

    @property
    def artifact_media_type(self) -> str | None:
        """ECR's ``artifactMediaType``: the artifact type, else the media type of an image's config.

        None for an index that states no artifact type and for schema 1.
        """
        if self.artifact_type is None and self.config is not None:
            return self.config.media_type
        return self.artifact_type

    @property
    def referrer_artifact_type(self) -> str | None:
        """The ``artifactType`` in a list of referrers, left out there when None.

        The same choice as ECR's, asked for by OCI distribution-spec, "Listing Referrers".
        """
        return self.artifact_media_type

    def required_blobs(self) -> tuple[Descriptor, ...]:
        """Blobs the repository must hold, each digest once, config first.

        Config and layers but the non-distributable ones, which stay where they are; of an index the entries that
        are not manifests. ECR: refuses such an index, which build caches are; taking it loses nothing.
        """
        config = () if self.config is None else (self.config,)
        layers = (layer for layer in self.layers if not media_types.is_non_distributable(layer.media_type))
        listed = (entry for entry in self.manifests if not _is_listed_manifest(entry))
        return _each_once((*config, *layers, *listed))

    def required_manifests(self) -> tuple[Descriptor, ...]:
        """Manifests that an index needs in its repository, each digest once."""
        return _each_once(entry for entry in self.manifests if _is_listed_manifest(entry))


def _load(content: bytes) -> dict[str, object]:
    try:
        return load_object(content)
    except JsonInvalid as error:
        raise ManifestInvalid(reason=f"the manifest cannot be read: {error.reason}") from error


def _effective_media_type(document: dict[str, object], given: str | None) -> str:
    stated = _stated_media_type(document)
    if given is not None and stated is not None and given != stated:
        raise ManifestInvalid(reason=f"sent as {shorten(given)}, but its mediaType is {shorten(stated)}")
    media_type = given or stated or _schema1_media_type(document)
    if media_type is None:
        raise ManifestInvalid(reason="no media type: neither the request nor the manifest names one")
    if media_type == media_types.OCI_ARTIFACT_MANIFEST:
        raise ManifestInvalid(
            reason="OCI artifact manifests were withdrawn: send an image manifest with artifactType"
        )
    if media_type not in media_types.MANIFEST_TYPES:
        raise ManifestInvalid(reason=f"{shorten(media_type)} is not the media type of a manifest or index")
    expected = 1 if media_type in media_types.SCHEMA1_TYPES else 2
    if type(document.get("schemaVersion")) is not int or document["schemaVersion"] != expected:
        raise ManifestInvalid(reason=f"schemaVersion is not {expected}, as {media_type} needs")
    return media_type


def _stated_media_type(document: dict[str, object]) -> str | None:
    stated = document.get("mediaType")
    if stated is not None and not isinstance(stated, str):
        raise ManifestInvalid(reason="mediaType is not a string")
    return stated or None


def _schema1_media_type(document: dict[str, object]) -> str | None:
    """Schema 1 has no ``mediaType``; ECR knows it by its version."""
    if type(document.get("schemaVersion")) is not int or document["schemaVersion"] != 1:
        return None
    return media_types.DOCKER_SCHEMA1_SIGNED if document.get("signatures") else media_types.DOCKER_SCHEMA1


def _kind_of(media_type: str) -> ManifestKind:
    if media_type in media_types.IMAGE_TYPES:
        return ManifestKind.IMAGE
    if media_type in media_types.INDEX_TYPES:
        return ManifestKind.INDEX
    return ManifestKind.SCHEMA1


def _check_shape(document: dict[str, object], kind: ManifestKind) -> None:
    """A document has the members of one kind only, or clients disagree on what it is (CVE-2021-41190)."""
    members = _SCHEMA1_MEMBERS if kind is ManifestKind.SCHEMA1 else _MEMBERS
    refuse_lookalikes(document, members, "the manifest")
    foreign = sorted((_SHAPE_MEMBERS - _SHAPES[kind]) & document.keys())
    if foreign:
        raise ManifestInvalid(reason=f"a manifest of kind {kind.value} has no {' and no '.join(foreign)}")


def _read_image(content: bytes, document: dict[str, object], media_type: str, algorithm: str) -> Manifest:
    if document.get("config") is None:
        raise ManifestInvalid(reason="config is missing")
    config = read_descriptor(document["config"], "config")
    layers = _read_descriptors(document, "layers", MAX_LAYERS)
    _check_sizes_agree((config, *layers))
    return Manifest(
        content,
        Digest.of(content, algorithm),
        media_type,
        ManifestKind.IMAGE,
        config=config,
        layers=layers,
        subject=_read_subject(document),
        artifact_type=read_artifact_type(document.get("artifactType"), "the manifest"),
        annotations=read_annotations(document.get("annotations"), "the manifest"),
    )


def _read_index(content: bytes, document: dict[str, object], media_type: str, algorithm: str) -> Manifest:
    manifests = _read_descriptors(document, "manifests", MAX_MANIFESTS)
    _check_sizes_agree(manifests)
    return Manifest(
        content,
        Digest.of(content, algorithm),
        media_type,
        ManifestKind.INDEX,
        manifests=manifests,
        subject=_read_subject(document),
        artifact_type=read_artifact_type(document.get("artifactType"), "the manifest"),
        annotations=read_annotations(document.get("annotations"), "the manifest"),
    )


def _read_schema1(content: bytes, document: dict[str, object], media_type: str, algorithm: str) -> Manifest:
    if media_type == media_types.DOCKER_SCHEMA1_SIGNED and not document.get("signatures"):
        raise ManifestInvalid(reason=f"{media_type} needs signatures")
    facts = read_schema1(content, document, max_layers=MAX_LAYERS)
    return Manifest(
        content,
        Digest.of(facts.payload, algorithm),
        media_type,
        ManifestKind.SCHEMA1,
        layers=facts.layers,
        tag_in_manifest=facts.tag,
    )


def _read_subject(document: dict[str, object]) -> Descriptor | None:
    if document.get("subject") is None:
        return None
    return read_descriptor(document["subject"], "subject")


def _read_descriptors(document: dict[str, object], name: str, limit: int) -> tuple[Descriptor, ...]:
    """A list that must be there; ``null`` is what Go programs write for an empty one."""
    if name not in document:
        raise ManifestInvalid(reason=f"{name} is missing")
    entries = [] if document[name] is None else document[name]
    if not isinstance(entries, list):
        raise ManifestInvalid(reason=f"{name} is not a list")
    if len(entries) > limit:
        raise ManifestInvalid(reason=f"{name} has {len(entries)} entries, at most {limit} are taken")
    return tuple(read_descriptor(entry, f"{name}[{position}]") for position, entry in enumerate(entries))


def _check_sizes_agree(descriptors: Iterable[Descriptor]) -> None:
    """One digest has one size, so a blob needs to be compared with one of its descriptors only."""
    sizes: dict[Digest, int | None] = {}
    for descriptor in descriptors:
        size = sizes.setdefault(descriptor.digest, descriptor.size)
        if size != descriptor.size:
            raise ManifestInvalid(
                reason=f"{descriptor.digest} is given with sizes {size} and {descriptor.size}"
            )


def _each_once(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    first: dict[Digest, Descriptor] = {}
    for descriptor in descriptors:
        first.setdefault(descriptor.digest, descriptor)
    return tuple(first.values())


def _is_listed_manifest(entry: Descriptor) -> bool:
    return entry.media_type in media_types.LISTED_MANIFEST_TYPES
