"""Migrations: a database is at the old revision or at the new one, never in between."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, event

from moorage.metadata import migrate
from moorage.metadata.migrate import DatabaseTooNew, NoRoomForBackup, migrate_sqlite, newest_revision
from moorage.metadata.sqlite import connect
from moorage.metadata.tables import metadata
from tests.support.migrations import engine_of, run_migrations

#: The revision of this version, before a test pretends that there is a next one.
THIS = newest_revision()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no database yet."""
    return tmp_path / "metadata.db"


def revision(path: Path) -> str | None:
    """The revision that the database says it is at."""
    with engine_of(path).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def set_revision(path: Path, to: str) -> None:
    """Pretend that another version wrote the database."""
    connection = connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (to,))
    connection.close()


def normalize(sql: str) -> str:
    """A statement without differences that mean nothing: white space, and the order of columns and constraints."""
    flat = re.sub(r"\s+", " ", sql).replace(" )", ")").replace("( ", "(").removesuffix(")")
    if not flat.startswith("CREATE TABLE"):
        return flat
    head, _, items = flat.partition(" (")
    return f"{head} ({', '.join(sorted(re.split(', (?![^(]*[)])', items)))}"


def schema(path: Path) -> set[str]:
    """The statements that the schema is made of."""
    connection = connect(path)
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {normalize(sql) for (sql,) in rows}


def rows(path: Path) -> dict[str, list[Any]]:
    """All that is in the tables."""
    connection = connect(path)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    connection.close()
    return found


def indexes(path: Path) -> dict[str, list[str]]:
    """Of each table in the order in which they were made, which the plans of queries depend on."""
    connection = connect(path)
    found: dict[str, list[str]] = {}
    for table, name in connection.execute(
        "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' ORDER BY rowid"
    ):
        found.setdefault(table, []).append(name)
    connection.close()
    return found


def test_a_fresh_database_is_at_the_newest_revision(path: Path) -> None:
    """Nothing but the file's place is needed."""
    migrate_sqlite(path)
    assert revision(path) == newest_revision()


def test_migrating_again_changes_nothing(path: Path) -> None:
    """Every start migrates; most have nothing to do."""
    migrate_sqlite(path)
    before = path.read_bytes()
    migrate_sqlite(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.glob("*backup*")] == []


def test_migrations_make_the_tables_that_the_code_knows(path: Path) -> None:
    """Alembic finds no difference between the migrated database and ``tables.py``."""
    run_migrations(path)
    with engine_of(path).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_new_database_has_the_very_schema_that_migrations_make(path: Path) -> None:
    """Partial indexes, defaults and AUTOINCREMENT too, which Alembic does not compare; Alembic's own table, and rows."""
    run_migrations(path)
    migrate_sqlite(path.with_name("direct.db"))
    assert schema(path) == schema(path.with_name("direct.db"))
    assert rows(path) == rows(path.with_name("direct.db"))
    assert indexes(path) == indexes(path.with_name("direct.db"))


def test_a_newer_database_is_refused_untouched(path: Path) -> None:
    """Going back to an older version must not damage what the newer one wrote."""
    migrate_sqlite(path)
    set_revision(path, "9999")
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNew, match="9999"):
        migrate_sqlite(path)
    assert path.read_bytes() == before


@pytest.fixture
def next_version(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database of this version with one row, and a next version that adds two tables."""
    migrate_sqlite(path)
    connection = connect(path)
    connection.execute("INSERT INTO account VALUES ('000000000000', 1, 1, 'first')")
    connection.close()
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    for file in [migrate._SCRIPTS / "env.py", *migrate._SCRIPTS.glob("versions/*.py")]:
        (scripts / file.relative_to(migrate._SCRIPTS)).write_text(file.read_text())
    (scripts / "versions/next.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = 'next', '{THIS}'\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE one (id INTEGER PRIMARY KEY)')\n"
        "    op.execute('CREATE TABLE two (id INTEGER PRIMARY KEY)')\n"
    )
    monkeypatch.setattr(migrate, "_SCRIPTS", scripts)
    yield path
    sys.modules.pop("next", None)


def backup_of(path: Path) -> Path:
    """Where the copy of a database at this version's revision lies."""
    return path.with_name(f"metadata.db.before-{THIS}.backup")


def test_an_upgrade_keeps_a_copy_of_the_database(next_version: Path) -> None:
    """The copy is complete, at the old revision, and for its owner only."""
    migrate_sqlite(next_version)
    assert revision(next_version) == "next"
    backup = backup_of(next_version)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert revision(backup) == THIS
    connection = connect(backup)
    assert connection.execute("SELECT id FROM account").fetchall() == [("000000000000",)]
    connection.close()


def test_an_upgrade_without_room_for_the_copy_is_refused(
    next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better not to start than to change what cannot be brought back."""
    usage = type("Usage", (), {"free": 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoRoomForBackup):
        migrate_sqlite(next_version)
    assert revision(next_version) == THIS


def test_a_copy_that_failed_is_no_copy(next_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is called one only when all of it is on the disk; an earlier one stays until then."""
    backup_of(next_version).write_bytes(b"an earlier copy")

    def fail(_: int) -> None:
        raise OSError("the disk went away")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="went away"):
        migrate_sqlite(next_version)
    assert backup_of(next_version).read_bytes() == b"an earlier copy"


def killed_at(statement: int, path: Path) -> bool:
    """Migrate in a child process that is killed before its n-th statement; False when it got to the end."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(*_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        try:
            migrate_sqlite(path)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_while_the_database_is_made_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Wherever the kill falls, there is no schema or all of it, and the next start completes it."""
    statement, was_killed = 1, True
    while was_killed:
        path = tmp_path / f"{statement}.db"
        was_killed = killed_at(statement, path)
        tables = {sql for sql in schema(path) if sql.startswith("CREATE TABLE")}
        assert len(tables) in {0, len(metadata.tables) + 2}  # and sqlite_sequence, alembic_version
        migrate_sqlite(path)
        assert revision(path) == newest_revision()
        statement += 7
    assert statement > 30


def test_a_kill_while_upgrading_leaves_the_old_revision(next_version: Path) -> None:
    """An upgrade that was cut off is as if it had not begun, and the next start does it."""
    statement = 1
    while killed_at(statement, next_version):
        tables = {sql for sql in schema(next_version) if " one " in sql or " two " in sql}
        assert (len(tables), revision(next_version)) in {(0, THIS), (2, "next")}
        statement += 1
    assert revision(next_version) == "next"
    assert statement > 3
