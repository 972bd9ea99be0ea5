"""Where audit records end up: a file that is rotated, or standard output.

Several processes write to one file: the web workers what was read and refused, the job worker what was changed. Each
appends whole lines under a lock on ``<data>/audit/lock``, which the system lets go of when its holder dies. Under it
one of them at a time looks whether the file is still the one by that name, rotates it when it is full, and mends what
a write that broke off left behind. So any process may be killed at any moment, and any other program may move the
file away.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from moorage.auth.private_files import sync_directory
from moorage.config import Settings
from moorage.domain.audit import MAX_RECORD

#: Seconds that a writer waits for its turn, behind a process that stands still perhaps.
LOCK_SECONDS: Final = 2.0

#: What is written to standard output in one piece: a pipe takes as much without mixing it with others' lines.
PIPE_BYTES: Final = 4096

STANDARD_OUTPUT: Final = "-"


class AuditFailed(Exception):
    """The audit log cannot be written now; the text says why."""


class AuditLog(Protocol):
    """Takes lines of JSON, each with its newline."""

    def append(self, lines: bytes) -> None:
        """Write whole lines, all or none of them. Raises ``AuditFailed``."""

    def sync(self) -> None:
        """When this returns, what was appended survives a power cut. Raises ``AuditFailed``."""


def audit_directory(settings: Settings) -> Path:
    """Where the lock is, and the file unless it is elsewhere."""
    return settings.data_dir / "audit"


def audit_path(settings: Settings) -> Path | None:
    """The file of the audit log, None for standard output."""
    if settings.audit_file == STANDARD_OUTPUT:
        return None
    return Path(settings.audit_file) if settings.audit_file else audit_directory(settings) / "audit.log"


def open_audit_log(settings: Settings) -> AuditLog:
    """The audit log that the settings name. Nothing is opened before it is written to."""
    lock = AuditLock(audit_directory(settings) / "lock")
    path = audit_path(settings)
    if path is None:
        return AuditOutput(lock)
    return AuditFile(path, lock, settings.audit_file_bytes, settings.audit_files_kept)


class AuditLock:
    """Whose turn it is to write, between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def directory(self) -> Path:
        """Where it is, made with it when it is missing."""
        return self._path.parent

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock. Raises ``OSError``, ``TimeoutError`` among them."""
        descriptor = self._open()
        give_up_at = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > give_up_at:
                raise TimeoutError("another process holds the lock of the audit log")
            time.sleep(0.005)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _open(self) -> int:
        if self._descriptor is None:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class AuditFile:
    """Appends to a file; one that is full becomes ``<name>.1``, what was that ``<name>.2``, and so on."""

    def __init__(self, path: Path, lock: AuditLock, most_bytes: int, kept: int) -> None:
        self._path = path
        self._lock = lock
        self._most_bytes = most_bytes
        self._kept = kept
        self._descriptor: int | None = None
        #: Whether the file by that name is known to be found there after a power cut.
        self._is_name_durable = False

    def append(self, lines: bytes) -> None:
        """See ``AuditLog``."""
        try:
            with self._lock.turn():
                self._append(lines)
        except OSError as error:
            raise AuditFailed(f"{self._path}: {error.strerror or error}") from error

    def sync(self) -> None:
        """See ``AuditLog``."""
        try:
            if self._descriptor is not None:
                os.fdatasync(self._descriptor)
                self._sync_name()
        except OSError as error:
            raise AuditFailed(f"{self._path}: {error.strerror or error}") from error

    def _sync_name(self) -> None:
        """Whoever made or rotated the file may have died before that was durable, so each process sees to it."""
        if not self._is_name_durable:
            for directory in (self._path.parent, self._lock.directory.parent):
                sync_directory(directory)
            self._is_name_durable = True

    def _append(self, lines: bytes) -> None:
        descriptor = self._current()
        size = _mend(descriptor)
        if size and size + len(lines) > self._most_bytes:
            # What the others appended to it since they last synced is theirs to sync; this is ours.
            os.fdatasync(descriptor)
            rotate(self._path, self._kept)
            descriptor, size = self._current(), 0
        try:
            _write_all(descriptor, lines)
        except OSError:
            # With the disk full a part may have been written: the next attempt writes all of it.
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def _current(self) -> int:
        """The file by that name, opened again when it is another one by now."""
        if self._descriptor is not None:
            if _is_at(self._descriptor, self._path):
                return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        self._is_name_durable = False
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor


def _mend(descriptor: int) -> int:
    """Take away the line that a killed process began to write; returns the size of the file.

    Nothing is lost that was there: the record of a change is written again, that of a read was not acknowledged.
    """
    size = os.fstat(descriptor).st_size
    begin = max(0, size - 2 * MAX_RECORD)
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        size = begin + os.pread(descriptor, size - begin, begin).rfind(b"\n") + 1
        os.ftruncate(descriptor, size)
    return size


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        named, opened = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def rotated(path: Path, number: int) -> Path:
    """The name of a file that was rotated so many times."""
    return path.with_name(f"{path.name}.{number}")


def rotate(path: Path, kept: int) -> None:
    """Give every file the next number; the oldest goes. Raises ``OSError``."""
    for number in range(kept - 1, 0, -1):
        with suppress(FileNotFoundError):
            rotated(path, number).replace(rotated(path, number + 1))
    path.replace(rotated(path, 1))


class AuditOutput:
    """Writes to standard output, in pieces that are not mixed with those of other processes.

    A line that is longer than such a piece is written under the lock like the others, so that only programs other than
    this server could come in between.
    """

    def __init__(self, lock: AuditLock, descriptor: int = 1) -> None:
        self._lock = lock
        self._descriptor = descriptor

    def append(self, lines: bytes) -> None:
        """See ``AuditLog``. Lines that were written before a failure are written again after it."""
        try:
            with self._lock.turn():
                for piece in _pieces(lines):
                    _write_all(self._descriptor, piece)
        except OSError as error:
            raise AuditFailed(f"standard output: {error.strerror or error}") from error

    def sync(self) -> None:
        """Whoever reads standard output keeps it or not."""


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Whole lines, together as long as a pipe takes them at once."""
    piece = b""
    for line in lines.splitlines(keepends=True):
        if piece and len(piece) + len(line) > PIPE_BYTES:
            yield piece
            piece = b""
        piece += line
    yield piece
