"""AWS Signature Version 4: proves that a request was made by who holds a secret access key.

Two steps, so that the key is looked up in between: ``parse`` reads the credentials of a request, strictly,
and ``verify`` checks the signature with the secret. Both forms are read: the ``Authorization`` header, and the
query string of a presigned request. A request gets here whole or not at all: what could be read in two ways
(a header twice, credentials in two places) is refused before any signature is computed.

The sentences are those of AWS where clients or people look for them.
"""

import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, NoReturn

import msgspec

from moorage.auth import canonical
from moorage.auth.canonical import Pair
from moorage.domain.errors import (
    CredentialsMissing,
    CredentialsUnknown,
    PresignedRequestExpired,
    SignatureExpired,
    SignatureIncomplete,
    SignatureMismatch,
)

#: How far a client's clock may be off, either way.
SKEW_MINUTES: Final = 15
#: Longest life of a presigned request in seconds: a week.
MAX_EXPIRES: Final = 604_800

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_MICROSECONDS: Final = 1_000_000
_SKEW: Final = SKEW_MINUTES * 60 * _MICROSECONDS
_MAX_SIGNED_HEADERS: Final = 2_048

_TIMESTAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_KEY_ID: Final = re.compile(r"[!-+\--.0-~]{1,128}")  # printable, but neither comma nor slash
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")
_HEADER_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_CREDENTIAL: Final = re.compile(r"[ ,]Credential=([^,\s]*)")

