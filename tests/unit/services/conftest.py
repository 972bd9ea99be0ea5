"""A fresh database, its clock, and a shelf with the repository ``team/app`` for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.domain.caller import Caller
from moorage.metadata.database import Database
from tests.support.callers import enroll
from tests.support.content import Shelf
from tests.support.database import Clock, fresh_database


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    """A database with nothing in it."""
    database = fresh_database(tmp_path, clock=clock)
    yield database
    database.close()


@pytest.fixture
def caller(database: Database) -> Caller:
    """The root of the default account."""
    return enroll(database)


@pytest.fixture
def shelf(database: Database, caller: Caller) -> Shelf:
    """A registry whose repository ``team/app`` holds the blobs of ``image_manifest`` and ``artifact``."""
    shelf = Shelf(database, caller)
    shelf.repository()
    return shelf
