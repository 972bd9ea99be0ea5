"""Layers, by which a repository sees blobs, and the blobs themselves."""

from typing import NamedTuple

from sqlalchemy import bindparam, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import blob, layer, registry, repository
from moorage.metadata.transaction import Transaction


class LayerRow(NamedTuple):
    """A blob as a repository sees it."""

    id: int
    digest: str
    media_type: str | None
    blob_id: int
    size: int
    location: str


class BlobRow(NamedTuple):
    """Stored bytes; ``digest`` is sha256."""

    id: int
    digest: str
    size: int
    location: str


LAYER_COLUMNS = (layer.c.id, layer.c.digest, layer.c.media_type, blob.c.id, blob.c.size, blob.c.location)

_FIND = Query(
    select(*LAYER_COLUMNS)
    .join(blob, blob.c.id == layer.c.blob_id)
    .where(layer.c.repository_id == bindparam("repository_id"), layer.c.digest == bindparam("digest")),
    LayerRow._make,
)
#: Names of live repositories of one registry that hold a digest; what other registries hold costs nothing here.
_HOLDERS = Query(
    select(repository.c.name)
    .select_from(registry)
    .join(layer, layer.c.registry_id == registry.c.id)
    .join(repository, repository.c.id == layer.c.repository_id)
    .where(
        layer.c.digest == bindparam("digest"),
        registry.c.account_id == bindparam("registry_id"),
        registry.c.region == bindparam("region"),
        repository.c.deleted_at.is_(None),
    )
    .order_by(layer.c.id.desc())
    .limit(bindparam("limit")),
    lambda row: str(row[0]),
)
_ADD = Statement(
    layer.insert().values(
        registry_id=select(repository.c.registry_id)
        .where(repository.c.id == bindparam("repository_id"))
        .scalar_subquery(),
        repository_id=bindparam("repository_id"),
        digest=bindparam("digest"),
        blob_id=bindparam("blob_id"),
        created_at=bindparam("created_at"),
    )
)
_DELETE = Statement(layer.delete().where(layer.c.id == bindparam("which")))
_SET_MEDIA_TYPE = Statement(
    layer.update()
    .where(layer.c.repository_id == bindparam("which_repository"), layer.c.digest == bindparam("which_digest"))
    .values(media_type=bindparam("media_type"))
)
_FIND_BLOB = Query(
    select(blob.c.id, blob.c.digest, blob.c.size, blob.c.location).where(
        blob.c.digest == bindparam("digest"),
        blob.c.key_domain == bindparam("key_domain"),
        blob.c.deleted_at.is_(None),
    ),
    BlobRow._make,
)
_ADD_BLOB = Query(
    blob.insert()
    .values(
        digest=bindparam("digest"),
        key_domain=bindparam("key_domain"),
        size=bindparam("size"),
        location=bindparam("location"),
        created_at=bindparam("created_at"),
    )
    .returning(blob.c.id),
    lambda row: int(row[0]),
)

_MOVE_BLOB = Statement(
    blob.update()
    .where(
        blob.c.digest == bindparam("which"),
        blob.c.key_domain == bindparam("which_domain"),
        blob.c.location == bindparam("from_location"),
        blob.c.deleted_at.is_(None),
    )
    .values(location=bindparam("to_location"))
)

#: The only key domain until repositories have keys of their own.
PLAIN = ""


def find_layer(tx: Transaction, repository_id: int, digest: str) -> LayerRow | None:
    """The blob of this digest as the repository sees it, or None."""
    return tx.find(_FIND, repository_id=repository_id, digest=digest)


def list_holders(tx: Transaction, registry_id: str, region: str, digest: str, limit: int) -> list[str]:
    """Names of repositories of a registry that hold the digest, those that got it last first."""
    return tx.all(_HOLDERS, registry_id=registry_id, region=region, digest=digest, limit=limit)


def ensure_layer(tx: Transaction, repository_id: int, digest: str, blob_id: int) -> None:
    """Let the repository see the blob under this digest."""
    if find_layer(tx, repository_id, digest) is None:
        tx.run(_ADD, repository_id=repository_id, digest=digest, blob_id=blob_id, created_at=tx.now)


def delete_layer(tx: Transaction, layer_id: int) -> None:
    """Take the blob out of the repository's sight."""
    tx.run(_DELETE, which=layer_id)


def set_media_type(tx: Transaction, repository_id: int, digest: str, media_type: str) -> None:
    """Note what the manifest that last needed the blob calls it."""
    tx.run(_SET_MEDIA_TYPE, which_repository=repository_id, which_digest=digest, media_type=media_type)


def find_blob(tx: Transaction, digest: str) -> BlobRow | None:
    """The stored blob of this sha256 digest, or None."""
    return tx.find(_FIND_BLOB, digest=digest, key_domain=PLAIN)


def add_blob(tx: Transaction, digest: str, size: int, location: str) -> int:
    """Record stored bytes; returns the row's id."""
    return tx.one(_ADD_BLOB, digest=digest, key_domain=PLAIN, size=size, location=location, created_at=tx.now)


def move_blob(tx: Transaction, digest: str, from_location: str, to_location: str) -> bool:
    """Name another location for a stored blob, unless it has moved already; returns whether it was so."""
    changed = tx.run(
        _MOVE_BLOB, which=digest, which_domain=PLAIN, from_location=from_location, to_location=to_location
    )
    return changed == 1
