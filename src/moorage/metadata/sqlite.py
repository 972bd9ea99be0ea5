"""Metadata in one SQLite file.

Reads run where they are called, each on its own snapshot of the write-ahead log. Writes queue for one writer
thread per process, which commits those that wait together (one sync for all of them). Processes take turns by
a blocking lock on ``write.lock``, because SQLite's own busy-waiting lets one of them starve; the log is
checkpointed only under that lock.
"""

import asyncio
import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata.database import Arguments, Result, UseCase
from moorage.metadata.manifest_cache import ManifestCache
from moorage.metadata.transaction import Transaction

#: Before 3.51.3 a reset of the write-ahead log under several writing processes could corrupt the database.
OLDEST_SQLITE = (3, 51, 3)

#: Use cases that one commit may carry.
MAX_GROUP = 64

#: Size of the write-ahead log that starts a checkpoint, in bytes.
CHECKPOINT_BYTES = 8 * 1024 * 1024

_DIALECT = sqlite_dialect(paramstyle="named")

Answer = TypeVar("Answer")


class SqliteTooOld(Exception):
    """The SQLite library in use has a bug that can corrupt the database."""


def microseconds() -> int:
    """Time since the epoch, UTC."""
    return time.time_ns() // 1000


def connect(path: Path) -> Any:
    """A connection with the settings that every process must share. Raises ``SqliteTooOld``."""
    if pysqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteTooOld(
            f"SQLite {pysqlite3.sqlite_version} can corrupt the database; 3.51.3 is the oldest allowed"
        )
    connection = pysqlite3.connect(
        str(path), isolation_level=None, check_same_thread=False, timeout=10, cached_statements=512
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


class _Write:
    """A use case waiting for the writer thread, and where its outcome goes."""

    __slots__ = ("call", "future", "outcome", "refusal")

    def __init__(self, call: Callable[[Transaction], Any], future: "Future[Any]") -> None:
        self.call = call
        self.future = future
        self.outcome: Any = None
        self.refusal: BaseException | None = None

    def resolve(self) -> None:
        if self.refusal is None:
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.refusal)


class SqliteDatabase:
    """The ``Database`` on one SQLite file, shared by any number of processes of one machine."""

    def __init__(self, path: Path, settings: Settings, *, clock: Callable[[], int] = microseconds) -> None:
        self._settings = settings
        self._clock = clock
        self._manifests = ManifestCache()
        self._wal = Path(f"{path}-wal")
        self._reader = connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = connect(path)
        self._lock = os.open(path.with_name("write.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._reading = threading.Lock()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve_writes, name="metadata-writer", daemon=True)
        self._thread.start()

    # --- Reads -----------------------------------------------------------------------------------------------

    async def read(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.read``. Runs in place: a read of this size costs less than a change of thread."""
        return self.read_now(use_case, *args, **kwargs)

    def read_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """``read`` for code outside an event loop."""
        with self._reading, _driver_errors():
            self._reader.execute("BEGIN")
            try:
                return use_case(self._transaction(self._reader), *args, **kwargs)
            finally:
                self._reader.execute("COMMIT")

    # --- Writes ----------------------------------------------------------------------------------------------

    async def write(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write``. A caller that is cancelled does not undo what is already queued."""
        return await asyncio.wrap_future(self._enqueue(lambda tx: use_case(tx, *args, **kwargs)))

    def write_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write_now``."""
        return self._enqueue(lambda tx: use_case(tx, *args, **kwargs)).result()

    def _enqueue(self, call: Callable[[Transaction], Answer]) -> "Future[Answer]":
        future: Future[Answer] = Future()
        # Once queued a use case runs whatever its caller does; this keeps a cancellation from tearing the future.
        future.set_running_or_notify_cancel()
        self._queue.put(_Write(call, future))
        return future

    def _serve_writes(self) -> None:
        while (write := self._queue.get()) is not None:
            group = [write, *self._waiting()]
            try:
                self._commit([one for one in group if one is not None])
            except BaseException as error:  # noqa: BLE001 - the callers must hear of it, whatever it is
                for one in group:
                    if one is not None and not one.future.done():
                        one.refusal = error
            for one in group:
                if one is None:
                    return
                one.resolve()

    def _waiting(self) -> Iterator[_Write | None]:
        for _ in range(MAX_GROUP - 1):
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def _commit(self, group: list[_Write]) -> None:
        with self._turn(), _driver_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for write in group:
                    self._run(write)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._checkpoint_if_due()

    def _run(self, write: _Write) -> None:
        """Run one use case of a group; its refusal undoes its own changes alone."""
        self._writer.execute("SAVEPOINT use_case")
        try:
            write.outcome = write.call(self._transaction(self._writer))
        except pysqlite3.OperationalError:
            raise  # The disk or the database is in trouble: nothing of this group may be committed.
        except BaseException as refusal:  # noqa: BLE001 - whatever it is belongs to its caller
            self._writer.execute("ROLLBACK TO use_case")
            write.refusal = refusal
        self._writer.execute("RELEASE use_case")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock between processes; the kernel queues those that wait for it."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _checkpoint_if_due(self) -> None:
        """Copy the log into the database when it has grown; a reader in the way puts it off, never us."""
        if self._wal.stat().st_size > CHECKPOINT_BYTES:
            self._writer.execute("PRAGMA busy_timeout = 50")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.execute("PRAGMA busy_timeout = 10000")

    def _transaction(self, connection: Any) -> Transaction:
        return Transaction(connection, _DIALECT, self._settings, self._manifests, self._clock())

    # --- Care ------------------------------------------------------------------------------------------------

    async def probe(self) -> None:
        """See ``Database.probe``."""
        await self.write(self._touch)

    def _touch(self, _tx: Transaction) -> None:
        # Setting a value, even the same one, writes a page: a full or read-only disk is noticed.
        self._writer.execute("PRAGMA user_version = 1")

    def close(self) -> None:
        """See ``Database.close``."""
        self._queue.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()
        os.close(self._lock)


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except pysqlite3.OperationalError as error:
        raise Unavailable(what=f"the metadata database: {error}") from error
