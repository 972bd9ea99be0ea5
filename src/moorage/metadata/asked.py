"""What a request is judged by and what it asks for, read by one statement: the caller's key, the policies that are to
be looked at, the repository, and the image or blob in it.

One statement is a snapshot of its own and a third of the cost of three. Each half may be missing without the other,
so that whoever judges does so before it looks at what exists.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, literal_column, select
from sqlalchemy.sql.expression import FromClause

from moorage.domain.caller import RegistryKey
from moorage.metadata.accounts import KEY_STATE_COLUMNS, KeyState
from moorage.metadata.images import IMAGE_COLUMNS, ImageRow
from moorage.metadata.layers import LAYER_COLUMNS, LayerRow
from moorage.metadata.queries import Query
from moorage.metadata.repositories import REPOSITORY_COLUMNS, RepositoryRow
from moorage.metadata.tables import (
    access_key,
    account,
    blob,
    image,
    layer,
    principal,
    registry,
    repository,
    tag,
)
from moorage.metadata.transaction import Transaction


class Standing(NamedTuple):
    """What a request is judged by: the caller's key, and the policies of the registry and repository that are asked.

    Each is None where it does not exist, or has no policy.
    """

    key: KeyState | None
    registry_policy_id: int | None
    repository_id: int | None
    repository_policy_id: int | None


class AskedRepository(NamedTuple):
    """A repository, for a caller who may."""

    standing: Standing
    repository: RepositoryRow | None


class AskedImage(NamedTuple):
    """The live image that a tag or digest names in a repository."""

    standing: Standing
    image: ImageRow | None


class AskedLayer(NamedTuple):
    """A blob as a repository sees it."""

    standing: Standing
    layer: LayerRow | None


def _asked() -> FromClause:
    """A row for every request, with whatever there is of key and repository."""
    return (
        select(literal_column("1").label("one"))
        .subquery("request")
        .outerjoin(access_key, access_key.c.id == bindparam("access_key_id"))
        .outerjoin(principal, principal.c.id == access_key.c.principal_id)
        .outerjoin(account, account.c.id == principal.c.account_id)
        .outerjoin(
            registry,
            and_(registry.c.account_id == bindparam("registry_id"), registry.c.region == bindparam("region")),
        )
        .outerjoin(
            repository,
            and_(
                repository.c.registry_id == registry.c.id,
                repository.c.name == bindparam("name"),
                repository.c.deleted_at.is_(None),
            ),
        )
    )


_KEY_COUNT = len(KEY_STATE_COLUMNS)
_STANDING_COLUMNS = (*KEY_STATE_COLUMNS, registry.c.policy_id, repository.c.id, repository.c.policy_id)
_COUNT = len(_STANDING_COLUMNS)


def _select(source: FromClause, *columns: Any) -> Select[Any]:
    return select(*_STANDING_COLUMNS, *columns).select_from(source)


def _standing(row: Sequence[Any]) -> Standing:
    key = None if row[0] is None else KeyState._make(row[:_KEY_COUNT])
    return Standing(key, *row[_KEY_COUNT:_COUNT])


def _make_repository(row: Sequence[Any]) -> AskedRepository:
    found = row[_COUNT:]
    return AskedRepository(_standing(row), None if found[0] is None else RepositoryRow._make(found))


def _make_image(row: Sequence[Any]) -> AskedImage:
    found = row[_COUNT:]
    return AskedImage(_standing(row), None if found[0] is None else ImageRow._make(found))


def _make_layer(row: Sequence[Any]) -> AskedLayer:
    found = row[_COUNT:]
    return AskedLayer(_standing(row), None if found[0] is None else LayerRow._make(found))


_REPOSITORY = Query(_select(_asked(), *REPOSITORY_COLUMNS), _make_repository)
_IMAGE_BY_TAG = Query(
    _select(
        _asked()
        .outerjoin(tag, and_(tag.c.repository_id == repository.c.id, tag.c.name == bindparam("reference")))
        .outerjoin(image, image.c.id == tag.c.image_id),
        *IMAGE_COLUMNS,
    ),
    _make_image,
)
_IMAGE_BY_DIGEST = Query(
    _select(
        _asked().outerjoin(
            image,
            and_(
                image.c.repository_id == repository.c.id,
                image.c.digest == bindparam("reference"),
                image.c.deleted_at.is_(None),
            ),
        ),
        *IMAGE_COLUMNS,
    ),
    _make_image,
)
_LAYER = Query(
    _select(
        _asked()
        .outerjoin(
            layer, and_(layer.c.repository_id == repository.c.id, layer.c.digest == bindparam("reference"))
        )
        .outerjoin(blob, blob.c.id == layer.c.blob_id),
        *LAYER_COLUMNS,
    ),
    _make_layer,
)


def ask_repository(tx: Transaction, access_key_id: str, key: RegistryKey, name: str) -> AskedRepository:
    """A key and a live repository."""
    return tx.one(
        _REPOSITORY, access_key_id=access_key_id, registry_id=key.registry_id, region=key.region, name=name
    )


def ask_image_by_tag(
    tx: Transaction, access_key_id: str, key: RegistryKey, name: str, tag_name: str
) -> AskedImage:
    """A key, and the image that a tag of a repository points to."""
    return tx.one(
        _IMAGE_BY_TAG,
        access_key_id=access_key_id,
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=tag_name,
    )


def ask_image_by_digest(
    tx: Transaction, access_key_id: str, key: RegistryKey, name: str, digest: str
) -> AskedImage:
    """A key, and the live image of this digest in a repository."""
    return tx.one(
        _IMAGE_BY_DIGEST,
        access_key_id=access_key_id,
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=digest,
    )


def ask_layer(tx: Transaction, access_key_id: str, key: RegistryKey, name: str, digest: str) -> AskedLayer:
    """A key, and the blob of this digest as a repository sees it."""
    return tx.one(
        _LAYER,
        access_key_id=access_key_id,
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=digest,
    )
