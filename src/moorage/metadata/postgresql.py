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
from concurrent.futures import Future
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql.psycopg import dialect as postgresql_dialect

from moorage.config import Settings
from moorage.metadata.database import Arguments, Result, UseCase
from moorage.metadata.manifest_cache import ManifestCache
from moorage.metadata.policy_cache import PolicyCache
from moorage.metadata.postgresql_calls import CALL_SECONDS, GRACE_SECONDS, Call, Threads, unavailable
from moorage.metadata.postgresql_refusals import PostgresqlRefused, PostgresqlTooOld
from moorage.metadata.postgresql_session import OutcomeUnknown, Session, is_conflict, is_trouble
from moorage.metadata.queries import Statement
from moorage.metadata.sqlite import microseconds
from moorage.metadata.transaction import Transaction

#: Threads of one process that read, and one more that writes; with them its connections at most.
THREADS = 8

#: Use cases that one commit may carry. PostgreSQL keeps the savepoints of a transaction at hand up to 64.
MAX_GROUP = 32

#: How often use cases are run again when others were in their way.
MAX_RERUNS = 5

#: Seconds after a conflict, or after a group of several, in which each group runs while no other write does.
CROWDED_SECONDS = 1.0

#: Seconds without a further attempt to connect after one that failed.
PAUSE_SECONDS = 0.5

# Every writer holds a weak lock on the table that Alembic keeps the revision in; who writes in a crowd takes a strong
# one, and so runs alone. LOCK TABLE takes no snapshot: the wait comes before what is read.
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN ROW EXCLUSIVE MODE"
_BEGIN_ALONE = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE"

_DIALECT = postgresql_dialect()  # type: ignore[no-untyped-call]
_log = structlog.get_logger()

