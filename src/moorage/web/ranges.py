"""``Range`` and the conditions that go with it (RFC 9110, sections 13 and 14): one range of bytes or the whole."""

from typing import Final, NamedTuple

from moorage.domain.errors import RangeNotSatisfiable
from moorage.web.http import Request

#: Numbers of more digits than any size has count as this: beyond the end.
_ENDLESS: Final = 10**19


class ByteRange(NamedTuple):
    """``length`` bytes from ``offset`` on; never empty."""

    offset: int
    length: int


def requested_range(request: Request, size: int, etag: str) -> ByteRange | None:
    """The part of ``size`` bytes that a GET asks for, None for the whole.

    ``etag`` is the entity tag with its quotes: an ``If-Range`` that names another one asks for the whole.
    Raises ``RangeNotSatisfiable``.
    """
    value = request.header(b"range")
    if value is None or request.method != "GET":
        return None
    condition = request.header(b"if-range")
    if condition is not None and condition.strip() != etag:
        return None
    return parse_range(value, size)


def parse_range(value: str, size: int) -> ByteRange | None:
    """Read a ``Range`` header. None where it is to be ignored: another unit, several ranges, or not of the form.

    A range that ends before it begins is ignored by RFC 9110, too; Moorage refuses it, because no client can mean
    the whole blob by it. Raises ``RangeNotSatisfiable``.
    """
    unit, _, ranges = value.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    first, dash, last = ranges.strip().partition("-")
    if not dash or not _is_number(first or "0") or not _is_number(last or "0") or not (first or last):
        return None
    if not first:
        length = min(_number(last), size)
        return _satisfiable(size - length, length, size)
    begin = _number(first)
    end = min(_number(last), size - 1) if last else size - 1
    return _satisfiable(begin, end - begin + 1, size)


def is_not_modified(request: Request, etag: str) -> bool:
    """Whether the client names, by ``If-None-Match``, what it would get: then 304 will do."""
    value = request.header(b"if-none-match")
    if value is None:
        return False
    given = {entry.strip().removeprefix("W/") for entry in value.split(",")}
    return etag in given or "*" in given


def _satisfiable(offset: int, length: int, size: int) -> ByteRange:
    if length < 1 or offset >= size:
        raise RangeNotSatisfiable(size=size)
    return ByteRange(offset, length)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    return int(text) if len(text) < 20 else _ENDLESS
