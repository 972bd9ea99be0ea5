"""Copy the records of changes from the database to the audit log, and forget them a while later."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from moorage.metadata.database import Database
from moorage.services import audit
from moorage.transfers.audit_file import AuditFailed, AuditLog

#: Records per transaction and per write to the log: at most 16 MiB, as a rule less than one.
BATCH: Final = 256

#: Seconds between two looks for records.
EXPORT_SECONDS: Final = 1.0

_log = structlog.get_logger()


class AuditExport:
    """Exports in the order in which the changes were committed; with PostgreSQL nearly so.

    Records are synced in the log before their rows are marked, so each gets there at least once, and exactly once
    unless the process or the log fails in between: then ``eventID`` tells what is there twice. Of several servers on
    one database and data directory, one exports at a time.
    """

    def __init__(self, database: Database, log: AuditLog, lock: Path) -> None:
        """``lock`` is a file beside which nobody else exports."""
        self._database = database
        self._log = log
        self._lock = lock
        self._is_failing = False

    async def export(self) -> int:
        """Export everything that is there; returns how many records. Raises ``Unavailable``."""
        with _only_one(self._lock) as is_ours:
            exported = 0
            while is_ours and (count := await self._export_batch()):
                exported += count
            return exported

    async def _export_batch(self) -> int:
        rows = await self._database.read(audit.list_unexported, BATCH)
        if not rows:
            return 0
        try:
            await asyncio.to_thread(self._write, "".join(row.record for row in rows).encode())
        except AuditFailed as error:
            self._tell(error)
            return 0
        self._is_failing = False
        await self._database.write(audit.mark_exported, [row.id for row in rows])
        return len(rows)

    def _write(self, lines: bytes) -> None:
        self._log.append(lines)
        self._log.sync()

    def _tell(self, error: AuditFailed) -> None:
        """Once, not with every attempt: the records are safe in the database meanwhile."""
        if not self._is_failing:
            _log.error("audit_export_failed", error=str(error))
        self._is_failing = True


async def forget_exported(database: Database) -> int:
    """Remove the records that were exported long enough ago; returns how many. Raises ``Unavailable``."""
    removed = 0
    while count := await database.write(audit.forget_exported, BATCH):
        removed += count
    return removed


@contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether nobody else exports now; as long as the block runs nobody will. The lock goes with its process."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
