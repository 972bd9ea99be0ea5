"""Receive a blob: from the body of a request to a layer that survives a power cut.

Segment synced, linked to its location, directory synced, row committed, then the answer. What fails on the way
leaves at most files without rows, which are discarded here or found by a later sweep.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from moorage.blobs.base import BlobMissing, BlobStore, BlobStoreFailed, Segment, SegmentWriter
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    BlobDigestMismatch,
    BlobTooLarge,
    BodyIncomplete,
    EmptyUpload,
    LayerAlreadyExists,
    LayerPartTooSmall,
    LimitExceeded,
    PartLengthMismatch,
    RegistryError,
    Unavailable,
    UploadNotFound,
)
from moorage.domain.names import RepositoryName
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from moorage.services import uploads
from moorage.services.audit import UNRECORDED, Recording
from moorage.services.repositories import open_for_push
from moorage.services.uploads import PlacedBlob, StoredLayer, WriteTurn, WrittenSegment
from moorage.transfers.bodies import Body, Sink, batches
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads

SHA256 = ("sha256",)

_log = structlog.get_logger()

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Received:
    segment: Segment
    digests: dict[str, Digest]


class Uploads:
    """Writes the bodies of requests to the blob store and their facts to the database."""

    def __init__(self, database: Database, store: BlobStore, threads: BlobThreads, room: Room) -> None:
        self._database = database
        self._store = store
        self._threads = threads
        self._room = room

    # --- /v2/ ------------------------------------------------------------------------------------------------

    async def receive(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        body: Body,
        *,
        first_byte: int | None,
        length: int | None,
        recording: Recording[int] = UNRECORDED,
    ) -> int:
        """Add a request's body to an upload; returns the bytes that the upload now holds.

        When the client goes away in the middle, what came is kept, so that it can continue from there.
        Raises ``UploadNotFound``, ``UploadOutOfOrder``, ``UploadBusy``, ``PartLengthMismatch``, ``BlobTooLarge``,
        ``BodyIncomplete``, ``Unavailable``.
        """
        await self._room.check()
        turn = await self._database.write(
            uploads.begin_writing, caller, registry, name, upload_id, first_byte=first_byte
        )
        writer = await self._create_segment(SHA256)
        try:
            await self._write_body(writer, body, turn, length)
        except BodyIncomplete:
            await self._keep(turn, writer, UNRECORDED)
            raise
        return await self._keep(turn, writer, recording)

    async def receive_last(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        body: Body,
        *,
        first_byte: int | None,
        length: int | None,
        digest: Digest,
        recording: Recording[StoredLayer] = UNRECORDED,
    ) -> StoredLayer:
        """Add the rest of an upload, often nothing, and make it a layer.

        A wrong digest ends the upload and throws its bytes away. Raises ``BlobDigestMismatch`` and what
        ``receive`` raises.
        """
        await self._room.check()
        turn, parts, known = await self._begin_completing(caller, registry, name, upload_id, first_byte)
        segments = list(parts)
        try:
            if length != 0 or not parts:
                last = await self._receive_segment(body, turn, length, _algorithms(digest))
                segments.append(last.segment)
                known = last.digests if len(segments) == 1 else {}
            return await self._finish(turn, segments, known, [digest], recording)
        except BlobDigestMismatch:
            self._discard(await self._database.write(uploads.abandon_upload, turn))
            raise
        finally:
            # After a success these are gone already; after a failure no row knows of them.
            self._discard([segment.location for segment in segments[len(parts) :]])

    async def receive_whole(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        body: Body,
        *,
        length: int | None,
        digest: Digest,
        recording: Recording[StoredLayer] = UNRECORDED,
    ) -> StoredLayer:
        """Make a layer of one request's body. Raises ``BlobDigestMismatch`` and what ``receive`` raises."""
        await self._room.check()
        await self._check_repository(caller, registry, name)
        turn = WriteTurn("", 0, 0, registry, name, 0, 0, 0)
        received = await self._receive_segment(body, turn, length, _algorithms(digest))
        try:
            _check_digests(received.digests, [digest])
            placed = await self._place(turn, received)
            return await self._record(
                placed, recording, uploads.store_layer, caller, registry, name, placed, [digest]
            )
        finally:
            self._discard([received.segment.location])

    async def _check_repository(self, caller: Caller, registry: RegistryKey, name: RepositoryName) -> None:
        """Refuse before a byte of the body is read."""
        if caller.is_trusted:
            await self._database.write(open_for_push, caller, registry, name, "ecr:CompleteLayerUpload")
        else:
            await self._database.read(open_for_push, caller, registry, name, "ecr:CompleteLayerUpload")

    async def cancel(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        recording: Recording[list[str]] = UNRECORDED,
    ) -> None:
        """End an upload and throw its bytes away. Raises ``UploadNotFound``."""
        garbage = await recording.change(
            self._database, uploads.cancel_upload, caller, registry, name, upload_id
        )
        self._discard(garbage)

    # --- JSON API --------------------------------------------------------------------------------------------

    async def add_part(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        first_byte: int,
        last_byte: int,
        blob: bytes,
        recording: Recording[int] = UNRECORDED,
    ) -> int:
        """Add one part; returns the bytes that the upload now holds.

        Raises ``UploadOutOfOrder``, ``PartLengthMismatch``, ``LimitExceeded``, and the upload lives on.
        """
        await self._room.check()
        turn = await self._database.write(
            uploads.begin_writing, caller, registry, name, upload_id, first_byte=first_byte
        )
        _check_length(turn, last_byte - first_byte + 1, len(blob))
        limit = self._room.quotas.layer_parts
        if limit and turn.part_count >= limit:
            raise LimitExceeded(quota="layer_parts", limit=limit)
        most = self._room.quotas.layer_bytes
        if most and turn.offset + len(blob) > most:
            raise LimitExceeded(quota="layer_bytes", limit=most)
        writer = await self._create_segment(SHA256)
        with _discarding(writer):
            await self._run(writer.write, blob)
        return await self._keep(turn, writer, recording)

    async def complete_parts(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        digests: Sequence[Digest],
        recording: Recording[StoredLayer] = UNRECORDED,
    ) -> StoredLayer:
        """Make a layer of an upload's parts.

        ECR: an upload without parts and parts under 5 MiB before the last are refused here, and a layer that the
        repository has already is ``LayerAlreadyExists``, once the bytes were verified. Unlike on ``/v2/``, a wrong
        digest leaves the upload as it is, to be completed by the right one. Raises ``EmptyUpload``,
        ``LayerPartTooSmall``, ``BlobDigestMismatch``, ``UploadNotFound``, ``UploadBusy``, ``Unavailable``.
        """
        turn, parts, known = await self._begin_completing(caller, registry, name, upload_id, None)
        if not parts or not turn.offset:
            raise EmptyUpload(upload_id=upload_id, repository_name=name, registry_id=registry.registry_id)
        if turn.small_part_count - (parts[-1].length < uploads.SMALLEST_PART) > 0:
            raise LayerPartTooSmall
        stored = await self._finish(turn, parts, known, digests, recording)
        if stored.was_there:
            raise LayerAlreadyExists(
                digest=str(stored.digest), repository_name=name, registry_id=registry.registry_id
            )
        return stored

    # --- Steps -----------------------------------------------------------------------------------------------

    async def _begin_completing(
        self,
        caller: Caller,
        registry: RegistryKey,
        name: RepositoryName,
        upload_id: str,
        first_byte: int | None,
    ) -> tuple[WriteTurn, list[Segment], dict[str, Digest]]:
        """Take an upload over to end it: what it holds so far, with the digest of all of that where it is known."""
        turn = await self._database.write(
            uploads.begin_writing,
            caller,
            registry,
            name,
            upload_id,
            first_byte=first_byte,
            action="ecr:CompleteLayerUpload",
        )
        rows = await self._database.read(uploads.list_segments, turn)
        known = {"sha256": Digest("sha256", rows[0].sha256)} if len(rows) == 1 else {}
        return turn, [Segment(row.location, row.length) for row in rows], known

    async def _finish(
        self,
        turn: WriteTurn,
        segments: list[Segment],
        known: dict[str, Digest],
        digests: Sequence[Digest],
        recording: Recording[StoredLayer],
    ) -> StoredLayer:
        """Verify, place and record. The segments go once the row is committed."""
        algorithms = tuple({"sha256", *(digest.algorithm for digest in digests)})
        if len(segments) == 1 and set(algorithms) <= known.keys():
            received = _Received(segments[0], known)
        else:
            received = await self._compose(turn, segments, algorithms)
        try:
            _check_digests(received.digests, digests)
            placed = await self._place(turn, received)
            stored = await self._record(placed, recording, uploads.complete_upload, turn, placed, digests)
        finally:
            if received.segment not in segments:
                self._discard([received.segment.location])
        self._discard([segment.location for segment in segments])
        return stored

    async def _compose(
        self, turn: WriteTurn, segments: Sequence[Segment], algorithms: Sequence[str]
    ) -> _Received:
        with _missing_is_gone(turn):
            return _Received(*await self._run(self._store.compose, segments, algorithms))

    async def _place(self, turn: WriteTurn, received: _Received) -> PlacedBlob:
        digest = received.digests["sha256"]
        with _missing_is_gone(turn):
            location = await self._run(self._store.place, received.segment, digest)
        return PlacedBlob(digest, received.segment.length, location)

    async def _record(
        self,
        placed: PlacedBlob,
        recording: Recording[StoredLayer],
        use_case: Callable[Concatenate[Transaction, Arguments], StoredLayer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> StoredLayer:
        """Commit the row of a placed blob. A copy that no row will name goes at once."""
        try:
            stored = await recording.change(self._database, use_case, *args, **kwargs)
        except Unavailable:
            raise  # Perhaps committed all the same: what has no row is left to the sweep.
        except RegistryError:
            self._threads.start(self._delete, placed.location)
            raise
        if not stored.is_placed_used:
            await self._keep_one_copy(placed, stored.location)
        return stored

    async def _keep_one_copy(self, placed: PlacedBlob, present: str) -> None:
        """Of two copies of a blob the one that was there stays, unless it is damaged: so a push repairs it."""
        superfluous = placed.location
        if not await self._run(self._is_sound, present, placed.size):
            _log.warning("blob_repaired", digest=str(placed.digest), location=present)
            if await self._database.write(uploads.replace_copy, placed, present):
                superfluous = present
        self._threads.start(self._delete, superfluous)

    def _is_sound(self, location: str, size: int) -> bool:
        try:
            reader = self._store.open(location)
        except BlobMissing:
            return False
        reader.close()
        return reader.size == size

    def _delete(self, location: str) -> None:
        """Delete a copy that no row names; what cannot be deleted is left to the sweep."""
        try:
            self._store.delete(location)
        except BlobStoreFailed as error:
            _log.warning("blob_not_deleted", location=location, error=str(error))

    async def _keep(self, turn: WriteTurn, writer: SegmentWriter, recording: Recording[int]) -> int:
        """Sync what was written and count it; returns the bytes that the upload now holds."""
        if not writer.length:
            writer.discard()
            return turn.offset
        digest = writer.digests()["sha256"]
        with _discarding(writer):
            segment = await self._run(writer.close, is_kept=True)
        try:
            written = WrittenSegment(segment.location, segment.length, digest.hex)
            return await recording.change(self._database, uploads.add_segment, turn, written)
        except Unavailable:
            raise  # Perhaps committed all the same, as after a cancellation: what has no row is left to the sweep.
        except RegistryError:
            self._discard([segment.location])
            raise

    async def _receive_segment(
        self, body: Body, turn: WriteTurn, length: int | None, algorithms: Sequence[str]
    ) -> _Received:
        writer = await self._create_segment(algorithms)
        await self._write_body(writer, body, turn, length, keeps_prefix=False)
        digests = writer.digests()
        with _discarding(writer):
            return _Received(await self._run(writer.close, is_kept=False), digests)

    async def _write_body(
        self,
        writer: SegmentWriter,
        body: Body,
        turn: WriteTurn,
        length: int | None,
        *,
        keeps_prefix: bool = True,
    ) -> None:
        """Write the body batch by batch, one batch in flight; discards the segment when it cannot be used."""

        def write(batch: bytes | memoryview) -> None:
            self._check_size(turn, writer.length + len(batch))
            # Asked again and again, or one large layer would eat what is held in reserve.
            self._room.check_blocking()
            writer.write(batch)

        try:
            self._check_size(turn, length or 0)
            await self._pour(body, write)
            _check_length(turn, length, writer.length)
        except BaseException as error:
            if not (keeps_prefix and isinstance(error, BodyIncomplete)):
                writer.discard()
            raise

    async def _pour(self, body: Body, write: Sink) -> None:
        """Write a body where it is received, if it can be had there; else in batches from the event loop."""
        if not isinstance(body, AsyncIterator):
            try:
                if await body.take(write):
                    return
            except BlobStoreFailed as error:
                raise _unavailable(error) from error
            body = body.stream()
        async for batch in batches(body):
            await self._run(write, batch)

    def _check_size(self, turn: WriteTurn, added: int) -> None:
        most = self._room.quotas.layer_bytes
        if most and turn.offset + added > most:
            raise BlobTooLarge(limit=most)

    async def _create_segment(self, algorithms: Sequence[str]) -> SegmentWriter:
        return await self._run(self._store.create_segment, algorithms)

    async def _run(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a call of the store in a thread; its failure is the server's, not the client's."""
        try:
            return await self._threads.run(call, *args, **kwargs)
        except BlobStoreFailed as error:
            raise _unavailable(error) from error

    def _discard(self, locations: Sequence[str]) -> None:
        self._threads.start(self._store.discard_segments, list(locations))


def _unavailable(error: BlobStoreFailed) -> Unavailable:
    return Unavailable(what=f"the blob store: {error}")


def _algorithms(digest: Digest) -> tuple[str, ...]:
    return SHA256 if digest.algorithm == "sha256" else ("sha256", digest.algorithm)


def _check_digests(actual: dict[str, Digest], given: Sequence[Digest]) -> None:
    for digest in given:
        if actual[digest.algorithm] != digest:
            raise BlobDigestMismatch(given=str(digest), actual=str(actual[digest.algorithm]))


def _check_length(turn: WriteTurn, announced: int | None, received: int) -> None:
    if announced is None or announced == received:
        return
    raise PartLengthMismatch(
        announced=announced,
        received=received,
        offset=turn.offset,
        upload_id=turn.upload_id,
        repository_name=turn.repository_name,
        registry_id=turn.registry.registry_id,
    )


@contextmanager
def _discarding(writer: SegmentWriter) -> Iterator[None]:
    """Throw a segment away that no row can name yet, when it failed or its request was cancelled."""
    try:
        yield
    except BaseException:
        writer.discard()
        raise


@contextmanager
def _missing_is_gone(turn: WriteTurn) -> Iterator[None]:
    """A segment that is missing means that another request finished or cancelled the upload meanwhile."""
    try:
        yield
    except BlobMissing as error:
        raise UploadNotFound(
            upload_id=turn.upload_id,
            repository_name=turn.repository_name,
            registry_id=turn.registry.registry_id,
        ) from error
