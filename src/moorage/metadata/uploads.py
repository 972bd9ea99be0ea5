"""Uploads in progress and the segments that their requests wrote."""

from typing import NamedTuple

from sqlalchemy import bindparam, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import repository, segment, upload
from moorage.metadata.transaction import Transaction


class UploadRow(NamedTuple):
    """An unfinished upload. ``length`` is the number of bytes that are safely stored."""

    id: str
    repository_id: int
    account_id: str
    length: int
    part_count: int
    small_part_count: int
    epoch: int


class SegmentRow(NamedTuple):
    """What one request wrote."""

    number: int
    location: str
    length: int
    sha256: str


_COLUMNS = (
    upload.c.id,
    upload.c.repository_id,
    upload.c.account_id,
    upload.c.length,
    upload.c.part_count,
    upload.c.small_part_count,
    upload.c.epoch,
)
_FIND = Query(
    select(*_COLUMNS)
    .join(repository, repository.c.id == upload.c.repository_id)
    .where(upload.c.id == bindparam("id"), repository.c.deleted_at.is_(None)),
    UploadRow._make,
)
_NTH = Query(
    select(upload.c.id)
    .where(upload.c.account_id == bindparam("account_id"))
    .limit(1)
    .offset(bindparam("offset")),
    lambda row: str(row[0]),
)
_STALE = Query(
    select(*_COLUMNS)
    .where(upload.c.updated_at < bindparam("before"))
    .order_by(upload.c.updated_at)
    .limit(bindparam("limit")),
    UploadRow._make,
)
_ADD = Statement(
    upload.insert().values(
        id=bindparam("id"),
        repository_id=bindparam("repository_id"),
        account_id=bindparam("account_id"),
        created_at=bindparam("created_at"),
        updated_at=bindparam("created_at"),
        length=0,
        part_count=0,
        small_part_count=0,
        epoch=0,
    )
)
_BEGIN_WRITING = Statement(
    upload.update()
    .where(upload.c.id == bindparam("which"), upload.c.epoch == bindparam("seen_epoch"))
    .values(epoch=upload.c.epoch + 1, updated_at=bindparam("now"))
)
_ADVANCE = Statement(
    upload.update()
    .where(upload.c.id == bindparam("which"))
    .values(
        length=upload.c.length + bindparam("added"),
        part_count=upload.c.part_count + bindparam("added_parts"),
        small_part_count=upload.c.small_part_count + bindparam("added_small_parts"),
        updated_at=bindparam("updated_at"),
    )
)
_DELETE = Statement(upload.delete().where(upload.c.id == bindparam("which")))
_SEGMENTS = Query(
    select(segment.c.number, segment.c.location, segment.c.length, segment.c.sha256)
    .where(segment.c.upload_id == bindparam("upload_id"))
    .order_by(segment.c.number),
    SegmentRow._make,
)
_ADD_SEGMENT = Statement(segment.insert())
_DELETE_SEGMENTS = Statement(segment.delete().where(segment.c.upload_id == bindparam("which")))


def find_upload(tx: Transaction, upload_id: str) -> UploadRow | None:
    """The unfinished upload, or None, also when its repository was deleted."""
    if "\0" in upload_id:
        return None  # PostgreSQL takes no NUL in a text, so nothing has such an id.
    return tx.find(_FIND, id=upload_id)


def has_at_least(tx: Transaction, account_id: str, count: int) -> bool:
    """Whether the account already has so many unfinished uploads."""
    return tx.find(_NTH, account_id=account_id, offset=count - 1) is not None


def add_upload(tx: Transaction, upload_id: str, repository_id: int, account_id: str) -> None:
    """Begin an upload."""
    tx.run(_ADD, id=upload_id, repository_id=repository_id, account_id=account_id, created_at=tx.now)


def begin_writing(tx: Transaction, seen: UploadRow) -> int | None:
    """Become the upload's only writer: the new epoch, or None if somebody did since ``seen`` was read.

    Whoever wrote before finds the epoch changed and counts nothing.
    """
    is_ours = tx.run(_BEGIN_WRITING, which=seen.id, seen_epoch=seen.epoch, now=tx.now) == 1
    return seen.epoch + 1 if is_ours else None


def add_segment(tx: Transaction, upload_id: str, number: int, location: str, length: int, sha256: str) -> None:
    """Record what a request wrote."""
    tx.run(_ADD_SEGMENT, upload_id=upload_id, number=number, location=location, length=length, sha256=sha256)


def advance(tx: Transaction, upload_id: str, added: int, *, parts: int, small_parts: int) -> None:
    """Count the bytes that are now safely stored."""
    tx.run(
        _ADVANCE,
        which=upload_id,
        added=added,
        added_parts=parts,
        added_small_parts=small_parts,
        updated_at=tx.now,
    )


def list_segments(tx: Transaction, upload_id: str) -> list[SegmentRow]:
    """The upload's segments in the order of their bytes."""
    return tx.all(_SEGMENTS, upload_id=upload_id)


def list_stale(tx: Transaction, before: int, limit: int) -> list[UploadRow]:
    """Uploads that nobody wrote to since ``before``."""
    return tx.all(_STALE, before=before, limit=limit)


def delete_upload(tx: Transaction, upload_id: str) -> None:
    """Forget an upload and its segments."""
    tx.run(_DELETE_SEGMENTS, which=upload_id)
    tx.run(_DELETE, which=upload_id)
