"""Content digests: the only names Moorage gives to bytes.

A ``Digest`` is made by hashing bytes or by parsing text that a client sent, never taken on trust
(OCI image-spec, "Digests"). Only sha256 and sha512 with lower-case hex of exact length are accepted.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from moorage.domain.errors import DigestInvalid

#: Supported algorithms and the length of their hex form.
ALGORITHMS: Final = {"sha256": 64, "sha512": 128}

#: What the ECR model takes for a digest of any algorithm.
ANY_DIGEST: Final = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")

_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Digest:
    """``algorithm:hex``, checked when made."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        """Refuse an unknown algorithm or a hex part of another form.

        Raises ``DigestInvalid``.
        """
        if len(self.hex) != ALGORITHMS.get(self.algorithm) or not _HEX.fullmatch(self.hex):
            raise DigestInvalid(digest=f"{self.algorithm}:{self.hex}")

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read ``algorithm:hex``. Raises ``DigestInvalid``."""
        algorithm, _, hexadecimal = text[:200].partition(":")
        return cls(algorithm, hexadecimal)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> "Digest":
        """The digest of these bytes."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
