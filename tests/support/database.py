"""A migrated database for each test: SQLite at the price of copying a file, PostgreSQL where a server is named."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from moorage.config import Settings
from moorage.metadata.database import Database
from moorage.metadata.migrate import migrate_sqlite
from moorage.metadata.postgresql import PostgresqlDatabase
from moorage.metadata.sqlite import SqliteDatabase, microseconds
from moorage.metadata.tables import metadata
from moorage.metadata.transaction import Transaction
from tests.support.postgresql import SERVER, BorrowedDatabase

#: Noon of a day in 2026, in microseconds: where the clocks of tests begin.
START = 1_780_000_000_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        """Microseconds since the epoch."""
        return self.now

    def advance(self, *, hours: int = 0, seconds: int = 0) -> None:
        """Let time pass."""
        self.now += hours * HOUR + seconds * SECOND


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "metadata.db"
        migrate_sqlite(path)
        return path.read_bytes()


def fresh_file(directory: Path) -> Path:
    """A new, empty database file of the present schema."""
    path = directory / "metadata.db"
    path.write_bytes(_template())
    return path


def open_fresh(settings: Settings, *, clock: Callable[[], int] = microseconds) -> Database:
    """A new, empty database: in PostgreSQL if the tests run on it, else in the data directory. The caller closes it."""
    if SERVER:
        return BorrowedDatabase(settings, clock)
    return fresh_sqlite(settings, clock=clock)


def open_again(database: Database) -> Database:
    """Another handle on the same database, as another process has it. The caller closes it."""
    if isinstance(database, PostgresqlDatabase):
        return PostgresqlDatabase(database._url, database._settings, clock=database._clock)
    assert isinstance(database, SqliteDatabase)
    again = SqliteDatabase(database._path, database._settings, clock=database._clock)
    again._writer.execute("PRAGMA synchronous = OFF")
    return again


def fresh_sqlite(settings: Settings, *, clock: Callable[[], int] = microseconds) -> SqliteDatabase:
    """``open_fresh`` for tests of SQLite itself.

    Commits are not synced: tests of what survives a power cut open ``SqliteDatabase`` on ``fresh_file`` instead.
    """
    database = SqliteDatabase(fresh_file(settings.data_dir), settings, clock=clock)
    database._writer.execute("PRAGMA synchronous = OFF")
    return database


def fresh_database(directory: Path, *, clock: Callable[[], int] = microseconds, **settings: Any) -> Database:
    """``open_fresh`` with ``directory`` as its data directory; ``settings`` are those of ``Settings``."""
    return open_fresh(Settings(data_dir=directory, **settings), clock=clock)


def execute(database: Database, sql: str) -> list[Any]:
    """Run a statement that no use case makes; returns its rows, if it has any."""
    return database.write_now(_run, sql)


def all_rows(database: Database) -> dict[str, list[Any]]:
    """Everything that the database holds, by table; in an order of its own, which no database promises by itself."""

    def read(tx: Transaction) -> dict[str, list[Any]]:
        names = [table.name for table in metadata.sorted_tables]
        return {name: sorted(_run(tx, f"SELECT * FROM {name}"), key=repr) for name in names}

    return database.write_now(read)


def _run(tx: Transaction, sql: str) -> list[Any]:
    cursor: Any = tx._connection.execute(sql)
    return list(cursor.fetchall()) if cursor.description else []


class Pause:
    """Lets nobody write until it ends; with SQLite what is written meanwhile becomes one group."""

    def __init__(self, database: Database) -> None:
        self._go_on = threading.Event()
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=database.write_now, args=(self._wait,))
        self._thread.start()
        assert self._is_running.wait(10)

    def _wait(self, tx: Transaction) -> None:
        if SERVER:
            tx._connection.execute("LOCK TABLE alembic_version IN EXCLUSIVE MODE")
        self._is_running.set()
        assert self._go_on.wait(10)

    def end(self) -> None:
        """Let the writer go on."""
        self._go_on.set()
        self._thread.join()


@contextmanager
def temporary_database(*, clock: Callable[[], int] = microseconds, **settings: Any) -> Iterator[Database]:
    """``fresh_database`` in a directory of its own, both gone at the end."""
    directory = Path(tempfile.mkdtemp())
    database = fresh_database(directory, clock=clock, **settings)
    try:
        yield database
    finally:
        database.close()
        shutil.rmtree(directory)
