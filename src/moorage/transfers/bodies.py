"""The body of a request as an upload sees it, wherever its bytes are received."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from moorage.domain.errors import BodyIncomplete

#: Takes each piece of a body in turn, in a thread; the piece is valid until it returns.
Sink = Callable[[bytes | memoryview], None]

#: Bytes hashed and written in one go by a thread.
BATCH = 512 * 1024


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


async def batches(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gather small pieces, so that a thread is worth its while.

    When the client goes away, what came before is still handed on.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in body:
            pieces.append(piece)
            size += len(piece)
            if size >= BATCH:
                yield b"".join(pieces)
                pieces, size = [], 0
    except BodyIncomplete:
        if pieces:
            yield b"".join(pieces)
        raise
    if pieces:
        yield b"".join(pieces)
