"""OIDC issuers whose tokens an account's roles may trust."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import identity_provider
from moorage.metadata.transaction import Transaction


class ProviderRow(NamedTuple):
    """An issuer, by its URL without the scheme. ``audiences`` is a JSON list."""

    id: int
    account_id: str
    issuer: str
    audiences: str
    created_at: int


_COLUMNS = tuple(identity_provider.c[name] for name in ProviderRow._fields)
_OF_ACCOUNT = identity_provider.c.account_id == bindparam("account_id")

_FIND = Query(
    select(*_COLUMNS).where(_OF_ACCOUNT, identity_provider.c.issuer == bindparam("issuer")), ProviderRow._make
)
_PAGE = Query(
    select(*_COLUMNS)
    .where(_OF_ACCOUNT, identity_provider.c.issuer > bindparam("after"))
    .order_by(identity_provider.c.issuer)
    .limit(bindparam("limit")),
    ProviderRow._make,
)
_COUNT = Query(select(func.count()).select_from(identity_provider).where(_OF_ACCOUNT), lambda row: int(row[0]))
_ADD = Statement(
    identity_provider.insert().values(
        account_id=bindparam("account_id"),
        issuer=bindparam("issuer"),
        audiences=bindparam("audiences"),
        created_at=bindparam("created_at"),
    )
)
_DELETE = Statement(identity_provider.delete().where(identity_provider.c.id == bindparam("id")))


def find_provider(tx: Transaction, account_id: str, issuer: str) -> ProviderRow | None:
    """The account's provider of this issuer, or None."""
    return tx.find(_FIND, account_id=account_id, issuer=issuer)


def list_providers(tx: Transaction, account_id: str, after: str, limit: int) -> list[ProviderRow]:
    """The account's providers in bytewise order of their issuers, those after ``after``."""
    return tx.all(_PAGE, account_id=account_id, after=after, limit=limit)


def count_providers(tx: Transaction, account_id: str) -> int:
    """How many providers the account has."""
    return tx.one(_COUNT, account_id=account_id)


def add_provider(tx: Transaction, account_id: str, issuer: str, audiences: Sequence[str]) -> None:
    """Make a provider; the caller has checked that the account has none of this issuer."""
    encoded = msgspec.json.encode(list(audiences)).decode()
    tx.run(_ADD, account_id=account_id, issuer=issuer, audiences=encoded, created_at=tx.now)


def delete_provider(tx: Transaction, provider_id: int) -> None:
    """Trust an issuer no more."""
    tx.run(_DELETE, id=provider_id)
