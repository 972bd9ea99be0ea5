"""Access keys of users."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.credentials import AccessKey, generate_access_key
from moorage.auth.sealing import MasterKey, SealBroken
from moorage.config import Quotas
from moorage.domain.caller import Caller
from moorage.domain.errors import (
    CredentialsUnknown,
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
    RegistryError,
)
from moorage.metadata.database import Database
from moorage.services import access_keys, accounts, principals
from moorage.services.access_keys import KeyFacts
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import START, all_rows, fresh_database, temporary_database
from tests.support.identities import add_alice, add_builder

MASTER_KEY = MasterKey(bytes(32))


def add_key(database: Database, key: AccessKey | None = None, user: str = "alice") -> AccessKey:
    """A key of alice's."""
    made = key or generate_access_key()
    database.write_now(access_keys.create_access_key, ACCOUNT, user, made, MASTER_KEY)
    return made


@pytest.fixture
def alice(database: Database, caller: Caller) -> Database:
    """A database with the root of the default account and its user alice."""
    add_alice(database)
    return database


def test_a_key_is_its_users(alice: Database) -> None:
    """Whoever signs with it is that user."""
    key = add_key(alice)
    holder = alice.read_now(accounts.find_key_holder, key.access_key_id)
    assert holder.principal_arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert holder.unique_id.startswith("AIDA")
    assert MASTER_KEY.unseal(holder.sealed_secret, key.access_key_id.encode()) == key.secret_access_key.encode()


def test_a_seal_holds_for_its_own_key_only(alice: Database) -> None:
    """Somebody who can write to the database gains nothing by moving a secret to another row."""
    first, second = add_key(alice), add_key(alice)
    holder = alice.read_now(accounts.find_key_holder, first.access_key_id)
    with pytest.raises(SealBroken):
        MASTER_KEY.unseal(holder.sealed_secret, second.access_key_id.encode())


def test_keys_are_listed_without_their_secrets(alice: Database, caller: Caller) -> None:
    """Of one user, or of the account with its root."""
    ids = sorted(add_key(alice).access_key_id for _ in range(2))
    mine = [KeyFacts(key, "alice", is_active=True, created_at=START) for key in ids]
    root = KeyFacts(caller.access_key_id, None, is_active=True, created_at=START)
    assert alice.read_now(access_keys.list_user_keys, ACCOUNT, "alice") == mine
    everybody = sorted([*mine, root], key=lambda key: key.access_key_id)
    assert alice.read_now(access_keys.list_access_keys, ACCOUNT, "", 10) == everybody
    first = alice.read_now(access_keys.list_access_keys, ACCOUNT, "", 2)
    rest = alice.read_now(access_keys.list_access_keys, ACCOUNT, first[-1].access_key_id, 2)
    assert first + rest == everybody


def test_a_key_is_switched_off_and_on(alice: Database) -> None:
    """While it is off it is nobody's."""
    key = add_key(alice)
    alice.write_now(access_keys.set_key_active, ACCOUNT, key.access_key_id, is_active=False)
    assert not alice.read_now(access_keys.get_access_key, ACCOUNT, key.access_key_id).is_active
    with pytest.raises(CredentialsUnknown):
        alice.read_now(accounts.find_key_holder, key.access_key_id)
    alice.write_now(access_keys.set_key_active, ACCOUNT, key.access_key_id, is_active=True)
    alice.read_now(accounts.find_key_holder, key.access_key_id)


def test_a_key_that_is_removed_is_gone(alice: Database) -> None:
    """Its user can then be removed too."""
    key = add_key(alice)
    with pytest.raises(DeleteConflict, match="access keys"):
        alice.write_now(principals.delete_principal, ACCOUNT, "user", "alice")
    alice.write_now(access_keys.delete_access_key, ACCOUNT, key.access_key_id)
    with pytest.raises(CredentialsUnknown):
        alice.read_now(accounts.find_key_holder, key.access_key_id)
    alice.write_now(principals.delete_principal, ACCOUNT, "user", "alice")


@pytest.mark.parametrize("limit", [2, 0])
def test_a_user_has_so_many_keys(tmp_path: Path, limit: int) -> None:
    """Inactive ones count, for they can be switched on; 0 lifts the quota."""
    directory = tmp_path / "limited"
    directory.mkdir()
    database = fresh_database(directory, quotas=Quotas(access_keys_per_user=limit))
    enroll(database)
    add_alice(database)
    for _ in range(2):
        key = add_key(database)
        database.write_now(access_keys.set_key_active, ACCOUNT, key.access_key_id, is_active=False)
    if limit:
        with pytest.raises(LimitExceeded, match="access_keys_per_user"):
            add_key(database)
    else:
        add_key(database)
    database.close()


def test_an_id_is_taken_once_on_the_server(alice: Database, caller: Caller) -> None:
    """Also by the root, and by another account: a request is known by the id alone."""
    enroll(alice, OTHER_ACCOUNT)
    before = all_rows(alice)
    for taken in (caller.access_key_id, f"AKIA{OTHER_ACCOUNT}"):
        with pytest.raises(EntityAlreadyExists):
            add_key(alice, AccessKey(taken, "a secret of some length"))
    assert all_rows(alice) == before


@pytest.mark.parametrize("user", ["bob", "root", "builder"])
def test_only_a_user_is_given_a_key(alice: Database, user: str) -> None:
    """Not the root, which `moorage credentials` looks after, and no role."""
    add_builder(alice)
    with pytest.raises(NoSuchEntity):
        add_key(alice, user=user)


def test_another_accounts_key_is_not_found(alice: Database) -> None:
    """Neither shown, nor switched, nor removed."""
    enroll(alice, OTHER_ACCOUNT)
    key_id = add_key(alice).access_key_id
    for call in (access_keys.get_access_key, access_keys.delete_access_key):
        with pytest.raises(NoSuchEntity):
            alice.write_now(call, OTHER_ACCOUNT, key_id)
    with pytest.raises(NoSuchEntity):
        alice.write_now(access_keys.set_key_active, OTHER_ACCOUNT, key_id, is_active=False)
    assert alice.read_now(access_keys.get_access_key, ACCOUNT, key_id).is_active


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=128)


@given(SECRETS, st.sampled_from(["alice", "bob"]))
def test_no_row_and_no_refusal_holds_a_secret(secret: str, user: str) -> None:
    """Whatever it is, and whether the key is made or refused."""
    key = AccessKey("AKIAIMPORTED", secret)
    said = [repr(key)]
    with temporary_database() as database:
        enroll(database)
        add_alice(database)
        for _ in range(2):
            try:
                said.append(
                    repr(database.write_now(access_keys.create_access_key, ACCOUNT, user, key, MASTER_KEY))
                )
            except RegistryError as error:
                said += [str(error), repr(error.facts)]
        kept = [bytes(value) if isinstance(value, memoryview) else value for value in values(database)]
    assert not any(secret in text for text in said)
    assert not any(secret in value for value in kept if isinstance(value, str))
    assert not any(secret.encode() in value for value in kept if isinstance(value, bytes))


def values(database: Database) -> list[object]:
    """Every value of every row."""
    return [value for rows in all_rows(database).values() for row in rows for value in row]
