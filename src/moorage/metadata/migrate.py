"""Bring a database to the schema of this version, after a backup.

``serve`` calls this for SQLite. A database written by a newer version is refused, never touched. A new one is made
from the tables that the code knows, which the migrations end in: Alembic (``upgrade``) is loaded only when an older
one is to be changed.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from moorage.metadata.sqlite import connect
from moorage.metadata.tables import indexes_in_order, metadata
from moorage.metadata.write_lock import WriteLock

#: Seconds that a start waits for whoever writes to the database, a command perhaps, before it says so and ends.
LOCK_SECONDS = 30.0

_SCRIPTS = Path(__file__).with_name("migrations")

#: As Alembic makes it.
_REVISION_TABLE = (
    "CREATE TABLE alembic_version ("
    "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class DatabaseTooNew(Exception):
    """The database was written by a newer version of Moorage."""


class NotMigrated(Exception):
    """The database is not at the schema of this version; the text says what to do."""


class NoRoomForBackup(Exception):
    """The disk has no room for the copy that a migration starts with."""


def scripts() -> Path:
    """The directory of Alembic's environment and migrations."""
    return _SCRIPTS


def known_revisions() -> list[str]:
    """Every revision that this version knows, the oldest first: each migration's file is called by its own."""
    return sorted(file.stem.partition("_")[0] for file in (_SCRIPTS / "versions").glob("[!_]*.py"))


def newest_revision() -> str:
    """The revision that this version of Moorage works with."""
    return known_revisions()[-1]


def migrate_sqlite(path: Path) -> str | None:
    """Create or upgrade the database file, all of it in one transaction: a crash leaves the old schema or the new.

    Returns the revision that it was at, None for a new one. Raises ``DatabaseTooNew``, ``NoRoomForBackup``,
    ``SqliteTooOld``, ``TimeoutError`` that names who holds the lock.
    """
    lock = WriteLock(path)
    try:
        with lock.turn(LOCK_SECONDS), closing(connect(path)) as connection:
            current = _revision(connection)
            if current == newest_revision():
                return current
            if current is None:
                _change(connection, _create)
            else:
                refuse_unknown(current)
                _back_up(connection, path, current)
                _change(connection, _upgrade)
            return current
    finally:
        lock.close()


def _revision(connection: Any) -> str | None:
    """The revision that Alembic wrote into the database, None when it never wrote one."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _change(connection: Any, change: Callable[[Connection], None]) -> None:
    engine = create_engine("sqlite://", module=pysqlite3, creator=lambda: connection, poolclass=NullPool)
    with engine.connect() as bound:
        # Neither the driver nor Alembic begins a transaction for SQLite's DDL of its own accord.
        bound.exec_driver_sql("BEGIN IMMEDIATE")
        change(bound)
        bound.commit()


def _create(bound: Connection) -> None:
    for table in metadata.sorted_tables:
        bound.execute(CreateTable(table))
        for index in indexes_in_order(table):
            bound.execute(CreateIndex(index))
    bound.exec_driver_sql(_REVISION_TABLE)
    bound.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (newest_revision(),))


def _upgrade(bound: Connection) -> None:
    from moorage.metadata.upgrade import upgrade  # noqa: PLC0415 - loads Alembic

    upgrade(bound, _SCRIPTS)


def refuse_unknown(revision: str) -> None:
    """Raise ``DatabaseTooNew`` for a revision that no migration of this version makes."""
    if revision not in known_revisions():
        raise DatabaseTooNew(f"the database is at revision {revision}, which this version does not know")


def require_newest(revision: str | None) -> None:
    """Raise ``NotMigrated`` or ``DatabaseTooNew`` unless this is the revision that this version works with."""
    if revision == newest_revision():
        return
    if revision is not None:
        refuse_unknown(revision)
    state = "is empty" if revision is None else f"is at revision {revision}"
    raise NotMigrated(
        f"the database {state}; this version needs revision {newest_revision()}: run moorage migrate"
    )


def check_sqlite(path: Path) -> None:
    """Raises ``NotMigrated``, ``DatabaseTooNew``, ``SqliteTooOld``."""
    if not path.exists():
        require_newest(None)
    with closing(connect(path)) as connection:
        require_newest(_revision(connection))


def _back_up(connection: Any, path: Path, revision: str) -> None:
    """Copy the database beside itself before it is changed. The copy gets its name when all of it is synced."""
    backup = path.with_name(f"{path.name}.before-{revision}.backup")
    if shutil.disk_usage(path.parent).free < 2 * path.stat().st_size:
        raise NoRoomForBackup(f"a migration needs {2 * path.stat().st_size} free bytes in {path.parent}")
    unfinished = backup.with_name(f"{backup.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(unfinished),))
    unfinished.chmod(0o600)
    _sync(unfinished)
    unfinished.rename(backup)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
