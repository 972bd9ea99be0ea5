"""Blobs as files of one local file system.

Layout under the data directory; directories 0700, files 0600, every shard made and synced before first use::

    blobs/<algorithm>/<2 hex>/<hex>.<random>    one copy of a blob; <2 hex> begins its digest
    uploads/<2 hex>/<random>                    one segment of an upload; <2 hex> begins <random>

A blob's file appears in one step, by a hard link to a segment that is already synced, and is never written again.
Only a row makes it known, so a file without a row is garbage that the sweep finds.

Syncs (``fsync``; ``fdatasync`` would spare nothing, because a new file's size and blocks need the same journal
commit; both measured 0.3 ms)::

    create_segment, write, discard, open, read    0
    close(is_kept=False)                          1: the file
    close(is_kept=True)                           2: the file, its directory
    place                                         1: the blob's directory (2 where hard links are lacking)
    compose                                       0 for one segment, else 2
    delete                                        1: the blob's directory

A failed sync is never tried again on the same file: the kernel may have dropped the pages it could not write and
report success. The file is thrown away instead.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from moorage.blobs import files
from moorage.blobs.base import BlobForeign, BlobMissing, BlobStoreFailed, Segment, Space, StoredFile
from moorage.blobs.files import Descriptor, failures_of
from moorage.blobs.hashing import Hashes
from moorage.blobs.local_streams import LocalBlobReader, LocalSegmentWriter
from moorage.blobs.locations import (
    SHARDS,
    check_blob,
    check_segment,
    is_blob,
    is_segment,
    new_blob,
    new_segment,
)
from moorage.domain.digest import ALGORITHMS, Digest

#: What file systems answer that cannot link these two places.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK})

#: What opening says to a symbolic link, to a socket, and ``files.open_file`` to whatever else is no regular file.
_FOREIGN = frozenset({errno.ELOOP, errno.ENXIO, errno.EINVAL})

#: Writes that the disk works on at once; more wait here.
_WRITES = 32

_TOP = ("uploads", *(f"blobs/{algorithm}" for algorithm in ALGORITHMS))


class LocalBlobStore:
    """``BlobStore`` in a directory. Keeps no descriptor open, so any number of processes may use one directory."""

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
        """Create what is missing of the layout, durably. ``clock`` gives seconds since 1970.

        Raises ``BlobStoreFailed``, also when one of the directories is a symbolic link.
        """
        self._root = data_dir.absolute()
        #: Joined as text on every pull, where a Path would cost as much as the opening.
        self._prefix = str(self._root)
        self._clock = clock
        self._writes = ThreadPoolExecutor(_WRITES, thread_name_prefix="writes")
        with failures_of("preparing the directories of the store"):
            files.make_directory(data_dir)
            for top in _TOP:
                files.make_shards(data_dir / top, SHARDS)
            for parent in (data_dir / "blobs", data_dir):
                files.sync_directory(parent)

    def create_segment(self, algorithms: Sequence[str] = ("sha256",)) -> LocalSegmentWriter:
        """See ``BlobStore``."""
        hashes = Hashes(algorithms)
        location = new_segment()
        directory, name = self._shard_of(location)
        with failures_of("creating a segment"):
            descriptor = files.create_file(directory, name)
        return LocalSegmentWriter(location, self._root / location, descriptor, hashes, self._writes)

    def compose(
        self, segments: Sequence[Segment], algorithms: Sequence[str]
    ) -> tuple[Segment, dict[str, Digest]]:
        """See ``BlobStore``."""
        for segment in segments:
            check_segment(segment.location)
        if len(segments) == 1:
            hashes = Hashes(algorithms)
            for piece in self._pieces(segments[0]):
                hashes.update(piece)
            return segments[0], hashes.digests()
        writer = self.create_segment(algorithms)
        try:
            for segment in segments:
                for piece in self._pieces(segment):
                    writer.write(piece)
            return writer.close(is_kept=True), writer.digests()
        except BaseException:
            writer.discard()
            raise

    def place(self, segment: Segment, digest: Digest) -> str:
        """See ``BlobStore``. Why a link and not a rename: docs/adr/0002."""
        check_segment(segment.location)
        location = new_blob(digest)
        directory, name = self._shard_of(location)
        try:
            with failures_of("placing a blob"):
                if not self._link(segment, directory, name):
                    self._copy(segment, directory, name)
                os.fsync(directory.number)
        except BaseException:
            files.remove_quietly(self._root / location)
            raise
        return location

    def open(self, location: str) -> LocalBlobReader:
        """See ``BlobStore``. A symbolic link or anything else but a regular file is ``BlobForeign``."""
        check_blob(location)
        return LocalBlobReader(*self._open_file(location))

    def delete(self, location: str) -> None:
        """See ``BlobStore``. Synced even when the file is gone: an earlier attempt may have ended before that."""
        check_blob(location)
        directory, name = self._shard_of(location)
        with failures_of("deleting a blob"):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory.number)
            os.fsync(directory.number)

    def discard_segments(self, locations: Iterable[str]) -> None:
        """See ``BlobStore``. Not synced: what a power cut brings back, the sweep finds."""
        listed = list(locations)
        for location in listed:
            check_segment(location)
        for location in listed:
            files.remove_quietly(self._root / location)

    def orphan_candidates(self, older_than_seconds: float) -> Iterator[StoredFile]:
        """See ``BlobStore``.

        The age counts from the last change of the inode: a link is one, so a blob is as old as its location even
        when it was placed from a segment written days before.
        """
        now = self._clock()
        for top in _TOP:
            for shard in SHARDS:
                for location, changed in self._listed(f"{top}/{shard}"):
                    if now - changed > older_than_seconds:
                        yield StoredFile(location, now - changed)

    def probe(self) -> None:
        """See ``BlobStore``."""
        writer = self.create_segment()
        try:
            writer.write(b"probe")
            writer.close(is_kept=True)
            with failures_of("removing a probe"):
                (self._root / writer.location).unlink()
        finally:
            writer.discard()

    def space(self) -> Space:
        """See ``BlobStore``. What is kept back for the superuser does not count as free."""
        with failures_of("asking for free space"):
            facts = os.statvfs(self._root)
        return Space(
            facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize, facts.f_favail, facts.f_files
        )

    def _shard_of(self, location: str) -> tuple[Descriptor, str]:
        """The open shard directory and the file name of a location. A missing shard is a failure of the store."""
        shard, _, name = location.rpartition("/")
        return files.open_directory(f"{self._prefix}/{shard}"), name

    def _open_file(self, location: str) -> tuple[Descriptor, int]:
        directory, name = self._shard_of(location)
        try:
            return files.open_file(directory, name)
        except FileNotFoundError as error:
            raise BlobMissing(location) from error
        except OSError as error:
            if error.errno in _FOREIGN:
                raise BlobForeign(location) from error
            raise BlobStoreFailed("opening a file of the store", error.errno) from error

    def _pieces(self, segment: Segment) -> Iterator[memoryview]:
        descriptor, _ = self._open_file(segment.location)
        with failures_of("reading a segment"):
            yield from files.read_pieces(descriptor, segment.length)

    def _link(self, segment: Segment, directory: Descriptor, name: str) -> bool:
        """Link the segment's file; False when only a copy will do: it holds more, or links are lacking."""
        _, size = self._open_file(segment.location)
        if size < segment.length:
            raise OSError(errno.EIO, "the segment is shorter than recorded")
        if size > segment.length:
            return False
        source, source_name = self._shard_of(segment.location)
        try:
            os.link(
                source_name,
                name,
                src_dir_fd=source.number,
                dst_dir_fd=directory.number,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        return True

    def _copy(self, segment: Segment, directory: Descriptor, name: str) -> None:
        """Write the file anew; nobody knows its name before ``place`` returns."""
        target = files.create_file(directory, name)
        for piece in self._pieces(segment):
            files.write_all(target, piece)
        os.fsync(target.number)

    def _listed(self, shard: str) -> Iterator[tuple[str, float]]:
        """Locations in one shard and when each came to be; files that vanish meanwhile or are not ours are left out."""
        directory = files.open_directory(self._root / shard)
        with failures_of("listing the store"), os.scandir(directory.number) as entries:
            for entry in entries:
                location = f"{shard}/{entry.name}"
                if not (is_segment(location) or is_blob(location)):
                    continue
                with suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode):
                        yield location, facts.st_ctime
