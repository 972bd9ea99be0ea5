"""What applies to a principal, as it is stored: its own policies, those that are attached to it, its boundary."""

from typing import NamedTuple

from sqlalchemy import bindparam, select

from moorage.metadata.queries import Query
from moorage.metadata.tables import inline_policy, managed_policy, policy_attachment, principal
from moorage.metadata.transaction import Transaction


class AppliedPrincipal(NamedTuple):
    """A principal with what is judged by; ``boundary`` is an ARN, ``tags`` a JSON object."""

    account_id: str
    kind: str
    path: str
    name: str
    unique_id: str
    boundary: str | None
    tags: str


_FIND_PRINCIPAL = Query(
    select(
        principal.c.account_id,
        principal.c.kind,
        principal.c.path,
        principal.c.name,
        principal.c.unique_id,
        principal.c.boundary,
        principal.c.tags,
    ).where(principal.c.id == bindparam("id")),
    AppliedPrincipal._make,
)
_INLINE = Query(
    select(inline_policy.c.name, inline_policy.c.text)
    .where(inline_policy.c.principal_id == bindparam("principal_id"))
    .order_by(inline_policy.c.name),
    lambda row: (str(row[0]), str(row[1])),
)
_ATTACHED = Query(
    select(policy_attachment.c.policy_arn)
    .where(policy_attachment.c.principal_id == bindparam("principal_id"))
    .order_by(policy_attachment.c.policy_arn),
    lambda row: str(row[0]),
)
_MANAGED = Query(
    select(managed_policy.c.text).where(
        managed_policy.c.account_id == bindparam("account_id"), managed_policy.c.name == bindparam("name")
    ),
    lambda row: str(row[0]),
)


def get_principal(tx: Transaction, principal_id: int) -> AppliedPrincipal:
    """The principal of this row id, which exists."""
    return tx.one(_FIND_PRINCIPAL, id=principal_id)


def list_inline(tx: Transaction, principal_id: int) -> list[tuple[str, str]]:
    """Names and texts of the policies that belong to the principal alone."""
    return tx.all(_INLINE, principal_id=principal_id)


def list_attached(tx: Transaction, principal_id: int) -> list[str]:
    """ARNs of the managed policies that apply to the principal."""
    return tx.all(_ATTACHED, principal_id=principal_id)


def find_managed_text(tx: Transaction, account_id: str, name: str) -> str | None:
    """The text of an account's managed policy, whose name is unique whatever its path; or None."""
    return tx.find(_MANAGED, account_id=account_id, name=name)
