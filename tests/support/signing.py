"""AWS Signature Version 4 as a client computes it, from its published description; nothing of the product is used."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

Pairs = Sequence[tuple[str, str]]

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Scope:
    """Whose signature it is, and for what. ``moment`` has the form 20260203T040506Z."""

    access_key_id: str
    secret: str
    moment: str
    region: str = "us-east-1"
    service: str = "ecr"

    @property
    def text(self) -> str:
        """The scope as it is signed."""
        return f"{self.moment[:8]}/{self.region}/{self.service}/aws4_request"

    @property
    def credential(self) -> str:
        """The scope with the key's id before it."""
        return f"{self.access_key_id}/{self.text}"


def signature(scope: Scope, canonical: str) -> str:
    """The signature of a canonical request."""
    text = f"{ALGORITHM}\n{scope.moment}\n{scope.text}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(_signing_key(scope.secret, scope.text), text.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def header_value(
    scope: Scope, headers: Pairs, signed: Sequence[str], body: bytes, query: Pairs = (), method: str = "POST"
) -> str:
    """The ``Authorization`` header of a request for ``/``. Of ``headers`` those named in ``signed`` are signed."""
    canonical = canonical_request(method, query, headers, signed, hashlib.sha256(body).hexdigest())
    return (
        f"{ALGORITHM} Credential={scope.credential}, SignedHeaders={';'.join(signed)}, "
        f"Signature={signature(scope, canonical)}"
    )


def presigned_query(scope: Scope, host: str, query: Pairs, seconds: int, method: str = "POST") -> str:
    """The query string of a presigned request for ``/`` whose body is empty and whose Host alone is signed."""
    signed = [
        *query,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", scope.credential),
        ("X-Amz-Date", scope.moment),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    empty = hashlib.sha256(b"").hexdigest()
    canonical = canonical_request(method, signed, [("host", host)], ["host"], empty)
    return f"{encode_query(signed)}&X-Amz-Signature={signature(scope, canonical)}"


def canonical_request(method: str, query: Pairs, headers: Pairs, signed: Sequence[str], body_hash: str) -> str:
    """What is hashed and signed, for the path ``/``."""
    values = dict(headers)
    lines = "".join(f"{name}:{values[name]}\n" for name in signed)
    return f"{method}\n/\n{encode_query(query)}\n{lines}\n{';'.join(signed)}\n{body_hash}"


def encode_query(query: Pairs) -> str:
    """A query string in canonical form: encoded, then sorted."""
    encoded = sorted((_encode(name), _encode(value)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in encoded)


@lru_cache(maxsize=1024)
def _encode(text: str) -> str:
    """Remembered, because nearly all names and many values come again in the next query."""
    return quote(text, safe="-_.~")
