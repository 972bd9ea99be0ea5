"""Requests signed by botocore, the oracle of these tests, taken apart into what a server receives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from moorage.auth import sigv4
from moorage.auth.sigv4 import SignedRequest

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-west-1"
URL = "http://registry.test:5050/"
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
    "User-Agent": "Boto3/1.44",
}
SIGNED_AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
SECOND = 1_000_000
MINUTE = 60 * SECOND
NOW = int(SIGNED_AT.timestamp()) * SECOND


@dataclass(frozen=True)
class Sent:
    """A request as it arrives."""

    method: str
    raw_path: bytes
    query_string: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def parse(self, services: tuple[str, ...] = ("ecr", "sts")) -> SignedRequest:
        """What ``sigv4.parse`` makes of it."""
        return sigv4.parse(self.method, self.raw_path, self.query_string, self.headers, services)

    def check(self, now: int = NOW, secret: str = SECRET) -> None:
        """Parse and verify."""
        sigv4.verify(self.parse(), secret, sha256(self.body).hexdigest(), now)

    def header(self, name: bytes) -> bytes:
        """The first value of a header."""
        return next(value for key, value in self.headers if key == name)

    def with_header(self, name: bytes, change: Callable[[bytes], bytes]) -> "Sent":
        """The same request with the value of one header changed."""
        return replace(
            self, headers=tuple((key, change(value) if key == name else value) for key, value in self.headers)
        )

    def without_header(self, name: bytes) -> "Sent":
        """The same request without one header."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0] != name))

    def adding(self, *headers: tuple[bytes, bytes]) -> "Sent":
        """The same request with further headers."""
        return replace(self, headers=(*self.headers, *headers))


def sign(
    method: str = "POST",
    url: str = URL,
    headers: Mapping[str, str] = HEADERS,
    body: bytes = b'{"maxResults":1}',
    *,
    token: str | None = None,
    service: str = "ecr",
    region: str = REGION,
) -> Sent:
    """A request signed in its headers."""
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    return _sent(request, SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET, token), service, region), body)


def presign(
    method: str = "POST",
    url: str = URL,
    headers: Mapping[str, str] = HEADERS,
    *,
    token: str | None = None,
    service: str = "ecr",
    expires: int = 3600,
) -> Sent:
    """A request signed in its query string."""
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=b"")
    signer = SigV4QueryAuth(Credentials(ACCESS_KEY_ID, SECRET, token), service, REGION, expires)
    return _sent(request, signer, b"")


def _sent(request: AWSRequest, signer: SigV4Auth, body: bytes) -> Sent:
    with patch("botocore.auth.get_current_datetime", return_value=SIGNED_AT):
        signer.add_auth(request)
    parts = urlsplit(request.url)
    headers = [(b"host", parts.netloc.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return Sent(request.method, parts.path.encode() or b"/", parts.query.encode(), tuple(headers), body)
