"""Policies, principals and requests made up from a small vocabulary, so that they often meet.

A plain generator of random numbers draws them, many for each seed: they are larger than what hypothesis draws well.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from moorage.rules.policy.decision import Attached, Policies
from moorage.rules.policy.document import Kind, parse
from moorage.rules.policy.request import ANONYMOUS, Principal, PrincipalKind, Request
from tests.unit.rules.policy.asked import ALICE, BOB, OURS, PULL, REPOSITORY, ROOT, SESSION, THEIRS
from tests.unit.rules.policy.reference import Json, Question

OTHER = f"arn:aws:ecr:eu-central-1:{OURS}:repository/app/api"
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

_ORDERS = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
#: By the family of an operator: the keys it is used on, its operators, the values of policies.
FAMILIES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "String": (
        ["aws:UserAgent", "aws:PrincipalTag/team", "ecr:ImageTag", "aws:TagKeys", "aws:SourceVpc"],
        ["Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike"],
        ["app", "APP", "a*", "?pp", "*", "env", "${*}", "a${?}p", "${aws:PrincipalTag/team}",
         "${aws:username, 'nobody'}", "${ aws:useragent }"],
    ),
    "Arn": (
        ["aws:PrincipalArn"],
        ["Equals", "NotEquals", "Like", "NotLike"],
        ["arn:aws:iam::*:user/*", "arn:aws:iam::${aws:PrincipalAccount}:role/*", SESSION.role_arn, ALICE.arn,
         "arn:aws:iam::*:user/*/${aws:username}", "arn:aws:iam::*:${aws:useragent, 'role/deploy'}"],
    ),
    "Numeric": (["aws:EpochTime"], _ORDERS, ["1767225600", "1767225601", "5.5"]),
    "Date": (["aws:CurrentTime"], _ORDERS, ["2026-01-01T00:00:00Z", "1767225600", "2026-06-01T00:00:00+02:00"]),
}  # fmt: skip
_OTHER_CONDITIONS: list[Json] = [
    {"Bool": {"aws:SecureTransport": "true"}},
    {"BoolIfExists": {"aws:SecureTransport": "false"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.1"]}},
    {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}},
    {"Null": {"aws:username": "true"}},
    {"Null": {"aws:TagKeys": ["false"]}, "StringEquals": {"aws:PrincipalType": "User"}},
]
_PATTERNS = [
    "*",
    REPOSITORY,
    "arn:aws:ecr:*:*:repository/app/*",
    "arn:aws:ecr:eu-central-1",
    "arn:aws:ecr",
    "arn:aws:ecr:*:*/app/*",
    "arn:aws:ecr:*:${aws:PrincipalAccount}:repository/app/???",
    "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*",
    "arn:aws:ecr:*:*:repository/${aws:useragent, 'app'}/web",
]
_ACTIONS = ["ecr:*", "*", "ecr:BatchGet*", PULL.upper(), "ecr:Put?mage", "ecr:Get*"]
_NAMES = [OURS, f"arn:aws:iam::{OURS}:root", THEIRS, ALICE.arn, BOB.arn, SESSION.arn, SESSION.role_arn, "*"]
#: The values that a request may have for a key; None for not having it.
_CONTEXT: dict[str, list[list[str] | None]] = {
    "aws:securetransport": [["true"]],
    "aws:sourceip": [["10.1.2.3"], ["192.0.2.1"], ["::1"]],
    "aws:useragent": [None, ["app"], ["*"], ["APP"], ["user/team/alice"]],
    "aws:principaltag/team": [None, ["app"], ["nobody"]],
    "ecr:imagetag": [None, ["app"], ["a*"], ["env"]],
    "aws:tagkeys": [None, [], ["app"], ["env", "app"], ["APP", "env"]],
    "aws:epochtime": [None, ["1767225600"], ["7"]],
    "aws:currenttime": [None, ["2026-01-01T00:00:00Z"], ["2026-05-31T22:00:00Z"]],
}

#: What the slow evaluator is told of each principal: its names, and what the condition keys say.
FACTS: dict[Principal, tuple[dict[str, str], dict[str, list[str]]]] = {
    ROOT: (
        {"account": OURS, "root": OURS},
        {"aws:principalarn": [ROOT.arn], "aws:principaltype": ["Account"], "aws:userid": [OURS]},
    ),
    ALICE: (
        {"account": OURS, "user": ALICE.arn},
        {"aws:principalarn": [ALICE.arn], "aws:principaltype": ["User"], "aws:username": ["alice"]},
    ),
    BOB: (
        {"account": THEIRS, "user": BOB.arn},
        {"aws:principalarn": [BOB.arn], "aws:principaltype": ["User"], "aws:username": ["bob"]},
    ),
    SESSION: (
        {"account": OURS, "session": SESSION.arn, "role": SESSION.role_arn},
        {"aws:principalarn": [SESSION.role_arn], "aws:principaltype": ["AssumedRole"]},
    ),
    ANONYMOUS: ({}, {"aws:principaltype": ["Anonymous"]}),
}


@dataclass(frozen=True)
class Case:
    """One question in the words of the slow evaluator, and the same in those of the engine."""

    question: Question
    request: Request
    policies: Policies


def make_up(random: Random) -> Case:
    """One case."""
    who = random.choice([ALICE, ALICE, ALICE, SESSION, SESSION, SESSION, BOB, BOB, ROOT, ANONYMOUS])
    names, about = FACTS[who]
    chosen = {key: random.choice(values) for key, values in _CONTEXT.items()}
    context = {key: values for key, values in chosen.items() if values is not None}
    has_own = who.kind in {PrincipalKind.USER, PrincipalKind.SESSION}
    identity = [_own(random) for _ in range(random.randint(1, 2))] if has_own else []
    boundary = _own(random) if has_own and random.random() < 0.3 else None
    session = [_own(random)] if who is SESSION and random.random() < 0.4 else []
    resource = _policy(random, is_of_resource=True, has_resource=False) if random.random() < 0.6 else None
    registry = _policy(random, is_of_resource=True, has_resource=True) if random.random() < 0.3 else None
    action = random.choice([PULL, PULL, PULL, "ecr:PutImage", "ecr:GetAuthorizationToken"])
    arn = "*" if action == "ecr:GetAuthorizationToken" else random.choice([REPOSITORY, REPOSITORY, OTHER])
    known = context | about | ({"aws:principalaccount": [names["account"]]} if names else {})
    resources = [policy for policy in (resource, registry) if policy]
    return Case(
        Question(names, known, action, arn, OURS, identity, boundary, session, resources),
        Request(who, action, arn, OURS, {key: tuple(values) for key, values in context.items()}),
        Policies(
            tuple(_attached(one, Kind.IDENTITY) for one in identity),
            _attached(boundary, Kind.IDENTITY) if boundary else None,
            tuple(_attached(one, Kind.IDENTITY) for one in session),
            _attached(resource, Kind.REPOSITORY) if resource else None,
            _attached(registry, Kind.REGISTRY) if registry else None,
        ),
    )


def _attached(policy: Json, kind: Kind) -> Attached:
    """Each under a name of its own, that it is found again by."""
    text = json.dumps(policy)
    return Attached(f"{kind.value} {text}", parse(text, kind))


def _own(random: Random) -> Json:
    if random.random() < 0.4:
        return EVERYTHING
    return _policy(random, is_of_resource=False, has_resource=True)


def _policy(random: Random, *, is_of_resource: bool, has_resource: bool) -> Json:
    statements = []
    for _ in range(random.randint(1, 3)):
        statement: Json = {"Effect": "Deny" if random.random() < 0.15 else "Allow"}
        statement |= _either(random, "Action", _some(random, _ACTIONS))
        if is_of_resource:
            names = "*" if random.random() < 0.3 else {"AWS": _some(random, _NAMES)}
            statement |= _either(random, "Principal", names)
        if has_resource:
            statement |= _either(random, "Resource", _some(random, _PATTERNS))
        if random.random() < 0.5:
            statement["Condition"] = _condition(random)
        statements.append(statement)
    version = random.choice(["2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17"])
    return {"Version": version, "Statement": statements}


def _either(random: Random, name: str, value: object) -> Json:
    """An element; now and then its opposite."""
    return {f"Not{name}" if random.random() < 0.15 else name: value}


def _some(random: Random, values: list[str]) -> str | list[str]:
    return random.choice(values) if random.random() < 0.5 else random.sample(values, random.randint(1, 2))


def _condition(random: Random) -> Json:
    block: dict[str, Any] = dict(random.choice(_OTHER_CONDITIONS)) if random.random() < 0.3 else {}
    for _ in range(random.randint(1, 2)):
        family = random.choice([*FAMILIES])
        keys, operators, values = FAMILIES[family]
        quantifier = random.choice(["", "", "", "ForAllValues:", "ForAnyValue:"])
        operator = f"{quantifier}{family}{random.choice(operators)}{random.choice(['', '', 'IfExists'])}"
        block[operator] = {random.choice(keys): _some(random, values)}
    return block
