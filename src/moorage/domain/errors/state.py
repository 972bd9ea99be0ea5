"""What does not exist, and what the state of the registry forbids."""

from moorage.domain.errors.base import RegistryError


class NotFound(RegistryError):
    """What the request names does not exist."""


class RepositoryNotFound(NotFound):
    """The repository does not exist."""

    fields = ("repository_name", "registry_id")


class RepositoryPolicyNotFound(NotFound):
    """The repository has no policy."""

    fields = ("repository_name", "registry_id")


class RegistryPolicyNotFound(NotFound):
    """The registry has no policy."""

    fields = ("registry_id",)


class ImageNotFound(NotFound):
    """The image does not exist; ``image_digest`` and ``image_tag`` are as asked, None where not given."""

    fields = ("image_digest", "image_tag", "repository_name", "registry_id")


class LayerNotFound(NotFound):
    """The layer or blob does not exist in this repository."""

    fields = ("digest", "repository_name", "registry_id")


class LayerInaccessible(NotFound):
    """The layer exists, but no image of the repository needs it yet."""

    fields = ("digest", "repository_name", "registry_id")


class UploadNotFound(NotFound):
    """The upload does not exist, is finished, expired, or belongs to another repository."""

    fields = ("upload_id", "repository_name", "registry_id")


class NoSuchEntity(NotFound):
    """The account, user, role, key, policy or identity provider does not exist."""

    fields = ("kind", "name")


class Conflict(RegistryError):
    """The state of the registry forbids it."""


class RepositoryAlreadyExists(Conflict):
    """A repository of this name exists."""

    fields = ("repository_name", "registry_id")


class RepositoryNotEmpty(Conflict):
    """The repository still holds images."""

    fields = ("repository_name", "registry_id")


class EntityAlreadyExists(Conflict):
    """An account, user, role, key, policy or identity provider of this name exists."""

    fields = ("kind", "name")


class DeleteConflict(Conflict):
    """Something still belongs to what is to be removed; ``text`` says what."""

    fields = ("text",)


class ImageAlreadyExists(Conflict):
    """Neither the manifest nor the tag would change; ``tag`` is None when none was given."""

    fields = ("digest", "tag", "repository_name", "registry_id")


class ImageTagAlreadyExists(Conflict):
    """The tag is immutable and taken."""

    fields = ("tag", "repository_name")


class ImageReferencedByIndex(Conflict):
    """An index of the repository needs the image; ``indexes`` are its digests."""

    fields = ("indexes",)


class LayerAlreadyExists(Conflict):
    """The repository already holds this layer."""

    fields = ("digest", "repository_name", "registry_id")


class LayerInUse(Conflict):
    """An image of the repository needs the blob."""

    fields = ("digest", "repository_name")


class UploadOutOfOrder(Conflict):
    """The part does not continue where the upload stands; ``offset`` is the number of bytes it holds."""

    fields = ("first_byte", "offset", "upload_id", "repository_name", "registry_id")


class UploadBusy(Conflict):
    """Another request took the upload over while this one was writing; ``offset`` is what it holds."""

    fields = ("offset", "upload_id", "repository_name", "registry_id")


class EmptyUpload(Conflict):
    """The upload has no parts. ``/v2/`` accepts an empty blob, the JSON API does not."""

    fields = ("upload_id", "repository_name", "registry_id")


class LayerPartTooSmall(Conflict):
    """A part other than the last has under 5 MiB."""
