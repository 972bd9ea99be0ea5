"""A segment whose row may be there is never thrown away: it could be the only copy of acknowledged bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from moorage.blobs.memory import MemoryBlobStore
from moorage.config import Settings
from moorage.domain.caller import Caller, RegistryKey, RequestFacts
from moorage.domain.errors import RegistryError, Unavailable, UploadBusy
from moorage.domain.names import RegistryId, RepositoryName
from moorage.services import uploads
from moorage.services.uploads import WriteTurn
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads
from moorage.transfers.uploads import Uploads

REGISTRY = RegistryKey(RegistryId.parse("000000000000"), "us-east-1")
NAME = RepositoryName.parse("busy")
CALLER = Caller(
    REGISTRY.registry_id, "", "", REGISTRY.region, RequestFacts("", "v2", "127.0.0.1", False, "", 0)
)
TURN = WriteTurn("upload", 1, 0, REGISTRY, NAME, 1, 0, 0)


class CommittingDatabase:
    """A database that is about to commit a segment when ``outcome`` decides what its caller learns of it."""

    def __init__(self, outcome: Callable[[], Any]) -> None:
        self.is_committing = asyncio.Event()
        self._outcome = outcome

    async def write(self, use_case: Callable[..., Any], *_: object, **__: object) -> Any:
        """Begin a turn, or wait in the commit of a segment."""
        if use_case is uploads.begin_writing:
            return TURN
        self.is_committing.set()
        return await self._outcome()


async def _receive(outcome: Callable[[], Any], *, is_cancelled: bool = False) -> list[str]:
    """Send one byte; returns the segments that are left afterwards."""
    store, threads = MemoryBlobStore(), BlobThreads(1)
    database = CommittingDatabase(outcome)
    room = Room(store, threads, Settings())
    receiver: Any = Uploads(database, store, threads, room)  # type: ignore[arg-type]
    received = asyncio.create_task(
        receiver.receive(CALLER, REGISTRY, NAME, "upload", _body(), first_byte=0, length=1)
    )
    await database.is_committing.wait()
    if is_cancelled:
        received.cancel()
    with suppress(RegistryError, asyncio.CancelledError):
        await received
    threads.close()
    return [stored.location for stored in store.orphan_candidates(-1)]


async def _body() -> AsyncIterator[bytes]:
    yield b"x"


async def _never() -> None:
    await asyncio.Event().wait()


async def _unavailable() -> None:
    raise Unavailable(what="the metadata database")


async def _refused() -> None:
    raise UploadBusy(offset=0, upload_id="upload", repository_name=NAME, registry_id=REGISTRY.registry_id)


def test_segment_stays_when_its_request_is_cancelled_in_the_commit() -> None:
    """The database finishes what is queued, so the row may come although nobody waits for it any more."""
    assert len(asyncio.run(_receive(_never, is_cancelled=True))) == 1


def test_segment_stays_when_the_commit_is_in_doubt() -> None:
    """A commit that reported a failure may have reached the disk."""
    assert len(asyncio.run(_receive(_unavailable))) == 1


def test_segment_goes_when_its_row_is_refused() -> None:
    """No row will ever name it."""
    assert asyncio.run(_receive(_refused)) == []
