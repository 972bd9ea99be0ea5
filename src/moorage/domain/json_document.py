"""Reading JSON that strangers sent: one meaning or a refusal.

The standard parser lets pass what other parsers read differently: repeated keys (the last wins here, the first
elsewhere), ``NaN``, numbers beyond a double, half a surrogate pair. Bytes that two programs understand
differently must not be stored under one digest, so each of these is refused here.
"""

import json
import math
import re
from typing import Final, NoReturn

#: How many objects and arrays may be open at once.
MAX_DEPTH: Final = 64

#: How many objects and arrays a document may hold; each takes far more memory than its two bytes.
MAX_CONTAINERS: Final = 100_000

# Possessive, and an end of input closes the string: one pass over the bytes whatever they are.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_A_BRACKET: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonInvalid(ValueError):
    """The bytes are not one strict JSON document; ``reason`` says why and where."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def load(content: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """The value of a JSON document in UTF-8, without byte order mark.

    Raises ``JsonInvalid`` for anything that is not strict JSON (RFC 8259, with the names of an object unique).
    """
    if content.startswith(b"\xef\xbb\xbf"):
        raise JsonInvalid("it begins with a byte order mark")
    _check_nesting(content, max_depth)
    value = _decode(content)
    if _SURROGATE_ESCAPE.search(content):
        _refuse_lone_surrogates(value)
    return value


def load_object(content: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, object]:
    """Like ``load`` for a document that must be an object. Raises ``JsonInvalid``."""
    value = load(content, max_depth=max_depth)
    if not isinstance(value, dict):
        raise JsonInvalid("it is not a JSON object")
    return value


def _check_nesting(content: bytes, max_depth: int) -> None:
    """Bound depth and number of containers, without recursion and before the parser runs.

    Only brackets outside of strings are looked at. Each round removes the innermost pairs, so what is nested well
    is gone after ``max_depth`` rounds. The kinds of bracket are not told apart: that is the parser's work, which
    is safe once the depth is known. Raises ``JsonInvalid``.
    """
    brackets = _STRING.sub(b"", content).translate(_ONE_KIND, _NOT_A_BRACKET)
    too_deep = f"objects and arrays are nested deeper than {max_depth} levels"
    if brackets.startswith(b"[" * (max_depth + 1)):
        raise JsonInvalid(too_deep)
    if brackets.count(b"[") > MAX_CONTAINERS:
        raise JsonInvalid(f"it holds more than {MAX_CONTAINERS} objects and arrays")
    for _ in range(max_depth):
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or brackets.count(b"[") > max_depth:
        raise JsonInvalid(too_deep)


def _decode(content: bytes) -> object:
    try:
        return json.loads(
            content.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"it is not JSON: {error}") from error
    except JsonInvalid:
        raise
    except ValueError as error:  # the interpreter's own limit on the digits of an integer
        raise JsonInvalid("a number has too many digits") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonInvalid(f"the key {shorten(_first_repeated(pairs))} is given twice in one object")
    return members


def _first_repeated(pairs: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("called for pairs without a repeated name")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JsonInvalid(f"the number {shorten(digits)} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise JsonInvalid(f"{name} is not a JSON value")


def _refuse_lone_surrogates(value: object) -> None:
    """Half a pair makes text that no UTF-8 answer can carry. Raises ``JsonInvalid``."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise JsonInvalid("a string holds half a surrogate pair") from error


def shorten(text: str, limit: int = 100) -> str:
    """Text of a stranger for use in a reason: quoted, escaped, cut."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")
