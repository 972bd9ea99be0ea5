"""One SQLite database, several processes: they take turns, see each other at once, and keep the log short."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moorage.config import Settings
from moorage.metadata import accounts, images, sqlite
from moorage.metadata.sqlite import SqliteDatabase, connect
from moorage.metadata.transaction import Transaction
from tests.support.database import fresh_file

SCRIPT = Path(__file__).with_name("metadata_process.py")
SECONDS = 3.0

#: The promise of the design. A process that is starved waits for all of ``SECONDS``.
LONGEST_WAIT = 1.0

CHECKPOINT_BYTES = 128 * 1024
PAGE = bytes(40_000)


class Process:
    """A ``metadata_process.py`` that is ready."""

    def __init__(self, path: Path, what: str, prefix: str) -> None:
        arguments = [sys.executable, str(SCRIPT), str(path), what, prefix, str(SECONDS)]
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=SCRIPT.parents[2]
        )

    def wait_until_ready(self) -> None:
        """Returns once it has opened the database."""
        assert self._line() == "ready\n"

    def tell(self, line: str = "") -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def result(self) -> Any:
        """What it prints next."""
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    @property
    def is_running(self) -> bool:
        """Whether it still works."""
        return self._process.poll() is None

    def end(self) -> None:
        """Close its input and wait for it."""
        try:
            self._process.communicate(timeout=30)
        finally:
            self._process.kill()


@contextmanager
def processes(path: Path, *kinds: str) -> Iterator[list[Process]]:
    """Processes that begin together."""
    started = [Process(path, what, str(number)) for number, what in enumerate(kinds)]
    try:
        for process in started:
            process.wait_until_ready()
        for process in started:
            process.tell()
        yield started
    finally:
        for process in started:
            process.end()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty database."""
    return fresh_file(tmp_path)


def store(tx: Transaction, number: int) -> None:
    """A change of some size."""
    images.ensure_manifest(tx, f"sha256:{number}", "text/plain", PAGE)


def test_two_processes_that_write_without_pause_take_turns(path: Path) -> None:
    """Neither waits for over a second while the other writes as fast as it can."""
    with processes(path, "write", "write") as both:
        results = [process.result() for process in both]
    assert max(result["longest"] for result in results) < LONGEST_WAIT
    assert min(result["rounds"] for result in results) > SECONDS / LONGEST_WAIT


def test_another_process_sees_an_acknowledged_write_at_once(path: Path) -> None:
    """No cache, no delay: the next read anywhere has it."""
    database = SqliteDatabase(path, Settings())
    with processes(path, "answer") as (other,):
        for number in range(50):
            other.tell(f"{number}")
            assert other.result() is False
            database.write_now(accounts.ensure_account, f"{number}")
            other.tell(f"{number}")
            assert other.result() is True
    database.close()


def test_the_log_stays_short_while_another_process_reads_without_pause(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers that come and go put a checkpoint off for a moment, never for good."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", CHECKPOINT_BYTES)
    database = SqliteDatabase(path, Settings())
    log = path.with_name("metadata.db-wal")
    written = longest = 0
    with processes(path, "read", "read") as readers:
        while all(reader.is_running for reader in readers) and written < 150 * len(PAGE):
            database.write_now(store, written)
            written += len(PAGE)
            longest = max(longest, log.stat().st_size)
    database.close()
    assert written > 20 * CHECKPOINT_BYTES
    assert longest < written / 2


def test_the_log_is_cut_once_a_long_read_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that is held keeps the log; after it, the log is emptied and does not grow any more."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", CHECKPOINT_BYTES)
    database = SqliteDatabase(path, Settings())
    log = path.with_name("metadata.db-wal")
    reader = connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM account").fetchall()
    for number in range(20):
        database.write_now(store, number)
    held = log.stat().st_size
    reader.execute("COMMIT")
    for number in range(20, 40):
        database.write_now(store, number)
    after = log.stat().st_size
    reader.close()
    database.close()
    assert held > 20 * len(PAGE)
    assert after <= 2 * CHECKPOINT_BYTES


def test_the_log_is_cut_where_the_database_is_a_link(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite puts the log beside the file itself, on another disk perhaps."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", CHECKPOINT_BYTES)
    link = path.with_name("link.db")
    link.symlink_to(path)
    database = SqliteDatabase(link, Settings())
    log = path.with_name("metadata.db-wal")
    longest = 0
    for number in range(20):
        database.write_now(store, number)
        longest = max(longest, log.stat().st_size)
    database.close()
    assert CHECKPOINT_BYTES / 2 < longest <= 2 * CHECKPOINT_BYTES


def test_a_long_read_does_not_slow_every_write_down(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that did not succeed is tried again when the log has grown as much once more, not at each commit."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", CHECKPOINT_BYTES)
    database = SqliteDatabase(path, Settings())
    outcomes: list[bool] = []
    checkpoint = database._checkpoint

    def record() -> bool:
        outcomes.append(checkpoint())
        return outcomes[-1]

    monkeypatch.setattr(database, "_checkpoint", record)
    reader = connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM account").fetchall()
    for number in range(40):
        database.write_now(store, number)
    grown = path.with_name("metadata.db-wal").stat().st_size
    reader.close()
    database.close()
    assert 0 < len(outcomes) <= grown / CHECKPOINT_BYTES + 1
