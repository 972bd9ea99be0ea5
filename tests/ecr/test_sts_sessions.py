"""Sessions over the wire: assumed roles and users' own, as botocore's STS client reads them."""

from urllib.parse import urlsplit

import pytest

from moorage.auth.tokens import read_registry_authorization
from moorage.domain.errors import CredentialsExpired
from moorage.services import access_keys, accounts, principal_policies, principals
from moorage.services.conditions import iso
from tests.ecr.driver import ACCOUNT, KEY, MINUTE, OTHER_KEY, SECOND, Driver, Key, Sent, digest_of
from tests.ecr.sts import (
    ALICE,
    ALICES,
    BOB,
    HOME,
    ROLE,
    Given,
    assume,
    call,
    change_trust,
    driver,
    issuer,
    session_key,
    told,
    trust,
)
from tests.support.identities import allow

__all__ = ["driver", "issuer"]


# --- AssumeRole ----------------------------------------------------------------------------------------------


def test_a_role_is_assumed_by_the_user_whom_it_trusts(driver: Driver) -> None:
    """The answer has the members that clients read, and the session is who it says."""
    answer, parsed = assume(driver)
    assert answer.operation == "AssumeRole"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ci"
    assert parsed["AssumedRoleUser"]["Arn"] == arn
    assert parsed["AssumedRoleUser"]["AssumedRoleId"].startswith("AROA")
    assert parsed["Credentials"]["Expiration"].timestamp() == driver.now // SECOND + 3600
    _, identity = call(driver, "GetCallerIdentity", session_key((answer, parsed)))
    assert (identity["Arn"], identity["Account"]) == (arn, ACCOUNT)
    assert identity["UserId"] == parsed["AssumedRoleUser"]["AssumedRoleId"]


def test_whom_the_role_does_not_trust_learns_nothing_of_it(driver: Driver) -> None:
    """A role that does not exist is refused in the same words."""
    refused, _ = assume(driver, BOB)
    nowhere, _ = assume(driver, BOB, RoleArn=ROLE + "x")
    assert (refused.status, refused.error_code) == (403, "AccessDenied")
    assert (
        refused.body.replace(b"builder", b"builderx").split(b"<RequestId>")[0]
        == (nowhere.body.split(b"<RequestId>")[0])
    )


def test_trust_in_an_account_leaves_it_to_the_users_own_policies(driver: Driver) -> None:
    """The account is named: bob may once a policy of his own lets him."""
    change_trust(driver, {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}})
    assert told(assume(driver, BOB)) == (403, "AccessDenied")
    driver.database.write_now(
        principal_policies.put_inline, HOME, "user", "bob", "may", allow("sts:AssumeRole")
    )
    assert told(assume(driver, BOB)) == (200, "")


def test_across_accounts_both_sides_have_to_allow(driver: Driver) -> None:
    """The other account's root may do what it likes at home, so the role's trust is what is left."""
    assert told(assume(driver, OTHER_KEY)) == (403, "AccessDenied")
    change_trust(driver, {"Principal": {"AWS": "999999999999"}})
    assert told(assume(driver, OTHER_KEY)) == (200, "")


@pytest.mark.parametrize(
    ("given", "status"),
    [({}, 403), ({"ExternalId": "wrong"}, 403), ({"ExternalId": "shared-secret"}, 200)],
)
def test_a_role_can_ask_for_an_external_id(driver: Driver, given: Given, status: int) -> None:
    """As those do who let a vendor in."""
    change_trust(driver, ALICES | {"Condition": {"StringEquals": {"sts:ExternalId": "shared-secret"}}})
    assert assume(driver, **given)[0].status == status


def test_a_role_can_ask_for_the_name_of_the_session(driver: Driver) -> None:
    """``sts:RoleSessionName``, often with the user's own name."""
    change_trust(driver, ALICES | {"Condition": {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}})
    assert told(assume(driver)) == (403, "AccessDenied")
    assert told(assume(driver, RoleSessionName="alice")) == (200, "")


