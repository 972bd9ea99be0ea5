"""HTTP/1.1 for uvicorn's server, with bounds: nothing a client sends or leaves out may hold a worker.

llhttp already refuses two lengths, a length beside chunks, bare line feeds, folded headers and bad chunk sizes.
Added here: header size, count and time, idle time, a least rate for bodies and for readers, the framings that
llhttp lets pass, trailers that would pose as headers, and an end for bodies that nobody reads any more.

    IDLE ── first byte ──> HEAD ── empty line ──> BODY ── last byte ──> IDLE
"""

import asyncio
from collections import deque
from enum import IntEnum
from typing import Any, cast

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from moorage.web import eager, head
from moorage.web.clocks import Alarm, IdleClock
from moorage.web.cycle import Cycle, DefaultHead
from moorage.web.flow import Flow, PoliteTransport, unsent_bytes
from moorage.web.head import Refused
from moorage.web.limits import REFUSALS, Limits, refusal

_logger = structlog.get_logger()


class Part(IntEnum):
    """What of a request the next byte belongs to."""

    IDLE = 0
    HEAD = 1
    BODY = 2


class BoundedProtocol(asyncio.Protocol):
    """One connection. A subclass may carry other ``limits``.

    uvicorn's server makes it, counts it among its ``connections`` and calls ``shutdown``.
    """

    limits = Limits()
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
        #: For what has to come, and for what has to be taken.
        self._timer = Alarm(self.loop)
        self._idle = IdleClock(self.loop, config.timeout_keep_alive, self._end_idle)
        self._write_timer = Alarm(self.loop)
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
        self._write_timer.stop()
        self._idle.end()
        self._server_state.connections.discard(self)
        self.client_left()
        self.parser = None

    def client_left(self) -> None:
        """It hears nothing that is not written yet: whoever answers it is told, and nobody waits for it any more."""
        self._timer.stop()
        self.is_ending = True
        for cycle in (self._answering, self._running()):
            if cycle is not None:
                cycle.disconnect()
        self.flow.resume_writing()

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
        self._write_timer.set(self.limits.write_seconds, self._socket.abort)

    def resume_writing(self) -> None:
        """It has caught up; but an ended connection has to be read to its end in time."""
        if not self.transport.is_closing():
            self._write_timer.stop()
        self.flow.resume_writing()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins. One behind a body that ended the connection is not answered, and so must not be begun."""
        if self.is_ending or len(self._pipeline) >= self.limits.pipelined:
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
        self._timer.stop()
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
        self.offer_body(cycle)
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

    def offer_body(self, cycle: Cycle) -> None:
        """For who lets others read a body."""

    def on_body(self, body: bytes) -> None:
        """Bytes of the body, for the application or, when it has answered already, for nobody."""
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._discard(len(body))
        else:
            self.cycle.feed(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._part = Part.IDLE
        self._fed = 0
        if not self.is_ending:  # else it is the clock of the end
            self._timer.stop()
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
            self._timer.set(self.limits.discard_seconds, self._close)
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
            self._close()
            return
        if self._socket.can_write_eof():
            self._socket.write_eof()
        self.flow.resume_reading()
        self._timer.set(self.limits.discard_seconds, self._close)

    def _close(self) -> None:
        """Close once what was written is sent; a client that never takes it does not keep the connection.

        So little may be left that the transport never paused: then no clock runs for it yet.
        """
        self._write_timer.set(self.limits.write_seconds, self._socket.abort)
        self._socket.close()
        if self._scope["scheme"] == "https":
            # The transport would wait for the client's goodbye for half a minute, and keep its descriptor.
            self._timer.set(self.limits.goodbye_seconds, self._leave)

    def _leave(self) -> None:
        """Go without a goodbye, once the client's system has all that was sent."""
        if self._socket.get_write_buffer_size() or unsent_bytes(self._socket):
            self._timer.set(self.limits.goodbye_seconds, self._leave)
        else:
            self._socket.abort()

    def _end_idle(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

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

    def _is_fair(self, fed: int, body_bytes: int) -> bool:
        """Whether the framing of chunks is in proportion. Also called in the reader's thread, while the loop rests."""
        allowance = self.limits.header_bytes + self.limits.framing_ratio * (self._body_bytes + body_bytes)
        return self._fed + fed - self._body_bytes - body_bytes <= allowance

    def _check_progress(self) -> None:
        """Called after each piece that was parsed: start the clock of what is not complete yet."""
        if self._part is Part.HEAD:
            if self._fed > self.limits.header_bytes:
                self._refuse(431)
            elif not self._timer.is_set:
                self._timer.set(self.limits.header_seconds, self._refuse_slow)
        elif self._part is Part.BODY:
            if not self._is_fair(0, 0):
                self._refuse(400)
            elif not self._timer.is_set and not self.cycle.response_complete:
                self._start_window()
        elif not self._idle.is_running and self._running() is None:
            self._idle.start()

    def _start_window(self) -> None:
        self._window_start = self._body_bytes
        self.flow.has_paused = self.flow.read_paused
        self._timer.set(self.limits.window_seconds, self._check_window)

    def _check_window(self) -> None:
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
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer in plain text and end the connection; never in the middle of another answer."""
        if self.is_ending:
            return
        source, reason = self.client[0] if self.client else "", REFUSALS[status].decode().rstrip()
        _logger.info("http_refused", status=status, reason=reason, source_ip=source)
        cycle = self._running()
        if cycle is not None:
            if self._pipeline or (cycle.response_started and self._part is Part.BODY):
                self._close()
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
