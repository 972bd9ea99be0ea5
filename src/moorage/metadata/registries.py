"""Registries, one per account and region, and their account settings."""

from sqlalchemy import bindparam, select

from moorage.domain.caller import RegistryKey
from moorage.metadata import accounts
from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import account_setting, registry
from moorage.metadata.transaction import Transaction

_FIND = Query(
    select(registry.c.id).where(
        registry.c.account_id == bindparam("account_id"), registry.c.region == bindparam("region")
    ),
    lambda row: int(row[0]),
)
_ADD = Query(
    registry.insert()
    .values(
        account_id=bindparam("account_id"),
        region=bindparam("region"),
        created_at=bindparam("created_at"),
        repository_count=0,
    )
    .returning(registry.c.id),
    lambda row: int(row[0]),
)
_COUNT = Query(
    select(registry.c.repository_count).where(registry.c.id == bindparam("id")), lambda row: int(row[0])
)
_CHANGE_COUNT = Statement(
    registry.update()
    .where(registry.c.id == bindparam("which"))
    .values(repository_count=registry.c.repository_count + bindparam("change"))
)
_FIND_SETTING = Query(
    select(account_setting.c.value).where(
        account_setting.c.registry_id == bindparam("registry_id"), account_setting.c.name == bindparam("name")
    ),
    lambda row: str(row[0]),
)
_ADD_SETTING = Statement(account_setting.insert())
_SET_SETTING = Statement(
    account_setting.update()
    .where(
        account_setting.c.registry_id == bindparam("which_registry"),
        account_setting.c.name == bindparam("which_name"),
    )
    .values(value=bindparam("value"))
)


def find_registry(tx: Transaction, key: RegistryKey) -> int | None:
    """The registry's row id, or None when nothing was ever put into it."""
    return tx.find(_FIND, account_id=key.registry_id, region=key.region)


def ensure_registry(tx: Transaction, key: RegistryKey) -> int:
    """The registry's row id, made unless it exists."""
    found = find_registry(tx, key)
    if found is not None:
        return found
    accounts.ensure_account(tx, key.registry_id)
    return tx.one(_ADD, account_id=key.registry_id, region=key.region, created_at=tx.now)


def get_repository_count(tx: Transaction, registry_id: int) -> int:
    """How many live repositories the registry of this row id holds."""
    return tx.one(_COUNT, id=registry_id)


def change_repository_count(tx: Transaction, registry_id: int, change: int) -> None:
    """Keep the number of live repositories in step with the repository rows."""
    tx.run(_CHANGE_COUNT, which=registry_id, change=change)


def find_setting(tx: Transaction, key: RegistryKey, name: str) -> str | None:
    """An account setting that was put, or None."""
    registry_id = find_registry(tx, key)
    return None if registry_id is None else tx.find(_FIND_SETTING, registry_id=registry_id, name=name)


def put_setting(tx: Transaction, key: RegistryKey, name: str, value: str) -> None:
    """Record an account setting."""
    registry_id = ensure_registry(tx, key)
    if not tx.run(_SET_SETTING, which_registry=registry_id, which_name=name, value=value):
        tx.run(_ADD_SETTING, registry_id=registry_id, name=name, value=value)
