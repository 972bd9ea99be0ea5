"""Blobs in memory: for unit tests, where a disk would only be slow. Nothing outlives the process."""

import errno
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from moorage.blobs.base import BlobMissing, BlobStoreFailed, Segment, Space, StoredFile
from moorage.blobs.hashing import Hashes
from moorage.blobs.locations import check_blob, check_segment, new_blob, new_segment
from moorage.domain.digest import Digest

#: What ``space`` says there is in all.
CAPACITY_BYTES = 1 << 40


class MemorySegmentWriter:
    """``SegmentWriter`` on a list entry of its store."""

    def __init__(self, store: "MemoryBlobStore", location: str, hashes: Hashes) -> None:
        self.location = location
        self._store = store
        self._hashes = hashes
        self._data = bytearray()
        self._is_open = True

    @property
    def length(self) -> int:
        """See ``SegmentWriter``."""
        return len(self._data)

    def write(self, data: bytes | memoryview) -> None:
        """See ``SegmentWriter``."""
        self._check_open()
        self._data += data
        self._hashes.update(data)

    def digests(self) -> dict[str, Digest]:
        """See ``SegmentWriter``."""
        return self._hashes.digests()

    def close(self, *, is_kept: bool) -> Segment:  # noqa: ARG002 - memory is as durable either way
        """See ``SegmentWriter``."""
        self._check_open()
        self._is_open = False
        self._store.keep(self.location, bytes(self._data))
        return Segment(self.location, len(self._data))

    def discard(self) -> None:
        """See ``SegmentWriter``."""
        self._is_open = False
        self._store.discard_segments([self.location])

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError("the segment is closed or discarded")


class MemoryBlobReader:
    """``BlobReader`` on bytes."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data: bytes | None = data

    def read_at(self, offset: int, length: int) -> bytes:
        """See ``BlobReader``."""
        if self._data is None:
            raise ValueError("the blob is closed")
        if offset < 0 or length < 0:
            raise ValueError("offset and length count from zero")
        return self._data[offset : offset + length]

    def read_cached_at(self, offset: int, length: int) -> bytes | None:
        """See ``BlobReader``. Always at hand."""
        return self.read_at(offset, length)

    def close(self) -> None:
        """See ``BlobReader``."""
        self._data = None


class MemoryBlobStore:
    """``BlobStore`` in two dictionaries, by location. ``clock`` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[str, tuple[bytes, float]] = {}

    def keep(self, location: str, data: bytes) -> None:
        """Store bytes under a location: how a closed segment arrives."""
        with self._lock:
            self._stored[location] = (data, self._clock())

    def create_segment(self, algorithms: Sequence[str] = ("sha256",)) -> MemorySegmentWriter:
        """See ``BlobStore``."""
        writer = MemorySegmentWriter(self, new_segment(), Hashes(algorithms))
        self.keep(writer.location, b"")
        return writer

    def compose(
        self, segments: Sequence[Segment], algorithms: Sequence[str]
    ) -> tuple[Segment, dict[str, Digest]]:
        """See ``BlobStore``."""
        pieces = [self._bytes_of(segment) for segment in segments]
        writer = self.create_segment(algorithms)
        for piece in pieces:
            writer.write(piece)
        if len(segments) == 1:
            writer.discard()
            return segments[0], writer.digests()
        return writer.close(is_kept=True), writer.digests()

    def place(self, segment: Segment, digest: Digest) -> str:
        """See ``BlobStore``."""
        location = new_blob(digest)
        self.keep(location, self._bytes_of(segment))
        return location

    def open(self, location: str) -> MemoryBlobReader:
        """See ``BlobStore``."""
        check_blob(location)
        return MemoryBlobReader(self._find(location))

    def delete(self, location: str) -> None:
        """See ``BlobStore``."""
        check_blob(location)
        with self._lock:
            self._stored.pop(location, None)

    def discard_segments(self, locations: Iterable[str]) -> None:
        """See ``BlobStore``."""
        listed = list(locations)
        for location in listed:
            check_segment(location)
        with self._lock:
            for location in listed:
                self._stored.pop(location, None)

    def orphan_candidates(self, older_than_seconds: float) -> Iterator[StoredFile]:
        """See ``BlobStore``."""
        now = self._clock()
        with self._lock:
            ages = [StoredFile(location, now - since) for location, (_, since) in self._stored.items()]
        return (each for each in ages if each.age_seconds > older_than_seconds)

    def probe(self) -> None:
        """See ``BlobStore``. Memory cannot fail in a way that could be told."""

    def space(self) -> Space:
        """See ``BlobStore``. Files are not counted."""
        with self._lock:
            used = sum(len(data) for data, _ in self._stored.values())
        return Space(CAPACITY_BYTES - used, CAPACITY_BYTES, 0, 0)

    def _find(self, location: str) -> bytes:
        with self._lock:
            found = self._stored.get(location)
        if found is None:
            raise BlobMissing(location)
        return found[0]

    def _bytes_of(self, segment: Segment) -> bytes:
        check_segment(segment.location)
        data = self._find(segment.location)
        if len(data) < segment.length:
            raise BlobStoreFailed("reading a segment", errno.EIO)
        return data[: segment.length]
