"""Every operation and every route with what it asks of the policies, and a request that ends soon once it is let through.

A request either reads, or fails for what it names, or changes nothing that decides about the next one.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from moorage.oci.routes import BASE, BLOB, CATALOG, MANIFEST, REFERRERS, TAGS, UPLOAD, UPLOADS

UPLOAD_ID = "00000000-0000-4000-8000-000000000000"
ABSENT = f"sha256:{'0' * 64}"
#: A manifest whose config no repository has.
MANIFEST_BODY = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": ABSENT, "size": 2},
        "layers": [],
    }
)
NO_POLICY = "{"


@dataclass(frozen=True)
class Operation:
    """One operation: its action, input, and the condition keys that it brings along. None is about a repository if
    ``has_repository`` is false; ``on_repository`` is how it is named.
    """

    action: str
    given: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    has_repository: bool = True
    on_repository: str = "repositoryName"


def _on(name: str, keys: dict[str, list[str]] | None = None, /, **given: Any) -> Operation:
    return Operation(f"ecr:{name}", given, keys or {})


def _registry(name: str, keys: dict[str, list[str]] | None = None, /, **given: Any) -> Operation:
    return Operation(f"ecr:{name}", given, keys or {}, has_repository=False)


TAG = {"ecr:imagetag": ["v9"]}

OPERATIONS = {
    "BatchCheckLayerAvailability": _on("BatchCheckLayerAvailability", layerDigests=[ABSENT]),
    "BatchDeleteImage": _on("BatchDeleteImage", TAG, imageIds=[{"imageTag": "v9"}]),
    "BatchGetImage": _on("BatchGetImage", TAG, imageIds=[{"imageTag": "v9"}]),
    "CompleteLayerUpload": _on("CompleteLayerUpload", uploadId=UPLOAD_ID, layerDigests=[ABSENT]),
    "CreateRepository": _on("CreateRepository"),
    "DeleteRegistryPolicy": _registry("DeleteRegistryPolicy"),
    "DeleteRepository": _on("DeleteRepository"),
    "DeleteRepositoryPolicy": _on("DeleteRepositoryPolicy"),
    "DescribeImages": _on("DescribeImages"),
    "DescribeRegistry": _registry("DescribeRegistry"),
    "DescribeRepositories": Operation("ecr:DescribeRepositories", on_repository="repositoryNames"),
    "GetAccountSetting": _registry("GetAccountSetting", {"ecr:accountsetting": ["NONE"]}, name="NONE"),
    "GetAuthorizationToken": _registry("GetAuthorizationToken"),
    "GetDownloadUrlForLayer": _on("GetDownloadUrlForLayer", layerDigest=ABSENT),
    "GetRegistryPolicy": _registry("GetRegistryPolicy"),
    "GetRepositoryPolicy": _on("GetRepositoryPolicy"),
    "InitiateLayerUpload": _on("InitiateLayerUpload"),
    "ListImageReferrers": Operation(
        "ecr:BatchGetImage", {"subjectId": {"imageDigest": ABSENT}}, {"ecr:imagedigest": [ABSENT]}
    ),
    "ListImages": _on("ListImages"),
    "ListTagsForResource": Operation("ecr:ListTagsForResource", on_repository="resourceArn"),
    "PutAccountSetting": _registry(
        "PutAccountSetting", {"ecr:accountsetting": ["NONE"]}, name="NONE", value="x"
    ),
    "PutImage": _on("PutImage", TAG, imageManifest=MANIFEST_BODY, imageTag="v9"),
    "PutImageTagMutability": _on("PutImageTagMutability", imageTagMutability="MUTABLE"),
    "PutRegistryPolicy": _registry("PutRegistryPolicy", policyText=NO_POLICY),
    "SetRepositoryPolicy": _on("SetRepositoryPolicy", policyText=NO_POLICY),
    "TagResource": Operation(
        "ecr:TagResource",
        {"tags": [{"Key": "note", "Value": "x"}]},
        {"aws:requesttag/note": ["x"], "aws:tagkeys": ["note"]},
        on_repository="resourceArn",
    ),
    "UntagResource": Operation(
        "ecr:UntagResource", {"tagKeys": ["note"]}, {"aws:tagkeys": ["note"]}, on_repository="resourceArn"
    ),
    "UploadLayerPart": _on(
        "UploadLayerPart", uploadId=UPLOAD_ID, partFirstByte=0, partLastByte=0, layerPartBlob=b"x"
    ),
}


@dataclass(frozen=True)
class Path:
    """One route: its action, empty where a good token is enough, and how it is asked behind the name."""

    action: str
    end: str
    body: bytes = b""
    keys: dict[str, list[str]] = field(default_factory=dict)
    content_type: str = "application/octet-stream"


_DIGEST_KEY = {"ecr:imagedigest": [ABSENT]}
_BLOB = f"blobs/{ABSENT}"
_UPLOAD = f"blobs/uploads/{UPLOAD_ID}"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

PATHS = {
    ("GET", BASE): Path("", ""),
    ("HEAD", BASE): Path("", ""),
    ("GET", CATALOG): Path("ecr:DescribeRepositories", "_catalog"),
    ("HEAD", CATALOG): Path("ecr:DescribeRepositories", "_catalog"),
    ("GET", MANIFEST): Path("ecr:BatchGetImage", "manifests/v9", keys=TAG),
    ("HEAD", MANIFEST): Path("ecr:BatchGetImage", f"manifests/{ABSENT}", keys=_DIGEST_KEY),
    ("PUT", MANIFEST): Path(
        "ecr:PutImage", "manifests/v9", MANIFEST_BODY.encode(), TAG, content_type=_MANIFEST_TYPE
    ),
    ("DELETE", MANIFEST): Path("ecr:BatchDeleteImage", "manifests/v9", keys=TAG),
    ("GET", BLOB): Path("ecr:GetDownloadUrlForLayer", _BLOB),
    ("HEAD", BLOB): Path("ecr:BatchCheckLayerAvailability", _BLOB),
    ("DELETE", BLOB): Path("ecr:BatchDeleteImage", _BLOB),
    ("POST", UPLOADS): Path("ecr:InitiateLayerUpload", "blobs/uploads/"),
    ("GET", UPLOAD): Path("ecr:UploadLayerPart", _UPLOAD),
    ("HEAD", UPLOAD): Path("ecr:UploadLayerPart", _UPLOAD),
    ("PATCH", UPLOAD): Path("ecr:UploadLayerPart", _UPLOAD, b"x"),
    ("PUT", UPLOAD): Path("ecr:CompleteLayerUpload", f"{_UPLOAD}?digest={ABSENT}"),
    ("DELETE", UPLOAD): Path("ecr:UploadLayerPart", _UPLOAD),
    ("GET", TAGS): Path("ecr:ListImages", "tags/list"),
    ("HEAD", TAGS): Path("ecr:ListImages", "tags/list"),
    ("GET", REFERRERS): Path("ecr:BatchGetImage", f"referrers/{ABSENT}", keys=_DIGEST_KEY),
    ("HEAD", REFERRERS): Path("ecr:BatchGetImage", f"referrers/{ABSENT}", keys=_DIGEST_KEY),
}

#: Routes that everybody may be let into, where a policy and a setting say so.
PULLS = {(method, shape) for method in ("GET", "HEAD") for shape in (MANIFEST, BLOB, TAGS, REFERRERS)}
