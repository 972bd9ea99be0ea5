"""``moorage key``, ``moorage policy`` and ``moorage provider``."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage import wiring
from moorage.cli import identities
from moorage.cli.main import application
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import CredentialsUnknown
from moorage.domain.names import RepositoryName
from moorage.services import accounts, repositories, resource_policies
from tests.support.callers import ACCOUNT, trusted
from tests.support.identities import PULL, TRUST, allow
from tests.unit.cli.identities import AWS_PULL, Program

IMPORTED = {"AWS_ACCESS_KEY_ID": "AKIABROUGHTALONG", "AWS_SECRET_ACCESS_KEY": "a-secret-that-was-brought-along"}
ISSUER = "https://ci.example.com/issuer"


@pytest.fixture(autouse=True)
def alice(program: Program) -> None:
    """A user and a role that policies can be given to."""
    program.run("user", "create", "alice")
    program.run("role", "create", "builder", "--trust", "-", stdin=TRUST)


# --- Keys ----------------------------------------------------------------------------------------------------


def test_a_new_key_is_shown_with_its_secret(program: Program) -> None:
    """In the shape of CreateAccessKey; it is alice's, and its secret is the one that is kept."""
    key = program.json("key", "create", "--user", "alice")["AccessKey"]
    assert key.keys() == {"UserName", "AccessKeyId", "Status", "CreateDate", "SecretAccessKey"}
    with wiring.office(program.settings) as desk:
        holder = desk.database.read_now(accounts.find_key_holder, key["AccessKeyId"])
        secret = desk.master_key.unseal(holder.sealed_secret, key["AccessKeyId"].encode())
    assert holder.principal_arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert secret.decode() == key["SecretAccessKey"]


def test_a_new_key_is_shown_to_a_shell_or_as_a_file(program: Program) -> None:
    """What the AWS tools read."""
    assert program.run("key", "create", "--user", "alice").startswith("[default]\naws_access_key_id = AKIA")
    exports = program.run("key", "create", "--user", "alice", "--output", "env")
    assert exports.startswith("export AWS_ACCESS_KEY_ID=AKIA")
    assert " AWS_SECRET_ACCESS_KEY=" in exports


def test_a_key_can_be_brought_along(program: Program) -> None:
    """From the environment, where it stands in no list of processes; it is not shown again."""
    text = program.run("key", "create", "--user", "alice", "--from-environment", **IMPORTED)
    assert text == "access key AKIABROUGHTALONG is alice's\n"
    listed = program.json("key", "list", "--user", "alice")["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == ["AKIABROUGHTALONG"]
    said = program.refusal("key", "create", "--user", "alice", "--from-environment", **IMPORTED)
    assert said == "moorage: The access key with name AKIABROUGHTALONG already exists.\n"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "needs AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "too-short"}, "16 to 128"),
        ({"AWS_ACCESS_KEY_ID": "two words"}, "letters, digits and underscores"),
    ],
)
def test_a_key_that_is_none_is_not_taken(program: Program, change: dict[str, str], sentence: str) -> None:
    """What is wrong is said without the secret."""
    said = program.misuse("key", "create", "--user", "alice", "--from-environment", **(IMPORTED | change))
    assert sentence in said
    assert "too-short" not in said


def test_keys_are_listed_switched_and_removed(program: Program) -> None:
    """Those of all users and of the root; that of the root has no user."""
    key_id = program.json("key", "create", "--user", "alice")["AccessKey"]["AccessKeyId"]
    listed = program.json("key", "list")["AccessKeyMetadata"]
    assert {key["AccessKeyId"]: key.get("UserName") for key in listed}[key_id] == "alice"
    assert sorted("UserName" in key for key in listed) == [False, True]
    program.run("key", "disable", key_id)
    (shown,) = program.json("key", "list", "--user", "alice")["AccessKeyMetadata"]
    assert shown["Status"] == "Inactive"
    with wiring.office(program.settings) as desk, pytest.raises(CredentialsUnknown):
        desk.database.read_now(accounts.find_key_holder, key_id)
    program.run("key", "enable", key_id)
    program.run("key", "delete", key_id)
    assert program.json("key", "list", "--user", "alice") == {"AccessKeyMetadata": []}
    assert key_id in program.refusal("key", "delete", key_id)


def test_a_user_has_so_many_keys(program: Program) -> None:
    """The refusal names the setting, which the environment can change."""
    for _ in range(2):
        program.run("key", "create", "--user", "alice")
    assert "'access_keys_per_user' of 2" in program.refusal("key", "create", "--user", "alice")
    program.run("key", "create", "--user", "alice", MOORAGE_QUOTAS__ACCESS_KEYS_PER_USER="0")


