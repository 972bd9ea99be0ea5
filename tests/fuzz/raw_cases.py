"""Connections as no client makes them: HTTP from a grammar, with mistakes in every place of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import Any, Final

from tests.fuzz.values import digest_of

NAME: Final = "fuzz/raw"
#: Must never be carried out when it stands in a body.
CANARY: Final = b"GET /livez?canary HTTP/1.1\r\nhost: localhost\r\n\r\n"


class End(StrEnum):
    """What the client does once everything is sent."""

    WAIT = "wait"
    HALF_CLOSE = "half-close"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True)
class Case:
    """One connection. ``requests`` counts its requests when none of them is spoilt, else it is None."""

    pieces: Sequence[bytes]
    end: End
    is_slow: bool
    requests: int | None

    @property
    def data(self) -> bytes:
        """All that is sent."""
        return b"".join(self.pieces)

    def describe(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return vars(self) | {"pieces": [piece.decode("latin-1") for piece in self.pieces]}

    @classmethod
    def read(cls, described: dict[str, Any]) -> "Case":
        """What ``describe`` wrote."""
        pieces = [piece.encode("latin-1") for piece in described["pieces"]]
        return cls(pieces, End(described["end"]), described["is_slow"], described["requests"])


@dataclass
class _Request:
    """A request in its parts, so that each can be spoilt."""

    line: bytes
    headers: list[bytes]
    body: bytes

    def render(self) -> bytes:
        return self.line + b"\r\n" + b"".join(header + b"\r\n" for header in self.headers) + b"\r\n" + self.body


LINES: Final = (
    b"", b"\r\n\r\n", b"GET", b"GET /", b"GET / HTTP/0.9", b"GET / HTTP/2.0", b"GET / HTTP/1.10", b"GET / HTTP/1.0",
    b"get / HTTP/1.1", b"GET  / HTTP/1.1", b"GET\t/\tHTTP/1.1", b"GET / HTTP/1.1 x", b"GET http://evil/ HTTP/1.1",
    b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT evil:443 HTTP/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /v2/%ff HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET /v2/\xc3\xa4 HTTP/1.1",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /?" + b"&" * 9_000 + b" HTTP/1.1",
    b"GET ?x HTTP/1.1", b"GET //evil/ HTTP/1.1", b"GET /#x HTTP/1.1", b"X" * 300 + b" / HTTP/1.1", b"GET / FTP/1.1", b"GET /x\rHTTP/1.1",
    b"GET http:// HTTP/1.1", b"GET http://[ HTTP/1.1", b"GET http://a:99999/ HTTP/1.1", b"GET /v2/?x=\xff HTTP/1.1",
)  # fmt: skip
HEADERS: Final = (
    b"content-length: 5", b"content-length: +5", b"content-length: 0x5", b"content-length: -1", b"content-length: 5, 5",
    b"content-length: 99999999999999999999", b"content-length: 10995116277760", b"content-length:", b"content-length: 0",
    b"transfer-encoding: chunked", b"transfer-encoding: xchunked", b"transfer-encoding: gzip, chunked", b"Transfer-Encoding : chunked",
    b"transfer-encoding: chunked, identity", b"transfer-encoding:\x0bchunked", b"transfer-encoding: identity",
    b"expect: 100-continue", b"expect: 200-ok", b"upgrade: websocket\r\nconnection: upgrade", b"upgrade: h2c\r\nconnection: upgrade, http2-settings",
    b"connection: close", b"connection: keep-alive", b"connection: content-length", b"host: a\r\nhost: b", b"host:", b"host: \xff",
    b"x: a\r\n folded", b"x : space", b": nameless", b"no colon", b"x: \x00", b"x: \x1b[31m", b"x:" + b"a" * 9_000, b"\x80: a",
    b"\r\n".join(b"h%d: x" % number for number in range(120)), b"range: bytes=0-0", b"x-forwarded-for: 127.0.0.1", b"user-agent: \xff\x9b2J",
    b"authorization: Basic " + b"A" * 6_000, b"content-encoding: gzip", b"te: trailers", b"trailer: authorization", b"cookie: " + b"a=b; " * 90,
)  # fmt: skip
CHUNKS: Final = (
    b"5\r\nhello\r\n", b"0\r\n\r\n", b"5;ext=\"x\"\r\nhello\r\n", b"5 \r\nhello\r\n", b"05\r\nhello\r\n", b"5\nhello\n", b"-5\r\nhello\r\n",
    b"0x5\r\nhello\r\n", b"5\r\nhelloXX", b"5\r\nhel", b"ffffffffffffffffffff\r\n", b"7fffffffffffffff\r\n", b"g\r\n", b"\r\n", b"5" * 900 + b"\r\n",
    b"5;" + b"e" * 9_000 + b"\r\nhello\r\n", b"0\r\nx-trailer: 1\r\n\r\n", b"0\r\nauthorization: x\r\n\r\n", b"0\r\n" + b"t: x\r\n" * 300 + b"\r\n", b"0\n\n",
)  # fmt: skip


class RawCases:
    """An endless row of connections. The same random numbers make the same ones."""

    def __init__(
        self, random: Random, token: str, sign: Callable[[str, bytes], Sequence[tuple[str, str]]]
    ) -> None:
        self._random = random
        self._token = token.encode()
        #: The headers of a well-signed call.
        self._sign = sign

    def make(self) -> Case:
        """The next connection."""
        random = self._random
        requests = [self._request() for _ in range(random.choice((1, 1, 1, 2, 3, 8)))]
        is_spoilt = random.random() < 0.85
        for _ in range(random.choice((1, 1, 2, 3)) if is_spoilt else 0):
            self._spoil(random.choice(requests))
        data = b"".join(request.render() for request in requests)
        if is_spoilt and random.random() < 0.25:
            data = self._spoil_bytes(data)
        end = (
            random.choice((End.WAIT, End.WAIT, End.HALF_CLOSE, End.CLOSE, End.RESET)) if is_spoilt else End.WAIT
        )
        last = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        pieces = self._cut(data + last)
        return Case(pieces, end, random.random() < 0.1, None if is_spoilt else len(requests) + 1)

    def _request(self) -> _Request:
        random = self._random
        host = b"host: localhost"
        match random.randrange(6):
            case 0:
                return _Request(b"GET /livez HTTP/1.1", [host], b"")
            case 1:
                return _Request(b"HEAD /v2/ HTTP/1.1", [host, b"authorization: " + self._token], b"")
            case 2:
                path = random.choice(
                    (b"/v2/", b"/v2/_catalog?n=2", b"/v2/fuzz/raw/tags/list", b"/v2/no/such/tags/list", b"/x")
                )
                return _Request(b"GET " + path + b" HTTP/1.1", [host, b"authorization: " + self._token], b"")
            case 3:
                return self._call()
            case _:
                return self._push()

    def _call(self) -> _Request:
        body = b'{"repositoryNames":["fuzz/raw"]}'
        signed = self._sign("DescribeRepositories", body)
        headers = [f"{name}: {value}".encode() for name, value in signed]
        return _Request(b"POST / HTTP/1.1", [*headers, b"content-length: %d" % len(body)], body)

    def _push(self) -> _Request:
        random = self._random
        size = random.choice(
            (0, 5, 5, 400, 9_000, 70_000, 70_000, 1_500_000) if random.random() < 0.1 else (0, 5, 400)
        )
        content = CANARY + random.randbytes(size)
        headers = [b"host: localhost", b"authorization: " + self._token]
        line = f"POST /v2/{NAME}/blobs/uploads/?digest={digest_of(content)} HTTP/1.1".encode()
        if random.random() < 0.6:
            return _Request(line, [*headers, b"content-length: %d" % len(content)], content)
        cut = random.randrange(1, len(content))
        chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (content[:cut], content[cut:]) if part]
        return _Request(line, [*headers, b"transfer-encoding: chunked"], b"".join(chunks) + b"0\r\n\r\n")

    def _spoil(self, request: _Request) -> None:
        random = self._random
        match random.randrange(8):
            case 0:
                request.line = random.choice(LINES)
            case 1 | 2:
                request.headers.insert(random.randrange(len(request.headers) + 1), random.choice(HEADERS))
            case 3:
                del request.headers[random.randrange(len(request.headers) + 1) :]
            case 4:
                request.headers.append(b"transfer-encoding: chunked")
                request.body = b"".join(random.choices(CHUNKS, k=random.randrange(1, 5)))
            case 5:
                request.body = b"".join(random.choices(CHUNKS, k=random.randrange(1, 5)))
            case 6:
                request.body = request.body[: random.randrange(len(request.body) + 1)]
            case _:
                request.headers += random.choices(HEADERS, k=3)

    def _spoil_bytes(self, data: bytes) -> bytes:
        random = self._random
        for _ in range(random.choice((1, 1, 3))):
            at = random.randrange(len(data) + 1)
            inserted = random.choice((b"", b"\n", b"\r", b"\0", b"\r\n", b" ", random.randbytes(2)))
            data = data[:at] + inserted + data[at + random.randrange(3) :]
        return data

    def _cut(self, data: bytes) -> list[bytes]:
        random = self._random
        if random.random() < 0.5:
            return [data]
        marks = sorted(random.sample(range(1, len(data)), min(len(data) - 1, random.choice((1, 2, 8)))))
        return [data[start:end] for start, end in pairwise([0, *marks, len(data)])]
