"""``<data>/moorage.lock``: one server at a time on a data directory, or several that share a PostgreSQL database."""

import fcntl
import os
from pathlib import Path

FILE_NAME = "moorage.lock"


class DataDirectoryBusy(Exception):
    """Another server runs on this data directory; ``process_id`` is its supervisor, 0 when it did not say."""

    def __init__(self, data_dir: Path, process_id: int) -> None:
        self.process_id = process_id
        who = f" (process {process_id})" if process_id else ""
        super().__init__(
            f"{data_dir} is in use by another moorage serve{who}; stop it, or choose another directory with --data-dir"
        )


class DataLock:
    """Holds the lock until closed. Workers inherit ``descriptor``, so it is free only once all of them are gone."""

    def __init__(self, data_dir: Path, *, is_shared: bool = False) -> None:
        """Take the lock, ``is_shared`` beside others that share it.

        Raises ``DataDirectoryBusy``, ``OSError`` when the directory cannot be written.
        """
        path = data_dir / FILE_NAME
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            process_id = _read_process_id(self.descriptor)
            os.close(self.descriptor)
            raise DataDirectoryBusy(data_dir, process_id) from None
        os.ftruncate(self.descriptor, 0)
        os.write(self.descriptor, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self.descriptor)


def find_holder(data_dir: Path) -> int | None:
    """The process id of the server on this data directory, 0 when it did not say, None when there is none.

    Raises ``OSError`` when the lock file is there but cannot be read.
    """
    try:
        descriptor = os.open(data_dir / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_process_id(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_process_id(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
