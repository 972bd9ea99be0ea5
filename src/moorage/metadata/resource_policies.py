"""Policies of repositories and registries. A row is never changed: another text gets another id."""

from sqlalchemy import bindparam, select

from moorage.domain.caller import RegistryKey
from moorage.metadata import registries
from moorage.metadata.queries import Query, Statement
from moorage.metadata.tables import registry, repository, resource_policy
from moorage.metadata.transaction import Transaction

_FIND = Query(
    select(resource_policy.c.text).where(resource_policy.c.id == bindparam("id")), lambda row: str(row[0])
)
_ADD = Query(
    resource_policy.insert()
    .values(text=bindparam("text"), updated_at=bindparam("updated_at"))
    .returning(resource_policy.c.id),
    lambda row: int(row[0]),
)
_DELETE = Statement(resource_policy.delete().where(resource_policy.c.id == bindparam("id")))
_OF_REGISTRY = Query(
    select(registry.c.policy_id).where(
        registry.c.account_id == bindparam("account_id"), registry.c.region == bindparam("region")
    ),
    lambda row: None if row[0] is None else int(row[0]),
)
_SET_OF_REPOSITORY = Statement(
    repository.update().where(repository.c.id == bindparam("which")).values(policy_id=bindparam("policy_id"))
)
_SET_OF_REGISTRY = Statement(
    registry.update().where(registry.c.id == bindparam("which")).values(policy_id=bindparam("policy_id"))
)


def find_text(tx: Transaction, policy_id: int) -> str | None:
    """The text of this id, or None where there is none though there should be."""
    return tx.find(_FIND, id=policy_id)


def get_text(tx: Transaction, policy_id: int) -> str:
    """The text of this id, which something has as its policy."""
    return tx.one(_FIND, id=policy_id)


def find_registry_policy(tx: Transaction, key: RegistryKey) -> int | None:
    """The id of the registry's policy, or None."""
    return tx.find(_OF_REGISTRY, account_id=key.registry_id, region=key.region)


def put_repository_policy(tx: Transaction, repository_id: int, before: int | None, text: str | None) -> None:
    """Give the repository this policy, or none, instead of the one with the id ``before``."""
    tx.run(_SET_OF_REPOSITORY, which=repository_id, policy_id=_replace(tx, before, text))


def put_registry_policy(tx: Transaction, key: RegistryKey, text: str | None) -> None:
    """Give the registry this policy, or none, instead of what it had."""
    registry_id = registries.ensure_registry(tx, key)
    before = find_registry_policy(tx, key)
    tx.run(_SET_OF_REGISTRY, which=registry_id, policy_id=_replace(tx, before, text))


def renew_registry_policy(tx: Transaction, key: RegistryKey) -> None:
    """Give the registry's policy, if it has one, another id: it means something else from now on."""
    before = find_registry_policy(tx, key)
    if before is not None:
        put_registry_policy(tx, key, get_text(tx, before))


def _replace(tx: Transaction, before: int | None, text: str | None) -> int | None:
    if before is not None:
        tx.run(_DELETE, id=before)
    return None if text is None else tx.one(_ADD, text=text, updated_at=tx.now)
