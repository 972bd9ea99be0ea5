"""Uploads over ``/v2/`` when the store, the database, the client or another request gets in the way."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from moorage.domain.digest import Digest
from moorage.domain.errors import (
    CredentialsUnknown,
    RegistryError,
    Unavailable,
    UploadBusy,
    UploadNotFound,
)
from moorage.metadata.database import Database
from moorage.services import layers, repositories, uploads
from moorage.services.uploads import StoredLayer
from tests.support.callers import APP, REGISTRY
from tests.support.database import Pause
from tests.support.pusher import CONTENT, DIGEST, Client

# --- A store that fails --------------------------------------------------------------------------------------


@pytest.mark.threat(68)
@pytest.mark.parametrize("call", ["create_segment", "write", "close"])
def test_a_chunk_that_cannot_be_stored_counts_nothing(client: Client, call: str) -> None:
    """``Unavailable``, and the upload stands where it stood."""

    async def push() -> None:
        await client.patch(CONTENT[:50])
        client.harbour.store.failing = {call}
        with pytest.raises(Unavailable):
            await client.patch(CONTENT[50:])
        client.harbour.store.failing = set()
        assert client.offset == 50
        await client.put(CONTENT[50:])

    asyncio.run(push())
    assert client.stored() == CONTENT


@pytest.mark.parametrize("call", ["create_segment", "write", "close", "compose", "place"])
def test_an_end_that_cannot_be_stored_can_be_tried_again(client: Client, call: str) -> None:
    """What was acknowledged is still there."""

    async def push() -> None:
        await client.patch(CONTENT[:50])
        client.harbour.store.failing = {call}
        with pytest.raises(Unavailable):
            await client.put(CONTENT[50:])
        client.harbour.store.failing = set()
        assert await client.harbour.garbage() == set()
        await client.put(CONTENT[50:])

    asyncio.run(push())
    assert client.stored() == CONTENT


@pytest.mark.parametrize("call", ["create_segment", "write", "close", "place"])
def test_a_whole_blob_that_cannot_be_stored_leaves_nothing(client: Client, call: str) -> None:
    """Neither a row nor a file."""
    client.harbour.store.failing = {call}
    with pytest.raises(Unavailable):
        asyncio.run(client.post(CONTENT))
    with pytest.raises(RegistryError):
        client.stored()


def test_a_copy_that_cannot_be_deleted_does_not_fail_the_push(client: Client) -> None:
    """The layer is stored; the superfluous copy is left to the sweep."""

    async def push() -> set[str]:
        await client.post(CONTENT)
        client.harbour.store.failing = {"delete"}
        await client.put(CONTENT)
        await client.harbour.settle()
        client.harbour.store.failing = set()
        return await client.harbour.garbage()

    (left,) = asyncio.run(push())
    client.harbour.store.delete(left)
    assert client.stored() == CONTENT


# --- Damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_blob_that_is_damaged_is_repaired_by_pushing_it_again(client: Client, damage: str) -> None:
    """The new copy takes the place of the one that is gone or too short."""

    async def push() -> StoredLayer:
        await client.post(CONTENT)
        row = client.harbour.database.read_now(layers.get_layer, client.caller, REGISTRY, APP, DIGEST)
        if damage == "lost":
            client.harbour.store.lose(row.location)
        else:
            client.harbour.store.cut(row.location, 7)
        return await client.put(CONTENT)

    asyncio.run(push())
    assert client.stored() == CONTENT
    assert asyncio.run(client.harbour.garbage()) == set()


# --- Several at once -----------------------------------------------------------------------------------------


class SlowBody:
    """A body that waits in the middle until it is told to go on."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self._first = first
        self._rest = rest
        self.is_waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    def __aiter__(self) -> "SlowBody":
        return self

    async def __anext__(self) -> bytes:
        """The next piece."""
        if self._first:
            piece, self._first = self._first, b""
            return piece
        self.is_waiting.set()
        await self.go_on.wait()
        if not self._rest:
            raise StopAsyncIteration
        piece, self._rest = self._rest, b""
        return piece


def slow_patch(client: Client, slow: SlowBody) -> "asyncio.Task[int]":
    """A chunk whose body stops in the middle."""
    return asyncio.ensure_future(
        client.harbour.uploads.receive(
            client.caller, REGISTRY, APP, client.upload_id, slow, first_byte=0, length=None
        )
    )


def test_of_two_writers_the_later_wins_and_the_other_changes_nothing(client: Client) -> None:
    """The stored bytes are those of one of them."""

    async def push() -> None:
        slow = SlowBody(b"slow", b"er")
        first = slow_patch(client, slow)
        await slow.is_waiting.wait()
        assert await client.patch(CONTENT, at=0) == 100
        slow.go_on.set()
        with pytest.raises(UploadBusy) as error:
            await first
        assert error.value.facts["offset"] == 100
        await client.put(length=0)

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_an_end_overtakes_a_chunk(client: Client) -> None:
    """A chunk that is still coming when the upload is finished finds it gone."""

    async def push() -> None:
        await client.patch(CONTENT)
        slow = SlowBody(b"slow", b"er")
        late = asyncio.ensure_future(
            client.harbour.uploads.receive(
                client.caller, REGISTRY, APP, client.upload_id, slow, first_byte=100, length=None
            )
        )
        await slow.is_waiting.wait()
        await client.put(length=0)
        slow.go_on.set()
        with pytest.raises(UploadNotFound):
            await late

    asyncio.run(push())
    assert client.stored() == CONTENT