@pytest.mark.incident(12)
@pytest.mark.parametrize("output", ["text", "env", "json"])
def test_a_secret_is_printed_once_and_written_nowhere(program: Program, output: str) -> None:
    """Neither in a file of the data directory, nor by any other command."""
    program.run("key", "create", "--user", "alice", "--from-environment", **IMPORTED)
    program.run("key", "create", "--user", "alice", "--output", output)
    secret = secret_in(program.printed[-1])
    look_everywhere(program)
    printed = "".join(program.printed)
    assert (printed.count(secret), printed.count(IMPORTED["AWS_SECRET_ACCESS_KEY"])) == (1, 0)
    for file in program.settings.data_dir.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert secret.encode() not in content
            assert IMPORTED["AWS_SECRET_ACCESS_KEY"].encode() not in content


def secret_in(printed: str) -> str:
    """The secret in what ``key create`` printed, in whichever form."""
    words = printed.replace('"', " ").replace("=", " ").split()
    (secret,) = [word for word in words if len(word) == 40]
    return secret


def look_everywhere(program: Program) -> None:
    """Run every command that shows something, and some that are refused."""
    for form in ("text", "json"):
        for command in (
            ("account", "list"),
            ("account", "show", ACCOUNT),
            ("user", "list"),
            ("user", "show", "alice"),
            ("role", "list"),
            ("role", "show", "builder"),
            ("key", "list"),
            ("key", "list", "--user", "alice"),
            ("policy", "list"),
            ("policy", "list", "--user", "alice"),
            ("policy", "show", AWS_PULL),
            ("provider", "list"),
        ):
            program.run(*command, "--output", form)
    program.run("config")
    program.refusal("key", "create", "--user", "alice")
    program.refusal("key", "create", "--user", "bob", "--from-environment", **IMPORTED)
    program.refusal("key", "create", "--user", "alice", "--from-environment", **IMPORTED)


# --- Policies ------------------------------------------------------------------------------------------------


