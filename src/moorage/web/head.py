"""The head of a request: its bounds and its framing, checked before anything runs, and what ASGI is told of it."""

from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools

Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """The head is refused with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Target(NamedTuple):
    """The path of a request, percent-decoded once and as it came, and its query."""

    path: str
    raw_path: bytes
    query_string: bytes


def check(headers: Headers, version: str, *, is_upgrade: bool, expects_continue: bool) -> None:
    """Refuse what could be read in two ways, and what is not served. Raises ``Refused``."""
    if version not in {"1.1", "1.0"}:
        raise Refused(505)
    fields = dict(headers)
    if b"host" not in fields:
        if version == "1.1":
            raise Refused(400)
    elif len(fields) != len(headers) and sum(name == b"host" for name, _ in headers) > 1:
        raise Refused(400)
    if b"transfer-encoding" in fields:
        _check_coding(headers, version)
    if is_upgrade and (b"transfer-encoding" in fields or b"content-length" in fields):
        # llhttp would take the body for the first bytes of another protocol.
        raise Refused(400)
    if b"expect" in fields and not expects_continue:
        raise Refused(417)


def _check_coding(headers: Headers, version: str) -> None:
    coding = next(value.strip().lower() for name, value in headers if name == b"transfer-encoding")
    if version == "1.0":
        raise Refused(400)
    if coding != b"chunked":
        raise Refused(501 if b"," in coding else 400)


def size(url: bytes, headers: Headers) -> int:
    """Bytes of the head, nearly."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def body_length(headers: Headers) -> int | None:
    """Bytes of the announced body, None when it is chunked."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def is_whole(request: bytes) -> bool:
    """Whether these first bytes of a connection are a request with all of its body; what cannot be told is not."""
    head, end, body = request.partition(b"\r\n\r\n")
    lines = head.lower()
    if not end or b"\r\ntransfer-encoding:" in lines:
        return False
    _, is_announced, rest = lines.partition(b"\r\ncontent-length:")
    if not is_announced:
        return True
    length = rest.partition(b"\r\n")[0].strip()
    return length.isdigit() and len(length) < 10 and len(body) >= int(length)


def read_target(url: bytes) -> Target:
    """Split what stands behind the method. Raises ``ValueError`` and httptools' errors for what is no URL."""
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:
        parsed: Any = httptools.parse_url(url)
        raw_path, query = parsed.path, parsed.query or b""
    path = raw_path.decode("ascii")
    return Target(unquote(path) if "%" in path else path, raw_path, query)
