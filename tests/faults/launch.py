"""``moorage`` with calls of the operating system that fail on order.

    python -m tests.faults.launch CONTROL_DIRECTORY serve --data-dir …

Nothing in the product knows of it: the functions of ``os`` that it calls, and the file methods of the SQLite that it
carries, are replaced here before the ordinary entry point runs; the processes that it forks inherit that. What is
named by a step is a call and what it acts on: ``sync segment``, ``link blob``, ``write log``. Of calls that come in
runs, as the writes of one segment do, the first counts.

Time is shortened in two places, or tests would wait for minutes: the job that removes stale uploads runs every
second, and times of pulls are not written while a test lasts, lest they take a failure that was meant for a push.
"""

import errno
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from moorage import wiring
from moorage.cli import main
from moorage.jobs.schedule import Periodic
from moorage.transfers import pulls
from tests.faults import sqlite_files
from tests.faults.control import EIO, ENOSPC, EXIT, EXIT_AFTER, TRACE, Control, Order

ERRORS: Final = {EIO: errno.EIO, ENOSPC: errno.ENOSPC}

#: Calls that come in runs.
RUNS: Final = frozenset({"write", "read", "unlink", "flush"})

_TARGETS: Final = (
    (re.compile(r".*/uploads/[0-9a-f]{2}/[0-9a-f]{32}"), "segment"),
    (re.compile(r".*/uploads/[0-9a-f]{2}"), "segment directory"),
    (re.compile(r".*/blobs/\w+/[0-9a-f]{2}/[0-9a-f]+\.[0-9a-f]{32}"), "blob"),
    (re.compile(r".*/blobs/\w+/[0-9a-f]{2}"), "blob directory"),
)


def target_of(path: str) -> str:
    """What lies at a path of the data directory; empty for what no step is about."""
    path = path.removesuffix(" (deleted)")
    return next((name for pattern, name in _TARGETS if pattern.fullmatch(path)), "")


class Saboteur:
    """Decides for each call whether it is to fail."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._lock = threading.RLock()
        self._version = 0
        self._order: Order | None = None
        self._counts: Counter[str] = Counter()
        self._last: dict[str, str] = {}

    def before(self, call: str, target: str, what: str) -> bool:
        """Called before a call on a target. Raises ``OSError``; True when the process is to end after the call."""
        if not target:
            return False
        with self._lock:
            order = self._current()
            if order is None:
                return False
            step = f"{call} {target}"
            is_new = not (call in RUNS and self._last.get(target) == call)
            self._last[target] = call
            self._counts[step] += is_new
            if is_new:
                self._control.note(step)
            is_hit = step == order.step and (
                self._counts[step] >= order.nth
                if order.is_standing
                else is_new and self._counts[step] == order.nth
            )
            return is_hit and self._strike(order, step, what)

    def lacks_links(self) -> bool:
        """Whether linking is to be refused as by a file system that cannot."""
        with self._lock:
            order = self._current()
            return order is not None and order.lacks_links

    def _current(self) -> Order | None:
        version = self._control.version()
        if version != self._version:
            self._version = version
            self._counts.clear()
            self._last.clear()
            self._order = self._read()
        return self._order

    def _read(self) -> Order | None:
        try:
            order = self._control.read()
        except FileNotFoundError:
            return None
        return order if Path("/proc/self/comm").read_text().startswith(order.process) else None

    def _strike(self, order: Order, step: str, what: str) -> bool:
        if order.action == TRACE:
            return False
        self._control.note(f"FAILED {step} of {what}")
        if order.action == EXIT:
            end_everything()
        if order.action in ERRORS:
            raise OSError(ERRORS[order.action], os.strerror(ERRORS[order.action]))
        return order.action == EXIT_AFTER


def end_everything() -> None:
    """End this process and its supervisor at once, as a kill would; the others follow by themselves."""
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(86)


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - text is what the patterns take


def _path_at(name: Any, directory: int | None) -> str:
    text = os.fspath(name)
    return text if directory is None else f"{_path_of(directory)}/{text}"


class OsCalls:
    """Replaces what the product calls in ``os``."""

    def __init__(self, saboteur: Saboteur) -> None:
        self._saboteur = saboteur

    def install(self) -> None:
        """Replace them."""
        for name, call in (
            ("write", "write"),
            ("fsync", "sync"),
            ("posix_fadvise", "flush"),
            ("readv", "read"),
            ("pread", "read"),
            ("preadv", "read"),
        ):
            setattr(os, name, partial(self._on_descriptor, getattr(os, name), call))
        for name, replacement in (("open", self._open), ("unlink", self._unlink), ("link", self._link)):
            setattr(os, name, partial(replacement, getattr(os, name)))

    def _around(self, call: str, path: str, original: Callable[[], Any]) -> Any:
        is_last = self._saboteur.before(call, target_of(path), path)
        result = original()
        if is_last:
            end_everything()
        return result

    def _on_descriptor(self, original: Any, call: str, descriptor: int, *arguments: Any) -> Any:
        # Most of what is written are answers and lines of the log.
        path = _path_of(descriptor)
        return self._around(call, path, lambda: original(descriptor, *arguments))

    def _open(self, original: Any, path: Any, flags: int, *arguments: Any, dir_fd: int | None = None) -> Any:
        if not flags & os.O_CREAT:
            return original(path, flags, *arguments, dir_fd=dir_fd)
        at = _path_at(path, dir_fd)
        return self._around("create", at, lambda: original(path, flags, *arguments, dir_fd=dir_fd))

    def _unlink(self, original: Any, path: Any, *, dir_fd: int | None = None) -> None:
        self._around("unlink", _path_at(path, dir_fd), lambda: original(path, dir_fd=dir_fd))

    def _link(self, original: Any, source: Any, target: Any, **options: Any) -> None:
        at = _path_at(target, options.get("dst_dir_fd"))
        if target_of(at) and self._saboteur.lacks_links():
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        self._around("link", at, lambda: original(source, target, **options))


def install(control: Control) -> None:
    """Have everything that this process and its children do pass by the saboteur."""
    saboteur = Saboteur(control)
    OsCalls(saboteur).install()
    sqlite_files.install(saboteur.before, end_everything)
    pulls.FLUSH_SECONDS = 3600.0
    setattr(wiring, "Periodic", lambda name, every, run: Periodic(name, min(every, 1.0), run))  # noqa: B010


if __name__ == "__main__":
    install(Control(Path(sys.argv.pop(1))))
    main()
