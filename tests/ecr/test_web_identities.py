"""AssumeRoleWithWebIdentity over the wire: tokens of a real issuer, as botocore's STS client sends them."""

import pytest

from moorage.domain.names import RegistryId
from moorage.services import identity_providers
from tests.ecr.driver import ACCOUNT, SECOND, Driver, Sent
from tests.ecr.sts import FORM, ROLE, call, claims, driver, federate, identify, issuer, session_key, told
from tests.support.issuer import AUDIENCE, Issuer, ec_key, rsa_key

__all__ = ["driver", "issuer"]


def test_a_web_identity_assumes_a_role_that_trusts_its_claims(driver: Driver, issuer: Issuer) -> None:
    """No signature, no key; the answer says who the token proved."""
    federate(
        driver, issuer, StringEquals={f"{issuer.name}:sub": "repo:team/app", f"{issuer.name}:aud": AUDIENCE}
    )
    result = identify(driver, issuer.sign(claims(driver, issuer)))
    answer, parsed = result
    assert answer.operation == "AssumeRoleWithWebIdentity"
    assert parsed["SubjectFromWebIdentityToken"] == "repo:team/app"
    assert parsed["Audience"] == AUDIENCE
    assert parsed["Provider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.name}"
    identity = call(driver, "GetCallerIdentity", session_key(result))[1]
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/pipeline"


def test_a_web_identity_with_other_claims_is_refused(driver: Driver, issuer: Issuer) -> None:
    """The token is genuine, and the role does not trust it."""
    federate(driver, issuer, StringLike={f"{issuer.name}:sub": "repo:team/*", f"{issuer.name}:ref": "main"})
    right = claims(driver, issuer, ref="main")
    assert told(identify(driver, issuer.sign(right))) == (200, "")
    for wrong in ({"sub": "repo:other/app"}, {"ref": "feature"}, {"ref": None}):
        assert told(identify(driver, issuer.sign(claims(driver, issuer, **({"ref": "main"} | wrong))))) == (
            403,
            "AccessDenied",
        )


@pytest.mark.threat(9, 15)
def test_a_web_identity_that_is_not_proven_is_refused(driver: Driver, issuer: Issuer) -> None:
    """Another audience, over, not begun, another key, another issuer, no token at all."""
    federate(driver, issuer)
    stranger = Issuer("https://stranger.test")
    soon = driver.now // SECOND + 600
    refused = {
        "audience": (issuer.sign(claims(driver, issuer, aud="other")), 400, "InvalidIdentityToken"),
        "over": (issuer.sign(claims(driver, issuer, exp=soon - 1200)), 400, "ExpiredTokenException"),
        "early": (issuer.sign(claims(driver, issuer, nbf=soon)), 403, "IDPRejectedClaim"),
        "key": (issuer.sign(claims(driver, issuer), key=rsa_key("evil")), 400, "InvalidIdentityToken"),
        "unknown key": (issuer.sign(claims(driver, issuer), key_id="x"), 400, "InvalidIdentityToken"),
        "wrong kind": (
            issuer.sign(claims(driver, issuer), key=ec_key("curve"), algorithm="ES256"),
            400,
            "InvalidIdentityToken",
        ),
        "issuer": (stranger.sign(claims(driver, stranger)), 400, "InvalidIdentityToken"),
        "nothing": ("x.y.z", 400, "InvalidIdentityToken"),
    }
    for name, (token, status, code) in refused.items():
        assert (name, told(identify(driver, token))) == (name, (status, code))
    assert told(identify(driver, "")) == (400, "ValidationError")


def test_only_an_issuer_that_the_account_trusts_is_contacted(driver: Driver, issuer: Issuer) -> None:
    """A token cannot make the server call anybody."""
    token = issuer.sign(claims(driver, issuer))
    assert told(identify(driver, token)) == (400, "InvalidIdentityToken")
    driver.database.write_now(
        identity_providers.create_provider, RegistryId("999999999999"), f"https://{issuer.name}", [AUDIENCE]
    )
    assert told(identify(driver, token)) == (400, "InvalidIdentityToken")
    assert issuer.asked == []


def test_an_issuer_that_is_away_is_named_as_the_reason(driver: Driver, issuer: Issuer) -> None:
    """Clients try again on that code."""
    federate(driver, issuer)
    issuer.documents["/keys"] = (500, b"")
    token = issuer.sign(claims(driver, issuer))
    assert told(identify(driver, token)) == (400, "IDPCommunicationError")


def test_a_web_identity_asks_for_no_more_than_an_unsigned_call_may(driver: Driver, issuer: Issuer) -> None:
    """Any other operation needs a signature, however it is called."""
    federate(driver, issuer)
    assert told(call(driver, "GetCallerIdentity", None)) == (403, "MissingAuthenticationToken")
    assert told(call(driver, "AssumeRole", None, RoleArn=ROLE, RoleSessionName="ci"))[0] == 403
    body = b"Action=GetSessionToken&Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    answer = driver.send(Sent("POST", "/", [(b"content-type", FORM["Content-Type"].encode())], body))
    assert (answer.status, answer.error_code) == (400, "InvalidParameterValue")
