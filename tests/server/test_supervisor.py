"""The supervisor and its workers as real processes on loopback."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moorage.cli.checks import check_ports
from moorage.config import Settings

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


class Served:
    """A running tiny_serve."""

    def __init__(self, data_dir: Path, workers: int = 1, drain: int = 10, *more: str) -> None:
        self.data_dir = data_dir
        self.log = (data_dir / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.tiny_serve", str(data_dir), str(workers), str(drain), *more],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        return int(self.line)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def worker(self) -> int:
        return int(self.get("/pid"))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.end()


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_killed_worker_is_replaced(served: Served) -> None:
    """After kill -9 of the worker another one serves the same port."""
    first = served.worker()
    os.kill(first, signal.SIGKILL)
    assert served.worker() != first


def test_workers_end_when_the_supervisor_is_killed(served: Served) -> None:
    """No worker outlives its supervisor, even one that dies without a word."""
    worker = served.worker()
    served.process.kill()
    assert eventually(lambda: not is_alive(worker))


def test_the_lock_is_held_until_the_last_worker_is_gone(served: Served) -> None:
    """A worker whose supervisor was killed still keeps a second server off the data directory."""
    worker = served.worker()
    os.kill(worker, signal.SIGSTOP)
    served.process.kill()
    served.process.wait()
    second = Served(served.data_dir)
    second.end()
    os.kill(worker, signal.SIGCONT)
    assert second.line == b""
    assert eventually(lambda: not is_alive(worker))


def test_a_second_server_on_the_data_directory_is_refused(served: Served) -> None:
    """The refusal names the directory and the process that has it."""
    second = Served(served.data_dir)
    second.end()
    text = (served.data_dir / "log").read_text()
    assert second.process.returncode != 0
    assert f"in use by another moorage serve (process {served.process.pid})" in text


def test_sigterm_lets_a_running_request_finish(served: Served) -> None:
    """A request that runs when the server is told to stop gets its whole answer; the exit code is 0."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(served.get("/slow?1.5")))
    thread.start()
    time.sleep(0.5)
    served.process.send_signal(signal.SIGTERM)
    thread.join(PATIENCE)
    assert answers == ["slept"]
    assert served.process.wait(PATIENCE) == 0


def test_a_stop_says_what_it_waits_for_and_when_it_is_over(served: Served) -> None:
    """Whoever pressed Ctrl-C sees nothing else meanwhile."""
    served.worker()
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in (served.data_dir / "log").read_text().splitlines()]
    (begun,) = [line for line in lines if line["event"] == "stop_begun"]
    assert begun["note"] == "running requests have up to 10 seconds to end; a second signal ends them at once"
    assert (lines[-1]["event"], lines[-1]["exit_code"]) == ("stopped", 0)


def test_doctor_knows_a_server_of_another_data_directory(served: Served, tmp_path: Path) -> None:
    """It is not told to be some other program."""
    settings = Settings(data_dir=tmp_path / "other", listen=(f"127.0.0.1:{served.port}",))
    finding = check_ports(settings)
    assert finding.status == "fail"
    assert finding.text == f"127.0.0.1:{served.port} is taken by a program that answers as a Moorage does"
    assert finding.advice == "Ask with the --data-dir of that server, or choose another port with --listen."


def test_a_stopping_server_takes_no_new_connection(served: Served) -> None:
    """While old requests drain, new connections are refused rather than left hanging."""
    thread = threading.Thread(target=lambda: served.get("/slow?2"))
    thread.start()
    time.sleep(0.5)
    served.process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
    thread.join(PATIENCE)


def test_a_second_signal_stops_quickly(served: Served) -> None:
    """A second SIGTERM does not wait for the request that the first one waits for."""

    def ask() -> None:
        with pytest.raises((urllib.error.HTTPError, OSError)):
            served.get("/slow?15")

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    assert time.monotonic() - begun < 8
    thread.join(PATIENCE)


def test_a_worker_that_cannot_start_ends_the_server(tmp_path: Path) -> None:
    """A server none of whose workers can start gives up with exit code 1 rather than trying for ever."""
    server = Served(tmp_path, 1, 1, "tests.server.no_such_module")
    assert server.line == b""
    assert server.process.wait(PATIENCE) == 1
    server.end()


def test_metrics_sum_all_workers(tmp_path: Path) -> None:
    """The page of any worker counts the requests of all."""
    server = Served(tmp_path, 2)
    try:
        first = server.worker()
        os.kill(first, signal.SIGSTOP)
        second = server.worker()
        os.kill(first, signal.SIGCONT)
        assert first != second
        total = 'ecr_http_requests_total{api="json",code="200",op=""} 2.0'
        assert eventually(lambda: total in server.get("/metrics"))
    finally:
        server.end()


def test_workers_carry_no_settings_in_their_arguments_and_environment(served: Served) -> None:
    """Secrets among the settings must not show in the process list."""
    worker = Path(f"/proc/{served.worker()}")
    visible = (worker / "cmdline").read_bytes() + (worker / "environ").read_bytes()
    assert b"data_dir" not in visible
    assert b"root_secret" not in visible


def test_workers_share_connections_that_come_one_after_the_other(tmp_path: Path) -> None:
    """Left to the kernel one worker gets most of them, and its clients wait while the other has nothing to do."""
    server = Served(tmp_path, workers=2)
    clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(16)]
    try:
        served_by = Counter(_asked(client) for client in clients)
        for client in clients[::2]:
            client.close()
        again = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(8)]
        clients += again
        for client in again:
            _asked(client)
        assert min(served_by.values()) >= 4
        assert len(served_by) == 2
        left = Counter(_asked(client) for client in (*clients[1:16:2], *again))
        assert min(left.values()) >= 4
        assert len(left) == 2
    finally:
        for client in clients:
            client.close()
        server.end()


def _asked(client: http.client.HTTPConnection) -> str:
    """The process that a connection is served by, asked over it."""
    client.request("GET", "/pid")
    return client.getresponse().read().decode()
