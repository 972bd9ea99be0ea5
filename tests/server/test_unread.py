"""Requests that are too much, on kept connections over real sockets: turned away unread, and the connection goes on."""

import asyncio
import queue
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from moorage.cli.certificates import KeyPair, make_authority
from moorage.domain.errors import RegistryError
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Route, plain
from moorage.web.crowd import CrowdedProtocol, bounded
from moorage.web.http import Request, Response
from moorage.web.lending import LendingProtocol
from moorage.web.second_look import Look, SecondLook
from moorage.web.unread import Unread
from tests.server.in_thread import PATIENCE, Tiny, served

PUT = b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
FOLDED = b"POST /v2/a HTTP/1.1\r\nHost: x\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n"
ASKED = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"


async def _nobody(_request: Request) -> Response:
    raise AssertionError("nothing is taken on here")


def _refuse(request: Request, _error: RegistryError) -> Response:
    response = plain(429, "too much")
    response.headers.append((b"x-request-id", request.facts.request_id.encode()))
    return response


def _fail(_connection: object, _data: bytes) -> None:
    raise RuntimeError("a fault")


REGISTRY = Route("/v2", _nobody, "v2", has_subtree=True, face="v2", refuse=_refuse)
FALLBACK = Route("/", _nobody, "json", refuse=_refuse)
LIVE = Route("/livez", _nobody, "ops", is_vital=True)


def _route(path: str) -> Route:
    return LIVE if path == "/livez" else REGISTRY