def test_a_role_can_ask_for_tags_of_user_and_session(driver: Driver) -> None:
    """``aws:PrincipalTag`` and ``aws:RequestTag``; who brings tags needs sts:TagSession as well."""
    wanted = {"aws:PrincipalTag/team": "red", "aws:RequestTag/job": "build"}
    change_trust(driver, ALICES | {"Condition": {"StringEquals": wanted}})
    tags: Given = {"Tags.member.1.Key": "job", "Tags.member.1.Value": "build"}
    assert told(assume(driver, **tags)) == (403, "AccessDenied")
    driver.database.write_now(principals.tag_principal, HOME, "user", "alice", [("team", "red")])
    assert told(assume(driver, **tags)) == (200, "")
    change_trust(driver, ALICES | {"Action": "sts:AssumeRole"})
    assert told(assume(driver, **tags)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"DurationSeconds": 7201}, "ValidationError"),
        ({"DurationSeconds": 43_201}, "ValidationError"),
        ({"DurationSeconds": "x"}, "ValidationError"),
        ({"DurationSeconds": 7200}, ""),
        ({"RoleSessionName": "x"}, "ValidationError"),
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"RoleSessionName": ""}, "ValidationError"),
        ({"RoleArn": "builder"}, "ValidationError"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:user/alice"}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"Policy": '{"Statement":{"Effect":"Allow","Action":"*"}}'}, "MalformedPolicyDocument"),
        ({"Policy": allow("ecr:GetAuthorizationToken" + "x" * 3000)}, "ValidationError"),
        ({"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/NoSuch"}, "ValidationError"),
        ({"PolicyArns.member.1.arn": "x"}, "ValidationError"),
        ({"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/AdministratorAccess"}, ""),
        ({"Tags.member.1.Key": "aws:x", "Tags.member.1.Value": "1"}, "ValidationError"),
        ({"ExternalId": "x"}, "ValidationError"),
        ({"SourceIdentity": "alice"}, "NotImplemented"),
        ({"TransitiveTagKeys.member.1": "x"}, "NotImplemented"),
        ({"SerialNumber": "x", "TokenCode": "1"}, "NotImplemented"),
    ],
)
def test_what_a_session_may_not_be_is_refused(driver: Driver, given: Given, code: str) -> None:
    """With AWS's names."""
    assert told(assume(driver, **given))[1] == code


def test_the_room_for_policies_and_tags_is_bounded(driver: Driver) -> None:
    """They travel in the token; how much of it they take is told."""
    few: Given = {"Tags.member.1.Key": "job", "Tags.member.1.Value": "build"}
    assert assume(driver, **few)[1]["PackedPolicySize"] == 1
    many: Given = {}
    for number in range(1, 20):
        many |= {f"Tags.member.{number}.Key": f"key{number}", f"Tags.member.{number}.Value": "x" * 250}
    assert told(assume(driver, **many)) == (400, "PackedPolicyTooLarge")


def test_a_session_of_a_role_assumes_another_role_for_an_hour_at_most(driver: Driver) -> None:
    """AWS calls it chaining."""
    second = f"arn:aws:iam::{ACCOUNT}:role/second"
    named = trust({"Principal": {"AWS": ROLE}})
    driver.database.write_now(principals.create_role, HOME, "second", named, max_session_seconds=7200)
    key = session_key(assume(driver))
    long: Given = {"RoleArn": second, "DurationSeconds": 7200}
    assert told(assume(driver, key, **long)) == (400, "ValidationError")
    assert told(assume(driver, key, RoleArn=second)) == (200, "")
    assert told(assume(driver, ALICE, RoleArn=second)) == (403, "AccessDenied")


def test_a_session_policy_narrows_what_the_session_may_assume(driver: Driver) -> None:
    """Though the next role trusts the first one."""
    second = f"arn:aws:iam::{ACCOUNT}:role/second"
    driver.database.write_now(principals.create_role, HOME, "second", trust({"Principal": {"AWS": ROLE}}))
    key = session_key(assume(driver, Policy=allow("ecr:GetAuthorizationToken")))
    assert told(assume(driver, key, RoleArn=second)) == (403, "AccessDenied")


