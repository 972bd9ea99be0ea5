"""Databases on the PostgreSQL server that ``MOORAGE_TEST_DATABASE`` names, one after the other for each test.

A database is migrated once for each process of the tests; whoever takes it finds it empty, and with it the sessions
that those before left. All are dropped at the end.
"""

import atexit
import os
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import chain, count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from moorage.config import Settings
from moorage.metadata.migrate_postgresql import migrate_postgresql
from moorage.metadata.postgresql import PostgresqlDatabase
from moorage.metadata.postgresql_session import Session
from moorage.metadata.tables import metadata

VARIABLE = "MOORAGE_TEST_DATABASE"

#: The server to test on, empty for SQLite.
SERVER = os.environ.get(VARIABLE, "")

_EMPTY = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))


class Databases:
    """The databases of this process, and which of them nobody uses."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[str] = []
        self._all: dict[str, psycopg.Connection[Any]] = {}
        #: By URL. A new session plans every statement anew, which takes longer than most tests.
        self.sessions: defaultdict[str, list[Session]] = defaultdict(list)
        self._numbers = count()
        atexit.register(self.drop)

    def take(self) -> str:
        """The URL of an empty database of the present schema."""
        url = self._free.pop() if self._free else self._create()
        self._all[url].execute(_EMPTY.encode())
        return url

    def give_back(self, url: str) -> None:
        """Nobody works on it any more."""
        self._free.append(url)

    def new(self) -> str:
        """The URL of a database without any schema, for whoever needs one of its own; dropped at the end."""
        name = f"moorage_test_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        url = urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))
        self._all[url] = psycopg.connect(url, autocommit=True)
        return url

    def _create(self) -> str:
        url = self.new()
        migrate_postgresql(url)
        return url

    def run(self, statement: str) -> None:
        """Run a statement on the server itself."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement.encode())

    def drop(self) -> None:
        """Leave nothing behind."""
        for session in chain.from_iterable(self.sessions.values()):
            session.close()
        for url, connection in self._all.items():
            connection.close()
            self.run(f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)")
        self.sessions.clear()
        self._all.clear()


@cache
def databases() -> Databases:
    """Those of this process. Only where ``SERVER`` is set."""
    return Databases(SERVER)


class BorrowedDatabase(PostgresqlDatabase):
    """A ``PostgresqlDatabase`` that another test gets when this one closes it, with the sessions that still work."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self.url = databases().take()
        super().__init__(self.url, settings, clock=clock)
        self._is_given_back = False
        self._idle.extend(databases().sessions.pop(self.url, ()))

    def close(self) -> None:
        """See ``Database``."""
        if not self._is_given_back:
            self._is_given_back = True
            super().close()
            databases().give_back(self.url)

    def _drop_idle(self) -> None:
        if self._is_closed:
            while self._idle:
                databases().sessions[self.url].append(self._idle.pop())
        super()._drop_idle()
