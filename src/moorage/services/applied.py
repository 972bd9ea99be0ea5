"""The policies that apply to a request, compiled.

A principal's are kept by its row id and its epoch, those of resources by their own ids: both are never given out
again, so nothing that is kept is ever wrong (``metadata/policy_cache``). They are read in the transaction of the
request. A text that cannot be read, though it could when it was stored, or that is gone, denies everything.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from moorage.domain.caller import Caller, RegistryKey, Session
from moorage.domain.iam import principal_arn
from moorage.metadata import policies, principals, registries, resource_policies
from moorage.metadata.principals import read_tags
from moorage.metadata.transaction import Transaction
from moorage.rules.policy import actions, managed
from moorage.rules.policy.decision import Attached
from moorage.rules.policy.document import Kind, PolicyInvalid, parse
from moorage.rules.policy.request import Principal, PrincipalKind

Tags = Mapping[str, tuple[str, ...]]

_log = structlog.get_logger()

_KINDS: Final = {"root": PrincipalKind.ROOT, "user": PrincipalKind.USER}
_DENY: Final = '{"Statement":{"Effect":"Deny",%s"Action":"*","Resource":"*"}}'
_NOTHING: Final = {
    Kind.IDENTITY: _DENY % "",
    Kind.REPOSITORY: _DENY % '"Principal":"*",',
    Kind.REGISTRY: _DENY % '"Principal":"*",',
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal with its own policies; ``tags`` by their keys in small letters. Of a role, what its sessions have."""

    principal: Principal
    policies: tuple[Attached, ...]
    boundary: Attached | None
    tags: Tags


@dataclass(frozen=True, slots=True)
class RegistryPolicy:
    """A registry's policy, and whether it is for the actions of the first scope alone."""

    policy: Attached
    is_narrow: bool

    def applies_to(self, action: str) -> bool:
        """Whether it has anything to say about this action."""
        return not self.is_narrow or action in actions.REGISTRY_SCOPE_V1


def identity(tx: Transaction, principal_id: int, epoch: int) -> Identity:
    """Who this principal is and what its own policies say."""
    return tx.policies.get((principal_id, epoch), lambda: _read_identity(tx, principal_id))


def in_session(identity: Identity, caller: Caller, session: Session) -> Identity:
    """The same principal as a session of it asks: of a role it has a name of its own, and further tags."""
    role = identity.principal
    tags = {**identity.tags, **by_small_letters(session.tags)}
    if session.role_arn is None:
        return replace(identity, tags=tags)
    user_id = f"{role.user_id}:{session.name}"
    principal = Principal(PrincipalKind.SESSION, caller.principal_arn, role.account_id, user_id, role.arn)
    return replace(identity, principal=principal, tags=tags)


def session_policies(tx: Transaction, session: Session, account_id: str) -> tuple[Attached, ...]:
    """What narrows a session: policies that it was given by their texts, and those of the account by their ARNs."""
    return tuple(
        _attached(tx, account_id, one)
        if one.startswith("arn:")
        else compiled(f"session policy {number}", one, Kind.IDENTITY)
        for number, one in enumerate(session.policies, start=1)
    )


def repository_policy(tx: Transaction, policy_id: int) -> Attached:
    """The repository policy of this id."""
    return tx.policies.get(
        (Kind.REPOSITORY, policy_id),
        lambda: compiled("repository", resource_policies.find_text(tx, policy_id), Kind.REPOSITORY),
    )


def registry_policy(tx: Transaction, policy_id: int, registry: RegistryKey) -> RegistryPolicy:
    """The registry policy of this id. One whose scope changes gets another id."""
    return tx.policies.get((Kind.REGISTRY, policy_id), lambda: _read_registry(tx, policy_id, registry))


def compiled(name: str, text: str | None, kind: Kind) -> Attached:
    """A policy to judge by; everything is denied where there should be a text and is none that can be read."""
    if text is not None:
        try:
            return Attached(name, parse(text, kind))
        except PolicyInvalid as error:
            _log.error("policy_unreadable", policy=name, kind=kind.value, error=str(error))
    return Attached(name, parse(_NOTHING[kind], kind))


def by_small_letters(tags: Mapping[str, str]) -> Tags:
    """Tags as condition keys see them, which know no capitals."""
    values: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for key, value in tags.items():
        values[key.lower()] += (value,)
    return values


def _read_identity(tx: Transaction, principal_id: int) -> Identity:
    row = principals.get_principal(tx, principal_id)
    arn = principal_arn(row.account_id, row.kind, row.path, row.name)
    return Identity(
        Principal(_KINDS.get(row.kind, PrincipalKind.SESSION), arn, row.account_id, row.unique_id),
        tuple(_read_policies(tx, principal_id, row.account_id)),
        None if row.boundary is None else _attached(tx, row.account_id, row.boundary),
        by_small_letters(read_tags(row)),
    )


def _read_policies(tx: Transaction, principal_id: int, account_id: str) -> Iterator[Attached]:
    for name, text in policies.list_inline(tx, principal_id).items():
        yield compiled(name, text, Kind.IDENTITY)
    for arn in policies.list_attached(tx, principal_id):
        yield _attached(tx, account_id, arn)


def _attached(tx: Transaction, account_id: str, arn: str) -> Attached:
    text = managed.TEXTS.get(arn)
    if text is None:
        # Names are unique in an account, whatever their paths.
        row = policies.find_managed(tx, account_id, arn.rpartition("/")[2])
        text = None if row is None else row.text
    return compiled(arn, text, Kind.IDENTITY)


def _read_registry(tx: Transaction, policy_id: int, registry: RegistryKey) -> RegistryPolicy:
    text = resource_policies.find_text(tx, policy_id)
    scope = registries.find_setting(tx, registry, "REGISTRY_POLICY_SCOPE")
    return RegistryPolicy(compiled("registry", text, Kind.REGISTRY), scope == "V1")
