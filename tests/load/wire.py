"""HTTP on raw sockets in asyncio: what is sent is bytes, and what comes back is either whole or told to be broken."""

import asyncio
import hashlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

#: No answer, or none of its bytes, for so long is a hang.
PATIENCE_SECONDS = 120.0

_PIECE = 256 * 1024


class NoAnswer(Exception):
    """The connection was refused or ended before the first byte of an answer."""


class Truncated(Exception):
    """An answer began and did not end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``sha256`` is that of its body, of which ``body`` keeps the first 64 KiB."""

    status: int
    headers: dict[str, str]
    length: int
    sha256: str
    body: bytes


def request(method: str, path: str, *lines: str, length: int | None = None) -> bytes:
    """The head of a request; without a length it has no body, with -1 one in chunks."""
    if length is not None:
        lines = (*lines, "transfer-encoding: chunked" if length < 0 else f"content-length: {length}")
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """One connection. Use it as a context."""

    def __init__(self, address: str, *, receive_buffer: int = 2**18) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._limit = receive_buffer
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether it may still be used."""
        is_ended = self._reader is None or self._reader.at_eof()
        return self._writer is not None and not self._writer.is_closing() and not is_ended

    async def connect(self) -> None:
        """Connect anew. Raises ``NoAnswer``."""
        self.close()
        try:
            self._reader, self._writer = await asyncio.open_connection(*self._address, limit=self._limit)
        except OSError as error:
            raise NoAnswer(str(error)) from error

    def close(self) -> None:
        """Let go of it."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def send(self, data: bytes) -> None:
        """Send bytes, waiting while the other side does not take them. Raises ``NoAnswer``."""
        assert self._writer is not None
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise NoAnswer(str(error)) from error

    async def receive(self, pause: float = 0.0, piece: int = _PIECE) -> Answer:
        """The next answer, ``pause`` seconds between pieces. Raises ``NoAnswer``, ``Truncated``, ``TimeoutError``."""
        assert self._reader is not None
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(PATIENCE_SECONDS) as patience:
            status, headers = await self._read_head()
            left = int(headers.get("content-length", 0))
            digest, kept, length = hashlib.sha256(), bytearray(), left
            while left:
                try:
                    data = await self._reader.read(min(left, piece))
                except OSError as error:
                    raise Truncated(f"{left} of {length} bytes are missing: {error}") from error
                if not data:
                    raise Truncated(f"{left} of {length} bytes are missing")
                patience.reschedule(clock() + PATIENCE_SECONDS)
                left -= len(data)
                digest.update(data)
                if len(kept) < 65536:
                    kept += data
                if pause:
                    await asyncio.sleep(pause)
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, length, digest.hexdigest(), bytes(kept))

    async def _read_head(self) -> tuple[int, dict[str, str]]:
        assert self._reader is not None
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Truncated("the head of an answer") from error
            raise NoAnswer("the connection ended") from error
        except OSError as error:
            raise NoAnswer(str(error)) from error
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(status.split()[1]), headers

    async def ask(self, data: bytes) -> Answer:
        """Send a whole request, connecting where that is to be done, and receive its answer."""
        if not self.is_open:
            await self.connect()
        await self.send(data)
        return await self.receive()
