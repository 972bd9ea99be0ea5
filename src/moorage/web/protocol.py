"""uvicorn's httptools protocol with bounds: nothing a client sends or leaves out may hold a worker.

llhttp already refuses two lengths, a length beside chunks, bare line feeds, folded headers and bad chunk sizes.
Added here: header size, count and time, idle time, a least rate for bodies and for readers, the framings that
llhttp lets pass, trailers that would pose as headers, and an end for bodies that nobody reads any more.

    IDLE ── first byte ──> HEAD ── empty line ──> BODY ── last byte ──> IDLE
"""

import asyncio
import os
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, cast

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from moorage.web.asgi import MAX_DISCARDED_BYTES
from moorage.web.body_reader import LEAST, BodyOffer, ChunkedReader, CountedReader, End, Reader, Readers, Wire
from moorage.web.http import BODY_OFFER

_logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    header_bytes: int = 16 * 1024
    header_count: int = 100
    header_seconds: float = 10.0
    #: Requests that may wait for the answers to those before them on the same connection.
    pipelined: int = 100
    #: A window of a body must bring this much while the application takes it.
    window_bytes: int = 30 * 1024
    window_seconds: float = 30.0
    #: Framing (chunk sizes, extensions, trailers) may exceed the bytes it frames this many times.
    framing_ratio: int = 16
    #: A reader that takes nothing of a filled send buffer for so long is gone.
    write_seconds: float = 300.0
    discarded_bytes: int = MAX_DISCARDED_BYTES
    discard_seconds: float = 5.0


class _Part(IntEnum):
    """What of a request the next byte belongs to."""

    IDLE = 0
    HEAD = 1
    BODY = 2


_REFUSALS: Final = {
    400: b"the request is not well-formed HTTP\n",
    408: b"the request came too slowly\n",
    417: b"only 100-continue can be expected\n",
    431: b"the request header is too large\n",
    501: b"only the chunked transfer coding is served\n",
    505: b"only HTTP 1.1 and 1.0 are served\n",
}

_SENDING: Final = frozenset({"PATCH", "PUT", "POST"})


