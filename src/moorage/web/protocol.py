"""HTTP/1.1 for uvicorn's server, with bounds: nothing a client sends or leaves out may hold a worker.

llhttp already refuses two lengths, a length beside chunks, bare line feeds, folded headers and bad chunk sizes.
Added here: header size, count and time, idle time, a least rate for bodies and for readers, the framings that
llhttp lets pass, trailers that would pose as headers, and an end for bodies that nobody reads any more.

    IDLE ── first byte ──> HEAD ── empty line ──> BODY ── last byte ──> IDLE
"""

import asyncio
import os
import socket
from collections import deque
from enum import IntEnum
from typing import Any, Final, cast

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from moorage.web import eager, head
from moorage.web.body_reader import LEAST, BodyOffer, ChunkedReader, CountedReader, End, Reader, Readers, Wire
from moorage.web.cycle import Cycle, DefaultHead
from moorage.web.flow import Flow, IdleClock, PoliteTransport
from moorage.web.head import Refused
from moorage.web.http import BODY_OFFER
from moorage.web.limits import REFUSALS, Limits, refusal

_logger = structlog.get_logger()


class Part(IntEnum):
    """What of a request the next byte belongs to."""

    IDLE = 0
    HEAD = 1
    BODY = 2


_SENDING: Final = frozenset({"PATCH", "PUT", "POST"})


