"""One connection to PostgreSQL on which no wait is without end, and what its failures mean.

The server is told to give up on statements, locks and idle transactions of ours, and we stop waiting for the server
by a deadline of our own: a machine that is gone or frozen answers nothing at all.
"""

import math
import time
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from moorage.metadata.postgresql_refusals import PostgresqlRefused, PostgresqlTooOld
from moorage.metadata.transaction import Cursor

#: The oldest major version that is tested.
OLDEST_POSTGRESQL = 15

#: Seconds for a new connection; libpq takes no less.
CONNECT_SECONDS = 2

#: Milliseconds after which the server gives up on a statement, or on a lock that it waits for.
STATEMENT_MILLISECONDS = 3000

#: Milliseconds after which the server ends a transaction whose process was stopped: others wait for its locks.
IDLE_TRANSACTION_MILLISECONDS = 10_000

#: Statements that a session keeps prepared; more than there are.
MAX_PREPARED = 500

_DEFAULTS: dict[str, Any] = {
    "application_name": "moorage",
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 4000,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "client_encoding": "UTF8",
}

#: Never less durable than a plain server: a database or role may have been told not to wait for its disk.
#: Every statement finds its rows by an index, whatever its parameters: it is planned once for a connection and not
#: five times. A small table read whole instead would be a conflict with all who write to it.
_SET_UP = f"""
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET statement_timeout = {STATEMENT_MILLISECONDS};
    SET lock_timeout = {STATEMENT_MILLISECONDS};
    SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_MILLISECONDS};
    SET client_min_messages = warning;
    SET enable_seqscan = off;
    SET plan_cache_mode = force_generic_plan
"""


#: Classes of errors after which a connection is of no use: it broke, or an operator ended it.
_LOST = ("08", "57")


#: A table or a right to it that is gone: our statements are always the same.
_CHANGED_BY_OTHERS = {"42P01", "42501"}


_SAVE = b"SAVEPOINT use_case"
_SAVE_AGAIN = b"RELEASE SAVEPOINT use_case; SAVEPOINT use_case"


class OutcomeUnknown(Exception):
    """Whether a COMMIT took effect cannot be told: its answer did not come, or came with a warning."""


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for its server until ``deadline``, in seconds of ``time.monotonic``."""

    deadline = math.inf

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """See psycopg. Raises ``psycopg.OperationalError`` when the deadline passes."""
        left = self.deadline - time.monotonic()
        if left < math.inf:
            timeout = max(0.0, left if timeout is None else min(left, timeout))
        return super().wait(gen, interval, timeout)


def conninfo(url: str) -> str:
    """What libpq is given: the URL, with our bounds where it names none. Raises ``ValueError`` without the URL."""
    try:
        return make_conninfo("", **(_DEFAULTS | conninfo_to_dict(url)))
    except psycopg.Error:
        raise ValueError("a URL like postgresql://user@host:5432/database is needed") from None


def connect(url: str) -> BoundedConnection:
    """A connection in autocommit mode, to a server that is new enough.

    Raises ``PostgresqlRefused``, ``PostgresqlTooOld``, ``ValueError``.
    """
    try:
        connection = BoundedConnection.connect(conninfo(url), autocommit=True, prepare_threshold=0)
    except psycopg.Error as error:
        raise PostgresqlRefused(one_line(error)) from None
    version = connection.info.server_version
    if version < OLDEST_POSTGRESQL * 10_000:
        connection.close()
        raise PostgresqlTooOld(
            f"PostgreSQL {version // 10_000} is too old: {OLDEST_POSTGRESQL} is the oldest that works"
        )
    connection.prepared_max = MAX_PREPARED
    # One type for every whole number, so that a statement is prepared once and not for each size of a number.
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    return connection


def describe(url: str) -> str:
    """Which database the URL names, in words and without the password."""
    facts = conninfo_to_dict(url)
    return f"database {facts.get('dbname', 'of the default name')} at {facts.get('host', 'this machine')}"


def find_careless(url: str) -> str:
    """The server's setting by which a power cut may lose what was committed, empty when there is none."""
    with connect(url) as connection:
        row = connection.execute(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' LIMIT 1"
        ).fetchone()
    return str(row[0]) if row else ""


def one_line(error: BaseException) -> str:
    """What the server or its driver said."""
    return " ".join(str(error).split())


