"""SQLite databases as the migrations make them, one after the other."""

from pathlib import Path

import pysqlite3
from alembic import command
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from moorage.metadata.migrate import scripts
from moorage.metadata.sqlite import connect
from moorage.metadata.upgrade import configuration


def engine_of(path: Path) -> Engine:
    """SQLAlchemy on the same driver as Moorage."""
    return create_engine("sqlite://", module=pysqlite3, creator=lambda: connect(path), poolclass=NullPool)


def run_migrations(path: Path, revision: str = "head") -> None:
    """Bring a database, which may be new, to this revision."""
    with engine_of(path).connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(configuration(connection, scripts()), revision)
        connection.commit()
