"""The media types that say what a manifest is and which blobs it needs.

A media type is compared as text, lower case and without parameters; ``without_parameters`` brings a header
value into that form. Config, layer and artifact types are free: any type may be stored, only the ones
below change what Moorage does.
"""

from typing import Final

DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_NON_DISTRIBUTABLE_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"

#: Withdrawn before image-spec 1.1. Refused on a push, still known as a manifest where an index lists one.
OCI_ARTIFACT_MANIFEST: Final = "application/vnd.oci.artifact.manifest.v1+json"

SCHEMA1_TYPES: Final = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
IMAGE_TYPES: Final = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
INDEX_TYPES: Final = frozenset({DOCKER_MANIFEST_LIST, OCI_INDEX})

#: What may be pushed as a manifest.
MANIFEST_TYPES: Final = SCHEMA1_TYPES | IMAGE_TYPES | INDEX_TYPES

#: What an index entry of this type points to is a manifest; an entry of any other type points to a blob.
LISTED_MANIFEST_TYPES: Final = MANIFEST_TYPES | {OCI_ARTIFACT_MANIFEST}

#: The longest media type that is taken (two names of 127 characters and the slash, RFC 6838 section 4.2).
MAX_LENGTH: Final = 255


def without_parameters(content_type: str) -> str:
    """The media type of a ``Content-Type`` or ``Accept`` entry: lower case, without ``;`` and what follows."""
    return content_type.partition(";")[0].strip().lower()


def is_media_type(text: str) -> bool:
    """Whether this can be stored and shown as a media type: 1 to 255 printable ASCII characters.

    Wider than RFC 6838 on purpose: clients in the field use types with spaces and without a slash.
    """
    return 0 < len(text) <= MAX_LENGTH and text.isascii() and text.isprintable()


def is_non_distributable(media_type: str) -> bool:
    """Whether layers of this type live elsewhere and are not pushed (OCI image-spec, "Non-Distributable Layers")."""
    return media_type == DOCKER_FOREIGN_LAYER or media_type.startswith(OCI_NON_DISTRIBUTABLE_LAYER)
