"""The bytes that were sent, or are asked for."""

from moorage.domain.errors.base import RegistryError


class ContentError(RegistryError):
    """The bytes that were sent are not acceptable."""


class ManifestInvalid(ContentError):
    """The manifest cannot be read or contradicts itself; ``reason`` says how."""

    fields = ("reason",)


class ManifestTooLarge(ContentError):
    """The manifest is larger than is taken."""

    fields = ("limit",)


class ManifestDigestMismatch(ContentError):
    """The manifest's bytes have another digest than the one given."""

    fields = ("given", "actual")


class BlobDigestMismatch(ContentError):
    """The blob's bytes have another digest than the one given."""

    fields = ("given", "actual")


class LayersMissing(ContentError):
    """The manifest needs layers that the repository does not hold."""

    fields = ("digests", "repository_name", "registry_id")


class ReferencedImagesMissing(ContentError):
    """The index needs images that the repository does not hold."""

    fields = ("digests", "repository_name", "registry_id")


class PartLengthMismatch(ContentError):
    """A part has another length than its range says."""

    fields = ("announced", "received", "offset", "upload_id", "repository_name", "registry_id")


class ContentRangeInvalid(ContentError):
    """The ``Content-Range`` of a part cannot be read."""

    fields = ("value",)


class BlobTooLarge(ContentError):
    """The blob is larger than a layer may be."""

    fields = ("limit",)


class BlobDamaged(ContentError):
    """The stored bytes are gone or not what they should be; pushing them again repairs it."""

    fields = ("digest",)


class RangeNotSatisfiable(ContentError):
    """The ``Range`` asked for lies outside the blob of ``size`` bytes."""

    fields = ("size",)
