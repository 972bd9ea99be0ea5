"""``moorage account``, ``moorage user`` and ``moorage role``."""

import json
from pathlib import Path

import pytest

from moorage.domain.errors import AccountSwitchedOff
from moorage.metadata.transaction import Transaction
from moorage.services import accounts, principals
from tests.support.callers import ACCOUNT
from tests.support.database import execute
from tests.support.identities import PULL, TRUST
from tests.unit.cli.identities import AWS_PULL, Program

OTHER = "111111111111"


def root_key(program: Program) -> str:
    """The id of the root's key."""
    return str(program.json("key", "list")["AccessKeyMetadata"][0]["AccessKeyId"])


# --- Accounts ------------------------------------------------------------------------------------------------


def test_accounts_are_made_and_listed(program: Program) -> None:
    """With a name or without."""
    made = program.json("account", "create", OTHER, "--name", "The team")["Account"]
    assert (made["Id"], made["Name"], made["Status"]) == (OTHER, "The team", "ACTIVE")
    assert program.json("account", "show", OTHER) == {"Account": made}
    listed = program.json("account", "list")["Accounts"]
    assert [(account["Id"], account["Name"]) for account in listed] == [(ACCOUNT, None), (OTHER, "The team")]
    assert program.run("account", "list").splitlines()[0].split() == ["Id", "Name", "Status", "CreateDate"]


def test_an_account_is_switched_off_and_on(program: Program) -> None:
    """Its root's key opens nothing meanwhile."""
    key = root_key(program)
    program.run("account", "disable", ACCOUNT)
    assert program.json("account", "show", ACCOUNT)["Account"]["Status"] == "SUSPENDED"
    with program.database() as database, pytest.raises(AccountSwitchedOff):
        database.read_now(accounts.find_key_holder, key)
    program.run("account", "enable", ACCOUNT)
    with program.database() as database:
        assert database.read_now(accounts.find_key_holder, key).account_id == ACCOUNT


def test_an_account_is_made_once(program: Program) -> None:
    """The refusal is a sentence."""
    assert program.refusal("account", "create", ACCOUNT) == (
        f"moorage: The account with name {ACCOUNT} already exists.\n"
    )


@pytest.mark.parametrize("number", ["1", "12345678901x", "1234567890123"])
def test_an_account_has_twelve_digits(program: Program, number: str) -> None:
    """As an argument or an option."""
    assert "twelve digits" in program.misuse("account", "create", number)
    assert "twelve digits" in program.misuse("user", "list", "--account", number)


# --- Users ---------------------------------------------------------------------------------------------------


def test_a_user_is_shown_as_aws_iam_shows_it(program: Program) -> None:
    """The names and shapes of the IAM API."""
    made = program.json("user", "create", "alice", "--path", "/team/", "--tag", "team=a", "--tag", "empty=")
    user = made["User"]
    assert user.pop("UserId").startswith("AIDA")
    assert user.pop("CreateDate").endswith("+00:00")
    assert user == {
        "Path": "/team/",
        "UserName": "alice",
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/team/alice",
        "Tags": [{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "a"}],
    }


def test_a_user_is_shown_with_its_policies_and_keys(program: Program) -> None:
    """All that decides what it may do."""
    program.run("user", "create", "alice")
    program.run("policy", "attach", AWS_PULL, "--user", "alice")
    program.run("policy", "put", "own", "--user", "alice", "--document", "-", stdin=PULL)
    program.run("policy", "boundary", "AdministratorAccess", "--user", "alice")
    key = program.json("key", "create", "--user", "alice")["AccessKey"]
    user = program.json("user", "show", "alice")["User"]
    assert user["AttachedManagedPolicies"] == [
        {"PolicyName": "AmazonEC2ContainerRegistryPullOnly", "PolicyArn": AWS_PULL}
    ]
    assert user["UserPolicyList"] == [{"PolicyName": "own", "PolicyDocument": json.loads(PULL)}]
    assert user["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": "arn:aws:iam::aws:policy/AdministratorAccess",
    }
    assert [found["AccessKeyId"] for found in user["AccessKeys"]] == [key["AccessKeyId"]]
    assert "alice" in program.run("user", "show", "alice")


def test_users_are_listed(program: Program) -> None:
    """More than a page holds, each once."""
    with program.database() as database:
        for number in range(3):
            database.write_now(add_users, number * 200, 200)
    listed = program.json("user", "list")["Users"]
    assert [user["UserName"] for user in listed] == [f"user-{number:04}" for number in range(600)]
    assert len(program.run("user", "list").splitlines()) == 601


def add_users(tx: Transaction, first: int, count: int) -> None:
    """Several at once."""
    for number in range(first, first + count):
        principals.create_user(tx, ACCOUNT, f"user-{number:04}")


