"""A process with more connections than it takes, over real sockets."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from moorage.cli.certificates import KeyPair, make_authority
from moorage.web.crowd import bounded
from moorage.web.descriptors import SPARE_CONNECTIONS
from moorage.web.limits import Limits
from tests.server.in_thread import PATIENCE, served

MOST = 3
QUICK = 0.05


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A served tiny application that takes three connections."""
    yield from serve(tmp_path, idle_seconds=60)


@pytest.fixture
def quick_port(tmp_path: Path) -> Iterator[int]:
    """The same, where whoever was idle for a moment may lose its place."""
    yield from serve(tmp_path, idle_seconds=QUICK)


def serve(tmp_path: Path, idle_seconds: float) -> Iterator[int]:
    """Serve in a thread of the test process."""
    with served(tmp_path, bounded(MOST, idle_seconds)) as tiny:
        yield tiny.port


class Visitor:
    """A client that keeps its connection."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self._socket = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))

    def ask(self, path: str) -> int:
        """The status of the answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        return int(self.read()[9:12])

    def read(self) -> bytes:
        """What comes next; nothing when the connection has ended."""
        return self._socket.recv(65536)


def test_those_who_were_there_go_on_and_one_more_is_turned_away(port: int) -> None:
    """It is told when to come back, and its connection ends; a place that became free is given away."""
    with ExitStack() as stack:
        with ExitStack() as leaving:
            first = Visitor(port, leaving)
            others = [Visitor(port, stack) for _ in range(MOST - 1)]
            assert [visitor.ask("/pid") for visitor in (first, *others)] == [200] * MOST
            late = Visitor(port, stack)
            assert late.ask("/pid") == 503
            assert late.read() == b""
            assert [visitor.ask("/pid") for visitor in (first, *others)] == [200] * MOST
        while Visitor(port, stack).ask("/pid") != 200:
            continue


def test_health_can_be_asked_for_on_a_connection_too_many(port: int) -> None:
    """Else a crowd would have an orchestrator restart the server."""
    with ExitStack() as stack:
        assert [Visitor(port, stack).ask("/livez") for _ in range(MOST + 2)] == [200] * (MOST + 2)


def test_a_connection_too_many_ends_after_any_answer(port: int) -> None:
    """Who asks for health again and again would stay in the others' way."""
    with ExitStack() as stack:
        for _ in range(MOST):
            assert Visitor(port, stack).ask("/pid") == 200
        late = Visitor(port, stack)
        assert late.ask("/livez") == 200
        assert late.read() == b""


def test_the_one_that_was_idle_for_longest_makes_room(quick_port: int) -> None:
    """Clients that keep connections without need do not lock out those who have one."""
    with ExitStack() as stack:
        first, *others = [Visitor(quick_port, stack) for _ in range(MOST)]
        assert first.ask("/pid") == 200
        time.sleep(QUICK)  # the loop's clock has milliseconds: asked at once they would be idle for as long
        assert [visitor.ask("/pid") for visitor in others] == [200] * (MOST - 1)
        time.sleep(2 * QUICK)
        assert Visitor(quick_port, stack).ask("/pid") == 200
        assert first.read() == b""
        assert [visitor.ask("/pid") for visitor in others] == [200] * (MOST - 1)


def test_a_whole_crowd_is_not_read_any_more(port: int) -> None:
    """Beyond the spare connections, who comes hears so at once and is let go."""
    with ExitStack() as stack:
        crowd = [Visitor(port, stack) for _ in range(MOST + SPARE_CONNECTIONS + 1)]
        told = crowd[-1].read()
        assert told.startswith(b"HTTP/1.1 503 ")
        assert told.endswith(b"\r\n\r\ntoo many connections\n")
        assert crowd[-1].read() == b""
        assert crowd[-2].ask("/livez") == 200


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    """Who signs the certificates of servers with TLS."""
    return make_authority()


class Secret:
    """Clients behind TLS that never say goodbye."""

    def __init__(self, port: int, authority: KeyPair, stack: ExitStack) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cadata=authority.certificate_pem().decode())
        self._stack = stack

    def connect(self) -> ssl.SSLSocket:
        """One more."""
        plain = self._stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE))
        return self._stack.enter_context(self._tls.wrap_socket(plain, server_hostname="localhost"))


def test_behind_tls_who_made_room_is_gone_soon_without_a_goodbye(tmp_path: Path, authority: KeyPair) -> None:
    """The transport would wait for it for half a minute, and descriptors would run out meanwhile."""
    with served(tmp_path, bounded(MOST, idle_seconds=0), authority) as tiny, ExitStack() as stack:
        clients = Secret(tiny.port, authority, stack)
        first, *_ = [clients.connect() for _ in range(MOST + 1)]
        assert first.recv(1) == b""  # the server's goodbye, to which nothing is answered
        with socket.socket(fileno=first.detach()) as below:
            below.settimeout(PATIENCE)
            assert below.recv(1) == b""


def test_beyond_all_bounds_a_connection_is_cut_off(tmp_path: Path, authority: KeyPair) -> None:
    """Those who are merely told that there are too many, and stay, must not use up the descriptors."""
    protocol = bounded(MOST)
    protocol.limits = Limits(goodbye_seconds=60)
    with served(tmp_path, protocol, authority) as tiny, ExitStack() as stack:
        clients = Secret(tiny.port, authority, stack)
        for _ in range(MOST + 2 * SPARE_CONNECTIONS):
            clients.connect()
        with suppress(ConnectionError, ssl.SSLError):
            assert clients.connect().recv(1) == b""
