"""Accounts, principals, their access keys, and the server's own sealed keys."""

from typing import NamedTuple

from sqlalchemy import bindparam, literal, select

from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import access_key, account, principal, secret
from moorage.metadata.transaction import Transaction


class AccountRow(NamedTuple):
    """An account; times are microseconds since the epoch."""

    account_id: str
    name: str | None
    is_active: int
    created_at: int


class KeyRow(NamedTuple):
    """An access key with what decides whether it opens anything."""

    access_key_id: str
    account_id: str
    principal_kind: str
    principal_path: str
    principal_name: str
    unique_id: str
    sealed_secret: bytes
    is_key_active: int
    is_account_active: int
    key_created_at: int


class KeyState(NamedTuple):
    """What ``authorize`` judges an access key by; what applies to its principal is the same as long as the epoch is."""

    account_id: str
    principal_kind: str
    is_key_active: int
    is_account_active: int
    principal_id: int
    policy_epoch: int
    unique_id: str
    key_created_at: int


class SecretRow(NamedTuple):
    """One version of a server key."""

    purpose: str
    version: int
    sealed_key: bytes


#: Columns of a ``KeyState``, for statements that read one with more.
KEY_STATE_COLUMNS = (
    principal.c.account_id,
    principal.c.kind,
    access_key.c.is_active,
    account.c.is_active,
    principal.c.id,
    principal.c.policy_epoch,
    principal.c.unique_id,
    access_key.c.created_at,
)

_FIND_KEY = Query(
    select(
        access_key.c.id,
        principal.c.account_id,
        principal.c.kind,
        principal.c.path,
        principal.c.name,
        principal.c.unique_id,
        access_key.c.sealed_secret,
        access_key.c.is_active,
        account.c.is_active,
        access_key.c.created_at,
    )
    .join(principal, principal.c.id == access_key.c.principal_id)
    .join(account, account.c.id == principal.c.account_id)
    .where(access_key.c.id == bindparam("id")),
    KeyRow._make,
)
_ACCOUNT = select(account.c.id, account.c.name, account.c.is_active, account.c.created_at)
_FIND_ACCOUNT = Query(_ACCOUNT.where(account.c.id == bindparam("id")), AccountRow._make)
_LIST_ACCOUNTS = Query(
    _ACCOUNT.where(account.c.id > bindparam("after")).order_by(account.c.id).limit(bindparam("limit")),
    AccountRow._make,
)
_SET_ACCOUNT_ACTIVE = Statement(
    account.update().where(account.c.id == bindparam("which")).values(is_active=bindparam("is_active"))
)
_FIND_ROOT = Query(
    select(principal.c.id).where(
        principal.c.account_id == bindparam("account_id"),
        principal.c.kind == literal("root"),
        principal.c.name == literal("root"),
    ),
    lambda row: int(row[0]),
)
_HAS_KEYS = Query(select(access_key.c.id).limit(1), lambda row: str(row[0]))
_ADD_ACCOUNT = Statement(
    account.insert().values(
        id=bindparam("id"), is_active=1, created_at=bindparam("created_at"), name=bindparam("name")
    )
)
_ADD_ROOT = Query(
    principal.insert()
    .values(
        account_id=bindparam("account_id"),
        kind=literal("root"),
        name=literal("root"),
        created_at=bindparam("created_at"),
        unique_id=bindparam("account_id"),
    )
    .returning(principal.c.id),
    lambda row: int(row[0]),
)
_ADD_KEY = Statement(access_key.insert())
_ALL_SECRETS = Query(select(secret.c.purpose, secret.c.version, secret.c.sealed_key), SecretRow._make)
_ADD_SECRET = Statement(secret.insert())


def find_key(tx: Transaction, access_key_id: str) -> KeyRow | None:
    """The key with the state of its principal and account, or None."""
    return tx.find(_FIND_KEY, id=access_key_id)


def find_account(tx: Transaction, account_id: str) -> AccountRow | None:
    """The account, switched off or not, or None."""
    return tx.find(_FIND_ACCOUNT, id=account_id)


def has_account(tx: Transaction, account_id: str) -> bool:
    """Whether the account exists, switched off or not."""
    return find_account(tx, account_id) is not None


def list_accounts(tx: Transaction, after: str, limit: int) -> list[AccountRow]:
    """Accounts in order of their ids, those after ``after``."""
    return tx.all(_LIST_ACCOUNTS, after=after, limit=limit)


def set_account_active(tx: Transaction, account_id: str, *, is_active: bool) -> None:
    """Switch an account on or off."""
    tx.run(_SET_ACCOUNT_ACTIVE, which=account_id, is_active=int(is_active))


def has_keys(tx: Transaction) -> bool:
    """Whether any access key exists, which tells a first start from a later one."""
    return tx.find(_HAS_KEYS) is not None


def ensure_account(tx: Transaction, account_id: str) -> bool:
    """Make the account unless it exists; returns whether it was made."""
    if has_account(tx, account_id):
        return False
    add_account(tx, account_id, None)
    return True


def add_account(tx: Transaction, account_id: str, name: str | None) -> None:
    """Make an account, which must not exist."""
    tx.run(_ADD_ACCOUNT, id=account_id, created_at=tx.now, name=name)


def ensure_root(tx: Transaction, account_id: str) -> int:
    """The id of the account's root principal, made unless it exists."""
    found = tx.find(_FIND_ROOT, account_id=account_id)
    return tx.one(_ADD_ROOT, account_id=account_id, created_at=tx.now) if found is None else found


def add_key(tx: Transaction, access_key_id: str, principal_id: int, sealed_secret: bytes) -> None:
    """Give a principal another active key."""
    tx.run(
        _ADD_KEY,
        id=access_key_id,
        principal_id=principal_id,
        sealed_secret=sealed_secret,
        is_active=1,
        created_at=tx.now,
    )


def list_secrets(tx: Transaction) -> list[SecretRow]:
    """Every version of every server key."""
    return tx.all(_ALL_SECRETS)


def add_secret(tx: Transaction, purpose: str, version: int, sealed_key: bytes) -> None:
    """Record a new version of a server key."""
    tx.run(_ADD_SECRET, purpose=purpose, version=version, sealed_key=sealed_key, created_at=tx.now)
