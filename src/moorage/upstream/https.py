"""One small document from somebody else's HTTPS server, within bounds of time, size and place.

The name is resolved once and the connection goes to the very address that was checked, so that a name cannot mean
one address when it is checked and another when it is used. No redirect is followed, nothing is sent but the request.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

#: Bytes of a document, and of its response with all headers.
MAX_BYTES: Final = 1024 * 1024
#: Seconds for all of it: resolving, connecting, answering.
SECONDS: Final = 5.0

_MOST_HEADERS: Final = 64 * 1024
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")

# Addresses that lead to others: the address inside is what would be reached.
_TRANSLATED: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96")))


class FetchFailed(Exception):
    """The document could not be had; the text says why, for an operator's log and the client's sentence."""


class AddressNotPublic(FetchFailed):
    """Its server has an address that may not be connected to unless somebody says so."""


@dataclass(slots=True)
class _Response:
    """What httptools tells of a response."""

    status: int = 0
    pieces: list[bytes] = field(default_factory=list)
    is_complete: bool = False

    def on_body(self, data: bytes) -> None:
        """Part of the body came."""
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """All of it came."""
        self.is_complete = True


async def fetch(url: str, *, may_be_private: bool = False, tls: ssl.SSLContext | None = None) -> bytes:
    """The body of a 200 answer to a GET.

    Addresses that are not public (loopback, private networks, link-local and what translates to others) are not
    connected to unless ``may_be_private``: ``AddressNotPublic``. ``tls`` replaces the system's trust. Raises
    ``FetchFailed``.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(url, may_be_private, tls)
    except TimeoutError:
        raise FetchFailed(f"no answer within {SECONDS:g} seconds") from None
    except (OSError, ssl.CertificateError, httptools.HttpParserError, asyncio.IncompleteReadError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}"[:300]) from error


async def _fetch(url: str, may_be_private: bool, tls: ssl.SSLContext | None) -> bytes:
    parts, port = _split(url)
    is_tls = parts.scheme == "https"
    host = parts.hostname or ""
    address = await _resolve(host, port, may_be_private=may_be_private)
    context = (tls or await asyncio.to_thread(ssl.create_default_context)) if is_tls else None
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=host if is_tls else None
    )
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
            "User-Agent: moorage\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        return await _read(reader)
    finally:
        # All that was wanted is read: no farewell is waited for.
        writer.transport.abort()


def _split(url: str) -> tuple[SplitResult, int]:
    """The parts of a URL with a host and without a user name, and its port. Raises ``FetchFailed``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchFailed("the URL cannot be read") from None
    if not _URL.fullmatch(url) or not parts.hostname or "@" in parts.netloc:
        raise FetchFailed("the URL cannot be read")
    return parts, port or (443 if parts.scheme == "https" else 80)


async def _resolve(host: str, port: int, *, may_be_private: bool) -> str:
    """The address to connect to. If one of several may not be reached, none is."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not may_be_private and not all(map(is_public, addresses)):
        raise AddressNotPublic(f"{host} has an address that is not public")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an IP address is one that the whole internet reaches, and no way round to another one."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        if address.is_site_local or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


async def _read(reader: asyncio.StreamReader) -> bytes:
    response = _Response()
    parser = httptools.HttpResponseParser(response)
    taken = 0
    while not response.is_complete:
        data = await reader.read(64 * 1024)
        taken += len(data)
        if taken > MAX_BYTES + _MOST_HEADERS:
            raise FetchFailed(f"the answer has more than {MAX_BYTES} bytes")
        if not data:
            break
        parser.feed_data(data)
        response.status = parser.get_status_code() or response.status
    return _body(response)


def _body(response: _Response) -> bytes:
    if response.status != 200:
        raise FetchFailed(f"the answer has status {response.status or 'none'} instead of 200")
    body = b"".join(response.pieces)
    if len(body) > MAX_BYTES:
        raise FetchFailed(f"the answer has more than {MAX_BYTES} bytes")
    return body
