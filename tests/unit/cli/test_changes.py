"""Changes by the commands that look after identities are audited: as IAM's actions, in their own transactions."""

import ast
import json
import os
import pwd
from typing import Any

import pytest

from moorage.metadata import audit
from moorage.services import resource_policies
from moorage.services.repositories import create_repository
from tests.architecture.source import modules
from tests.support.auditing import committed
from tests.support.callers import ACCOUNT, APP, REGISTRY, trusted
from tests.support.database import all_rows
from tests.support.identities import PULL, TRUST
from tests.unit.cli.identities import AWS_PULL, Program

ALICE, BUILDER = {"userName": "alice"}, {"roleName": "builder"}
OWN = f"arn:aws:iam::{ACCOUNT}:policy/pull"
ISSUER = "https://ci.example.com"
IMPORTED = {"AWS_ACCESS_KEY_ID": "AKIAIMPORTED", "AWS_SECRET_ACCESS_KEY": "a-secret-of-one-s-own-0123456789"}
KEY = "AKIAIMPORTED"

#: Each command, the event that it is, and the parameters of that; each finds what those before it made.
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "user create alice --tag team=red",
        "CreateUser",
        ALICE | {"path": "/", "tags": [{"key": "team", "value": "red"}]},
    ),
    ("user tag alice a=b", "TagUser", ALICE | {"tags": [{"key": "a", "value": "b"}]}),
    ("user untag alice a", "UntagUser", ALICE | {"tagKeys": ["a"]}),
    ("key create --user alice --from-environment", "CreateAccessKey", ALICE),
    (f"key disable {KEY}", "UpdateAccessKey", ALICE | {"accessKeyId": KEY, "status": "Inactive"}),
    (f"key enable {KEY}", "UpdateAccessKey", ALICE | {"accessKeyId": KEY, "status": "Active"}),
    (f"key delete {KEY}", "DeleteAccessKey", ALICE | {"accessKeyId": KEY}),
    ("role create builder --trust -", "CreateRole", BUILDER | {"assumeRolePolicyDocument": TRUST}),
    ("role update builder --trust -", "UpdateAssumeRolePolicy", BUILDER | {"policyDocument": TRUST}),
    ("role update builder --max-session 7200", "UpdateRole", BUILDER | {"maxSessionDuration": 7200}),
    ("role tag builder a=b", "TagRole", BUILDER | {"tags": [{"key": "a", "value": "b"}]}),
    ("role untag builder a", "UntagRole", BUILDER | {"tagKeys": ["a"]}),
    ("policy create pull --document -", "CreatePolicy", {"policyName": "pull", "policyDocument": PULL}),
    ("policy put pull --document -", "CreatePolicyVersion", {"policyArn": OWN, "policyDocument": PULL}),
    ("policy attach pull --user alice", "AttachUserPolicy", ALICE | {"policyArn": OWN}),
    ("policy detach pull --user alice", "DetachUserPolicy", ALICE | {"policyArn": OWN}),
    (f"policy attach {AWS_PULL} --role builder", "AttachRolePolicy", BUILDER | {"policyArn": AWS_PULL}),
    (f"policy detach {AWS_PULL} --role builder", "DetachRolePolicy", BUILDER | {"policyArn": AWS_PULL}),
    (
        "policy put own --user alice --document -",
        "PutUserPolicy",
        ALICE | {"policyName": "own", "policyDocument": PULL},
    ),
    ("policy delete own --user alice", "DeleteUserPolicy", ALICE | {"policyName": "own"}),
    ("policy put own --role builder --document -", "PutRolePolicy", BUILDER | {"policyName": "own"}),
    ("policy delete own --role builder", "DeleteRolePolicy", BUILDER | {"policyName": "own"}),
    ("policy boundary pull --user alice", "PutUserPermissionsBoundary", ALICE | {"permissionsBoundary": OWN}),
    ("policy boundary --none --user alice", "DeleteUserPermissionsBoundary", ALICE),
    ("policy delete pull", "DeletePolicy", {"policyArn": OWN}),
    ("user delete alice", "DeleteUser", ALICE),
    ("role delete builder", "DeleteRole", BUILDER),
    (
        f"provider create {ISSUER} --audience sts.amazonaws.com",
        "CreateOpenIDConnectProvider",
        {"url": ISSUER, "clientIDList": ["sts.amazonaws.com"]},
    ),
    (
        f"provider delete {ISSUER}",
        "DeleteOpenIDConnectProvider",
        {"openIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example.com"},
    ),
]


def records(program: Program) -> list[dict[str, Any]]:
    """All of what is recorded."""
    with program.database() as database:
        return committed(database)


def change(program: Program, command: str) -> dict[str, Any]:
    """The one record of a command that reads a policy where it needs one."""
    before = len(records(program))
    document = TRUST if command.startswith("role") else PULL
    program.run(*command.split(), stdin=document, **IMPORTED)
    (record,) = records(program)[before:]
    return record


def test_every_change_is_recorded_as_an_action_of_iam(program: Program) -> None:
    """With its parameters, and the account and region that it was made in."""
    for command, event, parameters in CHANGES:
        record = change(program, command)
        assert (record["eventSource"], record["eventName"]) == ("iam.amazonaws.com", event), command
        assert record["requestParameters"] | parameters == record["requestParameters"], command
        assert (record["recipientAccountId"], record["readOnly"]) == (ACCOUNT, False)
        assert record["awsRegion"] == program.settings.region


