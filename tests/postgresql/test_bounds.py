"""Nothing on PostgreSQL is waited for without end, and not too much waits."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest

from moorage import wiring
from moorage.config import Settings
from moorage.domain.errors import TooManyRequests, Unavailable
from moorage.metadata import accounts, migrate_postgresql, postgresql, postgresql_calls, postgresql_session
from moorage.metadata.postgresql import PostgresqlDatabase
from moorage.metadata.postgresql_calls import MOST_WAITING, Call, Threads
from moorage.metadata.postgresql_refusals import PostgresqlBusy, PostgresqlRefused
from moorage.metadata.transaction import Transaction
from tests.postgresql.server import Server
from tests.postgresql.test_servers import settings

#: Far beyond what is waited for; a test that waits so long fails.
NEVER = 30


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waits end soon."""
    for module in (postgresql, postgresql_calls):
        monkeypatch.setattr(module, "CALL_SECONDS", 1.0)
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(migrate_postgresql, "LOCK_SECONDS", 0.5)
    monkeypatch.setattr(migrate_postgresql, "_ANSWER_SECONDS", 2.0)


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """What a use case that stands still waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", ["read_now", "write_now"])
def test_a_thread_that_does_not_come_back_is_not_waited_for(
    url: str, go_on: threading.Event, kind: str
) -> None:
    """Neither by its caller, nor by who closes the database."""
    database = PostgresqlDatabase(url, Settings())
    assert not database.read_now(accounts.has_account, "1")

    def stand_still(_tx: Transaction) -> bool:
        return go_on.wait(NEVER)

    with pytest.raises(Unavailable, match="it does not answer"):
        getattr(database, kind)(stand_still)
    database.close()
    threads = database._readers._threads + database._writer._threads
    assert sum(thread.is_alive() for thread in threads) == 1
    go_on.set()
    for thread in threads:
        thread.join(NEVER)
    assert not any(thread.is_alive() for thread in threads)
    assert not database._idle, "the connection that was given back too late is open"


def test_whoever_comes_after_the_end_is_refused(url: str) -> None:
    """At once, and without a connection."""
    database = PostgresqlDatabase(url, Settings())
    database.close()
    for refused in (database.read_now, database.write_now):
        with pytest.raises(Unavailable, match="it is closed"):
            refused(accounts.has_account, "1")


def test_no_more_than_1024_calls_wait_for_a_thread(go_on: threading.Event) -> None:
    """One more is turned away; those that wait are served in their order, and then others may come."""
    begun = threading.Event()
    served: list[Call] = []

    def serve(group: list[Call]) -> None:
        begun.set()
        go_on.wait(NEVER)
        for call in group:
            served.append(call)
            call.resolve()

    threads = Threads("of-a-test", 1, serve)
    held = threads.put(lambda tx: None)
    assert begun.wait(NEVER)
    waiting: list[Future[None]] = [threads.put(lambda tx: None) for _ in range(1024)]
    assert len(waiting) == MOST_WAITING
    with pytest.raises(TooManyRequests):
        threads.put(lambda tx: None)
    go_on.set()
    for future in (held, *waiting):
        future.result(NEVER)
    assert [call.future for call in served] == [held, *waiting]
    threads.put(lambda tx: None).result(NEVER)
    threads.close()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("lock", [migrate_postgresql._LOCK, migrate_postgresql._LOCK + 1])
def test_a_start_does_not_wait_for_a_stopped_one_without_end(url: str, tmp_path: Path, lock: int) -> None:
    """It ends with a sentence that says what to do; a migration too. When the lock is free both work."""
    attempts: dict[int, Callable[[], object]] = {
        migrate_postgresql._LOCK: lambda: migrate_postgresql.migrate_postgresql(url),
        migrate_postgresql._LOCK + 1: lambda: wiring.prepare(settings(url, tmp_path)),
    }
    with psycopg.connect(url, autocommit=True) as stopped:
        stopped.execute("SELECT pg_advisory_lock(%s)", (lock,))
        with pytest.raises(PostgresqlBusy, match=r"pg_terminate_backend\(pid\) ends it") as refusal:
            attempts[lock]()
        assert "hush-hush" not in str(refusal.value)
    attempts[lock]()


@pytest.mark.usefixtures("short")
def test_a_start_on_a_frozen_server_ends(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the server froze after it took the connection."""
    frozen: list[object] = []

    def connect_and_freeze(url: str) -> object:
        connection = postgresql_session.connect(url)
        server.freeze()
        frozen.append(connection)
        return connection

    monkeypatch.setattr(migrate_postgresql, "connect", connect_and_freeze)
    try:
        with pytest.raises(PostgresqlRefused), migrate_postgresql.preparing(url):
            raise AssertionError("the lock was not given")
    finally:
        server.thaw()
    assert len(frozen) == 1


@pytest.mark.usefixtures("short")
def test_what_the_advice_names_is_the_process_that_holds_the_lock(url: str) -> None:
    """Ending it as the sentence says lets the next one in."""
    with psycopg.connect(url, autocommit=True) as stopped:
        stopped.execute("SELECT pg_advisory_lock(%s)", (migrate_postgresql._LOCK + 1,))
        with pytest.raises(PostgresqlBusy) as refusal, migrate_postgresql.preparing(url):
            raise AssertionError("the lock was not given")
        advice = str(refusal.value)
        question = advice[advice.index("SELECT pid") : advice.index(" names its connection")]
        with psycopg.connect(url, autocommit=True) as administrator:
            [(process_id,)] = administrator.execute(question.encode()).fetchall()
            administrator.execute("SELECT pg_terminate_backend(%s)", (process_id,))
        assert process_id == stopped.info.backend_pid
    with migrate_postgresql.preparing(url):
        pass