class _Flow(FlowControl):
    """Flow control that remembers whether reading stood still: then a slow body is not the client's fault."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.has_paused = False

    def pause_reading(self) -> None:
        """Stop reading, and excuse the client for this window."""
        self.has_paused = True
        super().pause_reading()


class _Connection(asyncio.Transport):
    """The transport as uvicorn sees it: ``close`` lets the client read the answer before the connection ends."""

    def __init__(self, transport: asyncio.Transport, protocol: "BoundedProtocol") -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self._write = transport.write
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]

    def is_closing(self) -> bool:
        """Whether nothing more may be sent."""
        return self._protocol.is_ending or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, unless the connection has ended: of requests in line only the last is told that it has."""
        if not self._protocol.is_ending:
            self._write(data)

    def close(self) -> None:
        """End the connection; what was written is sent first."""
        self._protocol.end()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A subclass may carry other ``limits``."""

    limits = Limits()
    #: Shared by all connections of a process.
    readers = Readers()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        #: The answer is sent and only the client's last bytes are waited for.
        self.is_ending = False
        self._socket: asyncio.Transport = cast("asyncio.Transport", None)
        self._part = _Part.IDLE
        #: Nothing more is read as HTTP: the running answer is the last one.
        self._is_deaf = False
        #: Bytes of this read, and since the request or its body began.
        self._read = 0
        self._fed = 0
        self._body_bytes = 0
        self._window_start = 0
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        #: Has the body while the loop rests; the other one only if it comes in chunks.
        self._reader: Reader | None = None
        self._chunked: ChunkedReader | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected; it has the idle time to say something."""
        super().connection_made(transport)
        self._socket = transport
        self.transport = _Connection(transport, self)
        self.flow = _Flow(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: whoever waits for it is woken."""
        self._stop_timer()
        self._stop_write_timer()
        self.is_ending = True
        if self._reader is not None:
            self._reader.wire.abandon()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse it when it is malformed or too much."""
        if self.is_ending or self._is_deaf:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        if self._part is _Part.IDLE:
            self._fed = 0
        self._read = len(data)
        self._fed += self._read
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded: the request is answered, and what follows it on the connection is not HTTP.
            self.cycle.keep_alive = False
            self._is_deaf = True
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, _Refusal) else 400)
            return
        self._check_progress()

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self._socket.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stop_write_timer()
        super().resume_writing()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._chunked is not None:
            raise _Refusal(400)  # Seen by nobody: the reader only learns that something follows the body.
        if len(self.pipeline) >= self.limits.pipelined:
            raise _Refusal(400)
        self._part = _Part.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The header is complete: check its bounds and framing before anything runs."""
        self._check_header()
        self._stop_timer()
        self._part = _Part.BODY
        self._body_bytes = self._window_start = self._discarded = 0
        self._fed = 0
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self._offer_body()
        # The application holds the list so far; trailers are collected in another, which nobody reads.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Bytes of the body, for the application or, when it has answered already, for nobody."""
        if self._chunked is not None:
            self._chunked.on_body(body)
            return
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._discard(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._chunked is not None:
            self._chunked.is_complete = True
            return
        self._part = _Part.IDLE
        self._fed = 0
        self._stop_timer()
        super().on_message_complete()
        if self.cycle.response_complete and not self.is_ending:
            self._await_request()

    # What uvicorn calls

    def on_response_complete(self) -> None:
        """The answer is handed over: the next request may come, once the rest of this one's body is out of the way."""
        super().on_response_complete()
        if self.pipeline:
            # Otherwise each answer would let in another read full of requests.
            self.flow.pause_reading()
        if self._part is _Part.BODY and not self.is_ending and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._start_timer(self.limits.discard_seconds, self._socket.close)

    def end(self) -> None:
        """Close once what was written is sent; a client that is still sending may read the answer first."""
        if self.is_ending or self._socket.is_closing():
            return
        self.is_ending = True
        self._unset_keepalive_if_required()
        if self._part is _Part.IDLE:
            self._socket.close()
            return
        if self._socket.can_write_eof():
            self._socket.write_eof()
        self.flow.resume_reading()
        self._start_timer(self.limits.discard_seconds, self._socket.close)

    # Bodies that a thread reads

    def _offer_body(self) -> None:
        """Let the application have a large body read by a thread; never one behind TLS, never a pipelined one."""
        if self.scope["method"] not in _SENDING or self.scheme != "http" or self.pipeline:
            return
        length = self._announced_length()
        if length is None or length >= LEAST:
            self.scope["extensions"] = {BODY_OFFER: cast("dict[object, object]", BodyOffer(self, self.cycle))}

    def _announced_length(self) -> int | None:
        """Bytes of the body, None when it is chunked."""
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)
            if name == b"transfer-encoding":
                return None
        return 0

    def give_body(self, cycle: RequestResponseCycle) -> Reader | None:
        """See ``Giver``. Only a body that is still coming: behind one that has come a further request may have begun."""
        if (
            cycle.disconnected
            or not cycle.more_body
            or cycle.response_started
            or self.is_ending
            or self._is_deaf
        ):
            return None
        try:
            duplicate = socket.socket(fileno=os.dup(self._socket.get_extra_info("socket").fileno()))
        except OSError:
            return None
        if cycle.waiting_for_100_continue:
            self._socket.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        self.flow.pause_reading()
        self._stop_timer()
        wire = Wire(duplicate, self.limits.window_bytes, self.limits.window_seconds)
        first, cycle.body = bytes(cycle.body), bytearray()
        length = next((int(value) for name, value in cycle.scope["headers"] if name == b"content-length"), None)
        if length is None:
            self._reader = self._chunked = ChunkedReader(wire, first, self.parser, self._is_fair)
        else:
            self._reader = CountedReader(wire, first, length - self._body_bytes)
        return self._reader

    def take_connection_back(self, end: End) -> None:
        """See ``Giver``. After a body that was read to its end the connection serves on; else it ends."""
        chunked, self._reader = self._chunked, None
        if end is not End.ABANDONED:
            # Else the thread may be parsing to this moment; nobody does after it.
            self._chunked = None
        if self.is_ending:
            return
        if end is End.COMPLETE:
            self._go_on(chunked)
        elif end is End.GONE:
            self.cycle.disconnected = True
        elif end is End.SLOW:
            self._refuse_slow()
        elif end is End.MALFORMED:
            self._refuse(400)
        else:
            # Somewhere in the body: nothing that follows can be read.
            self._is_deaf = True
            self.cycle.keep_alive = False
        # Here, too, it is seen when the client goes away.
        self.flow.resume_reading()

    def _go_on(self, chunked: ChunkedReader | None) -> None:
        if chunked is None:
            # The old parser still waits for a body that never passed through it.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        elif chunked.has_more:
            self._is_deaf = True
            self.cycle.keep_alive = False
        self.on_message_complete()

    def _is_fair(self, fed: int, body_bytes: int) -> bool:
        """Whether the framing of chunks is in proportion. Also called in the reader's thread, while the loop rests."""
        allowance = self.limits.header_bytes + self.limits.framing_ratio * (self._body_bytes + body_bytes)
        return self._fed + fed - self._body_bytes - body_bytes <= allowance

    # Bounds

    def _check_header(self) -> None:
        names = [name for name, _ in self.headers]
        limits = self.limits
        if len(names) > limits.header_count:
            raise _Refusal(431)
        if max(self._read, self._fed) > limits.header_bytes and self._header_size() > limits.header_bytes:
            raise _Refusal(431)
        version = self.parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise _Refusal(505)
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise _Refusal(400)
        if b"transfer-encoding" in names:
            self._check_coding(version)
        if self.parser.should_upgrade() and (b"transfer-encoding" in names or b"content-length" in names):
            # llhttp would take the body for the first bytes of another protocol.
            raise _Refusal(400)
        if b"expect" in names and not self.expect_100_continue:
            raise _Refusal(417)

    def _check_coding(self, version: str) -> None:
        coding = next(value.strip().lower() for name, value in self.headers if name == b"transfer-encoding")
        if version == "1.0":
            raise _Refusal(400)
        if coding != b"chunked":
            raise _Refusal(501 if b"," in coding else 400)

    def _header_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _check_progress(self) -> None:
        """Called after each piece that was parsed: start the clock of what is not complete yet."""
        if self._part is _Part.HEAD:
            if self._fed > self.limits.header_bytes:
                self._refuse(431)
            elif self._timer is None:
                self._start_timer(self.limits.header_seconds, self._refuse_slow)
        elif self._part is _Part.BODY:
            if not self._is_fair(0, 0):
                self._refuse(400)
            elif self._timer is None and not self.cycle.response_complete:
                self._start_window()
        elif self.timeout_keep_alive_task is None and self._running() is None:
            self._await_request()

    def _start_window(self) -> None:
        self._window_start = self._body_bytes
        cast("_Flow", self.flow).has_paused = self.flow.read_paused
        self._start_timer(self.limits.window_seconds, self._check_window)

    def _check_window(self) -> None:
        self._timer = None
        flow = cast("_Flow", self.flow)
        is_excused = flow.has_paused or flow.read_paused or self.cycle.waiting_for_100_continue
        if not is_excused and self._body_bytes - self._window_start < self.limits.window_bytes:
            self._refuse_slow()
        else:
            self._start_window()

    def _discard(self, length: int) -> None:
        """Swallow what nobody reads, up to a bound; then stop reading and let the time to discard run out.

        Closing with bytes unread would reset the connection, and the client would lose the answer to what it sends.
        """
        self._discarded += length
        if self._discarded > self.limits.discarded_bytes:
            if self._running() is None:
                self.end()
            self.flow.pause_reading()

    # Refusals

    def _refuse_slow(self) -> None:
        self._timer = None
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer in plain text and end the connection; never in the middle of another answer."""
        source, reason = self.client[0] if self.client else "", _REFUSALS[status].decode().rstrip()
        _logger.info("http_refused", status=status, reason=reason, source_ip=source)
        cycle = self._running()
        if cycle is not None:
            if self.pipeline or (cycle.response_started and self._part is _Part.BODY):
                self._socket.close()
                return
            if self._part is not _Part.BODY:
                # An earlier request is being answered: it ends the connection when it is done.
                cycle.keep_alive = False
                self._is_deaf = True
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self._answer(status)
        self.end()

    def _running(self) -> RequestResponseCycle | None:
        """The exchange that was begun last, unless it is over."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def _answer(self, status: int) -> None:
        text = _REFUSALS[status]
        lines = [STATUS_LINE[status]]
        lines += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        lines.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(text))
        lines.append(b"connection: close\r\n\r\n" + text)
        self._socket.write(b"".join(lines))

    # Clocks

    def _await_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_timer(self, seconds: float, then: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _Refusal(Exception):
    """Raised in a parser callback: the header is refused with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)
