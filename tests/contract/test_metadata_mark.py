"""The mark that tells whether anything was committed: answers are kept by it, so it must never stay the same."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.config import Settings
from moorage.domain.errors import RepositoryNotFound
from moorage.metadata import accounts
from moorage.metadata.sqlite import SqliteDatabase
from moorage.metadata.transaction import Transaction
from tests.support.database import fresh_file, fresh_sqlite

WRITE_ELSEWHERE = """
import sys
from pathlib import Path
from moorage.config import Settings
from moorage.metadata import accounts
from moorage.metadata.sqlite import SqliteDatabase
database = SqliteDatabase(Path(sys.argv[1]), Settings())
database.write_now(accounts.ensure_account, "111111111111")
database.close()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """An empty database."""
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    yield database
    database.close()


def refuse(tx: Transaction) -> None:
    """A change that is taken back."""
    accounts.ensure_account(tx, "999999999999")
    raise RepositoryNotFound(repository_name="x", registry_id="y")


def test_reading_leaves_the_mark_as_it_is(database: SqliteDatabase) -> None:
    """However often."""
    before = database.mark()
    for _ in range(3):
        database.read_now(accounts.has_account, "1")
    assert before is not None
    assert database.mark() == before


def test_no_two_commits_leave_the_same_mark(database: SqliteDatabase) -> None:
    """Also across checkpoints, which begin the log anew."""
    marks = [database.mark()]
    for number in range(60):
        database.write_now(accounts.ensure_account, f"{number:012}")
        marks.append(database.mark())
        if number % 20 == 0:
            assert database._checkpoint()
    assert len(set(marks)) == len(marks)


def test_a_commit_of_another_process_changes_the_mark(database: SqliteDatabase, tmp_path: Path) -> None:
    """As soon as it is acknowledged."""
    before = database.mark()
    subprocess.run([sys.executable, "-c", WRITE_ELSEWHERE, str(tmp_path / "metadata.db")], check=True)
    assert database.mark() != before
    assert database.read_now(accounts.has_account, "111111111111")


def test_a_refused_change_does_no_harm(database: SqliteDatabase) -> None:
    """Whatever becomes of the mark, what is read is what was there."""
    with pytest.raises(RepositoryNotFound):
        database.write_now(refuse)
    assert not database.read_now(accounts.has_account, "999999999999")


def test_closing_one_of_two_leaves_the_locks_of_the_other(tmp_path: Path) -> None:
    """POSIX locks of a process go with any descriptor of the file that is closed."""
    path = fresh_file(tmp_path)
    first, second = SqliteDatabase(path, Settings()), SqliteDatabase(path, Settings())
    assert first.mark() == second.mark()
    first._reader.execute("BEGIN")
    first._reader.execute("SELECT count(*) FROM account").fetchone()
    held = locks_on(f"{path}-shm")
    second.close()
    assert held
    assert locks_on(f"{path}-shm") >= held - {(fcntl.F_WRLCK, 0)}
    first._reader.execute("COMMIT")
    first.close()


def locks_on(file: str) -> set[tuple[int, int]]:
    """Kind and first byte of every POSIX lock on a file, as the kernel lists them."""
    inode = Path(file).stat().st_ino
    kinds = {"READ": fcntl.F_RDLCK, "WRITE": fcntl.F_WRLCK}
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {
        (kinds[words[3]], int(words[6]))
        for words in lines
        if words[1] == "POSIX" and words[5].endswith(f":{inode}")
    }


def test_a_closed_database_has_no_mark(tmp_path: Path) -> None:
    """None sends whoever asks the ordinary way, which refuses."""
    database = fresh_sqlite(Settings(data_dir=tmp_path))
    assert database.mark() is not None
    database.close()
    assert database.mark() is None
