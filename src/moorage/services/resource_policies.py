"""Policies of repositories and registries.

Kept in the layout that ECR answers with, which is the same whatever was sent.
"""

from typing import Final, NamedTuple

import structlog

from moorage.domain import json_document
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import (
    InvalidParameter,
    RegistryPolicyNotFound,
    RepositoryNotFound,
    RepositoryPolicyNotFound,
)
from moorage.domain.names import RegistryId, RepositoryName
from moorage.metadata import accounts, principals, repositories, resource_policies
from moorage.metadata.asked import Standing
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction
from moorage.rules.policy import actions
from moorage.rules.policy.document import Kind, Policy, PolicyInvalid, parse
from moorage.rules.policy.layout import lay_out
from moorage.rules.policy.lockout import SET_POLICY, keeps_access
from moorage.rules.policy.request import ANONYMOUS, Request
from moorage.services import access
from moorage.services.access import authorize
from moorage.services.registry_settings import current_setting
from moorage.services.repositories import open_standing

_log = structlog.get_logger()

#: ECR: one sentence for everything that is wrong with a policy, and one for whom nobody knows.
_INVALID: Final = {
    Kind.REPOSITORY: "Invalid repository policy provided",
    Kind.REGISTRY: "Invalid registry policy provided",
}
_NOBODY: Final = "Principal not found"
#: Characters of a reason that is logged.
_MAX_REASON: Final = 500
#: Unknown condition keys of a policy that are logged.
_MAX_KEYS: Final = 10
_LOCKED_OUT: Final = (
    "The policy would keep you from setting another one. Use force (--force) if that is what you want"
)


def _refused(constraint: str) -> InvalidParameter:
    return InvalidParameter(path="PolicyText", constraint=constraint)


class _Attempt(NamedTuple):
    """Who sets a policy, and of what."""

    caller: Caller
    registry: RegistryKey
    #: The repository; None for the policy of the registry itself.
    name: RepositoryName | None = None

    def refusal(self, reason: str, constraint: str) -> InvalidParameter:
        """A refusal that does not say why, as ECR's do not: the log does, for whoever runs the server."""
        _log.info("policy_refused", **self._facts(), reason=reason[:_MAX_REASON])
        return _refused(constraint)

    def warn_of_unknown_keys(self, policy: Policy) -> None:
        """AWS takes such policies, so they are taken; whoever runs the server reads what nobody else tells."""
        if policy.unknown_keys:
            keys = [key[:_MAX_REASON] for key in policy.unknown_keys[:_MAX_KEYS]]
            _log.warning("policy_names_unknown_condition_key", **self._facts(), keys=keys)

    def _facts(self) -> dict[str, str | None]:
        """Use cases run in threads that know nothing of the request, so the line says itself which one it is of."""
        return {
            "request_id": self.caller.request.request_id,
            "principal": self.caller.principal_arn,
            "registry": self.registry.registry_id,
            "region": self.registry.region,
            "repository": self.name,
        }


# --- Of a repository -----------------------------------------------------------------------------------------


def set_repository_policy(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, text: str, *, is_forced: bool
) -> str:
    """Replace the repository's policy; returns its text as it is kept.

    Raises ``RepositoryNotFound``, ``InvalidParameter``: also, unless forced, for a policy under which the caller could
    not set another one.
    """
    repository, standing = open_standing(tx, caller, registry, name, SET_POLICY)
    attempt = _Attempt(caller, registry, name)
    policy = _read(text, Kind.REPOSITORY, attempt)
    _check_resources(text, policy, attempt, access.resource_of(registry, name))
    _check_principals(tx, policy, attempt)
    if not (is_forced or caller.is_trusted) and not _keeps_access(tx, caller, standing, registry, name, policy):
        raise _refused(_LOCKED_OUT)
    laid_out = lay_out(text)
    resource_policies.put_repository_policy(tx, repository.id, repository.policy_id, laid_out)
    attempt.warn_of_unknown_keys(policy)
    return laid_out


def get_repository_policy(tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName) -> str:
    """The repository's policy. Raises ``RepositoryNotFound``, ``RepositoryPolicyNotFound``."""
    repository, _ = open_standing(tx, caller, registry, name, "ecr:GetRepositoryPolicy")
    return resource_policies.get_text(tx, _policy_id(repository))


def delete_repository_policy(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName
) -> str:
    """Take the repository's policy away; returns what it was.

    Raises ``RepositoryNotFound``, ``RepositoryPolicyNotFound``.
    """
    repository, _ = open_standing(tx, caller, registry, name, "ecr:DeleteRepositoryPolicy")
    text = resource_policies.get_text(tx, _policy_id(repository))
    resource_policies.put_repository_policy(tx, repository.id, repository.policy_id, None)
    return text


def lift_repository_policy(tx: Transaction, account_id: RegistryId, region: str, name: RepositoryName) -> str:
    """``delete_repository_policy`` by whoever runs the server, for a policy that lets nobody take it away.

    Raises ``RepositoryNotFound``, ``RepositoryPolicyNotFound``.
    """
    repository = repositories.find_repository(tx, RegistryKey(account_id, region), name)
    if repository is None:
        raise RepositoryNotFound(repository_name=name, registry_id=account_id)
    text = resource_policies.get_text(tx, _policy_id(repository))
    resource_policies.put_repository_policy(tx, repository.id, repository.policy_id, None)
    return text


