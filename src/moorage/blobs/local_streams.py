"""Open files of the local blob store: a segment being written, a blob being read."""

import errno
import io
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from moorage.blobs import files
from moorage.blobs.base import BlobStoreFailed, Segment
from moorage.blobs.files import Descriptor, failures_of
from moorage.blobs.hashing import Hashes
from moorage.domain.digest import Digest

#: The disk is set to work each time so much was written, or all of it would be left to the sync at the end.
FLUSH_BYTES = 16 * 1024 * 1024


#: Shorter pieces are not worth a wait for the disk.
DIRECT_BYTES = 256 * 1024


class LocalSegmentWriter:
    """``SegmentWriter`` on a file that nobody else knows.

    Large pieces go past the page cache (docs/adr/0008), each being written while it is hashed.
    """

    __slots__ = (
        "_beside", "_can_be_direct", "_descriptor", "_flushed", "_hashes", "_is_direct", "_path", "length", "location",
    )  # fmt: skip

    def __init__(
        self, location: str, path: Path, descriptor: Descriptor, hashes: Hashes, beside: Executor
    ) -> None:
        """``beside`` runs writes."""
        self.location = location
        self.length = 0
        self._flushed = 0
        self._can_be_direct = True
        self._is_direct = False
        self._path = path
        self._descriptor: Descriptor | None = descriptor
        self._hashes = hashes
        self._beside = beside

    def write(self, data: bytes | memoryview) -> None:
        """See ``SegmentWriter``."""
        descriptor = self._opened()
        view = memoryview(data).cast("B")
        with self._discarding_on_failure("writing a segment"):
            if self._turn_direct(descriptor, view):
                self._write_beside(descriptor, view)
            else:
                files.write_all(descriptor, view)
                self._hashes.update(view)
        self.length += len(view)
        if self.length - self._flushed >= FLUSH_BYTES:
            files.begin_flush(descriptor, self._flushed, self.length - self._flushed)
            self._flushed = self.length

    def _turn_direct(self, descriptor: Descriptor, view: memoryview) -> bool:
        """Whether this piece goes past the page cache, and the descriptor set to that."""
        is_aligned = not (self.length | len(view)) % files.ALIGNMENT
        wanted = self._can_be_direct and is_aligned and len(view) >= DIRECT_BYTES
        if wanted is not self._is_direct:
            try:
                files.set_direct(descriptor, is_direct=wanted)
            except OSError:
                # The file system knows no such writes.
                self._can_be_direct = wanted = False
            self._is_direct = wanted
        return wanted

    def _write_beside(self, descriptor: Descriptor, view: memoryview) -> None:
        """Write and hash at once; ``view`` is nobody's business any more when this returns."""
        writing = self._beside.submit(files.write_direct, descriptor, view)
        try:
            self._hashes.update(view)
        finally:
            taken = writing.result()
        if taken < len(view):
            files.set_direct(descriptor, is_direct=False)
            self._can_be_direct = self._is_direct = False
            files.write_all(descriptor, view[taken:])

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
