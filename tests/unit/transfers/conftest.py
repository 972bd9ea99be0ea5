"""Uploads over a memory blob store, and the repository ``team/app`` to put layers into."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.domain.caller import Caller
from moorage.metadata.database import Database
from moorage.services import repositories
from tests.support.callers import APP, REGISTRY, enroll
from tests.support.database import Clock, fresh_database
from tests.support.pusher import Client
from tests.support.transfers import Harbour


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
    """The root of the default account, which has the empty repository ``team/app``."""
    caller = enroll(database)
    database.write_now(repositories.create_repository, caller, REGISTRY, APP)
    return caller


@pytest.fixture
def harbour(database: Database, caller: Caller) -> Iterator[Harbour]:
    """Uploads whose store leaves no garbage, whatever the test did, but what the test asked about itself."""
    harbour = Harbour(database)
    yield harbour
    assert asyncio.run(harbour.garbage()) == set()
    assert harbour.lost() == set()
    harbour.threads.close()


@pytest.fixture
def client(harbour: Harbour, caller: Caller) -> Client:
    """A client that has begun an upload."""
    return Client(harbour, caller)
