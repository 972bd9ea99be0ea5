"""What the server fetches from others: bounds of place."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import pytest

from moorage.upstream import https
from moorage.upstream.https import FetchFailed, fetch, is_public
from tests.support.issuer import issuer_certificate, serve_issuer


@pytest.mark.parametrize("address", ["1.1.1.1", "140.82.112.3", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """Issuers in the cloud are there."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
    ],
)
def test_addresses_within_a_network_or_round_a_corner_are_not_public(address: str) -> None:
    """Loopback, private, link-local, shared and multicast ones, and those that translate to others."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://issuer.test/",
        "https://",
        "https://user@issuer.test/",
        "https://issuer.test:99999999/",
        "https://[::1/",
        "https://issuer.test/ x",
        "https://issuer.test/\r\nHost: other",
    ],
)
def test_what_is_no_url_is_not_fetched(url: str) -> None:
    """Nor one with a user name, or with what would be another header."""
    with pytest.raises(FetchFailed, match="URL"):
        asyncio.run(fetch(url, may_be_private=True))


@pytest.mark.parametrize("host", ["127.0.0.1:1", "[::1]:1", "localhost:1", "2130706433:1"])
def test_nothing_at_a_private_address_is_connected_to(host: str) -> None:
    """By number, by name, or by a number that hides what it is."""
    with pytest.raises(FetchFailed, match=r"not public|gaierror"):
        asyncio.run(fetch(f"https://{host}/"))


def test_a_certificate_must_be_by_an_authority_that_is_trusted(tmp_path: Path) -> None:
    """And for that very address; without TLS nothing is asked at all."""
    authority, tls = issuer_certificate(tmp_path)
    with serve_issuer(tls) as issuer:
        trusting = ssl.create_default_context(cafile=str(authority))
        found = asyncio.run(fetch(f"{issuer.url}/keys", may_be_private=True, tls=trusting))
        assert b"kid" in found
        with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(fetch(f"{issuer.url}/keys", may_be_private=True))
    assert issuer.asked == ["/keys"]


Talk = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


def ask(talk: Talk) -> bytes:
    """What is fetched from a server that talks so."""

    async def run() -> bytes:
        is_over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                await talk(writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                is_over.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            try:
                return await fetch(f"http://127.0.0.1:{port}/", may_be_private=True)
            finally:
                await is_over.wait()

    return asyncio.run(run())


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly it drips."""
    monkeypatch.setattr(https, "SECONDS", 0.2)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X: 1\r\n")
            await asyncio.sleep(0.01)

    with pytest.raises(FetchFailed, match="no answer within"):
        ask(drip)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_048_577,
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    """Nothing, no HTTP, another status, too much."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        with suppress(OSError):
            await writer.drain()

    with pytest.raises(FetchFailed):
        ask(say)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    """As HTTP/1.0 servers do."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n{}")

    assert ask(say) == b"{}"
