"""What tests of sessions share: calls of STS as botocore reads them, a role, and who may assume it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser

from moorage.auth.credentials import AccessKey
from moorage.auth.sealing import MasterKey
from moorage.domain.names import RegistryId
from moorage.services import access_keys, identity_providers, principals
from tests.ecr.driver import ACCOUNT, SECOND, Answer, Driver, Key, Sent
from tests.support.issuer import AUDIENCE, Issuer, serve_issuer

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
HOME = RegistryId(ACCOUNT)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci/builder"
ALICE = Key("AKIDALICE", "alices/SecretThatIsLongEnoughForAKey00000")
BOB = Key("AKIDBOB", "bobs/SecretThatIsLongEnoughForAKey0000000")

Given = dict[str, Any]


def trust(*statements: Given) -> str:
    """A trust policy of these statements, which allow AssumeRole unless they say otherwise."""
    usual = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [usual | one for one in statements]})


ALICES: Given = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real issuer."""
    with serve_issuer() as served:
        yield served


@pytest.fixture
def driver(tmp_path: Path, issuer: Issuer) -> Iterator[Driver]:
    """A server with the users alice and bob, and a role that trusts alice for two hours."""
    made = Driver(tmp_path, oidc_private_origins=[issuer.url])
    for name, key in (("alice", ALICE), ("bob", BOB)):
        made.database.write_now(principals.create_user, HOME, name)
        access_key = AccessKey(key.access_key_id, key.secret)
        made.database.write_now(access_keys.create_access_key, HOME, name, access_key, MasterKey(bytes(32)))
    made.database.write_now(
        principals.create_role, HOME, "builder", trust(ALICES), path="/ci/", max_session_seconds=7200
    )
    yield made
    made.close()


def call(
    driver: Driver, action: str, key: Key | None = ALICE, **given: object
) -> tuple[Answer, dict[str, Any]]:
    """A call of STS, unsigned without a key; the answer, and what botocore reads in it."""
    form = {"Action": action, "Version": "2011-06-15"} | {name: str(value) for name, value in given.items()}
    body = urlencode(form).encode()
    headers = [(b"content-type", FORM["Content-Type"].encode()), (b"content-length", b"%d" % len(body))]
    sent = (
        driver.sign(None, body, service="sts", headers=FORM, key=key)
        if key
        else Sent("POST", "/", headers, body)
    )
    answer = driver.send(sent)
    model = botocore.session.Session().get_service_model("sts").operation_model(action)
    parsed: dict[str, Any] = create_parser("query").parse(
        {"status_code": answer.status, "headers": answer.headers, "body": answer.body}, model.output_shape
    )
    return answer, parsed


def assume(driver: Driver, key: Key = ALICE, **given: Any) -> tuple[Answer, dict[str, Any]]:
    """AssumeRole of the role, by alice unless said otherwise."""
    return call(driver, "AssumeRole", key, **({"RoleArn": ROLE, "RoleSessionName": "ci"} | given))


def told(result: tuple[Answer, dict[str, Any]]) -> tuple[int, str]:
    """Status and code of a refusal, or 200 and nothing."""
    answer, parsed = result
    return answer.status, parsed.get("Error", {}).get("Code", "")


def session_key(result: tuple[Answer, dict[str, Any]]) -> Key:
    """What a client signs with after this answer."""
    assert result[0].status == 200, result
    given = result[1]["Credentials"]
    return Key(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def change_trust(driver: Driver, *statements: Given) -> None:
    """Let the role trust somebody else."""
    driver.database.write_now(principals.update_role, HOME, "builder", trust(*statements))


def federate(driver: Driver, issuer: Issuer, **condition: object) -> None:
    """Let the role trust an issuer, for tokens that meet a condition."""
    url = f"https://{issuer.name}"
    driver.database.write_now(identity_providers.create_provider, HOME, url, [AUDIENCE])
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.name}"
    change_trust(
        driver,
        {"Principal": {"Federated": arn}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition},
    )


def identify(driver: Driver, token: str, **given: Any) -> tuple[Answer, dict[str, Any]]:
    """AssumeRoleWithWebIdentity with a token, unsigned."""
    named = {"RoleArn": ROLE, "RoleSessionName": "pipeline", "WebIdentityToken": token}
    return call(driver, "AssumeRoleWithWebIdentity", None, **(named | given))


def claims(driver: Driver, issuer: Issuer, **other: object) -> dict[str, object]:
    """Claims that are good now."""
    return issuer.claims(driver.now // SECOND, **other)
