"""A connection whose large bodies a thread reads, straight from its socket: see ``body_reader``.

Behind TLS the loop decrypts them, and a thread has all the rest of the work: see ``tls_reading``.
"""

import asyncio
import os
import socket
from typing import Final

from moorage.web import head
from moorage.web.body_reader import LEAST, BodyOffer, ChunkedReader, CountedReader, End, Reader, Readers, Wire
from moorage.web.cycle import Cycle
from moorage.web.head import Refused
from moorage.web.http import BODY_OFFER
from moorage.web.protocol import BoundedProtocol
from moorage.web.tls_reading import Decrypted, Pouring

_SENDING: Final = frozenset({"PATCH", "PUT", "POST"})


class LendingProtocol(BoundedProtocol):
    """A connection that lends its socket, and the parser of chunks with it, for the time of a body."""

    #: Shared by all connections of a process.
    readers = Readers()
    #: Has the body while the loop rests; the other one only if it comes in chunks.
    _reader: Reader | None = None
    _chunked: ChunkedReader | None = None
    #: Behind TLS: takes the body that comes.
    pouring: Pouring | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected, and its TLS stands."""
        super().connection_made(transport)
        if self._scope["scheme"] == "https":
            transport.set_protocol(Decrypted(self))

    def client_left(self) -> None:
        """Whoever reads for it is woken, too."""
        self._end_pouring(End.GONE)
        if self._reader is not None:
            self._reader.abandon()
        super().client_left()

    # What the parser calls, also in the reader's thread

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._chunked is not None:
            raise Refused(400)  # Seen by nobody: the reader only learns that something follows the body.
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Bytes of the body, for whoever reads it."""
        if self._chunked is not None:
            self._chunked.on_body(body)
        elif self.pouring is not None:
            self._body_bytes += len(body)
            self.pouring.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._chunked is not None:
            self._chunked.is_complete = True
        else:
            self._end_pouring(End.COMPLETE)
            super().on_message_complete()

    # Behind TLS

    def body_poured(self, count: int) -> None:
        """Bytes of a body of an announced length came, past the parser."""
        pouring = self.pouring
        if pouring is None:
            return
        self._body_bytes += count
        pouring.advance(count)
        if not pouring.left:
            # The old parser still waits for a body that never passed through it.
            self.parser = self._make_parser()
            self.on_message_complete()

    def _end_pouring(self, end: End) -> None:
        pouring, self.pouring = self.pouring, None
        if pouring is not None:
            pouring.finish(end)

    def _refuse(self, status: int) -> None:
        """What came before is kept, as of any body that does not come to its end."""
        self._end_pouring(End.GONE)
        super()._refuse(status)

    def _pour(self, cycle: Cycle, length: int | None) -> Reader:
        """The clock of the body runs on: it is the loop that sees how fast it comes."""
        self.pouring = Pouring(self.loop, self.flow, None if length is None else length - self._body_bytes)
        first, cycle.body = bytes(cycle.body), b""
        self.pouring.add_first(first)
        self.flow.resume_reading()
        return self.pouring

    # Lending

    def offer_body(self, cycle: Cycle) -> None:
        """Let the application have a large body read by a thread; never a pipelined one."""
        scope = cycle.scope
        if scope["method"] not in _SENDING or self._pipeline:
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
        length = next((int(value) for name, value in cycle.scope["headers"] if name == b"content-length"), None)
        if cycle.scope["scheme"] == "https":
            self._say_continue(cycle)
            return self._pour(cycle, length)
        try:
            duplicate = socket.socket(fileno=os.dup(self._socket.get_extra_info("socket").fileno()))
        except OSError:
            return None
        self._say_continue(cycle)
        return self._lend(cycle, duplicate, length)

    def _say_continue(self, cycle: Cycle) -> None:
        if cycle.waiting_for_100_continue:
            self._socket.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False

    def _lend(self, cycle: Cycle, duplicate: socket.socket, length: int | None) -> Reader:
        self.flow.pause_reading()
        self._timer.stop()
        wire = Wire(duplicate, self.limits.window_bytes, self.limits.window_seconds)
        first, cycle.body = bytes(cycle.body), b""
        if length is None:
            self._reader = self._chunked = ChunkedReader(wire, first, self.parser, self._is_fair)
        else:
            self._reader = CountedReader(wire, first, length - self._body_bytes)
        return self._reader

    def take_connection_back(self, end: End) -> None:
        """See ``Giver``. After a body that was read to its end the connection serves on; else it ends."""
        self._end_pouring(end)
        if end is End.COMPLETE and self._scope["scheme"] == "https":
            return  # The loop has seen the end itself, and may be in the next request.
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
