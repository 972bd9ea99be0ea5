"""Use cases that meet: two of them at the same moment, each through a handle of its own, as in two processes."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from moorage.domain.errors import RegistryError
from moorage.metadata import accounts
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from tests.support.database import execute
from tests.support.postgresql import SERVER

#: Seconds that one use case waits for the other; in vain where the database lets only one begin.
PATIENCE = 1.0

#: A use case with its arguments.
Call = Callable[[Transaction], Any]

#: What must hold at any time: a sentence, and a query for the rows that break it.
INVARIANTS = {
    "image_count is the number of live images": """
        SELECT r.id FROM repository r WHERE r.deleted_at IS NULL AND r.image_count !=
        (SELECT count(*) FROM image i WHERE i.repository_id = r.id AND i.deleted_at IS NULL)""",
    "tag_count is the number of tags": """
        SELECT i.id FROM image i WHERE i.deleted_at IS NULL AND i.tag_count !=
        (SELECT count(*) FROM tag t WHERE t.image_id = i.id)""",
    "repository_count is the number of live repositories": """
        SELECT g.id FROM registry g WHERE g.repository_count !=
        (SELECT count(*) FROM repository r WHERE r.registry_id = g.id AND r.deleted_at IS NULL)""",
    "a tag points to a live image": """
        SELECT t.id FROM tag t JOIN image i ON i.id = t.image_id WHERE i.deleted_at IS NOT NULL""",
    "the blobs of a live image are there": """
        SELECT f.image_id FROM image_reference f WHERE f.kind = 'blob' AND NOT EXISTS
        (SELECT 1 FROM layer l WHERE l.repository_id = f.repository_id AND l.digest = f.digest)""",
    "the children of a live index are there": """
        SELECT f.image_id FROM image_reference f WHERE f.kind = 'image' AND NOT EXISTS (SELECT 1 FROM image i
        WHERE i.repository_id = f.repository_id AND i.digest = f.digest AND i.deleted_at IS NULL)""",
    "an upload holds what its segments hold": """
        SELECT u.id FROM upload u WHERE u.length !=
        (SELECT coalesce(sum(s.length), 0) FROM segment s WHERE s.upload_id = u.id)""",
    "the last move of a tag says where it is": """
        SELECT e.id FROM tag_event e LEFT JOIN tag t ON t.repository_id = e.repository_id AND t.name = e.tag
        LEFT JOIN image i ON i.id = t.image_id
        WHERE e.id = (SELECT max(l.id) FROM tag_event l WHERE l.repository_id = e.repository_id AND l.tag = e.tag)
        AND coalesce(e.to_digest, '') != coalesce(i.digest, '')""",
}


def broken(database: Database) -> list[str]:
    """The invariants that do not hold."""
    return [sentence for sentence, query in INVARIANTS.items() if execute(database, query)]


class Race:
    """Two handles on one database."""

    def __init__(self, database: Database, other: Database) -> None:
        self.databases = (database, other)
        self._threads = ThreadPoolExecutor(2)

    def run(self, *calls: Call) -> list[Any]:
        """Run two use cases at once; returns what each gave, or the refusal that it raised.

        On PostgreSQL both have taken their snapshots before either changes anything, so they cannot miss each other.
        On SQLite one waits for the other's commit, whichever of them it is.
        """
        start, meeting = threading.Barrier(2), threading.Barrier(2)
        outcomes = [
            self._threads.submit(_run, database, call, start, meeting)
            for database, call in zip(self.databases, calls, strict=True)
        ]
        return [outcome.result() for outcome in outcomes]

    def close(self) -> None:
        """End the threads; the databases are their makers'."""
        self._threads.shutdown()


def _run(database: Database, call: Call, start: threading.Barrier, meeting: threading.Barrier) -> Any:
    def meet(tx: Transaction) -> Any:
        if SERVER:
            accounts.has_keys(tx)
            # Whoever runs again comes alone, and finds the barrier broken.
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(PATIENCE)
            meeting.abort()
        return call(tx)

    start.wait(10)
    try:
        return database.write_now(meet)
    except RegistryError as refusal:
        return refusal
