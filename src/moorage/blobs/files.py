"""Files and directories by descriptor: what the local store needs of the operating system.

No symbolic link is followed below the data directory, and nothing but a regular file is opened.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from moorage.blobs.base import BlobStoreFailed

_log = structlog.get_logger(__name__)

#: O_NONBLOCK so that a planted FIFO is refused rather than waited for; it means nothing to regular files.
_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

#: Bytes moved at a time: larger pieces fall out of the processor's cache.
PIECE_BYTES = 1024 * 1024

#: Writes past the page cache begin, end and lie in memory at multiples of this.
ALIGNMENT = 4096

#: Bytes of one write to the page cache. Linux gives each write pages of its own size where it can. Small ones are at
#: hand; large ones come from memory that a virtual machine may first have to get from its host: measured at six times
#: the cost.
WRITE_BYTES = 32 * 1024


class Descriptor:
    """An open file, closed when the last user lets go.

    Closing by number while another thread is about to use that number could hand it somebody else's file.
    A thread that holds this object cannot be robbed of it.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        """What close reports is of no use: what had to be durable was synced before."""
        os.close(self.number)


@contextmanager
def failures_of(doing: str) -> Iterator[None]:
    """Turn any ``OSError`` into ``BlobStoreFailed``, keeping its errno."""
    try:
        yield
    except OSError as error:
        raise BlobStoreFailed(doing, error.errno) from error


def open_directory(path: Path | str) -> Descriptor:
    """Open a directory that is no symbolic link. Raises ``BlobStoreFailed``."""
    try:
        return Descriptor(os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE))
    except OSError as error:
        raise BlobStoreFailed("opening a directory of the store", error.errno) from error


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable. Raises ``BlobStoreFailed``, ``OSError``."""
    directory = open_directory(path)
    os.fsync(directory.number)


def create_file(directory: Descriptor, name: str) -> Descriptor:
    """Create a file that did not exist, for its owner alone. Raises ``OSError``."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE
    return Descriptor(os.open(name, flags, 0o600, dir_fd=directory.number))


def open_file(directory: Descriptor, name: str) -> tuple[Descriptor, int]:
    """Open a regular file for reading; its descriptor and size. Raises ``OSError``.

    Its time of access stays as it is: to write it down takes a place in the file system's journal, for which the event
    loop would wait while a commit is written.
    """
    try:
        number = os.open(name, os.O_RDONLY | os.O_NOATIME | _SAFE, dir_fd=directory.number)
    except PermissionError:  # it is another user's, who lets us read it
        number = os.open(name, os.O_RDONLY | _SAFE, dir_fd=directory.number)
    descriptor = Descriptor(number)
    facts = os.fstat(descriptor.number)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor, facts.st_size


def remove_quietly(path: Path) -> None:
    """Remove a file that no row names; one that stays is an orphan for the sweep, never a wrong answer."""
    try:
        directory = open_directory(path.parent)
        with failures_of("removing a file of the store"), suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=directory.number)
    except BlobStoreFailed as error:
        _log.warning("file_not_removed", file=path.name, error=str(error))


def write_all(descriptor: Descriptor, data: memoryview) -> None:
    """Write every byte, however few the system takes at a time. Raises ``OSError``."""
    while data:
        written = os.write(descriptor.number, data[:WRITE_BYTES])
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        data = data[written:]


def set_direct(descriptor: Descriptor, *, is_direct: bool) -> None:
    """Have writes go straight to the disk, or through the page cache again. Raises ``OSError`` if that is lacking."""
    flags = fcntl.fcntl(descriptor.number, fcntl.F_GETFL)
    fcntl.fcntl(descriptor.number, fcntl.F_SETFL, flags | os.O_DIRECT if is_direct else flags & ~os.O_DIRECT)


def write_direct(descriptor: Descriptor, data: memoryview) -> int:
    """Write an aligned run of bytes to a descriptor that is set to direct; how many the disk took from its start.

    Fewer than all where the rest has to go through the page cache. Raises ``OSError``.
    """
    taken = 0
    while taken < len(data) and taken % ALIGNMENT == 0:
        try:
            written = os.write(descriptor.number, data[taken:])
        except OSError as error:
            # Not this file system, or not this memory.
            if error.errno != errno.EINVAL:
                raise
            break
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        taken += written
    return taken


def begin_flush(descriptor: Descriptor, offset: int, length: int) -> None:
    """Have the system begin to write a range to the disk, without waiting. It promises nothing: only a sync does.

    "Don't need" does that for pages that are not on the disk yet, and leaves them in memory.
    """
    with suppress(OSError):
        os.posix_fadvise(descriptor.number, offset, length, os.POSIX_FADV_DONTNEED)


def read_pieces(descriptor: Descriptor, length: int) -> Iterator[memoryview]:
    """Exactly the first ``length`` bytes, in pieces that are valid until the next is asked for.

    Raises ``OSError``, also when the file ends before that.
    """
    buffer = memoryview(bytearray(min(length, PIECE_BYTES)))
    while length:
        read = os.readv(descriptor.number, [buffer[:length]])
        if not read:
            raise OSError(errno.EIO, "the file is shorter than recorded")
        yield buffer[:read]
        length -= read


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, durably. Raises ``OSError``."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        sync_directory(each.parent)


def make_shards(path: Path, names: tuple[str, ...]) -> None:
    """Create what is missing of a directory's shards.

    It is synced even when nothing was missing: who made them may have died before that. Raises ``OSError``.
    """
    make_directory(path)
    directory = open_directory(path)
    for name in set(names).difference(each.name for each in path.iterdir()):
        # Another process may be preparing the same directory.
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=directory.number)
    os.fsync(directory.number)
