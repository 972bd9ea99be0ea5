"""One request with its answer, as an ASGI application sees them: ``receive`` and ``send``.

Like uvicorn's, but made for many small answers: the head of an answer goes out together with the first of its body,
its headers are looked at once, and an event is made only by who has to wait for the body.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moorage.web.flow import HIGH_WATER_BYTES, Flow

Scope = dict[str, Any]
Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

#: A body up to this size is copied behind its head, so that both are one write.
_JOINED_BYTES: Final = 16 * 1024

#: No header may hold these or an end of line, or a value that a client chose could begin another one.
_CONTROLS: Final = bytes({*range(32), 127} - {*b"\t\r\n"})

_BODILESS: Final = frozenset({204, 304})
_FAILED: Final = b"Internal Server Error"
_DISCONNECT: Final = {"type": "http.disconnect"}

_logger = logging.getLogger(__name__)


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    flow: Flow

    def default_head(self) -> bytes:
        """The header lines that every answer has."""

    def on_response_complete(self) -> None:
        """The answer is handed over."""


class Cycle:
    """One exchange on a connection. ``body`` is what came of the request's body and was not taken yet."""

    __slots__ = (
        "_connection",
        "_event",
        "_has_news",
        "_headers",
        "_is_chunked",
        "_left",
        "_status",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
        "waiting_for_100_continue",
    )

    def __init__(
        self, connection: Connection, scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects_continue
        self.disconnected = False
        self.body: bytes | bytearray = b""
        self.more_body = True
        #: Whether ``receive`` has something to say, and who waits for it.
        self._has_news = False
        self._event: asyncio.Event | None = None
        self.response_started = False
        self.response_complete = False
        #: The head of the answer waits for the first of the body.
        self._status = 0
        self._headers: Headers | None = None
        self._is_chunked = False
        #: Bytes of the body that the answer's length still promises.
        self._left = 0

    # What the connection calls

    def feed(self, data: bytes) -> None:
        """More of the body came."""
        if not self.body:
            self.body = data
        elif self.body.__class__ is bytes:
            self.body = bytearray(self.body + data)
        else:
            self.body += data
        if len(self.body) > HIGH_WATER_BYTES:
            self._connection.flow.pause_reading()
        self.wake()

    def end_body(self) -> None:
        """All of the body came."""
        self.more_body = False
        self.wake()

    def disconnect(self) -> None:
        """The client is gone, or is not to hear more: whoever waits for the body learns of it."""
        self.disconnected = True
        self.wake()

    def wake(self) -> None:
        """There is news for ``receive``."""
        self._has_news = True
        if self._event is not None:
            self._event.set()

    async def run(self, app: App) -> None:
        """Have the application answer; whatever it does wrong ends the connection and is logged."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:  # the last line: a cancellation, too, ends in an answer or a close
            _logger.exception("the application failed")
            await self._give_up()
            return
        if not self.response_complete and not self.disconnected:
            _logger.error("the application returned before its answer was complete")
            await self._give_up()

    async def _give_up(self) -> None:
        if self.response_started:
            self._connection.transport.close()
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_FAILED)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _FAILED})

    # What the application calls

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        connection = self._connection
        if self.waiting_for_100_continue and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            connection.flow.resume_reading()
            await self._news()
        if self.disconnected or self.response_complete:
            return _DISCONNECT
        body, self.body = bytes(self.body), b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def _news(self) -> None:
        if not self._has_news:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()
        self._has_news = False
        if self._event is not None:
            self._event.clear()

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises ``RuntimeError`` for messages out of order and for a body of another length."""
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            _expect(message, "http.response.start")
            self.response_started = True
            self.waiting_for_100_continue = False
            self._status, self._headers = message["status"], message.get("headers", [])
            return
        _expect(message, "http.response.body")
        if self.response_complete:
            raise RuntimeError("the answer is complete already")
        self._send_body(message.get("body", b""), has_more=message.get("more_body", False))

    def _send_body(self, body: bytes, *, has_more: bool) -> None:
        head = b"" if self._headers is None else self._take_head(self._headers)
        transport = self._connection.transport
        piece = self._frame(body, has_more=has_more)
        if head and len(piece) > _JOINED_BYTES:
            transport.write(head)
            transport.write(piece)
        elif head or piece:
            transport.write(head + piece)
        if not has_more:
            self._finish()

    def _finish(self) -> None:
        if self._left:
            raise RuntimeError("the body is shorter than announced")
        self.response_complete = True
        self.wake()
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()

    def _frame(self, body: bytes, *, has_more: bool) -> bytes:
        """The bytes of the body as they are sent."""
        if self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return piece if has_more else piece + b"0\r\n\r\n"
        if self._is_bodiless():
            return b""
        if len(body) > self._left:
            raise RuntimeError("the body is longer than announced")
        self._left -= len(body)
        return body

    def _is_bodiless(self) -> bool:
        """Whether the answer has a head alone; a length in it is that of another answer (RFC 9110, 8.6)."""
        return self._status in _BODILESS or self.scope["method"] == "HEAD"

    def _take_head(self, headers: Headers) -> bytes:
        """Status line and header lines, with what follows from them for the body. Raises ``RuntimeError``."""
        self._headers = None
        fields = dict(headers)
        closing = b""
        if b"close" in fields.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            closing = b"connection: close\r\n"
        if not self._is_bodiless():
            length = fields.get(b"content-length")
            if length is None:
                self._is_chunked = True
                closing += b"transfer-encoding: chunked\r\n"
            else:
                self._left = int(length)
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        count = len(headers)
        if (
            lines.count(b"\n") != count
            or lines.count(b"\r") != count
            or lines.translate(None, _CONTROLS) != lines
        ):
            raise RuntimeError("a header holds control characters")
        return b"%b%b%b%b\r\n" % (STATUS_LINE[self._status], self._connection.default_head(), lines, closing)


def _expect(message: Message, kind: str) -> None:
    if message["type"] != kind:
        raise RuntimeError(f"{message['type']} was sent where {kind} was due")


class DefaultHead:
    """The header lines of every answer, written anew when the server changes them: once a second, for the date."""

    __slots__ = ("_headers", "_lines")

    def __init__(self) -> None:
        self._headers: object = None
        self._lines = b""

    def lines(self, headers: Headers) -> bytes:
        """These headers as lines. The server never changes a list; it makes another one."""
        if headers is not self._headers:
            self._lines = b"".join([b"%b: %b\r\n" % header for header in headers])
            self._headers = headers
        return self._lines
