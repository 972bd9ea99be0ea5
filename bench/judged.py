"""Pulls by root, whom nothing restricts, and by one of many users whom policies with conditions judge."""

import json
import statistics
from pathlib import Path
from typing import Any

from bench.figures import Scale
from bench.seeds import Seeded, seed_images
from bench.servers import BenchError, Server, as_seen_with, moorage
from bench.small import get_manifests
from moorage.auth.credentials import AccessKey, generate_access_key
from moorage.config import Settings
from moorage.domain.names import RegistryId
from moorage.metadata.transaction import Transaction
from moorage.services import access_keys, policies, principal_policies, principals
from moorage.wiring import Desk, office
from tests.serving import Credentials

USERS = 1_000
POLICIES = 200
CONNECTIONS = 16
ACCOUNT = RegistryId("000000000000")
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"

#: What a pull may lose: 15 % of its rate.
MOST_LOST = 0.15


def pull_as_user(directory: Path, scale: Scale) -> list[str]:
    """Manifest GET by tag, 16 connections, rounds in turn, on a server without policies and on one with many."""
    with moorage(directory / "free") as root, moorage(directory / "judged") as governed:
        free_images = seed_images(root, scale.repositories, scale.tags)
        images = seed_images(governed, scale.repositories, scale.tags)
        user = as_seen_with(governed, _enroll(governed))
        text = json.dumps(_of_repository())
        for name in {path.split("/manifests/")[0].removeprefix("/v2/") for path in images.manifests}:
            governed.call("SetRepositoryPolicy", {"repositoryName": name, "policyText": text})
        _refuses_others(user)
        rounds = [(_rate(root, free_images, scale), _rate(user, images, scale)) for _ in range(scale.rounds)]
    free, judged = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    lost = 1 - judged / free
    verdict = "met" if lost < MOST_LOST else "MISSED"
    rates = f"root {free:,.0f}/s, one of {USERS:,} users with {POLICIES} policies {judged:,.0f}/s"
    return [f"{rates}: {lost:.0%} lost, less than {MOST_LOST:.0%} asked for: {verdict}"]


def _rate(server: Server, seeded: Seeded, scale: Scale) -> float:
    return get_manifests(server, seeded, CONNECTIONS, scale.seconds).rate


def _refuses_others(user: Server) -> None:
    """What is measured is judged: the user may pull and nothing else."""
    status, _, _ = user.request("POST", "/v2/bench/images-0/blobs/uploads/", b"")
    if status != 403:
        raise BenchError(f"a user who may only pull got {status} for a push")


def _enroll(server: Server) -> Credentials:
    """Users with keys and policies; returns the key of one that has as many as a user has."""
    key = generate_access_key()
    with office(Settings(data_dir=server.data)) as desk:
        for number in range(POLICIES):
            desk.database.write_now(policies.create_policy, ACCOUNT, f"policy-{number}", _identity(number))
        for number in range(USERS):
            desk.database.write_now(
                _make_user, desk, number, key if number == USERS // 2 else generate_access_key()
            )
    return Credentials(key.access_key_id, key.secret_access_key)


def _make_user(tx: Transaction, desk: Desk, number: int, key: AccessKey) -> None:
    name = f"user-{number}"
    principals.create_user(tx, ACCOUNT, name)
    access_keys.create_access_key(tx, ACCOUNT, name, key, desk.master_key)
    principal_policies.attach_policy(tx, ACCOUNT, "user", name, READ_ONLY)
    for policy in range(number, number + 3):
        principal_policies.attach_policy(tx, ACCOUNT, "user", name, f"policy-{policy % POLICIES}")


def _identity(number: int) -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/team-{number}/*",
    }
    if number % 2:
        statement["Condition"] = {"StringLike": {"aws:PrincipalTag/team": f"team-{number}-*"}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _of_repository() -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Partners",
                "Effect": "Allow",
                "Principal": {"AWS": ["222222222222", "333333333333"]},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            },
            {
                "Sid": "FromInside",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "ecr:*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}},
            },
        ],
    }
