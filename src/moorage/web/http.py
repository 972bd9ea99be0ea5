"""What a face sees of HTTP: a complete ``Request`` in, a ``Response`` out.

Plain ASGI underneath; nothing here knows a route, a dialect or a permission.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from moorage.domain.audit import Note
from moorage.domain.caller import RequestFacts
from moorage.domain.errors import BodyIncomplete, BodyTooLarge, MalformedQuery
from moorage.transfers.bodies import Sink
from moorage.web.admission import Load
from moorage.web.body_reader import BodyOffer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: The extension of a request's scope by which a server says that it has too many connections.
CROWD = "moorage.crowd"

Result = TypeVar("Result")

#: The extension of a request's scope through which a server offers to have the body read by a thread.
BODY_OFFER = "moorage.body"

#: Most name=value pairs that are read from a query string.
MAX_QUERY_PARAMETERS = 1_000


class Request:
    """One HTTP request. Header names are lower-case bytes, as ASGI gives them."""

    __slots__ = (
        "_offer",
        "_receive",
        "bytes_read",
        "facts",
        "headers",
        "is_body_read",
        "load",
        "method",
        "note",
        "path",
        "query_string",
        "raw_path",
        "scheme",
    )

    def __init__(self, scope: Scope, receive: Receive, facts: RequestFacts, load: Load | None = None) -> None:
        """``load`` is where the request counts as long as it does not wait for its client."""
        self.method: str = scope["method"]
        #: Percent-decoded once, as the server did.
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.query_string: bytes = scope["query_string"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.scheme: str = scope["scheme"]
        self.facts = facts
        #: For the audit: whoever answers fills in what it knows.
        self.note = Note(facts)
        #: Bytes of the body that were taken so far, and whether that was all of it.
        self.bytes_read = 0
        self.is_body_read = False
        self.load = load or Load()
        self._receive = receive
        self._offer: BodyOffer | None = scope.get("extensions", {}).get(BODY_OFFER)

    def header(self, name: bytes) -> str | None:
        """The first header of this lower-case name, or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def header_values(self, name: bytes) -> list[str]:
        """Every header of this lower-case name, in order."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def query(self) -> list[tuple[str, str]]:
        """The decoded query parameters in order, blanks kept. Raises ``MalformedQuery``."""
        if not self.query_string:
            return []
        try:
            return parse_qsl(
                self.query_string.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_QUERY_PARAMETERS,
            )
        except ValueError as error:
            raise MalformedQuery(text="The query string cannot be read") from error

    @property
    def content_length(self) -> int | None:
        """The announced length of the body in bytes, or None when it is chunked or absent."""
        value = self.header(b"content-length")
        return int(value) if value is not None and value.isascii() and value.isdigit() else None

    @property
    def has_body(self) -> bool:
        """Whether a body was announced at all."""
        return bool(self.content_length) or self.header(b"transfer-encoding") is not None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises ``BodyIncomplete`` when the client goes away in the middle."""
        while not self.is_body_read:
            if piece := await self._next_piece():
                yield piece

    async def _next_piece(self) -> bytes:
        message = await self._await_client(self._receive())
        if message["type"] == "http.disconnect":
            raise BodyIncomplete
        piece: bytes = message.get("body", b"")
        self.bytes_read += len(piece)
        self.is_body_read = not message.get("more_body", False)
        return piece

    async def take(self, sink: Sink) -> bool:
        """Have a thread hand the whole body to ``sink``, which may block. False: only ``stream`` has it.

        Raises ``BodyIncomplete`` when the client goes away in the middle, and what the sink raises.
        """
        if self._offer is None:
            return False

        def count(data: bytes | memoryview) -> None:
            self.bytes_read += len(data)
            sink(data)

        self.is_body_read = await self._await_client(self._offer.take(count))
        return self.is_body_read

    async def _await_client(self, work: Awaitable[Result]) -> Result:
        with self.load.excused():
            return await work

    async def body(self, limit: int) -> bytes:
        """The whole body, at most ``limit`` bytes. Raises ``BodyTooLarge``, ``BodyIncomplete``."""
        if (self.content_length or 0) > limit:
            raise BodyTooLarge(limit=limit)
        pieces, length = [], 0
        while not self.is_body_read:
            piece = await self._next_piece()
            length += len(piece)
            if length > limit:
                raise BodyTooLarge(limit=limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(slots=True)
class Response:
    """What goes back. ``body`` is bytes, or an iterator of bytes whose length ``headers`` must announce."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    #: For the access log, metrics and audit: operation and error code in the face's own words.
    operation: str = ""
    error_code: str = ""


Handler = Callable[[Request], Awaitable[Response]]


def find_parameter(parameters: Sequence[tuple[str, str]], name: str) -> str | None:
    """The first value of a query parameter, or None."""
    return next((value for key, value in parameters if key == name), None)
