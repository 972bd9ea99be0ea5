"""Resource tags of repositories."""

from typing import Any

from moorage.domain.arn import RepositoryArn
from moorage.domain.errors import ArnInvalid
from moorage.ecr.dispatch import Call, operation
from moorage.services import tagging


def _read_arn(call: Call, request: dict[str, Any]) -> RepositoryArn:
    """ECR: a regional endpoint knows the repositories of its region alone. Raises ``ArnInvalid``."""
    arn = RepositoryArn.parse(request["resourceArn"])
    if arn.region != call.caller.region:
        raise ArnInvalid(arn=str(arn))
    return arn


@operation("TagResource")
async def tag_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace resource tags."""
    pairs = [(tag["Key"], tag["Value"]) for tag in request["tags"]]
    return await call.change(_nothing, tagging.tag_resource, call.caller, _read_arn(call, request), pairs)


@operation("UntagResource")
async def untag_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove resource tags."""
    keys = request["tagKeys"]
    return await call.change(_nothing, tagging.untag_resource, call.caller, _read_arn(call, request), keys)


def _nothing(_result: None) -> dict[str, Any]:
    """AWS: these answer with an empty object."""
    return {}


@operation("ListTagsForResource")
async def list_tags_for_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The resource tags, by key."""
    found = await call.context.database.read(tagging.list_resource_tags, call.caller, _read_arn(call, request))
    return {"tags": [{"Key": key, "Value": value} for key, value in found.items()]}
