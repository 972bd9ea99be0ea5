"""Accepting connections: many in a turn of the loop, and those that have waited too long told so unread.

libuv accepts one connection in a turn. Under load others then wait in the kernel's queue, where no bound on time
reaches them, health among them. Here a turn takes up to ``ACCEPTED_AT_ONCE``, few enough that the processes that share
a listener share its work, and whoever is found to have waited for too long, or stands in a queue that is about to
overflow, gets an answer that costs next to nothing: some system calls, no transport, no parser. (The idea of CoDel
again, see ``Turn``.) So the queue is as short as the time that it takes, and its head is never old.

A process that has more connections than another lets that one go first (``shares``), for a moment only: then it takes
what nobody took.
"""

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from moorage.web import eager, head
from moorage.web.descriptors import HANDSHAKES

#: Connections that are let in in one turn, and those that are turned away at most.
ACCEPTED_AT_ONCE: Final = 16
TURNED_AWAY_AT_ONCE: Final = 512

#: Bytes of a request that are looked at to turn it away: all of it has to be there.
LOOKED_AT_BYTES: Final = 16 * 1024

#: Seconds without accepting when descriptors or memory have run out.
REST_SECONDS: Final = 1.0

#: Seconds that a client behind TLS has to finish its handshake.
HANDSHAKE_SECONDS: Final = 10.0

#: Seconds that a handshake may take while others wait for its place, and between two looks for one that took longer.
LEAST_HANDSHAKE_SECONDS: Final = 1.0
FULL_SECONDS: Final = 0.05

#: Seconds for which another process may go first.
COURTESY_SECONDS: Final = 0.002

_VITAL: Final = (b"GET /livez ", b"GET /readyz ", b"GET /metrics ")

_LATE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 18\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\ntoo much to do now"
)

#: Of Linux's ``struct tcp_info``: where it stops for us; the length of a listener's queue, and how long it may be; the
#: milliseconds since anything came on a connection, at first the connection itself.
_INFO_BYTES: Final = 56
_QUEUED: Final = slice(24, 28)
_QUEUE: Final = slice(28, 32)
_LAST_CAME: Final = slice(52, 56)

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_logger = structlog.get_logger()


class Acceptor:
    """Accepts on listening sockets, which stay the caller's to close. To uvicorn's server it is one of asyncio's.

    ``seconds`` are how long a connection may wait to be accepted, 0 for ever. Behind TLS nothing can be said unread: so
    many handshakes are begun as may be under way, and who does not finish in time is let go, sooner when others wait.
    ``on_turned_away`` is called for each that is turned away. ``is_ahead`` tells whether this process, with so many
    connections beside those that were made, has more than another.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        seconds: float,
        on_turned_away: Callable[[], None],
        is_ahead: Callable[[int], bool] = lambda _: False,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._protocol = protocol
        self._context = context
        self._milliseconds = 0 if context is not None else int(seconds * 1000)
        self._handshake_seconds = None if context is None else handshake_seconds
        self._on_turned_away = on_turned_away
        self._is_ahead = is_ahead
        #: Connections that are being made, behind TLS their handshakes, with the loop's time; the oldest first.
        self._tasks: dict[asyncio.Task[None], float] = {}
        self._rests: dict[socket.socket, asyncio.TimerHandle] = {}
        for listener in sockets:
            listener.setblocking(False)
            self._watch(listener)

    def close(self) -> None:
        """Accept no more."""
        for rest in self._rests.values():
            rest.cancel()
        for listener in self._sockets:
            self._loop.remove_reader(listener)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _watch(self, listener: socket.socket) -> None:
        self._rests.pop(listener, None)
        self._loop.add_reader(listener, self._accept, listener)

    def _insist(self, listener: socket.socket) -> None:
        """Take what nobody took meanwhile."""
        self._watch(listener)
        self._accept(listener, is_courteous=False)

    def _accept(self, listener: socket.socket, *, is_courteous: bool = True) -> None:
        """One turn."""
        is_full = self._milliseconds > 0 and _is_filling(listener)
        let_in = turned_away = 0
        while let_in < ACCEPTED_AT_ONCE and turned_away < TURNED_AWAY_AT_ONCE:
            if is_courteous and self._is_ahead(len(self._tasks) if self._context else let_in):
                self._pause(listener, COURTESY_SECONDS, self._insist)
                return
            if self._context and not self._has_place():
                self._pause(listener, FULL_SECONDS, self._watch)
                return
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(listener, error)
                return
            client.setblocking(False)
            if (is_full or self._is_late(client)) and _turn_away(client):
                turned_away += 1
                self._on_turned_away()
            else:
                let_in += 1
                self._let_in(client)

    def _is_late(self, client: socket.socket) -> bool:
        return 0 < self._milliseconds < _number(_information(client), _LAST_CAME)

    def _let_in(self, client: socket.socket) -> None:
        task = eager.run(self._loop, self._open(client))
        if task is not None:
            self._tasks[task] = self._loop.time()
            task.add_done_callback(self._forget)

    def _has_place(self) -> bool:
        """Whether one more handshake may begin; one that takes long gives up its place."""
        if len(self._tasks) < HANDSHAKES:
            return True
        oldest, begun = next(iter(self._tasks.items()))
        if self._loop.time() - begun < LEAST_HANDSHAKE_SECONDS:
            return False
        self._forget(oldest)
        oldest.cancel()
        return True

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                client,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError:
            # It went away, or its TLS handshake failed, which concerns nobody else.
            client.close()

    def _rest(self, listener: socket.socket, error: OSError) -> None:
        """Raises the error again when time does not mend it."""
        if error.errno not in _EXHAUSTED:
            raise error
        _logger.error("accept_failed", reason=error.strerror)
        self._pause(listener, REST_SECONDS, self._watch)

    def _pause(self, listener: socket.socket, seconds: float, then: Callable[[socket.socket], None]) -> None:
        self._loop.remove_reader(listener)
        self._rests[listener] = self._loop.call_later(seconds, then, listener)


def _is_filling(listener: socket.socket) -> bool:
    """Whether half of the queue is taken: what overflows it is heard of no sooner than a second later."""
    information = _information(listener)
    return 2 * _number(information, _QUEUED) > _number(information, _QUEUE)


def _information(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)


def _number(information: bytes, field: slice) -> int:
    return int.from_bytes(information[field], sys.byteorder)


def _turn_away(client: socket.socket) -> bool:
    """Say so and close, if the whole request is there: closed over bytes that are on their way, the answer is lost.

    False, and nothing is done, where more has to come, and for health, which is always answered.
    """
    try:
        request = client.recv(LOOKED_AT_BYTES, socket.MSG_PEEK)
        if request.startswith(_VITAL) or not head.is_whole(request):
            return False
        client.recv(len(request))
        client.send(_LATE)
    except BlockingIOError:
        return False
    except OSError:
        pass  # Who is gone is turned away.
    client.close()
    return True
