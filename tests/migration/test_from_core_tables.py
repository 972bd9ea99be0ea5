"""From the first schema to one with users and roles: what was there works as it did."""

from contextlib import closing
from pathlib import Path

import pytest

from moorage import wiring
from moorage.auth.sealing import MasterKey
from moorage.config import Settings
from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId
from moorage.metadata.database import Database
from moorage.metadata.repositories import find_repository
from moorage.metadata.sqlite import connect
from moorage.services import access, accounts
from tests.support.callers import ACCOUNT, REGION, proven, root_of
from tests.support.database import execute
from tests.support.migrations import run_migrations

KEY_ID = root_of().access_key_id
SECRET = b"a secret access key of forty characters."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory as the version before left it: a root with its key, and a repository."""
    master_key = MasterKey.load_or_create(tmp_path / "master.key")
    path = tmp_path / "metadata.db"
    run_migrations(path, "0001")
    with closing(connect(path)) as old:
        old.execute("INSERT INTO account VALUES (?, 1, 1)", (ACCOUNT,))
        old.execute("INSERT INTO principal VALUES (7, ?, 'root', 'root', 1)", (ACCOUNT,))
        sealed = master_key.seal(SECRET, KEY_ID.encode())
        old.execute("INSERT INTO access_key VALUES (?, 7, ?, 1, 1)", (KEY_ID, sealed))
        old.execute("INSERT INTO registry VALUES (3, ?, ?, 1, 1)", (ACCOUNT, REGION))
        old.execute("INSERT INTO repository VALUES (5, 3, 'team/app', 1, 'MUTABLE', '[]', 0, NULL)")
    return Settings(data_dir=tmp_path)


def open_migrated(settings: Settings) -> Database:
    """What ``serve`` does before its workers start. The caller closes it."""
    wiring.prepare(settings)
    return wiring.open_database(settings)


def test_the_root_key_opens_what_it_did(settings: Settings) -> None:
    """Its secret is read with the same master key, and the root may do everything."""
    with closing(open_migrated(settings)) as database:
        holder = database.read_now(accounts.find_key_holder, KEY_ID)
        secret = wiring.load_master_key(settings).unseal(holder.sealed_secret, KEY_ID.encode())
        assert (holder.principal_arn, holder.unique_id) == (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
        assert secret == SECRET
        database.read_now(
            access.authorize, proven(database, root_of()), "ecr:PutImage", RegistryKey(ACCOUNT, REGION)
        )


def test_what_was_there_has_no_policy(settings: Settings) -> None:
    """Neither principals nor repositories nor registries."""
    with closing(open_migrated(settings)) as database:
        rows = execute(database, "SELECT path, boundary, trust_policy, tags, policy_epoch FROM principal")
        assert rows == [("/", None, None, "{}", 0)]
        repository = database.read_now(find_repository, RegistryKey(RegistryId(ACCOUNT), REGION), "team/app")
        assert repository is not None
        assert execute(database, "SELECT policy_id FROM repository") == [(None,)]
        assert execute(database, "SELECT policy_id FROM registry") == [(None,)]


def test_a_copy_of_the_old_database_is_kept(settings: Settings) -> None:
    """Whoever goes back to the version before needs it."""
    open_migrated(settings).close()
    with closing(connect(settings.data_dir / "metadata.db.before-0001.backup")) as kept:
        assert kept.execute("SELECT id FROM principal").fetchall() == [(7,)]
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
