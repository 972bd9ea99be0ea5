"""Users and roles, and which of them a change of policies concerns."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import policy_attachment, principal
from moorage.metadata.transaction import Transaction


class PrincipalRow(NamedTuple):
    """A root, user or role. ``tags`` is a JSON object, times are microseconds since the epoch."""

    id: int
    account_id: str
    kind: str
    name: str
    path: str
    unique_id: str
    created_at: int
    boundary: str | None
    trust_policy: str | None
    max_session_seconds: int
    tags: str
    policy_epoch: int


_COLUMNS = tuple(principal.c[name] for name in PrincipalRow._fields)
_IS_KIND = (principal.c.account_id == bindparam("account_id"), principal.c.kind == bindparam("kind"))

_FIND = Query(select(*_COLUMNS).where(*_IS_KIND, principal.c.name == bindparam("name")), PrincipalRow._make)
_GET = Query(select(*_COLUMNS).where(principal.c.id == bindparam("id")), PrincipalRow._make)
_FIND_NAMESAKE = Query(
    select(principal.c.name).where(*_IS_KIND, func.lower(principal.c.name) == bindparam("name")),
    lambda row: str(row[0]),
)
_PAGE = Query(
    select(*_COLUMNS)
    .where(*_IS_KIND, principal.c.name > bindparam("after"))
    .order_by(principal.c.name)
    .limit(bindparam("limit")),
    PrincipalRow._make,
)
_COUNT = Query(select(func.count()).select_from(principal).where(*_IS_KIND), lambda row: int(row[0]))
_ADD = Statement(
    principal.insert().values(
        account_id=bindparam("account_id"),
        kind=bindparam("kind"),
        name=bindparam("name"),
        path=bindparam("path"),
        unique_id=bindparam("unique_id"),
        created_at=bindparam("created_at"),
        trust_policy=bindparam("trust_policy"),
        max_session_seconds=bindparam("max_session_seconds"),
        tags=bindparam("tags"),
    )
)
_DELETE = Statement(principal.delete().where(principal.c.id == bindparam("id")))
_SET_TRUST = Statement(
    principal.update()
    .where(principal.c.id == bindparam("which"))
    .values(trust_policy=bindparam("trust_policy"), max_session_seconds=bindparam("max_session_seconds"))
)
_NEXT_EPOCH = principal.c.policy_epoch + 1
_SET_TAGS = Statement(
    principal.update()
    .where(principal.c.id == bindparam("which"))
    .values(tags=bindparam("tags"), policy_epoch=_NEXT_EPOCH)
)
_SET_BOUNDARY = Statement(
    principal.update()
    .where(principal.c.id == bindparam("which"))
    .values(boundary=bindparam("boundary"), policy_epoch=_NEXT_EPOCH)
)
_RAISE_EPOCH = Statement(
    principal.update().where(principal.c.id == bindparam("which")).values(policy_epoch=_NEXT_EPOCH)
)
_RAISE_ATTACHED = Statement(
    principal.update()
    .where(
        principal.c.id.in_(
            select(policy_attachment.c.principal_id).where(policy_attachment.c.policy_arn == bindparam("arn"))
        )
    )
    .values(policy_epoch=_NEXT_EPOCH)
)
_RAISE_BOUNDED = Statement(
    principal.update().where(principal.c.boundary == bindparam("arn")).values(policy_epoch=_NEXT_EPOCH)
)
_FIND_BOUNDED = Query(
    select(principal.c.id).where(principal.c.boundary == bindparam("arn")).limit(1), lambda row: int(row[0])
)


def find_principal(tx: Transaction, account_id: str, kind: str, name: str) -> PrincipalRow | None:
    """The user or role of this name, or None."""
    return tx.find(_FIND, account_id=account_id, kind=kind, name=name)


def get_principal(tx: Transaction, principal_id: int) -> PrincipalRow:
    """The root, user or role of this row id, which exists."""
    return tx.one(_GET, id=principal_id)


def find_namesake(tx: Transaction, account_id: str, kind: str, name: str) -> str | None:
    """The name that differs from this one in its capitals at most, or None."""
    return tx.find(_FIND_NAMESAKE, account_id=account_id, kind=kind, name=name.lower())


def list_principals(tx: Transaction, account_id: str, kind: str, after: str, limit: int) -> list[PrincipalRow]:
    """Users or roles in bytewise order of their names, those after ``after``."""
    return tx.all(_PAGE, account_id=account_id, kind=kind, after=after, limit=limit)


def count_principals(tx: Transaction, account_id: str, kind: str) -> int:
    """How many users or roles the account has."""
    return tx.one(_COUNT, account_id=account_id, kind=kind)


def add_principal(
    tx: Transaction,
    account_id: str,
    kind: str,
    name: str,
    *,
    path: str,
    unique_id: str,
    tags: Mapping[str, str],
    trust_policy: str | None,
    max_session_seconds: int,
) -> None:
    """Make a user or role; the caller has checked that the name is free."""
    tx.run(
        _ADD,
        account_id=account_id,
        kind=kind,
        name=name,
        path=path,
        unique_id=unique_id,
        created_at=tx.now,
        trust_policy=trust_policy,
        max_session_seconds=max_session_seconds,
        tags=_encode(tags),
    )


def delete_principal(tx: Transaction, principal_id: int) -> None:
    """Remove a principal that nothing refers to any more."""
    tx.run(_DELETE, id=principal_id)


def set_trust(tx: Transaction, principal_id: int, trust_policy: str, max_session_seconds: int) -> None:
    """Replace who may assume a role, and for how long at most."""
    tx.run(_SET_TRUST, which=principal_id, trust_policy=trust_policy, max_session_seconds=max_session_seconds)


def set_tags(tx: Transaction, principal_id: int, tags: Mapping[str, str]) -> None:
    """Replace all tags; what was derived for this principal is out of date."""
    tx.run(_SET_TAGS, which=principal_id, tags=_encode(tags))


def read_tags(row: PrincipalRow) -> dict[str, str]:
    """The tags of a principal, by their keys as they were written."""
    return msgspec.json.decode(row.tags, type=dict[str, str])


def set_boundary(tx: Transaction, principal_id: int, policy_arn: str | None) -> None:
    """Bound what a principal may do by a policy, or no more; what was derived for it is out of date."""
    tx.run(_SET_BOUNDARY, which=principal_id, boundary=policy_arn)


def raise_epoch(tx: Transaction, principal_id: int) -> None:
    """What was derived for this principal is out of date."""
    tx.run(_RAISE_EPOCH, which=principal_id)


def raise_epochs_under(tx: Transaction, policy_arn: str) -> None:
    """What was derived for every principal that this policy applies to or bounds is out of date."""
    tx.run(_RAISE_ATTACHED, arn=policy_arn)
    tx.run(_RAISE_BOUNDED, arn=policy_arn)


def is_boundary(tx: Transaction, policy_arn: str) -> bool:
    """Whether this policy bounds anybody."""
    return tx.find(_FIND_BOUNDED, arn=policy_arn) is not None


def _encode(tags: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(tags), order="deterministic").decode()
