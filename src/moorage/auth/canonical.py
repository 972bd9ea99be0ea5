"""The canonical form of a request, over which AWS Signature Version 4 is made.

Pure functions over the bytes that were received. What is decoded here is decoded exactly as the rest of the
server does (``+`` in a query is a space), so that what was signed is what is acted upon.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from moorage.domain.errors import MalformedQuery

#: Most name=value pairs that are read from a query string.
MAX_PARAMETERS: Final = 1_000

Pair = tuple[bytes, bytes]


def read_query(query_string: bytes) -> list[Pair]:
    """The decoded parameters in order, blank values kept, empty pairs left out. Raises ``MalformedQuery``."""
    if query_string.count(b"&") >= MAX_PARAMETERS:
        raise MalformedQuery(text="The query string has too many parameters")
    pairs = []
    for part in query_string.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def canonical_query(pairs: Iterable[Pair]) -> bytes:
    """The decoded parameters encoded strictly, sorted by encoded name, then by encoded value."""
    encoded = sorted((_encode(name), _encode(value)) for name, value in pairs)
    return "&".join([f"{name}={value}" for name, value in encoded]).encode("ascii")


def canonical_uri(raw_path: bytes) -> bytes:
    """The path as received without dot segments and repeated slashes, each segment encoded once more."""
    if raw_path in {b"/", b""}:
        return b"/"
    segments: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in {b"", b"."}:
            segments.append(segment)
    last = b"/" if segments and raw_path.endswith(b"/") else b""
    return quote_from_bytes(b"/" + b"/".join(segments) + last, safe="/~").encode("ascii")


def canonical_headers(
    names: Iterable[bytes], values: Mapping[bytes, bytes], repeated: Mapping[bytes, Sequence[bytes]]
) -> bytes:
    """One line per name, in the order given: inner runs of white space made one, repeated headers joined by commas.

    ``repeated`` holds all values of the headers that came more than once. Raises ``KeyError`` with the name of
    a header that is in neither.
    """
    lines = [
        b"%b:%b\n" % (name, b",".join(map(_trim, repeated[name])) if name in repeated else _trim(values[name]))
        for name in names
    ]
    return b"".join(lines)


def _trim(value: bytes) -> bytes:
    return b" ".join(value.split())


def _encode(value: bytes) -> str:
    return quote_from_bytes(value, safe="-_.~")
