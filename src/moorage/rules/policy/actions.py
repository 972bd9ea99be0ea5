"""The actions of ECR by the names that policies use, all known ones and no others.

They are the operations but one, ListImageReferrers, which is judged as BatchGetImage; and a few that exist only as
permissions. Source: the service authorization reference of Amazon ECR.
"""

import difflib
from typing import Final

#: Permissions that are no operations.
PERMISSION_ONLY: Final = frozenset({"BatchImportUpstreamImage", "ReplicateImage", "GetImageCopyStatus"})

#: Every action after ``ecr:``, as AWS writes it.
NAMES: Final = PERMISSION_ONLY | {
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "BatchGetRepositoryScanningConfiguration",
    "CompleteLayerUpload",
    "CreatePullThroughCacheRule",
    "CreateRepository",
    "CreateRepositoryCreationTemplate",
    "DeleteLifecyclePolicy",
    "DeletePullThroughCacheRule",
    "DeleteRegistryPolicy",
    "DeleteRepository",
    "DeleteRepositoryCreationTemplate",
    "DeleteRepositoryPolicy",
    "DeleteSigningConfiguration",
    "DeregisterPullTimeUpdateExclusion",
    "DescribeImageReplicationStatus",
    "DescribeImageScanFindings",
    "DescribeImageSigningStatus",
    "DescribeImages",
    "DescribePullThroughCacheRules",
    "DescribeRegistry",
    "DescribeReplicationBackfillResults",
    "DescribeRepositories",
    "DescribeRepositoryCreationTemplates",
    "GetAccountSetting",
    "GetAuthorizationToken",
    "GetDownloadUrlForLayer",
    "GetLifecyclePolicy",
    "GetLifecyclePolicyPreview",
    "GetRegistryPolicy",
    "GetRegistryScanningConfiguration",
    "GetRepositoryPolicy",
    "GetSigningConfiguration",
    "InitiateLayerUpload",
    "ListImages",
    "ListPullTimeUpdateExclusions",
    "ListReplicationBackfills",
    "ListTagsForResource",
    "PutAccountSetting",
    "PutImage",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "PutRegistryPolicy",
    "PutRegistryScanningConfiguration",
    "PutReplicationConfiguration",
    "PutSigningConfiguration",
    "RegisterPullTimeUpdateExclusion",
    "SetRepositoryPolicy",
    "StartImageScan",
    "StartLifecyclePolicyPreview",
    "StartReplicationBackfill",
    "StopReplicationBackfill",
    "TagResource",
    "UntagResource",
    "UpdateImageStorageClass",
    "UpdatePullThroughCacheRule",
    "UpdateRepositoryCreationTemplate",
    "UploadLayerPart",
    "ValidatePullThroughCacheRule",
}

#: What the first scope of registry policies is enforced on; the second is on everything.
REGISTRY_SCOPE_V1: Final = frozenset(
    {"ecr:ReplicateImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"}
)

#: No resource-based policy can grant these: who may log in is decided by the account's own policies alone.
IDENTITY_ONLY: Final = frozenset({"ecr:GetAuthorizationToken"})

#: All actions with their prefix in small letters, as patterns are compared.
LOWERED: Final = frozenset(f"ecr:{name.lower()}" for name in NAMES)


def nearest(action: str) -> list[str]:
    """The actions that somebody may have meant who wrote one that there is not, the most alike first; often none."""
    written = {f"ecr:{name}".lower(): f"ecr:{name}" for name in sorted(NAMES)}
    return [written[name] for name in difflib.get_close_matches(action.lower(), written, n=3, cutoff=0.75)]
