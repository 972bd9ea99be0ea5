"""What is recorded of credentials that STS gives out: to whom, which key, and never what opens anything."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

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
    assert (record["errorCode"], record["responseElements"]) == ("AccessDeniedException", None)
    assert audited(driver, "AssumeRole", given, reads="off")[0] == []
