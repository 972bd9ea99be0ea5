"""The access keys of an account's principals, for whoever looks after them. ``accounts`` finds the one of a request."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import access_key, principal
from moorage.metadata.transaction import Transaction


class AccessKeyRow(NamedTuple):
    """A key and whose it is, without its secret."""

    access_key_id: str
    principal_id: int
    principal_kind: str
    principal_name: str
    is_active: int
    created_at: int


_SELECT = (
    select(
        access_key.c.id,
        principal.c.id,
        principal.c.kind,
        principal.c.name,
        access_key.c.is_active,
        access_key.c.created_at,
    )
    .select_from(access_key)
    .join(principal, principal.c.id == access_key.c.principal_id)
)
_FIND = Query(
    _SELECT.where(principal.c.account_id == bindparam("account_id"), access_key.c.id == bindparam("id")),
    AccessKeyRow._make,
)
_IS_TAKEN = Query(select(access_key.c.id).where(access_key.c.id == bindparam("id")), lambda row: str(row[0]))
_OF_PRINCIPAL = Query(_SELECT.where(access_key.c.principal_id == bindparam("principal_id")), AccessKeyRow._make)
_PAGE = Query(
    _SELECT.where(principal.c.account_id == bindparam("account_id"), access_key.c.id > bindparam("after"))
    .order_by(access_key.c.id)
    .limit(bindparam("limit")),
    AccessKeyRow._make,
)
_COUNT = Query(
    select(func.count()).select_from(access_key).where(access_key.c.principal_id == bindparam("principal_id")),
    lambda row: int(row[0]),
)
_SET_ACTIVE = Statement(
    access_key.update().where(access_key.c.id == bindparam("which")).values(is_active=bindparam("is_active"))
)
_DELETE = Statement(access_key.delete().where(access_key.c.id == bindparam("id")))


def find_access_key(tx: Transaction, account_id: str, access_key_id: str) -> AccessKeyRow | None:
    """A key of this account, or None."""
    return tx.find(_FIND, account_id=account_id, id=access_key_id)


def is_taken(tx: Transaction, access_key_id: str) -> bool:
    """Whether any account has a key of this id."""
    return tx.find(_IS_TAKEN, id=access_key_id) is not None


def list_of_principal(tx: Transaction, principal_id: int) -> list[AccessKeyRow]:
    """All keys of one principal, which a quota keeps few, in order of their ids."""
    return sorted(tx.all(_OF_PRINCIPAL, principal_id=principal_id))


def list_of_account(tx: Transaction, account_id: str, after: str, limit: int) -> list[AccessKeyRow]:
    """Keys of all principals of an account, its root's too, in order of their ids, those after ``after``."""
    return tx.all(_PAGE, account_id=account_id, after=after, limit=limit)


def count_of_principal(tx: Transaction, principal_id: int) -> int:
    """How many keys a principal has, active or not."""
    return tx.one(_COUNT, principal_id=principal_id)


def set_active(tx: Transaction, access_key_id: str, *, is_active: bool) -> None:
    """Switch a key on or off."""
    tx.run(_SET_ACTIVE, which=access_key_id, is_active=int(is_active))


def delete_access_key(tx: Transaction, access_key_id: str) -> None:
    """Remove a key with its secret."""
    tx.run(_DELETE, id=access_key_id)