def _policy_id(repository: RepositoryRow) -> int:
    if repository.policy_id is None:
        raise RepositoryPolicyNotFound(repository_name=repository.name, registry_id=repository.registry_id)
    return repository.policy_id


def _keeps_access(
    tx: Transaction,
    caller: Caller,
    standing: Standing,
    registry: RegistryKey,
    name: RepositoryName,
    candidate: Policy,
) -> bool:
    asked_now = access.question(tx, standing, caller, SET_POLICY, registry, name)
    return keeps_access(asked_now.request, asked_now.policies, candidate)


# --- Of a registry -------------------------------------------------------------------------------------------


def put_registry_policy(tx: Transaction, caller: Caller, registry: RegistryKey, text: str) -> str:
    """Replace the registry's policy; returns its text as it is kept.

    ECR: under the first scope a policy may only be about the actions of that scope. Raises ``InvalidParameter``.
    """
    authorize(tx, caller, "ecr:PutRegistryPolicy", registry)
    attempt = _Attempt(caller, registry)
    policy = _read(text, Kind.REGISTRY, attempt)
    _check_principals(tx, policy, attempt)
    if current_setting(tx, registry, "REGISTRY_POLICY_SCOPE") == "V1" and not _is_narrow(policy):
        reason = "It is about other actions than those of REGISTRY_POLICY_SCOPE V1"
        raise attempt.refusal(reason, _INVALID[Kind.REGISTRY])
    laid_out = lay_out(text)
    resource_policies.put_registry_policy(tx, registry, laid_out)
    attempt.warn_of_unknown_keys(policy)
    return laid_out


def get_registry_policy(tx: Transaction, caller: Caller, registry: RegistryKey) -> str:
    """The registry's policy. Raises ``RegistryPolicyNotFound``."""
    authorize(tx, caller, "ecr:GetRegistryPolicy", registry)
    return _registry_text(tx, registry)


def delete_registry_policy(tx: Transaction, caller: Caller, registry: RegistryKey) -> str:
    """Take the registry's policy away; returns what it was. Raises ``RegistryPolicyNotFound``."""
    authorize(tx, caller, "ecr:DeleteRegistryPolicy", registry)
    text = _registry_text(tx, registry)
    resource_policies.put_registry_policy(tx, registry, None)
    return text


def lift_registry_policy(tx: Transaction, account_id: RegistryId, region: str) -> str:
    """``delete_registry_policy`` by whoever runs the server. Raises ``RegistryPolicyNotFound``."""
    registry = RegistryKey(account_id, region)
    text = _registry_text(tx, registry)
    resource_policies.put_registry_policy(tx, registry, None)
    return text


def _registry_text(tx: Transaction, registry: RegistryKey) -> str:
    policy_id = resource_policies.find_registry_policy(tx, registry)
    if policy_id is None:
        raise RegistryPolicyNotFound(registry_id=registry.registry_id)
    return resource_policies.get_text(tx, policy_id)


def _is_narrow(policy: Policy) -> bool:
    """Whether it is about no other actions than those of the first scope."""
    meant = {
        name
        for name in actions.LOWERED
        if any(statement.actions.cover(name) for statement in policy.statements)
    }
    return meant <= {name.lower() for name in actions.REGISTRY_SCOPE_V1}


# --- What both have to be ------------------------------------------------------------------------------------


def _read(text: str, kind: Kind, attempt: _Attempt) -> Policy:
    try:
        return parse(text, kind)
    except PolicyInvalid as error:
        raise attempt.refusal(str(error), _INVALID[kind]) from error


def _check_resources(text: str, policy: Policy, attempt: _Attempt, arn: str) -> None:
    """ECR: a repository's policy is about that repository; ``Resource`` may say so, but nothing else."""
    given = json_document.load_object(text.encode())["Statement"]
    written = given if isinstance(given, list) else [given]
    request = Request(ANONYMOUS, "", arn, attempt.registry.registry_id, {})
    for statement, members in zip(policy.statements, written, strict=True):
        if statement.resources is not None and "Resource" in members:
            for match in statement.resources.matches:
                if match(arn, request) is False:
                    reason = f"Resource {members['Resource']!a} is not the repository that has the policy"
                    raise attempt.refusal(reason, _INVALID[Kind.REPOSITORY])


def _check_principals(tx: Transaction, policy: Policy, attempt: _Attempt) -> None:
    """Who belongs to an account of this server has to exist; whoever does not is taken at their word."""
    for arn in policy.principal_arns:
        account_id, resource = arn.split(":", 5)[4:]
        if accounts.has_account(tx, account_id) and not _exists(tx, account_id, resource):
            raise attempt.refusal(f"There is no principal {arn}", _NOBODY)


def _exists(tx: Transaction, account_id: str, resource: str) -> bool:
    """Whether there is a user or role by the end of its ARN, or the role of a session."""
    kind, _, rest = resource.partition("/")
    if kind == "assumed-role":
        return principals.find_principal(tx, account_id, "role", rest.partition("/")[0]) is not None
    found = principals.find_principal(tx, account_id, kind, rest.rpartition("/")[2])
    return found is not None and f"{found.path}{found.name}" == f"/{rest}"
