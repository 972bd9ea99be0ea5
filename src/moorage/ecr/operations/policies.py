"""Policies of repositories and of the registry: set, get, delete."""

from typing import Any

from moorage.domain.names import RepositoryName
from moorage.ecr.dispatch import Call, operation
from moorage.services import resource_policies


def _of_repository(call: Call, request: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "registryId": call.registry(request.get("registryId")).registry_id,
        "repositoryName": request["repositoryName"],
        "policyText": text,
    }


@operation("SetRepositoryPolicy")
async def set_repository_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a repository's policy; with ``force`` also by one that the caller could not replace again."""
    return await call.change(
        lambda text: _of_repository(call, request, text),
        resource_policies.set_repository_policy,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
        request["policyText"],
        is_forced=request.get("force", False),
    )


@operation("GetRepositoryPolicy")
async def get_repository_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A repository's policy."""
    text = await call.context.database.read(
        resource_policies.get_repository_policy,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
    )
    return _of_repository(call, request, text)


@operation("DeleteRepositoryPolicy")
async def delete_repository_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Take a repository's policy away; the answer says what it was."""
    return await call.change(
        lambda text: _of_repository(call, request, text),
        resource_policies.delete_repository_policy,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
    )


def _of_registry(call: Call, text: str) -> dict[str, Any]:
    return {"registryId": call.registry().registry_id, "policyText": text}


@operation("PutRegistryPolicy")
async def put_registry_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Replace the policy of the caller's registry."""
    return await call.change(
        lambda text: _of_registry(call, text),
        resource_policies.put_registry_policy,
        call.caller,
        call.registry(),
        request["policyText"],
    )


@operation("GetRegistryPolicy")
async def get_registry_policy(call: Call, _request: dict[str, Any]) -> dict[str, Any]:
    """The policy of the caller's registry."""
    text = await call.context.database.read(resource_policies.get_registry_policy, call.caller, call.registry())
    return _of_registry(call, text)


@operation("DeleteRegistryPolicy")
async def delete_registry_policy(call: Call, _request: dict[str, Any]) -> dict[str, Any]:
    """Take the policy of the caller's registry away; the answer says what it was."""
    return await call.change(
        lambda text: _of_registry(call, text),
        resource_policies.delete_registry_policy,
        call.caller,
        call.registry(),
    )
