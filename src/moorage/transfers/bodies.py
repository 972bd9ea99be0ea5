"""The body of a request as an upload sees it, wherever its bytes are received."""

import mmap
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from moorage.domain.errors import BodyIncomplete

#: Takes each piece of a body in turn, in a thread; the piece is valid until it returns.
Sink = Callable[[bytes | memoryview], None]

#: Bytes hashed and written in one go by a thread: fewer are not worth the wait for a disk, more miss the cache.
BATCH = 1024 * 1024


class TakeableBody(Protocol):
    """A body that may be had in a thread, or else piece by piece."""

    async def take(self, sink: Sink) -> bool:
        """Hand all of it to ``sink``, which may block. False: only ``stream`` has it.

        Raises ``BodyIncomplete``, after all that came was handed over, and what the sink raises.
        """
        ...

    def stream(self) -> AsyncIterator[bytes]:
        """Its pieces. Raises ``BodyIncomplete``."""
        ...


Body = AsyncIterator[bytes] | TakeableBody


class Gathering:
    """Gathers a body in a buffer of its own, which a store may write to the disk as it lies there.

    It is mapped rather than allocated: it begins on a page, and what is never filled costs nothing.
    """

    def __init__(self, sink: Sink, most: int = BATCH) -> None:
        """``most`` is what is to come, if that is less than a batch. Each batch goes to ``sink``."""
        self._sink = sink
        self._buffer = memoryview(
            mmap.mmap(-1, max(min(most, BATCH), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        )
        self._filled = 0

    def free(self) -> memoryview:
        """Where the next bytes go; never empty. ``advance`` says how many came."""
        return self._buffer[self._filled :]

    def advance(self, count: int) -> None:
        """Count bytes that were put into ``free``; hands on a full batch."""
        self._filled += count
        if self._filled == len(self._buffer):
            self.flush()

    def add(self, data: bytes | memoryview) -> None:
        """Copy bytes in; hands on each full batch."""
        rest = memoryview(data)
        while rest:
            free = self.free()
            count = min(len(rest), len(free))
            free[:count] = rest[:count]
            rest = rest[count:]
            self.advance(count)

    def flush(self) -> None:
        """Hand on what there is, if anything."""
        count, self._filled = self._filled, 0
        if count:
            self._sink(self._buffer[:count])


async def batches(body: AsyncIterator[bytes]) -> AsyncIterator[bytes | memoryview]:
    """Gather small pieces, so that a thread is worth its while; each batch is valid until the next is asked for.

    When the client goes away, what came before is still handed on.
    """
    full: list[bytes | memoryview] = []
    gathering = Gathering(full.append)
    try:
        async for piece in body:
            rest = memoryview(piece)
            while rest:
                # Up to the end of the batch and no further, as the next one begins in the same memory.
                count = min(len(rest), len(gathering.free()))
                gathering.add(rest[:count])
                rest = rest[count:]
                while full:
                    yield full.pop()
    except BodyIncomplete:
        gathering.flush()
        if full:
            yield full.pop()
        raise
    gathering.flush()
    if full:
        yield full.pop()
