"""The lock between writing processes: what happens when the one that has it stands still."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata import accounts, migrate, sqlite
from moorage.metadata.migrate import migrate_sqlite
from moorage.metadata.sqlite import SqliteDatabase
from tests.support.database import fresh_file

HOLD = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty database."""
    return fresh_file(tmp_path)


@pytest.fixture
def database(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteDatabase]:
    """A database that does not wait for long."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(sqlite, "WATCH_SECONDS", 0.05)
    database = SqliteDatabase(path, Settings())
    yield database
    database.close()


@contextmanager
def stopped_holder(path: Path) -> Iterator[int]:
    """A process that has the lock and was stopped with SIGSTOP; gone on leaving."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path.with_name("write.lock"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_write_behind_a_stopped_process_is_refused(path: Path, database: SqliteDatabase) -> None:
    """And the log names that process; the client hears nothing of it."""
    with capture_logs() as lines, stopped_holder(path) as holder, pytest.raises(Unavailable) as refusal:
        database.write_now(accounts.ensure_account, "1")
    assert [(line["event"], line["writes_refused"]) for line in lines] == [("write_lock_held", 1)]
    assert lines[0]["holder"].startswith(f"process {holder} (python")
    assert lines[0]["holder"].endswith("stopped)")
    assert str(holder) not in str(refusal.value.facts["what"])


def test_everyone_behind_a_stopped_process_is_refused(path: Path, database: SqliteDatabase) -> None:
    """Those who come while it stands still as well, one after the other."""
    with stopped_holder(path):
        for number in range(3):
            with pytest.raises(Unavailable):
                database.write_now(accounts.ensure_account, str(number))


def test_reads_go_on_behind_a_stopped_process(path: Path, database: SqliteDatabase) -> None:
    """Pulls need no turn."""
    database.write_now(accounts.ensure_account, "1")
    with stopped_holder(path):
        assert database.read_now(accounts.has_account, "1")


def test_writes_go_on_once_the_lock_is_free(path: Path, database: SqliteDatabase) -> None:
    """What was refused meanwhile is not carried out afterwards."""
    with stopped_holder(path), pytest.raises(Unavailable):
        database.write_now(accounts.ensure_account, "1")
    database.write_now(accounts.ensure_account, "2")
    assert database.read_now(accounts.has_account, "2")
    assert not database.read_now(accounts.has_account, "1")


def test_a_write_that_waits_for_a_moment_is_served(path: Path, database: SqliteDatabase) -> None:
    """Only who waits for too long is refused."""
    with stopped_holder(path):
        writing = threading.Thread(target=database.write_now, args=(accounts.ensure_account, "1"))
        writing.start()
        while database._blocked is None:
            time.sleep(0.001)
    writing.join()
    assert database.read_now(accounts.has_account, "1")


def test_closing_does_not_wait_for_a_stopped_process(
    path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server can be stopped in order although something holds the lock."""
    with stopped_holder(path), capture_logs() as lines:
        database.close()
    assert [line["event"] for line in lines] == ["database_left_open"]


def test_a_start_behind_a_stopped_process_says_why_it_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the process."""
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    with stopped_holder(path) as holder, pytest.raises(TimeoutError, match=f"held by process {holder} "):
        migrate_sqlite(path)
