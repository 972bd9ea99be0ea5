"""Metadata in PostgreSQL, for one server or many.

A use case runs in a thread, on a connection of its own. Writes are SERIALIZABLE: of two that cannot both be true one
is undone by the server and run again here. Reads are REPEATABLE READ on one snapshot, which has every write that was
acknowledged anywhere before it began, and can never be undone (``docs/adr/0009-postgresql.md``).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql.psycopg import dialect as postgresql_dialect

from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata.database import Arguments, Result, UseCase
from moorage.metadata.manifest_cache import ManifestCache
from moorage.metadata.postgresql_session import (
    OutcomeUnknown,
    PostgresqlRefused,
    PostgresqlTooOld,
    Session,
    is_conflict,
    is_trouble,
)
from moorage.metadata.queries import Statement
from moorage.metadata.sqlite import microseconds
from moorage.metadata.transaction import Transaction

#: Threads of one process, and with them its connections at most.
THREADS = 8

#: Seconds from the call of a use case to its answer or refusal.
CALL_SECONDS = 3.0

#: Further seconds that a caller waits for a thread which does not come back: one that waits for a name server, say.
GRACE_SECONDS = 1.0

#: How often a use case is run again when others were in its way.
MAX_RERUNS = 5

#: The last so many times it runs while no other write does.
ALONE_FROM = 2

#: Seconds without a further attempt to connect after one that failed.
PAUSE_SECONDS = 0.5

# Every writer holds a weak lock on the table that Alembic keeps the revision in; whoever runs again for the second
# time takes a strong one, and so runs alone. LOCK TABLE takes no snapshot: the wait comes before what is read.
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN ROW EXCLUSIVE MODE"
_BEGIN_ALONE = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE"

_DIALECT = postgresql_dialect()  # type: ignore[no-untyped-call]
_log = structlog.get_logger()

Answer = TypeVar("Answer")
_Call = Callable[[Transaction], Answer]


class _Conflict(Exception):
    """Another transaction was in the way; this one changed nothing."""


class PostgresqlDatabase:
    """The ``Database`` on one PostgreSQL server, shared by any number of processes of any number of machines."""

    def __init__(self, url: str, settings: Settings, *, clock: Callable[[], int] = microseconds) -> None:
        """Nothing is connected to yet."""
        self._url = url
        self._settings = settings
        self._clock = clock
        self._manifests = ManifestCache()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="metadata")
        self._idle: deque[Session] = deque()
        self._connect_after = 0.0
        self._is_closed = False

    # --- The port --------------------------------------------------------------------------------------------

    async def read(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.read``."""
        return await self._wait(self._start(self._read, lambda tx: use_case(tx, *args, **kwargs)))

    def read_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.read_now``."""
        return self._start(self._read, lambda tx: use_case(tx, *args, **kwargs)).result()

    async def write(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write``. A caller that is cancelled does not undo what is already queued."""
        return await self._wait(self._start(self._write, lambda tx: use_case(tx, *args, **kwargs)))

    def write_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write_now``."""
        return self._start(self._write, lambda tx: use_case(tx, *args, **kwargs)).result()

    async def probe(self) -> None:
        """See ``Database.probe``."""
        await self.write(_touch)

    def close(self) -> None:
        """See ``Database.close``. Whoever comes later gets ``Unavailable``."""
        self._is_closed = True
        self._threads.shutdown(wait=True)
        self._drop_idle()

    # --- Threads ---------------------------------------------------------------------------------------------

    def _start(self, run: Callable[[_Call[Answer], float], Answer], call: _Call[Answer]) -> "Future[Answer]":
        future: Future[Answer] = Future()
        # Once queued a use case runs whatever its caller does; this keeps a cancellation from tearing the future.
        future.set_running_or_notify_cancel()
        deadline = time.monotonic() + CALL_SECONDS
        try:
            self._threads.submit(_resolve, future, run, call, deadline)
        except RuntimeError:
            raise _unavailable("it is closed") from None
        return future

    async def _wait(self, future: "Future[Answer]") -> Answer:
        try:
            async with asyncio.timeout(CALL_SECONDS + GRACE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise _unavailable("it does not answer") from None

    # --- Transactions ----------------------------------------------------------------------------------------

    def _read(self, call: _Call[Answer], deadline: float) -> Answer:
        session = self._begin(_BEGIN_READ, deadline)
        try:
            result = call(self._transaction(session, self._manifests))
            session.rollback()
        except psycopg.Error as error:
            raise _explain(error) from error
        finally:
            self._give_back(session)
        return result

    def _write(self, call: _Call[Answer], deadline: float) -> Answer:
        """Run a use case until no other transaction is in its way, at most ``MAX_RERUNS`` times again."""
        for attempt in range(1 + MAX_RERUNS):
            try:
                return self._attempt(call, _BEGIN_ALONE if attempt >= ALONE_FROM else _BEGIN_WRITE, deadline)
            except _Conflict as conflict:
                cause = conflict.__cause__
                time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - spreads those that collided
        if isinstance(cause, psycopg.IntegrityError):
            raise cause
        raise _unavailable("others were in the way each time") from cause

    def _attempt(self, call: _Call[Answer], begin: str, deadline: float) -> Answer:
        session = self._begin(begin, deadline)
        try:
            # What a transaction reads may yet be rolled back: it keeps nothing for others.
            result = call(self._transaction(session, ManifestCache(limit=0)))
            session.commit()
        except OutcomeUnknown as error:
            _log.error("commit_unanswered", error=str(error))
            raise _unavailable("it did not say whether it committed") from error
        except psycopg.Error as error:
            if is_conflict(error):
                raise _Conflict from error
            raise _explain(error) from error
        finally:
            self._give_back(session)
        return result

    def _transaction(self, session: Session, manifests: ManifestCache) -> Transaction:
        return Transaction(session, _DIALECT, self._settings, manifests, self._clock())

    # --- Connections -----------------------------------------------------------------------------------------

    def _begin(self, statements: str, deadline: float) -> Session:
        """A session with an open transaction. Raises ``Unavailable``."""
        while True:
            session, was_idle = self._take(deadline)
            try:
                session.begin(statements, deadline)
            except psycopg.Error as error:
                is_dead = session.is_lost
                session.close()
                if not (was_idle and is_dead):
                    raise _explain(error) from error
                # It died while nobody used it, and with it most likely the others.
                self._drop_idle()
            else:
                return session

    def _take(self, deadline: float) -> tuple[Session, bool]:
        """The session that was used last, or a new one; and whether it was there already."""
        if time.monotonic() >= deadline:
            raise _unavailable("it does not answer in time")
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._connect(deadline), False

    def _connect(self, deadline: float) -> Session:
        if time.monotonic() < self._connect_after:
            raise _unavailable("it cannot be reached")
        try:
            return Session(self._url, deadline)
        except (PostgresqlRefused, PostgresqlTooOld, psycopg.Error) as error:
            self._connect_after = time.monotonic() + PAUSE_SECONDS
            _log.error("database_unreachable", error=str(error))
            raise _unavailable("it cannot be reached") from error

    def _give_back(self, session: Session) -> None:
        if session.settle():
            self._idle.append(session)

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _resolve(
    future: "Future[Answer]",
    run: Callable[[_Call[Answer], float], Answer],
    call: _Call[Answer],
    deadline: float,
) -> None:
    try:
        result = run(call, deadline)
    except BaseException as refusal:  # noqa: BLE001 - the caller must hear of it, whatever it is
        future.set_exception(refusal)
    else:
        future.set_result(result)


def _touch(tx: Transaction) -> None:
    # Part of the write-ahead log, so the commit waits for the disk, and nothing else changes.
    tx.run(Statement(select(func.pg_logical_emit_message(True, "moorage", "probe"))))


def _explain(error: psycopg.Error) -> Exception:
    """The error itself when a statement was wrong, else ``Unavailable``, which tells clients nothing of the server."""
    if not is_trouble(error):
        return error
    _log.error("database_failed", error=str(error), sqlstate=error.sqlstate)
    return _unavailable(f"it failed ({error.sqlstate or 'connection lost'})")


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(what=f"the metadata database: {reason}")
