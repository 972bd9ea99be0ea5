"""What a use case meets on PostgreSQL: others in its way, a server that goes, an answer that is lost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata import accounts, postgresql_refusals, postgresql_session
from moorage.metadata.postgresql import MAX_RERUNS, PostgresqlDatabase
from moorage.metadata.transaction import Transaction
from tests.postgresql.relay import Relay
from tests.postgresql.server import Server

Opener = Callable[..., PostgresqlDatabase]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens databases that are closed at the end."""
    made: list[PostgresqlDatabase] = []

    def build(url: str) -> PostgresqlDatabase:
        made.append(PostgresqlDatabase(url, Settings()))
        return made[-1]

    yield build
    for database in made:
        database.close()


def add(tx: Transaction, account_id: str) -> None:
    """The smallest change."""
    accounts.ensure_account(tx, account_id)


class Counted:
    """A use case that counts how often it ran."""

    def __init__(self, during: Callable[[], None] = lambda: None) -> None:
        self.runs = 0
        self._during = during

    def __call__(self, tx: Transaction) -> None:
        """Add account ``1``, after ``during``."""
        self.runs += 1
        accounts.has_account(tx, "1")
        self._during()
        accounts.ensure_account(tx, "1")


def test_a_use_case_is_run_again_when_another_was_in_its_way(url: str, opened: Opener) -> None:
    """It then sees what the other did."""
    database, other = opened(url), opened(url)
    counted = Counted()
    counted._during = lambda: other.write_now(add, "1") if counted.runs == 1 else None
    database.write_now(counted)
    assert counted.runs == 2


def test_who_lost_once_runs_alone(url: str, opened: Opener) -> None:
    """The second time nobody can be in the way: those who would be have to wait."""
    database, other = opened(url), opened(url)
    waiting: list[threading.Thread] = []

    def disturb() -> None:
        name = threading.Thread(target=other.write_now, args=(add, "1"))
        name.start()
        if counted.runs == 1:
            name.join()
            other.write_now(lambda tx: tx._connection.execute("DELETE FROM account"))
        else:
            name.join(0.3)
            assert name.is_alive()
            waiting.append(name)

    counted = Counted(disturb)
    database.write_now(counted)
    assert counted.runs == 2
    for thread in waiting:
        thread.join()


def test_a_use_case_that_always_fails_is_not_run_for_ever(url: str, opened: Opener) -> None:
    """Whatever the server says: at most five times again, then it is unavailable."""
    database = opened(url)

    def fail() -> None:
        raise psycopg.errors.SerializationFailure("could not serialize access")

    counted = Counted(fail)
    with pytest.raises(Unavailable):
        database.write_now(counted)
    assert counted.runs <= 1 + MAX_RERUNS


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_commit_without_an_answer_is_neither_acknowledged_nor_repeated(
    url: str, opened: Opener, *, is_heard: bool
) -> None:
    """The client is told to try again; what the server did, it did once."""
    relay = Relay(url, b"COMMIT", is_heard=is_heard)
    database = opened(relay.url)
    database.read_now(accounts.has_keys)
    relay.is_armed = True
    counted = Counted()
    with pytest.raises(Unavailable):
        database.write_now(counted)
    assert counted.runs == 1
    direct = opened(url)
    for _ in range(1000):
        if direct.read_now(accounts.has_account, "1") == is_heard:
            break
    assert direct.read_now(accounts.has_account, "1") == is_heard
    database.write_now(counted)
    assert direct.read_now(accounts.has_account, "1")
    database.close()
    relay.close()


def test_connections_that_died_in_the_pool_are_replaced(server: Server, url: str, opened: Opener) -> None:
    """Nobody hears of a restart that happened between two calls."""
    database = opened(url)
    database.write_now(add, "1")
    server.stop()
    server.start()
    database.write_now(add, "2")
    assert database.read_now(accounts.has_account, "1")


def test_a_server_that_is_stopped_is_unavailable(server: Server, url: str, opened: Opener) -> None:
    """Reads and writes alike, and both work when it is back."""
    database = opened(url)
    database.write_now(add, "1")
    server.stop()
    try:
        with pytest.raises(Unavailable):
            database.write_now(add, "2")
        with pytest.raises(Unavailable):
            database.read_now(accounts.has_account, "1")
    finally:
        server.start()
    _until_works(lambda: database.write_now(add, "2"))
    assert database.read_now(accounts.has_account, "2")