class ByHand(SecondLook):
    """Holds until the test says that it is time."""

    def __init__(self) -> None:
        super().__init__()
        self.held: queue.SimpleQueue[tuple[Look, asyncio.AbstractEventLoop]] = queue.SimpleQueue()

    def hold(self, look: Look, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Called by the server."""
        self.held.put((look, loop))

    def wait(self) -> Callable[[], None]:
        """Wait until a request is held; returns what brings its second look."""
        look, loop = self.held.get(timeout=PATIENCE)

        def look_again() -> None:
            loop.call_soon_threadsafe(partial(look, is_last=True))

        return look_again


class Busy:
    """A tiny server whose requests may all be too much."""

    def __init__(
        self,
        tiny: Tiny,
        protocol: type[CrowdedProtocol],
        tls: ssl.SSLContext | None,
        load: Load,
        reasons: list[str],
        by_hand: ByHand,
    ) -> None:
        self.tiny = tiny
        self.protocol = protocol
        self.tls = tls
        self.load = load
        self.reasons = reasons
        self.by_hand = by_hand

    def connect(self) -> socket.socket:
        """A connection that nothing was asked on."""
        client = socket.create_connection(("127.0.0.1", self.tiny.port), timeout=PATIENCE)
        return client if self.tls is None else self.tls.wrap_socket(client, server_hostname="localhost")

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        """A connection that is kept, and has been served once."""
        with self.connect() as client:
            assert ask(client, ASKED).startswith(b"HTTP/1.1 200 ")
            yield client

    @contextmanager
    def with_too_much_to_do(self) -> Iterator[None]:
        """For this time as many requests run as may."""
        self.load.running = self.load.most
        yield
        self.load.running = 0

    def ask_in_vain(self, client: socket.socket, data: bytes) -> bytes:
        """What is said to a request that is still too much at the second look."""
        client.sendall(data)
        look_again = self.by_hand.wait()
        look_again()
        return client.recv(65536)


def ask(client: socket.socket, data: bytes) -> bytes:
    """What comes at once; nothing when the connection has ended."""
    client.sendall(data)
    return client.recv(65536)


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    """Who signs the certificate of the server with TLS."""
    return make_authority()


@pytest.fixture(params=["plain", "TLS"])
def busy(request: pytest.FixtureRequest, tmp_path: Path, authority: KeyPair) -> Iterator[Busy]:
    """Serve in a thread of the test process."""
    signed_by, tls = None, None
    if request.param == "TLS":
        signed_by = authority
        tls = ssl.create_default_context(cadata=authority.certificate_pem().decode())
    load, reasons, by_hand = Load(1), list[str](), ByHand()
    unread = Unread(load, Turn(), _route, FALLBACK, reasons.append, by_hand)
    protocol = bounded(2, unread=unread)
    with served(tmp_path, protocol, signed_by) as tiny:
        yield Busy(tiny, protocol, tls, load, reasons, by_hand)


def test_what_is_too_much_is_told_so_and_the_connection_goes_on(busy: Busy) -> None:
    with busy.client() as client:
        with busy.with_too_much_to_do():
            told = [busy.ask_in_vain(client, PUT) for _ in range(3)]
        assert [one[:13] for one in told] == [b"HTTP/1.1 429 "] * 3
        assert all(one.endswith(b"\r\n\r\ntoo much") for one in told)
        assert busy.reasons == ["requests"] * 3
        assert ask(client, ASKED).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [ASKED, UPLOAD[:-5]])
def test_what_is_no_more_too_much_at_the_second_look_is_served(busy: Busy, sent: bytes) -> None:
    """A short burst costs its clients a moment, and no answer with which their pushes would end."""
    with busy.client() as client:
        with busy.with_too_much_to_do():
            client.sendall(sent)
            look_again = busy.by_hand.wait()
        look_again()
        if sent != ASKED:
            client.sendall(UPLOAD[-5:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert not busy.reasons


def test_what_comes_behind_it_is_answered_behind_it(busy: Busy) -> None:
    with busy.client() as client:
        with busy.with_too_much_to_do():
            client.sendall(PUT)
            look_again = busy.by_hand.wait()
            client.sendall(FOLDED)
            look_again()
            busy.by_hand.wait()()
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"429", b"400"]


def test_health_is_answered_at_once(busy: Busy) -> None:
    with busy.client() as client, busy.with_too_much_to_do():
        assert ask(client, HEALTH).startswith(b"HTTP/1.1 200 ")


def test_what_finds_no_room_is_turned_away_at_once(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of connections must not fill the memory with bodies that are going to be refused."""
    monkeypatch.setattr(busy.by_hand, "has_room", lambda _: False)
    with busy.client() as client, busy.with_too_much_to_do():
        assert ask(client, PUT).startswith(b"HTTP/1.1 429 ")
        assert busy.by_hand.held.empty()
        assert busy.reasons == ["requests"]


def test_who_waits_for_its_second_look_does_not_make_room(busy: Busy) -> None:
    """The idle go first, however short a time they are idle."""
    busy.protocol.least_idle_seconds = 0
    with busy.client() as client, busy.client() as idle, busy.with_too_much_to_do():
        client.sendall(PUT)
        look_again = busy.by_hand.wait()
        with busy.connect():
            assert idle.recv(65536) == b""
            look_again()
            assert client.recv(65536).startswith(b"HTTP/1.1 429 ")


def test_a_server_that_stops_still_tells_it(busy: Busy) -> None:
    with busy.client() as client, busy.with_too_much_to_do():
        client.sendall(PUT)
        busy.by_hand.wait()
        busy.tiny.stop()
        assert client.recv(65536).startswith(b"HTTP/1.1 429 ")
        assert client.recv(65536) == b""


def test_a_fault_at_the_second_look_ends_the_connection(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    with busy.client() as client:
        with busy.with_too_much_to_do():
            client.sendall(PUT)
            look_again = busy.by_hand.wait()
        monkeypatch.setattr(LendingProtocol, "data_received", _fail)
        look_again()
        with suppress(ConnectionResetError):
            assert client.recv(65536) == b""


def test_a_header_that_is_refused_in_calm_is_refused_under_load(busy: Busy) -> None:
    """A proxy may read a body where we see the next request: after such a header nothing is answered any more."""
    with busy.client() as client:
        with busy.with_too_much_to_do():
            assert busy.ask_in_vain(client, FOLDED).startswith(b"HTTP/1.1 400 ")
        assert client.recv(65536) == b""
        assert not busy.reasons


def test_one_of_a_crowd_is_not_kept(busy: Busy) -> None:
    with busy.client(), busy.client(), busy.connect() as late:
        with busy.with_too_much_to_do():
            ask(late, PUT)
        assert late.recv(65536) == b""
        assert not busy.reasons
