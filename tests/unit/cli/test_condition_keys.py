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


# --- Given by --context --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("ImageTag=v1", "there is no condition key 'ImageTag'; did you mean ecr:ImageTag"),
        ("ecr:ResourcesTag/team=a", "did you mean ecr:ResourceTag/team"),
        ("aws:PrincipalOrgID=o-1", "there is no condition key 'aws:PrincipalOrgID'"),
        ("aws:username=bob", "--context aws:username: who asks is said by --principal"),
        ("aws:SourceIp=300.1.1.1", "--context aws:SourceIp: '300.1.1.1' is no IP address"),
        ("aws:SourceIp=10.0.0.0/8", "is no IP address"),
        ("aws:SecureTransport=yes", "is no true or false"),
        ("aws:CurrentTime=yesterday", "is no time"),
        ("aws:EpochTime=now", "is no number of seconds"),
        ("ecr:ImageTag=v 1", "is no tag"),
        ("ecr:ImageDigest=sha256:abc", "is no digest"),
    ],
)
def test_what_no_request_could_have_is_refused(program: Program, given: str, sentence: str) -> None:
    """It would change nothing, and look as if it had been judged."""
    assert sentence in program.misuse(*ASKED, "ecr:PutImage", "--context", given)


def test_a_key_that_is_given_twice_is_refused(program: Program) -> None:
    """One of the values would be lost."""
    twice = ("--context", "ecr:ImageTag=v1", "--context", "ECR:imagetag=v2")
    assert "is given twice" in program.misuse(*ASKED, "ecr:PutImage", *twice)


@pytest.mark.parametrize(
    "given",
    [
        "AWS:sourceip=2001:db8::1",
        "aws:SecureTransport=False",
        "aws:CurrentTime=2026-05-28T20:26:40Z",
        "aws:EpochTime=1779999999",
        "aws:ResourceTag/team=",
        "ecr:ImageTag=v1",
        f"ecr:ImageDigest=sha256:{'a' * 64}",
        "aws:UserAgent=docker/27",
    ],
)
def test_what_a_request_could_have_is_taken(program: Program, given: str) -> None:
    """Keys in letters of any size."""
    assert program.run(*ASKED, "ecr:ListImages", "--context", given).startswith("denied: ")


# --- Not given -----------------------------------------------------------------------------------------------


def _put(program: Program, condition: dict[str, object], effect: str = "Allow") -> None:
    """A policy of alice about lists, with this condition."""
    text = allow("ecr:ListImages", Effect=effect, Condition=condition)
    program.run("policy", "put", "own", "--user", "alice", "--document", "-", stdin=text)


INSIDE: dict[str, object] = {"aws:SourceIp": "10.0.0.0/8"}
NOTE = "  note: not given: aws:SourceIp; every real request has it, so it may be judged otherwise (--context)"


def test_an_address_that_is_asked_for_and_not_given_is_noted(program: Program) -> None:
    """A request always comes from one; the note is gone with it."""
    _put(program, {"IpAddress": INSIDE})
    said = program.run(*ASKED, "ecr:ListImages").splitlines()
    assert (said[0][:8], said[-1]) == ("denied: ", NOTE)
    assert program.json(*ASKED, "ecr:ListImages")["Simulation"]["NotGiven"] == ["aws:SourceIp"]
    given = (*ASKED, "ecr:ListImages", "--context", "aws:SourceIp=10.1.1.1")
    assert program.run(*given).startswith("allowed: ")
    assert "note:" not in program.run(*given)
    assert program.json(*given)["Simulation"]["NotGiven"] == []


def test_a_deny_that_applies_for_want_of_an_address_is_noted(program: Program) -> None:
    """The server would not deny it inside."""
    _put(program, {"NotIpAddress": INSIDE}, effect="Deny")
    assert program.run(*ASKED, "ecr:ListImages").splitlines()[-1] == NOTE


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        ("ecr:DescribeImages", {"IpAddress": INSIDE}),
        ("ecr:ListImages", {"IpAddress": INSIDE, "Bool": {"aws:SecureTransport": "false"}}),
        ("ecr:ListImages", {"IpAddress": INSIDE, "StringEquals": {"aws:NoSuch": "a"}}),
        ("ecr:ListImages", {"StringEquals": {"ecr:ImageTag": "v1"}}),
    ],
)
def test_an_address_that_changes_nothing_is_not_noted(
    program: Program, action: str, condition: dict[str, object]
) -> None:
    """Another action, another condition that is not met, a key that requests need not have."""
    text = allow("ecr:ListImages", Condition=condition)
    program.invoke("policy", "put", "own", "--user", "alice", "--document", "-", stdin=text)
    assert "note:" not in program.run(*ASKED, action)
