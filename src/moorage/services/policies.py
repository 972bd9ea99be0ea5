"""Managed policies: those of an account, which can be changed, and those of AWS, which are what they are.

Who may call these is the caller's business. Sources: the IAM API reference, CreatePolicy and its kin; "IAM and AWS
STS quotas". A policy has one version: CreatePolicyVersion with SetAsDefault is ``put_policy``.
"""

from dataclasses import dataclass
from typing import Final

from moorage.domain.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from moorage.domain.iam import Path, PolicyArn, PolicyName
from moorage.domain.names import RegistryId
from moorage.metadata import policies, principals
from moorage.metadata.policies import ManagedPolicyRow
from moorage.metadata.transaction import Transaction
from moorage.rules.policy import managed
from moorage.rules.policy.document import Kind
from moorage.services import accounts, policy_texts

MANAGED_SIZE: Final = 6_144

_WHAT: Final = "a managed policy"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A policy that can be attached. AWS's have no unique id and no times; times are microseconds since the epoch."""

    arn: str
    name: str
    path: str
    text: str
    unique_id: str = ""
    created_at: int = 0
    updated_at: int = 0

    @property
    def is_of_aws(self) -> bool:
        """Whether it is one that every account can attach and none can change."""
        return not self.unique_id


def create_policy(
    tx: Transaction, account_id: RegistryId, name: str, text: str, path: str = "/"
) -> ManagedPolicy:
    """Keep a policy, which applies to nobody yet.

    Raises ``InvalidRequest``, ``MalformedPolicyDocument``, ``PolicyTooLarge``, ``NoSuchEntity`` for the account,
    ``EntityAlreadyExists`` also for a name that differs in its capitals alone, ``LimitExceeded``.
    """
    checked, place = PolicyName.parse(name), Path.parse(path)
    policy_texts.check(text, Kind.IDENTITY, MANAGED_SIZE, _WHAT)
    accounts.get_account(tx, account_id)
    if policies.find_namesake(tx, account_id, checked) is not None:
        raise EntityAlreadyExists(kind="policy", name=checked)
    limit = tx.settings.quotas.policies_per_account
    if limit and policies.count_managed(tx, account_id) >= limit:
        raise LimitExceeded(quota="policies_per_account", limit=limit)
    policies.add_managed(tx, account_id, checked, place, tx.new_unique_id("ANPA"), text)
    return _own(_get_row(tx, account_id, checked))


def put_policy(tx: Transaction, account_id: RegistryId, name: str, text: str) -> ManagedPolicy:
    """Replace an account's policy for everybody whom it applies to or bounds.

    Raises ``NoSuchEntity``, ``MalformedPolicyDocument``, ``PolicyTooLarge``.
    """
    row = _get_row(tx, account_id, name)
    policy_texts.check(text, Kind.IDENTITY, MANAGED_SIZE, _WHAT)
    policies.set_text(tx, row.id, text)
    principals.raise_epochs_under(tx, _own(row).arn)
    return _own(_get_row(tx, account_id, name))


def delete_policy(tx: Transaction, account_id: RegistryId, name: str) -> str:
    """Remove an account's policy that neither applies to anybody nor bounds them; returns its ARN.

    Raises ``NoSuchEntity``, ``DeleteConflict``.
    """
    row = _get_row(tx, account_id, name)
    arn = _own(row).arn
    if policies.count_attachments(tx, arn):
        raise DeleteConflict(text="Cannot delete a policy attached to entities.")
    if principals.is_boundary(tx, arn):
        raise DeleteConflict(text="Cannot delete a policy that is the permissions boundary of entities.")
    policies.delete_managed(tx, row.id)
    return arn


def list_policies(tx: Transaction, account_id: RegistryId, after: str, limit: int) -> list[ManagedPolicy]:
    """An account's own policies in bytewise order of their names, those after ``after``. Raises ``NoSuchEntity``."""
    accounts.get_account(tx, account_id)
    return [_own(row) for row in policies.list_managed(tx, account_id, after, limit)]


def list_aws_policies() -> list[ManagedPolicy]:
    """The policies of AWS that are built in."""
    return [_of_aws(PolicyArn.parse(arn), text) for arn, text in sorted(managed.TEXTS.items())]


def get_policy(tx: Transaction, account_id: RegistryId, reference: str) -> ManagedPolicy:
    """A policy that principals of this account can be given, by its ARN or its name.

    Of two of the same name the account's own is meant. Raises ``NoSuchEntity``, ``InvalidRequest``.
    """
    if not reference.startswith("arn:"):
        return _get_by_name(tx, account_id, reference)
    arn = PolicyArn.parse(reference)
    if arn.account_id is None and (text := managed.TEXTS.get(str(arn))) is not None:
        return _of_aws(arn, text)
    if arn.account_id == account_id:
        row = policies.find_managed(tx, account_id, arn.name)
        if row is not None and row.path == arn.path:
            return _own(row)
    raise NoSuchEntity(kind="policy", name=str(arn))


def _get_by_name(tx: Transaction, account_id: RegistryId, name: str) -> ManagedPolicy:
    row = policies.find_managed(tx, account_id, name)
    if row is not None:
        return _own(row)
    found = next((policy for policy in list_aws_policies() if policy.name == name), None)
    if found is None:
        raise NoSuchEntity(kind="policy", name=name[:300])
    return found


def _get_row(tx: Transaction, account_id: RegistryId, name: str) -> ManagedPolicyRow:
    row = policies.find_managed(tx, account_id, name)
    if row is None:
        raise NoSuchEntity(kind="policy", name=name[:300])
    return row


def _own(row: ManagedPolicyRow) -> ManagedPolicy:
    arn = PolicyArn(RegistryId(row.account_id), Path(row.path), PolicyName(row.name))
    return ManagedPolicy(str(arn), row.name, row.path, row.text, row.unique_id, row.created_at, row.updated_at)


def _of_aws(arn: PolicyArn, text: str) -> ManagedPolicy:
    return ManagedPolicy(str(arn), arn.name, arn.path, text)
