"""Bring a PostgreSQL database to the schema of this version, and tell whether it is there.

``moorage migrate`` calls this; ``serve`` only looks, because other servers may still run on the old schema.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from moorage.metadata.migrate import newest_revision, refuse_unknown, require_newest, scripts
from moorage.metadata.postgresql_session import BoundedConnection, connect

#: Held by whoever migrates, so that of two at once the second finds nothing left to do.
_LOCK = 0x6D6F6F7261676531


def migrate_postgresql(url: str) -> str | None:
    """Create or upgrade the schema, all of it in one transaction; returns the revision it was at, None if empty.

    Writers are kept waiting meanwhile. Raises ``DatabaseTooNew``, ``PostgresqlRefused``, ``PostgresqlTooOld``,
    ``sqlalchemy.exc.DBAPIError`` when the server forbids a statement.
    """
    with _transaction(url) as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
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
    """Be the only server that prepares itself on this database. Raises what ``connect`` raises."""
    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK + 1,))
        yield


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
    with engine.begin() as connection:
        yield connection
