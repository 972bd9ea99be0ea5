"""Audit records: CloudTrail's members in their order, bounded, in one line, and without secrets."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain import audit
from moorage.domain.arn import RepositoryArn
from moorage.domain.audit import Failure, Note, WebIdentityUser
from moorage.domain.caller import Caller, RegistryKey, RequestFacts, Session
from moorage.domain.names import RegistryId, RepositoryName

ACCOUNT = RegistryId("123456789012")
REGISTRY = RegistryKey(ACCOUNT, "eu-central-1")
DEFAULT = RegistryKey(RegistryId("000000000000"), "us-east-1")
#: 2026-11-21 09:46:18.5 UTC.
FACTS = RequestFacts("the-request", "v2", "203.0.113.12", True, "docker/27.0", 1_795_254_378_500_000)
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
IDS = {"root": str(ACCOUNT), "user": "AIDAALICE", "assumed-role": "AROACI"}

MEMBERS = [
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "requestParameters",
    "responseElements",
    "errorCode",
    "errorMessage",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "managementEvent",
    "recipientAccountId",
    "eventCategory",
]


def caller(resource: str = "user/alice", service: str = "iam") -> Caller:
    """Somebody of the account."""
    arn, unique_id = f"arn:aws:{service}::{ACCOUNT}:{resource}", IDS[resource.partition("/")[0]]
    session = None
    if service == "sts":
        role = f"arn:aws:iam::{ACCOUNT}:role/ci"
        session = Session("run-7", FACTS.received_at, FACTS.received_at + 1, role, unique_id=unique_id)
    return Caller(ACCOUNT, arn, KEY_ID, "eu-central-1", FACTS, session=session, unique_id=unique_id)


def note(who: Caller | None = None, **parameters: Any) -> Note:
    """A push that is under way."""
    made = Note(FACTS, "PutImage", caller=who or caller(), registry=REGISTRY)
    made.repositories = [RepositoryArn("eu-central-1", ACCOUNT, RepositoryName("team/app"))]
    made.add(repositoryName="team/app", **parameters)
    return made


def recorded(of: Note, **how: Any) -> dict[str, Any]:
    """The record, read again."""
    line = audit.record(of, "the-event", DEFAULT, **how)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    value: dict[str, Any] = json.loads(line)
    return value


def test_a_failed_call_has_every_member_in_cloudtrails_order() -> None:
    """Version 1.08, as reliability asks for it."""
    record = recorded(note(), failure=Failure("AccessDeniedException", "No."))
    assert list(record) == MEMBERS
    assert record["eventTime"] == "2026-11-21T09:46:18Z"
    assert record["errorCode"], record["errorMessage"] == ("AccessDeniedException", "No.")


def test_a_call_that_succeeded_has_its_answer_and_no_error() -> None:
    """What is not there is left out, but parameters and elements are null then."""
    record = recorded(note(), elements={"image": {"imageTag": "1"}})
    assert list(record) == [name for name in MEMBERS if not name.startswith("error")]
    assert record["responseElements"] == {"image": {"imageTag": "1"}}
    assert recorded(Note(FACTS))["requestParameters"] is None


def test_the_resource_is_the_repository() -> None:
    """With the account that owns it."""
    arn = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/app"
    assert recorded(note())["resources"] == [{"ARN": arn, "accountId": ACCOUNT}]


@pytest.mark.parametrize(
    ("resource", "service", "expected"),
    [
        ("root", "iam", {"type": "Root", "principalId": ACCOUNT}),
        ("user/alice", "iam", {"type": "IAMUser", "userName": "alice", "principalId": "AIDAALICE"}),
        ("user/team/alice", "iam", {"type": "IAMUser", "userName": "alice", "principalId": "AIDAALICE"}),
        ("assumed-role/ci/run-7", "sts", {"type": "AssumedRole", "principalId": "AROACI:run-7"}),
    ],
)
def test_who_asked_is_told_by_the_principal(resource: str, service: str, expected: dict[str, str]) -> None:
    """Type, ARN, account, key, and what each type has more."""
    who = caller(resource, service)
    identity = recorded(note(who))["userIdentity"]
    assert identity | expected == identity
    assert (identity["arn"], identity["accountId"], identity["accessKeyId"]) == (
        who.principal_arn,
        ACCOUNT,
        KEY_ID,
    )


def test_an_assumed_role_names_the_role() -> None:
    """As the issuer of the session."""
    identity = recorded(note(caller("assumed-role/ci/run-7", "sts")))["userIdentity"]
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer == {
        "type": "Role",
        "principalId": "AROACI",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/ci",
        "accountId": ACCOUNT,
        "userName": "ci",
    }


def test_temporary_credentials_tell_when_they_were_given_out_and_by_which_role() -> None:
    """A role's ARN has its path, which that of the session has not."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/team/ci"
    session = Session("run-7", FACTS.received_at, FACTS.received_at + 1, role_arn=arn)
    who = dataclasses.replace(caller("assumed-role/ci/run-7", "sts"), session=session)
    context = recorded(note(who))["userIdentity"]["sessionContext"]
    assert context["sessionIssuer"]["arn"] == arn
    assert context["attributes"] == {"creationDate": "2026-11-21T09:46:18Z"}
    user = dataclasses.replace(caller(), session=dataclasses.replace(session, role_arn=None))
    assert recorded(note(user))["userIdentity"]["sessionContext"] == {"attributes": context["attributes"]}


