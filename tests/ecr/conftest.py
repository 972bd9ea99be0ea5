"""A fresh server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.metadata.migrate import migrate_sqlite
from tests.ecr.driver import Driver


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest schema, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate_sqlite(path)
    return path


@pytest.fixture
def driver(tmp_path: Path, migrated: Path) -> Iterator[Driver]:
    """A server without repositories."""
    made = Driver(tmp_path, migrated)
    yield made
    made.close()
