"""PostgreSQL servers of the tests' own: one that always runs, and for outages one a test may do anything to."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from moorage.metadata.migrate_postgresql import migrate_postgresql
from tests.postgresql.server import Server, running
from tests.support.postgresql import databases


def migrated(server: Server, name: str) -> str:
    """Make a database of this name with the present schema; returns its URL."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    migrate_postgresql(server.url(name))
    return server.url(name)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that this module may stop, freeze and start again."""
    with running() as server:
        yield server


@pytest.fixture
def url(server: Server, tmp_path: Path) -> str:
    """A migrated database on that server."""
    return migrated(server, f"t{abs(hash(tmp_path))}")


@pytest.fixture
def empty_url() -> str:
    """A database without a schema, on the server that the tests were given."""
    return databases().new()
