"""Users and roles of an account: made, shown, changed and removed. Who may call these is the caller's business.

Sources: the IAM API reference, CreateUser, CreateRole and their kin; "IAM and AWS STS quotas".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from moorage.domain import iam
from moorage.domain.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidRequest,
    LimitExceeded,
    NoSuchEntity,
    TooManyResourceTags,
)
from moorage.domain.iam import (
    DEFAULT_SESSION,
    LONGEST_SESSION,
    SHORTEST_SESSION,
    Path,
    PrincipalKind,
    PrincipalName,
)
from moorage.domain.names import RegistryId
from moorage.metadata import access_keys, policies, principals
from moorage.metadata.principals import PrincipalRow, read_tags
from moorage.metadata.transaction import Transaction
from moorage.rules.policy.document import Kind
from moorage.rules.resource_tags import check_resource_tags, merge_resource_tags, remove_resource_tags
from moorage.services import accounts, policy_texts

_TRUST_SIZE: Final = 2_048

_ID_PREFIXES: Final[dict[PrincipalKind, str]] = {"user": "AIDA", "role": "AROA"}
_NAMED: Final[dict[PrincipalKind, str]] = {"user": "userName", "role": "roleName"}


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or role. ``trust_policy`` is a role's, as it was written; times are microseconds since the epoch."""

    kind: PrincipalKind
    name: str
    path: str
    arn: str
    unique_id: str
    created_at: int
    boundary: str | None
    tags: dict[str, str]
    trust_policy: str | None
    max_session_seconds: int


def create_user(
    tx: Transaction, account_id: RegistryId, name: str, path: str = "/", tags: Iterable[tuple[str, str]] = ()
) -> Principal:
    """Make a user, to whom nothing is allowed yet.

    Raises ``InvalidRequest``, ``ResourceTagInvalid``, ``NoSuchEntity`` for the account,
    ``EntityAlreadyExists`` also for a name that differs in its capitals alone, ``LimitExceeded``.
    """
    return _create(tx, account_id, "user", name, path, tags, None, DEFAULT_SESSION)


def create_role(
    tx: Transaction,
    account_id: RegistryId,
    name: str,
    trust_policy: str,
    path: str = "/",
    tags: Iterable[tuple[str, str]] = (),
    max_session_seconds: int = DEFAULT_SESSION,
) -> Principal:
    """Make a role that those may assume whom its trust policy allows to, and to which nothing else is allowed yet.

    Raises what ``create_user`` raises, ``MalformedPolicyDocument``, ``PolicyTooLarge``.
    """
    policy_texts.check(trust_policy, Kind.TRUST, _TRUST_SIZE, "a role's trust policy")
    _check_session(max_session_seconds)
    return _create(tx, account_id, "role", name, path, tags, trust_policy, max_session_seconds)


def _create(
    tx: Transaction,
    account_id: RegistryId,
    kind: PrincipalKind,
    name: str,
    path: str,
    tags: Iterable[tuple[str, str]],
    trust_policy: str | None,
    max_session_seconds: int,
) -> Principal:
    checked, place = PrincipalName.parse(name, _NAMED[kind]), Path.parse(path)
    given = _merge({}, _check_tags(tags))
    accounts.get_account(tx, account_id)
    if principals.find_namesake(tx, account_id, kind, checked) is not None:
        raise EntityAlreadyExists(kind=kind, name=checked)
    _check_count(tx, account_id, kind)
    principals.add_principal(
        tx,
        account_id,
        kind,
        checked,
        path=place,
        unique_id=tx.new_unique_id(_ID_PREFIXES[kind]),
        tags=given,
        trust_policy=trust_policy,
        max_session_seconds=max_session_seconds,
    )
    return get_principal(tx, account_id, kind, checked)


def _check_count(tx: Transaction, account_id: RegistryId, kind: PrincipalKind) -> None:
    quotas = tx.settings.quotas
    quota, limit = (
        ("users_per_account", quotas.users_per_account)
        if kind == "user"
        else ("roles_per_account", quotas.roles_per_account)
    )
    if limit and principals.count_principals(tx, account_id, kind) >= limit:
        raise LimitExceeded(quota=quota, limit=limit)


def _check_session(seconds: int) -> None:
    if not SHORTEST_SESSION <= seconds <= LONGEST_SESSION:
        raise InvalidRequest(
            text=f"A role's sessions last at most between {SHORTEST_SESSION} and {LONGEST_SESSION} seconds, "
            f"not {seconds}"
        )


