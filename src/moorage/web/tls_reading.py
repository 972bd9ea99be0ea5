"""Reading behind TLS: decrypted into buffers that are there already, a large body into those that a thread takes it from.

uvloop has TLS to itself, so that its socket cannot be lent to a thread as a plain one is (see ``body_reader``). But to a
protocol with buffers of its own it decrypts straight into them; to any other it hands new memory for each record, which
costs more than the decryption. So a body of an announced length is decrypted where it is hashed and written from, without
a copy, while a thread hashes and writes the batch before. Chunks pass through the connection's parser first.
"""

import asyncio
import mmap
import queue
from collections import deque
from contextlib import suppress
from typing import Final, Protocol

from moorage.transfers.bodies import BATCH, Sink
from moorage.web.body_reader import End
from moorage.web.flow import Flow

#: Bytes decrypted at once, of all that is no body of an announced length: as many as uvloop receives.
_READ_BYTES: Final = 256 * 1024

#: Batches of one body: one is filled while a thread has the other.
_BATCHES: Final = 2


class Pouring:
    """One body on its way from the event loop to a thread: a ``Reader`` that is fed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, flow: Flow, left: int | None) -> None:
        """``left`` are the bytes that are still to be decrypted, None when chunks say where it ends."""
        self.left = left
        self._loop = loop
        self._flow = flow
        self._end = End.COMPLETE
        self._is_over = False
        self._batch: memoryview | None = None
        self._filled = 0
        self._made = 0
        self._empty: deque[memoryview] = deque()
        self._full: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
        self._is_waiting = False

    # What the connection calls

    def free(self) -> memoryview:
        """Where the next bytes go, none behind the body among them. Bytes that come at once always find room."""
        if self._batch is None:
            self._batch, self._filled = self._take_batch(), 0
        end = len(self._batch) if self.left is None else self._filled + self.left
        return self._batch[self._filled : end]

    def advance(self, count: int) -> None:
        """Count bytes that were put into ``free``; a full batch goes to the thread."""
        self._filled += count
        if self.left is not None:
            self.left -= count
        if self._batch is not None and self._filled == len(self._batch):
            self._hand_on()
            if not self._empty and self._made >= _BATCHES:
                # The disk is slower than the client: that is not the client's fault, and no memory is to grow with it.
                self._is_waiting = True
                self._flow.pause_reading()

    def add(self, data: bytes) -> None:
        """Copy bytes in that were decrypted already."""
        rest = memoryview(data)
        while rest:
            free = self.free()
            count = min(len(rest), len(free))
            free[:count] = rest[:count]
            rest = rest[count:]
            self.advance(count)

    def add_first(self, data: bytes) -> None:
        """Copy in what came before the body was asked for, which is not counted in ``left``."""
        if self.left is not None:
            self.left += len(data)
        self.add(data)

    def finish(self, end: End) -> None:
        """Nothing more comes; the thread takes what there is. Only the first end counts."""
        if self._is_over:
            return
        self._is_over = True
        if self._end is not End.ABANDONED:
            self._end = end
        if self._filled:
            self._hand_on()
        self._full.put(None)
        self._go_on()

    # What the thread calls, and who waits for it

    def read(self, sink: Sink) -> End:
        """See ``Reader``."""
        while (filled := self._full.get()) is not None and self._end is not End.ABANDONED:
            batch, count = filled
            sink(batch[:count])
            # A loop that has closed meanwhile has no use for a batch.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_back, batch)
        return self._end

    def abandon(self) -> None:
        """Make ``read`` return, also one that waits."""
        self._end = End.ABANDONED
        self._full.put(None)

    def close(self) -> None:
        """There is no descriptor to close."""

    # Batches

    def _take_batch(self) -> memoryview:
        if self._empty:
            return self._empty.popleft()
        self._made += 1
        # Mapped: what is never filled costs nothing, and the disk may be written to from it as it lies there.
        return memoryview(mmap.mmap(-1, BATCH, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def _hand_on(self) -> None:
        if self._batch is not None:
            self._full.put((self._batch, self._filled))
        self._batch, self._filled = None, 0

    def _take_back(self, batch: memoryview) -> None:
        self._empty.append(batch)
        self._go_on()

    def _go_on(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._flow.resume_reading()


class Receiver(Protocol):
    """The connection that the decrypted bytes are for."""

    pouring: Pouring | None

    def data_received(self, data: bytes) -> None:
        """Bytes that are to be parsed."""

    def body_poured(self, count: int) -> None:
        """So many bytes of the body went to where ``pouring`` wanted them."""

    def client_left(self) -> None:
        """Nothing more can be sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""

    def resume_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""


class Decrypted(asyncio.BufferedProtocol):
    """What uvloop's TLS speaks to, once a connection has been made: it says where decrypted bytes go."""

    #: Between being asked for and being filled nothing else runs in the event loop: one is enough for all connections.
    _shared = memoryview(bytearray(_READ_BYTES))

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._is_direct = False
        self.connection_lost = receiver.connection_lost  # type: ignore[method-assign]
        self.pause_writing = receiver.pause_writing  # type: ignore[method-assign]
        self.resume_writing = receiver.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Where to decrypt to."""
        pouring = self._receiver.pouring
        self._is_direct = pouring is not None and bool(pouring.left)
        return pouring.free() if pouring is not None and self._is_direct else self._shared

    def eof_received(self) -> None:
        """The client has said goodbye. uvloop answers it at once, after what was written, and drops all further answers.

        TLS lets a client that has said so read on. None of a registry's does, and over plain TCP, too, who closes its
        sending side has left; but what was answered by then reaches it.
        """
        self._receiver.client_left()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        if self._is_direct:
            self._receiver.body_poured(nbytes)
        else:
            self._receiver.data_received(bytes(self._shared[:nbytes]))
