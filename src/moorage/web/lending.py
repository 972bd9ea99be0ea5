"""A connection whose large bodies a thread reads, straight from its socket: see ``body_reader``."""

import os
import socket
from typing import Final

from moorage.web import head
from moorage.web.body_reader import LEAST, BodyOffer, ChunkedReader, CountedReader, End, Reader, Readers, Wire
from moorage.web.cycle import Cycle
from moorage.web.head import Refused
from moorage.web.http import BODY_OFFER
from moorage.web.protocol import BoundedProtocol

_SENDING: Final = frozenset({"PATCH", "PUT", "POST"})


class LendingProtocol(BoundedProtocol):
    """A connection that lends its socket, and the parser of chunks with it, for the time of a body."""

    #: Shared by all connections of a process.
    readers = Readers()
    #: Has the body while the loop rests; the other one only if it comes in chunks.
    _reader: Reader | None = None
    _chunked: ChunkedReader | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: whoever reads for it is woken."""
        if self._reader is not None:
            self._reader.wire.abandon()
        super().connection_lost(exc)

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
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._chunked is not None:
            self._chunked.is_complete = True
        else:
            super().on_message_complete()

    # Lending

    def offer_body(self, cycle: Cycle) -> None:
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
        self._timer.stop()
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
