"""Uploads by the parts of the JSON API, with ECR's rules on them."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from moorage.config import Settings
from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    BlobDigestMismatch,
    EmptyUpload,
    LayerAlreadyExists,
    LayerPartTooSmall,
    LimitExceeded,
    PartLengthMismatch,
    Unavailable,
    UploadNotFound,
    UploadOutOfOrder,
)
from moorage.metadata.database import Database
from moorage.services import uploads
from moorage.services.uploads import SMALLEST_PART, StoredLayer
from tests.support.callers import APP, OTHER, REGISTRY
from tests.support.pusher import Client
from tests.support.transfers import Harbour

PART = bytes(SMALLEST_PART)


async def add(client: Client, part: bytes, first_byte: int | None = None, last_byte: int | None = None) -> int:
    """Add a part where the upload stands, unless told otherwise."""
    first = client.offset if first_byte is None else first_byte
    last = first + len(part) - 1 if last_byte is None else last_byte
    return await client.harbour.uploads.add_part(
        client.caller, REGISTRY, APP, client.upload_id, first, last, part
    )


async def complete(client: Client, *digests: Digest) -> StoredLayer:
    """Make a layer of the parts."""
    return await client.harbour.uploads.complete_parts(client.caller, REGISTRY, APP, client.upload_id, digests)


def push(client: Client, parts: Sequence[bytes], *digests: Digest) -> StoredLayer:
    """A whole upload."""

    async def run() -> StoredLayer:
        for part in parts:
            await add(client, part)
        return await complete(client, *digests)

    return asyncio.run(run())


@pytest.mark.parametrize("parts", [(b"small",), (PART, b"small"), (PART, PART)])
def test_a_layer_of_parts(client: Client, parts: tuple[bytes, ...]) -> None:
    """Every part but the last has at least 5 MiB."""
    content = b"".join(parts)
    assert push(client, parts, Digest.of(content)).digest == Digest.of(content)
    assert client.stored(Digest.of(content)) == content
    assert client.is_finished()


def test_each_part_is_answered_with_what_there_is(client: Client) -> None:
    """The last byte received follows from it."""

    async def run() -> list[int]:
        return [await add(client, b"abc"), await add(client, b"de")]

    assert asyncio.run(run()) == [3, 5]


def test_sha512_alone_is_verified(client: Client) -> None:
    """ECR: another algorithm is accepted, the answer is sha256."""
    stored = push(client, [b"content"], Digest.of(b"content", "sha512"))
    assert stored.digest == Digest.of(b"content")
    assert client.stored(Digest.of(b"content", "sha512")) == b"content"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_every_digest_must_match(client: Client, algorithm: str) -> None:
    """One wrong digest among right ones is a refusal."""
    right, wrong = Digest.of(b"content"), Digest.of(b"other", algorithm)
    with pytest.raises(BlobDigestMismatch):
        push(client, [b"content"], right, wrong)


def test_parts_after_a_wrong_digest_are_still_there(client: Client) -> None:
    """The client may complete the upload with the right one; else it expires."""

    async def run() -> None:
        await add(client, b"content")
        with pytest.raises(BlobDigestMismatch):
            await complete(client, Digest.of(b"other"))
        await complete(client, Digest.of(b"content"))

    asyncio.run(run())
    assert client.stored(Digest.of(b"content")) == b"content"


@pytest.mark.parametrize("parts", [(), (b"",)])
def test_an_upload_without_bytes_is_not_completed(client: Client, parts: tuple[bytes, ...]) -> None:
    """ECR: EmptyUploadException; the upload lives on."""
    with pytest.raises(EmptyUpload):
        push(client, parts, Digest.of(b""))
    assert client.offset == 0


def test_small_parts_are_refused_at_the_end(client: Client) -> None:
    """ECR: not when they come. The upload lives on."""

    async def run() -> None:
        await add(client, PART[:-1])
        await add(client, b"last")
        with pytest.raises(LayerPartTooSmall):
            await complete(client, Digest.of(PART[:-1] + b"last"))

    asyncio.run(run())
    assert client.offset == len(PART) - 1 + 4
    asyncio.run(client.harbour.uploads.cancel(client.caller, REGISTRY, APP, client.upload_id))


def test_a_layer_that_is_there_already_is_told_after_it_was_verified(client: Client, caller: Caller) -> None:
    """ECR: LayerAlreadyExistsException; the upload is over, nothing is stored twice."""
    push(client, [b"content"], Digest.of(b"content"))
    again = Client(client.harbour, caller)
    with pytest.raises(BlobDigestMismatch):
        push(again, [b"content"], Digest.of(b"other"))
    with pytest.raises(LayerAlreadyExists):
        asyncio.run(complete(again, Digest.of(b"content")))
    assert again.is_finished()
    assert asyncio.run(client.harbour.garbage()) == set()


@pytest.mark.parametrize("first_byte", [0, 2, 4])
def test_a_part_out_of_order_is_refused_and_the_upload_lives_on(client: Client, first_byte: int) -> None:
    """The refusal says where the upload stands."""

    async def run() -> UploadOutOfOrder:
        await add(client, b"abc")
        with pytest.raises(UploadOutOfOrder) as error:
            await add(client, b"def", first_byte=first_byte)
        await add(client, b"def")
        return error.value

    assert asyncio.run(run()).facts["offset"] == 3
    assert client.offset == 6
    asyncio.run(client.harbour.uploads.cancel(client.caller, REGISTRY, APP, client.upload_id))


@pytest.mark.parametrize("last_byte", [-1, 0, 1, 3, 1000])
def test_a_part_of_another_length_than_its_range_is_refused(client: Client, last_byte: int) -> None:
    """Also an empty or backward range; nothing is counted."""
    with pytest.raises(PartLengthMismatch):
        asyncio.run(add(client, b"abc", first_byte=0, last_byte=last_byte))
    assert client.offset == 0


def test_an_upload_of_another_repository_is_not_found(client: Client) -> None:
    """By parts no more than by chunks."""
    transfers = client.harbour.uploads
    client.harbour.database.write_now(uploads.start_upload, client.caller, REGISTRY, APP)
    for call in (
        transfers.add_part(client.caller, REGISTRY, APP, "no-such-upload", 0, 2, b"abc"),
        transfers.complete_parts(client.caller, REGISTRY, APP, "no-such-upload", [Digest.of(b"")]),
    ):
        with pytest.raises(UploadNotFound):
            asyncio.run(call)
    assert OTHER != APP


def test_quotas_on_parts_and_bytes(database: Database, caller: Caller) -> None:
    """Both name the quota, and the upload lives on."""
    settings = Settings(disk_reserve_bytes=0, quotas={"layer_parts": 2, "layer_bytes": 10})
    client = Client(Harbour(database, settings), caller)

    async def run() -> list[object]:
        quotas = []
        await add(client, b"abc")
        for part in (b"12345678", b"def", b"g"):
            try:
                await add(client, part)
            except LimitExceeded as error:
                quotas.append(error.facts["quota"])
        return quotas

    assert asyncio.run(run()) == ["layer_bytes", "layer_parts"]
    assert client.offset == 6


@pytest.mark.parametrize("call", ["create_segment", "write", "close"])
def test_a_part_that_cannot_be_stored_counts_nothing(client: Client, call: str) -> None:
    """And leaves nothing."""
    client.harbour.store.failing = {call}
    with pytest.raises(Unavailable):
        asyncio.run(add(client, b"abc"))
    assert client.offset == 0


@pytest.mark.parametrize("call", ["write", "close"])
def test_a_part_whose_request_is_cancelled_while_it_is_stored_leaves_nothing(client: Client, call: str) -> None:
    """Nobody waits for a sweep to take away what is known to be garbage."""

    async def run() -> set[str]:
        tasks: list[asyncio.Task[int]] = []
        loop = asyncio.get_running_loop()
        is_over = threading.Event()

        def cancel() -> None:
            loop.call_soon_threadsafe(tasks[0].cancel)
            assert is_over.wait(10)

        client.harbour.store.before[call] = cancel
        tasks.append(asyncio.ensure_future(add(client, b"abc")))
        tasks[0].add_done_callback(lambda _: is_over.set())
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        return await client.harbour.garbage()

    assert asyncio.run(run()) == set()
    assert client.offset == 0