def test_a_frozen_server_is_unavailable(server: Server, url: str, opened: Opener) -> None:
    """Its machine still takes what is sent, but nothing comes back."""
    database = opened(url)
    database.write_now(add, "1")
    server.freeze()
    try:
        with pytest.raises(Unavailable):
            database.write_now(add, "2")
        with pytest.raises(Unavailable):
            database.read_now(accounts.has_account, "1")
    finally:
        server.thaw()
    _until_works(lambda: database.write_now(add, "2"))


def _until_works(call: Callable[[], Any]) -> None:
    """Within ten seconds, by itself."""
    for _ in range(100):
        try:
            call()
        except Unavailable:
            threading.Event().wait(0.1)
        else:
            return
    call()


def test_a_lock_that_somebody_holds_is_not_waited_for_without_end(url: str, opened: Opener) -> None:
    """An administrator's open transaction makes writes unavailable, not stuck; reads go on."""
    database = opened(url)
    with psycopg.connect(url) as administrator:
        administrator.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            database.write_now(add, "1")
        assert database.read_now(lambda tx: tx.now)
    database.write_now(add, "1")


def test_nothing_is_lost_when_the_server_crashes_under_writers(
    server: Server, url: str, opened: Opener
) -> None:
    """Every write that was acknowledged is there, and each only once."""
    database = opened(url)
    acknowledged: list[str] = []
    stop = threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"{writer}-{number}"
            try:
                database.write_now(add, name)
            except Unavailable:
                stop.wait(0.05)
            else:
                acknowledged.append(name)
                number += 1

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(acknowledged)
        while len(acknowledged) < before + 50:
            stop.wait(0.01)
        server.stop()
        server.start()
    stop.set()
    for thread in threads:
        thread.join()
    there = {row[0] for row in _rows(url, "SELECT id FROM account")}
    assert set(acknowledged) <= there
    # Beyond them only those whose answer was lost: of each writer one a crash.
    assert len(there) <= len(acknowledged) + 4 * 3


def _rows(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


def test_a_server_told_not_to_wait_for_its_disk_waits_for_ours(url: str, opened: Opener) -> None:
    """``synchronous_commit`` may be off for the database; an answer still means durable."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    database = opened(url)
    shown: list[Any] = []
    database.write_now(lambda tx: shown.append(tx._connection.execute("SHOW synchronous_commit").fetchone()))
    assert shown == [("on",)]


def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its version, in a sentence."""
    monkeypatch.setattr(postgresql_session, "OLDEST_POSTGRESQL", 99)
    with pytest.raises(postgresql_refusals.PostgresqlTooOld, match="99 is the oldest that works"):
        postgresql_session.connect(url)


def test_statements_stay_prepared_whatever_becomes_of_a_use_case(url: str, opened: Opener) -> None:
    """A read that ends, and a change that is refused, cost the next one nothing."""
    database = opened(url)

    def refuse(tx: Transaction) -> None:
        add(tx, "1")
        raise Unavailable(what="a test")

    def prepared(tx: Transaction) -> int:
        accounts.has_account(tx, "1")
        rows = tx._connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
        return len([name for (name,) in rows if name != ""])

    before = database.write_now(prepared)
    with pytest.raises(Unavailable, match="a test"):
        database.write_now(refuse)
    database.read_now(accounts.has_account, "1")
    assert database.write_now(prepared) > before > 0


def test_of_those_that_are_committed_together_a_refused_one_changes_nothing(url: str, opened: Opener) -> None:
    """The others are there, before it and after it."""
    database = opened(url)
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        go_on.wait(2)

    def refuse(tx: Transaction) -> None:
        add(tx, "refused")
        raise Unavailable(what="a test")

    with ThreadPoolExecutor(8) as callers:
        held = callers.submit(database.write_now, hold)
        begun.wait(2)
        others = [callers.submit(database.write_now, add, str(number)) for number in range(3)]
        refused = callers.submit(database.write_now, refuse)
        others += [callers.submit(database.write_now, add, str(number)) for number in range(3, 6)]
        while database._writer._queue.qsize() < 7:
            go_on.wait(0.01)
        go_on.set()
        for other in (held, *others):
            other.result()
        assert isinstance(refused.exception(), Unavailable)
    assert {row[0] for row in _rows(url, "SELECT id FROM account")} == set("012345")
