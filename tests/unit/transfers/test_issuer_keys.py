"""Keys of issuers: fetched from a real one, kept for a while, and asked for no more often than needed."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from moorage.auth.web_identity import find_key, read_keys
from moorage.domain.errors import IssuerUnreachable
from moorage.transfers.issuer_keys import FRESH_SECONDS, PAUSE_SECONDS, STALE_SECONDS, IssuerKeys, Key
from tests.support.issuer import DISCOVERY, Issuer, public, rsa_key, serve_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real issuer."""
    with serve_issuer() as served:
        yield served


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def finder(issuer: Issuer, clock: Clock) -> Callable[[str], Key | None]:
    """Finds keys by their ids, again and again with the same memory."""
    keys = IssuerKeys([issuer.url], clock=clock)
    return lambda key_id: asyncio.run(keys.find(issuer.url, lambda found: find_key(found, key_id), read_keys))


def test_keys_are_fetched_once_and_kept(issuer: Issuer) -> None:
    """Discovery, then the key set."""
    find = finder(issuer, Clock())
    assert (find("first") or {})["kid"] == "first"
    assert (find("curve") or {})["kid"] == "curve"
    assert issuer.asked == [DISCOVERY, "/keys"]


def test_keys_are_fetched_again_after_an_hour(issuer: Issuer) -> None:
    """An issuer takes keys back by no longer publishing them."""
    clock = Clock()
    find = finder(issuer, clock)
    find("first")
    issuer.keys = [public(rsa_key("second"), "second")]
    clock.now += FRESH_SECONDS
    assert find("first") is None
    assert find("second")


def test_an_unknown_key_is_looked_for_once_a_minute(issuer: Issuer) -> None:
    """However many tokens name keys that do not exist."""
    clock = Clock()
    find = finder(issuer, clock)
    find("first")
    assert [find(f"made-up-{number}") for number in range(5)] == [None] * 5
    assert len(issuer.asked) == 2
    issuer.keys.append(public(rsa_key("second"), "second"))
    clock.now += PAUSE_SECONDS
    assert find("second")
    assert len(issuer.asked) == 4


def test_old_keys_serve_on_while_their_issuer_is_away(issuer: Issuer) -> None:
    """For a day; then nobody knows whether they still hold."""
    clock = Clock()
    find = finder(issuer, clock)
    find("first")
    issuer.documents["/keys"] = (503, b"")
    clock.now += FRESH_SECONDS
    assert find("first")
    clock.now += STALE_SECONDS
    with pytest.raises(IssuerUnreachable):
        find("first")


def test_an_issuer_that_does_not_answer_is_not_asked_for_every_token(issuer: Issuer) -> None:
    """It is asked again after a minute."""
    clock = Clock()
    find = finder(issuer, clock)
    issuer.documents[DISCOVERY] = (500, b"")
    for _ in range(3):
        with pytest.raises(IssuerUnreachable):
            find("first")
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:1/keys",
        "https://{host}/keys",
        "http://user@{host}/keys",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//{host}/keys",
    ],
)
def test_a_key_set_that_lies_elsewhere_is_not_fetched(issuer: Issuer, elsewhere: str) -> None:
    """An issuer cannot send the server to another host, port or scheme."""
    issuer.discover(issuer=issuer.url, jwks_uri=elsewhere.format(host=issuer.name))
    with pytest.raises(IssuerUnreachable):
        finder(issuer, Clock())("first")
    assert issuer.asked == [DISCOVERY]


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    """Neither of the discovery document nor of the key set."""
    issuer.documents["/keys"] = (302, f"{issuer.url}/other".encode())
    with pytest.raises(IssuerUnreachable, match="status 302"):
        finder(issuer, Clock())("first")
    assert issuer.asked == [DISCOVERY, "/keys"]


def test_the_discovery_document_must_be_the_issuers_own(issuer: Issuer) -> None:
    """OpenID Connect Discovery asks for it."""
    issuer.discover(issuer="https://other.test", jwks_uri=f"{issuer.url}/keys")
    with pytest.raises(IssuerUnreachable, match="another issuer"):
        finder(issuer, Clock())("first")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"keys": [1]}', b" " * 1_048_577])
def test_a_key_set_that_cannot_be_read_is_refused(issuer: Issuer, body: bytes) -> None:
    """Empty, of another form, or beyond a mebibyte."""
    issuer.documents["/keys"] = (200, body)
    with pytest.raises(IssuerUnreachable):
        finder(issuer, Clock())("first")


def test_an_issuer_without_tls_is_taken_only_where_the_settings_say_so(issuer: Issuer) -> None:
    """The very origin: another port is another one."""
    keys = IssuerKeys([issuer.url])
    assert keys.takes(f"{issuer.url}/realm")
    assert keys.takes("https://issuer.test")
    assert not keys.takes("http://127.0.0.1:1")
    assert not keys.takes(f"{issuer.url}@evil.test")


def test_an_issuer_at_a_private_address_is_not_contacted_unless_the_settings_say_so(issuer: Issuer) -> None:
    """Whatever its name is."""
    keys = IssuerKeys([])
    with capture_logs() as lines, pytest.raises(IssuerUnreachable, match="not public"):
        asyncio.run(keys.find(issuer.url, lambda found: find_key(found, "first"), read_keys))
    assert issuer.asked == []
    (line,) = lines
    assert (line["event"], line["issuer"], line["setting"]) == (
        "issuer_unreachable",
        issuer.url,
        "oidc_private_origins",
    )


def test_an_issuer_that_answers_with_something_else_is_told_of_once_a_minute(issuer: Issuer) -> None:
    """No setting would help there."""
    issuer.documents[DISCOVERY] = (500, b"")
    find = finder(issuer, Clock())
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(IssuerUnreachable):
                find("first")
    (line,) = lines
    assert (line["event"], line["error"]) == ("issuer_unreachable", "the answer has status 500 instead of 200")
    assert "setting" not in line
