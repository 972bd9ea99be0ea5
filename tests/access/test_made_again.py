"""What was given out to a key or principal that is gone stays dead when another one of its id or name is made."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from moorage.auth.credentials import AccessKey
from moorage.auth.sealing import MasterKey
from moorage.domain.digest import Digest
from moorage.domain.iam import PrincipalKind
from moorage.domain.names import RegistryId
from moorage.oci.face import DistributionApi
from moorage.services import access_keys, principal_policies, principals
from moorage.web.http import Message, Request
from tests.ecr.driver import ACCOUNT, HOST, MINUTE, SECOND, Driver, Key, Sent
from tests.ecr.sts import assume, call, session_key
from tests.support.identities import allow

HOME = RegistryId(ACCOUNT)
KEY = Key("AKIDALICE", "alices/SecretThatIsLongEnoughForAKey00000")
TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",'
    f' "Principal": {{"AWS": "{ACCOUNT}"}}}}}}'
)
APP = "team/app"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """A server with the users alice, who has a key, and bob, who has none, and a role; all may do everything."""
    made = Driver(tmp_path)
    made.create(APP)
    made.push(APP, "seed", "v1")
    for name in ("alice", "bob"):
        make_user(made, name)
    make_key(made, "alice")
    make_role(made)
    yield made
    made.close()


def make_user(driver: Driver, name: str) -> None:
    """A user who may do everything."""
    driver.database.write_now(principals.create_user, HOME, name)
    driver.database.write_now(principal_policies.put_inline, HOME, "user", name, "all", allow("*"))


def make_key(driver: Driver, user: str) -> None:
    """Give a user alice's key, as from another installation."""
    key = AccessKey(KEY.access_key_id, KEY.secret)
    driver.database.write_now(access_keys.create_access_key, HOME, user, key, MasterKey(bytes(32)))


def make_role(driver: Driver) -> None:
    """A role that everybody in the account may assume, and that may do everything."""
    driver.database.write_now(principals.create_role, HOME, "builder", TRUST)
    driver.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "all", allow("*"))


def delete_key(driver: Driver) -> None:
    """Take the key away; time passes."""
    driver.database.write_now(access_keys.delete_access_key, HOME, KEY.access_key_id)
    driver.now += SECOND


def delete_principal(driver: Driver, kind: PrincipalKind, name: str) -> None:
    """Remove a user or role; time passes."""
    driver.database.write_now(principal_policies.delete_inline, HOME, kind, name, "all")
    driver.database.write_now(principals.delete_principal, HOME, kind, name)
    driver.now += SECOND


# --- What is given out ---------------------------------------------------------------------------------------

#: Whether something that was given out opens anything now.
Opens = Callable[[], bool]


def of_password(driver: Driver, key: Key, path: str) -> Opens:
    """The password of docker login."""
    data = driver.ok("GetAuthorizationToken", key=key)["authorizationData"][0]
    header = b"Basic " + data["authorizationToken"].encode()

    def opens() -> bool:
        scope = {
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", HOST.encode()), (b"authorization", header)],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        facts = driver._request(Sent()).facts
        response = asyncio.run(DistributionApi(driver.context).handle(Request(scope, receive, facts)))
        assert response.status in {200, 401}
        return response.status == 200

    return opens


def of_download(driver: Driver, key: Key) -> Opens:
    """A download URL."""
    digest = str(Digest.of(b"layer of seed"))
    answer = driver.ok("GetDownloadUrlForLayer", key=key, repositoryName=APP, layerDigest=digest)
    parts = urlsplit(answer["downloadUrl"])
    sent = Sent("GET", f"{parts.path}?{parts.query}", [(b"host", HOST.encode())])

    def opens() -> bool:
        status = driver.send(sent).status
        assert status in {200, 403}
        return status == 200

    return opens


def of_session(driver: Driver, key: Key) -> Opens:
    """Temporary credentials, on both services."""

    def opens() -> bool:
        identified = call(driver, "GetCallerIdentity", key)[0].status == 200
        described = driver.call("DescribeRepositories", key=key).status == 200
        assert identified == described
        return described

    return opens


def given_out(driver: Driver, key: Key) -> list[Opens]:
    """Everything that a key is given out but sessions, all of it good."""
    things = [
        of_password(driver, key, "/v2/"),
        of_password(driver, key, f"/v2/{APP}/manifests/v1"),
        of_download(driver, key),
    ]
    assert [opens() for opens in things] == [True, True, True]
    return things


def all_given_out(driver: Driver) -> list[Opens]:
    """What alice's key is given out, its own session too, and what that is given out."""
    own = session_key(call(driver, "GetSessionToken", KEY))
    things = [*given_out(driver, KEY), of_session(driver, own), *given_out(driver, own)]
    driver.now += MINUTE
    assert {opens() for opens in things} == {True}
    return things


# --- Made again ----------------------------------------------------------------------------------------------


@pytest.mark.threat(9)
@pytest.mark.parametrize("holder", ["alice", "bob"])
def test_what_a_key_was_given_out_is_not_that_of_another_key_of_its_id(driver: Driver, holder: str) -> None:
    """Whether the new key is the same user's or another's; the new one gets what is good."""
    things = all_given_out(driver)
    delete_key(driver)
    make_key(driver, holder)
    assert {opens() for opens in things} == {False}
    all_given_out(driver)


@pytest.mark.threat(9)
def test_what_a_user_was_given_out_is_not_that_of_another_user_of_its_name(driver: Driver) -> None:
    """With the same key, too."""
    things = all_given_out(driver)
    delete_key(driver)
    delete_principal(driver, "user", "alice")
    make_user(driver, "alice")
    make_key(driver, "alice")
    assert {opens() for opens in things} == {False}
    all_given_out(driver)


@pytest.mark.threat(9)
def test_what_a_role_was_given_out_is_not_that_of_another_role_of_its_name(driver: Driver) -> None:
    """Not even where clocks are set back, so that the new role seems to be older than the session."""
    role = f"arn:aws:iam::{ACCOUNT}:role/builder"
    key = session_key(assume(driver, KEY, RoleArn=role))
    things = [of_session(driver, key), *given_out(driver, key)]
    delete_principal(driver, "role", "builder")
    driver.now -= MINUTE
    make_role(driver)
    driver.now += MINUTE
    assert {opens() for opens in things} == {False}
