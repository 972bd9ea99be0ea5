"""Bring a database to the schema of this version, after a backup.

``serve`` calls this for SQLite. A database written by a newer version is refused, never touched.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pysqlite3
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from moorage.metadata.sqlite import connect

_SCRIPTS = Path(__file__).with_name("migrations")


class DatabaseTooNew(Exception):
    """The database was written by a newer version of Moorage."""


class NoRoomForBackup(Exception):
    """The disk has no room for the copy that a migration starts with."""


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str | None:
    """The revision that this version of Moorage works with."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def migrate_sqlite(path: Path) -> None:
    """Create or upgrade the database file.

    Raises ``DatabaseTooNew``, ``NoRoomForBackup``, ``SqliteTooOld``.
    """
    engine = create_engine("sqlite://", module=pysqlite3, creator=lambda: connect(path), poolclass=NullPool)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == newest_revision():
            return
        if current is not None:
            _refuse_unknown(current)
            _back_up(connection.connection.driver_connection, path, current)
        command.upgrade(configuration(connection), "head")
        connection.commit()


def _refuse_unknown(revision: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    if revision not in known:
        raise DatabaseTooNew(f"the database is at revision {revision}, which this version does not know")


def _back_up(connection: Any, path: Path, revision: str) -> None:
    """Copy the database beside itself before it is changed, synced."""
    backup = path.with_name(f"{path.name}.before-{revision}.backup")
    if shutil.disk_usage(path.parent).free < 2 * path.stat().st_size:
        raise NoRoomForBackup(f"a migration needs {2 * path.stat().st_size} free bytes in {path.parent}")
    backup.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(backup),))
    backup.chmod(0o600)
    with backup.open("rb") as file:
        os.fsync(file.fileno())
