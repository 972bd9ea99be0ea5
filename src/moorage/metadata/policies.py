"""Policies of principals: managed ones of an account, where they are attached, and inline ones."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import inline_policy, managed_policy, policy_attachment
from moorage.metadata.transaction import Transaction


class ManagedPolicyRow(NamedTuple):
    """A policy of an account. Times are microseconds since the epoch."""

    id: int
    account_id: str
    name: str
    path: str
    unique_id: str
    text: str
    created_at: int
    updated_at: int


# --- Managed -------------------------------------------------------------------------------------------------

_COLUMNS = tuple(managed_policy.c[name] for name in ManagedPolicyRow._fields)
_OF_ACCOUNT = managed_policy.c.account_id == bindparam("account_id")

_FIND = Query(
    select(*_COLUMNS).where(_OF_ACCOUNT, managed_policy.c.name == bindparam("name")), ManagedPolicyRow._make
)
_FIND_NAMESAKE = Query(
    select(managed_policy.c.name).where(_OF_ACCOUNT, func.lower(managed_policy.c.name) == bindparam("name")),
    lambda row: str(row[0]),
)
_PAGE = Query(
    select(*_COLUMNS)
    .where(_OF_ACCOUNT, managed_policy.c.name > bindparam("after"))
    .order_by(managed_policy.c.name)
    .limit(bindparam("limit")),
    ManagedPolicyRow._make,
)
_COUNT = Query(select(func.count()).select_from(managed_policy).where(_OF_ACCOUNT), lambda row: int(row[0]))
_ADD = Statement(
    managed_policy.insert().values(
        account_id=bindparam("account_id"),
        name=bindparam("name"),
        path=bindparam("path"),
        unique_id=bindparam("unique_id"),
        text=bindparam("text"),
        created_at=bindparam("created_at"),
        updated_at=bindparam("created_at"),
    )
)
_SET_TEXT = Statement(
    managed_policy.update()
    .where(managed_policy.c.id == bindparam("which"))
    .values(text=bindparam("new_text"), updated_at=bindparam("now"))
)
_DELETE = Statement(managed_policy.delete().where(managed_policy.c.id == bindparam("id")))


def find_managed(tx: Transaction, account_id: str, name: str) -> ManagedPolicyRow | None:
    """The account's managed policy of this name, or None."""
    return tx.find(_FIND, account_id=account_id, name=name)


def find_namesake(tx: Transaction, account_id: str, name: str) -> str | None:
    """The name that differs from this one in its capitals at most, or None."""
    return tx.find(_FIND_NAMESAKE, account_id=account_id, name=name.lower())


def list_managed(tx: Transaction, account_id: str, after: str, limit: int) -> list[ManagedPolicyRow]:
    """The account's managed policies in bytewise order of their names, those after ``after``."""
    return tx.all(_PAGE, account_id=account_id, after=after, limit=limit)


def count_managed(tx: Transaction, account_id: str) -> int:
    """How many managed policies the account has."""
    return tx.one(_COUNT, account_id=account_id)


def add_managed(tx: Transaction, account_id: str, name: str, path: str, unique_id: str, text: str) -> None:
    """Make a managed policy; the caller has checked that the name is free."""
    tx.run(
        _ADD,
        account_id=account_id,
        name=name,
        path=path,
        unique_id=unique_id,
        text=text,
        created_at=tx.now,
    )


def set_text(tx: Transaction, policy_id: int, text: str) -> None:
    """Replace the text of a managed policy."""
    tx.run(_SET_TEXT, which=policy_id, new_text=text, now=tx.now)


def delete_managed(tx: Transaction, policy_id: int) -> None:
    """Remove a managed policy that applies to nobody any more."""
    tx.run(_DELETE, id=policy_id)


# --- Attached ------------------------------------------------------------------------------------------------

_ATTACHED = Query(
    select(policy_attachment.c.policy_arn)
    .where(policy_attachment.c.principal_id == bindparam("principal_id"))
    .order_by(policy_attachment.c.policy_arn),
    lambda row: str(row[0]),
)
_COUNT_ATTACHED = Query(
    select(func.count())
    .select_from(policy_attachment)
    .where(policy_attachment.c.policy_arn == bindparam("policy_arn")),
    lambda row: int(row[0]),
)
_ATTACH = Statement(policy_attachment.insert())
_DETACH = Statement(
    policy_attachment.delete().where(
        policy_attachment.c.principal_id == bindparam("principal_id"),
        policy_attachment.c.policy_arn == bindparam("policy_arn"),
    )
)


def list_attached(tx: Transaction, principal_id: int) -> list[str]:
    """ARNs of the managed policies that apply to a principal."""
    return tx.all(_ATTACHED, principal_id=principal_id)


def count_attachments(tx: Transaction, policy_arn: str) -> int:
    """How many principals a managed policy applies to."""
    return tx.one(_COUNT_ATTACHED, policy_arn=policy_arn)


def attach(tx: Transaction, principal_id: int, policy_arn: str) -> None:
    """Let a managed policy apply to a principal that it does not apply to yet."""
    tx.run(_ATTACH, principal_id=principal_id, policy_arn=policy_arn)


def detach(tx: Transaction, principal_id: int, policy_arn: str) -> bool:
    """Let a managed policy apply to a principal no more; whether it did."""
    return tx.run(_DETACH, principal_id=principal_id, policy_arn=policy_arn) > 0


# --- Inline --------------------------------------------------------------------------------------------------

_INLINE = Query(
    select(inline_policy.c.name, inline_policy.c.text)
    .where(inline_policy.c.principal_id == bindparam("principal_id"))
    .order_by(inline_policy.c.name),
    lambda row: (str(row[0]), str(row[1])),
)
_ADD_INLINE = Statement(inline_policy.insert())
_DELETE_INLINE = Statement(
    inline_policy.delete().where(
        inline_policy.c.principal_id == bindparam("principal_id"), inline_policy.c.name == bindparam("name")
    )
)


def list_inline(tx: Transaction, principal_id: int) -> dict[str, str]:
    """The texts of a principal's inline policies by name; a quota of their size keeps them few."""
    return dict(tx.all(_INLINE, principal_id=principal_id))


def put_inline(tx: Transaction, principal_id: int, name: str, text: str) -> None:
    """Add an inline policy or replace the one of this name."""
    tx.run(_DELETE_INLINE, principal_id=principal_id, name=name)
    tx.run(_ADD_INLINE, principal_id=principal_id, name=name, text=text)


def delete_inline(tx: Transaction, principal_id: int, name: str) -> bool:
    """Remove an inline policy; whether there was one."""
    return tx.run(_DELETE_INLINE, principal_id=principal_id, name=name) > 0
