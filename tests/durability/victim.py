"""The server that is killed: its processes, how they end, and how soon it is back.

Its processes are known by a random mark in their environment, which every child inherits, so that nothing else is
ever killed, and an orphan is still found.
"""

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from moorage.metadata.postgresql import PAUSE_SECONDS
from tests.durability.journal import Violation
from tests.serving import Credentials, answers, command

MARK = "KILL_ROUNDS_MARK"
WORKERS = 2

#: The promise: from the start of the program to an answer of /readyz.
RESTART_SECONDS = 5.0

#: When the parent is gone its children have five seconds to end; the rest is for a busy machine.
ORPHAN_SECONDS = 8.0
REPLACED_SECONDS = 5.0
STOP_SECONDS = 75.0

#: The promise: from a database that is back to an answer of /readyz.
DATABASE_SECONDS = 10.0
#: For an attempt to connect that was under way when the database came back.
AFTER_PAUSE_SECONDS = 0.2


class Kill(StrEnum):
    """What is killed."""

    WORKER = "one worker"
    PARENT = "the parent alone"
    EVERYTHING = "all processes"
    POWER = "the power"
    DATABASE = "the database, all its processes"
    DATABASE_CRASH = "the database, stopped at once"


@dataclass
class Seconds:
    """How long things took."""

    restart: list[float] = field(default_factory=list)
    orphans: list[float] = field(default_factory=list)
    replaced: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)


class Victim:
    """A ``moorage serve`` on one data directory, started again and again."""

    def __init__(
        self,
        data_dir: Path,
        log: Path,
        address: str,
        seconds: Seconds,
        module: Sequence[str] = (),
        restart_seconds: float = RESTART_SECONDS,
        workers: int = WORKERS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.address = address
        self.log = log
        self._seconds = seconds
        self._module = tuple(module)
        self._restart_seconds = restart_seconds
        self._workers = str(workers)
        self._environment = dict(environment or {})
        self._mark = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed_worker = 0
        self._other_workers: set[int] = set()

    @property
    def credentials(self) -> Credentials:
        """The root access key that the first start made."""
        return Credentials.read(self.data_dir)

    def start(self, *, is_counted: bool = True) -> None:
        """Start it and wait until it is ready. Raises ``Violation`` when that takes too long."""
        began = time.monotonic()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command(self.data_dir, self.address, "--workers", self._workers, module=self._module),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | self._environment | {MARK: self._mark},
                start_new_session=True,
            )
        took = self._wait("ready again", 4 * self._restart_seconds, self._is_ready, began)
        if is_counted:
            self._seconds.restart.append(took)
            if took > self._restart_seconds:
                load, _, _ = os.getloadavg()
                raise Violation(
                    f"the restart took {took:.2f} s, over {self._restart_seconds} s (load average {load:.1f}, "
                    f"{os.cpu_count()} cores)"
                )

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise Violation(f"it did not start: status {self._process.returncode}\n{complaints(self.log)}")
        return answers(f"http://{self.address}/readyz")

    def kill(self, what: Kill, chance: random.Random) -> None:
        """Kill -9, and return at once."""
        if what is Kill.WORKER:
            workers = self.web_workers()
            self._killed_worker = chance.choice(sorted(workers))
            self._other_workers = workers - {self._killed_worker}
            os.kill(self._killed_worker, signal.SIGKILL)
            return
        children = self.processes()
        self._parent().kill()  # first, so that it starts nothing in place of the others
        for process_id in () if what is Kill.PARENT else children:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def await_end(self) -> None:
        """Wait until every process is gone, after the parent was killed. Raises ``Violation``."""
        began = time.monotonic()
        self._parent().wait()
        took = self._wait("gone after its parent", ORPHAN_SECONDS, lambda: not self.processes(), began)
        self._seconds.orphans.append(took)

    def await_replacement(self) -> None:
        """Wait until a new worker serves in place of the killed one. Raises ``Violation``.

        The others are stopped meanwhile, so that nobody else can give the answer.
        """
        began = time.monotonic()
        known = self._other_workers | {self._killed_worker}
        self._wait("replaced", REPLACED_SECONDS, lambda: bool(self.web_workers() - known), began)
        try:
            for process_id in self._other_workers:
                os.kill(process_id, signal.SIGSTOP)
            took = self._wait(
                "serving by a new worker",
                REPLACED_SECONDS,
                lambda: answers(f"http://{self.address}/livez"),
                began,
            )
        finally:
            for process_id in self._other_workers:
                os.kill(process_id, signal.SIGCONT)
        self._seconds.replaced.append(took)

    def await_database(self) -> None:
        """Wait until it is ready again, its database having come back. Raises ``Violation``.

        One of its workers has said so. Another may have been refused by the database just before, and asks it no
        sooner than after a pause.
        """
        took = self._wait("ready after its database", DATABASE_SECONDS, self._is_ready, time.monotonic())
        self._seconds.database.append(took)
        time.sleep(PAUSE_SECONDS + AFTER_PAUSE_SECONDS)

    def check_alive(self) -> None:
        """A connection made now is served. Raises ``Violation``."""
        if not answers(f"http://{self.address}/livez"):
            raise Violation("the server does not answer after one of its workers was killed")

    def stop(self) -> None:
        """Stop it in order. Raises ``Violation`` unless it ends with status 0."""
        process = self._parent()
        process.terminate()
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Violation(f"it did not stop within {STOP_SECONDS} s\n{complaints(self.log)}") from None
        if status:
            raise Violation(f"it stopped with status {status}\n{complaints(self.log)}")

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for process_id in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def web_workers(self) -> set[int]:
        """The process ids of the web workers."""
        return {one for one in self.processes() if _read(one, "comm").startswith("moorage-web")}

    def processes(self) -> set[int]:
        """The process ids of all that runs of this server, its parent aside."""
        mark = f"{MARK}={self._mark}"
        return {
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and mark in _read(int(entry.name), "environ").split("\0")
        } - {self._parent().pid}

    def _parent(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was never started")
        return self._process

    def _wait(self, what: str, limit: float, is_so: Callable[[], bool], began: float) -> float:
        """Poll; returns the seconds since ``began``. Raises ``Violation`` after ``limit``."""
        while not is_so():
            if time.monotonic() - began > limit:
                raise Violation(f"it is not {what} within {limit} s\n{complaints(self.log)}")
            time.sleep(0.01)
        return time.monotonic() - began


def complaints(log: Path) -> str:
    """The last lines of a log that are not about requests."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if '"level":"info"' not in line and '"level"' in line][-10:])


def _read(process_id: int, name: str) -> str:
    """A file of a process; empty when the process is gone, or another user's."""
    try:
        return Path(f"/proc/{process_id}/{name}").read_text(errors="replace")
    except OSError:
        return ""
