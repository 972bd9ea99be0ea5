"""Tokens that the server gives out and later takes back: registry passwords, download URLs, page tokens.

All are sealed, none is stored. They prove what was true when they were issued: whoever reads one looks the
access key up afresh, so that a key that is gone or switched off takes its tokens with it, for good: a key that is made
anew with its id, or for another user of the same name, was made at another time.
"""

import binascii
from base64 import b64decode, b64encode
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec

from moorage.auth.sealing import Keyring, SealBroken
from moorage.domain.caller import Caller, Session
from moorage.domain.errors import CredentialsExpired, CredentialsUnknown, PageTokenInvalid
from moorage.domain.names import plain_text

_HOUR: Final = 3_600 * 1_000_000

#: How long tokens are good for, in microseconds. ECR: the password of `docker login` lives twelve hours.
REGISTRY_TOKEN_LIFETIME: Final = 12 * _HOUR
DOWNLOAD_TOKEN_LIFETIME: Final = _HOUR
PAGE_TOKEN_LIFETIME: Final = 7 * 24 * _HOUR

#: The only user name of `docker login` (ECR: the token names the principal, not the user).
USER: Final = "AWS"

_MAX_BASIC: Final = 16_384

#: One value of a sort key, where a page ends.
Scalar = str | int | float | bool | None


class RegistryTokenClaims(msgspec.Struct, frozen=True, array_like=True):
    """Whom a registry password stands for. Times are microseconds since the epoch; it never outlives its session."""

    account_id: str
    principal_arn: str
    access_key_id: str
    region: str
    issued_at: int
    expires_at: int
    unique_id: str
    key_created_at: int
    session: Session | None = None

    @classmethod
    def of(cls, caller: Caller, issued_at: int, expires_at: int) -> "RegistryTokenClaims":
        """That this caller was proven."""
        return cls(
            caller.account_id,
            caller.principal_arn,
            caller.access_key_id,
            caller.region,
            issued_at,
            expires_at,
            caller.unique_id,
            caller.key_created_at,
            caller.session,
        )


class DownloadClaims(msgspec.Struct, frozen=True, array_like=True):
    """The one blob that a download URL is for, and whom it was given to, with which key."""

    digest: str
    registry_id: str
    region: str
    repository_name: str
    account_id: str
    principal_arn: str
    access_key_id: str
    expires_at: int
    unique_id: str
    key_created_at: int
    session: Session | None = None


class PageScope(msgspec.Struct, frozen=True, array_like=True):
    """The list that a page token continues; on any other list it is worth nothing.

    ``filter_fingerprint`` comes from ``fingerprint``; the size of a page is no part of it.
    """

    operation: str
    registry_id: str
    region: str
    repository_name: str | None = None
    filter_fingerprint: str = ""


class _PagePayload(msgspec.Struct, frozen=True, array_like=True):
    issued_at: int
    position: tuple[Scalar, ...]


_encode: Final = msgspec.msgpack.Encoder(enc_hook=plain_text).encode
_decode_registry: Final = msgspec.msgpack.Decoder(RegistryTokenClaims).decode
_decode_download: Final = msgspec.msgpack.Decoder(DownloadClaims).decode
_decode_page: Final = msgspec.msgpack.Decoder(_PagePayload).decode


# --- The password of docker login ----------------------------------------------------------------------------


def issue_registry_token(keyring: Keyring, claims: RegistryTokenClaims) -> str:
    """The password of `docker login`."""
    return keyring.seal("registry-token", _encode(claims))


def read_registry_authorization(keyring: Keyring, header: str, now: int) -> RegistryTokenClaims:
    """What the ``Authorization`` header of a ``/v2/`` request claims: Basic, and the password a token.

    Raises ``CredentialsUnknown``, ``CredentialsExpired``.
    """
    claims = _unseal_authorization(keyring, header)
    if now >= claims.expires_at:
        raise CredentialsExpired
    return claims


def as_authorization_token(password: str) -> str:
    """The password as GetAuthorizationToken hands it out: base64 of ``AWS:<password>``."""
    return b64encode(f"{USER}:{password}".encode()).decode("ascii")


def read_basic(header: str) -> tuple[str, str]:
    """User and password of an ``Authorization: Basic`` header.

    Raises ``CredentialsUnknown`` for another scheme, bad base64 and any user but ``AWS``.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_BASIC:
        raise CredentialsUnknown
    try:
        user, colon, password = b64decode(encoded.strip(" "), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise CredentialsUnknown from None
    if not colon or user != USER:
        raise CredentialsUnknown
    return user, password


# Unsealed claims never change, and a client sends the same header a hundred times per image. Only genuine tokens
# get in, a keyring is part of the key, and expiry is checked at every use.
@lru_cache(maxsize=4_096)
def _unseal_authorization(keyring: Keyring, header: str) -> RegistryTokenClaims:
    _, password = read_basic(header)
    try:
        return _decode_registry(keyring.unseal("registry-token", password))
    except (SealBroken, msgspec.MsgspecError):
        raise CredentialsUnknown from None


# --- Download URLs -------------------------------------------------------------------------------------------


def issue_download_token(keyring: Keyring, claims: DownloadClaims) -> str:
    """The secret part of a download URL."""
    return keyring.seal("download-url", _encode(claims))


def read_download_token(keyring: Keyring, text: str, now: int) -> DownloadClaims:
    """The blob that a download URL is for. Raises ``CredentialsUnknown``, ``CredentialsExpired``."""
    try:
        claims = _decode_download(keyring.unseal("download-url", text))
    except (SealBroken, msgspec.MsgspecError):
        raise CredentialsUnknown from None
    if now >= claims.expires_at:
        raise CredentialsExpired
    return claims


# --- Page tokens ---------------------------------------------------------------------------------------------


def fingerprint(filters: object) -> str:
    """A short name for what a list was filtered by: anything msgspec can encode, members in any order."""
    return sha256(msgspec.msgpack.encode(filters, enc_hook=plain_text, order="deterministic")).hexdigest()[:32]


def issue_page_token(keyring: Keyring, scope: PageScope, position: tuple[Scalar, ...], now: int) -> str:
    """The token for the page after ``position``, the sort key of the last entry shown."""
    return keyring.seal("page-token", _encode(_PagePayload(now, position)), _encode(scope))


def read_page_token(keyring: Keyring, scope: PageScope, text: str, now: int) -> tuple[Scalar, ...]:
    """The position after which the page begins.

    Raises ``PageTokenInvalid`` when the token is not from here, for another list, or older than a week.
    """
    try:
        payload = _decode_page(keyring.unseal("page-token", text, _encode(scope)))
    except (SealBroken, msgspec.MsgspecError):
        raise PageTokenInvalid from None
    if now >= payload.issued_at + PAGE_TOKEN_LIFETIME:
        raise PageTokenInvalid
    return payload.position
