"""Repositories and their resource tags."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId
from moorage.metadata import registries
from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import registry, repository, resource_tag
from moorage.metadata.transaction import Transaction


class RepositoryRow(NamedTuple):
    """A live repository with the registry it is in. ``exclusion_filters`` is a JSON list."""

    id: int
    name: str
    created_at: int
    tag_mutability: str
    exclusion_filters: str
    image_count: int
    registry_id: str
    region: str
    policy_id: int | None

    @property
    def registry(self) -> RegistryKey:
        """The registry it is in."""
        return RegistryKey(RegistryId(self.registry_id), self.region)

    @property
    def filters(self) -> tuple[str, ...]:
        """Wildcard patterns of the tag mutability setting."""
        return tuple(msgspec.json.decode(self.exclusion_filters, type=list[str]))


REPOSITORY_COLUMNS = (
    repository.c.id,
    repository.c.name,
    repository.c.created_at,
    repository.c.tag_mutability,
    repository.c.exclusion_filters,
    repository.c.image_count,
    registry.c.account_id,
    registry.c.region,
    repository.c.policy_id,
)
_COLUMNS = (
    select(*REPOSITORY_COLUMNS)
    .join(registry, registry.c.id == repository.c.registry_id)
    .where(
        registry.c.account_id == bindparam("registry_id"),
        registry.c.region == bindparam("region"),
        repository.c.deleted_at.is_(None),
    )
)
_FIND = Query(_COLUMNS.where(repository.c.name == bindparam("name")), RepositoryRow._make)
_PAGE = Query(
    _COLUMNS.where(repository.c.name > bindparam("after"))
    .order_by(repository.c.name)
    .limit(bindparam("limit")),
    RepositoryRow._make,
)
_ADD = Statement(
    repository.insert().values(
        registry_id=bindparam("registry_id"),
        name=bindparam("name"),
        created_at=bindparam("created_at"),
        tag_mutability=bindparam("tag_mutability"),
        exclusion_filters=bindparam("exclusion_filters"),
        image_count=0,
    )
)
_DELETE = Query(
    repository.update()
    .where(repository.c.id == bindparam("which"))
    .values(deleted_at=bindparam("deleted_at"))
    .returning(repository.c.registry_id),
    lambda row: int(row[0]),
)
_SET_MUTABILITY = Statement(
    repository.update()
    .where(repository.c.id == bindparam("which"))
    .values(tag_mutability=bindparam("tag_mutability"), exclusion_filters=bindparam("exclusion_filters"))
)
_COUNT_IMAGES = Statement(
    repository.update()
    .where(repository.c.id == bindparam("which"))
    .values(image_count=repository.c.image_count + bindparam("change"))
)
_TAGS = Query(
    select(resource_tag.c.key, resource_tag.c.value)
    .where(resource_tag.c.repository_id == bindparam("repository_id"))
    .order_by(resource_tag.c.key),
    lambda row: (str(row[0]), str(row[1])),
)
_ADD_TAG = Statement(resource_tag.insert())
_DELETE_TAG = Statement(
    resource_tag.delete().where(
        resource_tag.c.repository_id == bindparam("repository_id"), resource_tag.c.key == bindparam("key")
    )
)


def find_repository(tx: Transaction, key: RegistryKey, name: str) -> RepositoryRow | None:
    """The live repository of this name, or None."""
    return tx.find(_FIND, registry_id=key.registry_id, region=key.region, name=name)


def list_repositories(tx: Transaction, key: RegistryKey, after: str, limit: int) -> list[RepositoryRow]:
    """Live repositories in bytewise order of their names, those after ``after``."""
    return tx.all(_PAGE, registry_id=key.registry_id, region=key.region, after=after, limit=limit)


def add_repository(
    tx: Transaction, key: RegistryKey, name: str, tag_mutability: str, filters: tuple[str, ...]
) -> None:
    """Make a repository; the caller has checked that the name is free."""
    registry_id = registries.ensure_registry(tx, key)
    tx.run(
        _ADD,
        registry_id=registry_id,
        name=name,
        created_at=tx.now,
        tag_mutability=tag_mutability,
        exclusion_filters=msgspec.json.encode(filters).decode(),
    )
    registries.change_repository_count(tx, registry_id, 1)


def mark_deleted(tx: Transaction, repository_id: int) -> None:
    """Take the repository, and with it all that is in it, out of every reader's sight."""
    registries.change_repository_count(tx, tx.one(_DELETE, which=repository_id, deleted_at=tx.now), -1)


def set_tag_mutability(
    tx: Transaction, repository_id: int, tag_mutability: str, filters: tuple[str, ...]
) -> None:
    """Replace the setting and its filters."""
    encoded = msgspec.json.encode(filters).decode()
    tx.run(_SET_MUTABILITY, which=repository_id, tag_mutability=tag_mutability, exclusion_filters=encoded)


def change_image_count(tx: Transaction, repository_id: int, change: int) -> None:
    """Keep the number of live images in step with the image rows."""
    tx.run(_COUNT_IMAGES, which=repository_id, change=change)


def list_resource_tags(tx: Transaction, repository_id: int) -> dict[str, str]:
    """Resource tags by key, in the order of the keys."""
    return dict(tx.all(_TAGS, repository_id=repository_id))


def put_resource_tags(tx: Transaction, repository_id: int, tags: Mapping[str, str]) -> None:
    """Add or replace these resource tags; others stay."""
    for key, value in tags.items():
        tx.run(_DELETE_TAG, repository_id=repository_id, key=key)
        tx.run(_ADD_TAG, repository_id=repository_id, key=key, value=value)


def delete_resource_tag(tx: Transaction, repository_id: int, key: str) -> None:
    """Remove one resource tag if it is there."""
    tx.run(_DELETE_TAG, repository_id=repository_id, key=key)
