"""The decision over all policies: the cases that the IAM documentation spells out, and AWS's words for refusals."""

import json
from typing import Any

import pytest

from moorage.rules.policy.decision import Attached, Decision, Layer, Policies, decide, decide_trust
from moorage.rules.policy.document import Kind, Policy, parse
from moorage.rules.policy.explanation import explain
from moorage.rules.policy.lockout import keeps_access
from moorage.rules.policy.request import ANONYMOUS, Principal, PrincipalKind
from tests.unit.rules.policy.asked import ALICE, BOB, OURS, PULL, REPOSITORY, ROOT, SESSION, THEIRS, asked

PUT = "ecr:PutImage"


def _policy(kind: Kind, *statements: dict[str, Any]) -> Policy:
    """Statements that are Allows of pulling everything by everybody, but for what is given."""
    whole: dict[str, Any] = {"Effect": "Allow", "Action": PULL}
    if kind is not Kind.IDENTITY:
        whole["Principal"] = "*"
    if kind in {Kind.IDENTITY, Kind.REGISTRY}:
        whole["Resource"] = "*"
    return parse(json.dumps({"Version": "2012-10-17", "Statement": [whole | one for one in statements]}), kind)


def _own(*statements: dict[str, Any]) -> Attached:
    return Attached("own", _policy(Kind.IDENTITY, *statements))


def _on(*statements: dict[str, Any]) -> Attached:
    return Attached("repository", _policy(Kind.REPOSITORY, *statements))


ALLOW: dict[str, Any] = {}
DENY: dict[str, Any] = {"Effect": "Deny"}
ELSE: dict[str, Any] = {"Action": PUT}


def _to(*names: str) -> dict[str, Any]:
    return {"Principal": {"AWS": list(names)}}


NONE = "because no {} allows the ecr:BatchGetImage action"
NO_IDENTITY = NONE.format("identity-based policy")
NO_RESOURCE = NONE.format("resource-based policy")


@pytest.mark.parametrize(
    ("who", "policies", "reason"),
    [
        # Within one account either policy is enough.
        (ALICE, Policies(), NO_IDENTITY),
        (ALICE, Policies((_own(ALLOW),)), None),
        (ALICE, Policies((_own(ELSE),)), NO_IDENTITY),
        (ALICE, Policies(resource=_on(_to(ALICE.arn))), None),
        (ALICE, Policies(resource=_on(ALLOW)), None),
        (ALICE, Policies((_own(ALLOW),), resource=_on(_to(BOB.arn))), None),
        (SESSION, Policies(resource=_on(_to(SESSION.role_arn))), None),
        (SESSION, Policies(resource=_on(_to(SESSION.arn))), None),
        # The account delegates: its own policies still have to say who.
        (ALICE, Policies(resource=_on(_to(OURS))), NO_IDENTITY),
        (ALICE, Policies((_own(ALLOW),), resource=_on(_to(OURS))), None),
        # Across accounts it takes both.
        (BOB, Policies((_own(ALLOW),)), NO_RESOURCE),
        (BOB, Policies(resource=_on(_to(THEIRS))), NO_IDENTITY),
        (BOB, Policies((_own(ALLOW),), resource=_on(_to(THEIRS))), None),
        (BOB, Policies((_own(ALLOW),), resource=_on(_to(BOB.arn))), None),
        (BOB, Policies(resource=_on(_to(BOB.arn))), NO_IDENTITY),
        (BOB, Policies((_own(ALLOW),), resource=_on(_to(OURS))), NO_RESOURCE),
        # An explicit deny wins wherever it stands.
        (ALICE, Policies((_own(ALLOW, DENY),)), "with an explicit deny in an identity-based policy"),
        (ALICE, Policies((_own(ALLOW), _own(DENY))), "with an explicit deny in an identity-based policy"),
        (ALICE, Policies((_own(ALLOW),), _own(DENY)), "with an explicit deny in a permissions boundary"),
        (
            SESSION,
            Policies((_own(ALLOW),), None, (_own(ALLOW), _own(DENY))),
            "with an explicit deny in a session policy",
        ),
        (
            ALICE,
            Policies((_own(ALLOW),), resource=_on(DENY)),
            "with an explicit deny in a resource-based policy",
        ),
        (
            SESSION,
            Policies((_own(ALLOW),), _own(DENY), resource=_on(_to(SESSION.arn))),
            "with an explicit deny in a permissions boundary",
        ),
        # Boundary and session policies allow nothing by themselves, and bound what others do.
        (ALICE, Policies((), _own(ALLOW)), NO_IDENTITY),
        (ALICE, Policies((_own(ALLOW),), _own(ALLOW)), None),
        (ALICE, Policies((_own(ALLOW),), _own(ELSE)), NONE.format("permissions boundary")),
        (SESSION, Policies((_own(ALLOW),), None, (_own(ELSE),)), NONE.format("session policy")),
        (SESSION, Policies((_own(ALLOW),), None, (_own(ELSE), _own(ALLOW))), None),
        (SESSION, Policies((_own(ELSE),), None, (_own(ALLOW),)), NO_IDENTITY),
        # But not what a policy of the resource allows the user or the session itself.
        (ALICE, Policies((), _own(ELSE), resource=_on(_to(ALICE.arn))), None),
        (
            ALICE,
            Policies((), _own(ELSE), (_own(ELSE),), _on(_to(ALICE.arn))),
            NO_IDENTITY.replace("identity-based policy", "permissions boundary"),
        ),
        (ALICE, Policies((), _own(ELSE), resource=_on(ALLOW, _to(ALICE.arn))), None),
        (ALICE, Policies((), _own(ELSE), resource=_on(ALLOW)), NONE.format("permissions boundary")),
        (SESSION, Policies((), _own(ELSE), (_own(ELSE),), _on(_to(SESSION.arn))), None),
        (
            SESSION,
            Policies((), _own(ELSE), resource=_on(_to(SESSION.role_arn))),
            NONE.format("permissions boundary"),
        ),
        (
            SESSION,
            Policies((), None, (_own(ELSE),), _on(_to(SESSION.role_arn))),
            NONE.format("session policy"),
        ),
        # Across accounts they bound all.
        (
            BOB,
            Policies((_own(ALLOW),), _own(ELSE), resource=_on(_to(BOB.arn))),
            NONE.format("permissions boundary"),
        ),
        # Root may do everything in its account that no policy denies, elsewhere what it is allowed.
        (ROOT, Policies(), None),
        (ROOT, Policies(resource=_on(_to(THEIRS))), None),
        (ROOT, Policies(resource=_on(DENY)), "with an explicit deny in a resource-based policy"),
        # Whoever proves nothing may what everybody may.
        (ANONYMOUS, Policies(), NO_RESOURCE),
        (ANONYMOUS, Policies(resource=_on(ALLOW)), None),
        (ANONYMOUS, Policies(resource=_on(_to(OURS, THEIRS))), NO_RESOURCE),
        (ANONYMOUS, Policies(resource=_on(ALLOW, DENY)), "with an explicit deny in a resource-based policy"),
    ],
)
def test_who_is_allowed_what(who: Principal, policies: Policies, reason: str | None) -> None:
    """The flow charts of the documentation, with the clause of AWS's message where it ends in a refusal."""
    decision = decide(asked(who), policies)
    assert decision.is_allowed is (reason is None)
    assert reason in {None, decision.reason}


