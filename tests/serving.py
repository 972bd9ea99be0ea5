"""Starts a real ``moorage serve`` for tests that need processes and sockets, and ends it again.

Unit tests do not come here: they build the application in their own process.
"""

import configparser
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "us-east-1"
START_SECONDS = 30
STOP_SECONDS = 90


@dataclass(frozen=True)
class Credentials:
    """An access key, as the credentials file of a data directory holds it."""

    access_key_id: str
    secret_access_key: str

    @classmethod
    def read(cls, data_dir: Path) -> "Credentials":
        """The default profile of ``<data>/credentials``; ``KeyError`` where it is missing."""
        file = configparser.ConfigParser()
        file.read(data_dir / "credentials")
        profile = file["default"]
        return cls(profile["aws_access_key_id"], profile["aws_secret_access_key"])


@dataclass(frozen=True)
class Served:
    """A running server: where it listens, what it stores and where it logs."""

    address: str
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The endpoint over plain HTTP."""
        return f"http://{self.address}"

    @property
    def credentials(self) -> Credentials:
        """The root access key that the first start made."""
        return Credentials.read(self.data_dir)


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(data_dir: Path, address: str, *flags: str, module: Sequence[str] = ()) -> list[str]:
    """The command line of a server in this interpreter's environment.

    ``module`` and its arguments are run in place of the ``moorage`` program: it ends in the same entry point.
    """
    program = [sys.executable, "-m", *module] if module else [str(Path(sys.executable).parent / "moorage")]
    return [*program, "serve", "--data-dir", str(data_dir), "--listen", address, *flags]


@contextmanager
def serve(directory: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server on a fresh loopback port, its data and its log under ``directory``; stopped on leaving.

    Raises ``RuntimeError`` with the end of the log when it does not become ready or does not stop.
    """
    address = f"127.0.0.1:{free_port()}"
    with running(
        command(directory / "data", address, *flags), directory / "server.log", environment
    ) as process:
        served = Served(address, directory / "data", directory / "server.log", process)
        wait_until_ready(lambda: answers(f"{served.url}/readyz"), process, served.log)
        yield served


@contextmanager
def running(
    argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as the block, its output in ``log``; SIGTERM first, SIGKILL if it stays."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"{argv[0]} did not stop within {STOP_SECONDS} s\n{tail(log)}") from None


def wait_until_ready(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once ``ready`` says so; ``RuntimeError`` when the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"ended with status {process.returncode} while starting\n{tail(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready within {START_SECONDS} s\n{tail(log)}")
        time.sleep(0.05)


def tail(log: Path, lines: int = 40) -> str:
    """The last lines of a log, for the message of a failure."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def answers(url: str) -> bool:
    """Whether a GET of ``url`` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
