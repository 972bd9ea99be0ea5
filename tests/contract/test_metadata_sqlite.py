"""What SQLite promises to use cases: all or nothing, at once visible, and never an answer that was not meant."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysqlite3
import pytest

from moorage.config import Settings
from moorage.domain.errors import RepositoryNotFound, TooManyRequests, Unavailable
from moorage.metadata import accounts, images, sqlite
from moorage.metadata.sqlite import SqliteDatabase, SqliteTooOld, connect
from moorage.metadata.transaction import Transaction, one_statement
from tests.support.database import START, Clock, Pause, fresh_file, fresh_sqlite

IDS = [f"{number:012}" for number in range(200)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A database whose clock stands."""
    database = fresh_sqlite(Settings(data_dir=tmp_path), clock=Clock())
    yield database
    database.close()


def add(tx: Transaction, account_id: str) -> None:
    """The smallest change."""
    accounts.ensure_account(tx, account_id)


def add_and_refuse(tx: Transaction, account_id: str) -> None:
    """A use case that changes its mind."""
    add(tx, account_id)
    raise RepositoryNotFound(repository_name="x", registry_id=account_id)


def has(tx: Transaction, account_id: str) -> bool:
    """Whether ``add`` was committed."""
    return accounts.has_account(tx, account_id)


async def write_together(database: SqliteDatabase, *calls: Any) -> list[Any]:
    """Write as one group; exceptions are among the results."""
    pause = Pause(database)
    tasks = [asyncio.ensure_future(database.write(*call)) for call in calls]
    await asyncio.sleep(0)
    pause.end()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_a_write_is_visible_to_the_next_read(database: SqliteDatabase) -> None:
    """A read after an acknowledged write sees it."""
    database.write_now(add, IDS[0])
    assert database.read_now(has, IDS[0])


def test_a_refused_use_case_changes_nothing(database: SqliteDatabase) -> None:
    """What it did before it refused is undone."""
    with pytest.raises(RepositoryNotFound):
        database.write_now(add_and_refuse, IDS[0])
    assert not database.read_now(has, IDS[0])


def test_more_writes_than_may_wait_are_refused_at_once(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before them are not; and readiness, which writes as well, stays true."""
    monkeypatch.setattr(sqlite, "MOST_WAITING", 3)

    async def play() -> list[Any]:
        pause = Pause(database)
        tasks = [asyncio.ensure_future(database.write(add, each)) for each in IDS[:5]]
        tasks.append(asyncio.ensure_future(database.probe()))
        await asyncio.sleep(0)
        pause.end()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = [type(result) for result in asyncio.run(play())]
    assert results == [type(None)] * 3 + [TooManyRequests] * 2 + [type(None)]
    assert [database.read_now(has, each) for each in IDS[:5]] == [True] * 3 + [False] * 2


def test_a_refusal_does_not_undo_others_of_its_group(database: SqliteDatabase) -> None:
    """Each use case of a group commit stands for itself."""
    calls = [(add, IDS[0]), (add_and_refuse, IDS[1]), (add, IDS[2])]
    results = asyncio.run(write_together(database, *calls))
    assert [type(result) for result in results] == [type(None), RepositoryNotFound, type(None)]
    assert [database.read_now(has, each) for each in IDS[:3]] == [True, False, True]


def test_a_broken_constraint_belongs_to_its_caller(database: SqliteDatabase) -> None:
    """A statement that was wrong undoes its own use case alone, and is not called an outage."""

    def add_twice(tx: Transaction) -> None:
        add(tx, IDS[1])
        accounts.add_key(tx, "AKIA", principal_id=404, sealed_secret=b"")

    calls: list[Any] = [(add, IDS[0]), (add_twice,)]
    results = asyncio.run(write_together(database, *calls))
    assert [type(result) for result in results] == [type(None), pysqlite3.IntegrityError]
    assert [database.read_now(has, each) for each in IDS[:2]] == [True, False]


@pytest.mark.parametrize(
    "error", [pysqlite3.OperationalError("disk I/O error"), pysqlite3.DatabaseError("disk image is malformed")]
)
def test_a_database_in_trouble_fails_the_whole_group(
    database: SqliteDatabase, error: pysqlite3.DatabaseError
) -> None:
    """Nothing of a group is committed when one of its use cases hit a failing disk or a damaged file."""

    def fail(tx: Transaction) -> None:
        raise error

    calls: list[Any] = [(add, IDS[0]), (fail,), (add, IDS[1])]
    results = asyncio.run(write_together(database, *calls))
    assert [type(result) for result in results] == [Unavailable] * 3
    assert [database.read_now(has, each) for each in IDS[:2]] == [False, False]


def test_each_caller_of_a_failed_group_gets_an_exception_of_its_own(database: SqliteDatabase) -> None:
    """A traceback that several tasks add to would tell of the wrong requests."""

    def fail(tx: Transaction) -> None:
        raise pysqlite3.OperationalError("disk I/O error")

    calls: list[Any] = [(fail,), (add, IDS[0])]
    first, second = asyncio.run(write_together(database, *calls))
    assert first is not second


def test_a_transaction_that_sqlite_rolled_back_fails_the_whole_group(database: SqliteDatabase) -> None:
    """SQLite itself undoes everything when memory runs out; then no use case of the group may be acknowledged."""

    def run_out(tx: Transaction) -> None:
        database._writer.execute("ROLLBACK")
        raise MemoryError

    calls: list[Any] = [(add, IDS[0]), (run_out,)]
    results = asyncio.run(write_together(database, *calls))
    assert [type(result) for result in results] == [Unavailable] * 2
    assert not database.read_now(has, IDS[0])


def test_a_full_disk_is_unavailable_and_nothing_is_committed(database: SqliteDatabase) -> None:
    """Disk full answers ``Unavailable``; reads and, once there is room, writes go on."""
    pages = database._writer.execute("PRAGMA page_count").fetchone()[0]
    database._writer.execute(f"PRAGMA max_page_count = {pages}")

    def add_much(tx: Transaction) -> None:
        images.ensure_manifest(tx, "sha256:00", "text/plain", bytes(100_000))
        add(tx, IDS[0])

    with pytest.raises(Unavailable, match="full"):
        database.write_now(add_much)
    assert not database.read_now(has, IDS[0])
    database._writer.execute("PRAGMA max_page_count = 100000")
    database.write_now(add_much)
    assert database.read_now(has, IDS[0])


def test_a_failed_checkpoint_does_not_take_back_a_commit(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is durable in the log, so its callers are told that it is."""

    def fail() -> bool:
        raise pysqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 0)
    monkeypatch.setattr(database, "_checkpoint_at", 0, raising=False)
    monkeypatch.setattr(database, "_checkpoint", fail, raising=False)
    database.write_now(add, IDS[0])
    assert database.read_now(has, IDS[0])
    database.write_now(add, IDS[1])
    assert database.read_now(has, IDS[1])


