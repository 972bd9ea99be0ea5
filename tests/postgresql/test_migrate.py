"""Migrations of PostgreSQL: all or nothing, and ending in the tables that the code knows."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.pool import NullPool

from moorage.metadata import migrate
from moorage.metadata.migrate import DatabaseTooNew, NotMigrated
from moorage.metadata.migrate_postgresql import check_postgresql, migrate_postgresql
from moorage.metadata.tables import metadata, partial_on_postgresql


def tables(url: str) -> set[str]:
    """The tables that are there."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def revision(url: str) -> str:
    """The revision that the database says it is at."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return str(row[0])


def test_an_empty_database_is_refused_until_it_is_migrated(empty_url: str) -> None:
    """The refusal names the command."""
    with pytest.raises(NotMigrated, match="run moorage migrate"):
        check_postgresql(empty_url)
    assert migrate_postgresql(empty_url) is None
    check_postgresql(empty_url)
    assert migrate_postgresql(empty_url) == revision(empty_url)


def test_migrations_make_the_tables_that_the_code_knows(empty_url: str) -> None:
    """Alembic finds no difference between the migrated database and ``tables.py``."""
    migrate_postgresql(empty_url)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_url), poolclass=NullPool
    )
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrations_make_the_very_columns_and_indexes_of_the_code(empty_url: str) -> None:
    """Collations and conditions of partial indexes too, which Alembic does not compare."""
    migrate_postgresql(empty_url)
    migrated = facts(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_url), poolclass=NullPool
    )
    partial_on_postgresql()
    with engine.begin() as connection:
        metadata.create_all(connection)
    assert migrated == facts(empty_url)
    assert len(migrated) > 100


def facts(url: str) -> set[tuple[object, ...]]:
    """Columns with type and collation, and indexes, but for Alembic's own."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name != 'alembic_version'"
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename != 'alembic_version'"
        ).fetchall()
    return {*columns, *indexes}


@pytest.fixture
def next_version(tmp_path: Path) -> Iterator[Path]:
    """A next version that adds two tables; what it does can be changed before it is used."""
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    for file in [migrate._SCRIPTS / "env.py", *(migrate._SCRIPTS / "versions").glob("0*.py")]:
        (scripts / file.relative_to(migrate._SCRIPTS)).write_text(file.read_text())
    made = scripts / "versions/next.py"
    made.write_text(
        "from alembic import op\n"
        f"revision, down_revision = 'next', '{migrate.newest_revision()}'\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE one (id INTEGER PRIMARY KEY)')\n"
        "    op.execute('CREATE TABLE two (id INTEGER PRIMARY KEY)')\n"
    )
    yield made
    sys.modules.pop("next", None)


def test_an_upgrade_that_fails_changes_nothing(
    empty_url: str, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the schema nor the revision; the next attempt does all of it."""
    migrate_postgresql(empty_url)
    before = revision(empty_url)
    monkeypatch.setattr(migrate, "_SCRIPTS", next_version.parents[1])
    good = next_version.read_text()
    next_version.write_text(good.replace("CREATE TABLE two", "CREATE TABEL two"))
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        migrate_postgresql(empty_url)
    assert (revision(empty_url), "one" in tables(empty_url)) == (before, False)
    next_version.write_text(good)
    assert migrate_postgresql(empty_url) == before
    assert (revision(empty_url), {"one", "two"} <= tables(empty_url)) == ("next", True)


def test_a_newer_database_is_refused_untouched(empty_url: str) -> None:
    """Going back to an older version must not damage what the newer one wrote."""
    migrate_postgresql(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for refuse in (migrate_postgresql, check_postgresql):
        with pytest.raises(DatabaseTooNew, match="9999"):
            refuse(empty_url)
    assert revision(empty_url) == "9999"
