"""Bytes and their digests. Everything is fresh and random, so that a run never meets the leftovers of another."""

import hashlib
import secrets
from dataclasses import dataclass

ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True)
class Blob:
    """Bytes to push, and the digest to push them under."""

    data: bytes
    digest: str

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> "Blob":
        """The bytes under their own digest."""
        return cls(data, digest_of(data, algorithm))

    @classmethod
    def random(cls, size: int = 512, algorithm: str = "sha256") -> "Blob":
        """Bytes that no registry holds yet."""
        return cls.of(secrets.token_bytes(size), algorithm)

    @classmethod
    def spoilt(cls, size: int, algorithm: str) -> "Blob":
        """Bytes under the digest of other bytes."""
        blob = cls.random(size, algorithm)
        return cls(blob.data + b"spoilt", blob.digest)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """``algorithm:hex`` of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def name(prefix: str) -> str:
    """A tag, or a part of a repository name, that is not taken yet."""
    return f"{prefix}-{secrets.token_hex(6)}"
