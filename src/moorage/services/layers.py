"""Layers: what blobs a repository has, and sharing them between repositories."""

from dataclasses import dataclass

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    DigestInvalid,
    LayerInaccessible,
    LayerInUse,
    LayerNotFound,
    RepositoryNotFound,
)
from moorage.domain.names import RepositoryName
from moorage.metadata import asked, images, layers
from moorage.metadata.layers import LayerRow
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction, one_statement
from moorage.services.access import judge, may
from moorage.services.registry_settings import current_setting
from moorage.services.repositories import open_for_push, open_repository

#: What the source of a mount has to allow.
_READ = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer")

#: Repositories that an anonymous mount looks at, so that its cost is bounded.
MAX_HOLDERS = 32


@dataclass(frozen=True, slots=True)
class LayerAvailability:
    """Whether the repository has a blob of this digest; ``layer`` is None when it has not."""

    digest: str
    layer: LayerRow | None


@one_statement
def get_layer(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    digest: Digest,
    action: str = "ecr:GetDownloadUrlForLayer",
) -> LayerRow:
    """The blob as the repository sees it. Raises ``RepositoryNotFound``, ``LayerNotFound``."""
    found = asked.ask_layer(tx, caller, registry, name, str(digest))
    judge(tx, found.standing, caller, action, registry, name)
    if found.standing.repository_id is None:
        raise RepositoryNotFound(repository_name=name, registry_id=registry.registry_id)
    if found.layer is None:
        raise LayerNotFound(digest=str(digest), repository_name=name, registry_id=registry.registry_id)
    return found.layer


def _find(tx: Transaction, repository: RepositoryRow, digest: Digest) -> LayerRow:
    found = layers.find_layer(tx, repository.id, str(digest))
    if found is None:
        raise LayerNotFound(
            digest=str(digest), repository_name=repository.name, registry_id=repository.registry_id
        )
    return found


def get_downloadable_layer(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, digest: Digest
) -> LayerRow:
    """A layer that an image of the repository needs.

    ECR: one that no image needs yet is ``LayerInaccessible`` in the JSON API.
    """
    repository = open_repository(tx, caller, registry, name, "ecr:GetDownloadUrlForLayer")
    found = _find(tx, repository, digest)
    if not images.is_blob_needed(tx, repository.id, str(digest)):
        raise LayerInaccessible(digest=str(digest), repository_name=name, registry_id=registry.registry_id)
    return found


def check_layers(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, digests: list[str]
) -> list[LayerAvailability]:
    """Which of these well-formed digests the repository has, in the order asked."""
    repository = open_repository(tx, caller, registry, name, "ecr:BatchCheckLayerAvailability")
    return [LayerAvailability(digest, _find_any(tx, repository.id, digest)) for digest in digests]


def _find_any(tx: Transaction, repository_id: int, digest: str) -> LayerRow | None:
    try:
        return layers.find_layer(tx, repository_id, str(Digest.parse(digest)))
    except DigestInvalid:
        return None  # Well formed in ECR's eyes, but of an algorithm that nothing is stored under.


def delete_layer(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, digest: Digest
) -> None:
    """Take a blob out of the repository (OCI distribution-spec, "Deleting Blobs").

    Raises ``RepositoryNotFound``, ``LayerNotFound``, ``LayerInUse`` while an image there needs it.
    """
    repository = open_repository(tx, caller, registry, name, "ecr:BatchDeleteImage")
    found = _find(tx, repository, digest)
    if images.is_blob_needed(tx, repository.id, str(digest)):
        raise LayerInUse(digest=str(digest), repository_name=name)
    layers.delete_layer(tx, found.id)


def mount_layer(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    digest: Digest,
    source: RepositoryName | None,
) -> LayerRow | None:
    """Let the repository see a blob that another one of the registry has; returns it, or None if it cannot be.

    Without ``source`` any repository that the caller may read will do (OCI distribution-spec, "Mounting a blob
    from another repository"). A source that the caller may not read answers like one without the blob.
    Raises ``RepositoryNotFound`` for the target alone.
    """
    target = open_for_push(tx, caller, registry, name, "ecr:InitiateLayerUpload")
    if current_setting(tx, registry, "BLOB_MOUNTING") == "DISABLED":
        return None
    holders = (
        [source]
        if source is not None
        else layers.list_holders(tx, registry.registry_id, registry.region, str(digest), MAX_HOLDERS)
    )
    for holder in holders:
        layer = _find_readable(tx, caller, registry, RepositoryName(holder), digest)
        if layer is not None:
            layers.ensure_layer(tx, target.id, str(digest), layer.blob_id)
            return layer
    return None


def _find_readable(
    tx: Transaction, caller: Caller, registry: RegistryKey, source: RepositoryName, digest: Digest
) -> LayerRow | None:
    """Reads and judges the same whether the caller may or not, and whether there is such a blob or not."""
    found = asked.ask_layer(tx, caller, registry, source, str(digest))
    is_readable = [may(tx, found.standing, caller, action, registry, source) for action in _READ]
    return found.layer if all(is_readable) else None