def test_a_manifest_that_was_rolled_back_is_not_remembered(database: SqliteDatabase) -> None:
    """Its id may be given to other bytes next, and what a process remembers is served without a look."""

    def store(tx: Transaction, content: bytes) -> int:
        manifest_id = images.ensure_manifest(tx, f"sha256:{content.hex()}", "text/plain", content)
        assert images.get_content(tx, manifest_id) == content
        return manifest_id

    def store_and_refuse(tx: Transaction) -> None:
        store(tx, b"never committed")
        raise RepositoryNotFound(repository_name="x", registry_id="x")

    with pytest.raises(RepositoryNotFound):
        database.write_now(store_and_refuse)
    manifest_id = database.write_now(store, b"committed")
    assert database.read_now(images.get_content, manifest_id) == b"committed"


def test_a_read_cannot_change_anything(database: SqliteDatabase) -> None:
    """The reading connection refuses to write."""
    with pytest.raises(Unavailable, match="readonly"):
        database.read_now(add, IDS[0])
    assert not database.read_now(has, IDS[0])


def test_a_read_sees_one_snapshot(database: SqliteDatabase) -> None:
    """A write that commits in the middle of a read is not seen by it."""

    def look_twice(tx: Transaction) -> list[bool]:
        before = has(tx, IDS[0])
        writer = threading.Thread(target=database.write_now, args=(add, IDS[0]))
        writer.start()
        writer.join()
        return [before, has(tx, IDS[0])]

    assert database.read_now(look_twice) == [False, False]
    assert database.read_now(has, IDS[0])


def test_a_refused_read_leaves_no_snapshot_behind(database: SqliteDatabase) -> None:
    """After a refusal the next read starts afresh."""

    def refuse(tx: Transaction) -> None:
        has(tx, IDS[0])
        raise RepositoryNotFound(repository_name="x", registry_id="x")

    with pytest.raises(RepositoryNotFound):
        database.read_now(refuse)
    database.write_now(add, IDS[0])
    assert database.read_now(has, IDS[0])


