"""Tokens of OIDC issuers: which are believed, and which tricks are not."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from moorage.auth import web_identity
from moorage.domain.errors import WebIdentityExpired, WebIdentityInvalid, WebIdentityRejected
from tests.support.issuer import Issuer, ec_key, public, rsa_key

NOW = 1_700_000_000
ISSUER = Issuer("https://issuer.test")
FIRST = public(rsa_key("first"), "first")
CURVE = public(ec_key("curve"), "curve")


def verify(token: str, key: dict[str, Any] = FIRST) -> web_identity.Claims:
    """What the token proves at ``NOW``."""
    return web_identity.verify(token, key, ISSUER.url, NOW)


def test_a_token_signed_with_rsa_is_believed() -> None:
    """All its claims."""
    assert verify(ISSUER.sign(ISSUER.claims(NOW)))["sub"] == "repo:team/app"


def test_a_token_signed_on_a_curve_is_believed() -> None:
    """The algorithm is that of the key."""
    token = ISSUER.sign(ISSUER.claims(NOW), key=ec_key("curve"), key_id="curve", algorithm="ES256")
    assert verify(token, CURVE)["aud"] == "sts.amazonaws.com"


def test_a_token_that_nobody_signed_is_refused() -> None:
    """``alg`` none, in any spelling."""
    claims = _part(ISSUER.claims(NOW))
    for algorithm in ("none", "None", "NONE", "", "nOnE"):
        with pytest.raises(WebIdentityInvalid):
            verify(f"{_part({'alg': algorithm, 'kid': 'first'})}.{claims}.")


def test_a_token_without_an_algorithm_is_refused() -> None:
    """Its signature cannot be looked at."""
    token = f"{_part({'kid': 'first'})}.{_part(ISSUER.claims(NOW))}.AAAA"
    with pytest.raises(WebIdentityInvalid):
        verify(token)


def test_a_key_that_is_none_is_the_issuers_fault_and_refused() -> None:
    """A key set is what the issuer says; it may say anything."""
    for broken in ({"n": "!"}, {"n": 5}, {"e": ""}, {"n": ""}):
        with pytest.raises(WebIdentityInvalid):
            verify(ISSUER.sign(ISSUER.claims(NOW)), FIRST | broken)


def test_the_public_key_is_no_shared_secret() -> None:
    """A token whose MAC is made with what everybody knows."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{_part(ISSUER.claims(NOW))}"
    public_half = rsa_key("first").public_key()
    pem = public_half.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(FIRST).encode(), FIRST["n"].encode()):
        mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
        with pytest.raises(WebIdentityInvalid):
            verify(f"{signed}.{mac}")


def test_a_key_inside_the_token_is_not_looked_at() -> None:
    """Neither ``jwk`` nor an address of one."""
    mine = rsa_key("attacker")
    token = ISSUER.sign(ISSUER.claims(NOW), key=mine, jwk=public(mine, "first"), jku="https://evil.test/keys")
    with pytest.raises(WebIdentityInvalid):
        verify(token)


def test_another_issuers_key_is_refused() -> None:
    """Whatever id it gives itself."""
    with pytest.raises(WebIdentityInvalid):
        verify(ISSUER.sign(ISSUER.claims(NOW), key=rsa_key("other")))


def test_a_key_is_good_for_its_own_algorithm_alone() -> None:
    """One that the issuer declares for RS512 signs no RS256."""
    with pytest.raises(WebIdentityInvalid):
        verify(ISSUER.sign(ISSUER.claims(NOW)), {**FIRST, "alg": "RS512"})


def test_a_short_key_is_refused() -> None:
    """1,024 bits are within reach of others."""
    short = rsa_key("short", 1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = ISSUER.sign(ISSUER.claims(NOW), key=short)
    with pytest.raises(WebIdentityInvalid):
        verify(token, public(short, "first"))


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "iat"])
def test_a_token_without_a_claim_that_is_needed_is_refused(missing: str) -> None:
    """None of them can be guessed."""
    with pytest.raises(WebIdentityInvalid):
        verify(ISSUER.sign(ISSUER.claims(NOW, **{missing: None})))


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"iss": "https://issuer.test/"}, WebIdentityInvalid),
        ({"iss": "https://other.test"}, WebIdentityInvalid),
        ({"exp": NOW - 61}, WebIdentityExpired),
        ({"exp": "soon"}, WebIdentityInvalid),
        ({"exp": True}, WebIdentityInvalid),
        ({"nbf": NOW + 61}, WebIdentityRejected),
        ({"iat": NOW + 61}, WebIdentityRejected),
        ({"sub": ""}, WebIdentityInvalid),
    ],
)
def test_a_token_with_wrong_claims_is_refused(claims: dict[str, object], refusal: type[Exception]) -> None:
    """Of another issuer, over, not begun, or for nobody."""
    with pytest.raises(refusal):
        verify(ISSUER.sign(ISSUER.claims(NOW, **claims)))


def test_clocks_may_differ_by_a_minute() -> None:
    """Either way."""
    verify(ISSUER.sign(ISSUER.claims(NOW, exp=NOW - 59)))
    verify(ISSUER.sign(ISSUER.claims(NOW, iat=NOW + 59, nbf=NOW + 59)))


def test_an_extension_that_is_called_critical_is_refused() -> None:
    """What it changes is not known here."""
    with pytest.raises(WebIdentityInvalid):
        verify(ISSUER.sign(ISSUER.claims(NOW), crit=["b64"], b64=True))


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 30_000, "é.é.é", "....", "e30.e30."])
def test_what_is_no_token_cannot_be_read(token: str) -> None:
    """Nobody is asked for keys for such a text."""
    with pytest.raises(WebIdentityInvalid):
        web_identity.read(token)


def test_a_key_is_found_by_its_id() -> None:
    """No id will do where there is one key; an id that two keys have means neither."""
    assert web_identity.find_key([FIRST, CURVE], "curve") == CURVE
    assert web_identity.find_key([FIRST, CURVE], "../first") is None
    assert web_identity.find_key([FIRST], None) == FIRST
    assert web_identity.find_key([FIRST, CURVE], None) is None
    assert web_identity.find_key([FIRST, {**CURVE, "kid": "first"}], "first") is None


def test_only_keys_that_sign_and_have_two_halves_are_read() -> None:
    """A shared secret that an issuer published by mistake proves nothing."""
    secret = {"kty": "oct", "k": "AAAA", "kid": "secret"}
    sealing = {**FIRST, "use": "enc"}
    document = json.dumps({"keys": [secret, sealing, CURVE]}).encode()
    assert web_identity.read_keys(document) == [CURVE]
    with pytest.raises(ValueError, match="cannot be read"):
        web_identity.read_keys(b'{"keys": 1}')


def _part(members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
