"""What holds for a whole registry: its description and the account settings."""

from typing import Any

from moorage.ecr.dispatch import Call, operation
from moorage.services import registry_settings


@operation("DescribeRegistry")
async def describe_registry(call: Call, _request: dict[str, Any]) -> dict[str, Any]:
    """The registry. Replication cannot be configured yet, so there are no rules."""
    registry = call.registry()
    await call.context.database.read(registry_settings.describe_registry, call.caller, registry)
    return {"registryId": registry.registry_id, "replicationConfiguration": {"rules": []}}


@operation("GetAccountSetting")
async def get_account_setting(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The value that is in force, also before any was put."""
    name = request["name"]
    value = await call.context.database.read(
        registry_settings.get_account_setting, call.caller, call.registry(), name
    )
    return {"name": name, "value": value}


@operation("PutAccountSetting")
async def put_account_setting(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Change a setting."""
    name, value = request["name"], request["value"]
    return await call.change(
        lambda _result: {"name": name, "value": value},
        registry_settings.put_account_setting,
        call.caller,
        call.registry(),
        name,
        value,
    )
