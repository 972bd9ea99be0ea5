"""Serve a stored blob piece by piece."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import structlog

from moorage.blobs.base import BlobMissing, BlobReader, BlobStore, BlobStoreError, BlobStoreFailed
from moorage.domain.errors import BlobDamaged, Unavailable
from moorage.metadata.layers import LayerRow
from moorage.transfers.threads import BlobThreads

#: Bytes sent at a time; larger pieces miss the processor's cache.
PIECE = 1024 * 1024

#: Bytes of pieces that a process holds for its readers, however slow they are. A piece takes a part of what is left,
#: so that it is never used up; beyond it is only what a crowd of readers holds of the smallest pieces, two for each.
PIECES_BUDGET = 32 * 1024 * 1024
PART_OF_THE_REST = 8
SMALLEST_PIECE = 4 * 1024

#: Up to so many bytes are answered in one piece, without a stream: configurations of images, above all.
SMALL = 64 * 1024

_log = structlog.get_logger()

Seen = TypeVar("Seen")


class Downloads:
    """Opens and streams blobs without ever stalling the event loop on a disk."""

    def __init__(self, store: BlobStore, threads: BlobThreads) -> None:
        self._store = store
        self._threads = threads
        self._held = 0

    async def open(self, layer: LayerRow) -> BlobReader:
        """Open a layer's bytes. Raises ``BlobDamaged`` when they are not what the row says, ``Unavailable``."""
        try:
            reader = self._store.open(layer.location)
        except BlobMissing as error:
            _log.error("blob_missing", digest=layer.digest, location=layer.location, error=str(error))
            raise BlobDamaged(digest=layer.digest) from error
        except BlobStoreFailed as error:
            raise Unavailable(what=f"the blob store: {error}") from error
        if reader.size != layer.size:
            reader.close()
            _log.error("blob_size_wrong", digest=layer.digest, location=layer.location, size=reader.size)
            raise BlobDamaged(digest=layer.digest)
        return reader

    async def check(self, layer: LayerRow) -> None:
        """Make sure that a layer could be served. Raises what ``open`` raises."""
        (await self.open(layer)).close()

    async def is_sound(self, layer: LayerRow) -> bool:
        """Whether a client may rely on the layer; one that is damaged has to be pushed again, which repairs it.

        Raises ``Unavailable``.
        """
        try:
            await self.check(layer)
        except BlobDamaged:
            return False
        return True

    def read_small(self, reader: BlobReader, offset: int, length: int) -> bytes | None:
        """Few bytes that are in memory already, and the reader is closed; else None, and ``stream`` has them.

        Raises ``Unavailable``, the reader closed.
        """
        if length > SMALL:
            return None
        try:
            piece = reader.read_cached_at(offset, length)
        except BlobStoreFailed as error:
            reader.close()
            raise Unavailable(what=f"the blob store: {error}") from error
        if piece is not None:
            reader.close()
        return piece

    def read_at_hand(self, layer: LayerRow) -> bytes | None:
        """All of a small blob that is sound and in memory; None otherwise, without a word: ``open`` says why."""
        return self._look(layer, lambda reader: reader.read_cached_at(0, layer.size))

    def is_at_hand(self, layer: LayerRow) -> bool:
        """Whether ``check`` would find nothing wrong."""
        return self._look(layer, lambda _: True) is not None

    def _look(self, layer: LayerRow, see: Callable[[BlobReader], Seen | None]) -> Seen | None:
        try:
            reader = self._store.open(layer.location)
        except BlobStoreError:
            return None
        try:
            return see(reader) if reader.size == layer.size else None
        except BlobStoreFailed:
            return None
        finally:
            reader.close()

    async def stream(self, reader: BlobReader, offset: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` on; closes the reader at the end, also of an abandoned stream."""
        before, held = 0, 0
        try:
            end = offset + length
            while offset < end:
                # The piece before is on its way still; the one before that is sent.
                self._held -= before
                before = held
                wanted = held = min(self._piece(), end - offset)
                self._held += held
                piece = reader.read_cached_at(offset, wanted)
                if piece is None:
                    piece = await self._threads.run(reader.read_at, offset, wanted)
                if not piece:
                    raise BlobStoreFailed("reading a blob that grew shorter", None)
                offset += len(piece)
                yield piece
            # Asked for more when the client has taken what there was: until then the last piece counts.
            yield b""
        finally:
            self._held -= before + held
            reader.close()

    def _piece(self) -> int:
        """Bytes to read next: the more is held, the less."""
        return max(SMALLEST_PIECE, min(PIECE, (PIECES_BUDGET - self._held) // PART_OF_THE_REST))
