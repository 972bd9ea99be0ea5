"""Uploads over ``/v2/``: bodies that come whole, in pieces, too long, too short, or not at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage.config import Settings
from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    BlobDigestMismatch,
    BlobTooLarge,
    BodyIncomplete,
    PartLengthMismatch,
    RepositoryNotFound,
    Unavailable,
    UploadNotFound,
    UploadOutOfOrder,
)
from moorage.metadata.database import Database
from moorage.services import repositories
from moorage.services.uploads import StoredLayer
from tests.support.callers import APP, OTHER, REGISTRY, trusted
from tests.support.pusher import CONTENT, DIGEST, Client
from tests.support.transfers import Harbour, body


async def first_piece(untouched: AsyncIterator[bytes]) -> bytes:
    """The first piece of a body that nobody read from."""
    return await anext(untouched)


# --- What works ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [(), (CONTENT,), (CONTENT[:10], CONTENT[10:]), (b"", CONTENT, b"")])
def test_a_blob_in_one_request(client: Client, pieces: tuple[bytes, ...]) -> None:
    """However the body is cut into pieces, an empty one included."""
    content = b"".join(pieces)
    stored = asyncio.run(client.post(*pieces, digest=Digest.of(content)))
    assert (stored.digest, stored.is_placed_used, stored.was_there) == (Digest.of(content), True, False)
    assert client.stored(Digest.of(content)) == content


def test_a_blob_in_chunks(client: Client) -> None:
    """Each answers how much there is; the last request carries none."""

    async def push() -> list[int]:
        answers = [await client.patch(CONTENT[at : at + 30], at=at, length=None) for at in range(0, 100, 30)]
        await client.put(length=0)
        return answers

    assert asyncio.run(push()) == [30, 60, 90, 100]
    assert client.stored() == CONTENT
    assert client.is_finished()


def test_a_blob_whose_last_request_carries_the_rest(client: Client) -> None:
    """A PATCH and then a PUT with a body."""

    async def push() -> None:
        await client.patch(CONTENT[:40])
        await client.put(CONTENT[40:], at=40)

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_a_blob_that_comes_with_the_last_request_alone(client: Client) -> None:
    """POST and then PUT with all of it; its length need not be known."""

    async def push() -> None:
        await client.put(CONTENT, length=None)

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_an_empty_blob(client: Client) -> None:
    """OCI: a zero-byte blob is one like any other."""
    asyncio.run(client.put(digest=Digest.of(b"")))
    assert client.stored(Digest.of(b"")) == b""


def test_an_empty_chunk_changes_nothing(client: Client) -> None:
    """It is answered with where the upload stands."""

    async def push() -> list[int]:
        return [await client.patch(), await client.patch(CONTENT[:5]), await client.patch()]

    assert asyncio.run(push()) == [0, 5, 5]


@pytest.mark.parametrize("chunks", [(), (30,), (30, 60)])
def test_a_sha512_digest_is_verified_and_both_digests_are_known(
    client: Client, chunks: tuple[int, ...]
) -> None:
    """The repository sees the blob under the digest asked for and under its sha256."""

    async def push() -> StoredLayer:
        begin = 0
        for end in chunks:
            begin = await client.patch(CONTENT[begin:end])
        return await client.put(CONTENT[begin:], digest=Digest.of(CONTENT, "sha512"))

    assert asyncio.run(push()).digest == DIGEST
    assert client.stored(Digest.of(CONTENT, "sha512")) == client.stored(DIGEST) == CONTENT


def test_one_chunk_is_not_read_again(client: Client) -> None:
    """The usual push hashes the bytes once, while they come."""

    async def push() -> None:
        await client.patch(CONTENT)
        await client.put(length=0)

    asyncio.run(push())
    assert "compose" not in client.harbour.store.calls


def test_bytes_that_are_stored_already_are_kept_once(client: Client, caller: Caller) -> None:
    """The second copy goes; the layer is there, and the answer says that it was."""

    async def push() -> list[StoredLayer]:
        return [await client.post(CONTENT), await client.put(CONTENT)]

    first, second = asyncio.run(push())
    assert (first.is_placed_used, second.is_placed_used, second.was_there) == (True, False, True)
    assert client.stored() == CONTENT
    assert asyncio.run(client.harbour.garbage()) == set()


# --- What is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_byte", [0, 4, 6, 1000])
def test_a_chunk_elsewhere_is_refused_and_the_upload_lives_on(client: Client, first_byte: int) -> None:
    """A gap and an overlap; the refusal says where to go on."""

    async def push() -> UploadOutOfOrder:
        await client.patch(CONTENT[:5])
        with pytest.raises(UploadOutOfOrder) as error:
            await client.patch(CONTENT[5:], at=first_byte)
        await client.patch(CONTENT[5:], at=5)
        await client.put(length=0)
        return error.value

    assert asyncio.run(push()).facts["offset"] == 5
    assert client.stored() == CONTENT


@pytest.mark.parametrize("announced", [1, 4, 6, 1000])
def test_a_chunk_of_another_length_than_announced_counts_nothing(client: Client, announced: int) -> None:
    """The upload stands where it stood."""

    async def push() -> None:
        await client.patch(CONTENT[:5])
        with pytest.raises(PartLengthMismatch):
            await client.patch(CONTENT[5:10], length=announced)

    asyncio.run(push())
    assert client.offset == 5


def test_a_chunk_that_ends_early_keeps_what_came(client: Client) -> None:
    """The client goes on where it was cut off."""

    async def push() -> None:
        with pytest.raises(BodyIncomplete):
            await client.patch(CONTENT[:20], CONTENT[20:30], length=100, is_cut=True)
        assert client.offset == 30
        await client.patch(CONTENT[30:], at=30)
        await client.put(length=0)

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_a_chunk_that_never_came_leaves_nothing(client: Client) -> None:
    """No segment for no bytes."""

    async def push() -> None:
        with pytest.raises(BodyIncomplete):
            await client.patch(is_cut=True)

    asyncio.run(push())
    assert client.offset == 0


def test_a_last_request_that_ends_early_changes_nothing(client: Client) -> None:
    """What was acknowledged before is still there."""

    async def push() -> None:
        await client.patch(CONTENT[:50])
        with pytest.raises(BodyIncomplete):
            await client.put(CONTENT[50:70], is_cut=True, length=50)
        assert client.offset == 50
        await client.put(CONTENT[50:])

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_a_blob_in_one_request_that_ends_early_leaves_nothing(client: Client) -> None:
    """Nor is any of it stored."""
    with pytest.raises(BodyIncomplete):
        asyncio.run(client.post(CONTENT[:50], is_cut=True))


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_wrong_digest_ends_the_upload_and_its_bytes_are_gone(client: Client, chunks: int) -> None:
    """Whatever the upload consists of."""

    async def push() -> None:
        for _ in range(chunks):
            await client.patch(b"others")
        with pytest.raises(BlobDigestMismatch) as error:
            await client.put(b"bytes")
        actual = Digest.of(b"others" * chunks + b"bytes")
        assert error.value.facts == {"given": str(DIGEST), "actual": str(actual)}

    asyncio.run(push())
    assert client.is_finished()
    assert asyncio.run(client.harbour.garbage()) == set()


def test_a_wrong_digest_of_a_whole_blob_leaves_nothing(client: Client) -> None:
    """Neither sha256 nor sha512 is believed."""
    for digest in (DIGEST, Digest.of(CONTENT, "sha512")):
        with pytest.raises(BlobDigestMismatch):
            asyncio.run(client.post(b"other bytes", digest=digest))


def test_a_finished_upload_is_not_found(client: Client) -> None:
    """Neither a chunk nor a second end."""

    async def push() -> None:
        await client.put(CONTENT)
        with pytest.raises(UploadNotFound):
            await client.patch(CONTENT)
        with pytest.raises(UploadNotFound):
            await client.put(length=0)

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_a_cancelled_upload_is_gone_with_its_bytes(client: Client) -> None:
    """And cannot be cancelled twice."""

    async def push() -> None:
        await client.patch(CONTENT)
        await client.harbour.uploads.cancel(client.caller, REGISTRY, APP, client.upload_id)
        with pytest.raises(UploadNotFound):
            await client.harbour.uploads.cancel(client.caller, REGISTRY, APP, client.upload_id)

    asyncio.run(push())
    assert asyncio.run(client.harbour.garbage()) == set()


def test_an_upload_belongs_to_its_repository(client: Client) -> None:
    """Its id opens nothing by way of another one, and is not harmed there."""
    client.harbour.database.write_now(repositories.create_repository, client.caller, REGISTRY, OTHER)
    transfers = client.harbour.uploads

    async def push() -> None:
        await client.patch(CONTENT[:5])
        with pytest.raises(UploadNotFound):
            await transfers.receive(
                client.caller, REGISTRY, OTHER, client.upload_id, body(b"x"), first_byte=None, length=None
            )
        with pytest.raises(UploadNotFound):
            await transfers.cancel(client.caller, REGISTRY, OTHER, client.upload_id)
        await client.put(CONTENT[5:])

    asyncio.run(push())
    assert client.stored() == CONTENT


def test_a_missing_repository_is_refused_before_the_body_is_read(harbour: Harbour, caller: Caller) -> None:
    """The body is never touched."""
    untouched = body(CONTENT)
    push = harbour.uploads.receive_whole(caller, REGISTRY, OTHER, untouched, length=None, digest=DIGEST)
    with pytest.raises(RepositoryNotFound):
        asyncio.run(push)
    assert asyncio.run(first_piece(untouched)) == CONTENT


def test_a_trusted_push_makes_its_repository(harbour: Harbour) -> None:
    """In --dev, also by a blob in one request."""
    push = harbour.uploads.receive_whole(trusted(), REGISTRY, OTHER, body(CONTENT), length=None, digest=DIGEST)
    assert asyncio.run(push).is_placed_used


# --- Size and room -------------------------------------------------------------------------------------------


@pytest.fixture
def small(database: Database, caller: Caller) -> Client:
    """A client of a server whose layers have at most 50 bytes."""
    settings = Settings(disk_reserve_bytes=0, quotas={"layer_bytes": 50})
    return Client(Harbour(database, settings), caller)


@pytest.mark.parametrize("length", [None, 51])
def test_a_blob_that_is_too_large_is_refused(small: Client, length: int | None) -> None:
    """By its announced length before anything is read, else when it grows too large."""

    async def push() -> None:
        with pytest.raises(BlobTooLarge):
            await small.patch(CONTENT[:51], length=length)
        with pytest.raises(BlobTooLarge):
            await small.post(CONTENT[:51])
        with pytest.raises(BlobTooLarge):
            await small.put(CONTENT[:51], length=length)
        await small.patch(CONTENT[:40])
        with pytest.raises(BlobTooLarge):
            await small.patch(CONTENT[40:51])
        await small.patch(CONTENT[40:50])
        await small.put(length=0, digest=Digest.of(CONTENT[:50]))
        assert await small.harbour.garbage() == set()

    asyncio.run(push())
    assert small.stored(Digest.of(CONTENT[:50])) == CONTENT[:50]


def test_an_announced_length_too_large_is_refused_before_the_body_is_read(small: Client) -> None:
    """Ten terabytes are not waited for."""
    untouched = body(CONTENT)
    push = small.harbour.uploads.receive(
        small.caller, REGISTRY, APP, small.upload_id, untouched, first_byte=None, length=10**13
    )
    with pytest.raises(BlobTooLarge):
        asyncio.run(push)
    assert asyncio.run(first_piece(untouched)) == CONTENT


@pytest.mark.threat(68)
def test_pushes_are_refused_while_the_disk_is_nearly_full(database: Database, caller: Caller) -> None:
    """Before a byte of the body is read."""
    client = Client(Harbour(database, Settings(disk_reserve_bytes=1 << 50)), caller)
    untouched = body(CONTENT)
    push = client.harbour.uploads.receive_whole(caller, REGISTRY, APP, untouched, length=None, digest=DIGEST)
    with pytest.raises(Unavailable, match="reserve"):
        asyncio.run(push)
    assert asyncio.run(first_piece(untouched)) == CONTENT


def test_a_long_body_stops_at_the_reserve(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is looked at while the body comes, or one large layer would eat what is held for the database."""
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise Unavailable(what="disk space")

    monkeypatch.setattr(client.harbour.room, "check_blocking", check)
    with pytest.raises(Unavailable):
        asyncio.run(client.patch(*[bytes(1 << 20)] * 4))
    assert client.offset == 0
