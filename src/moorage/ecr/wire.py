"""JSON 1.1 on the wire: reading request bodies strictly, writing compact answers.

``Date`` is not written here: the ASGI server adds it to every answer (uvicorn does by default).
"""

import re
from typing import Any, Final

import msgspec

from moorage.domain.errors import MalformedRequest
from moorage.domain.names import plain_text
from moorage.ecr.errors import THROTTLING, ErrorAnswer
from moorage.web.http import Response
from moorage.web.messages import RETRY_AFTER, RETRY_SOON

CONTENT_TYPE: Final = b"application/x-amz-json-1.1"

#: How many objects and arrays of a request may be open at once.
MAX_DEPTH: Final = 64

# A string and, where it is a member's name, the colon behind it. Possessive: one pass over the bytes whatever
# they are. Only used on what the parser has accepted.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\r\n]*+(:)?', re.DOTALL)
_CONTAINERS: Final = (dict, list, tuple)

#: Most objects, arrays and commas of a request. A value in memory takes many times its bytes; the largest inputs
#: that are legal have a few hundred.
MAX_VALUES: Final = 20_000


_decode: Final = msgspec.json.Decoder().decode
_check_syntax: Final = msgspec.json.Decoder(msgspec.Raw).decode
_encode: Final = msgspec.json.Encoder(enc_hook=plain_text).encode


def parse_json(body: bytes) -> dict[str, Any]:
    """The object that a request body holds; an empty body is ``{}``.

    Refused beside what is not JSON: another type at the top, repeated names, ``NaN`` and numbers beyond a double,
    half a surrogate pair, a byte order mark, more than ``MAX_DEPTH`` levels or ``MAX_VALUES`` values. Holds one copy
    of the body beside the body itself, for a moment two and a half when a long string has escapes. Raises
    ``MalformedRequest``.
    """
    if not body:
        return {}
    try:
        _refuse_many_values(body)
        value = _decode(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(text="The request body is not JSON that can be read") from error
    if value.__class__ is not dict:
        raise MalformedRequest(text="The request body must be a JSON object")
    _refuse_repeated_names(body, _count_names(value, MAX_DEPTH))
    parsed: dict[str, Any] = value
    return parsed


def _refuse_many_values(body: bytes) -> None:
    """Bound what parsing makes of a body, before it does. Raises ``MalformedRequest``, ``ValueError``.

    What is counted may also stand in strings, where it costs nothing: only then are strings told apart, which is
    safe once the syntax is known to be right.
    """
    if _count_values(body) > MAX_VALUES:
        _check_syntax(body)
        if _count_values(_STRING.sub(b"", body)) > MAX_VALUES:
            raise MalformedRequest(text=f"The request body holds more than {MAX_VALUES} values")


def _count_values(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _count_names(value: Any, room: int) -> int:
    """How many members the objects in ``value`` have; ``room`` is the levels it may fill.

    Raises ``MalformedRequest``.
    """
    if room == 0:
        raise MalformedRequest(text=f"The request body is nested deeper than {MAX_DEPTH} levels")
    count, elements = 0, value
    if value.__class__ is dict:
        count, elements = len(value), value.values()
    for element in elements:
        if element.__class__ is dict or element.__class__ is list:
            count += _count_names(element, room - 1)
    return count


def _refuse_repeated_names(body: bytes, distinct: int) -> None:
    """The parser lets the last of two equal names win, so names are counted as written and as understood.

    Every name has a colon: with no more colons than names that were understood, none is repeated. That settles
    the large bodies, whose base64 has no colons. The next count finds at least every name unless there are escapes
    or space before a colon. Otherwise, a string that begins with a colon included, each string is looked at.
    Raises ``MalformedRequest``.
    """
    if body.count(b":") == distinct:
        return
    has_loose_colons = b" :" in body or b"\t:" in body or b"\n:" in body or b"\r:" in body
    if not has_loose_colons and b"\\" not in body and body.count(b'":') == distinct:
        return
    if sum(1 for string in _STRING.finditer(body) if string.lastindex) != distinct:
        raise MalformedRequest(text="The request body repeats a name within one object")


def dump_json(value: object) -> bytes:
    """Compact JSON without the members that are None. Raises ``TypeError`` for what has no form on the wire."""
    encoded = _encode(value)
    # Walking the value costs more than writing it; most answers have nothing to leave out.
    return _encode(_without_none(value)) if b"null" in encoded else encoded


def _without_none(value: Any) -> Any:
    if value.__class__ not in _CONTAINERS:
        return value
    if value.__class__ is dict:
        present = ((name, member) for name, member in value.items() if member is not None)
        return {
            name: _without_none(member) if member.__class__ in _CONTAINERS else member
            for name, member in present
        }
    return [_without_none(element) for element in value]


def timestamp(micros: int) -> float:
    """Microseconds since the epoch as ECR writes times: seconds, cut to milliseconds."""
    return micros // 1_000 / 1_000


def json_response(status: int, value: object, request_id: str) -> Response:
    """An answer with ``value`` as its body."""
    return _response(status, dump_json(value), request_id)


def error_response(answer: ErrorAnswer, request_id: str) -> Response:
    """An answer that refuses; ``__type`` decides for clients, and stands first."""
    body = dump_json({"__type": answer.code, "message": answer.message, **answer.members})
    response = _response(answer.status, body, request_id)
    response.error_code = answer.code
    response.headers += retry_headers(answer)
    return response


def retry_headers(answer: ErrorAnswer) -> list[tuple[bytes, bytes]]:
    """What tells a client when to try again, where that is right."""
    if answer.status == 503:
        return [RETRY_AFTER]
    return [RETRY_SOON] if answer.code == THROTTLING else []


def _response(status: int, body: bytes, request_id: str) -> Response:
    headers = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    return Response(status, headers, body)