class BoundedProtocol(asyncio.Protocol):
    """One connection. A subclass may carry other ``limits``.

    uvicorn's server makes it, counts it among its ``connections`` and calls ``shutdown``.
    """

    limits = Limits()
    #: Shared by all connections of a process.
    readers = Readers()
    _default_head = DefaultHead()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._app = config.loaded_app
        self._server_state = server_state
        self._app_state = app_state
        self.parser = self._make_parser()
        #: The answer is sent and only the client's last bytes are waited for.
        self.is_ending = False
        self._socket: asyncio.Transport = cast("asyncio.Transport", None)
        self._part = Part.IDLE
        #: Nothing more is read as HTTP: the running answer is the last one.
        self._is_deaf = False
        #: Bytes of this read, and since the request or its body began.
        self._read = 0
        self._fed = 0
        self._body_bytes = 0
        self._window_start = 0
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._idle = IdleClock(self.loop, config.timeout_keep_alive, self._end_idle)
        self._write_timer: asyncio.TimerHandle | None = None
        #: Has the body while the loop rests; the other one only if it comes in chunks.
        self._reader: Reader | None = None
        self._chunked: ChunkedReader | None = None
        #: The exchange that was begun last, and those that wait for it: the next one first.
        self.cycle: Cycle = cast("Cycle", None)
        self._pipeline: deque[Cycle] = deque()
        #: Begun while bytes are parsed; it runs once all of them are.
        self._due: Cycle | None = None
        #: The one that the application works on.
        self._answering: Cycle | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False

    def _make_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        # What is pipelined behind a request that closes the connection is no error: it is not answered.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected; it has the idle time to say something."""
        self._server_state.connections.add(self)  # type: ignore[arg-type] # uvicorn names its own classes
        self._socket = transport
        self.transport: asyncio.Transport = PoliteTransport(transport, self)
        self.flow = Flow(transport)
        self.client = get_remote_addr(transport)
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "server": get_local_addr(transport),
            "client": self.client,
            "scheme": "https" if is_ssl(transport) else "http",
            "root_path": "",
        }
        self._idle.start()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the transport's signature
        """The client is gone: whoever waits for it is woken."""
        self._stop_timer()
        self._stop_write_timer()
        self._idle.end()
        self.is_ending = True
        if self._reader is not None:
            self._reader.wire.abandon()
        self._server_state.connections.discard(self)
        for cycle in (self._answering, self._running()):
            if cycle is not None:
                cycle.disconnect()
        self.flow.resume_writing()
        self.parser = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse it when it is malformed or too much."""
        if self.is_ending or self._is_deaf:
            self._discard(len(data))
            return
        self._idle.stop()
        if self._part is Part.IDLE:
            self._fed = 0
        self._read = len(data)
        self._fed += self._read
        self._parse(data)
        due, self._due = self._due, None
        if due is not None and not due.disconnected:
            self._start(due)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded: the request is answered, and what follows it on the connection is not HTTP.
            self.cycle.keep_alive = False
            self._is_deaf = True
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, Refused) else 400)
            return
        self._check_progress()

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        self.flow.pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self._socket.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stop_write_timer()
        self.flow.resume_writing()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._chunked is not None:
            raise Refused(400)  # Seen by nobody: the reader only learns that something follows the body.
        if len(self._pipeline) >= self.limits.pipelined:
            raise Refused(400)
        self._part = Part.HEAD
        self._url = b""
        self._headers = []
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        """A piece of what stands behind the method."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The header is complete: check its bounds and framing before anything runs."""
        version = self.parser.get_http_version()
        self._check_head(version)
        self._stop_timer()
        self._part = Part.BODY
        self._body_bytes = self._window_start = self._discarded = 0
        self._fed = 0
        before = self._running()
        cycle = self.cycle = Cycle(
            self,
            self._describe(version),
            keep_alive=version != "1.0"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade(),
            expects_continue=self._expects_continue,
        )
        if before is None:
            self._due = cycle
        else:
            self.flow.pause_reading()
            self._pipeline.append(cycle)
        self._offer_body(cycle)
        # The application holds the list so far; trailers are collected in another, which nobody reads.
        self._headers = []

    def _describe(self, version: str) -> dict[str, Any]:
        """The ASGI scope of the request."""
        scope = self._scope.copy()
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = head.read_target(self._url)
        scope["headers"] = self._headers
        scope["state"] = self._app_state.copy()
        return scope

    def on_body(self, body: bytes) -> None:
        """Bytes of the body, for the application or, when it has answered already, for nobody."""
        if self._chunked is not None:
            self._chunked.on_body(body)
            return
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._discard(len(body))
        else:
            self.cycle.feed(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._chunked is not None:
            self._chunked.is_complete = True
            return
        self._part = Part.IDLE
        self._fed = 0
        self._stop_timer()
        if not self.cycle.response_complete:
            self.cycle.end_body()
        elif not self.is_ending:
            self._idle.start()

    # Answers

    def _start(self, cycle: Cycle) -> None:
        """Have the application answer, at once as far as it need not wait."""
        self._answering = cycle
        task = eager.run(self.loop, cycle.run(self._app))
        if task is not None:
            tasks = self._server_state.tasks
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def _start_next(self, cycle: Cycle) -> None:
        if not self.transport.is_closing():
            self._start(cycle)

    def default_head(self) -> bytes:
        """The header lines that every answer has."""
        return self._default_head.lines(self._server_state.default_headers)

    def on_response_complete(self) -> None:
        """The answer is handed over: the next request may come, once the rest of this one's body is out of the way."""
        self._server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._pipeline:
            # Not at once: many requests sent together must neither nest nor keep other connections waiting.
            self.loop.call_soon(self._start_next, self._pipeline.popleft())
            if self._pipeline:
                # Otherwise each answer would let in another read full of requests.
                self.flow.pause_reading()
            return
        if self._part is Part.BODY:
            self._start_timer(self.limits.discard_seconds, self._socket.close)
        else:
            self._idle.start()

    def shutdown(self) -> None:
        """The server stops: end the connection, after the answer that is under way."""
        running = self._running()
        if running is None:
            self.transport.close()
        else:
            running.keep_alive = False

    def end(self) -> None:
        """Close once what was written is sent; a client that is still sending may read the answer first."""
        if self.is_ending or self._socket.is_closing():
            return
        self.is_ending = True
        self._idle.stop()
        if self._part is Part.IDLE:
            self._socket.close()
            return
        if self._socket.can_write_eof():
            self._socket.write_eof()
        self.flow.resume_reading()
        self._start_timer(self.limits.discard_seconds, self._socket.close)

    def _end_idle(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    # Bodies that a thread reads

    def _offer_body(self, cycle: Cycle) -> None:
        """Let the application have a large body read by a thread; never one behind TLS, never a pipelined one."""
        scope = cycle.scope
        if scope["method"] not in _SENDING or scope["scheme"] != "http" or self._pipeline:
            return
        if "extensions" in scope:
            return  # The connection is one too many: nobody will ask for a body.
        length = head.body_length(self._headers)
        if length is None or length >= LEAST:
            scope["extensions"] = {BODY_OFFER: BodyOffer(self, cycle)}

    def give_body(self, cycle: Cycle) -> Reader | None:
        """See ``Giver``. Only a body that still comes: behind one that has come a further request may have begun."""
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
        first, cycle.body = bytes(cycle.body), b""
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
            self.cycle.disconnect()
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
            self.parser = self._make_parser()
        elif chunked.has_more:
            self._is_deaf = True
            self.cycle.keep_alive = False
        self.on_message_complete()

    def _is_fair(self, fed: int, body_bytes: int) -> bool:
        """Whether the framing of chunks is in proportion. Also called in the reader's thread, while the loop rests."""
        allowance = self.limits.header_bytes + self.limits.framing_ratio * (self._body_bytes + body_bytes)
        return self._fed + fed - self._body_bytes - body_bytes <= allowance

    # Bounds

    def _check_head(self, version: str) -> None:
        limits, headers = self.limits, self._headers
        if len(headers) > limits.header_count:
            raise Refused(431)
        longest = limits.header_bytes
        if (self._read > longest or self._fed > longest) and head.size(self._url, headers) > longest:
            raise Refused(431)
        head.check(
            headers,
            version,
            is_upgrade=self.parser.should_upgrade(),
            expects_continue=self._expects_continue,
        )

    def _check_progress(self) -> None:
        """Called after each piece that was parsed: start the clock of what is not complete yet."""
        if self._part is Part.HEAD:
            if self._fed > self.limits.header_bytes:
                self._refuse(431)
            elif self._timer is None:
                self._start_timer(self.limits.header_seconds, self._refuse_slow)
        elif self._part is Part.BODY:
            if not self._is_fair(0, 0):
                self._refuse(400)
            elif self._timer is None and not self.cycle.response_complete:
                self._start_window()
        elif not self._idle.is_running and self._running() is None:
            self._idle.start()

    def _start_window(self) -> None:
        self._window_start = self._body_bytes
        self.flow.has_paused = self.flow.read_paused
        self._start_timer(self.limits.window_seconds, self._check_window)

    def _check_window(self) -> None:
        self._timer = None
        flow = self.flow
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
        source, reason = self.client[0] if self.client else "", REFUSALS[status].decode().rstrip()
        _logger.info("http_refused", status=status, reason=reason, source_ip=source)
        cycle = self._running()
        if cycle is not None:
            if self._pipeline or (cycle.response_started and self._part is Part.BODY):
                self._socket.close()
                return
            if self._part is not Part.BODY:
                # An earlier request is being answered: it ends the connection when it is done.
                cycle.keep_alive = False
                self._is_deaf = True
                return
            cycle.disconnect()
        self._socket.write(refusal(status, self.default_head()))
        self.end()

    def _running(self) -> Cycle | None:
        """The exchange that was begun last, unless it is over."""
        cycle = cast("Cycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    # Clocks

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
