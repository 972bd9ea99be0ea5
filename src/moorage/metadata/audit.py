"""Records of changes, kept until they are exported and for a while after."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from moorage.metadata.queries import Query, Statement, any_of, batches
from moorage.metadata.tables import audit
from moorage.metadata.transaction import Transaction


class AuditRow(NamedTuple):
    """One record: a line of JSON with its newline."""

    id: int
    record: str


_ADD = Statement(
    audit.insert().values(at=bindparam("at"), record=bindparam("record"), exported_at=bindparam("exported_at"))
)
_LIST_UNEXPORTED = Query(
    select(audit.c.id, audit.c.record)
    # No id is negative: said so that the index is searched, and not read from end to end.
    .where(audit.c.exported_at.is_(None), audit.c.id >= 0)
    .order_by(audit.c.id)
    .limit(bindparam("limit")),
    AuditRow._make,
)
_MARK = Statement(audit.update().where(audit.c.id.in_(any_of("id"))).values(exported_at=bindparam("now")))
_LIST_STALE = Query(
    select(audit.c.id).where(audit.c.exported_at <= bindparam("before")).limit(bindparam("limit")),
    lambda row: int(row[0]),
)
_DELETE = Statement(audit.delete().where(audit.c.id.in_(any_of("id"))))


def add_record(tx: Transaction, record: str) -> None:
    """Keep a record of what this transaction changes."""
    tx.run(_ADD, at=tx.now, record=record, exported_at=None)


def list_unexported(tx: Transaction, limit: int) -> list[AuditRow]:
    """The oldest records that are in no file yet."""
    return tx.all(_LIST_UNEXPORTED, limit=limit)


def mark_exported(tx: Transaction, ids: Sequence[int]) -> None:
    """These are in the file, and will stay there."""
    for places in batches("id", ids):
        tx.run(_MARK, now=tx.now, **places)


def delete_exported(tx: Transaction, before: int, limit: int) -> int:
    """Remove records that were exported at this time or earlier; returns how many."""
    ids = tx.all(_LIST_STALE, before=before, limit=limit)
    for places in batches("id", ids):
        tx.run(_DELETE, **places)
    return len(ids)
