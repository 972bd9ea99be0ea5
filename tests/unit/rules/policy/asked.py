"""Requests to judge in tests, with who asks them."""

from moorage.rules.policy.document import Policy
from moorage.rules.policy.principals import Grade
from moorage.rules.policy.request import ANONYMOUS, Principal, PrincipalKind, Request
from moorage.rules.policy.statements import Statement

OURS, THEIRS = "111111111111", "222222222222"

ROOT = Principal(PrincipalKind.ROOT, f"arn:aws:iam::{OURS}:root", OURS, OURS)
ALICE = Principal(PrincipalKind.USER, f"arn:aws:iam::{OURS}:user/team/alice", OURS, "AIDAALICE")
BOB = Principal(PrincipalKind.USER, f"arn:aws:iam::{THEIRS}:user/bob", THEIRS, "AIDABOB")
SESSION = Principal(
    PrincipalKind.SESSION,
    f"arn:aws:sts::{OURS}:assumed-role/deploy/ci",
    OURS,
    "AROADEPLOY:ci",
    f"arn:aws:iam::{OURS}:role/deploy",
)
EVERYBODY = [ROOT, ALICE, BOB, SESSION, ANONYMOUS]

PULL = "ecr:BatchGetImage"
REPOSITORY = f"arn:aws:ecr:eu-central-1:{OURS}:repository/app/web"


def asked(
    principal: Principal = ALICE,
    action: str = PULL,
    resource: str = REPOSITORY,
    *,
    account_id: str = OURS,
    **context: tuple[str, ...],
) -> Request:
    """A request; keys of its context are written with ``__`` for the colon, or given as ``keys={…}``."""
    return Request(
        principal, action, resource, account_id, {name.replace("__", ":"): one for name, one in context.items()}
    )


def judged(policy: Policy, request: Request) -> tuple[Statement, Grade] | None:
    """What one policy alone comes to: its Deny that applies, else its best Allow, else None."""
    denial = policy.denial(request)
    return (denial, denial.grade(request)) if denial else policy.grant(request)
