"""Requests that are too much, on kept connections over real sockets: turned away unread, and the connection goes on."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moorage.domain.errors import RegistryError
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Route, plain
from moorage.web.crowd import bounded
from moorage.web.http import Request, Response
from moorage.web.repeats import HELD_BYTES
from moorage.web.second_look import SECONDS
from moorage.web.unread import Unread
from tests.server.in_thread import PATIENCE, Tiny, served

PUT = b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
FOLDED = b"POST /v2/a HTTP/1.1\r\nHost: x\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n"
ASKED = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"


async def _nobody(_request: Request) -> Response:
    raise AssertionError("nothing is taken on here")


def _refuse(request: Request, _error: RegistryError) -> Response:
    response = plain(429, "too much")
    response.headers.append((b"x-request-id", request.facts.request_id.encode()))
    return response


REGISTRY = Route("/v2", _nobody, "v2", has_subtree=True, face="v2", refuse=_refuse)
FALLBACK = Route("/", _nobody, "json", refuse=_refuse)


class Busy:
    """A tiny server whose requests may all be too much."""

    def __init__(self, tiny: Tiny, load: Load, reasons: list[str]) -> None:
        self.port = tiny.port
        self.stop = tiny.stop
        self.load = load
        self.reasons = reasons

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        """A connection that is kept, and has been served once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
            assert ask(client, ASKED).startswith(b"HTTP/1.1 200 ")
            yield client

    @contextmanager
    def with_too_much_to_do(self) -> Iterator[None]:
        """For this time as many requests run as may."""
        self.load.running = self.load.most
        yield
        self.load.running = 0


def ask(client: socket.socket, data: bytes) -> bytes:
    """What comes at once; nothing when the connection has ended."""
    client.sendall(data)
    return client.recv(65536)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    """Serve in a thread of the test process."""
    load, reasons = Load(1), list[str]()
    unread = Unread(load, Turn(), lambda _: REGISTRY, FALLBACK, reasons.append)
    with served(tmp_path, bounded(2, unread=unread)) as tiny:
        yield Busy(tiny, load, reasons)


def test_what_is_too_much_is_told_so_and_the_connection_goes_on(busy: Busy) -> None:
    with busy.client() as client:
        with busy.with_too_much_to_do():
            told = [ask(client, PUT) for _ in range(3)]
        assert [one[:13] for one in told] == [b"HTTP/1.1 429 "] * 3
        assert all(one.endswith(b"\r\n\r\ntoo much") for one in told)
        assert busy.reasons == ["requests"] * 3
        assert ask(client, ASKED).startswith(b"HTTP/1.1 200 ")


def test_what_is_served_at_the_second_look_was_never_too_much(busy: Busy) -> None:
    """A short burst costs its clients a moment, and no answer that their pushes would end with."""
    with busy.client() as client:
        with busy.with_too_much_to_do():
            client.sendall(ASKED)
            time.sleep(SECONDS / 2)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert not busy.reasons


def test_what_is_large_is_not_held(busy: Busy) -> None:
    """A thousand connections must not fill the memory with bodies that are going to be refused."""
    large = b"PUT /v2/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % HELD_BYTES + b"x" * HELD_BYTES
    with busy.client() as client, busy.with_too_much_to_do():
        client.sendall(large)
        time.sleep(SECONDS / 4)
        busy.load.running = 0
        assert client.recv(65536).startswith(b"HTTP/1.1 429 ")


def test_what_comes_behind_it_is_answered_behind_it(busy: Busy) -> None:
    with busy.client() as client:
        with busy.with_too_much_to_do():
            client.sendall(PUT)
            time.sleep(SECONDS / 4)
            client.sendall(FOLDED)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"429", b"400"]


def test_whoever_leaves_before_the_second_look_is_not_counted(busy: Busy) -> None:
    with busy.client() as other:
        with busy.client() as client, busy.with_too_much_to_do():
            client.sendall(PUT)
            time.sleep(SECONDS / 4)
            client.close()
            time.sleep(SECONDS)
        assert ask(other, ASKED).startswith(b"HTTP/1.1 200 ")
        assert not busy.reasons


def test_a_server_that_stops_still_tells_it(busy: Busy) -> None:
    with busy.client() as client, busy.with_too_much_to_do():
        client.sendall(PUT)
        time.sleep(SECONDS / 4)
        busy.stop()
        assert client.recv(65536).startswith(b"HTTP/1.1 429 ")
        assert client.recv(65536) == b""


def test_a_header_that_is_refused_in_calm_is_refused_under_load(busy: Busy) -> None:
    """A proxy may read a body where we see the next request: after such a header nothing is answered any more."""
    with busy.client() as client:
        with busy.with_too_much_to_do():
            assert ask(client, FOLDED).startswith(b"HTTP/1.1 400 ")
        assert client.recv(65536) == b""
        assert not busy.reasons


def test_one_of_a_crowd_is_not_kept(busy: Busy) -> None:
    with busy.client(), busy.client(), socket.create_connection(("127.0.0.1", busy.port), PATIENCE) as late:
        with busy.with_too_much_to_do():
            ask(late, PUT)
        assert late.recv(65536) == b""
        assert not busy.reasons
