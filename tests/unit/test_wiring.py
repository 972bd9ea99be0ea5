"""What a start leaves behind: the root access key, its record, and the file that holds it."""

import configparser
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moorage import wiring
from moorage.config import Settings
from moorage.domain.errors import AccountSwitchedOff, CredentialsUnknown
from moorage.domain.names import RegistryId
from moorage.metadata.sqlite import SqliteDatabase
from moorage.services import access_keys, accounts
from tests.support.auditing import committed

CONFIGURED = {"root_access_key_id": "AKIDCONFIGURED000000", "root_secret_access_key": "s" * 40}


def key_in(file: Path | None) -> str:
    """The access key that a credentials file holds."""
    assert file is not None
    document = configparser.ConfigParser()
    document.read_string(file.read_text())
    return document["default"]["aws_access_key_id"]


def holder_of(settings: Settings, access_key_id: str) -> str:
    """The account that the key opens. Raises ``CredentialsUnknown``."""
    database = SqliteDatabase(wiring.database_path(settings), settings)
    try:
        return database.read_now(accounts.find_key_holder, access_key_id).account_id
    finally:
        database.close()


def change(settings: Settings, use_case: Callable[..., object], *args: object, is_active: bool) -> None:
    """Switch something of the default account on or off."""
    database = SqliteDatabase(wiring.database_path(settings), settings)
    try:
        database.write_now(use_case, RegistryId(settings.account_id), *args, is_active=is_active)
    finally:
        database.close()


def records(settings: Settings) -> list[dict[str, Any]]:
    """All of what is recorded."""
    database = SqliteDatabase(wiring.database_path(settings), settings)
    try:
        return committed(database)
    finally:
        database.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a server that never ran."""
    return Settings(data_dir=tmp_path / "data")


@pytest.mark.incident(12)
def test_the_first_start_makes_a_key_and_later_ones_keep_it(settings: Settings) -> None:
    """The file names a key that opens the default account."""
    made = key_in(wiring.prepare(settings))
    assert key_in(wiring.prepare(settings)) == made
    assert holder_of(settings, made) == settings.account_id


def test_a_first_start_that_is_broken_off_leaves_no_server_without_a_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ends, the next start ends with a file whose key opens the account."""
    with monkeypatch.context() as broken:
        broken.setattr(wiring, "add_root_key", _break_off)
        with pytest.raises(KeyboardInterrupt):
            wiring.prepare(settings)
    assert holder_of(settings, key_in(wiring.prepare(settings))) == settings.account_id


def test_the_layout_is_written_down_whole_or_not_at_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file, as a power cut leaves one that was not synced, would refuse every later start."""

    def fail(descriptor: int) -> None:
        raise OSError("no sync")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="no sync"):
            wiring.prepare(settings)
    assert not (settings.data_dir / "format").exists()
    wiring.prepare(settings)
    assert (settings.data_dir / "format").read_text() == f"{wiring.FORMAT}\n"


def _break_off(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_configured_key_is_kept_in_the_file_too(settings: Settings) -> None:
    """So that the commands which a start prints work."""
    configured = settings.model_copy(update=CONFIGURED)
    assert key_in(wiring.prepare(configured)) == CONFIGURED["root_access_key_id"]
    assert holder_of(settings, CONFIGURED["root_access_key_id"]) == settings.account_id


def test_a_configured_key_is_recorded_once_by_whoever_starts_the_server(settings: Settings) -> None:
    """It gives root another key, as ``moorage credentials create`` does; its secret is nowhere in the record."""
    wiring.prepare(settings)
    assert records(settings) == []
    configured = settings.model_copy(update=CONFIGURED)
    wiring.prepare(configured)
    wiring.prepare(configured)
    (record,) = records(settings)
    assert (record["eventSource"], record["eventName"]) == ("iam.amazonaws.com", "CreateAccessKey")
    assert record["responseElements"]["accessKey"]["accessKeyId"] == CONFIGURED["root_access_key_id"]
    identity = record["userIdentity"]
    assert (identity["type"], identity["principalId"]) == ("Operator", f"uid:{os.getuid()}")
    assert (record["recipientAccountId"], record["awsRegion"]) == (settings.account_id, settings.region)
    assert CONFIGURED["root_secret_access_key"] not in str(record)


def test_an_account_that_is_made_for_a_configured_key_is_recorded_too(settings: Settings) -> None:
    """Of a server whose default account was changed."""
    wiring.prepare(settings)
    wiring.prepare(settings.model_copy(update={**CONFIGURED, "account_id": "111111111111"}))
    told = [(record["eventName"], record["recipientAccountId"]) for record in records(settings)]
    assert told == [("CreateAccount", "111111111111"), ("CreateAccessKey", "111111111111")]


def test_a_configured_key_that_was_switched_off_stays_off(settings: Settings) -> None:
    """The server starts all the same: whoever switched it off, or its account, meant it."""
    configured = settings.model_copy(update=CONFIGURED)
    which = CONFIGURED["root_access_key_id"]
    wiring.prepare(configured)
    change(settings, access_keys.set_key_active, which, is_active=False)
    wiring.prepare(configured)
    with pytest.raises(CredentialsUnknown):
        holder_of(settings, which)
    change(settings, accounts.set_account_active, is_active=False)
    wiring.prepare(configured)
    change(settings, access_keys.set_key_active, which, is_active=True)
    with pytest.raises(AccountSwitchedOff):
        holder_of(settings, which)


def test_a_configured_key_with_another_secret_is_refused(settings: Settings) -> None:
    """Also where it was switched off: nothing is replaced unasked."""
    configured = settings.model_copy(update=CONFIGURED)
    wiring.prepare(configured)
    change(settings, access_keys.set_key_active, CONFIGURED["root_access_key_id"], is_active=False)
    with pytest.raises(wiring.StartRefused, match="exists already with another secret"):
        wiring.prepare(configured.model_copy(update={"root_secret_access_key": "t" * 40}))


def test_a_file_that_was_taken_away_stays_away(settings: Settings) -> None:
    """Whoever keeps the key elsewhere is not told of a file that is not there."""
    file = wiring.prepare(settings)
    assert file is not None
    file.unlink()
    assert wiring.prepare(settings) is None


def test_blobs_without_their_database_are_left_alone(settings: Settings) -> None:
    """A server that lost its database does not begin anew over what the old one knew of."""
    wiring.prepare(settings)
    wiring.database_path(settings).unlink()
    with pytest.raises(wiring.StartRefused, match="restore it from a backup"):
        wiring.prepare(settings)
    assert not wiring.database_path(settings).exists()


def test_a_start_whose_audit_log_cannot_be_written_is_refused(settings: Settings, tmp_path: Path) -> None:
    """It is a mistake in the settings then; while the server runs it is never in the way."""
    wrong = settings.model_copy(update={"audit_file": str(tmp_path)})
    with pytest.raises(
        wiring.StartRefused, match=r"the audit log cannot be written: .*audit_file names another"
    ):
        wiring.prepare(wrong)
