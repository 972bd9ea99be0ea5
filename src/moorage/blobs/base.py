"""The blob store port: what every place that keeps bytes promises, and how it fails.

Every method blocks; callers run them in threads. Locations are text that a store gives out and that a row keeps:
each names one stored copy and is never used a second time, so whoever acts on a location cannot hit a newer copy.

    BlobStoreError
    ├── BlobMissing        the store works, but nothing is there
    │   └── BlobForeign    what is there was not put there by the store
    ├── LocationRefused    no store gave out this location
    └── BlobStoreFailed    the store could not do it; carries the errno
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.domain.digest import Digest


class BlobStoreError(Exception):
    """A blob store refused or failed. Never raised itself."""


class BlobMissing(BlobStoreError):
    """Nothing is stored at ``location``, although the store itself answers."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(f"nothing is stored at {location}")


class BlobForeign(BlobMissing):
    """Something lies at ``location`` that is no file of the store's, a planted link perhaps: it is never read.

    For everyone who asks, the blob is missing, so that pushing it again repairs it.
    """

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.args = (f"what is stored at {location} is no regular file: a link, a pipe or a directory",)


class LocationRefused(BlobStoreError):
    """``location`` is not of the form that stores give out: the row that holds it was tampered with."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(f"not a location: {location[:200]!r}")


class BlobStoreFailed(BlobStoreError):
    """The store could not do what was asked; nothing half-done is visible. ``errno`` says why."""

    def __init__(self, doing: str, number: int | None) -> None:
        self.doing = doing
        self.errno = errno.EIO if number is None else number
        super().__init__(f"{doing}: {os.strerror(self.errno)}")

    @property
    def is_full(self) -> bool:
        """Whether space, inodes or a quota ran out: pushes fail, pulls and deletes go on."""
        return self.errno in {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Segment:
    """The first ``length`` bytes at ``location``; whatever lies beyond was never acknowledged."""

    location: str
    length: int


@dataclass(frozen=True, slots=True)
class Space:
    """What the store has left. ``total_inodes`` is 0 where files are not counted."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Something stored, and for how many seconds it has had this location."""

    location: str
    age_seconds: float


class SegmentWriter(Protocol):
    """Receives one run of bytes. One thread at a time writes; any thread may discard."""

    @property
    def location(self) -> str:
        """Where the bytes are, as a ``Segment`` names it."""
        ...

    @property
    def length(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Append and hash.

        Raises ``BlobStoreFailed``, after which the segment is gone; ``ValueError`` once closed or discarded.
        """
        ...

    def digests(self) -> dict[str, Digest]:
        """The digests of the bytes so far, by algorithm. Further writes may follow."""
        ...

    def close(self, *, is_kept: bool) -> Segment:
        """Make the bytes durable and end the writing.

        With ``is_kept`` the location is durable too: ask for it when the segment must outlive this request,
        spare it when ``place`` follows at once. Raises ``BlobStoreFailed``, after which the segment is gone.
        """
        ...

    def discard(self) -> None:
        """Throw the segment away, closed or not. Idempotent, never raises; a placed copy of it stays."""
        ...


class BlobReader(Protocol):
    """One open blob; it stays readable when its location is deleted meanwhile."""

    @property
    def size(self) -> int:
        """Bytes stored. A caller compares it with the row: a differing size is damage."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes ``[offset, offset + length)``, fewer only at the end of the blob.

        Raises ``BlobStoreFailed``; ``ValueError`` for negative numbers or once closed.
        """
        ...

    def read_cached_at(self, offset: int, length: int) -> bytes | None:
        """As ``read_at``, but never waits for a disk: None unless all of it is in memory already."""
        ...

    def close(self) -> None:
        """Let go of the blob. Idempotent; a read running in another thread ends well."""
        ...


class BlobStore(Protocol):
    """Keeps segments while they are uploaded and blobs once their digest is known.

    Every method may raise ``BlobStoreFailed``, those that take a location or a segment ``LocationRefused``.
    """

    def create_segment(self, algorithms: Sequence[str] = ("sha256",)) -> SegmentWriter:
        """Start a new, empty segment whose bytes are hashed with ``algorithms``."""
        ...

    def compose(
        self, segments: Sequence[Segment], algorithms: Sequence[str]
    ) -> tuple[Segment, dict[str, Digest]]:
        """Join segments in order and hash the whole in the same pass.

        A single segment is only read again and returned as it is; otherwise the result is a new durable segment
        and the given ones stay. Raises ``BlobMissing``, and ``BlobStoreFailed`` for one shorter than it says.
        """
        ...

    def place(self, segment: Segment, digest: Digest) -> str:
        """Give a closed segment a location as a blob, durable on return; the segment stays until discarded.

        ``digest`` is not checked again: it names the location. Raises ``BlobMissing``, and ``BlobStoreFailed``
        for a segment shorter than it says.
        """
        ...

    def open(self, location: str) -> BlobReader:
        """Open a blob. Raises ``BlobMissing``."""
        ...

    def delete(self, location: str) -> None:
        """Remove a blob, durably. Idempotent."""
        ...

    def discard_segments(self, locations: Iterable[str]) -> None:
        """Remove segments. Idempotent; what cannot be removed now is logged and left to the sweep."""
        ...

    def orphan_candidates(self, older_than_seconds: float) -> Iterator[StoredFile]:
        """Segments and blobs that have been here longer than that, in no order.

        Most of them are in use: only a comparison with the rows tells which are orphans. Nothing is removed.
        """
        ...

    def probe(self) -> None:
        """Write, make durable and remove a few bytes; raises ``BlobStoreFailed`` when that does not work."""
        ...

    def space(self) -> Space:
        """How much room is left."""
        ...