def test_a_policy_is_made_shown_replaced_and_removed(program: Program, tmp_path: Path) -> None:
    """Its text from a file or from standard input."""
    file = tmp_path / "pull.json"
    file.write_text(PULL)
    made = program.json("policy", "create", "pull", "--document", str(file), "--path", "/team/")["Policy"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/team/pull"
    assert made["PolicyId"].startswith("ANPA")
    program.run("policy", "put", "pull", "--document", "-", stdin=allow("ecr:*"))
    for reference in ("pull", made["Arn"]):
        shown = program.json("policy", "show", reference)["Policy"]
        assert shown["Document"] == json.loads(allow("ecr:*"))
    program.run("policy", "delete", "pull")
    assert "pull" in program.refusal("policy", "show", "pull")


def test_policies_of_the_account_and_of_aws_are_listed(program: Program) -> None:
    """Its own first."""
    program.run("policy", "create", "pull", "--document", "-", stdin=PULL)
    arns = [policy["Arn"] for policy in program.json("policy", "list")["Policies"]]
    assert arns[0] == f"arn:aws:iam::{ACCOUNT}:policy/pull"
    assert AWS_PULL in arns[1:]


@pytest.mark.parametrize(("flag", "name", "kind"), [("--user", "alice", "User"), ("--role", "builder", "Role")])
def test_policies_are_given_and_taken(program: Program, flag: str, name: str, kind: str) -> None:
    """Attached, inline, and a boundary."""
    program.run("policy", "create", "pull", "--document", "-", stdin=PULL)
    assert program.run("policy", "attach", "pull", flag, name) == (
        f"arn:aws:iam::{ACCOUNT}:policy/pull is attached to {kind.lower()} {name}\n"
    )
    program.run("policy", "put", "own", flag, name, "--document", "-", stdin=PULL)
    program.run("policy", "boundary", AWS_PULL, flag, name)
    shown = program.json("policy", "list", flag, name)[kind]
    assert [one["PolicyName"] for one in shown["AttachedManagedPolicies"]] == ["pull"]
    assert [one["PolicyName"] for one in shown[f"{kind}PolicyList"]] == ["own"]
    assert shown["PermissionsBoundary"]["PermissionsBoundaryArn"] == AWS_PULL
    inline = program.json("policy", "show", "own", flag, name)["Policy"]
    assert inline == {f"{kind}Name": name, "PolicyName": "own", "PolicyDocument": json.loads(PULL)}
    program.run("policy", "detach", "pull", flag, name)
    program.run("policy", "delete", "own", flag, name)
    program.run("policy", "boundary", "--none", flag, name)
    shown = program.json("policy", "list", flag, name)[kind]
    assert (shown["AttachedManagedPolicies"], shown[f"{kind}PolicyList"]) == ([], [])
    assert "PermissionsBoundary" not in shown


@pytest.mark.parametrize(
    "command",
    [
        ("attach", "pull"),
        ("attach", "pull", "--user", "alice", "--role", "builder"),
        ("detach", "pull"),
        ("boundary", "pull"),
        ("boundary", "--user", "alice"),
        ("boundary", "pull", "--none", "--user", "alice"),
        ("list", "--user", "alice", "--role", "builder"),
        ("show", "own", "--user", "alice", "--role", "builder"),
        ("create", "pull"),
    ],
)
def test_what_is_not_clear_is_not_done(program: Program, command: tuple[str, ...]) -> None:
    """Of whom it is said, and what."""
    program.misuse("policy", *command)


def test_a_policy_in_use_is_not_removed(program: Program) -> None:
    """The refusal says what is in the way."""
    program.run("policy", "create", "pull", "--document", "-", stdin=PULL)
    program.run("policy", "attach", "pull", "--user", "alice")
    assert "attached to entities" in program.refusal("policy", "delete", "pull")
    assert "must detach all policies first" in program.refusal("user", "delete", "alice")


def test_a_policy_that_lets_nobody_take_it_away_is_lifted(program: Program) -> None:
    """Of a repository and of a registry, by whoever runs the server; its text is printed."""
    locked = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:*","Resource":"*"}]}'
    name, key = RepositoryName("app"), RegistryKey(ACCOUNT, program.settings.region)
    with wiring.office(program.settings) as desk:
        write = desk.database.write_now
        write(repositories.create_repository, trusted(), key, name)
        write(resource_policies.set_repository_policy, trusted(), key, name, locked, is_forced=True)
        write(resource_policies.put_registry_policy, trusted(), key, locked)
    assert '"Effect" : "Deny"' in program.run("policy", "lift", "--repository", "app")
    assert '"Effect" : "Deny"' in program.run("policy", "lift", "--registry")
    assert "policy does not exist" in program.refusal("policy", "lift", "--repository", "app").lower()
    assert "policy does not exist" in program.refusal("policy", "lift", "--registry").lower()
    assert "does not exist" in program.refusal("policy", "lift", "--repository", "absent")


def test_a_text_that_is_no_policy_is_refused(program: Program) -> None:
    """With what is wrong with it."""
    said = program.refusal("policy", "create", "pull", "--document", "-", stdin="{")
    assert said.startswith("moorage: The policy is malformed: ")
    assert "2048 characters" in program.refusal(
        *("policy", "put", "own", "--user", "alice", "--document", "-"), stdin=allow("ecr:" + "x" * 2048)
    )


# --- Providers -----------------------------------------------------------------------------------------------


def test_providers_are_made_listed_and_removed(program: Program) -> None:
    """In the shapes of the IAM API."""
    made = program.json("provider", "create", ISSUER, "--audience", "sts.amazonaws.com", "--audience", "b")
    provider = made["OpenIDConnectProvider"]
    assert provider["Arn"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example.com/issuer"
    assert (provider["Url"], provider["ClientIDList"]) == ("ci.example.com/issuer", ["sts.amazonaws.com", "b"])
    assert program.json("provider", "list") == {"OpenIDConnectProviderList": [provider]}
    assert "already exists" in program.refusal("provider", "create", ISSUER, "--audience", "b")
    program.run("provider", "delete", ISSUER)
    assert program.json("provider", "list") == {"OpenIDConnectProviderList": []}


def test_an_issuer_is_reached_by_https(program: Program) -> None:
    """Anybody between could sign what they like otherwise."""
    assert "https://" in program.refusal("provider", "create", "http://ci.example.com", "--audience", "b")
    assert "--audience" in program.misuse("provider", "create", ISSUER)


# --- Help ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", identities.GROUPS)
def test_the_usage_of_each_command_names_what_it_needs_as_it_is_typed(program: Program, name: str) -> None:
    """Without braces around it, and with three dots at most."""
    for command in (made.name for made in identities.GROUPS[name].registered_commands):
        assert command is not None
        said = CliRunner().invoke(application, [name, command, "--help"]).stdout
        usage = said.partition(f"moorage {name} {command} ")[2].partition("\n")[0]
        assert usage.startswith("[OPTIONS]")
        assert not re.search(r"[{}]|[.]{4}", usage)
    usage = CliRunner().invoke(application, ["user", "tag", "--help"]).stdout
    assert "moorage user tag [OPTIONS] NAME KEY=VALUE..." in usage
