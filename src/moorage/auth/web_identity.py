"""Web identities: JSON web tokens that OIDC issuers give out, checked against the keys that the issuer publishes.

Only what the issuer's own key set declares counts: the key is chosen by its id in that set, and the algorithm must be
an asymmetric one that goes with that key. What a token says of its key otherwise (``jwk``, ``jku``, ``x5c``) is never
looked at, and "critical" extensions are refused. Loaded when the first token comes: it brings much along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
from jwt.exceptions import PyJWTError

from moorage.domain.errors import WebIdentityExpired, WebIdentityInvalid, WebIdentityRejected

#: Characters of a token (AWS: the length of ``WebIdentityToken``).
MAX_TOKEN: Final = 20_000
#: Seconds that the issuer's clock may be off.
SKEW: Final = 60
#: Keys of one issuer that are looked at.
MAX_KEYS: Final = 100

#: Algorithm to the kind of key, and of elliptic ones the curve.
_ALGORITHMS: Final = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
}
_SMALLEST_RSA_BITS: Final = 2_048

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unproven:
    """What a token says of itself, to be believed of nothing but where to look for its key."""

    issuer: str
    key_id: str | None


def read(token: str) -> Unproven:
    """Whose token it claims to be. Raises ``WebIdentityInvalid``."""
    if not 4 <= len(token) <= MAX_TOKEN:
        raise WebIdentityInvalid(text="The web identity token has no length that tokens have")
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (PyJWTError, RecursionError) as error:
        raise WebIdentityInvalid(text="The web identity token cannot be read") from error
    issuer, key_id = claims.get("iss"), header.get("kid")
    if not isinstance(issuer, str) or not (key_id is None or isinstance(key_id, str)):
        raise WebIdentityInvalid(text="The web identity token has no issuer, or an unreadable key id")
    return Unproven(issuer, key_id)


def read_keys(document: bytes) -> list[dict[str, Any]]:
    """The keys of an issuer's key set (RFC 7517) that tokens can be checked with. Raises ``ValueError``."""
    try:
        keys = msgspec.json.decode(document, type=_KeySet).keys
    except msgspec.MsgspecError as error:
        raise ValueError("the key set cannot be read") from error
    return [
        key for key in keys[:MAX_KEYS] if key.get("kty") in {"RSA", "EC"} and key.get("use", "sig") == "sig"
    ]


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def find_key(keys: list[dict[str, Any]], key_id: str | None) -> dict[str, Any] | None:
    """The key of this id. A token without one needs an issuer with one key."""
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    named = [key for key in keys if key.get("kid") == key_id]
    return named[0] if len(named) == 1 else None


def verify(token: str, key: Mapping[str, Any], issuer: str, now: int) -> Claims:
    """The claims of a token that this issuer's key signed; ``now`` is seconds since the epoch.

    The audience is for the caller to check. Raises ``WebIdentityInvalid``, ``WebIdentityExpired``,
    ``WebIdentityRejected`` for one that is not good yet.
    """
    try:
        claims: Claims = jwt.decode(
            token,
            _load(token, key),
            algorithms=[*_ALGORITHMS],
            issuer=issuer,
            options={
                "require": ["iss", "aud", "sub", "exp", "iat"],
                # Times are compared below with this server's clock, and the audience with the account's providers.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except (PyJWTError, ValueError, TypeError) as error:
        raise WebIdentityInvalid(text=f"The web identity token is refused: {error}"[:300]) from error
    _check_times(claims, now)
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise WebIdentityInvalid(text="The web identity token has no subject")
    return claims


def _load(token: str, key: Mapping[str, Any]) -> jwt.PyJWK:
    """The key, bound to the algorithm of the token. Raises ``ValueError`` and what PyJWT raises."""
    algorithm = jwt.get_unverified_header(token).get("alg", "")
    kind, curve = _ALGORITHMS.get(algorithm, (None, None))
    is_declared = key.get("alg", algorithm) == algorithm
    if kind is None or key.get("kty") != kind or not is_declared or (curve and key.get("crv") != curve):
        raise ValueError("its algorithm is not that of the issuer's key")
    public = {name: value for name, value in key.items() if name in {"kty", "n", "e", "crv", "x", "y"}}
    loaded = jwt.PyJWK(public, algorithm)
    if kind == "RSA" and loaded.key.key_size < _SMALLEST_RSA_BITS:
        raise ValueError(f"the issuer's key has fewer than {_SMALLEST_RSA_BITS} bits")
    return loaded


def _check_times(claims: Claims, now: int) -> None:
    expires_at, issued_at = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now >= expires_at + SKEW:
        raise WebIdentityExpired(now=now, expires_at=int(expires_at))
    if max(issued_at, _seconds(claims, "nbf") if "nbf" in claims else 0) > now + SKEW:
        raise WebIdentityRejected(text="The web identity token is not good yet")


def _seconds(claims: Claims, name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise WebIdentityInvalid(text=f"The web identity token's '{name}' is no time")
    return value
