"""Repositories: create, describe, delete, and the mutability of their tags."""

from typing import Any

from moorage.domain.errors import InvalidRequest, NotBuilt
from moorage.domain.names import RepositoryName
from moorage.ecr import answers
from moorage.ecr.dispatch import Call, operation
from moorage.ecr.pagination import open_page, refuse_paging
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability
from moorage.services import repositories


@operation("CreateRepository")
async def create_repository(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Make a repository. Scanning on push and keys of one's own are refused by name until they are built."""
    _refuse_unbuilt(request)
    return await call.change(
        lambda row: {"repository": answers.repository(call.context.hosts, row)},
        repositories.create_repository,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
        tag_mutability=TagMutability(request.get("imageTagMutability", "MUTABLE")),
        filters=_read_filters(request),
        resource_tags=[(tag["Key"], tag["Value"]) for tag in request.get("tags", ())],
    )


def _refuse_unbuilt(request: dict[str, Any]) -> None:
    if request.get("imageScanningConfiguration", {}).get("scanOnPush", False):
        raise NotBuilt(what="scanning on push (imageScanningConfiguration.scanOnPush true)")
    encryption = request.get("encryptionConfiguration", {"encryptionType": "AES256"})
    if encryption["encryptionType"] != "AES256":
        raise NotBuilt(
            what=f"encryption with a KMS key (encryptionConfiguration.encryptionType {encryption['encryptionType']})"
        )
    if "kmsKey" in encryption:
        raise InvalidRequest(
            text="Invalid encryption configuration: Encryption key should not be set for AES256 encryption."
        )


def _read_filters(request: dict[str, Any]) -> list[ExclusionFilter]:
    return [
        ExclusionFilter(given["filter"], given["filterType"])
        for given in request.get("imageTagMutabilityExclusionFilters", ())
    ]


@operation("DescribeRepositories")
async def describe_repositories(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The named repositories, else all of the registry by name, page by page."""
    registry = call.registry(request.get("registryId"))
    hosts = call.context.hosts
    if "repositoryNames" in request:
        refuse_paging(request, "repositoryNames")
        names = [RepositoryName.parse(name) for name in request["repositoryNames"]]
        rows = await call.context.database.read(
            repositories.describe_repositories, call.caller, registry, names
        )
        return {"repositories": [answers.repository(hosts, row) for row in rows]}
    page = open_page(call, "DescribeRepositories", registry, request)
    (after,) = page.after(("",))
    found = await call.context.database.read(
        repositories.list_repositories, call.caller, registry, after, page.size
    )
    answer = {"repositories": [answers.repository(hosts, row) for row in found.repositories]}
    return page.continued(answer, None if found.last is None else (found.last,))


@operation("DeleteRepository")
async def delete_repository(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a repository, one that holds images only with ``force``; the answer says what it was."""
    return await call.change(
        lambda row: {"repository": answers.repository(call.context.hosts, row)},
        repositories.delete_repository,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
        is_forced=request.get("force", False),
    )


@operation("PutImageTagMutability")
async def put_image_tag_mutability(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Replace the mutability of tags together with its exclusion filters."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])
    setting, filters = TagMutability(request["imageTagMutability"]), _read_filters(request)
    answer: dict[str, Any] = {
        "registryId": registry.registry_id,
        "repositoryName": name,
        "imageTagMutability": setting.value,
    }
    if filters:
        answer |= {"imageTagMutabilityExclusionFilters": answers.exclusion_filters(filters)}
    return await call.change(
        lambda _result: answer, repositories.put_tag_mutability, call.caller, registry, name, setting, filters
    )