def test_users_of_another_account_are_others(program: Program) -> None:
    """Named by --account."""
    program.run("account", "create", OTHER)
    program.run("user", "create", "alice")
    made = program.json("user", "create", "alice", "--account", OTHER)["User"]
    assert made["Arn"] == f"arn:aws:iam::{OTHER}:user/alice"
    program.run("user", "delete", "alice", "--account", OTHER)
    assert program.json("user", "list", "--account", OTHER) == {"Users": []}
    assert len(program.json("user", "list")["Users"]) == 1


def test_the_default_account_is_that_of_the_settings(program: Program) -> None:
    """Wherever they come from."""
    program.run("account", "create", OTHER)
    made = program.json("user", "create", "alice", MOORAGE_ACCOUNT_ID=OTHER)["User"]
    assert made["Arn"].startswith(f"arn:aws:iam::{OTHER}:")


def test_tags_are_put_and_taken(program: Program) -> None:
    """Of users and of roles."""
    program.run("user", "create", "alice")
    program.run("role", "create", "builder", "--trust", "-", stdin=TRUST)
    for kind, name in (("user", "alice"), ("role", "builder")):
        program.run(kind, "tag", name, "a=1", "b=2=3")
        program.run(kind, "untag", name, "a")
        shown = program.json(kind, "show", name)[kind.capitalize()]
        assert shown["Tags"] == [{"Key": "b", "Value": "2=3"}]
        assert "KEY=VALUE" in program.misuse(kind, "tag", name, "a")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("user", "show", "bob"), "The user with name bob cannot be found."),
        (("user", "delete", "bob"), "The user with name bob cannot be found."),
        (("user", "create", "alice"), "The user with name alice already exists."),
        (("user", "create", "two words"), "The specified value for userName is invalid. "),
        (("user", "create", "carol", "--tag", "aws:a=b"), "Tag keys that begin with 'aws:' are reserved"),
        (("user", "list", "--account", OTHER), f"The account with name {OTHER} cannot be found."),
        (("role", "show", "alice"), "The role with name alice cannot be found."),
    ],
)
def test_refusals_are_sentences(program: Program, command: tuple[str, ...], sentence: str) -> None:
    """On standard error, with exit code 1."""
    program.run("user", "create", "alice")
    assert program.refusal(*command).startswith(f"moorage: {sentence}")


# --- Roles ---------------------------------------------------------------------------------------------------


def test_a_role_is_made_from_a_file(program: Program, tmp_path: Path) -> None:
    """Or from standard input, and changed afterwards."""
    file = tmp_path / "trust.json"
    file.write_text(TRUST)
    role = program.json("role", "create", "builder", "--trust", str(file), "--max-session", "7200")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/builder"
    assert role["RoleId"].startswith("AROA")
    assert (role["AssumeRolePolicyDocument"], role["MaxSessionDuration"]) == (json.loads(TRUST), 7200)
    other = TRUST.replace(":root", ":user/alice")
    program.run("role", "update", "builder", "--trust", "-", stdin=other)
    program.run("role", "update", "builder", "--max-session", "900")
    shown = program.json("role", "show", "builder")["Role"]
    assert (shown["AssumeRolePolicyDocument"], shown["MaxSessionDuration"]) == (json.loads(other), 900)
    assert [one["RoleName"] for one in program.json("role", "list")["Roles"]] == ["builder"]
    program.run("role", "delete", "builder")
    assert program.json("role", "list") == {"Roles": []}


def test_a_role_needs_a_policy_of_its_kind(program: Program) -> None:
    """What is refused is said."""
    said = program.refusal("role", "create", "builder", "--trust", "-", stdin=PULL)
    assert said.startswith("moorage: The policy is malformed: ")
    assert "--trust" in program.misuse("role", "create", "builder")
    assert "--trust and --max-session" in program.misuse("role", "update", "builder")


def test_a_file_that_cannot_be_read_is_told(program: Program, tmp_path: Path) -> None:
    """Before anything is opened."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    long = tmp_path / "long"
    long.write_bytes(b" " * (1024 * 1024 + 1))
    for place, said in (("absent", "cannot be read"), (str(binary), "not UTF-8"), (str(long), "too long")):
        assert said in program.misuse("role", "create", "builder", "--trust", place)


# --- Where there is no server --------------------------------------------------------------------------------


def test_a_directory_that_is_none_is_told(program: Program, tmp_path: Path) -> None:
    """And none is made."""
    absent = tmp_path / "absent"
    program.settings = program.settings.model_copy(update={"data_dir": absent})
    assert "start the server once" in program.refusal("user", "list")
    assert not absent.exists()


def test_a_database_of_the_version_before_is_told(program: Program) -> None:
    """With the command that brings it up to date."""
    with program.database() as database:
        execute(database, "UPDATE alembic_version SET version_num = '0001'")
    assert "moorage migrate" in program.refusal("user", "list")


def test_another_master_key_is_told(program: Program) -> None:
    """Before a key is sealed with it that no server could open."""
    program.run("user", "create", "alice")
    wrong = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    assert "master key" in program.refusal("key", "create", "--user", "alice", MOORAGE_MASTER_KEY=wrong)