#: The calls of the store in between which somebody else may come: how many chunks, what the last request carries.
RACES = [("create_segment", 1, b"more"), ("place", 1, b""), ("compose", 2, b""), ("place", 2, b"")]


@pytest.mark.parametrize(("call", "chunks", "rest"), RACES)
def test_a_chunk_overtakes_an_end(client: Client, call: str, chunks: int, rest: bytes) -> None:
    """Whoever takes the upload over while it is being finished wins, and nothing acknowledged is lost."""
    database = client.harbour.database

    def overtake() -> None:
        database.write_now(
            uploads.begin_writing, client.caller, REGISTRY, APP, client.upload_id, first_byte=100
        )

    async def push() -> None:
        for chunk in halves(chunks):
            await client.patch(chunk)
        client.harbour.store.before[call] = overtake
        with pytest.raises(UploadBusy):
            await client.put(rest, digest=Digest.of(CONTENT + rest))
        assert await client.harbour.garbage() == set()
        await client.put()

    asyncio.run(push())
    assert client.stored() == CONTENT


@pytest.mark.parametrize(("call", "chunks", "rest"), RACES)
def test_of_two_ends_one_wins(client: Client, call: str, chunks: int, rest: bytes) -> None:
    """The other finds the upload gone with its segments, which is no failure of the server."""
    database, store = client.harbour.database, client.harbour.store

    def end() -> None:
        garbage = database.write_now(uploads.cancel_upload, client.caller, REGISTRY, APP, client.upload_id)
        store.discard_segments(garbage)

    async def push() -> None:
        for chunk in halves(chunks):
            await client.patch(chunk)
        store.before[call] = end
        with pytest.raises(UploadNotFound):
            await client.put(rest, digest=Digest.of(CONTENT + rest))

    asyncio.run(push())
    assert client.is_finished()


def halves(chunks: int) -> list[bytes]:
    """The content in one or two chunks."""
    return [CONTENT] if chunks == 1 else [CONTENT[:50], CONTENT[50:]]


def test_an_upload_whose_repository_is_deleted_is_not_finished(client: Client) -> None:
    """No layer is acknowledged in a repository that is gone."""

    async def push() -> None:
        await client.patch(CONTENT)

        def delete() -> None:
            client.harbour.database.write_now(
                repositories.delete_repository, client.caller, REGISTRY, APP, is_forced=True
            )

        client.harbour.store.before["place"] = delete
        with pytest.raises(UploadNotFound):
            await client.put(length=0)

    asyncio.run(push())


async def until(is_so: Callable[[], bool]) -> None:
    """Let others run until it is so."""
    for _ in range(1_000_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never was so")


# --- Clients and databases that go away ----------------------------------------------------------------------


def test_a_chunk_whose_request_is_cancelled_keeps_what_was_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row may be committed after the request is gone; then its bytes must be there."""
    database = client.harbour.database

    pauses: list[Pause] = []
    begun: list[object] = []
    write = database.write

    async def note(use_case: Any, *args: Any, **kwargs: Any) -> Any:
        begun.append(use_case)
        return await write(use_case, *args, **kwargs)

    monkeypatch.setattr(database, "write", note)

    async def push() -> None:
        client.harbour.store.before["close"] = lambda: pauses.append(Pause(database))
        task = asyncio.ensure_future(client.patch(CONTENT))
        await until(lambda: bool(pauses) and uploads.add_segment in begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pauses[0].end()
        await until(lambda: client.offset == 100)
        await client.put()

    asyncio.run(push())
    assert client.stored() == CONTENT


class AwayDatabase:
    """A database that commits and then does not say so, as when the connection to it breaks."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.away_for: set[str] = set()

    async def write(self, use_case: Any, *args: Any, **kwargs: Any) -> Any:
        """Run it; the answer is lost if the use case's name is in ``away_for``."""
        result = await self.database.write(use_case, *args, **kwargs)
        if use_case.__name__ in self.away_for:
            raise Unavailable(what="the metadata database: the connection broke")
        return result

    async def read(self, use_case: Any, *args: Any, **kwargs: Any) -> Any:
        """See ``Database``."""
        return await self.database.read(use_case, *args, **kwargs)


def test_a_commit_without_an_answer_is_not_undone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Perhaps it was committed: no byte that a row may name is thrown away."""
    away = AwayDatabase(client.harbour.database)
    monkeypatch.setattr(client.harbour.uploads, "_database", away)

    async def push() -> None:
        away.away_for = {"add_segment"}
        with pytest.raises(Unavailable):
            await client.patch(CONTENT[:50])
        await client.harbour.settle()
        assert client.offset == 50
        away.away_for = {"complete_upload"}
        with pytest.raises(Unavailable):
            await client.put(CONTENT[50:])
        away.away_for = set()

    asyncio.run(push())
    assert client.stored() == CONTENT
    # The segments that the finished upload had are left to the sweep.
    client.harbour.store.discard_segments(asyncio.run(client.harbour.garbage()))


def test_a_key_that_is_gone_adds_nothing(client: Client) -> None:
    """Each request asks afresh who may."""
    client.caller = dataclasses.replace(client.caller, access_key_id="AKIAUNKNOWN")
    for push in (client.patch(CONTENT), client.put(CONTENT), client.post(CONTENT)):
        with pytest.raises(CredentialsUnknown):
            asyncio.run(push)
