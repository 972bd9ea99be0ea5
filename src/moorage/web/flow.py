"""One connection: how it flows both ways, and how it ends."""

import asyncio
import fcntl
import sys
import termios
from typing import Final, Protocol

#: So many bytes of a body may wait for the application before the connection is read no further.
HIGH_WATER_BYTES: Final = 64 * 1024

#: Bytes that TLS encrypts at once. Of more, what was encrypted leaves the processor's nearer caches before it is sent.
ENCRYPTED_BYTES: Final = 64 * 1024


class Flow:
    """Whether the connection is read and may be written to.

    ``has_paused`` remembers that reading stood still: then a slow body is not the client's fault.
    """

    __slots__ = ("_transport", "_writable", "has_paused", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False
        self.has_paused = False
        self._writable: asyncio.Event | None = None

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        if self.write_paused:
            if self._writable is None:
                self._writable = asyncio.Event()
            await self._writable.wait()

    def pause_reading(self) -> None:
        """Stop reading, and excuse the client for this window."""
        self.has_paused = True
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """It has caught up, or is gone: whoever waits goes on."""
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes that the system has not sent, or whose receipt the client's system has not acknowledged."""
    try:
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0  # It is closed already.
    return int.from_bytes(answer, sys.byteorder)


class Owner(Protocol):
    """The protocol that a connection belongs to."""

    is_ending: bool

    def end(self) -> None:
        """End the connection once what was written is sent."""


class PoliteTransport(asyncio.Transport):
    """A transport whose ``close`` lets the client read the answer before the connection ends."""

    def __init__(self, transport: asyncio.Transport, owner: Owner) -> None:
        super().__init__()
        self._transport = transport
        self._owner = owner
        is_tls = transport.get_extra_info("sslcontext") is not None
        self._write = self._write_parts if is_tls else transport.write
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]

    def is_closing(self) -> bool:
        """Whether nothing more may be sent."""
        return self._owner.is_ending or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, unless the connection has ended: of requests in line only the last is told that it has."""
        if not self._owner.is_ending:
            self._write(data)

    def _write_parts(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) <= ENCRYPTED_BYTES:
            self._transport.write(data)
            return
        whole = memoryview(data)
        for start in range(0, len(whole), ENCRYPTED_BYTES):
            self._transport.write(whole[start : start + ENCRYPTED_BYTES])

    def close(self) -> None:
        """End the connection; what was written is sent first."""
        self._owner.end()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()
