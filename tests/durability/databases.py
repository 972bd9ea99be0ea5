"""A PostgreSQL that a campaign works on and kills: its server, and how ``moorage serve`` is told of it."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from moorage.metadata.migrate_postgresql import migrate_postgresql
from tests.durability.victim import Kill
from tests.postgresql.server import Server, running


class Database:
    """One server with a migrated database of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.url()
        migrate_postgresql(self.url)
        #: What ``moorage serve`` reads of its environment.
        self.environment: Mapping[str, str] = {
            "MOORAGE_DATABASE": self.url,
            "MOORAGE_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }

    def strike(self, kill: Kill) -> None:
        """End it in the middle of whatever it does."""
        if kill is Kill.DATABASE:
            self._server.kill()
        else:
            self._server.stop()

    def restart(self) -> None:
        """Returns when it has recovered and takes connections."""
        self._server.start()

    def rows(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Location and size of each blob, and of each segment of an upload."""
        with psycopg.connect(self.url) as connection:
            blobs = connection.execute("SELECT location, size FROM blob WHERE deleted_at IS NULL").fetchall()
            segments = connection.execute("SELECT location, length FROM segment").fetchall()
        return blobs, segments

    def damage(self) -> list[str]:
        """What is wrong with its tables and indexes: every index is held against the table it belongs to."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            try:
                connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
                connection.execute(
                    """SELECT bt_index_parent_check(index.indexrelid, true) FROM pg_index AS index
                    JOIN pg_class AS class ON class.oid = index.indexrelid
                    JOIN pg_am AS kind ON kind.oid = class.relam AND kind.amname = 'btree'
                    WHERE class.relpersistence = 'p' AND index.indisvalid"""
                )
            except psycopg.Error as error:
                return [f"amcheck: {error}"]
        return []


@contextmanager
def postgresql(_directory: Path) -> Iterator[Database]:
    """A server for the time of a block.

    It does not sync, as every server of the tests: the kernel outlives its kills, and power cuts are not played here.
    """
    with running() as server:
        yield Database(server)
