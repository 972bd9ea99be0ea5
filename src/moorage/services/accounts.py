"""Accounts, their root keys, and who a key belongs to."""

from dataclasses import dataclass
from typing import Final

from moorage.domain import iam
from moorage.domain.errors import (
    AccountSwitchedOff,
    CredentialsUnknown,
    EntityAlreadyExists,
    InvalidRequest,
    NoSuchEntity,
)
from moorage.domain.names import RegistryId
from moorage.metadata import accounts
from moorage.metadata.accounts import AccountRow, KeyRow, SecretRow
from moorage.metadata.transaction import Transaction, one_statement

#: Characters of an account's name.
MAX_NAME: Final = 50


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is, with what a signature is checked against, and when it was made."""

    account_id: RegistryId
    principal_arn: str
    unique_id: str
    sealed_secret: bytes
    key_created_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account; ``name`` is for people alone. Times are microseconds since the epoch."""

    account_id: RegistryId
    name: str | None
    is_active: bool
    created_at: int


# --- Accounts ------------------------------------------------------------------------------------------------


def create_account(tx: Transaction, account_id: RegistryId, name: str | None = None) -> Account:
    """Make an account, which has no keys yet. Raises ``EntityAlreadyExists``, ``InvalidRequest``."""
    if name is not None and not (1 <= len(name) <= MAX_NAME and name.isprintable()):
        raise InvalidRequest(text=f"An account's name has 1 to {MAX_NAME} printable characters")
    if accounts.has_account(tx, account_id):
        raise EntityAlreadyExists(kind="account", name=account_id)
    accounts.add_account(tx, account_id, name)
    return get_account(tx, account_id)


def ensure_account(tx: Transaction, account_id: RegistryId) -> bool:
    """Make the account unless it exists; returns whether it was made."""
    return accounts.ensure_account(tx, account_id)


def get_account(tx: Transaction, account_id: RegistryId) -> Account:
    """An account, switched off or not. Raises ``NoSuchEntity``."""
    row = accounts.find_account(tx, account_id)
    if row is None:
        raise NoSuchEntity(kind="account", name=account_id)
    return _account(row)


def list_accounts(tx: Transaction, after: str, limit: int) -> list[Account]:
    """Accounts in order of their ids, those after ``after``."""
    return [_account(row) for row in accounts.list_accounts(tx, after, limit)]


def set_account_active(tx: Transaction, account_id: RegistryId, *, is_active: bool) -> None:
    """Switch an account on, or off with every key in it, from the next request on. Raises ``NoSuchEntity``."""
    get_account(tx, account_id)
    accounts.set_account_active(tx, account_id, is_active=is_active)


def _account(row: AccountRow) -> Account:
    return Account(RegistryId(row.account_id), row.name, bool(row.is_active), row.created_at)


# --- Keys ----------------------------------------------------------------------------------------------------


def create_root_key(tx: Transaction, account_id: RegistryId, access_key_id: str, sealed_secret: bytes) -> None:
    """Give the account's root another access key; the account is made if it does not exist."""
    accounts.ensure_account(tx, account_id)
    principal_id = accounts.ensure_root(tx, account_id)
    accounts.add_key(tx, access_key_id, principal_id, sealed_secret)


def has_any_key(tx: Transaction) -> bool:
    """Whether this server was ever given an access key."""
    return accounts.has_keys(tx)


@one_statement
def find_key_holder(tx: Transaction, access_key_id: str) -> KeyHolder:
    """Whose key this is. Raises ``CredentialsUnknown``, ``AccountSwitchedOff``."""
    key = accounts.find_key(tx, access_key_id)
    if key is None or not key.is_key_active:
        raise CredentialsUnknown
    if not key.is_account_active:
        raise AccountSwitchedOff
    return _holder(key)


def find_any_key_holder(tx: Transaction, access_key_id: str) -> KeyHolder | None:
    """Whose key this is, switched off or not, for whoever runs the server; None for one that was never made."""
    key = accounts.find_key(tx, access_key_id)
    return None if key is None else _holder(key)


def _holder(key: KeyRow) -> KeyHolder:
    arn = iam.principal_arn(key.account_id, key.principal_kind, key.principal_path, key.principal_name)
    return KeyHolder(RegistryId(key.account_id), arn, key.unique_id, key.sealed_secret, key.key_created_at)


def list_server_keys(tx: Transaction) -> list[SecretRow]:
    """Every version of the server's own keys, sealed."""
    return accounts.list_secrets(tx)


def add_server_key(tx: Transaction, purpose: str, version: int, sealed_key: bytes) -> None:
    """Record a new version of one of the server's own keys."""
    accounts.add_secret(tx, purpose, version, sealed_key)
