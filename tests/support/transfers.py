"""Uploads and downloads over a memory blob store that can be made to fail."""

import errno
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from moorage.blobs.base import BlobStoreFailed, Segment
from moorage.blobs.memory import MemoryBlobReader, MemoryBlobStore, MemorySegmentWriter
from moorage.config import Settings
from moorage.domain.digest import Digest
from moorage.domain.errors import BodyIncomplete
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads
from moorage.transfers.uploads import Uploads


class FailingWriter(MemorySegmentWriter):
    """A segment of a ``FailingStore``."""

    failing: "FailingStore"

    def write(self, data: bytes | memoryview) -> None:
        """Fails when the store is told to, and then the segment is gone."""
        with self.failing.watch("write", self):
            super().write(data)

    def close(self, *, is_kept: bool) -> Segment:
        """Fails when the store is told to, and then the segment is gone."""
        with self.failing.watch("close", self):
            return super().close(is_kept=is_kept)


class Watch:
    """Runs one call of a ``FailingStore``, or fails instead of it."""

    def __init__(self, store: "FailingStore", name: str, writer: MemorySegmentWriter | None) -> None:
        self._store = store
        self._name = name
        self._writer = writer

    def __enter__(self) -> None:
        self._store.calls.append(self._name)
        before = self._store.before.pop(self._name, None)
        if before is not None:
            before()
        if self._name in self._store.failing:
            if self._writer is not None:
                self._writer.discard()
            raise BlobStoreFailed(f"testing {self._name}", errno.EIO)

    def __exit__(self, *_: object) -> None:
        pass


class FailingStore(MemoryBlobStore):
    """A memory store; the calls whose names are in ``failing`` fail, those in ``before`` run something first, once."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.before: dict[str, Callable[[], object]] = {}
        self.calls: list[str] = []
        self.free_bytes: int | None = None

    def watch(self, name: str, writer: MemorySegmentWriter | None = None) -> Watch:
        """What each call runs within."""
        return Watch(self, name, writer)

    def locations(self) -> set[str]:
        """Everything stored."""
        with self._lock:
            return set(self._stored)

    def lose(self, location: str) -> None:
        """Bytes that vanish, as on a bad disk."""
        with self._lock:
            del self._stored[location]

    def cut(self, location: str, length: int) -> None:
        """Bytes that shrink, as on a bad disk."""
        with self._lock:
            data, since = self._stored[location]
            self._stored[location] = (data[:length], since)

    def create_segment(self, algorithms: Sequence[str] = ("sha256",)) -> FailingWriter:
        """See ``BlobStore``."""
        with self.watch("create_segment"):
            made = super().create_segment(algorithms)
            writer = FailingWriter(self, made.location, made._hashes)
            writer.failing = self
            return writer

    def compose(
        self, segments: Sequence[Segment], algorithms: Sequence[str]
    ) -> tuple[Segment, dict[str, Digest]]:
        """See ``BlobStore``."""
        with self.watch("compose"):
            return super().compose(segments, algorithms)

    def place(self, segment: Segment, digest: Digest) -> str:
        """See ``BlobStore``."""
        with self.watch("place"):
            return super().place(segment, digest)

    def open(self, location: str) -> MemoryBlobReader:
        """See ``BlobStore``."""
        with self.watch("open"):
            return super().open(location)

    def delete(self, location: str) -> None:
        """See ``BlobStore``."""
        with self.watch("delete"):
            super().delete(location)

    def discard_segments(self, locations: Iterable[str]) -> None:
        """See ``BlobStore``."""
        super().discard_segments(locations)


class Harbour:
    """Everything that ``Uploads`` needs, with one thread, so that what it starts is done in order."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        self.database = database
        self.store = FailingStore()
        self.threads = BlobThreads(1)
        self.room = Room(self.store, self.threads, settings or Settings(disk_reserve_bytes=0))
        self.uploads = Uploads(database, self.store, self.threads, self.room)

    async def settle(self) -> None:
        """Returns when everything that was started is done."""
        await self.threads.run(lambda: None)

    async def garbage(self) -> set[str]:
        """What is stored without a row that names it."""
        await self.settle()
        return self.store.locations() - self.database.read_now(known_locations)

    def lost(self) -> set[str]:
        """What a row names and is not stored."""
        return self.database.read_now(known_locations) - self.store.locations()


def known_locations(tx: Transaction) -> set[str]:
    """Every location that a row names."""
    sql = "SELECT location FROM segment UNION SELECT location FROM blob WHERE deleted_at IS NULL"
    return {str(row[0]) for row in tx._connection.execute(sql).fetchall()}


async def body(*pieces: bytes, is_cut: bool = False) -> AsyncIterator[bytes]:
    """A request's body; with ``is_cut`` the client goes away at its end."""
    for piece in pieces:
        yield piece
    if is_cut:
        raise BodyIncomplete