class Session:
    """A connection for one transaction at a time."""

    def __init__(self, url: str, deadline: float) -> None:
        """Connect. Raises ``PostgresqlRefused``, ``PostgresqlTooOld``, ``psycopg.Error``."""
        self._connection = connect(url)
        self._connection.deadline = deadline
        self._connection.add_notice_handler(self._note)
        self._cursor = self._connection.cursor(binary=True)
        self._warnings: list[str] = []
        self._is_saved = False
        try:
            self._connection.execute(_SET_UP, prepare=False)
        except psycopg.Error:
            self.close()
            raise

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        self._warnings.append(notice.message_primary or "")

    def begin(self, statements: str, deadline: float) -> None:
        """Begin a transaction, none of whose waits goes beyond the deadline. Raises ``psycopg.Error``."""
        self._connection.deadline = deadline
        self._is_saved = False
        self._connection.execute(statements.encode(), prepare=False)

    def execute(self, sql: str, parameters: Any = None, /) -> Cursor:
        """Run one statement with named parameters; its rows are there until the next one."""
        cursor: Any = self._cursor.execute(sql.encode(), parameters)
        return cursor  # type: ignore[no-any-return]

    def save(self) -> None:
        """From here on ``undo`` leaves alone what was done. Raises ``psycopg.Error``."""
        self._connection.execute(_SAVE_AGAIN if self._is_saved else _SAVE, prepare=False)
        self._is_saved = True

    def undo(self) -> None:
        """Go back to where ``save`` was called last. Raises ``psycopg.Error``."""
        self._take_back(b"ROLLBACK TO SAVEPOINT use_case")

    def commit(self) -> None:
        """Make the transaction durable.

        Raises ``OutcomeUnknown``, or ``psycopg.Error`` when the server said that it rolled back.
        """
        if time.monotonic() >= self._connection.deadline:
            raise psycopg.errors.QueryCanceled("no time is left to commit")
        self._warnings.clear()
        try:
            outcome = self._connection.execute(b"COMMIT", prepare=False)
        except psycopg.Error as error:
            if self.is_lost or error.sqlstate is None or error.sqlstate.startswith(_LOST):
                raise OutcomeUnknown(one_line(error)) from error
            raise
        if outcome.statusmessage != "COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("the transaction had failed before it was committed")
        if self._warnings:
            # Committed here, but a wait for a replica was broken off: not what was promised.
            raise OutcomeUnknown("; ".join(self._warnings))

    def rollback(self) -> None:
        """Undo the transaction. Raises ``psycopg.Error``."""
        self._take_back(b"ROLLBACK")

    def end_read(self) -> None:
        """End a transaction that changed nothing. Raises ``psycopg.Error``."""
        self._connection.execute(b"COMMIT", prepare=False)

    def _take_back(self, command: bytes) -> None:
        # Not by ``execute``: psycopg would forget every prepared statement, since a table may be gone, and prepare
        # all of them again. Our transactions make and drop no tables.
        self._connection.pgconn.send_query(command)
        for result in self._connection.wait(generators.execute(self._connection.pgconn)):
            if result.status != ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)

    @property
    def is_lost(self) -> bool:
        """Whether the server or the way to it has ended the connection."""
        return self._connection.closed

    def settle(self) -> bool:
        """Undo what is open; returns whether the session can serve another transaction, and lets go of it if not."""
        try:
            if self._status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                self.rollback()
        except psycopg.Error:
            self.close()
        # One that still waits for an answer would give it to the next transaction.
        if self._status != TransactionStatus.IDLE:
            self.close()
        return not self.is_lost

    @property
    def _status(self) -> TransactionStatus:
        return self._connection.info.transaction_status

    def close(self) -> None:
        """Let go of the connection; the server undoes what was not committed."""
        self._connection.close()


def is_conflict(error: psycopg.Error) -> bool:
    """Whether another transaction was in the way, so that the same again may succeed.

    A broken constraint may be such a conflict too: of two that make the same row after looking for it, the later
    one may be told of the row before it is told that it looked too early (PostgreSQL, "Serialization Failure
    Handling").
    """
    state = error.sqlstate or ""
    return state in {"40001", "40P01"} or state.startswith("23")


def is_trouble(error: psycopg.Error) -> bool:
    """Whether it is the server or the way to it that failed, and not the statement that was wrong."""
    failures = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
    return isinstance(error, failures) or error.sqlstate in _CHANGED_BY_OTHERS
