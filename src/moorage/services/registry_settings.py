"""Account settings, which hold for a whole registry."""

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import InvalidRequest, NotBuilt
from moorage.metadata import registries, resource_policies
from moorage.metadata.transaction import Transaction
from moorage.services.about import of_setting
from moorage.services.access import authorize

#: Every setting with the values it takes, the default first. Values that change what Moorage does not do yet
#: are refused by name rather than stored.
ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE", "CLAIR"),
    "REGISTRY_POLICY_SCOPE": ("V2", "V1"),
    "BLOB_MOUNTING": ("ENABLED", "DISABLED"),
}
_ENFORCED = {"BLOB_MOUNTING", "REGISTRY_POLICY_SCOPE"}


def describe_registry(tx: Transaction, caller: Caller, registry: RegistryKey) -> None:
    """Raise unless the caller may see the registry; there is nothing configured for it yet."""
    authorize(tx, caller, "ecr:DescribeRegistry", registry)


def get_account_setting(tx: Transaction, caller: Caller, registry: RegistryKey, name: str) -> str:
    """The value in force. Raises ``InvalidRequest`` for a setting that does not exist."""
    authorize(tx, caller, "ecr:GetAccountSetting", registry, about=of_setting(name))
    return current_setting(tx, registry, _check_name(name))


def put_account_setting(tx: Transaction, caller: Caller, registry: RegistryKey, name: str, value: str) -> None:
    """Change a setting.

    Raises ``InvalidRequest`` for an unknown name or value, ``NotBuilt`` for a value whose effect is not built.
    """
    authorize(tx, caller, "ecr:PutAccountSetting", registry, about=of_setting(name))
    values = ACCOUNT_SETTINGS[_check_name(name)]
    if value not in values:
        raise InvalidRequest(
            text=f"Invalid value '{value}' for account setting {name}: use one of {list(values)}"
        )
    if name not in _ENFORCED and value != values[0]:
        raise NotBuilt(what=f"account setting {name}={value}")
    registries.put_setting(tx, registry, name, value)
    if name == "REGISTRY_POLICY_SCOPE":
        resource_policies.renew_registry_policy(tx, registry)


def current_setting(tx: Transaction, registry: RegistryKey, name: str) -> str:
    """The value in force, for code that enforces it."""
    return registries.find_setting(tx, registry, name) or ACCOUNT_SETTINGS[name][0]


def _check_name(name: str) -> str:
    if name not in ACCOUNT_SETTINGS:
        raise InvalidRequest(text=f"Invalid account setting name '{name}': use one of {list(ACCOUNT_SETTINGS)}")
    return name