def test_root_of_another_account_needs_the_resource_to_allow() -> None:
    """What it may at home does not count here."""
    root = Principal(PrincipalKind.ROOT, f"arn:aws:iam::{THEIRS}:root", THEIRS)
    assert decide(asked(root), Policies()).reason == NO_RESOURCE
    assert decide(asked(root), Policies(resource=_on(_to(THEIRS)))).is_allowed
    assert decide(asked(ROOT), Policies()).reason == "allowed as the account's root"


def test_repository_and_registry_add_up() -> None:
    """Either allows across accounts, and a Deny of either denies."""
    registry = Attached("registry", _policy(Kind.REGISTRY, _to(BOB.arn)))
    against = Attached("registry", _policy(Kind.REGISTRY, _to(BOB.arn) | DENY))
    own = (_own(ALLOW),)
    assert decide(asked(BOB), Policies(own, registry=registry)).policy == "registry"
    assert decide(asked(BOB), Policies(own, resource=_on(ELSE), registry=registry)).is_allowed
    assert not decide(asked(BOB), Policies(own, resource=_on(ALLOW), registry=against)).is_allowed


def test_only_own_policies_let_somebody_log_in() -> None:
    """GetAuthorizationToken is never granted by a resource, but may be denied by one."""
    login = asked(ALICE, "ecr:GetAuthorizationToken", "*")
    everything = {"Action": "ecr:*"}
    registry = Attached("registry", _policy(Kind.REGISTRY, everything | _to(ALICE.arn)))
    assert not decide(login, Policies(registry=registry)).is_allowed
    assert decide(login, Policies((_own(everything),), registry=registry)).is_allowed
    against = Attached("registry", _policy(Kind.REGISTRY, everything | DENY))
    assert not decide(login, Policies((_own(everything),), registry=against)).is_allowed


def test_a_decision_names_the_statement_that_made_it() -> None:
    """By its Sid, or its place; where nothing allows there is none."""
    own = _own(ELSE, {"Sid": "Pull"}, DENY | {"Action": "ecr:Delete*"})
    allowed = decide(asked(), Policies((own,)))
    assert (allowed.policy, allowed.layer, _label(allowed)) == ("own", Layer.IDENTITY, "Pull")
    assert allowed.reason == "allowed by an identity-based policy"
    denied = decide(asked(action="ecr:DeleteRepository"), Policies((own,)))
    assert (denied.is_allowed, _label(denied)) == (False, "#3")
    missing = decide(asked(action="ecr:ListImages"), Policies((own,)))
    assert (missing.statement, missing.layer) == (None, Layer.IDENTITY)
    assert missing.reason == "because no identity-based policy allows the ecr:ListImages action"


