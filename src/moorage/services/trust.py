"""Who may assume a role: the role's trust policy and the caller's own policies, with what is known of the request."""

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.domain.caller import Caller, RequestFacts
from moorage.domain.errors import AccessDenied, AccountSwitchedOff, CredentialsUnknown
from moorage.domain.iam import RoleArn
from moorage.metadata import accounts, principals
from moorage.metadata.principals import PrincipalRow, read_tags
from moorage.metadata.transaction import Transaction
from moorage.rules.policy.decision import Attached, Policies, decide_trust
from moorage.rules.policy.document import Kind, Policy, PolicyInvalid, parse
from moorage.rules.policy.request import Principal, PrincipalKind, Request
from moorage.services import applied
from moorage.services.conditions import circumstances

#: Condition keys in small letters, with their values.
Facts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asks, what its own policies say, and its tags as condition keys."""

    principal: Principal
    policies: Policies
    tags: Facts


def find_holder(tx: Transaction, caller: Caller) -> PrincipalRow:
    """Whose key or session this is, as of now: the role, or the user or root with the key that it goes by.

    Raises ``CredentialsUnknown`` when that is gone, though there be others of the name or id, ``AccountSwitchedOff``.
    """
    session = caller.session
    if session is not None and session.role_arn is not None:
        role = RoleArn.parse(session.role_arn)
        row = principals.find_principal(tx, role.account_id, "role", role.name)
    else:
        row = _find_key_holder(tx, caller)
    if row is None or row.unique_id != caller.unique_id or row.account_id != caller.account_id:
        raise CredentialsUnknown
    _require_active(tx, row.account_id)
    return row


def _find_key_holder(tx: Transaction, caller: Caller) -> PrincipalRow | None:
    key = accounts.find_key(tx, caller.access_key_id)
    if key is None or not key.is_key_active or not caller.is_held_by(key.unique_id, key.key_created_at):
        return None
    return principals.find_principal(tx, key.account_id, key.principal_kind, key.principal_name)


def _require_active(tx: Transaction, account_id: str) -> None:
    account = accounts.find_account(tx, account_id)
    if account is None or not account.is_active:
        raise AccountSwitchedOff


def get_standing(tx: Transaction, caller: Caller) -> Standing:
    """Who asks, read anew. Raises ``CredentialsUnknown``, ``AccountSwitchedOff``."""
    session, row = caller.session, find_holder(tx, caller)
    identity = applied.identity(tx, row.id, row.policy_epoch)
    narrowing: tuple[Attached, ...] = ()
    if session is not None:
        identity = applied.in_session(identity, caller, session)
        narrowing = applied.session_policies(tx, session, row.account_id)
    own = Policies(identity.policies, identity.boundary, narrowing)
    tags = {f"aws:principaltag/{key}": values for key, values in identity.tags.items()}
    return Standing(identity.principal, own, tags)


def tag_facts(prefix: str, tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Tags as condition keys, which know no capitals."""
    return {f"{prefix}{key.lower()}": (value,) for key, value in tags.items()}


def require_caller_trust(
    tx: Transaction, caller: Caller, role: RoleArn, row: PrincipalRow | None, actions: list[str], about: Facts
) -> None:
    """Refuse a caller whom the role does not trust with all of these actions, or who may not by its own policies.

    A role that does not exist is refused alike. Raises ``AccessDenied``, ``CredentialsUnknown``,
    ``AccountSwitchedOff``.
    """
    standing = get_standing(tx, caller)
    context = circumstances(caller.request, caller.region, caller.session) | dict(standing.tags) | dict(about)
    context |= {key: (value,) for key, value in (caller.session.facts if caller.session else {}).items()}
    for action in actions:
        _require(row, role, caller.principal_arn, standing, action, context)


def require_identity_trust(
    row: PrincipalRow | None, role: RoleArn, provider_arn: str, facts: RequestFacts, region: str, about: Facts
) -> None:
    """Refuse a web identity whom the role does not trust. Raises ``AccessDenied``."""
    principal = Principal(PrincipalKind.WEB_IDENTITY, provider_arn)
    context = circumstances(facts, region, None) | dict(about)
    action = "sts:AssumeRoleWithWebIdentity"
    _require(row, role, provider_arn, Standing(principal, Policies(), {}), action, context)


def _require(
    row: PrincipalRow | None, role: RoleArn, who: str, standing: Standing, action: str, context: Facts
) -> None:
    trust = _trust_policy(row)
    if row is not None and trust is not None and role.account_id == row.account_id:
        context = {**context, **tag_facts("aws:resourcetag/", read_tags(row))}
        request = Request(standing.principal, action, str(role), role.account_id, dict(context))
        own = standing.policies
        applying = Policies(own.identity, own.boundary, own.session, Attached("trust", trust))
        if decide_trust(request, applying).is_allowed:
            return
    # AWS: nothing tells a role that is not there from one that does not trust.
    raise AccessDenied(principal=who, action=action, resource=str(role), reason="")


def _trust_policy(row: PrincipalRow | None) -> Policy | None:
    try:
        return parse(row.trust_policy, Kind.TRUST) if row is not None and row.trust_policy else None
    except PolicyInvalid:
        return None