def get_principal(tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str) -> Principal:
    """A user or role. Raises ``NoSuchEntity``."""
    return _principal(get_row(tx, account_id, kind, name))


def get_row(tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str) -> PrincipalRow:
    """A user or role as it is kept, for other use cases. Raises ``NoSuchEntity``."""
    row = principals.find_principal(tx, account_id, kind, name)
    if row is None:
        raise NoSuchEntity(kind=kind, name=name[:300])
    return row


def list_principals(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, after: str, limit: int
) -> list[Principal]:
    """Users or roles in bytewise order of their names, those after ``after``. Raises ``NoSuchEntity``."""
    accounts.get_account(tx, account_id)
    return [_principal(row) for row in principals.list_principals(tx, account_id, kind, after, limit)]


def update_role(
    tx: Transaction,
    account_id: RegistryId,
    name: str,
    trust_policy: str | None = None,
    max_session_seconds: int | None = None,
) -> Principal:
    """Replace what is given of a role's trust policy and longest session.

    Sessions that were begun before stay what they are. Raises what ``create_role`` raises for these.
    """
    row = get_row(tx, account_id, "role", name)
    if trust_policy is not None:
        policy_texts.check(trust_policy, Kind.TRUST, _TRUST_SIZE, "a role's trust policy")
    if max_session_seconds is not None:
        _check_session(max_session_seconds)
    kept = row.trust_policy or ""
    seconds = row.max_session_seconds if max_session_seconds is None else max_session_seconds
    principals.set_trust(tx, row.id, kept if trust_policy is None else trust_policy, seconds)
    return get_principal(tx, account_id, "role", name)


def delete_principal(tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str) -> None:
    """Remove a user or role that has neither keys nor policies. Raises ``NoSuchEntity``, ``DeleteConflict``."""
    row = get_row(tx, account_id, kind, name)
    if access_keys.count_of_principal(tx, row.id):
        raise DeleteConflict(text="Cannot delete entity, must delete access keys first.")
    if policies.list_attached(tx, row.id):
        raise DeleteConflict(text="Cannot delete entity, must detach all policies first.")
    if policies.list_inline(tx, row.id):
        raise DeleteConflict(text="Cannot delete entity, must delete policies first.")
    principals.delete_principal(tx, row.id)


# --- Tags ----------------------------------------------------------------------------------------------------


def tag_principal(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, tags: Iterable[tuple[str, str]]
) -> None:
    """Add tags; one replaces that whose key differs in its capitals at most.

    Raises ``NoSuchEntity``, ``ResourceTagInvalid``, ``InvalidRequest``.
    """
    row = get_row(tx, account_id, kind, name)
    added = _check_tags(tags)
    replaced = {key.lower() for key in added}
    kept = {key: value for key, value in read_tags(row).items() if key.lower() not in replaced}
    principals.set_tags(tx, row.id, _merge(kept, added))


def untag_principal(
    tx: Transaction, account_id: RegistryId, kind: PrincipalKind, name: str, keys: Iterable[str]
) -> None:
    """Remove the tags of these keys, those that are there. Raises ``NoSuchEntity``, ``ResourceTagInvalid``."""
    row = get_row(tx, account_id, kind, name)
    principals.set_tags(tx, row.id, remove_resource_tags(read_tags(row), keys))


def _check_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """AWS: keys of a principal's tags that differ in their capitals alone are one key, as conditions read them."""
    tags = check_resource_tags(pairs)
    if len({key.lower() for key in tags}) < len(tags):
        raise InvalidRequest(text="Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return tags


def _merge(kept: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    try:
        return merge_resource_tags(kept, added)
    except TooManyResourceTags as error:
        raise InvalidRequest(text=f"A user or role takes at most {error.facts['limit']} tags") from error


def _principal(row: PrincipalRow) -> Principal:
    kind: PrincipalKind = "user" if row.kind == "user" else "role"
    return Principal(
        kind=kind,
        name=row.name,
        path=row.path,
        arn=iam.principal_arn(row.account_id, kind, row.path, row.name),
        unique_id=row.unique_id,
        created_at=row.created_at,
        boundary=row.boundary,
        tags=read_tags(row),
        trust_policy=row.trust_policy,
        max_session_seconds=row.max_session_seconds,
    )