def _label(decision: Decision) -> str:
    assert decision.statement
    return decision.statement.label


def test_every_statement_is_explained() -> None:
    """What it came to, and which of its conditions were not met."""
    conditions = {
        "StringLike": {"ecr:ImageTag": "v*"},
        "Bool": {"aws:SecureTransport": "false", "aws:Mood": "true"},
    }
    policies = Policies(
        (_own(ELSE, {"Resource": "arn:aws:s3:::x"}, {"Sid": "Tagged", "Condition": conditions}),),
        _own(ALLOW),
        (_own(ALLOW),),
        _on(DENY | _to(BOB.arn)),
    )
    request = asked()._replace(context={"ecr:imagetag": ("v1",), "aws:securetransport": ("false",)})
    assert [str(line) for line in explain(request, policies)] == [
        "identity-based policy own, Allow #1: does not apply: another action",
        "identity-based policy own, Allow #2: does not apply: another resource",
        (
            "identity-based policy own, Allow Tagged: does not apply: a condition is not met (Bool aws:Mood); "
            "there is no such condition key: aws:Mood cannot be judged, so the Allow does not"
        ),
        "permissions boundary own, Allow #1: applies",
        "session policy own, Allow #1: applies",
        "resource-based policy repository, Deny #1: does not apply: another principal",
    ]


ASSUME = {"Action": "sts:AssumeRole"}


def _trust(*statements: dict[str, Any]) -> Attached:
    return Attached("trust", _policy(Kind.TRUST, *(ASSUME | one for one in statements)))


@pytest.mark.parametrize(
    ("who", "policies", "expected"),
    [
        (ALICE, Policies(resource=_trust(_to(ALICE.arn))), "allowed by a role trust policy"),
        (ALICE, Policies((_own(ASSUME),), resource=_trust(_to(OURS))), "allowed by an identity-based policy"),
        (ALICE, Policies(resource=_trust(_to(OURS))), "because no identity-based policy allows the sts:AssumeRole action"),
        (
            ALICE,
            Policies((_own(ASSUME),), resource=_trust(_to(BOB.arn))),
            "because no role trust policy allows the sts:AssumeRole action",
        ),
        (ALICE, Policies((_own(ASSUME),)), "because no role trust policy allows the sts:AssumeRole action"),
        (BOB, Policies((_own(ASSUME),), resource=_trust(_to(THEIRS))), "allowed by a role trust policy"),
        (BOB, Policies(resource=_trust(_to(BOB.arn))), "because no identity-based policy allows the sts:AssumeRole action"),
        (
            BOB,
            Policies((_own(ASSUME),), resource=_trust(_to(OURS))),
            "because no role trust policy allows the sts:AssumeRole action",
        ),
        (
            ALICE,
            Policies((_own(ASSUME),), resource=_trust(_to(ALICE.arn), DENY)),
            "with an explicit deny in a role trust policy",
        ),
        (ROOT, Policies(resource=_trust(_to(BOB.arn))), "because no role trust policy allows the sts:AssumeRole action"),
    ],
)  # fmt: skip
def test_a_role_has_to_trust_whoever_assumes_it(who: Principal, policies: Policies, expected: str) -> None:
    """Own policies alone are never enough; named by account, they are needed as well."""
    role = asked(who, "sts:AssumeRole", SESSION.role_arn)
    decision = decide_trust(role, policies)
    assert decision.reason == expected
    assert decision.is_allowed is expected.startswith("allowed")


@pytest.mark.parametrize(
    ("who", "own", "candidate", "expected"),
    [
        (ALICE, {"Action": "ecr:*"}, _to(BOB.arn), True),
        (ALICE, {"Action": "ecr:*"}, DENY | {"Action": "ecr:*"}, False),
        (ALICE, {"Action": "ecr:*"}, DENY | {"Action": "ecr:SetRepositoryPolicy"} | _to(BOB.arn), True),
        (ALICE, ELSE, ALLOW, False),
        (ALICE, ELSE, {"Action": "ecr:Set*"} | _to(ALICE.arn), True),
        (ROOT, ELSE, DENY | {"Action": "*"}, False),
        (ROOT, ELSE, DENY | {"Action": "*"} | _to(BOB.arn), True),
    ],
)
def test_who_would_lock_himself_out(
    who: Principal, own: dict[str, Any], candidate: dict[str, Any], expected: bool
) -> None:
    """The policy that is there now does not matter, for it is replaced."""
    request = asked(who, "ecr:SetRepositoryPolicy", REPOSITORY)
    now = Policies((_own(own),) if who is ALICE else (), resource=_on(DENY | {"Action": "*"}))
    assert keeps_access(request, now, _policy(Kind.REPOSITORY, candidate)) is expected
