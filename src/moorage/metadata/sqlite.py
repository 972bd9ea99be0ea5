"""Metadata in one SQLite file.

Reads run where they are called, each on its own snapshot of the write-ahead log. Writes queue for one writer
thread per process, which commits those that wait together (one sync for all of them). Processes take turns by
a blocking lock on ``write.lock``, because SQLite's own busy-waiting lets one of them starve; the log is
checkpointed only under that lock.
"""

import asyncio
import errno
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3
import structlog
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from moorage.config import Settings
from moorage.domain.errors import TooManyRequests, Unavailable
from moorage.metadata.database import Arguments, Result, UseCase
from moorage.metadata.manifest_cache import ManifestCache
from moorage.metadata.pending import Pending
from moorage.metadata.policy_cache import PolicyCache
from moorage.metadata.transaction import LoneStatement, SnapshotNeeded, Transaction, is_one_statement
from moorage.metadata.wal_index import WalIndex
from moorage.metadata.write_lock import WriteLock

#: Before 3.51.3 a reset of the write-ahead log under several writing processes could corrupt the database.
OLDEST_SQLITE = (3, 51, 3)

#: Use cases that one commit may carry.
MAX_GROUP = 64

#: Use cases that may wait for the writer thread; more would only be given up by those who wait for them.
MOST_WAITING = 16 * MAX_GROUP

#: Size of the write-ahead log that starts a checkpoint, in bytes.
CHECKPOINT_BYTES = 8 * 1024 * 1024

#: Seconds that SQLite waits for a lock of its own; ours comes first, so only other programs can hold it. As long
#: does a write wait for our lock, behind a process that stands still.
BUSY_SECONDS = 4

#: Seconds between two looks whether the writer thread waits for too long.
WATCH_SECONDS = 0.5

#: Pages that the reader of a process keeps at most, until somebody writes. SQLite's own 2 MiB are too few for the
#: tags and images of a registry of 10,000: measured at two page reads a pull.
READER_CACHE_KIBIBYTES = 16 * 1024

_STATEMENT_ERRORS = (
    pysqlite3.IntegrityError,
    pysqlite3.ProgrammingError,
    pysqlite3.DataError,
    pysqlite3.NotSupportedError,
)
_log = structlog.get_logger()
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
        str(path), isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=512
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


class _Write(Pending):
    """One that waits for the writer thread."""

    __slots__ = ()

    def fail(self, error: BaseException) -> None:
        """Nothing of the group was committed; each caller gets an exception of its own to add its frames to."""
        if self.future.done():
            return
        if isinstance(error, (pysqlite3.Error, OSError, MemoryError)):
            failure = _unavailable(error)
            failure.__cause__ = error
            self.future.set_exception(failure)
        else:
            self.future.set_exception(error)


