"""What is recorded of credentials that STS gives out: to whom, which key, and never what opens anything."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from moorage.domain.errors import TooManyRequests
from tests.ecr.driver import ACCOUNT, Driver, Key, Sent
from tests.ecr.sts import ALICE, FORM, ROLE, claims, driver, federate, issuer
from tests.support.auditing import Trail
from tests.support.issuer import Issuer

__all__ = ["driver", "issuer"]

CALLS: dict[str, dict[str, str]] = {
    "AssumeRole": {"RoleArn": ROLE, "RoleSessionName": "ci"},
    "GetSessionToken": {},
}


def audited(
    driver: Driver, action: str, given: Mapping[str, str], key: Key | None = ALICE, reads: str = "all"
) -> tuple[list[dict[str, Any]], str]:
    """What is recorded of a call under a setting of reads, and its answer."""
    body = urlencode({"Action": action, "Version": "2011-06-15"} | dict(given)).encode()
    if key:
        sent = driver.sign(None, body, service="sts", headers=FORM, key=key)
    else:
        headers = [(name.lower().encode(), value.encode()) for name, value in FORM.items()]
        sent = Sent("POST", "/", [*headers, (b"content-length", b"%d" % len(body))], body)
    request = driver._request(sent)
    response = driver.run(driver.api.handle(request))
    assert isinstance(response.body, bytes)
    return Trail(reads).see(request, response, "json"), response.body.decode()


def member(answer: str, name: str) -> str:
    """What an element of the answer has."""
    return answer.partition(f"<{name}>")[2].partition(f"</{name}>")[0]


@pytest.mark.parametrize("reads", ["all", "denied", "off"])
@pytest.mark.parametrize("action", CALLS)
def test_credentials_that_were_given_out_are_recorded_whatever_is_said_of_reads(
    driver: Driver, action: str, reads: str
) -> None:
    """By their key and when they end: so that what they did later is led back to who got them."""
    (record,), answer = audited(driver, action, CALLS[action], reads=reads)
    assert record["eventName"] == action
    assert record["responseElements"]["credentials"] == {
        "accessKeyId": member(answer, "AccessKeyId"),
        "expiration": member(answer, "Expiration"),
    }


@pytest.mark.parametrize("action", CALLS)
def test_neither_secret_nor_token_is_recorded(driver: Driver, action: str) -> None:
    """They open what they were given out for."""
    records, answer = audited(driver, action, CALLS[action])
    for name in ("SecretAccessKey", "SessionToken"):
        assert member(answer, name) not in json.dumps(records)


def test_the_session_is_named_as_in_the_answer(driver: Driver) -> None:
    """Its ARN and its id are what later records have."""
    (record,), answer = audited(driver, "AssumeRole", CALLS["AssumeRole"])
    assert record["responseElements"]["assumedRoleUser"] == {
        "assumedRoleId": member(answer, "AssumedRoleId"),
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ci",
    }


def test_a_web_identity_is_recorded_with_what_it_got(driver: Driver, issuer: Issuer) -> None:
    """The token that proved it is left out."""
    federate(driver, issuer)
    token = issuer.sign(claims(driver, issuer))
    given = {"RoleArn": ROLE, "RoleSessionName": "pipeline", "WebIdentityToken": token}
    (record,), answer = audited(driver, "AssumeRoleWithWebIdentity", given, None, "off")
    elements = record["responseElements"]
    assert elements["credentials"]["accessKeyId"] == member(answer, "AccessKeyId")
    assert elements["subjectFromWebIdentityToken"] == member(answer, "SubjectFromWebIdentityToken")
    assert token not in json.dumps(record)


def test_a_refused_call_gives_out_nothing(driver: Driver) -> None:
    """It is recorded as a refusal, and left out with all reads where these are off."""
    given = {"RoleArn": ROLE + "s", "RoleSessionName": "ci"}
    (record,), _ = audited(driver, "AssumeRole", given, reads="denied")
    assert (record["errorCode"], record["responseElements"]) == ("AccessDenied", None)
    assert audited(driver, "AssumeRole", given, reads="off")[0] == []


REFUSED: dict[str, tuple[str, dict[str, str], Key | None, str]] = {
    "a secret that is wrong": (
        "AssumeRole",
        CALLS["AssumeRole"],
        Key(ALICE.access_key_id, "x" * 40),
        "SignatureDoesNotMatch",
    ),
    "a key that is not there": ("GetSessionToken", {}, Key("AKIDNOBODY", "x" * 40), "InvalidClientTokenId"),
    "a session that is none": (
        "GetCallerIdentity",
        {},
        Key("ASIANOBODY00", "x" * 40, "no token"),
        "InvalidClientTokenId",
    ),
    "no credentials": ("GetCallerIdentity", {}, None, "MissingAuthenticationToken"),
    "a parameter that lacks": ("AssumeRole", {}, ALICE, "ValidationError"),
    "a token that is none": (
        "AssumeRoleWithWebIdentity",
        {"RoleArn": ROLE, "RoleSessionName": "pipeline", "WebIdentityToken": "no token"},
        None,
        "InvalidIdentityToken",
    ),
    "an action that is not built": ("GetFederationToken", {"Name": "bob"}, ALICE, "NotImplemented"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_recorded_by_the_name_of_its_action_and_the_code_that_the_client_saw(
    driver: Driver, case: str
) -> None:
    """Also when nobody knows who asked."""
    action, given, key, code = REFUSED[case]
    (record,), answer = audited(driver, action, given, key)
    assert (record["eventSource"], record["eventName"]) == ("sts.amazonaws.com", action)
    assert (record["errorCode"], member(answer, "Code")) == (code, code)
    assert escape(record["errorMessage"]) == member(answer, "Message")


def test_an_action_that_nobody_knows_is_recorded_as_such(driver: Driver) -> None:
    """Its name is whatever a client writes there."""
    (record,), answer = audited(driver, "DeleteEverything", {})
    assert (record["eventName"], record["errorCode"]) == ("UnknownOperation", member(answer, "Code"))


def test_what_the_server_does_not_take_on_is_recorded_as_the_client_saw_it(driver: Driver) -> None:
    """Before anything of it was read."""
    sent = driver.sign(None, b"Action=AssumeRole&Version=2011-06-15", service="sts", headers=FORM, key=ALICE)
    request = driver._request(sent)
    response = driver.api.refuse(request, TooManyRequests())
    (record,) = Trail().see(request, response, "json")
    assert record["eventSource"] == "sts.amazonaws.com"
    assert isinstance(response.body, bytes)
    assert record["errorCode"] == member(response.body.decode(), "Code")


def test_a_failure_that_nobody_foresaw_is_recorded_by_the_name_of_its_action(driver: Driver) -> None:
    """Which was noted before it came."""
    request = driver._request(driver.sign(None, b"", service="sts", headers=FORM, key=ALICE))
    request.note.event = "AssumeRole"
    response = driver.api.on_error(request)
    (record,) = Trail().see(request, response, "json")
    assert (record["eventName"], record["errorCode"]) == ("AssumeRole", "InternalFailure")
    assert record["eventSource"] == "sts.amazonaws.com"
