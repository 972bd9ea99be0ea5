"""Request parameters and response elements of audit records, as the ECR API has them."""

from typing import Any

from moorage.oci.call import Call

Elements = dict[str, Any]


def image_id(reference: str) -> Elements:
    """A tag or digest."""
    return {"imageDigest" if ":" in reference else "imageTag": reference}


def in_repository(call: Call, **members: Any) -> Elements:
    """Members of an answer that says what it is about."""
    return {"registryId": call.registry.registry_id, "repositoryName": str(call.name), **members}
