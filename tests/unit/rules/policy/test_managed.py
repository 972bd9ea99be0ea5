"""The policies that AWS manages."""

import pytest

from moorage.rules.policy import actions, managed
from moorage.rules.policy.decision import Attached, Policies, decide
from tests.unit.rules.policy.asked import ALICE, REPOSITORY, asked

PULLS = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken"}
PUSHES = {"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"}


def _allowed(name: str) -> set[str]:
    """All that a managed policy allows a user on a repository, or on nothing in particular."""
    policy = managed.find(f"arn:aws:iam::aws:policy/{name}")
    assert policy
    policies = Policies((Attached(name, policy),))
    names = {f"ecr:{action}" for action in actions.NAMES} | {"s3:GetObject"}
    return {name for name in names if decide(asked(ALICE, name, REPOSITORY), policies).is_allowed}


@pytest.mark.parametrize(
    ("name", "count", "included", "excluded"),
    [
        ("AmazonEC2ContainerRegistryReadOnly", 12, PULLS, PUSHES),
        ("AmazonEC2ContainerRegistryPowerUser", 16, PULLS | PUSHES, {"ecr:BatchDeleteImage", "ecr:CreateRepository"}),
        ("AmazonEC2ContainerRegistryPullOnly", 4, PULLS, {"ecr:ListImages"} | PUSHES),
        ("AmazonEC2ContainerRegistryFullAccess", len(actions.NAMES), PULLS | PUSHES, {"s3:GetObject"}),
        ("AdministratorAccess", len(actions.NAMES) + 1, {"s3:GetObject"}, set()),
    ],
)  # fmt: skip
def test_managed_policies_allow_what_those_of_aws_do(
    name: str, count: int, included: set[str], excluded: set[str]
) -> None:
    """So many actions, among them these, and not those."""
    allowed = _allowed(name)
    assert len(allowed) == count
    assert included <= allowed
    assert not excluded & allowed


def test_every_action_of_a_managed_policy_is_known() -> None:
    """None of them is misspelt: each name of ECR is one of its actions."""
    for arn in managed.TEXTS:
        policy = managed.find(arn)
        assert policy
        names = {name for one in policy.statements for name in one.actions.names if name.startswith("ecr:")}
        assert names <= actions.LOWERED


def test_other_policies_of_aws_are_not_there() -> None:
    """Rather than one that allows nothing."""
    assert managed.find("arn:aws:iam::aws:policy/ReadOnlyAccess") is None
