"""What the decision over policies costs, in the process: the pull that most requests are."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Scale
from moorage.rules.policy import managed
from moorage.rules.policy.decision import Attached, Policies, decide
from moorage.rules.policy.document import Kind, parse
from moorage.rules.policy.request import Principal, PrincipalKind, Request

DECISIONS = 20_000
ACCOUNT = "111111111111"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
ALICE = Principal(PrincipalKind.USER, f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "AIDAALICE")
CONTEXT = {"aws:sourceip": ("10.1.2.3",), "aws:securetransport": ("true",)}

OWN: list[dict[str, object]] = [
    {
        "Effect": "Allow",
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"],
        "Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/team-${{aws:username}}/*",
    }
]
OF_REPOSITORY: list[dict[str, object]] = [
    {
        "Sid": "Partners",
        "Effect": "Allow",
        "Principal": {"AWS": ["222222222222", "333333333333"]},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    },
    {
        "Sid": "Deployment",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deploy"},
        "Action": "ecr:*",
    },
    {
        "Sid": "FromInside",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "ecr:*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
    },
]


def decide_pulls(_directory: Path, scale: Scale) -> list[str]:
    """Processor time of a decision: a user with ReadOnly and a policy of its own, a repository with three statements."""
    texts = _text(OWN), _text(OF_REPOSITORY)
    ready = _policies(*texts)
    return [
        "",
        f"decision: {_rounds(lambda: ready, scale)}",
        f"with the compiled policies found by their texts: {_rounds(lambda: _policies(*texts), scale)}",
    ]


def _text(statements: list[dict[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _policies(own: str, of_repository: str) -> Policies:
    read_only = managed.find(READ_ONLY)
    assert read_only
    return Policies(
        (Attached("ReadOnly", read_only), Attached("own", parse(own, Kind.IDENTITY))),
        resource=Attached("repository", parse(of_repository, Kind.REPOSITORY)),
    )


def _rounds(policies: Callable[[], Policies], scale: Scale) -> str:
    rounds = [_microseconds(policies) for _ in range(scale.rounds)]
    return f"{statistics.median(rounds):.2f} µs, in {len(rounds)} rounds {min(rounds):.2f} to {max(rounds):.2f}"


def _microseconds(policies: Callable[[], Policies]) -> float:
    """Each decision on a request of its own, as it comes off the wire."""
    arns = [f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/app/web-{number}" for number in range(DECISIONS)]
    begin = time.process_time()
    for arn in arns:
        request = Request(ALICE, "ecr:BatchGetImage", arn, ACCOUNT, CONTEXT)
        assert decide(request, policies()).is_allowed
    return (time.process_time() - begin) / DECISIONS * 1e6