def test_whoever_ran_the_command_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system knows them, whatever the environment says."""
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert change(program, "user create alice")["userIdentity"] == {
        "type": "Operator",
        "principalId": f"uid:{os.getuid()}",
        "accountId": ACCOUNT,
        "userName": pwd.getpwuid(os.getuid()).pw_name,
    }


def test_what_was_made_is_told_as_cloudtrail_tells_it(program: Program) -> None:
    """Members begin with small letters; of a key the id and never the secret."""
    user = change(program, "user create alice")["responseElements"]["user"]
    assert (user["userName"], user["arn"]) == ("alice", f"arn:aws:iam::{ACCOUNT}:user/alice")
    assert user["userId"].startswith("AIDA")
    key = change(program, "key create --user alice --from-environment")["responseElements"]["accessKey"]
    assert (key["accessKeyId"], key["userName"], key["status"]) == (KEY, "alice", "Active")
    role = change(program, "role create builder --trust -")["responseElements"]["role"]
    assert role["assumeRolePolicyDocument"] == json.loads(TRUST)


def test_no_secret_is_recorded(program: Program) -> None:
    """Neither of a key that was made here, nor of one that was brought along, nor of a root's."""
    change(program, "user create alice")
    change(program, "key create --user alice --from-environment")
    made = program.json("key", "create", "--user", "alice")["AccessKey"]
    root = program.json("credentials", "create", "--account", ACCOUNT)
    last = records(program)[-1]
    assert (last["eventName"], last["responseElements"]["accessKey"]["accessKeyId"]) == (
        "CreateAccessKey",
        root["AccessKeyId"],
    )
    text = json.dumps(records(program))
    for secret in (IMPORTED["AWS_SECRET_ACCESS_KEY"], made["SecretAccessKey"], root["SecretAccessKey"]):
        assert secret not in text


def test_accounts_are_those_of_organizations(program: Program) -> None:
    """IAM has no action for them."""
    other = "111111111111"
    told = [
        (record["eventSource"], record["eventName"], record["recipientAccountId"])
        for record in (change(program, f"account {verb} {other}") for verb in ("create", "disable", "enable"))
    ]
    source = "organizations.amazonaws.com"
    events = ("CreateAccount", "DisableAccount", "EnableAccount")
    assert told == [(source, event, other) for event in events]


def test_an_account_that_is_made_for_its_key_is_recorded_before_the_key(program: Program) -> None:
    """And only then: the next key is one of an account that is there."""
    other = "111111111111"
    for _ in range(2):
        program.run("credentials", "create", "--account", other)
    made, *keys = records(program)
    assert (made["eventSource"], made["eventName"]) == ("organizations.amazonaws.com", "CreateAccount")
    assert made["responseElements"] == {"account": {"id": other, "status": "ACTIVE"}}
    assert [record["eventName"] for record in keys] == ["CreateAccessKey"] * 2
    assert {record["recipientAccountId"] for record in (made, *keys)} == {other}


def test_a_policy_that_was_lifted_is_recorded_with_its_text(program: Program) -> None:
    """As the call of ECR that it is, on the registry's region; who looks for the repository finds it."""
    text = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:*"}]}'
    with program.database() as database:
        write = database.write_now
        write(create_repository, trusted(), REGISTRY, APP)
        write(resource_policies.set_repository_policy, trusted(), REGISTRY, APP, text, is_forced=True)
    record = change(program, f"policy lift --repository {APP}")
    assert (record["eventSource"], record["eventName"]) == ("ecr.amazonaws.com", "DeleteRepositoryPolicy")
    assert record["requestParameters"] == {"registryId": ACCOUNT, "repositoryName": APP}
    arn = f"arn:aws:ecr:{program.settings.region}:{ACCOUNT}:repository/{APP}"
    assert record["resources"] == [{"ARN": arn, "accountId": ACCOUNT}]
    assert "ecr:*" in record["responseElements"]["policyText"]


def test_a_change_and_its_record_are_made_together_or_not_at_all(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused command leaves no record, and one whose record cannot be kept changes nothing."""
    program.refusal("user", "delete", "nobody")
    assert records(program) == []

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "add_record", fail)
    with program.database() as database:
        before = all_rows(database)
    assert "the disk is full" in program.refusal("user", "create", "alice")
    with program.database() as database:
        assert all_rows(database) == before


def test_no_command_writes_by_another_way() -> None:
    """``Work.write`` takes what is recorded before anything else, and all commands call it ``work.write``."""
    others = [
        (module.name, ast.unparse(node))
        for module in modules("src/moorage/cli")
        for node in ast.walk(module.tree)
        if writes(node)
    ]
    assert others == [("src/moorage/cli/desk.py", "recording.change_now")]


def writes(node: ast.AST) -> bool:
    """Whether it stands for a way of changing the database, other than ``Work.write``."""
    match node:
        case ast.Attribute(value=ast.Name("work"), attr="write"):
            return False
        case ast.Attribute(attr="add_root_key") | ast.Name("add_root_key") | ast.alias("add_root_key"):
            return True
        case ast.Attribute(attr=name):
            return name in {"write", "write_now", "change", "change_now", "recorded"}
    return False


@pytest.mark.parametrize(
    "text", ["desk.database.write(f)", "database.write_now", "from moorage.wiring import add_root_key"]
)
def test_other_ways_of_writing_are_recognized(text: str) -> None:
    """The test above would find them."""
    assert any(writes(node) for node in ast.walk(ast.parse(text)))
