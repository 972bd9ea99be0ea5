"""Large bodies past the event loop: a thread reads them from the socket and hands them on in batches.

The loop stops reading, the thread takes a duplicate of the descriptor, and the loop goes on once it is done. The
thread alone closes the duplicate, so no number that it reads from can come to mean another connection.
"""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import Enum, auto
from typing import Final, Protocol

import httptools

from moorage.domain.errors import BodyIncomplete
from moorage.transfers.bodies import Gathering, Sink
from moorage.web.cycle import Cycle

#: Bytes of a chunked body received at once.
PIECE: Final = 256 * 1024

#: Shorter bodies are not worth a thread.
LEAST: Final = 1024 * 1024

#: Bodies that threads read at once in one process; each holds a batch and a piece at most.
MOST_READERS: Final = 64


class End(Enum):
    """How reading a body ended."""

    COMPLETE = auto()
    #: The client went away before the end.
    GONE = auto()
    #: It sent less than the least rate.
    SLOW = auto()
    #: Its chunks cannot be read.
    MALFORMED = auto()
    #: Whoever waited for the body gave up, or could not take it.
    ABANDONED = auto()


class Wire:
    """The receiving side of a connection, in a thread. ``abandon`` may come from any."""

    def __init__(self, connection: socket.socket, window_bytes: int, window_seconds: float) -> None:
        """``connection`` is a duplicate, for this object alone, and does not block.

        In each ``window_seconds`` of waiting ``window_bytes`` must come; the time that the bytes take to be
        written is not the client's.
        """
        self.end = End.COMPLETE
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._window_bytes = window_bytes
        self._window_seconds = window_seconds
        self._waited = 0.0
        self._brought = 0
        self._is_abandoned = False
        #: A number must not be closed and given to another connection between looking it up and using it.
        self._lock = threading.Lock()

    def receive(self, into: memoryview) -> int:
        """Bytes that were received; 0 when no more will come, and then ``end`` says why."""
        while not self._is_abandoned:
            try:
                received = self._connection.recv_into(into)
            except BlockingIOError:
                if self._wait():
                    continue
                self.end = End.SLOW
                return 0
            except OSError:
                received = 0
            if not received:
                self.end = End.GONE
            self._brought += received
            return received
        self.end = End.ABANDONED
        return 0

    def abandon(self) -> None:
        """Make ``receive`` return, also one that waits. The connection is of no use to anybody afterwards."""
        self._is_abandoned = True
        # Closed or not connected any more: then nobody waits.
        with self._lock, suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the duplicate."""
        with self._lock:
            self._connection.close()

    def _wait(self) -> bool:
        """Wait for bytes; False at the end of a window that brought too few."""
        begun = time.monotonic()
        self._poll.poll(max(self._window_seconds - self._waited, 0) * 1000 + 1)
        self._waited += time.monotonic() - begun
        if self._waited < self._window_seconds:
            return True
        is_enough = self._brought >= self._window_bytes
        self._waited = self._brought = 0
        return is_enough


class Reader(Protocol):
    """Reads one body."""

    def read(self, sink: Sink) -> End:
        """Hand over all that comes, each piece valid until the sink returns. Raises what the sink raises."""
        ...

    def abandon(self) -> None:
        """Make ``read`` return. May come from any thread, and more than once."""
        ...

    def close(self) -> None:
        """``read`` is over."""
        ...


class _WireReader:
    """What reads from a wire of its own."""

    wire: Wire

    def abandon(self) -> None:
        """See ``Reader``."""
        self.wire.abandon()

    def close(self) -> None:
        """See ``Reader``."""
        self.wire.close()


class CountedReader(_WireReader):
    """A body whose length was announced: not a byte behind it is touched."""

    def __init__(self, wire: Wire, first: bytes, left: int) -> None:
        """``first`` is what of the body was received before, ``left`` the bytes still to come."""
        self.wire = wire
        self._first = first
        self._left = left

    def read(self, sink: Sink) -> End:
        """See ``Reader``."""
        gathering = Gathering(sink, len(self._first) + self._left)
        gathering.add(self._first)
        while self._left and (received := self.wire.receive(gathering.free()[: self._left])):
            self._left -= received
            gathering.advance(received)
        if self.wire.end is not End.ABANDONED:
            gathering.flush()
        return self.wire.end


class ChunkedReader(_WireReader):
    """A body in chunks, decoded by the connection's own parser, whose callbacks the protocol hands on to here.

    What follows the body in the same read cannot be given back: then the connection ends with the answer.
    """

    def __init__(
        self, wire: Wire, first: bytes, parser: httptools.HttpRequestParser, is_fair: Callable[[int, int], bool]
    ) -> None:
        """``is_fair`` judges framing: bytes of chunks that were received, bytes of the body therein."""
        self.wire = wire
        self.is_complete = False
        self.has_more = False
        self._parser = parser
        self._is_fair = is_fair
        self._pieces = [first]
        self._fed = 0
        self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A piece of the body was parsed. What goes wrong with it must not look like an error of the parser."""
        self._pieces.append(body)
        self._body_bytes += len(body)

    def read(self, sink: Sink) -> End:
        """See ``Reader``."""
        gathering = Gathering(sink)
        buffer = memoryview(bytearray(PIECE))
        end = End.COMPLETE
        while end is End.COMPLETE and not self.is_complete:
            received = self.wire.receive(buffer)
            end = self._parse(buffer[:received]) if received else self.wire.end
            self._gather(gathering)
        if end is not End.ABANDONED:
            gathering.flush()
        return end

    def _gather(self, gathering: Gathering) -> None:
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            gathering.add(piece)

    def _parse(self, data: memoryview) -> End:
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.is_complete:
                return End.MALFORMED
            self.has_more = True
        return End.COMPLETE if self._is_fair(self._fed, self._body_bytes) else End.MALFORMED


