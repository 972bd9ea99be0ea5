"""Serving stored blobs: whole, in part, from memory or from a slow disk, and damaged ones not at all."""

import asyncio
import errno

import pytest

from moorage.blobs.base import BlobStoreFailed
from moorage.blobs.memory import MemoryBlobReader
from moorage.domain.digest import Digest
from moorage.domain.errors import BlobDamaged, Unavailable
from moorage.metadata.layers import LayerRow
from moorage.transfers.downloads import PIECE, Downloads
from tests.support.transfers import FailingStore, Harbour

CONTENT = bytes(range(256)) * (PIECE // 100)


class ColdReader(MemoryBlobReader):
    """A blob of which nothing is in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0

    def read_cached_at(self, offset: int, length: int) -> bytes | None:
        """Never at hand."""
        return None

    def read_at(self, offset: int, length: int) -> bytes:
        """Counted."""
        self.reads += 1
        return super().read_at(offset, length)


class BrokenReader(MemoryBlobReader):
    """A blob on a disk that answers with errors."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.is_closed = False

    def read_cached_at(self, offset: int, length: int) -> bytes | None:
        """Fails."""
        raise BlobStoreFailed("reading a blob", errno.EIO)

    def close(self) -> None:
        """Noted."""
        self.is_closed = True


@pytest.fixture
def downloads(harbour: Harbour) -> Downloads:
    """Downloads from the store of ``harbour``."""
    return Downloads(harbour.store, harbour.threads)


def stored_layer(store: FailingStore, content: bytes = CONTENT) -> LayerRow:
    """Store a blob that no row knows, and the row as it would be."""
    writer = store.create_segment()
    writer.write(content)
    digest = Digest.of(content)
    location = store.place(writer.close(is_kept=False), digest)
    writer.discard()
    return LayerRow(1, str(digest), None, 1, len(content), location)


@pytest.fixture
def layer(harbour: Harbour) -> LayerRow:
    """A blob of several pieces, gone at the end of the test."""
    harbour.store = FailingStore()
    return stored_layer(harbour.store)


async def collect(downloads: Downloads, reader: MemoryBlobReader, offset: int, length: int) -> list[bytes]:
    """All pieces of a stream."""
    return [piece async for piece in downloads.stream(reader, offset, length)]


@pytest.mark.parametrize(
    ("offset", "length"), [(0, len(CONTENT)), (1, PIECE), (PIECE, 1), (len(CONTENT) - 1, 1), (5, 0)]
)
@pytest.mark.parametrize("reader_type", [MemoryBlobReader, ColdReader])
def test_exactly_the_bytes_asked_for(
    downloads: Downloads, reader_type: type[MemoryBlobReader], offset: int, length: int
) -> None:
    """From memory and from the disk alike, in pieces of bounded size; the reader is closed at the end."""
    reader = reader_type(CONTENT)
    pieces = asyncio.run(collect(downloads, reader, offset, length))
    assert b"".join(pieces) == CONTENT[offset : offset + length]
    assert max(map(len, pieces), default=0) <= PIECE
    with pytest.raises(ValueError, match="closed"):
        reader.read_at(0, 1)


def test_a_cold_blob_is_read_piece_by_piece(downloads: Downloads) -> None:
    """Each piece that is not in memory costs one read in a thread."""
    reader = ColdReader(CONTENT)
    pieces = asyncio.run(collect(downloads, reader, 0, len(CONTENT)))
    assert reader.reads == len([piece for piece in pieces if piece]) > 1


def test_an_abandoned_stream_closes_its_reader(downloads: Downloads) -> None:
    """A client that goes away in the middle leaves nothing open."""
    reader = MemoryBlobReader(CONTENT)

    async def abandon() -> None:
        stream = downloads.stream(reader, 0, len(CONTENT))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(abandon())
    with pytest.raises(ValueError, match="closed"):
        reader.read_at(0, 1)


def test_a_blob_that_shrinks_while_it_is_read_ends_in_an_error(downloads: Downloads) -> None:
    """A body is never silently short."""
    with pytest.raises(BlobStoreFailed):
        asyncio.run(collect(downloads, MemoryBlobReader(CONTENT), 0, len(CONTENT) + 1))


def test_an_intact_blob_is_opened(harbour: Harbour, layer: LayerRow) -> None:
    """Its size is that of the row."""
    reader = asyncio.run(Downloads(harbour.store, harbour.threads).open(layer))
    assert reader.size == len(CONTENT)
    harbour.store.delete(layer.location)


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_damaged_blob_is_not_served(harbour: Harbour, layer: LayerRow, damage: str) -> None:
    """Missing or of another size: an error that names the digest, before a byte is sent."""
    if damage == "lost":
        harbour.store.lose(layer.location)
    else:
        harbour.store.cut(layer.location, 10)
    with pytest.raises(BlobDamaged) as error:
        asyncio.run(Downloads(harbour.store, harbour.threads).open(layer))
    assert error.value.facts["digest"] == layer.digest
    harbour.store.delete(layer.location)


def test_a_store_that_fails_is_unavailable(harbour: Harbour, layer: LayerRow) -> None:
    """Trying again later is right; the blob is not called damaged."""
    harbour.store.failing = {"open"}
    with pytest.raises(Unavailable):
        asyncio.run(Downloads(harbour.store, harbour.threads).open(layer))
    harbour.store.failing = set()
    harbour.store.delete(layer.location)


def test_a_small_blob_on_a_failing_disk_is_unavailable(downloads: Downloads) -> None:
    """Nothing was answered yet, so the client hears of it in its face's words; the reader is closed."""
    reader = BrokenReader(b"abc")
    with pytest.raises(Unavailable):
        downloads.read_small(reader, 0, 3)
    assert reader.is_closed
