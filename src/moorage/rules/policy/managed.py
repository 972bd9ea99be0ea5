"""The policies that AWS manages, by their ARNs: those for ECR that people attach to users and roles, and the one for all.

What they allow is AWS's, from its managed policy reference (versions 3, 3, 3, 1 and 1). Service roles are not among
them, as what they are for needs none here.
"""

import json
from typing import Final

from moorage.rules.policy.document import Kind, Policy, parse

_LOOK: Final = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
)
_PUSH: Final = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")
_PULL: Final = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchImportUpstreamImage",
)


def _allow(*actions: str, condition: dict[str, dict[str, list[str]]] | None = None) -> dict[str, object]:
    statement: dict[str, object] = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
    return statement | {"Condition": condition} if condition else statement


def _text(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


_LINKED_ROLE: Final = {"StringEquals": {"iam:AWSServiceName": ["replication.ecr.amazonaws.com"]}}

#: The text of each by its ARN.
TEXTS: Final = {
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly": _text(_allow(*_LOOK)),
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser": _text(_allow(*_LOOK, *_PUSH)),
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryFullAccess": _text(
        _allow("ecr:*", "cloudtrail:LookupEvents"),
        _allow("iam:CreateServiceLinkedRole", condition=_LINKED_ROLE),
    ),
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly": _text(_allow(*_PULL)),
    "arn:aws:iam::aws:policy/AdministratorAccess": _text(_allow("*")),
}


def find(arn: str) -> Policy | None:
    """The managed policy of this ARN, if there is one."""
    text = TEXTS.get(arn)
    return None if text is None else parse(text, Kind.IDENTITY)
