"""Files that only the server's own user may read: the master key and the first credentials."""

import os
import secrets
import stat
from pathlib import Path


class PrivateFileError(Exception):
    """A file that must be private is not, or cannot be used; the text says which and what to do."""


def create_private_file(path: Path, content: bytes) -> bool:
    """Create the file with mode 0600, whole and synced or not at all; False when it exists already.

    The content is written under another name and linked into place, so that no process ever sees a part of
    it and of two that create it at once one wins. Raises ``OSError``.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
    finally:
        draft.unlink()
    sync_directory(path.parent)
    return True


def read_private_file(path: Path, limit: int = 65_536) -> bytes:
    """The content of a file that only its owner may read.

    Raises ``PrivateFileError`` when others may read or write it or it is no ordinary file, ``OSError``.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PrivateFileError(f"{path} is not an ordinary file.")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise PrivateFileError(
                f"{path} may be used by others than its owner (mode {mode:04o}): run `chmod 600 {path}`."
            )
        return file.read(limit)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