def test_a_web_identity_is_told_by_provider_audience_and_subject() -> None:
    """It belongs to no account and has no key."""
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.test"
    user = WebIdentityUser(provider, "sts.amazonaws.com", "repo:team/app")
    assert recorded(Note(FACTS, web_identity=user))["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:sts.amazonaws.com:repo:team/app",
        "userName": "repo:team/app",
        "identityProvider": provider,
    }


def test_credentials_that_were_not_proven_are_nobody_s() -> None:
    """Only the key id that they claim is kept, in the default registry's account."""
    record = recorded(Note(FACTS, claimed_key=KEY_ID), failure=Failure("UnrecognizedClientException"))
    assert record["userIdentity"] == {"type": "Unknown", "principalId": "", "accessKeyId": KEY_ID}
    assert (record["recipientAccountId"], record["awsRegion"]) == ("000000000000", "us-east-1")


@pytest.mark.parametrize("text", ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", "akia", "AKIA\nAKIAAKIA"])
def test_what_has_not_the_form_of_a_key_id_is_not_kept(text: str) -> None:
    """Somebody may have put the secret in its place."""
    assert audit.claimed_key(text) == ""
    assert audit.claimed_key(KEY_ID) == KEY_ID


def test_bytes_of_layers_are_left_out_and_page_tokens_hidden() -> None:
    """Neither tells anything, and a token opens something."""
    parameters = recorded(note(layerPartBlob="c2VjcmV0", nextToken="sealed", maxResults=3))["requestParameters"]
    assert parameters == {"repositoryName": "team/app", "nextToken": audit.HIDDEN, "maxResults": 3}


def test_a_long_manifest_is_cut() -> None:
    """Its beginning is kept, and how long it was."""
    text = recorded(note(imageManifest="m" * 4_000_000))["requestParameters"]["imageManifest"]
    assert text == "m" * audit.MAX_TEXT + "... (4000000 characters)"


def test_a_record_that_is_too_large_says_that_parts_were_omitted() -> None:
    """As CloudTrail does; who did what to which repository stays."""
    of = note(tags=[{"Key": "k" * 100, "Value": "\u20ac" * 1_000}] * 50)
    line = audit.record(of, "the-event", DEFAULT)
    assert len(line) <= audit.MAX_RECORD
    assert recorded(of)["requestParameters"] == {"omitted": True}
    assert recorded(of)["resources"]


@pytest.mark.parametrize("letter", ["\r", "\n", "\x1b", "\u2028", "\u202e", "\x7f", "\x85"])
def test_what_terminals_and_line_readers_obey_is_escaped(letter: str) -> None:
    """Wherever it comes from, the record is one line of plain characters."""
    facts = dataclasses.replace(FACTS, user_agent=f"a{letter}b")
    of = Note(facts, registry=REGISTRY)
    of.add(repositoryName=f"a{letter}b")
    line = audit.record(of, "the-event", DEFAULT).decode()
    assert line.rstrip("\n").isprintable()
    assert json.loads(line)["requestParameters"]["repositoryName"] == f"a{letter}b"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_whatever_a_call_was_given_makes_one_bounded_line(value: Any) -> None:
    """JSON in, JSON out."""
    of = Note(FACTS)
    of.add(given=value)
    line = audit.record(of, "the-event", DEFAULT, elements={"answer": value})
    assert len(line) <= audit.MAX_RECORD
    assert line.decode().rstrip("\n").isprintable()
    assert list(json.loads(line)) == [name for name in MEMBERS if name not in _ABSENT]


_ABSENT = {"errorCode", "errorMessage", "resources"}


@pytest.mark.parametrize(
    ("event", "reads"),
    [
        ("BatchGetImage", True),
        ("BatchCheckLayerAvailability", True),
        ("GetAuthorizationToken", True),
        ("DescribeRepositories", True),
        ("DownloadLayer", True),
        ("PutImage", False),
        ("BatchDeleteImage", False),
        ("InitiateLayerUpload", False),
        ("AbortLayerUpload", False),
        ("StartImageScan", False),
    ],
)
def test_a_call_reads_or_changes_by_its_name(event: str, reads: bool) -> None:
    """AWS names them so."""
    assert recorded(Note(FACTS, event))["readOnly"] is reads


def test_sts_changes_nothing_that_is_kept() -> None:
    """AWS: AssumeRole is read-only."""
    assert recorded(Note(FACTS, "AssumeRole", audit.STS))["readOnly"]