def test_a_cancelled_caller_does_not_stop_what_is_queued(database: SqliteDatabase) -> None:
    """What is queued is written whether or not anybody waits for it; the writer goes on serving others."""

    async def cancel() -> None:
        pause = Pause(database)
        task = asyncio.ensure_future(database.write(add, IDS[0]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pause.end()
        await database.write(add, IDS[1])

    asyncio.run(cancel())
    assert [database.read_now(has, each) for each in IDS[:2]] == [True, True]


def test_closing_serves_what_is_queued(tmp_path: Path) -> None:
    """Writes that were queued before ``close`` are committed and answered."""
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    pause = Pause(database)
    writers = [threading.Thread(target=database.write_now, args=(add, each)) for each in IDS]
    for writer in writers:
        writer.start()
    while database._queue.qsize() < len(IDS):
        threading.Event().wait(0.001)
    closer = threading.Thread(target=database.close)
    closer.start()
    pause.end()
    for thread in (*writers, closer):
        thread.join(10)
        assert not thread.is_alive()
    again = SqliteDatabase(tmp_path / "metadata.db", Settings())
    assert all(again.read_now(has, each) for each in IDS)
    again.close()


def test_a_closed_database_refuses(tmp_path: Path) -> None:
    """Whoever comes after ``close`` is told so, and not kept waiting for an answer that never comes."""
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    database.close()
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        database.write_now(add, IDS[0])
    with pytest.raises(Unavailable, match="closed"):
        database.read_now(has, IDS[0])


def test_all_use_cases_of_a_group_share_nothing_but_the_commit(database: SqliteDatabase) -> None:
    """More use cases than one group takes are all answered, each with its own outcome."""

    def echo(tx: Transaction, number: int) -> int:
        return number

    results = asyncio.run(write_together(database, *[(echo, number) for number in range(200)]))
    assert results == list(range(200))


def test_a_transaction_has_one_time(database: SqliteDatabase) -> None:
    """``now`` is the clock's."""
    assert database.write_now(lambda tx: tx.now) == START


def test_probe_writes_to_the_disk(database: SqliteDatabase, tmp_path: Path) -> None:
    """A probe notices a disk that takes no more, though nothing of the registry changes."""
    log = tmp_path / "metadata.db-wal"
    before = log.stat().st_size
    asyncio.run(database.probe())
    assert log.stat().st_size > before


def test_a_dangerous_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.51.3 two writing processes could corrupt the database; 3.51.3 itself is allowed."""
    monkeypatch.setattr(pysqlite3, "sqlite_version_info", (3, 51, 2))
    with pytest.raises(SqliteTooOld, match=r"3\.51\.3"):
        connect(tmp_path / "metadata.db")
    monkeypatch.setattr(pysqlite3, "sqlite_version_info", (3, 51, 3))
    connect(tmp_path / "metadata.db").close()


def test_every_connection_syncs_what_it_commits(tmp_path: Path) -> None:
    """Write-ahead log, every commit synced, foreign keys held, no checkpoint but by the lock's holder."""
    connection = connect(fresh_file(tmp_path))
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
    values = [connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
    connection.close()
    assert values == ["wal", 2, 1, 0]


def test_a_lock_that_another_program_holds_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threat 69: all who wait hear of it together, however many groups they would have made."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    attempts: list[float] = []
    begin = database._begin

    async def write_all() -> list[Any]:
        return await asyncio.gather(*(database.write(add, name) for name in IDS), return_exceptions=True)

    def count(begun: float) -> None:
        attempts.append(begun)
        begin(begun)

    monkeypatch.setattr(database, "_begin", count)
    other = connect(tmp_path / "metadata.db")
    other.execute("BEGIN IMMEDIATE")
    refused = asyncio.run(write_all())
    assert all(isinstance(each, Unavailable) for each in refused)
    assert len(attempts) == 1
    other.execute("ROLLBACK")
    database.write_now(add, IDS[0])
    database.close()
    other.close()


def test_a_process_that_waited_for_its_turn_waits_for_no_other_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threat 69: behind a process that waited in vain the wait does not begin anew."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 10_000)
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    other = connect(tmp_path / "metadata.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(pysqlite3.OperationalError):
        database._begin(begun=time.monotonic() - 10_000)
    other.execute("ROLLBACK")
    other.close()
    database.close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_acknowledged_into_a_file_that_was_removed(tmp_path: Path, is_replaced: bool) -> None:
    """A write that no later start would find is refused."""
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    database.write_now(add, IDS[0])
    (tmp_path / "metadata.db").rename(tmp_path / "old.db")
    if is_replaced:
        connect(tmp_path / "metadata.db").close()
    with pytest.raises(Unavailable) as refusal:
        database.write_now(add, IDS[1])
    assert "was removed or replaced" in str(refusal.value.facts["what"])
    (tmp_path / "old.db").replace(tmp_path / "metadata.db")
    database.write_now(add, IDS[1])
    database.close()


def test_a_read_of_one_statement_that_needs_another_sees_one_state(database: SqliteDatabase) -> None:
    """It is run again from the start: what was written between its statements is in both or in neither."""
    runs = []

    @one_statement
    def read_twice(tx: Transaction) -> tuple[bool, bool]:
        before = has(tx, IDS[0])
        runs.append(before)
        if len(runs) == 1:
            database.write_now(add, IDS[0])
        return before, has(tx, IDS[0])

    assert database.read_now(read_twice) == (True, True)
    assert runs == [False, True]


def test_a_snapshot_stays_what_it_was_while_others_write(database: SqliteDatabase) -> None:
    """A use case that is not marked has a transaction from its first statement on."""

    def read_twice(tx: Transaction) -> tuple[bool, bool]:
        before = has(tx, IDS[0])
        database.write_now(add, IDS[0])
        return before, has(tx, IDS[0])

    assert database.read_now(read_twice) == (False, False)


def test_a_read_of_one_statement_leaves_no_snapshot_open(database: SqliteDatabase) -> None:
    """Or the log could never be emptied."""
    marked = one_statement(lambda tx: has(tx, IDS[0]))
    assert not database.read_now(marked)
    database.write_now(add, IDS[0])
    assert database.read_now(marked)
