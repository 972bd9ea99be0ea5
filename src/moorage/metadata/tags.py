"""Tags, and the record of every move they made."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from moorage.metadata.queries import Query, Statement, any_of, batches
from moorage.metadata.tables import image, tag, tag_event
from moorage.metadata.transaction import Transaction


class TagRow(NamedTuple):
    """A tag and the image it points to."""

    id: int
    name: str
    image_id: int
    digest: str


class TagEventRow(NamedTuple):
    """One move of a tag; a digest is None where the tag did not exist. Ids grow with time."""

    id: int
    tag: str
    occurred_at: int
    principal: str
    from_digest: str | None
    to_digest: str | None


_FIND = Query(
    select(tag.c.id, tag.c.name, tag.c.image_id, image.c.digest)
    .join(image, image.c.id == tag.c.image_id)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name == bindparam("name")),
    TagRow._make,
)
_OF_IMAGE = Query(
    select(tag.c.name).where(tag.c.image_id == bindparam("image_id")).order_by(tag.c.id),
    lambda row: str(row[0]),
)
_OF_IMAGES = Query(
    select(tag.c.id, tag.c.image_id, tag.c.name).where(tag.c.image_id.in_(any_of("image_id"))),
    lambda row: (int(row[0]), int(row[1]), str(row[2])),
)
_PAGE = Query(
    select(tag.c.name)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name > bindparam("after"))
    .order_by(tag.c.name)
    .limit(bindparam("limit")),
    lambda row: str(row[0]),
)
_ADD = Statement(
    tag.insert().values(
        repository_id=bindparam("repository_id"),
        name=bindparam("name"),
        image_id=bindparam("image_id"),
        pushed_at=bindparam("pushed_at"),
    )
)
_MOVE = Statement(
    tag.update()
    .where(tag.c.id == bindparam("which"))
    .values(image_id=bindparam("image_id"), pushed_at=bindparam("pushed_at"))
)
_DELETE = Statement(tag.delete().where(tag.c.id == bindparam("which")))
_ADD_EVENT = Statement(
    tag_event.insert().values(
        repository_id=bindparam("repository_id"),
        tag=bindparam("tag"),
        occurred_at=bindparam("occurred_at"),
        principal=bindparam("principal"),
        from_digest=bindparam("from_digest"),
        to_digest=bindparam("to_digest"),
    )
)
_EVENTS = Query(
    select(
        tag_event.c.id,
        tag_event.c.tag,
        tag_event.c.occurred_at,
        tag_event.c.principal,
        tag_event.c.from_digest,
        tag_event.c.to_digest,
    )
    .where(
        tag_event.c.repository_id == bindparam("repository_id"),
        tag_event.c.tag == bindparam("tag"),
        tag_event.c.id > bindparam("after"),
    )
    .order_by(tag_event.c.id)
    .limit(bindparam("limit")),
    TagEventRow._make,
)


def find_tag(tx: Transaction, repository_id: int, name: str) -> TagRow | None:
    """The tag, or None."""
    return tx.find(_FIND, repository_id=repository_id, name=name)


def list_tags_of_image(tx: Transaction, image_id: int) -> list[str]:
    """The tags of one image, oldest first."""
    return tx.all(_OF_IMAGE, image_id=image_id)


def list_tags_of_images(tx: Transaction, image_ids: Sequence[int]) -> list[tuple[int, str]]:
    """The tags of several images, each with its image; those of one image oldest first."""
    found = [row for batch in batches("image_id", image_ids) for row in tx.all(_OF_IMAGES, **batch)]
    return [(image_id, name) for _, image_id, name in sorted(found)]


def list_tags(tx: Transaction, repository_id: int, after: str, limit: int) -> list[str]:
    """Tags of the repository in bytewise order, those after ``after``."""
    return tx.all(_PAGE, repository_id=repository_id, after=after, limit=limit)


def add_tag(tx: Transaction, repository_id: int, name: str, image_id: int) -> None:
    """Make a tag; the caller has checked that the name is free."""
    tx.run(_ADD, repository_id=repository_id, name=name, image_id=image_id, pushed_at=tx.now)


def move_tag(tx: Transaction, tag_id: int, image_id: int) -> None:
    """Point a tag at another image."""
    tx.run(_MOVE, which=tag_id, image_id=image_id, pushed_at=tx.now)


def delete_tag(tx: Transaction, tag_id: int) -> None:
    """Remove a tag."""
    tx.run(_DELETE, which=tag_id)


def record_move(
    tx: Transaction,
    repository_id: int,
    name: str,
    principal: str,
    from_digest: str | None,
    to_digest: str | None,
) -> None:
    """Write one line of a tag's history."""
    tx.run(
        _ADD_EVENT,
        repository_id=repository_id,
        tag=name,
        occurred_at=tx.now,
        principal=principal,
        from_digest=from_digest,
        to_digest=to_digest,
    )


def list_moves(tx: Transaction, repository_id: int, name: str, after: int, limit: int) -> list[TagEventRow]:
    """A tag's history, oldest move first: those after the move of id ``after``."""
    return tx.all(_EVENTS, repository_id=repository_id, tag=name, after=after, limit=limit)
