"""Accounts: made, listed, switched off."""

import pytest

from moorage.domain.errors import (
    AccountSwitchedOff,
    EntityAlreadyExists,
    InvalidRequest,
    NoSuchEntity,
)
from moorage.domain.names import RegistryId
from moorage.metadata.database import Database
from moorage.services import accounts
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import START


def test_an_account_has_a_name_for_people(database: Database) -> None:
    """Or none; it is active from the start."""
    made = database.write_now(accounts.create_account, ACCOUNT, "The team")
    assert made == accounts.Account(ACCOUNT, "The team", is_active=True, created_at=START)
    assert database.write_now(accounts.create_account, OTHER_ACCOUNT).name is None
    assert database.read_now(accounts.get_account, ACCOUNT) == made


def test_an_account_is_made_once(database: Database) -> None:
    """Also one that came with its first root key."""
    enroll(database)
    with pytest.raises(EntityAlreadyExists):
        database.write_now(accounts.create_account, ACCOUNT)


@pytest.mark.parametrize("name", ["", "x" * 51, "two\nlines"])
def test_a_name_is_a_line_of_some_length(database: Database, name: str) -> None:
    """It stands in lists."""
    with pytest.raises(InvalidRequest):
        database.write_now(accounts.create_account, ACCOUNT, name)


def test_accounts_are_listed_by_pages(database: Database) -> None:
    """In order of their ids, each once."""
    ids = [RegistryId(f"{number:012}") for number in (5, 3, 4, 1, 2)]
    for account_id in ids:
        database.write_now(accounts.create_account, account_id)
    pages, after = [], ""
    while page := database.read_now(accounts.list_accounts, after, 2):
        pages.append([account.account_id for account in page])
        after = page[-1].account_id
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [account_id for page in pages for account_id in page] == sorted(ids)


def test_an_account_that_is_switched_off_opens_nothing(database: Database) -> None:
    """Until it is switched on again."""
    caller = enroll(database)
    database.write_now(accounts.set_account_active, ACCOUNT, is_active=False)
    assert not database.read_now(accounts.get_account, ACCOUNT).is_active
    with pytest.raises(AccountSwitchedOff):
        database.read_now(accounts.find_key_holder, caller.access_key_id)
    database.write_now(accounts.set_account_active, ACCOUNT, is_active=True)
    assert database.read_now(accounts.find_key_holder, caller.access_key_id).account_id == ACCOUNT


def test_an_account_that_is_not_there_cannot_be_switched(database: Database) -> None:
    """Nor is one made by that."""
    with pytest.raises(NoSuchEntity):
        database.write_now(accounts.set_account_active, ACCOUNT, is_active=False)
    assert database.read_now(accounts.list_accounts, "", 10) == []
