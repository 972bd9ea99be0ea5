"""What a database promises to use cases, whichever it is: all or nothing, and at once visible everywhere."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.domain.caller import RegistryKey
from moorage.domain.errors import RepositoryNotFound, Unavailable
from moorage.domain.names import RegistryId
from moorage.metadata import accounts, images, repositories, uploads
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from tests.support.database import START, Clock, Pause, fresh_database, open_again

IDS = [f"{number:012}" for number in range(200)]
KEY = RegistryKey(RegistryId(IDS[0]), "us-east-1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database whose clock stands."""
    database = fresh_database(tmp_path, clock=Clock())
    yield database
    database.close()


def add(tx: Transaction, account_id: str) -> None:
    """The smallest change."""
    accounts.ensure_account(tx, account_id)


def add_and_refuse(tx: Transaction, account_id: str) -> None:
    """A use case that changes its mind."""
    add(tx, account_id)
    raise RepositoryNotFound(repository_name="x", registry_id=account_id)


def has(tx: Transaction, account_id: str) -> bool:
    """Whether ``add`` was committed."""
    return accounts.has_account(tx, account_id)


def test_a_write_is_visible_to_the_next_read(database: Database) -> None:
    """A read after an acknowledged write sees it."""
    database.write_now(add, IDS[0])
    assert database.read_now(has, IDS[0])


def test_a_write_is_visible_to_every_other_process_at_once(database: Database) -> None:
    """Whoever holds another handle on the same database reads it, with nothing in between."""
    other = open_again(database)
    for each in IDS[:20]:
        assert not other.read_now(has, each)
        database.write_now(add, each)
        assert other.read_now(has, each)
    other.close()


def test_a_refused_use_case_changes_nothing(database: Database) -> None:
    """The refusal reaches the caller, the change nobody."""
    with pytest.raises(RepositoryNotFound):
        database.write_now(add_and_refuse, IDS[0])
    assert not database.read_now(has, IDS[0])


def test_a_refusal_does_not_undo_others_of_the_same_moment(database: Database) -> None:
    """Each use case stands or falls by itself, also where several share a commit."""

    async def write_together() -> list[object]:
        pause = Pause(database)
        calls = [(add, IDS[0]), (add_and_refuse, IDS[1]), (add, IDS[2])]
        tasks = [asyncio.ensure_future(database.write(use_case, name)) for use_case, name in calls]
        await asyncio.sleep(0)
        pause.end()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(write_together())
    assert [type(result) for result in results] == [type(None), RepositoryNotFound, type(None)]
    assert [database.read_now(has, each) for each in IDS[:3]] == [True, False, True]


def test_a_broken_constraint_belongs_to_its_caller(database: Database) -> None:
    """A use case that is wrong fails as such, not as a database that is away, and changes nothing."""

    def break_constraint(tx: Transaction) -> None:
        add(tx, IDS[0])
        accounts.add_key(tx, "AKIA", 4711, b"")

    with pytest.raises(Exception, match=r"(?i)foreign key") as error:
        database.write_now(break_constraint)
    assert "IntegrityError" in {ancestor.__name__ for ancestor in type(error.value).__mro__}
    assert not database.read_now(has, IDS[0])


def test_a_manifest_that_was_rolled_back_is_not_remembered(database: Database) -> None:
    """Its id may be that of another one later."""

    def store(tx: Transaction, content: bytes) -> int:
        manifest_id = images.ensure_manifest(tx, f"sha256:{content.hex()}", "text/plain", content)
        assert images.get_content(tx, manifest_id) == content
        return manifest_id

    def store_and_refuse(tx: Transaction) -> None:
        store(tx, b"refused")
        raise RepositoryNotFound(repository_name="x", registry_id="x")

    with pytest.raises(RepositoryNotFound):
        database.write_now(store_and_refuse)
    manifest_id = database.write_now(store, b"committed")
    assert database.read_now(images.get_content, manifest_id) == b"committed"


def test_a_read_cannot_change_anything(database: Database) -> None:
    """A use case that changes something by mistake is refused."""
    with pytest.raises(Unavailable):
        database.read_now(add, IDS[0])
    assert not database.read_now(has, IDS[0])


