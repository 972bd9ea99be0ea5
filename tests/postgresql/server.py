"""A PostgreSQL server to throw away: started on loopback, stopped at any time, gone at the end.

``python -m tests.postgresql.server COMMAND …`` runs a command with ``MOORAGE_TEST_DATABASE`` naming one. The directories
of its tests are in memory too: the same tests run on a disk with SQLite.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.serving import free_port
from tests.support.postgresql import VARIABLE
from tests.support.scratch import IN_MEMORY

#: Nothing here has to survive a power cut, and a test cannot wait for a disk.
_OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses='127.0.0.1'")


def binaries() -> Path:
    """Where the newest server's programs are, as Debian installs them. Raises ``FileNotFoundError``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise FileNotFoundError("no PostgreSQL server is installed here: .ci/install postgresql")
    return Path(on_path).parent


class Server:
    """One server with a directory and a port of its own."""

    def __init__(self, *options: str) -> None:
        """Initialized, not yet started. ``options`` are further settings of ``postgresql.conf``."""
        self._bin = binaries()
        self._directory = Path(tempfile.mkdtemp(prefix="moorage-postgresql-", dir=IN_MEMORY))
        if os.getuid() == 0:
            shutil.chown(self._directory, "postgres")
        self._data = self._directory / "data"
        self.port = free_port()
        self._call(
            "initdb", "--auth=trust", "--username=moorage", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8"
        )
        lines = [*_OPTIONS, *options, f"port={self.port}", f"unix_socket_directories='{self._directory}'"]
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def url(self, database: str = "postgres") -> str:
        """How to reach one of its databases. The password is not needed, and must never be seen."""
        return f"postgresql://moorage:hush-hush@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when it takes connections."""
        self._call("pg_ctl", "start", "--wait", f"--log={self._directory / 'log'}")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: as if it had crashed. ``fast``: every client is told that it goes."""
        self._call("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def kill(self) -> None:
        """SIGKILL to all its processes at once; returns when they are gone, so that it can be started again."""
        processes = self._processes()
        for process_id in processes:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        # A zombie counts as running to the next server, which would not start.
        while any(Path(f"/proc/{process_id}").exists() for process_id in processes):
            time.sleep(0.01)

    def freeze(self) -> None:
        """Nothing is answered any more, and nothing is refused."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process_id in self._processes():
            os.kill(process_id, number)

    def _processes(self) -> list[int]:
        """The postmaster first, so that it starts nothing in place of the others."""
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True, check=True
        ).stdout.split()
        return [postmaster, *map(int, children)]

    def remove(self) -> None:
        """Stop it if it runs, and leave nothing behind."""
        if (self._data / "postmaster.pid").exists() and Path(f"/proc/{self._processes()[0]}").exists():
            self.stop()
        shutil.rmtree(self._directory)

    def _call(self, program: str, *arguments: str) -> None:
        # The server refuses to run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*user, str(self._bin / program), f"--pgdata={self._data}", *arguments]
        with (self._directory / "calls").open("ab") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{(self._directory / 'calls').read_text()}")


@contextmanager
def running(*options: str) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(*options)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def main(command: Sequence[str]) -> int:
    """See the module; the exit status of the command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running() as server, subprocess.Popen(command, env=os.environ | _variables(server)) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            return process.wait()


def _variables(server: Server) -> dict[str, str]:
    directories = {} if IN_MEMORY is None else {"PYTEST_DEBUG_TEMPROOT": str(IN_MEMORY)}
    return {VARIABLE: server.url()} | directories


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
