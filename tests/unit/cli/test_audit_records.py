"""Whose a record is and what it is about, as ``moorage audit tail`` finds and shows it."""

from typing import Any

import msgspec
import pytest

from moorage.cli.audit_records import Record, render
from moorage.domain import audit
from moorage.domain.audit import Elements, Note, Operator, WebIdentityUser
from moorage.domain.caller import ANONYMOUS, Caller, RegistryKey, Session
from tests.support.callers import ACCOUNT, REGISTRY, request_facts

HOME = RegistryKey(ACCOUNT, REGISTRY.region)
IAM = f"arn:aws:iam::{ACCOUNT}"
PROVIDER = f"{IAM}:oidc-provider/issuer.example"
SESSION = Session("ci", 1, 2, f"{IAM}:role/ci/releaser", unique_id="AROARELEASER")


def called_by(arn: str, **more: Any) -> Note:
    """A call by this principal."""
    return Note(
        request_facts(), "AssumeRole", audit.STS, Caller(ACCOUNT, arn, "AKIDKEY", "r", request_facts(), **more)
    )


NOTES = {
    "root": called_by(f"{IAM}:root"),
    "user": called_by(f"{IAM}:user/team/alice", unique_id="AIDAALICE"),
    "role": called_by(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/releaser/ci", session=SESSION, unique_id="AROARELEASER"
    ),
    "operator": Note(
        request_facts(), "CreateUser", audit.IAM, operator=Operator("root", "uid:0"), registry=HOME
    ),
    "subject": Note(
        request_facts(),
        "AssumeRoleWithWebIdentity",
        audit.STS,
        web_identity=WebIdentityUser(PROVIDER, "sts.amazonaws.com", "repo:team/app"),
    ),
    "anonymous": Note(
        request_facts(),
        "BatchGetImage",
        caller=Caller(ANONYMOUS, str(ANONYMOUS), "", REGISTRY.region, request_facts()),
    ),
}


def read(note: Note, elements: Elements | None = None) -> Record:
    """The record of a call."""
    return msgspec.json.decode(audit.record(note, "an-event", HOME, elements=elements), type=Record)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"{IAM}:role/ci/releaser", "role"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/releaser/ci", "role"),
        ("role/ci/releaser", "role"),
        ("role/releaser", "role"),
        ("releaser", "role"),
        ("AROARELEASER", "role"),
        ("AROARELEASER:ci", "role"),
        (f"{IAM}:user/team/alice", "user"),
        ("user/team/alice", "user"),
        ("user/alice", "user"),
        ("alice", "user"),
        ("AIDAALICE", "user"),
        ("root", "root"),
        (f"{IAM}:root", "root"),
        ("operator:root", "operator"),
        ("uid:0", "operator"),
        ("repo:team/app", "subject"),
        ("web-identity:repo:team/app", "subject"),
        (PROVIDER, "subject"),
        ("anonymous", "anonymous"),
    ],
)
def test_a_principal_is_found_by_each_of_its_names_and_nobody_else_by_it(asked: str, found: str) -> None:
    """A user of the system has not the name of a principal."""
    assert [who for who, note in NOTES.items() if asked in read(note).user_identity.names()] == [found]


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("root", f"{IAM}:root"),
        ("user", f"{IAM}:user/team/alice"),
        ("role", f"arn:aws:sts::{ACCOUNT}:assumed-role/releaser/ci"),
        ("operator", "operator:root"),
        ("subject", "web-identity:repo:team/app"),
        ("anonymous", "anonymous"),
    ],
)
def test_a_line_says_who_it_was(who: str, shown: str) -> None:
    """By a name that ``--principal`` takes."""
    assert render(read(NOTES[who])).split("  ")[2] == shown
    assert shown in read(NOTES[who]).user_identity.names()


@pytest.mark.parametrize(
    ("parameters", "elements", "shown"),
    [
        ({"userName": "alice", "path": "/"}, {}, "user/alice"),
        ({"roleName": "releaser"}, {}, "role/releaser"),
        ({"roleArn": f"{IAM}:role/releaser", "roleSessionName": "ci"}, None, f"{IAM}:role/releaser"),
        ({"userName": "alice", "policyArn": f"{IAM}:policy/push"}, {}, f"user/alice {IAM}:policy/push"),
        ({"roleName": "releaser", "policyName": "own"}, {}, "role/releaser policy/own"),
        ({"userName": "alice"}, {"accessKey": {"accessKeyId": "AKIANEW"}}, "user/alice AKIANEW"),
        ({"accessKeyId": "AKIAOLD", "status": "Inactive"}, {}, "AKIAOLD"),
        ({"openIDConnectProviderArn": PROVIDER}, {}, PROVIDER),
        ({"url": "https://issuer.example"}, {}, "https://issuer.example"),
        ({"accountId": "210987654321"}, {}, "account 210987654321"),
        ({}, {"account": {"id": "210987654321"}}, "account 210987654321"),
        ({"repositoryName": "team/app", "policyText": "{}"}, {}, "team/app"),
        ({}, None, "-"),
    ],
)
def test_a_line_says_what_it_was_about(
    parameters: dict[str, Any], elements: Elements | None, shown: str
) -> None:
    """The user, role, policy, key, provider, account or repository."""
    note = Note(request_facts(), "PutSomething", audit.IAM, operator=Operator("vm", "uid:1"), registry=HOME)
    note.add(**parameters)
    assert render(read(note, elements)).split("  ")[3] == shown