def test_sessions_that_are_revoked_by_their_age_assume_no_other_role(driver: Driver) -> None:
    """IAM's way: the role's own policy denies everything to those that were given out before a moment."""
    second = f"arn:aws:iam::{ACCOUNT}:role/second"
    driver.database.write_now(principals.create_role, HOME, "second", trust({"Principal": {"AWS": ROLE}}))
    leaked = session_key(assume(driver))
    driver.now += MINUTE
    older = {"DateLessThan": {"aws:TokenIssueTime": iso(driver.now)}}
    text = trust({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older})
    driver.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "revoked", text)
    assert told(assume(driver, leaked, RoleArn=second)) == (403, "AccessDenied")
    assert told(assume(driver, session_key(assume(driver)), RoleArn=second)) == (200, "")


# --- What a session is good for ------------------------------------------------------------------------------


def test_a_session_ends_at_its_time(driver: Driver) -> None:
    """To the second."""
    key = session_key(assume(driver, DurationSeconds=900))
    driver.now += 15 * MINUTE - SECOND
    assert told(call(driver, "GetCallerIdentity", key)) == (200, "")
    driver.now += SECOND
    assert told(call(driver, "GetCallerIdentity", key)) == (403, "ExpiredToken")
    assert driver.send(driver.sign("DescribeRepositories", key=key)).code == "ExpiredTokenException"


def test_a_session_ends_with_its_role(driver: Driver) -> None:
    """Another role of the same name is another role."""
    key = session_key(assume(driver))
    driver.database.write_now(principals.delete_principal, HOME, "role", "builder")
    assert told(call(driver, "GetCallerIdentity", key)) == (403, "InvalidClientTokenId")
    driver.database.write_now(principals.create_role, HOME, "builder", trust(ALICES), path="/ci/")
    assert told(call(driver, "GetCallerIdentity", key)) == (403, "InvalidClientTokenId")


def test_a_session_ends_when_its_account_is_switched_off(driver: Driver) -> None:
    """And begins again with it."""
    key = session_key(assume(driver))
    driver.database.write_now(accounts.set_account_active, HOME, is_active=False)
    assert told(call(driver, "GetCallerIdentity", key)) == (403, "OptInRequired")
    driver.database.write_now(accounts.set_account_active, HOME, is_active=True)
    assert told(call(driver, "GetCallerIdentity", key)) == (200, "")


@pytest.mark.threat(9)
def test_key_secret_and_token_go_together(driver: Driver) -> None:
    """Another session's token, another secret, no token, or a token with a key of one's own."""
    first, second = session_key(assume(driver)), session_key(assume(driver))
    wrong = [
        Key(first.access_key_id, first.secret, second.session_token),
        Key(first.access_key_id, first.secret),
        Key(ALICE.access_key_id, ALICE.secret, first.session_token),
        Key(first.access_key_id, first.secret, "made-up"),
    ]
    codes = {told(call(driver, "GetCallerIdentity", key)) for key in wrong}
    assert codes == {(403, "InvalidClientTokenId")}
    other_secret = Key(first.access_key_id, second.secret, first.session_token)
    assert told(call(driver, "GetCallerIdentity", other_secret)) == (403, "SignatureDoesNotMatch")


# --- GetSessionToken -----------------------------------------------------------------------------------------


def test_a_users_own_session_is_the_user(driver: Driver) -> None:
    """Twelve hours unless said otherwise."""
    result = call(driver, "GetSessionToken")
    assert result[1]["Credentials"]["Expiration"].timestamp() == driver.now // SECOND + 43_200
    key = session_key(result)
    assert call(driver, "GetCallerIdentity", key)[1]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert told(call(driver, "GetSessionToken", key)) == (403, "AccessDenied")