Answer = TypeVar("Answer")


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
        self._policies = PolicyCache()
        self._idle: deque[Session] = deque()
        self._is_closed = False
        self._connect_after = 0.0
        self._crowded_until = 0.0
        self._readers = Threads("metadata-reader", THREADS, self._serve_read)
        self._writer = Threads("metadata-writer", 1, self._serve_writes, most=MAX_GROUP)

    # --- The port --------------------------------------------------------------------------------------------

    async def read(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.read``. Raises ``TooManyRequests`` too, when too many wait already."""
        return await _wait(self._readers.put(lambda tx: use_case(tx, *args, **kwargs)))

    def read_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.read_now``."""
        return _wait_here(self._readers.put(lambda tx: use_case(tx, *args, **kwargs)))

    def mark(self) -> bytes | None:
        """See ``Database.mark``. It would take a question over the network, which is as dear as reading."""
        return None

    async def write(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write``. A caller that is cancelled does not undo what is already queued.

        Raises ``TooManyRequests`` too, when too many wait already.
        """
        return await _wait(self._writer.put(lambda tx: use_case(tx, *args, **kwargs)))

    def write_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """See ``Database.write_now``."""
        return _wait_here(self._writer.put(lambda tx: use_case(tx, *args, **kwargs)))

    async def probe(self) -> None:
        """See ``Database.probe``."""
        await self.write(_touch)

    def close(self) -> None:
        """See ``Database.close``. Whoever comes later gets ``Unavailable``; a thread that is stuck is left behind."""
        self._writer.close()
        self._readers.close()
        self._is_closed = True
        self._drop_idle()

    # --- Reads -----------------------------------------------------------------------------------------------

    def _serve_read(self, group: list[Call]) -> None:
        for call in group:
            try:
                call.outcome = self._read(call)
            except BaseException as refusal:  # noqa: BLE001 - the caller must hear of it, whatever it is
                call.refusal = refusal
            call.resolve()

    def _read(self, call: Call) -> object:
        session = self._begin(_BEGIN_READ, call.deadline)
        try:
            result: object = call.use_case(self._transaction(session, self._manifests, self._policies))
            session.end_read()
        except psycopg.Error as error:
            raise _explain(error) from error
        finally:
            self._give_back(session)
        return result

    # --- Writes ----------------------------------------------------------------------------------------------

    def _serve_writes(self, group: list[Call]) -> None:
        wanted, cause = group, None
        try:
            for attempt in range(1 + MAX_RERUNS):
                wanted = _in_time(wanted)
                try:
                    self._attempt(wanted, is_alone=self._is_crowded(wanted))
                except _Conflict as conflict:
                    cause = conflict.__cause__
                    self._crowded_until = time.monotonic() + CROWDED_SECONDS
                    time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - spreads those that collided
                else:
                    return
            error = _given_up(cause)
        except BaseException as refusal:  # noqa: BLE001 - the callers must hear of it, whatever it is
            error = refusal
        for call in wanted:
            call.fail(error)

    def _is_crowded(self, group: list[Call]) -> bool:
        """Whether others would most likely be in the way.

        Who looks for what is not there is in the way of all who write near it: the server remembers the page of the
        index, and a small table has only one.
        """
        now = time.monotonic()
        if len(group) > 1:
            self._crowded_until = now + CROWDED_SECONDS
        return now < self._crowded_until

    def _attempt(self, group: list[Call], *, is_alone: bool) -> None:
        """Run a group in one transaction, and tell their callers. Raises what kept all of it from being committed."""
        if not group:
            return
        session = self._begin(_BEGIN_ALONE if is_alone else _BEGIN_WRITE, max(call.deadline for call in group))
        try:
            for call in group:
                self._run(session, call, has_company=len(group) > 1)
            session.commit()
        except OutcomeUnknown as error:
            _log.error("commit_unanswered", error=str(error))
            raise unavailable("it did not say whether it committed") from error
        except psycopg.Error as error:
            if is_conflict(error):
                raise _Conflict from error
            raise _explain(error) from error
        finally:
            self._give_back(session)
        for call in group:
            call.resolve()

    def _run(self, session: Session, call: Call, *, has_company: bool) -> None:
        """Run one use case of a group; its refusal undoes its own changes alone."""
        if has_company:
            session.save()
        # What a transaction reads may yet be rolled back: it keeps nothing for others.
        transaction = self._transaction(session, ManifestCache(limit=0), self._policies.without_keeping())
        call.refusal = None
        try:
            call.outcome = call.use_case(transaction)
        except BaseException as refusal:
            # With the server in trouble, or another in the way, nothing of this group may be committed.
            if not has_company or (isinstance(refusal, psycopg.Error) and is_trouble(refusal)):
                raise
            session.undo()
            call.refusal = refusal

    def _transaction(self, session: Session, manifests: ManifestCache, policies: PolicyCache) -> Transaction:
        return Transaction(session, _DIALECT, self._settings, manifests, policies, self._clock())

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
            raise unavailable("it does not answer in time")
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._connect(deadline), False

    def _connect(self, deadline: float) -> Session:
        if time.monotonic() < self._connect_after:
            raise unavailable("it cannot be reached")
        try:
            return Session(self._url, deadline)
        except (PostgresqlRefused, PostgresqlTooOld, psycopg.Error) as error:
            self._connect_after = time.monotonic() + PAUSE_SECONDS
            _log.error("database_unreachable", error=str(error))
            raise unavailable("it cannot be reached") from error

    def _give_back(self, session: Session) -> None:
        if session.settle():
            self._idle.append(session)
        # A thread that was left behind may come back after the others' connections went.
        if self._is_closed:
            self._drop_idle()

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


async def _wait(future: "Future[Answer]") -> Answer:
    try:
        async with asyncio.timeout(CALL_SECONDS + GRACE_SECONDS):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise unavailable("it does not answer") from None


def _wait_here(future: "Future[Answer]") -> Answer:
    try:
        return future.result(CALL_SECONDS + GRACE_SECONDS)
    except TimeoutError:
        raise unavailable("it does not answer") from None


def _given_up(cause: BaseException | None) -> BaseException:
    """What becomes of those that others were in the way of each time; a constraint may have been broken for good."""
    if isinstance(cause, psycopg.IntegrityError):
        return cause
    error = unavailable("others were in the way each time")
    error.__cause__ = cause
    return error


def _in_time(group: list[Call]) -> list[Call]:
    """Those whose callers still wait; the others are refused."""
    now = time.monotonic()
    for call in group:
        if call.deadline <= now:
            call.fail(unavailable("it does not answer in time"))
    return [call for call in group if call.deadline > now]


def _touch(tx: Transaction) -> None:
    # Part of the write-ahead log, so the commit waits for the disk, and nothing else changes.
    tx.run(Statement(select(func.pg_logical_emit_message(True, "moorage", "probe"))))


def _explain(error: psycopg.Error) -> Exception:
    """The error itself when a statement was wrong, else ``Unavailable``, which tells clients nothing of the server."""
    if not is_trouble(error):
        return error
    _log.error("database_failed", error=str(error), sqlstate=error.sqlstate)
    return unavailable(f"it failed ({error.sqlstate or 'connection lost'})")
