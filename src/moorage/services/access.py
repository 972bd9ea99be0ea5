"""Who may do what: the one decision behind both faces.

``question`` puts together what is asked and the policies that apply, ``judge`` decides and refuses. Both work on a
``Standing``, which the statement that reads what is asked for reads as well (``metadata/asked``).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import AccessDenied, AccountSwitchedOff, CredentialsMissing, CredentialsUnknown
from moorage.domain.names import RepositoryName
from moorage.metadata import asked
from moorage.metadata.asked import Standing
from moorage.metadata.transaction import Transaction
from moorage.rules.policy.decision import Attached, Decision, Policies, decide
from moorage.rules.policy.request import ANONYMOUS, Request
from moorage.services import applied
from moorage.services.conditions import RequestContext

#: Condition keys that an operation itself brings along, in small letters.
About = Mapping[str, tuple[str, ...]]

NOTHING: Final[About] = MappingProxyType({})

#: What stands for all repositories of a registry, where none is named.
EVERY_REPOSITORY: Final = RepositoryName("*")

#: Told to those alone whom policies allow what they ask.
_CLOSED: Final = "because the registry's account is disabled"


class Question(NamedTuple):
    """What is asked, and all policies that apply to it."""

    request: Request
    policies: Policies
    context: RequestContext


def authorize(
    tx: Transaction,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    name: RepositoryName | None = None,
    about: About = NOTHING,
) -> None:
    """Allow this caller this action on a registry or one of its repositories, or raise.

    The key's own state and the policies are read in this very transaction: a key that was switched off opens nothing
    from then on. Comes before existence, so that a refusal says nothing of what is there.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``, ``AccessDenied``; whoever showed no credentials is asked
    for some by ``CredentialsMissing``.
    """
    if not caller.is_trusted:
        judge(tx, ask(tx, caller, registry, name), caller, action, registry, name, about)


def ask(tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName | None = None) -> Standing:
    """What a caller is judged by."""
    return asked.ask_repository(tx, caller, registry, name or "").standing


def judge(
    tx: Transaction,
    standing: Standing,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    name: RepositoryName | None = None,
    about: About = NOTHING,
    *,
    untold: frozenset[str] = frozenset(),
) -> None:
    """``authorize`` on what was read already. Looks at nothing that exists but the tags of the repository.

    What rests on a condition key that is ``untold`` yet is not refused: whoever leaves some untold judges again.
    """
    if caller.is_trusted or _is_undisputed(standing, caller, registry):
        return
    asked_now = question(tx, standing, caller, action, registry, name, about)
    decision = decide_on(asked_now, caller)
    is_closed = _is_closed(standing)
    if not is_closed and (decision.is_allowed or (untold and asked_now.context.asked & untold)):
        return
    if caller.is_anonymous:
        raise CredentialsMissing
    raise AccessDenied(
        principal=caller.principal_arn,
        action=action,
        resource=resource_of(registry, name),
        reason=_CLOSED if is_closed and decision.is_allowed else decision.reason,
    )


def _is_closed(standing: Standing) -> bool:
    """Whether the registry's account is switched off: then it is closed to other accounts and to everybody too."""
    return standing.is_registry_active == 0


def _is_undisputed(standing: Standing, caller: Caller, registry: RegistryKey) -> bool:
    """Whether this is a root at home, whom no policy of a resource could deny anything: most requests of most servers.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``.
    """
    key = standing.key
    if caller.is_anonymous:
        return False
    if key is None or not key.is_key_active or not caller.is_held_by(key.unique_id, key.key_created_at):
        raise CredentialsUnknown
    if not key.is_account_active:
        raise AccountSwitchedOff
    return (
        key.principal_kind == "root"
        and caller.session is None
        and key.account_id == registry.registry_id
        and standing.repository_policy_id is None
        and standing.registry_policy_id is None
    )


def may(
    tx: Transaction,
    standing: Standing,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    name: RepositoryName,
    about: About = NOTHING,
) -> bool:
    """Whether ``judge`` would let the caller. Raises ``CredentialsUnknown``, ``AccountSwitchedOff``."""
    if caller.is_trusted or _is_undisputed(standing, caller, registry):
        return True
    decision = decide_on(question(tx, standing, caller, action, registry, name, about), caller)
    return decision.is_allowed and not _is_closed(standing)


def decide_on(asked_now: Question, caller: Caller) -> Decision:
    """What the policies say, of a caller whose key is good."""
    request, policies, _ = asked_now
    decision = decide(request, policies)
    if decision.is_allowed and caller.is_anonymous and policies.registry:
        # Each repository is opened to everybody by itself; what its registry says can only deny.
        return decide(request, replace(policies, registry=None))
    return decision


def question(
    tx: Transaction,
    standing: Standing,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    name: RepositoryName | None = None,
    about: About = NOTHING,
) -> Question:
    """What is asked of the policies, and which: ``Policies`` of the principal, the repository and the registry."""
    key = standing.key
    identity = None if key is None else applied.identity(tx, key.principal_id, key.policy_epoch)
    if identity and caller.session:
        identity = applied.in_session(identity, caller, caller.session)
    context = RequestContext(tx, caller, registry, standing.repository_id, about, identity)
    request = Request(
        identity.principal if identity else ANONYMOUS,
        action,
        resource_of(registry, name),
        registry.registry_id,
        context,
    )
    policies = Policies(
        identity.policies if identity else (),
        identity.boundary if identity else None,
        applied.session_policies(tx, caller.session, caller.account_id) if caller.session else (),
        _of_repository(tx, standing),
        _of_registry(tx, standing, registry, action),
    )
    return Question(request, policies, context)


def _of_repository(tx: Transaction, standing: Standing) -> Attached | None:
    policy_id = standing.repository_policy_id
    return None if policy_id is None else applied.repository_policy(tx, policy_id)


def _of_registry(tx: Transaction, standing: Standing, registry: RegistryKey, action: str) -> Attached | None:
    if standing.registry_policy_id is None:
        return None
    found = applied.registry_policy(tx, standing.registry_policy_id, registry)
    return found.policy if found.applies_to(action) else None


def resource_of(registry: RegistryKey, name: RepositoryName | None) -> str:
    """The ARN of a repository, ``*`` where none is meant."""
    return "*" if name is None else str(RepositoryArn(registry.region, registry.registry_id, name))