class SqliteDatabase:
    """The ``Database`` on one SQLite file, shared by any number of processes of one machine."""

    def __init__(self, path: Path, settings: Settings, *, clock: Callable[[], int] = microseconds) -> None:
        self._settings = settings
        self._clock = clock
        self._manifests = ManifestCache()
        self._policies = PolicyCache()
        self._path = path
        # SQLite puts its log beside the file that a link stands for.
        self._wal = Path(f"{path.resolve()}-wal")
        self._reader = connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.execute(f"PRAGMA cache_size = -{READER_CACHE_KIBIBYTES}")
        self._writer = connect(path)
        self._lock = WriteLock(path)
        self._identity = _identity_of(path)
        self._checkpoint_at = CHECKPOINT_BYTES
        #: Opened by the first who asks for a mark.
        self._index: WalIndex | None = None
        self._is_index_wanted = True
        self._reading = threading.Lock()
        self._entering = threading.Lock()
        self._is_closed = False
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve_writes, name="metadata-writer", daemon=True)
        #: The group that waits for the lock, and since when; None while none does.
        self._blocked: tuple[float, list[_Write]] | None = None
        self._giving_up = threading.Lock()
        self._ended = threading.Event()
        self._thread.start()
        threading.Thread(target=self._watch, name="metadata-watch", daemon=True).start()

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
        with self._reading:
            self._refuse_when_closed()
            try:
                if is_one_statement(use_case):
                    with suppress(SnapshotNeeded):
                        return use_case(self._lone_statement(), *args, **kwargs)
                return self._read_snapshot(use_case, *args, **kwargs)
            except pysqlite3.DatabaseError as error:
                if not _is_trouble(error):
                    raise
                raise _unavailable(error) from error

    def _read_snapshot(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        self._reader.execute("BEGIN")
        try:
            return use_case(self._transaction(self._reader, self._manifests, self._policies), *args, **kwargs)
        finally:
            self._reader.execute("COMMIT")

    def _lone_statement(self) -> Transaction:
        return LoneStatement(
            self._reader, _DIALECT, self._settings, self._manifests, self._policies, self._clock()
        )

    def mark(self) -> bytes | None:
        """See ``Database.mark``."""
        if self._index is None and self._is_index_wanted:
            # Once: what cannot be watched now is not tried again with every request.
            self._is_index_wanted = False
            self._index = self._watch_index()
        return None if self._index is None else self._index.mark()

    def _watch_index(self) -> WalIndex | None:
        with self._reading:
            if self._is_closed:
                return None
            try:
                self._reader.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the index is there from now on
                return WalIndex(self._path)
            except (pysqlite3.Error, OSError, ValueError) as error:
                _log.warning("wal_index_not_watched", error=str(error))
                return None

    # --- Writes ----------------------------------------------------------------------------------------------

    async def write(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write``. A caller that is cancelled does not undo what is already queued.

        Raises ``TooManyRequests`` when too many wait already.
        """
        if self._queue.qsize() >= MOST_WAITING:
            raise TooManyRequests
        return await asyncio.wrap_future(self._enqueue(lambda tx: use_case(tx, *args, **kwargs)))

    def write_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write_now``."""
        return self._enqueue(lambda tx: use_case(tx, *args, **kwargs)).result()

    def _enqueue(self, use_case: Callable[[Transaction], Answer]) -> "Future[Answer]":
        write = _Write(use_case)
        with self._entering:
            self._refuse_when_closed()
            self._queue.put(write)
        return write.future

    def _serve_writes(self) -> None:
        while group := self._next_group():
            self._serve(group)

    def _next_group(self) -> list[_Write]:
        """Those that wait, at least one; none when the database is closed and all are served."""
        group: list[_Write] = []
        write = self._queue.get()
        while write is not None:
            group.append(write)
            if len(group) == MAX_GROUP or self._queue.empty():
                return group
            write = self._queue.get()
        if group:
            self._queue.put(None)
        return group

    def _serve(self, group: list[_Write]) -> None:
        begun = time.monotonic()
        try:
            with self._turn(group) as wanted:
                self._commit(wanted, begun)
                for write in wanted:
                    write.resolve()
                self._checkpoint_if_due()
        except BaseException as error:  # noqa: BLE001 - the callers must hear of it, whatever it is
            is_busy = getattr(error, "sqlite_errorcode", None) == pysqlite3.SQLITE_BUSY
            # One group after the other, those who came meanwhile would wait ever longer.
            for write in [*group, *(self._waiting() if is_busy else ())]:
                write.fail(error)

    @contextmanager
    def _turn(self, group: list[_Write]) -> Iterator[list[_Write]]:
        """Hold the lock between processes; yields those of the group that still wait for it to be their turn."""
        with self._giving_up:
            self._blocked = time.monotonic(), group
        try:
            self._lock.acquire()
        finally:
            with self._giving_up:
                self._blocked = None
        try:
            yield [write for write in group if not write.future.done()]
        finally:
            self._lock.release()

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        """Refuse what waits behind a process that holds the lock for too long, stopped perhaps.

        The writer thread goes on waiting: when its turn comes it serves whoever is there then.
        """
        with self._giving_up:
            if self._blocked is None or not self._is_stuck():
                return
            holder = self._lock.holder()
            refused = [write for write in (*self._blocked[1], *self._waiting()) if not write.future.done()]
            for write in refused:
                write.fail(TimeoutError("another process holds its write lock"))
        if refused:
            _log.error("write_lock_held", writes_refused=len(refused), holder=holder)

    def _is_stuck(self) -> bool:
        return self._blocked is not None and time.monotonic() - self._blocked[0] > BUSY_SECONDS

    def _waiting(self) -> Iterator[_Write]:
        """Those who came since the present group was formed; they leave the queue."""
        while not self._queue.empty():
            write = self._queue.get()
            if write is None:
                self._queue.put(None)
                return
            yield write

    def _commit(self, group: list[_Write], begun: float) -> None:
        self._begin(begun)
        try:
            for write in group:
                self._run(write)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _begin(self, begun: float) -> None:
        """Begin to write, on the file that other processes open by its name.

        Who waited for its turn behind a process that waited in vain does not wait as long again.
        """
        if _identity_of(self._path) != self._identity:
            raise OSError(errno.ESTALE, f"{self._path} was removed or replaced while the server runs")
        left = BUSY_SECONDS - (time.monotonic() - begun)
        if left > BUSY_SECONDS / 2:
            self._writer.execute("BEGIN IMMEDIATE")
            return
        self._writer.execute(f"PRAGMA busy_timeout = {max(50, int(left * 1000))}")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    def _run(self, write: _Write) -> None:
        """Run one use case of a group; its refusal undoes its own changes alone."""
        self._writer.execute("SAVEPOINT use_case")
        try:
            # What a transaction reads may yet be rolled back, and then its ids be given to others: it keeps nothing.
            tx = self._transaction(self._writer, ManifestCache(limit=0), self._policies.without_keeping())
            write.outcome = write.use_case(tx)
        except BaseException as refusal:
            # With the disk or the database in trouble nothing of this group may be committed.
            if _is_trouble(refusal) or not self._writer.in_transaction:
                raise
            self._writer.execute("ROLLBACK TO use_case")
            write.refusal = refusal
        self._writer.execute("RELEASE use_case")

    def _checkpoint_if_due(self) -> None:
        """Copy the log into the database when it has grown; a reader in the way puts it off, never us.

        What was answered is committed, so a failure is only told; the log keeps everything until it works.
        """
        try:
            size = self._wal.stat().st_size
            self._checkpoint_at = min(self._checkpoint_at, size + CHECKPOINT_BYTES)
            if size >= self._checkpoint_at:
                is_cut = self._checkpoint()
                self._checkpoint_at = CHECKPOINT_BYTES if is_cut else size + CHECKPOINT_BYTES
        except (pysqlite3.Error, OSError) as error:
            _log.warning("checkpoint_failed", error=str(error))

    def _checkpoint(self) -> bool:
        """Try for a moment; returns whether the log was emptied."""
        self._writer.execute("PRAGMA busy_timeout = 50")
        try:
            is_busy, _, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        return not is_busy

    def _transaction(self, connection: Any, manifests: ManifestCache, policies: PolicyCache) -> Transaction:
        return Transaction(connection, _DIALECT, self._settings, manifests, policies, self._clock())

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise Unavailable(what="the metadata database: it is closed")

    # --- Care ------------------------------------------------------------------------------------------------

    async def probe(self) -> None:
        """See ``Database.probe``."""
        # Not by ``write``: readiness must not be refused for there is much to do.
        await asyncio.wrap_future(self._enqueue(self._touch))

    def _touch(self, _tx: Transaction) -> None:
        # Setting a value, even the same one, writes a page: a full or read-only disk is noticed.
        self._writer.execute("PRAGMA user_version = 1")

    def close(self) -> None:
        """See ``Database.close``. Whoever comes later gets ``Unavailable``."""
        with self._entering:
            if self._is_closed:
                return
            self._is_closed = True
            self._queue.put(None)
        while self._thread.is_alive() and not self._is_stuck():
            self._thread.join(WATCH_SECONDS)
        self._give_up_waiting()
        self._ended.set()
        try:
            # The last connection to a database copies the log as it closes, which is for the lock's holder to do.
            with self._lock.turn(BUSY_SECONDS), self._reading:
                index, self._index = self._index, None
                self._reader.close()
                self._writer.close()
                if index is not None:
                    index.close()
            self._lock.close()
        except TimeoutError as error:
            # The end of the process closes them as well; all that was answered is in the log.
            _log.warning("database_left_open", error=str(error))


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Which file a name stands for now, None when for none."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def _is_trouble(error: BaseException) -> bool:
    """Whether it is the disk or the database that failed, and not the statement that was wrong."""
    return isinstance(error, pysqlite3.DatabaseError) and not isinstance(error, _STATEMENT_ERRORS)


def _unavailable(error: BaseException) -> Unavailable:
    return Unavailable(what=f"the metadata database: {error}")
