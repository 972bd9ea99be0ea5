"""Values for both faces: pools of names that come back, hostile texts, and ways to spoil a JSON value."""

import json
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import Any, Final

#: Few, so that requests meet what others left behind.
REPOSITORIES: Final = ("fuzz/a", "fuzz/b", "fuzz/a/b", "ab", "gone/for-ever")
TAGS: Final = ("v1", "v2", "latest", "_", "A.b-c", "x" * 128)
NOBODY: Final = "sha256:" + "0" * 64

HOSTILE_TEXTS: Final = (
    "",
    " ",
    "\0",
    "\r\n",
    "a\r\nx-injected: 1",
    "A",
    "a//b",
    "../x",
    "a/../b",
    "-a",
    "a_",
    "a__b",
    "a" * 129,
    "a" * 257,
    "a" * 2_001,
    "-" * 300,
    "a-" * 200 + "!",
    "%2e%2e",
    "%2F",
    "..;/",
    "\\",
    "\u00e4",
    "\u202e\u2028",
    "\U0001f4a5",
    "\ud800",
    "\ufeff",
    "latest\n",
    "sha256:baddigeststring",
    "sha256:" + "A" * 64,
    "SHA256:" + "a" * 64,
    "sha256:" + "a" * 63,
    "sha512:" + "a" * 64,
    "md5:" + "a" * 32,
    "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "<img src=x onerror=alert(1)>",
    "' OR 1=1 --",
    "\uff0e\uff0e/",
    "*" * 128,
    "0",
    "-1",
    "1e400",
    "999999999999",
    "arn:aws:ecr:us-east-1:999999999999:repository/x",
    "arn:aws:ecr:::",
)


class Verbatim(str):
    """JSON text that goes into a body as it is."""

    __slots__ = ()


HOSTILE_NUMBERS: Final = (
    0, -1, 1, 1001, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**64), 1.5, -0.0, 1e308,
)  # fmt: skip
#: What ``json.dumps`` would not write.
HOSTILE_LITERALS: Final = tuple(
    map(
        Verbatim,
        ("NaN", "Infinity", "-Infinity", "1e400", "1" * 400, "01", "+1", ".5", "tru", "'a'", "", "[1,]"),
    )
)
_MARK: Final = "\x07verbatim\x07"


@dataclass
class Known:
    """What answers have told, so that later requests can use it, rightly or wrongly."""

    digests: deque[str] = field(default_factory=lambda: deque([NOBODY], maxlen=40))
    blobs: deque[bytes] = field(default_factory=lambda: deque([b"{}"], maxlen=20))
    upload_ids: deque[str] = field(
        default_factory=lambda: deque(["00000000-0000-4000-8000-000000000000"], maxlen=20)
    )
    lengths: dict[str, int] = field(default_factory=dict)
    page_tokens: deque[str] = field(default_factory=lambda: deque(["none"], maxlen=20))
    downloads: deque[str] = field(default_factory=lambda: deque(["/downloads/x?token=y"], maxlen=20))


def digest_of(data: bytes) -> str:
    """The sha256 digest of these bytes."""
    return f"sha256:{sha256(data).hexdigest()}"


def hostile(random: Random) -> Any:
    """A JSON value that seldom belongs where it is put."""
    kind = random.random()
    if kind < 0.45:
        return random.choice(HOSTILE_TEXTS)
    if kind < 0.6:
        return random.choice(HOSTILE_NUMBERS)
    if kind < 0.66:
        return random.choice(HOSTILE_LITERALS)
    if kind < 0.76:
        return random.choice((None, True, False, [], {}, [[]], {"": None}))
    if kind < 0.86:
        return _text(random)
    if kind < 0.93:
        return [hostile(random) for _ in range(random.randrange(4))]
    return {random.choice(HOSTILE_TEXTS): hostile(random) for _ in range(random.randrange(3))}


def _text(random: Random) -> str:
    reach = random.choice((0x80, 0x100, 0x3000, 0x10FFFF))
    return "".join(chr(random.randrange(reach)) for _ in range(random.choice((1, 3, 12, 300))))