class Readers:
    """The threads that read bodies, at most ``most`` at once."""

    def __init__(self, most: int = MOST_READERS) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="bodies")
        self._free = threading.BoundedSemaphore(most)

    def reserve(self) -> bool:
        """Whether a thread is free; then it is kept for one ``run``, or until ``release``."""
        return self._free.acquire(blocking=False)

    def release(self) -> None:
        """Give a reserved thread back unused."""
        self._free.release()

    async def run(self, reader: Reader, sink: Sink) -> End:
        """Read a body in the reserved thread. A caller that is cancelled leaves no thread waiting."""
        work = self._pool.submit(reader.read, sink)

        def settle(_work: Future[End]) -> None:
            reader.close()
            self._free.release()

        work.add_done_callback(settle)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            reader.abandon()
            raise


class Giver(Protocol):
    """The connection, as the offer sees it."""

    readers: Readers

    def give_body(self, cycle: Cycle) -> Reader | None:
        """Stop reading and leave the rest of the body to a reader. None: it must be read as usual."""
        ...

    def take_connection_back(self, end: End) -> None:
        """The reader is done with the body."""
        ...


class BodyOffer:
    """In a request's scope: whoever wants the body may have a thread read it."""

    def __init__(self, giver: Giver, cycle: Cycle) -> None:
        """``cycle`` is the server's own of the request whose body this is."""
        self._giver = giver
        self._cycle = cycle

    async def take(self, sink: Sink) -> bool:
        """Hand the whole body to ``sink``, in a thread, one piece after the other.

        False when it must be read as usual; nothing is lost then. Raises ``BodyIncomplete`` when the client goes
        away, after all that came was handed over; and what the sink raises, after which the connection ends with
        the answer.
        """
        readers = self._giver.readers
        if not readers.reserve():
            return False
        reader = self._giver.give_body(self._cycle)
        if reader is None:
            readers.release()
            return False
        end = End.ABANDONED
        try:
            end = await readers.run(reader, sink)
        finally:
            self._giver.take_connection_back(end)
        if end is not End.COMPLETE:
            raise BodyIncomplete
        return True
