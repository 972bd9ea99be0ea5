"""The form of locations: the only text from a row that ever becomes a path.

A location is made here from validated hex and random hex, and checked here before it is used again.
"""

import re
import secrets
from typing import Final

from moorage.blobs.base import LocationRefused
from moorage.domain.digest import ALGORITHMS, Digest

#: Shards are named by two hex digits.
SHARDS: Final = tuple(f"{number:02x}" for number in range(256))

_SEGMENT: Final = re.compile(r"uploads/(?P<shard>[0-9a-f]{2})/(?P=shard)[0-9a-f]{30}")
_BLOB: Final = re.compile(
    "|".join(
        rf"blobs/{algorithm}/(?P<{algorithm}>[0-9a-f]{{2}})/(?P={algorithm})[0-9a-f]{{{length - 2}}}\.[0-9a-f]{{32}}"
        for algorithm, length in ALGORITHMS.items()
    )
)


def new_segment() -> str:
    """A location for a segment, never given out before."""
    name = secrets.token_hex(16)
    return f"uploads/{name[:2]}/{name}"


def new_blob(digest: Digest) -> str:
    """A location for a copy of this blob, never given out before."""
    return f"blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}.{secrets.token_hex(16)}"


def is_segment(location: str) -> bool:
    """Whether the text has the form of a segment's location."""
    return _SEGMENT.fullmatch(location) is not None


def is_blob(location: str) -> bool:
    """Whether the text has the form of a blob's location."""
    return _BLOB.fullmatch(location) is not None


def check_segment(location: str) -> None:
    """Raises ``LocationRefused`` for anything but a segment's location."""
    if not is_segment(location):
        raise LocationRefused(location)


def check_blob(location: str) -> None:
    """Raises ``LocationRefused`` for anything but a blob's location."""
    if not is_blob(location):
        raise LocationRefused(location)
