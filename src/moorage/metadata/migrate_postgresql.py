"""Bring a PostgreSQL database to the schema of this version, and tell whether it is there.

``moorage migrate`` calls this; ``serve`` only looks, because other servers may still run on the old schema.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString, cast

import psycopg
import sqlalchemy
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from moorage.metadata.migrate import newest_revision, refuse_unknown, require_newest, scripts
from moorage.metadata.postgresql_refusals import PostgresqlBusy, PostgresqlRefused
from moorage.metadata.postgresql_session import BoundedConnection, connect, describe, one_line

#: Seconds that a start or a migration waits for whoever holds a lock, before it says so and ends.
LOCK_SECONDS = 30.0

#: Further seconds for the server to say that the lock was not to be had. A frozen one says nothing.
_ANSWER_SECONDS = 2.0

#: Held by whoever migrates, so that of two at once the second finds nothing left to do.
_LOCK = 0x6D6F6F7261676531


def migrate_postgresql(url: str) -> str | None:
    """Create or upgrade the schema, all of it in one transaction; returns the revision it was at, None if empty.

    Writers are kept waiting meanwhile. Raises ``DatabaseTooNew``, ``PostgresqlBusy``, ``PostgresqlRefused``, ``PostgresqlTooOld``,
    ``sqlalchemy.exc.DBAPIError`` when the server forbids a statement.
    """
    with _transaction(url) as connection:
        _wait_for(
            cast("BoundedConnection", connection.connection.driver_connection),
            "SELECT pg_advisory_xact_lock(%s)",
            _LOCK,
        )
        current = _revision(connection)
        if current == newest_revision():
            return current
        if current is not None:
            refuse_unknown(current)
            connection.execute(sqlalchemy.text("LOCK TABLE alembic_version IN EXCLUSIVE MODE"))
        from moorage.metadata.upgrade import upgrade  # noqa: PLC0415 - loads Alembic

        upgrade(connection, scripts())
        return current


def check_postgresql(url: str) -> None:
    """Raises ``NotMigrated``, ``DatabaseTooNew``, and what ``connect`` raises."""
    with _transaction(url) as connection:
        require_newest(_revision(connection))


@contextmanager
def preparing(url: str) -> Iterator[None]:
    """Be the only server that prepares itself on this database. Raises ``PostgresqlBusy``, what ``connect`` raises."""
    with connect(url) as connection:
        with _explained(url):
            _wait_for(connection, "SELECT pg_advisory_lock(%s)", _LOCK + 1)
        yield


def _wait_for(connection: BoundedConnection, statement: LiteralString, lock: int) -> None:
    """Take an advisory lock. It and each lock that is needed afterwards is waited for so long and no longer."""
    connection.deadline = time.monotonic() + LOCK_SECONDS + _ANSWER_SECONDS
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS * 1000:.0f}",))
    connection.execute(statement, (lock,))
    connection.deadline = math.inf


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Make sentences of a lock that is not to be had and of a server that is gone."""
    try:
        yield
    except (psycopg.OperationalError, sqlalchemy.exc.OperationalError) as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            raise _busy(url) from None
        raise PostgresqlRefused(one_line(cause)) from None


#: Names who holds the lock that a start or a migration waits for.
_HOLDERS = "SELECT pid FROM pg_locks WHERE granted AND (locktype = 'advisory' OR relation = 'alembic_version'::regclass)"


def _busy(url: str) -> PostgresqlBusy:
    return PostgresqlBusy(
        f"another process holds a lock in {describe(url)} for more than {LOCK_SECONDS:.0f} seconds: wait until the other "
        f"server that starts or migrates there is done, and try again. If none does, one was stopped: {_HOLDERS} names "
        "its connection, and SELECT pg_terminate_backend(pid) ends it"
    )


def _revision(connection: Connection) -> str | None:
    """The revision that Alembic wrote into the database, None when it never wrote one."""
    if connection.execute(sqlalchemy.text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return None
    found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    """One transaction on a connection of its own, which takes the time that it needs."""

    def open_one() -> BoundedConnection:
        connection = connect(url)
        connection.autocommit = False
        return connection

    engine = create_engine("postgresql+psycopg://", creator=open_one, poolclass=NullPool)
    with _explained(url), engine.begin() as connection:
        yield connection
