"""Who asks in the matrix, and the policies that they meet there."""

from typing import Any

from tests.access.evaluating import Json, Who, World

OURS, THEIRS = "012345678910", "999999999999"
REGION = "us-west-2"
APP, LIB, GONE = "app/web", "lib/base", "gone/away"


def arn(name: str) -> str:
    """Of a repository."""
    return f"arn:aws:ecr:{REGION}:{OURS}:repository/{name}"


def policy(*statements: Json) -> Json:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(*actions: str, **members: Any) -> Json:
    """A statement; on everything unless it says otherwise."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | members


def deny(*actions: str, **members: Any) -> Json:
    """The opposite of ``allow``."""
    return allow(*actions, **members) | {"Effect": "Deny"}


PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
PUSH = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")

EVERYTHING = policy(allow("*"))


def _user(name: str, *identity: Json, account: str = OURS, **more: Any) -> Who:
    names = {"account": account, "user": f"arn:aws:iam::{account}:user/{name}"}
    keys = {
        "aws:principalarn": [names["user"]],
        "aws:principalaccount": [account],
        "aws:principaltype": ["User"],
        "aws:username": [name],
    }
    return Who(name, names, keys, list(identity), **more)


def _root(name: str, account: str) -> Who:
    keys = {
        "aws:principalarn": [f"arn:aws:iam::{account}:root"],
        "aws:principalaccount": [account],
        "aws:principaltype": ["Account"],
        "aws:userid": [account],
    }
    return Who(name, {"account": account, "root": account}, keys)


def _session(name: str, role: str, *identity: Json, session: list[Json], account: str = OURS) -> Who:
    names = {
        "account": account,
        "session": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        "role": f"arn:aws:iam::{account}:role/{role}",
    }
    keys = {
        "aws:principalarn": [names["role"]],
        "aws:principalaccount": [account],
        "aws:principaltype": ["AssumedRole"],
    }
    return Who(name, names, keys, list(identity), session=session)


ANONYMOUS = Who("anonymous", {}, {"aws:principaltype": ["Anonymous"], "aws:userid": ["anonymous"]})

PEOPLE = [
    _root("root", OURS),
    _root("stranger", THEIRS),
    _user("nobody"),
    _user("admin", EVERYTHING),
    _user("team", policy(allow("ecr:*", Resource=arn("app/*")), allow("ecr:GetAuthorizationToken"))),
    _user("puller", policy(allow(*PULL, "ecr:List*", "ecr:Describe*", "ecr:GetAuthorizationToken"))),
    _user("careful", EVERYTHING, policy(deny("ecr:Put*", "ecr:*Delete*"))),
    _user("bounded", EVERYTHING, boundary=policy(allow(*PULL, *PUSH, "ecr:Get*"))),
    _user(
        "tagger",
        policy(
            allow(*PULL, *PUSH, "ecr:List*"),
            deny("ecr:PutImage", "ecr:BatchDeleteImage", Condition={"StringLike": {"ecr:ImageTag": "v*"}}),
            allow("ecr:*TagResource", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["note"]}}),
        ),
    ),
    _user(
        "visitor",
        policy(
            allow("ecr:*", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
            deny("ecr:Put*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
        ),
    ),
    _user("guest", EVERYTHING, account=THEIRS),
    _user("switched-off", EVERYTHING, is_somebody=False),
    _session("ci", "deploy", EVERYTHING, session=[]),
    _session("narrow", "deploy", EVERYTHING, session=[policy(allow(*PULL, "ecr:Describe*"))]),
    _session("idle", "empty", session=[EVERYTHING]),
    # Its role is called as one of ours that may nothing.
    _session("away", "empty", EVERYTHING, session=[], account=THEIRS),
    ANONYMOUS,
]


def _to(principal: object, statement: Json) -> Json:
    return {name: value for name, value in statement.items() if name != "Resource"} | {"Principal": principal}


def _of_registry(principal: object, statement: Json) -> Json:
    return statement | {"Principal": principal}


_STRANGERS = {"AWS": [THEIRS]}
_GUEST = {"AWS": f"arn:aws:iam::{THEIRS}:user/guest"}
_NOBODY = {"AWS": f"arn:aws:iam::{OURS}:user/nobody"}

WORLDS = [
    World("no policies"),
    World("everybody may pull", {APP: policy(_to("*", allow(*PULL, "ecr:ListImages")))}),
    World("an account may do all", {APP: policy(_to(_STRANGERS, allow("ecr:*"))), LIB: policy()}),
    World(
        "somebody may push, and not delete",
        {APP: policy(_to(_NOBODY, allow(*PUSH)), _to(_GUEST, allow("ecr:*")), _to("*", deny("ecr:*Delete*")))},
    ),
    World(
        "a role may, its account may, a session may",
        {
            APP: policy(
                _to({"AWS": f"arn:aws:iam::{OURS}:role/empty"}, allow(*PULL)),
                _to({"AWS": OURS}, allow("ecr:ListImages")),
                _to({"AWS": f"arn:aws:sts::{OURS}:assumed-role/deploy/narrow"}, allow(*PUSH)),
            )
        },
    ),
    World(
        "nobody but one may",
        {APP: policy({"Effect": "Deny", "NotPrincipal": {"AWS": [OURS, f"arn:aws:iam::{OURS}:user/admin"]}, "Action": "ecr:*"})},
    ),
    World(
        "tags and encryption decide",
        {
            APP: policy(
                _to("*", allow("ecr:*", Condition={"StringEquals": {"ecr:ResourceTag/team": "web"}})),
                _to("*", deny("ecr:PutImage", Condition={"Bool": {"aws:SecureTransport": "false"}})),
            )
        },
    ),
    World(
        "the registry opens itself",
        {LIB: policy(_to("*", deny("ecr:ListImages")))},
        policy(_of_registry(_STRANGERS, allow("ecr:*")), _of_registry("*", allow(*PULL))),
    ),
    World(
        "the registry closes itself",
        {APP: policy(_to("*", allow("ecr:*")))},
        policy(_of_registry("*", deny("ecr:Put*", "ecr:Get*", Resource=[arn("app/*")]))),
    ),
    World(
        "the registry says less",
        {},
        policy(_of_registry("*", deny("ecr:*")), _of_registry(_STRANGERS, allow("ecr:CreateRepository"))),
        is_narrow=True,
    ),
]  # fmt: skip
