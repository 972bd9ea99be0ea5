"""Accounts and access keys, and who a key belongs to."""

from dataclasses import dataclass

from moorage.domain.errors import AccountSwitchedOff, CredentialsUnknown
from moorage.domain.names import RegistryId
from moorage.metadata import accounts
from moorage.metadata.accounts import SecretRow
from moorage.metadata.transaction import Transaction, one_statement


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is, with what a signature is checked against."""

    account_id: RegistryId
    principal_arn: str
    unique_id: str
    sealed_secret: bytes


def root_arn(account_id: str) -> str:
    """The ARN of an account's root principal."""
    return f"arn:aws:iam::{account_id}:root"


def principal_arn(account_id: str, kind: str, path: str, name: str) -> str:
    """The ARN of a principal; ``path`` begins and ends with a slash."""
    return root_arn(account_id) if kind == "root" else f"arn:aws:iam::{account_id}:{kind}{path}{name}"


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
    arn = principal_arn(key.account_id, key.principal_kind, key.principal_path, key.principal_name)
    return KeyHolder(RegistryId(key.account_id), arn, key.unique_id, key.sealed_secret)


def list_server_keys(tx: Transaction) -> list[SecretRow]:
    """Every version of the server's own keys, sealed."""
    return accounts.list_secrets(tx)


def add_server_key(tx: Transaction, purpose: str, version: int, sealed_key: bytes) -> None:
    """Record a new version of one of the server's own keys."""
    accounts.add_secret(tx, purpose, version, sealed_key)
