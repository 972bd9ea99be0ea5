"""The bounds of a connection, and what a client is told that passes one."""

from dataclasses import dataclass
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moorage.web.asgi import MAX_DISCARDED_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    header_bytes: int = 16 * 1024
    header_count: int = 100
    header_seconds: float = 10.0
    #: Requests that may wait for the answers to those before them on the same connection.
    pipelined: int = 100
    #: A window of a body must bring this much while the application takes it.
    window_bytes: int = 30 * 1024
    window_seconds: float = 30.0
    #: Framing (chunk sizes, extensions, trailers) may exceed the bytes it frames this many times.
    framing_ratio: int = 16
    #: A reader that takes nothing of a filled send buffer for so long is gone.
    write_seconds: float = 300.0
    discarded_bytes: int = MAX_DISCARDED_BYTES
    discard_seconds: float = 5.0
    #: Behind TLS, for the client to say goodbye when the connection ends.
    goodbye_seconds: float = 1.0


#: The answer by its status, in plain text: no face has seen the request.
REFUSALS: Final = {
    400: b"the request is not well-formed HTTP\n",
    408: b"the request came too slowly\n",
    417: b"only 100-continue can be expected\n",
    431: b"the request header is too large\n",
    501: b"only the chunked transfer coding is served\n",
    505: b"only HTTP 1.1 and 1.0 are served\n",
}


def refusal(status: int, default_head: bytes) -> bytes:
    """The whole answer; the connection ends with it."""
    text = REFUSALS[status]
    fields = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close" % len(text)
    return b"%b%b%b\r\n\r\n%b" % (STATUS_LINE[status], default_head, fields, text)
