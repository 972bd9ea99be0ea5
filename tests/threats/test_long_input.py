"""Row 24: texts of a hundred thousand characters, made for every parser of ours to stumble over.

Work is counted, not timed: calls that a parser makes, in Python and from it, at two sizes of which one is ten times
the other. What a regular expression does inside is not seen by that; there, a pattern that tries the same characters
again and again does not come back, and the processor's own alarm ends it.
"""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from moorage.auth import sigv4, tokens
from moorage.auth.sealing import Keyring
from moorage.domain import json_document, media_types
from moorage.domain.arn import RepositoryArn
from moorage.domain.digest import Digest
from moorage.domain.errors import RegistryError
from moorage.domain.manifest import Manifest
from moorage.domain.names import RegistryId, RepositoryName, Tag
from moorage.ecr import query, wire
from moorage.ecr.contract import OPERATIONS, SHAPES
from moorage.ecr.shapes import Operation
from moorage.ecr.validation import validate
from moorage.oci.routes import read_path
from moorage.rules import resource_tags, wildcards
from moorage.web.ranges import parse_range

SMALL, LARGE = 10_000, 100_000
#: Processor seconds that a parser would only take if it did not come back at all.
LOST = 60.0
KEYRING = Keyring({1: bytes(32)}, 1)

#: What is repeated, between a beginning and an end that make the whole wrong at its very last character.
BAITS = {
    "letters": ("", "a", "!"),
    "separators": ("", "-", ""),
    "pairs": ("a", "-a", "!"),
    "levels": ("a", "/a", "/"),
    "dots": ("a", "._", "a"),
    "stars": ("", "*", "!"),
    "digits": ("", "9", "x"),
    "digest": ("sha256:", "a", "g"),
    "arn": ("arn:aws", "-a", "!"),
    "colons": ("", ":", "!"),
    "spaces": ("a", " ", "b"),
    "commas": ("bytes=0-0", ",0-0", ""),
    "percents": ("", "%41", "%"),
    "ampersands": ("a=b", "&a=b", "%"),
    "brackets": ("", "[", "]"),
    "quotes": ("", '"', ""),
    "escapes": ('"', "\\\\", ""),
    "lists": ("[0", ",[]", ""),
    "zeros": ("0", "0", "x"),
    "letters beyond ascii": ("", "\u00e4", ""),
}

Parser = Callable[[str], object]


def authorized(text: str) -> object:
    """A signature with this where its parts are."""
    headers = [(b"host", b"x"), (b"authorization", b"AWS4-HMAC-SHA256 " + text.encode("latin-1"))]
    return sigv4.parse("POST", b"/", b"", headers, ("ecr",))


def presigned(text: str) -> object:
    """A query string with this behind what makes it a presigned one."""
    query_string = b"X-Amz-Signature=0&" + text.encode("latin-1")
    return sigv4.parse("POST", b"/", query_string, [(b"host", b"x")], ("ecr",))


def by_query(text: str) -> object:
    """An input given as text, where a structure is expected."""
    parameters = query.split([("Action", "CreateRepository"), ("imageScanningConfiguration", text)])
    return query.read_input(OPERATIONS["CreateRepository"], parameters, has_body=False)


PARSERS: dict[str, Parser] = {
    "repository name": RepositoryName.parse,
    "tag": Tag.parse,
    "digest": Digest.parse,
    "registry id": RegistryId.parse,
    "arn": RepositoryArn.parse,
    "media type": media_types.is_media_type,
    "content type": media_types.without_parameters,
    "path": lambda text: read_path("/v2/" + text + "/tags/list"),
    "range": lambda text: parse_range(text, 1_000),
    "json": lambda text: json_document.load(text.encode()),
    "body": lambda text: wire.parse_json(text.encode()),
    "manifest": lambda text: Manifest.parse(text.encode(), None),
    "authorization": authorized,
    "presigned query": presigned,
    "input by query": by_query,
    "basic": lambda text: tokens.read_registry_authorization(KEYRING, "Basic " + text, 0),
    "download token": lambda text: tokens.read_download_token(KEYRING, text, 0),
    "pattern": lambda text: wildcards.matches(text, "a" * len(text)),
    "text for a pattern": lambda text: wildcards.matches("*a*b*a*c", text),
    "resource tag": lambda text: resource_tags.check_resource_tags([("k", text)]),
}


class Lost(Exception):
    """A parser did not come back."""


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End a parser that is lost, so that the test says which it was."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Lost

    previous = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, LOST)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, previous)


def work(parser: Parser, text: str) -> int:
    """Calls that it takes to read or refuse this text."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        with contextlib.suppress(RegistryError, json_document.JsonInvalid):
            parser(text)
    finally:
        sys.setprofile(None)
    return calls


def bait(name: str, size: int) -> str:
    """A text of about this size."""
    begin, repeated, end = BAITS[name]
    return begin + repeated * ((size - len(begin) - len(end)) // len(repeated)) + end


@pytest.mark.incident(24)
@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("name", BAITS)
def test_work_grows_no_faster_than_a_text(parser: Parser, name: str) -> None:
    """Ten times the text is ten times the work at most."""
    small, large = work(parser, bait(name, SMALL)), work(parser, bait(name, LARGE))
    assert large <= 11 * small + 100


def structure_of(shape: str) -> Operation:
    """An operation that takes one shape as its whole input."""
    return Operation(shape, shape, "", ())


@pytest.mark.incident(24)
@pytest.mark.parametrize("shape", [shape.name for shape in SHAPES.values() if shape.pattern])
@pytest.mark.parametrize("name", BAITS)
def test_no_pattern_of_the_contract_gets_lost(shape: str, name: str) -> None:
    """At full length, and at the longest that comes as far as the pattern."""
    longest = SHAPES[shape].maximum or LARGE
    for size in (LARGE, longest):
        with contextlib.suppress(RegistryError, json_document.JsonInvalid):
            validate(structure_of(shape), bait(name, size))


def test_work_that_grows_too_fast_is_seen() -> None:
    """The counter counts: a parser that looks at each pair of characters does a hundred times the work."""

    def pairs(text: str) -> object:
        return [ord(first) + ord(second) for first in text for second in text]

    assert work(pairs, "a" * 500) > 50 * work(pairs, "a" * 50)
