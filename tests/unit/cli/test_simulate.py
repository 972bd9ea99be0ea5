"""``moorage policy simulate``."""

import json

import pytest

from moorage.services.repositories import create_repository
from moorage.services.resource_policies import set_repository_policy
from tests.support.callers import ACCOUNT, APP, REGISTRY, trusted
from tests.support.identities import PULL, TRUST, allow
from tests.unit.cli.identities import Program

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/app"


@pytest.fixture(autouse=True)
def alice(program: Program) -> None:
    """A user who may pull, over TLS alone, and a role that may do nothing; and the repository."""
    with program.database() as database:
        database.write_now(create_repository, trusted(), REGISTRY, APP)
    program.run("user", "create", "alice", "--path", "/team/")
    condition = {"Bool": {"aws:SecureTransport": "true"}, "StringLike": {"ecr:ImageTag": "v*"}}
    text = allow("ecr:BatchGetImage", Condition=condition, Sid="Pull")
    program.run("policy", "put", "own", "--user", "alice", "--document", "-", stdin=text)
    program.run("role", "create", "builder", "--trust", "-", stdin=TRUST)


def simulate(program: Program, principal: str, action: str = "ecr:batchgetimage", *more: str) -> str:
    """What is said of a request for ``team/app``."""
    return program.run(
        "policy", "simulate", "--principal", principal, "--action", action, "--resource", "team/app", *more
    )


def test_what_is_allowed_is_said_with_the_statement(program: Program) -> None:
    """And how each statement came out."""
    assert simulate(program, "user/alice", "ecr:BatchGetImage", "--context", "ecr:ImageTag=v1") == (
        f"allowed: arn:aws:iam::{ACCOUNT}:user/team/alice ecr:BatchGetImage on {ARN}\n"
        "  allowed by an identity-based policy: own, statement Pull\n"
        "  identity-based policy own, Allow Pull: applies\n"
    )


def test_what_is_denied_is_said_with_what_is_missing(program: Program) -> None:
    """The first condition that is not met."""
    said = simulate(program, f"arn:aws:iam::{ACCOUNT}:user/team/alice")
    assert said.startswith("denied: ")
    assert "because no identity-based policy allows the ecr:BatchGetImage action" in said
    assert "Allow Pull: does not apply: a condition is not met (StringLike ecr:ImageTag)" in said


@pytest.mark.parametrize(
    ("principal", "who", "decision"),
    [
        ("root", f"arn:aws:iam::{ACCOUNT}:root", "allowed"),
        ("role/builder", f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/simulation", "denied"),
        (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/x",
            f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/simulation",
            "denied",
        ),
        ("anonymous", "anonymous", "denied"),
    ],
)
def test_everybody_can_be_asked_about(program: Program, principal: str, who: str, decision: str) -> None:
    """Roles in a session."""
    assert simulate(program, principal).startswith(f"{decision}: {who} ecr:BatchGetImage on {ARN}\n")


def test_a_session_has_what_its_role_has(program: Program) -> None:
    """Its policies, once it has some."""
    program.run("policy", "put", "pull", "--role", "builder", "--document", "-", stdin=PULL)
    assert simulate(program, "role/builder").startswith("allowed: ")


def test_programs_get_the_same_as_json(program: Program) -> None:
    """One object."""
    said = program.json(
        "policy", "simulate", "--principal", "user/alice", "--action", "ecr:GetAuthorizationToken"
    )["Simulation"]
    assert (said["Decision"], said["Resource"], said["Statement"]) == ("denied", "*", None)
    assert said["Statements"] == [
        {
            "Layer": "identity-based policy",
            "Policy": "own",
            "Statement": "Pull",
            "Effect": "Allow",
            "Applies": False,
            "Obstacle": "another action",
            "UnmetConditions": [],
            "UnknownConditionKeys": [],
        }
    ]


def test_where_pulls_without_credentials_are_off_they_are_denied(program: Program) -> None:
    """Whatever a policy allows; it says whose setting that is."""
    everybody = '{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}'
    with program.database() as database:
        database.write_now(set_repository_policy, trusted(), REGISTRY, APP, everybody, is_forced=False)
    assert simulate(program, "anonymous").splitlines()[1:] == [
        "  because pulls without credentials are off: anonymous_pull, as this command finds it set",
        "  resource-based policy repository, Allow #1: applies",
    ]
    found = json.loads(simulate(program, "anonymous", "ecr:BatchGetImage", "--output", "json"))["Simulation"]
    assert (found["Decision"], found["Policy"], found["Statement"]) == ("denied", None, None)
    program.settings.data_dir.joinpath("moorage.toml").write_text("anonymous_pull = true\n")
    config = ("--config", str(program.settings.data_dir / "moorage.toml"))
    assert simulate(program, "anonymous", "ecr:BatchGetImage", *config).startswith("allowed: ")


def test_a_repository_that_does_not_exist_is_told(program: Program) -> None:
    """It is judged all the same: it could be created; whoever mistyped it finds out."""
    asked = ("policy", "simulate", "--principal", "root", "--action", "ecr:PutImage", "--resource")
    said = program.run(*asked, "team/apps").splitlines()
    assert said[0].startswith("allowed: ")
    assert said[-1] == "  note: there is no such repository, so it has neither a policy nor tags"
    for resource, exists in (("team/apps", False), (ARN, True), ("*", None)):
        assert program.json(*asked, resource)["Simulation"]["ResourceExists"] is exists
    assert "note:" not in program.run(*asked, ARN) + program.run(*asked, "*")


def test_a_condition_key_is_typed_with_its_value(program: Program) -> None:
    """The sentence names what was typed wrongly."""
    said = program.misuse(
        "policy", "simulate", *["--principal", "root", "--action", "ecr:PutImage", "--context", "foo"]
    )
    assert "a condition key is typed as KEY=VALUE" in said
    assert "a tag is typed as KEY=VALUE" in program.misuse("user", "tag", "alice", "foo")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--principal", "user/nobody", "--action", "ecr:PutImage"), "user/nobody"),
        (("--principal", "arn:nonsense", "--action", "ecr:PutImage"), "arn:nonsense"),
        (("--principal", "root", "--action", "s3:GetObject"), "There is no action 's3:GetObject' of ECR\n"),
        (
            ("--principal", "root", "--action", "ecr:PutImge"),
            "There is no action 'ecr:PutImge' of ECR; did you mean ecr:PutImage",
        ),
        (("--principal", "root", "--action", "BatchGetImage"), "did you mean ecr:BatchGetImage"),
        (
            ("--principal", "root", "--action", "sts:AssumeRole"),
            "who may assume a role, which trust policies say, is not simulated",
        ),
        (
            ("--principal", "root", "--action", "ecr:PutImage", "--resource", "UPPER"),
            "neither a repository nor *",
        ),
        (
            ("--principal", "root", "--action", "ecr:PutImage", "--resource", "arn:aws:s3:::x"),
            "neither a repository",
        ),
    ],
)
def test_what_cannot_be_understood_is_said(program: Program, arguments: tuple[str, ...], sentence: str) -> None:
    """In one sentence."""
    assert sentence in program.refusal("policy", "simulate", *arguments)
