"""Whose turn it is to write to a database file: ``write.lock`` beside it, one holder among all processes.

The kernel queues those that wait, so none of them starves. It has no time-out: whoever must not wait for ever
behind a process that stands still asks ``holder`` whom to name, and gives up by other means.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.02


class WriteLock:
    """A descriptor of the lock that goes with the database file at ``path``, made unless it is there."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``."""
        self.path = path.with_name("write.lock")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        """Wait until it is this process's turn, however long that takes."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let the next one write."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Hold the lock. Raises ``TimeoutError`` that names the holder after so many seconds.

        It asks again and again, out of turn, so it is for the beginning and the end of a process.
        """
        until = time.monotonic() + seconds
        while not self._is_ours():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.path} is held by {self.holder()}")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self.release()

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def holder(self) -> str:
        """Who has the lock, as far as the system tells, for a log line or a sentence."""
        try:
            process_id = self._holding_process()
            if process_id:
                name, state = _name_and_state(process_id)
                return f"process {process_id} ({name}, {state})"
        except (OSError, ValueError, IndexError):
            # It may have ended meanwhile, or there is no such information here.
            return "another process"
        return "another process"

    def _holding_process(self) -> int:
        """Its id, 0 when none is found: one of another container is not shown."""
        facts = os.fstat(self._descriptor)
        file = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            # "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; those that wait have an arrow after the number.
            words = line.split()
            if words[1] == "FLOCK" and words[5] == file:
                return int(words[4])
        return 0

    def close(self) -> None:
        """Let go of the descriptor, and of the lock with it."""
        os.close(self._descriptor)


def _name_and_state(process_id: int) -> tuple[str, str]:
    """A process's name and what it does: proc(5), ``/proc/<pid>/stat``."""
    name, _, rest = Path(f"/proc/{process_id}/stat").read_text().partition("(")[2].rpartition(")")
    states = {"T": "stopped", "t": "stopped by a debugger", "D": "waiting for a disk", "Z": "dead"}
    return name, states.get(rest.split()[0], "running")
