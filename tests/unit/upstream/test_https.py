"""What the server fetches from others: bounds of place."""

import asyncio

import pytest

from moorage.upstream.https import FetchFailed, fetch, is_public


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