def spoil(random: Random, value: Any) -> Any:
    """The same value with one place in it changed; what was given stays as it is."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        return _spoil_object(random, value)
    if isinstance(value, list) and value and random.random() < 0.8:
        return _spoil_list(random, value)
    kind = random.random()
    if kind < 0.08:
        return [value]
    if kind < 0.16:
        return {"a": value}
    if kind < 0.22 and isinstance(value, str) and value:
        return value * random.choice((2, 50, 400))
    if kind < 0.34 and isinstance(value, str) and value:
        at = random.randrange(len(value))
        return value[:at] + random.choice(HOSTILE_TEXTS) + value[at + 1 :]
    return hostile(random)


def _spoil_object(random: Random, value: dict[str, Any]) -> dict[str, Any]:
    copy, name = dict(value), random.choice(list(value))
    kind = random.random()
    if kind < 0.2:
        del copy[name]
    elif kind < 0.3:
        copy[random.choice(HOSTILE_TEXTS)] = hostile(random)
    elif kind < 0.35:
        copy[name.swapcase()] = copy.pop(name)
    else:
        copy[name] = spoil(random, copy[name])
    return copy


def _spoil_list(random: Random, value: list[Any]) -> list[Any]:
    copy, at = list(value), random.randrange(len(value))
    kind = random.random()
    if kind < 0.15:
        return copy * random.choice((2, 51, 101))
    if kind < 0.25:
        return []
    copy[at] = spoil(random, copy[at])
    return copy


def dump(value: Any) -> bytes:
    """A JSON body; ``Verbatim`` texts stand in it as they are, lone surrogates as their escapes."""
    literals: list[str] = []
    text = json.dumps(_marked(value, literals))
    for literal in literals:
        text = text.replace(json.dumps(_MARK), literal, 1)
    return text.encode()


def _marked(value: Any, literals: list[str]) -> Any:
    if isinstance(value, Verbatim):
        literals.append(value)
        return _MARK
    if isinstance(value, dict):
        return {name: _marked(member, literals) for name, member in value.items()}
    if isinstance(value, list):
        return [_marked(member, literals) for member in value]
    return value


def spoil_bytes(random: Random, body: bytes) -> bytes:
    """A body that something happened to on the way."""
    at = random.randrange(len(body) + 1)
    match random.randrange(9):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + random.randbytes(random.randrange(1, 9)) + body[at:]
        case 3:
            return b"\xef\xbb\xbf" + body
        case 4:
            return body + random.choice((b"}", b"{}", b"\0", b" ", b"\n\n", b",", b"//x"))
        case 5:
            depth = random.choice((10, 64, 65, 2_000))
            return b"[" * depth + b"]" * depth
        case 6:
            return b'{"a":1,"a":2,' + body[1:]
        case 7:
            return body.decode("utf-8", "replace").encode("utf-16")
        case _:
            return random.randbytes(random.randrange(200))


def cut_up(random: Random, body: bytes) -> tuple[bytes, ...]:
    """The body in the pieces in which it comes."""
    if len(body) < 2 or random.random() < 0.7:
        return (body,)
    marks = sorted(random.sample(range(1, len(body)), min(len(body) - 1, random.randrange(1, 4))))
    return tuple(body[start:end] for start, end in pairwise([0, *marks, len(body)]))


def manifest(random: Random, known: Known) -> dict[str, Any]:
    """A manifest or an index over what there is."""
    if random.random() < 0.3:
        entries = [
            _descriptor(random.choice(known.digests), random.randrange(400)) for _ in range(random.randrange(4))
        ]
        made: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        }
    else:
        config, *layers = random.choices(list(known.blobs), k=random.randrange(1, 4))
        made = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor(digest_of(config), len(config)),
            "layers": [_descriptor(digest_of(layer), len(layer)) for layer in layers],
        }
    if random.random() < 0.2:
        made["subject"] = _descriptor(random.choice(known.digests), 7)
    if random.random() < 0.3:
        made["annotations"] = {"a": random.choice(TAGS), "n": str(random.randrange(50))}
    return made


def _descriptor(digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size}
