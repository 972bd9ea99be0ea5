"""A blob as the answer to GET or HEAD, whole or a part of it: the same for pulls and for download URLs."""

from collections.abc import AsyncIterator
from typing import Final

from moorage.blobs.base import BlobReader
from moorage.domain.errors import RangeNotSatisfiable
from moorage.metadata.layers import LayerRow
from moorage.transfers.downloads import Downloads
from moorage.web.http import Request, Response
from moorage.web.ranges import ByteRange, is_not_modified, requested_range

#: Whatever a blob holds, no browser may run it; what it holds never changes.
_FIXED_HEADERS: Final = (
    (b"content-type", b"application/octet-stream"),
    (b"x-content-type-options", b"nosniff"),
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"private, max-age=31536000, immutable"),
)


async def blob_response(request: Request, downloads: Downloads, layer: LayerRow, digest: str) -> Response:
    """Answer a GET or HEAD for a blob, with ``Range``, ``If-Range`` and ``If-None-Match`` (RFC 9110).

    ``digest`` is the one that was asked for; a blob may have several. Answers 200, 206, 304 and 416 itself.
    Raises ``BlobDamaged``, ``Unavailable``.
    """
    etag = f'"{digest}"'
    headers = _lasting_headers(digest)
    if is_not_modified(request, etag):
        return Response(304, headers)
    try:
        part = requested_range(request, layer.size, etag)
    except RangeNotSatisfiable:
        return _not_satisfiable(layer.size)
    length = layer.size if part is None else part.length
    headers.append((b"content-length", b"%d" % length))
    if request.method == "HEAD":
        # What a push asks first: told that a damaged blob is there, it would never send what repairs it.
        await downloads.check(layer)
        return Response(200, headers)
    reader = await downloads.open(layer)
    if part is None:
        return Response(200, headers, _body(downloads, reader, 0, layer.size))
    headers.append((b"content-range", _content_range(part, layer.size)))
    return Response(206, headers, _body(downloads, reader, part.offset, part.length))


def blob_headers(digest: str, size: int) -> list[tuple[bytes, bytes]]:
    """The header lines of a blob that is answered as a whole."""
    return [*_lasting_headers(digest), (b"content-length", b"%d" % size)]


def _lasting_headers(digest: str) -> list[tuple[bytes, bytes]]:
    named = digest.encode()
    return [*_FIXED_HEADERS, (b"docker-content-digest", named), (b"etag", b'"%b"' % named)]


def _body(downloads: Downloads, reader: BlobReader, offset: int, length: int) -> bytes | AsyncIterator[bytes]:
    small = downloads.read_small(reader, offset, length)
    return downloads.stream(reader, offset, length) if small is None else small


def _content_range(part: ByteRange, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (part.offset, part.offset + part.length - 1, size)


def _not_satisfiable(size: int) -> Response:
    headers = [(b"content-range", b"bytes */%d" % size), (b"content-length", b"0")]
    return Response(416, headers, error_code="RANGE_NOT_SATISFIABLE")
