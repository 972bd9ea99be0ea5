"""Open files of the local blob store: a segment being written, a blob being read."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage.blobs import files
from moorage.blobs.base import BlobStoreFailed, Segment
from moorage.blobs.files import Descriptor, failures_of
from moorage.blobs.hashing import Hashes
from moorage.domain.digest import Digest

#: The disk is set to work each time so much was written, or all of it would be left to the sync at the end.
FLUSH_BYTES = 16 * 1024 * 1024


class LocalSegmentWriter:
    """``SegmentWriter`` on a file that nobody else knows."""

    __slots__ = ("_descriptor", "_flushed", "_hashes", "_path", "length", "location")

    def __init__(self, location: str, path: Path, descriptor: Descriptor, hashes: Hashes) -> None:
        self.location = location
        self.length = 0
        self._flushed = 0
        self._path = path
        self._descriptor: Descriptor | None = descriptor
        self._hashes = hashes

    def write(self, data: bytes | memoryview) -> None:
        """See ``SegmentWriter``."""
        descriptor = self._opened()
        view = memoryview(data).cast("B")
        with self._discarding_on_failure("writing a segment"):
            files.write_all(descriptor, view)
        self._hashes.update(view)
        self.length += len(view)
        if self.length - self._flushed >= FLUSH_BYTES:
            files.begin_flush(descriptor, self._flushed, self.length - self._flushed)
            self._flushed = self.length

    def digests(self) -> dict[str, Digest]:
        """See ``SegmentWriter``."""
        return self._hashes.digests()

    def close(self, *, is_kept: bool) -> Segment:
        """See ``SegmentWriter``. One sync, two with ``is_kept``."""
        descriptor = self._opened()
        with self._discarding_on_failure("syncing a segment"):
            os.fsync(descriptor.number)
            if is_kept:
                files.sync_directory(self._path.parent)
        self._descriptor = None
        return Segment(self.location, self.length)

    def discard(self) -> None:
        """See ``SegmentWriter``."""
        self._descriptor = None
        files.remove_quietly(self._path)

    @contextmanager
    def _discarding_on_failure(self, doing: str) -> Iterator[None]:
        """After a failed write or sync nobody knows what the file holds."""
        try:
            with failures_of(doing):
                yield
        except BlobStoreFailed:
            self.discard()
            raise

    def _opened(self) -> Descriptor:
        descriptor = self._descriptor
        if descriptor is None:
            raise ValueError("the segment is closed or discarded")
        return descriptor


class LocalBlobReader:
    """``BlobReader`` on a file, which stays readable after its name is gone."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: Descriptor, size: int) -> None:
        self.size = size
        self._descriptor: Descriptor | None = descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        """See ``BlobReader``. One system call as a rule."""
        descriptor = self._opened()
        wanted = self._wanted(offset, length)
        with failures_of("reading a blob"):
            data = os.pread(descriptor.number, wanted, offset)
            while len(data) < wanted:
                more = os.pread(descriptor.number, wanted - len(data), offset + len(data))
                if not more:
                    raise OSError(errno.EIO, "the blob was cut short while it was open")
                data += more
        return data

    def read_cached_at(self, offset: int, length: int) -> bytes | None:
        """See ``BlobReader``. None, too, where the file system cannot tell."""
        descriptor = self._opened()
        wanted = self._wanted(offset, length)
        # Reading into a BytesIO and taking its value moves the bytes once; a bytearray would need a copy.
        stream = io.BytesIO(bytes(wanted))
        with stream.getbuffer() as buffer:
            try:
                read = os.preadv(descriptor.number, [buffer], offset, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
                    return None
                raise BlobStoreFailed("reading a blob", error.errno) from error
        return stream.getvalue() if read == wanted else None

    def close(self) -> None:
        """See ``BlobReader``."""
        self._descriptor = None

    def _wanted(self, offset: int, length: int) -> int:
        if offset < 0 or length < 0:
            raise ValueError("offset and length count from zero")
        return max(0, min(length, self.size - offset))

    def _opened(self) -> Descriptor:
        descriptor = self._descriptor
        if descriptor is None:
            raise ValueError("the blob is closed")
        return descriptor
