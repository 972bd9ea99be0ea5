"""What the commands say of condition keys that there are not."""

import json

import pytest

from moorage.services.repositories import create_repository
from moorage.services.resource_policies import set_repository_policy
from tests.support.callers import APP, REGISTRY, trusted
from tests.support.identities import allow
from tests.unit.cli.identities import Program

MISTYPED = {"StringLike": {"ecr:ImageTags": "v*"}}
ASKED = ("policy", "simulate", "--principal", "user/alice", "--resource", "team/app", "--action")


@pytest.fixture(autouse=True)
def alice(program: Program) -> None:
    """A user, and the repository with a policy whose condition key is mistyped."""
    statements = [
        {"Sid": sid, "Effect": effect, "Principal": "*", "Action": action, "Condition": MISTYPED}
        for sid, effect, action in (("Pull", "Allow", "ecr:BatchGetImage"), ("Keep", "Deny", "ecr:PutImage"))
    ]
    with program.database() as database:
        database.write_now(create_repository, trusted(), REGISTRY, APP)
        text = json.dumps({"Version": "2012-10-17", "Statement": statements})
        database.write_now(set_repository_policy, trusted(), REGISTRY, APP, text, is_forced=True)
    program.run("user", "create", "alice")


def test_an_allow_on_an_unknown_key_says_why_it_does_not_apply(program: Program) -> None:
    """It could not be met by any value."""
    assert program.run(*ASKED, "ecr:BatchGetImage", "--context", "ecr:ImageTag=v1").splitlines()[2] == (
        "  resource-based policy repository, Allow Pull: does not apply: a condition is not met (StringLike "
        "ecr:ImageTags); there is no such condition key: ecr:ImageTags cannot be judged, so the Allow does not"
    )


def test_a_deny_on_an_unknown_key_says_why_it_applies(program: Program) -> None:
    """To every request, whatever its tag."""
    assert program.run(*ASKED, "ecr:PutImage", "--context", "ecr:ImageTag=dev").splitlines()[-1] == (
        "  resource-based policy repository, Deny Keep: applies; there is no such condition key: ecr:ImageTags "
        "cannot be judged, so the Deny applies"
    )


def test_programs_are_told_of_unknown_keys_where_they_decide(program: Program) -> None:
    """A statement about another action does not rest on them."""
    found = program.json(*ASKED, "ecr:PutImage")["Simulation"]["Statements"]
    assert [one["UnknownConditionKeys"] for one in found] == [[], ["ecr:ImageTags"]]


@pytest.mark.parametrize(
    "command",
    [
        ("policy", "create", "mine", "--document", "-"),
        ("policy", "put", "mine", "--document", "-", "--user", "alice"),
        ("role", "create", "builder", "--trust", "-"),
    ],
)
def test_commands_that_take_a_policy_note_its_unknown_keys(program: Program, command: tuple[str, ...]) -> None:
    """On standard error, and the policy is taken."""
    extra = {"Principal": "*"} if command[0] == "role" else {"Resource": "*"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": MISTYPED} | extra
    result = program.invoke(*command, stdin=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert result.exit_code == 0
    assert result.stderr == (
        "note: there is no condition key 'ecr:ImageTags': it cannot be judged, so an Allow that asks for it never "
        "applies and a Deny does; did you mean ecr:ImageTag or ecr:ImageDigest?\n"
    )


def test_an_unknown_key_of_a_tag_is_told_with_its_family(program: Program) -> None:
    """What follows the stroke is anybody's own."""
    text = allow("ecr:*", Condition={"StringEquals": {"aws:ResourcesTag/team": "a"}})
    result = program.invoke("policy", "create", "mine", "--document", "-", stdin=text)
    assert "did you mean aws:ResourceTag/team" in result.stderr


def test_a_policy_with_known_keys_is_taken_without_a_note(program: Program) -> None:
    """In letters of any size."""
    program.run(
        *("policy", "create", "mine", "--document", "-"),
        stdin=allow("ecr:*", Condition={"StringEquals": {"AWS:resourcetag/team": "a"}}),
    )
