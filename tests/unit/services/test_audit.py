"""Changes and their records: both or neither."""

import asyncio

import pytest

from moorage.domain.audit import Note
from moorage.domain.errors import RepositoryAlreadyExists
from moorage.domain.names import RepositoryName
from moorage.metadata.database import Database
from moorage.metadata.repositories import RepositoryRow
from moorage.services import repositories
from moorage.services.audit import UNRECORDED, Recording
from tests.support.auditing import committed
from tests.support.callers import REGISTRY, enroll, root_of
from tests.support.database import execute

NAME = RepositoryName("team/app")


@pytest.fixture(autouse=True)
def _key(database: Database) -> None:
    enroll(database)


def create(database: Database, recording: Recording[RepositoryRow]) -> None:
    """Make the repository."""
    asyncio.run(recording.change(database, repositories.create_repository, root_of(), REGISTRY, NAME))


def recording() -> Recording[RepositoryRow]:
    """That of a call of the root's."""
    caller = root_of()
    note = Note(caller.request, "CreateRepository", caller=caller, registry=REGISTRY)
    return Recording(note, lambda _row: {"repository": "made"})


def test_a_change_has_its_record_in_the_database(database: Database) -> None:
    """With what it answered."""
    made = recording()
    create(database, made)
    (record,) = committed(database)
    assert (record["eventName"], record["responseElements"]) == ("CreateRepository", {"repository": "made"})
    assert made.note is not None
    assert made.note.is_recorded


def test_a_change_that_is_refused_leaves_no_record_there(database: Database) -> None:
    """It is recorded as the refusal that it is, by whoever answers it."""
    create(database, recording())
    refused = recording()
    with pytest.raises(RepositoryAlreadyExists):
        create(database, refused)
    assert len(committed(database)) == 1
    assert refused.note is not None
    assert not refused.note.is_recorded


def test_a_change_whose_record_cannot_be_made_is_not_made(database: Database) -> None:
    """Neither is there without the other."""

    def fail(_row: object) -> dict[str, object]:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        create(database, Recording(recording().note, fail))
    assert execute(database, "SELECT count(*) FROM repository") == [(0,)]
    assert committed(database) == []


def test_what_changed_nothing_after_all_is_not_recorded(database: Database) -> None:
    """A mount of what cannot be mounted, say."""
    nothing: Recording[RepositoryRow] = Recording(recording().note, lambda _row: None)
    create(database, nothing)
    assert committed(database) == []
    assert nothing.note is not None
    assert not nothing.note.is_recorded


def test_what_no_call_asked_for_is_not_recorded(database: Database) -> None:
    """Bytes that are kept of a request that broke off, say."""
    create(database, UNRECORDED)
    assert committed(database) == []