#: Query parameters that carry credentials: lower-case name → the only spelling that is taken.
_CREDENTIAL_PARAMETERS: Final = {
    name.lower(): name
    for name in (
        b"X-Amz-Algorithm",
        b"X-Amz-Credential",
        b"X-Amz-Date",
        b"X-Amz-Expires",
        b"X-Amz-Security-Token",
        b"X-Amz-Signature",
        b"X-Amz-SignedHeaders",
    )
}
_PRESIGNED_MARKS: Final = frozenset({b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature"})
#: Headers that must be signed whenever they are there: they say what is done, and for whom.
_SIGNED_IF_PRESENT: Final = (b"x-amz-target", b"x-amz-security-token")

Headers = Sequence[Pair]


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a request claims, not yet proven. ``signed_at`` is microseconds since the epoch, ``expires`` seconds.

    ``canonical_request`` lacks only its last line, the hash of the body. ``expires`` is None in the header form
    and in a presigned request that names no life of its own; such a one lives as long as clocks may differ.
    """

    form: Literal["header", "query"]
    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[bytes, ...]
    signature: str
    timestamp: str
    signed_at: int
    expires: int | None
    session_token: str | None
    content_sha256: str | None
    canonical_request: bytes

    def __repr__(self) -> str:
        # Neither signature nor session token may reach a log.
        return (
            f"SignedRequest({self.form}, {self.access_key_id}, {self.timestamp}, {self.region}, {self.service})"
        )


class Claims(msgspec.Struct, frozen=True):
    """Whom a request names, unproven."""

    access_key_id: str
    region: str
    service: str


class _Parts(msgspec.Struct, frozen=True):
    """The credentials as text, from header or query alike."""

    form: Literal["header", "query"]
    credential: str
    signed_headers: str
    signature: str
    timestamp: str
    expires: int | None = None


def parse(
    method: str, raw_path: bytes, query_string: bytes, headers: Headers, services: Collection[str]
) -> SignedRequest:
    """Read the credentials of a request. Path and query are bytes as received, header names are lower-case.

    ``services`` are the services that the signature may be scoped to. Raises ``CredentialsMissing``,
    ``SignatureIncomplete``, ``MalformedQuery``.
    """
    values, repeated = _collect_headers(headers)
    pairs = canonical.read_query(query_string) if query_string else []
    parameters = _collect_parameters(pairs, values) if pairs else {}
    if b"authorization" in values:
        parts = _read_header_form(values, parameters)
    elif parameters.keys() & _PRESIGNED_MARKS:
        parts = _read_query_form(parameters)
        pairs = [pair for pair in pairs if pair[0] != b"X-Amz-Signature"]
    else:
        raise CredentialsMissing
    access_key_id, date, region, service = _read_scope(parts, services)
    names = _split_signed_headers(parts.signed_headers)
    _require_signed(names, values)
    try:
        header_lines = canonical.canonical_headers(names, values, repeated)
    except KeyError as error:
        name = error.args[0].decode()
        raise SignatureIncomplete(text=f"The header '{name}' is signed but the request lacks it.") from None
    return SignedRequest(
        form=parts.form,
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        signed_headers=names,
        signature=parts.signature,
        timestamp=parts.timestamp,
        signed_at=_read_timestamp(parts.timestamp),
        expires=parts.expires,
        session_token=_find(b"x-amz-security-token", values, parameters),
        content_sha256=_find(b"x-amz-content-sha256", values, parameters),
        canonical_request=b"%b\n%b\n%b\n%b\n%b\n"
        % (
            method.encode("ascii", "replace"),
            canonical.canonical_uri(raw_path),
            canonical.canonical_query(pairs) if pairs else b"",
            header_lines,
            parts.signed_headers.encode("ascii"),
        ),
    )


def verify(signed: SignedRequest, secret_access_key: str, body_sha256: str, now: int) -> None:
    """Check time and signature. ``body_sha256`` is the hex hash of the body as received, ``now`` microseconds.

    The body's own hash is what is signed; a client that announces another one, or none
    (``UNSIGNED-PAYLOAD``, ``STREAMING-…``), is refused. Raises ``SignatureExpired``,
    ``PresignedRequestExpired``, ``SignatureMismatch``.
    """
    check_time(signed, now)
    if signed.content_sha256 is not None and signed.content_sha256 != body_sha256:
        raise SignatureMismatch
    expected = _signature(signed, secret_access_key, body_sha256)
    if not hmac.compare_digest(expected.encode("ascii"), signed.signature.encode("ascii")):
        raise SignatureMismatch


def verify_against_nothing(signed: SignedRequest, body_sha256: str) -> NoReturn:
    """Do the work of ``verify`` for a key that does not exist, so that the time tells nothing.

    Always raises ``CredentialsUnknown``.
    """
    expected = _signature(signed, "no key has this secret", body_sha256)
    hmac.compare_digest(expected.encode("ascii"), signed.signature.encode("ascii"))
    raise CredentialsUnknown


def claims(query_string: bytes, headers: Headers) -> Claims | None:
    """Whom the request names, however badly it is signed; None when it names nobody.

    For ``--dev``, and to tell a call for another service from one with bad credentials. Proves nothing.
    Raises ``MalformedQuery``.
    """
    credential = None
    for name, value in headers:
        if name == b"authorization" and (match := _CREDENTIAL.search(value.decode("latin-1"))):
            credential = match[1]
    if credential is None and b"X-Amz-Credential=" in query_string:
        credential = dict(canonical.read_query(query_string)).get(b"X-Amz-Credential", b"").decode("latin-1")
    fields = (credential or "").rsplit("/", 4)
    if len(fields) != 5 or not _KEY_ID.fullmatch(fields[0]) or not _REGION.fullmatch(fields[2]):
        return None
    return Claims(fields[0], fields[2], fields[3])


# --- Reading -------------------------------------------------------------------------------------------------


def _collect_headers(headers: Headers) -> tuple[dict[bytes, bytes], dict[bytes, list[bytes]]]:
    """First value by name, and all values of names that come more than once."""
    values: dict[bytes, bytes] = {}
    repeated: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name not in values:
            values[name] = value
        elif name.startswith(b"x-amz-") or name in {b"authorization", b"host"}:
            raise SignatureIncomplete(text=f"The request carries '{_shown(name)}' more than once.")
        else:
            repeated.setdefault(name, [values[name]]).append(value)
    return values, repeated


def _collect_parameters(pairs: Sequence[Pair], headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Parameters that steer the server, by lower-case name: each comes once, and not also as a header."""
    parameters: dict[bytes, bytes] = {}
    for name, value in pairs:
        lower = name.lower()
        if not lower.startswith(b"x-amz-") and lower != b"action":
            continue
        if lower in parameters or lower in headers:
            raise SignatureIncomplete(text=f"The request carries '{_shown(name)}' more than once.")
        if _CREDENTIAL_PARAMETERS.get(lower, name) != name:
            raise SignatureIncomplete(
                text=f"'{_shown(name)}' must be spelled '{_shown(_CREDENTIAL_PARAMETERS[lower])}'."
            )
        parameters[lower] = value
    return parameters


def _read_header_form(headers: Mapping[bytes, bytes], parameters: Mapping[bytes, bytes]) -> _Parts:
    if parameters.keys() & _CREDENTIAL_PARAMETERS.keys():
        raise SignatureIncomplete(text="Credentials in both the Authorization header and the query string.")
    text = _ascii(headers[b"authorization"], "Authorization")
    algorithm, _, rest = text.partition(" ")
    if algorithm != _ALGORITHM:
        raise SignatureIncomplete(text=f"Authorization must use the algorithm '{_ALGORITHM}'.")
    found: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, value = piece.strip().partition("=")
        if not equals or name in found:
            raise SignatureIncomplete(
                text="Authorization header takes Credential, SignedHeaders and Signature once each."
            )
        found[name] = value
    timestamp = _header_timestamp(headers)
    lacking = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    sentences = [f"Authorization header requires '{name}' parameter." for name in lacking]
    if not timestamp:
        sentences.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if sentences:
        raise SignatureIncomplete(text=" ".join(sentences))
    return _Parts("header", found["Credential"], found["SignedHeaders"], found["Signature"], timestamp)


def _header_timestamp(headers: Mapping[bytes, bytes]) -> str:
    """The moment of signing in ISO basic form: ``X-Amz-Date`` wins over ``Date``, which may be an HTTP date."""
    if (value := headers.get(b"x-amz-date")) is not None:
        return _ascii(value, "X-Amz-Date").strip()
    text = _ascii(headers.get(b"date", b""), "Date").strip()
    if not text or _TIMESTAMP.fullmatch(text):
        return text
    try:
        moment = parsedate_to_datetime(text)
        # "-0000", which botocore writes, means UTC but is read as no zone at all.
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SignatureIncomplete(text="The Date header is neither an ISO basic nor an HTTP date.") from None
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _read_query_form(parameters: Mapping[bytes, bytes]) -> _Parts:
    found = {}
    for name in ("Algorithm", "Credential", "SignedHeaders", "Signature", "Date"):
        parameter = f"X-Amz-{name}"
        found[name] = _ascii(parameters.get(parameter.lower().encode(), b""), parameter)
        if not found[name]:
            raise SignatureIncomplete(
                text=f"AWS query-string parameters must include '{parameter}'. Re-examine the query-string parameters."
            )
    if found["Algorithm"] != _ALGORITHM:
        raise SignatureIncomplete(text=f"X-Amz-Algorithm must be '{_ALGORITHM}'.")
    expires = _read_expires(parameters.get(b"x-amz-expires"))
    return _Parts(
        "query", found["Credential"], found["SignedHeaders"], found["Signature"], found["Date"], expires
    )


def _read_expires(value: bytes | None) -> int | None:
    # The Go SDK presigns without X-Amz-Expires unless it is told a life; AWS then allows the clock skew alone.
    if value is None:
        return None
    if not value.isdigit() or len(value) > 6 or not 1 <= int(value) <= MAX_EXPIRES:
        raise SignatureIncomplete(
            text=f"X-Amz-Expires must be a number of seconds between 1 and {MAX_EXPIRES}."
        )
    return int(value)


def _read_scope(parts: _Parts, services: Collection[str]) -> tuple[str, str, str, str]:
    """Access key id, date, region and service."""
    scope = _split_credential(parts.credential)
    date, service = scope[1], scope[3]
    if service not in services:
        named = " or ".join(f"'{name}'" for name in sorted(services))
        raise SignatureIncomplete(text=f"Credential should be scoped to correct service: {named}.")
    if date != parts.timestamp[:8]:
        raise SignatureIncomplete(
            text="Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date[:8]}' != '{parts.timestamp[:8]}', from '{parts.timestamp[:16]}'."
        )
    return scope


@lru_cache(maxsize=512)
def _split_credential(credential: str) -> tuple[str, str, str, str]:
    fields = credential.split("/")
    if len(fields) != 5:
        raise SignatureIncomplete(
            text="Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    access_key_id, date, region, service, term = fields
    if not _KEY_ID.fullmatch(access_key_id):
        raise SignatureIncomplete(text="Credential does not begin with an access key id.")
    if not _REGION.fullmatch(region):
        raise SignatureIncomplete(text="Credential should be scoped to a valid region.")
    if term != "aws4_request":
        raise SignatureIncomplete(text="Credential should be scoped with a valid terminator: 'aws4_request'.")
    return access_key_id, date, region, service


@lru_cache(maxsize=512)
def _split_signed_headers(text: str) -> tuple[bytes, ...]:
    names = tuple(text[:_MAX_SIGNED_HEADERS].encode("ascii").split(b";"))
    if (
        len(text) > _MAX_SIGNED_HEADERS
        or not all(map(_HEADER_NAME.fullmatch, names))
        or list(names) != sorted(set(names))
    ):
        raise SignatureIncomplete(text="SignedHeaders must be lower-case header names in order, each once.")
    return names


@lru_cache(maxsize=512)
def _read_timestamp(text: str) -> int:
    """Microseconds since the epoch of ``YYYYMMDD'T'HHMMSS'Z'``."""
    try:
        if _TIMESTAMP.fullmatch(text):
            return int(datetime.fromisoformat(text).timestamp()) * _MICROSECONDS
    except ValueError:
        pass  # Digits that are no date are refused like letters are.
    raise SignatureIncomplete(text="Date must be in ISO-8601 'basic format', YYYYMMDD'T'HHMMSS'Z'.")


def _require_signed(names: tuple[bytes, ...], headers: Mapping[bytes, bytes]) -> None:
    if b"host" not in names:
        raise SignatureIncomplete(text="'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for name in _SIGNED_IF_PRESENT:
        if name in headers and name not in names:
            raise SignatureIncomplete(
                text=f"'{_shown(name.title())}' must be a 'SignedHeader' in the AWS Authorization."
            )


def _find(name: bytes, headers: Mapping[bytes, bytes], parameters: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(name)
    if value is None:
        value = parameters.get(name)
    return None if value is None else value.decode("latin-1").strip()


def _ascii(value: bytes, what: str) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise SignatureIncomplete(text=f"{what} holds characters that are not ASCII.") from None


def _shown(name: bytes) -> str:
    return name[:64].decode("ascii", "replace")


# --- Checking ------------------------------------------------------------------------------------------------


def check_time(signed: SignedRequest, now: int) -> None:
    """Check when it was signed, which needs no secret. Raises ``SignatureExpired``, ``PresignedRequestExpired``."""
    if signed.signed_at > now + _SKEW:
        raise SignatureExpired(
            text=f"Signature not yet current: {signed.timestamp} is still later than {_stamp(now + _SKEW)} "
            f"({_stamp(now)} + {SKEW_MINUTES} min.)"
        )
    if signed.expires is not None:
        if now > signed.signed_at + signed.expires * _MICROSECONDS:
            raise PresignedRequestExpired(
                text=f"Request has expired: it was signed at {signed.timestamp} for {signed.expires} seconds "
                f"and it is now {_stamp(now)}."
            )
    elif signed.signed_at < now - _SKEW:
        raise SignatureExpired(
            text=f"Signature expired: {signed.timestamp} is now earlier than {_stamp(now - _SKEW)} "
            f"({_stamp(now)} - {SKEW_MINUTES} min.)"
        )


def _stamp(moment: int) -> str:
    return datetime.fromtimestamp(moment // _MICROSECONDS, UTC).strftime("%Y%m%dT%H%M%SZ")


def _signature(signed: SignedRequest, secret_access_key: str, body_sha256: str) -> str:
    request_hash = sha256(signed.canonical_request + body_sha256.encode("ascii")).hexdigest()
    text = (
        f"{_ALGORITHM}\n{signed.timestamp}\n"
        f"{signed.date}/{signed.region}/{signed.service}/aws4_request\n{request_hash}"
    )
    key = _signing_key(secret_access_key, signed.date, signed.region, signed.service)
    return hmac.digest(key, text.encode("ascii"), "sha256").hex()


@lru_cache(maxsize=1_024)
def _signing_key(secret_access_key: str, date: str, region: str, service: str) -> bytes:
    """Good for one day, region and service, so that the four rounds are not repeated for each request."""
    key = f"AWS4{secret_access_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("ascii"), "sha256")
    return key
