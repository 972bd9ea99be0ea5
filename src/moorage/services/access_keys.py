"""Access keys of users: made, imported, listed, switched off and on, removed.

A secret is sealed here, before any row is written, and leaves the server once: with the key that was just made. Who
may call these is the caller's business. Source: the IAM API reference, CreateAccessKey and its kin.
"""

from dataclasses import dataclass, replace

from moorage.auth.credentials import AccessKey
from moorage.auth.sealing import MasterKey
from moorage.domain.errors import EntityAlreadyExists, LimitExceeded, NoSuchEntity
from moorage.domain.names import RegistryId
from moorage.metadata import access_keys
from moorage.metadata import accounts as key_rows
from moorage.metadata.access_keys import AccessKeyRow
from moorage.metadata.transaction import Transaction
from moorage.services import accounts
from moorage.services.principals import get_row


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key without its secret; the user is None where it is the account's root's. Times are microseconds."""

    access_key_id: str
    user_name: str | None
    is_active: bool
    created_at: int


def create_access_key(
    tx: Transaction, account_id: RegistryId, user_name: str, key: AccessKey, master_key: MasterKey
) -> KeyFacts:
    """Give a user a key, new or brought along. The secret is bound to the key's id by its seal.

    Raises ``NoSuchEntity``, ``EntityAlreadyExists`` for an id that any account has, ``LimitExceeded``.
    """
    user = get_row(tx, account_id, "user", user_name)
    if access_keys.is_taken(tx, key.access_key_id):
        raise EntityAlreadyExists(kind="access key", name=key.access_key_id)
    limit = tx.settings.quotas.access_keys_per_user
    if limit and access_keys.count_of_principal(tx, user.id) >= limit:
        raise LimitExceeded(quota="access_keys_per_user", limit=limit)
    sealed = master_key.seal(key.secret_access_key.encode(), key.access_key_id.encode())
    key_rows.add_key(tx, key.access_key_id, user.id, sealed)
    return get_access_key(tx, account_id, key.access_key_id)


def get_access_key(tx: Transaction, account_id: RegistryId, access_key_id: str) -> KeyFacts:
    """A key of any principal of the account. Raises ``NoSuchEntity``."""
    row = access_keys.find_access_key(tx, account_id, access_key_id)
    if row is None:
        raise NoSuchEntity(kind="access key", name=access_key_id[:300])
    return _facts(row)


def list_access_keys(tx: Transaction, account_id: RegistryId, after: str, limit: int) -> list[KeyFacts]:
    """Keys of all users and the root of an account in order of their ids, those after ``after``.

    Raises ``NoSuchEntity``.
    """
    accounts.get_account(tx, account_id)
    return [_facts(row) for row in access_keys.list_of_account(tx, account_id, after, limit)]


def list_user_keys(tx: Transaction, account_id: RegistryId, user_name: str) -> list[KeyFacts]:
    """Keys of one user. Raises ``NoSuchEntity``."""
    user = get_row(tx, account_id, "user", user_name)
    return [_facts(row) for row in access_keys.list_of_principal(tx, user.id)]


def set_key_active(tx: Transaction, account_id: RegistryId, access_key_id: str, *, is_active: bool) -> KeyFacts:
    """Switch a key on, or off for every request from now on, with all tokens it was given. Raises ``NoSuchEntity``."""
    found = get_access_key(tx, account_id, access_key_id)
    access_keys.set_active(tx, found.access_key_id, is_active=is_active)
    return replace(found, is_active=is_active)


def delete_access_key(tx: Transaction, account_id: RegistryId, access_key_id: str) -> KeyFacts:
    """Remove a key for good, with its secret and all tokens it was given; returns what it was.

    Raises ``NoSuchEntity``.
    """
    found = get_access_key(tx, account_id, access_key_id)
    access_keys.delete_access_key(tx, found.access_key_id)
    return found


def _facts(row: AccessKeyRow) -> KeyFacts:
    user_name = None if row.principal_kind == "root" else row.principal_name
    return KeyFacts(row.access_key_id, user_name, bool(row.is_active), row.created_at)