def test_a_roots_own_session_lasts_an_hour_at_most(driver: Driver) -> None:
    """And a user's a day and a half."""
    result = call(driver, "GetSessionToken", KEY, DurationSeconds=7200)
    assert result[1]["Credentials"]["Expiration"].timestamp() == driver.now // SECOND + 3_600
    assert told(call(driver, "GetSessionToken", DurationSeconds=129_600)) == (200, "")
    assert told(call(driver, "GetSessionToken", DurationSeconds=129_601)) == (400, "ValidationError")


def test_a_users_own_session_ends_with_the_key_that_began_it(driver: Driver) -> None:
    """Switched off, the key takes along what came of it."""
    key = session_key(call(driver, "GetSessionToken"))
    driver.database.write_now(access_keys.set_key_active, HOME, ALICE.access_key_id, is_active=False)
    assert told(call(driver, "GetCallerIdentity", key)) == (403, "InvalidClientTokenId")


def test_a_roots_own_session_may_do_what_root_may(driver: Driver) -> None:
    """On the other API, too, and so may the password that it gets."""
    key = session_key(call(driver, "GetSessionToken", KEY))
    assert driver.call("DescribeRepositories", key=key).json == {"repositories": []}
    data = driver.call("GetAuthorizationToken", key=key).json["authorizationData"][0]
    assert data["expiresAt"] == pytest.approx(driver.now / SECOND + 3_600, abs=1)


# --- On both faces -------------------------------------------------------------------------------------------


def test_a_session_may_do_what_its_role_may_within_its_own_policies(driver: Driver) -> None:
    """The role may list and log in; the session that was narrowed may only list."""
    may = allow("ecr:DescribeRepositories", "ecr:GetAuthorizationToken")
    key = session_key(assume(driver))
    assert driver.call("DescribeRepositories", key=key).code == "AccessDeniedException"
    driver.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "may", may)
    assert driver.call("DescribeRepositories", key=key).status == 200
    narrow = session_key(assume(driver, Policy=allow("ecr:DescribeRepositories")))
    assert driver.call("DescribeRepositories", key=narrow).status == 200
    refused = driver.call("GetAuthorizationToken", key=narrow)
    assert refused.code == "AccessDeniedException"
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ci" in refused.message


def test_a_password_never_outlives_the_session_that_got_it(driver: Driver) -> None:
    """Nor does it live longer than others."""
    may = allow("ecr:GetAuthorizationToken")
    driver.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "may", may)
    key = session_key(assume(driver, DurationSeconds=900))
    data = driver.call("GetAuthorizationToken", key=key).json["authorizationData"][0]
    assert data["expiresAt"] == pytest.approx(driver.now / SECOND + 900, abs=1)
    header = f"Basic {data['authorizationToken']}"
    claims = read_registry_authorization(driver.context.keyring, header, driver.now)
    assert claims.session is not None
    assert claims.session.role_arn == ROLE
    with pytest.raises(CredentialsExpired):
        read_registry_authorization(driver.context.keyring, header, driver.now + 15 * MINUTE)


def test_a_download_url_of_a_session_ends_with_its_role(driver: Driver) -> None:
    """It opens the layer while the role is there; whose it was is told by the role, not by the registry."""
    may = allow("ecr:GetDownloadUrlForLayer")
    driver.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "may", may)
    driver.ok("CreateRepository", repositoryName="app")
    driver.push("app", "one", "v1")
    key = session_key(assume(driver))
    layer = digest_of(b"layer of one")
    given = driver.call("GetDownloadUrlForLayer", key=key, repositoryName="app", layerDigest=layer).json
    parts = urlsplit(given["downloadUrl"])
    opened = Sent("GET", f"{parts.path}?{parts.query}")
    assert driver.send(opened).body == b"layer of one"
    driver.database.write_now(principal_policies.delete_inline, HOME, "role", "builder", "may")
    assert driver.send(opened).status == 403
    driver.database.write_now(principals.delete_principal, HOME, "role", "builder")
    assert driver.send(opened).status == 403