def test_a_read_sees_one_snapshot(database: Database) -> None:
    """What is committed while it runs does not show half-way."""

    def look_twice(tx: Transaction) -> list[bool]:
        first = has(tx, IDS[0])
        database.write_now(add, IDS[0])
        return [first, has(tx, IDS[0])]

    assert database.read_now(look_twice) == [False, False]
    assert database.read_now(has, IDS[0])


def test_a_refused_read_leaves_no_snapshot_behind(database: Database) -> None:
    """After a refusal the next read starts afresh."""

    def refuse(tx: Transaction) -> None:
        has(tx, IDS[0])
        raise RepositoryNotFound(repository_name="x", registry_id="x")

    with pytest.raises(RepositoryNotFound):
        database.read_now(refuse)
    database.write_now(add, IDS[0])
    assert database.read_now(has, IDS[0])


def test_a_cancelled_caller_does_not_stop_what_is_begun(database: Database) -> None:
    """What is begun is written whether or not anybody waits for it; the database goes on serving others."""

    async def cancel() -> None:
        pause = Pause(database)
        task = asyncio.ensure_future(database.write(add, IDS[0]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pause.end()
        await database.write(add, IDS[1])

    asyncio.run(cancel())
    database.close()
    other = open_again(database)
    assert [other.read_now(has, each) for each in IDS[:2]] == [True, True]
    other.close()


def test_a_closed_database_refuses(database: Database) -> None:
    """Whoever comes after ``close`` is told so, and not kept waiting for an answer that never comes."""
    database.close()
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        database.write_now(add, IDS[0])
    with pytest.raises(Unavailable, match="closed"):
        database.read_now(has, IDS[0])


def test_many_use_cases_at_once_each_have_their_own_outcome(database: Database) -> None:
    """More of them than threads, or than one commit carries."""

    def echo(tx: Transaction, number: int) -> int:
        return number

    async def ask() -> list[int]:
        return list(await asyncio.gather(*(database.write(echo, number) for number in range(200))))

    assert asyncio.run(ask()) == list(range(200))


def test_a_transaction_has_one_time(database: Database) -> None:
    """``now`` is the clock's."""
    assert database.write_now(lambda tx: tx.now) == START


def test_a_probe_succeeds(database: Database) -> None:
    """It writes and reads something that is no part of the registry."""
    asyncio.run(database.probe())


def test_names_are_sorted_by_their_bytes(database: Database) -> None:
    """Whatever the locale of the server: pages continue after a name that a client has seen."""
    names = ["a-b", "a.b", "a/b", "a0", "ab", "a_b", "b"]
    for name in reversed(names):
        database.write_now(repositories.add_repository, KEY, name, "MUTABLE", ())
    found = database.read_now(repositories.list_repositories, KEY, "", 100)
    assert [row.name for row in found] == sorted(names, key=str.encode)


def test_an_id_is_not_used_again_after_its_row(database: Database) -> None:
    """Pages and caches that hold one never meet another row."""

    def make_and_forget(tx: Transaction, name: str) -> int:
        repositories.add_repository(tx, KEY, name, "MUTABLE", ())
        row = repositories.find_repository(tx, KEY, name)
        assert row is not None
        repositories.mark_deleted(tx, row.id)
        return row.id

    first = database.write_now(make_and_forget, "app")
    assert database.write_now(make_and_forget, "app") > first


def test_a_number_of_64_bits_is_kept(database: Database) -> None:
    """Sizes beyond four gigabytes, and counts of bytes of many of them."""

    def keep(tx: Transaction) -> int:
        repositories.add_repository(tx, KEY, "app", "MUTABLE", ())
        row = repositories.find_repository(tx, KEY, "app")
        assert row is not None
        uploads.add_upload(tx, "upload", row.id, IDS[0])
        uploads.advance(tx, "upload", 2**62, parts=1, small_parts=0)
        found = uploads.find_upload(tx, "upload")
        assert found is not None
        return found.length

    assert database.write_now(keep) == 2**62
