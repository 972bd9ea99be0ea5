"""Which policies apply to a user or role: attached, inline, and the one that bounds it.

Each change raises the principal's epoch in its own transaction, so that nothing that was derived before is used
again. Who may call these is the caller's business. Sources: the IAM API reference, AttachUserPolicy, PutUserPolicy,
PutUserPermissionsBoundary and their kin; "IAM and AWS STS quotas".
"""

from typing import Final

from moorage.domain.errors import LimitExceeded, NoSuchEntity
from moorage.domain.iam import PolicyName, PrincipalKind
from moorage.domain.names import RegistryId
from moorage.metadata import policies, principals
from moorage.metadata.transaction import Transaction
from moorage.rules.policy.document import Kind
from moorage.services import policy_texts
from moorage.services.policies import get_policy
from moorage.services.principals import get_row

#: Characters of all inline policies of a principal together.
INLINE_SIZES: Final[dict[PrincipalKind, int]] = {"user": 2_048, "role": 10_240}


def list_attached(tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str) -> list[str]:
    """ARNs of the managed policies of a user or role. Raises ``NoSuchEntity``."""
    return policies.list_attached(tx, get_row(tx, account_id, kind, name).id)


def attach_policy(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, reference: str
) -> str:
    """Let a managed policy, named as ``get_policy`` takes it, apply to a user or role; returns its ARN.

    Attaching it again changes nothing. Raises ``NoSuchEntity``, ``InvalidRequest``, ``LimitExceeded``.
    """
    row = get_row(tx, account_id, kind, name)
    arn = get_policy(tx, account_id, reference).arn
    attached = policies.list_attached(tx, row.id)
    if arn in attached:
        return arn
    limit = tx.settings.quotas.attached_policies_per_principal
    if limit and len(attached) >= limit:
        raise LimitExceeded(quota="attached_policies_per_principal", limit=limit)
    policies.attach(tx, row.id, arn)
    principals.raise_epoch(tx, row.id)
    return arn


def detach_policy(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, reference: str
) -> str:
    """Let a managed policy apply to a user or role no more; returns its ARN.

    Raises ``NoSuchEntity`` also when it did not apply, ``InvalidRequest``.
    """
    row = get_row(tx, account_id, kind, name)
    arn = get_policy(tx, account_id, reference).arn
    if not policies.detach(tx, row.id, arn):
        raise NoSuchEntity(kind=f"attached policy of {kind} {name}", name=arn)
    principals.raise_epoch(tx, row.id)
    return arn


def set_boundary(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, reference: str | None
) -> str | None:
    """Let a managed policy bound what a user or role may do, or with None nothing; returns its ARN.

    Raises ``NoSuchEntity``, ``InvalidRequest``.
    """
    row = get_row(tx, account_id, kind, name)
    arn = None if reference is None else get_policy(tx, account_id, reference).arn
    principals.set_boundary(tx, row.id, arn)
    return arn


# --- Inline --------------------------------------------------------------------------------------------------


def list_inline(tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str) -> dict[str, str]:
    """Texts of the inline policies of a user or role, by name. Raises ``NoSuchEntity``."""
    return policies.list_inline(tx, get_row(tx, account_id, kind, name).id)


def put_inline(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, policy_name: str, text: str
) -> None:
    """Give a user or role a policy of its own, in place of the one of this name.

    Raises ``NoSuchEntity``, ``InvalidRequest``, ``MalformedPolicyDocument``, ``PolicyTooLarge``.
    """
    row = get_row(tx, account_id, kind, name)
    checked, limit, what = PolicyName.parse(policy_name), INLINE_SIZES[kind], f"the inline policies of a {kind}"
    policy_texts.check(text, Kind.IDENTITY, limit, what)
    kept = policies.list_inline(tx, row.id) | {checked: text}
    policy_texts.check_size(sum(map(policy_texts.size_of, kept.values())), limit, what)
    policies.put_inline(tx, row.id, checked, text)
    principals.raise_epoch(tx, row.id)


def get_inline(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, policy_name: str
) -> str:
    """The text of an inline policy. Raises ``NoSuchEntity``."""
    text = list_inline(tx, account_id, kind, name).get(policy_name)
    if text is None:
        raise NoSuchEntity(kind=f"{kind} policy", name=policy_name[:300])
    return text


def delete_inline(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, policy_name: str
) -> None:
    """Take an inline policy from a user or role. Raises ``NoSuchEntity``."""
    row = get_row(tx, account_id, kind, name)
    if not policies.delete_inline(tx, row.id, policy_name):
        raise NoSuchEntity(kind=f"{kind} policy", name=policy_name[:300])
    principals.raise_epoch(tx, row.id)
