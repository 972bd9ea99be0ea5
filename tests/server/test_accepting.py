"""Accepting by many in a turn, and what becomes of those who have waited for too long, over real sockets."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import cast

import pytest
import uvloop

from moorage.web.accepting import ACCEPTED_AT_ONCE, Acceptor

PATIENCE = 10.0
#: How long a connection may wait, and one that has waited for longer.
SECONDS, LONGER = 0.05, 0.2
ASKED = b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n"


class Greeter(asyncio.Protocol):
    """Says at the first bytes that the connection was let in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"let in")
        self._transport.close()


def _never(_more: int) -> bool:
    return False


class Door:
    """A listening socket with clients before it that nobody has accepted yet."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4))
        self.turned_away = 0

    def queue(self, backlog: int) -> None:
        """Make the queue so long at most."""
        self.listener.listen(backlog)

    def come(self, data: bytes = ASKED) -> socket.socket:
        """One more client, that has sent this already."""
        client = socket.create_connection(self.listener.getsockname(), timeout=PATIENCE)
        client.sendall(data)
        return self._stack.enter_context(client)

    def open(
        self, *clients: socket.socket, seconds: float = SECONDS, is_ahead: Callable[[int], bool] = _never
    ) -> list[bytes]:
        """Accept, and what each of the clients is told."""

        async def play() -> list[bytes]:
            acceptor = Acceptor([self.listener], Greeter, None, seconds, self._count, is_ahead)
            told = [await asyncio.to_thread(_read, client) for client in clients]
            acceptor.close()
            await acceptor.wait_closed()
            return told

        return uvloop.run(play())

    def _count(self) -> None:
        self.turned_away += 1


def _read(client: socket.socket) -> bytes:
    told = b""
    while piece := client.recv(4096):
        told += piece
    return told


@pytest.fixture
def door() -> Iterator[Door]:
    """A door that nobody has opened."""
    with ExitStack() as stack:
        yield Door(stack)


def test_who_comes_in_time_is_let_in(door: Door) -> None:
    assert door.open(door.come(), seconds=PATIENCE) == [b"let in"]
    assert door.turned_away == 0


def test_who_has_waited_for_too_long_is_told_when_to_come_back(door: Door) -> None:
    client = door.come()
    time.sleep(LONGER)
    [told] = door.open(client)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in told
    assert told.endswith(b"\r\n\r\ntoo much to do now")
    assert door.turned_away == 1


def test_who_is_ahead_of_others_takes_what_they_leave(door: Door) -> None:
    """They may be stopped, or busy for longer than anybody should wait."""
    door.queue(64)
    clients = [door.come() for _ in range(3)]
    assert door.open(*clients, seconds=PATIENCE, is_ahead=lambda _: True) == [b"let in"] * 3


def test_where_there_is_no_bound_nobody_is_late(door: Door) -> None:
    client = door.come()
    time.sleep(LONGER)
    assert door.open(client, seconds=0) == [b"let in"]


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/metrics"])
def test_health_is_let_in_however_late(door: Door, path: bytes) -> None:
    """An orchestrator must not kill a server for being busy."""
    client = door.come(ASKED.replace(b"/v2/", path))
    time.sleep(LONGER)
    assert door.open(client) == [b"let in"]


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\n",
        b"PUT /v2/ HTTP/1.1\r\nhost: x\r\nContent-Length: 10\r\n\r\n123456789",
        b"PUT /v2/ HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ],
)
def test_what_is_not_whole_is_let_in(door: Door, data: bytes) -> None:
    """Closed over bytes that are on their way, the connection would be reset and the answer lost."""
    client = door.come(data)
    time.sleep(LONGER)
    assert door.open(client) == [b"let in"]


def test_a_request_with_its_whole_body_is_turned_away(door: Door) -> None:
    client = door.come(b"PUT /v2/ HTTP/1.1\r\nhost: x\r\nContent-Length: 10\r\n\r\n1234567890")
    time.sleep(LONGER)
    assert door.open(client)[0].startswith(b"HTTP/1.1 503 ")


def test_who_comes_while_the_queue_fills_is_turned_away(door: Door) -> None:
    """The next ones would be heard of no sooner than a second later."""
    clients = [door.come() for _ in range(4)]
    told = door.open(*clients, seconds=PATIENCE)
    assert all(one.startswith(b"HTTP/1.1 503 ") for one in told)


def test_more_than_a_turn_takes_are_let_in(door: Door) -> None:
    door.queue(1024)
    count = 3 * ACCEPTED_AT_ONCE + 1
    assert door.open(*[door.come() for _ in range(count)], seconds=PATIENCE) == [b"let in"] * count


def test_who_left_while_waiting_disturbs_nobody(door: Door) -> None:
    door.queue(64)
    gone = door.come()
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    gone.close()
    stays = door.come()
    time.sleep(LONGER)
    assert door.open(stays)[0].startswith(b"HTTP/1.1 503 ")


def test_a_closed_acceptor_accepts_no_more(door: Door) -> None:
    door.open()
    door.come()
    door.listener.setblocking(True)
    client, _ = door.listener.accept()
    with client:
        assert client.recv(4096) == ASKED
