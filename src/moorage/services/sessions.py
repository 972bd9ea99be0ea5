"""Sessions: those of roles, for whom they trust, and those of users and roots themselves.

Nothing is stored, so these only read; what they return becomes temporary credentials (``auth.sessions``).
Source: the STS API reference and "IAM and AWS STS quotas".
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from moorage.domain.caller import Caller, RequestFacts, Session
from moorage.domain.errors import (
    AccessDenied,
    CredentialsUnknown,
    InvalidRequest,
    NoSuchEntity,
    SessionTooLarge,
    WebIdentityInvalid,
)
from moorage.domain.iam import DEFAULT_SESSION, LONGEST_SESSION, SHORTEST_SESSION, PolicyArn, RoleArn
from moorage.domain.names import RegistryId
from moorage.metadata import accounts, principals
from moorage.metadata.principals import PrincipalRow
from moorage.metadata.transaction import Transaction, one_statement
from moorage.rules.policy.document import Kind
from moorage.rules.resource_tags import check_resource_tags
from moorage.services import identity_providers, policies, policy_texts, trust
from moorage.services.accounts import find_key_holder
from moorage.services.identity_providers import IdentityProvider

#: A session that was begun from another session lasts an hour at most; so does a root's own.
CHAINED_SECONDS: Final = 3_600
ROOT_SECONDS: Final = 3_600
#: Of users' own sessions.
LONGEST_OWN_SECONDS: Final = 129_600
DEFAULT_OWN_SECONDS: Final = 43_200

#: Characters of a session policy, and how many managed ones there may be.
MAX_POLICY: Final = 2_048
MAX_POLICY_ARNS: Final = 10
MAX_TAGS: Final = 50
#: Bytes of policies and tags together; they travel in the token.
PACKED_BYTES: Final = 4_096

_MICROSECONDS: Final = 1_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/\\-]{2,1224}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a session of a role. ``seconds`` is None where an hour will do."""

    role: RoleArn
    name: str
    seconds: int | None = None
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """A session that may begin. ``packed_percent`` is how much of a session's room its policies and tags take."""

    account_id: RegistryId
    principal_arn: str
    session: Session
    own_key_id: str = ""
    key_created_at: int = 0
    packed_percent: int | None = None


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """Policies and tags of a session, checked."""

    policies: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def percent(self) -> int | None:
        """How much they take; None for nothing."""
        size = sum(len(text.encode()) for text in (*self.policies, *self.tags, *self.tags.values()))
        return -(-100 * size // PACKED_BYTES) or None


@one_statement
def check_caller(tx: Transaction, caller: Caller) -> None:
    """Refuse whoever's key or session opens nothing any more. Raises ``CredentialsUnknown``, ``AccountSwitchedOff``."""
    if caller.session is None:
        holder = find_key_holder(tx, caller.access_key_id)
        if not caller.is_held_by(holder.unique_id, holder.key_created_at):
            raise CredentialsUnknown
    else:
        check_session(tx, caller)


def check_session(tx: Transaction, caller: Caller) -> None:
    """Refuse a session whose principal is gone or whose account is switched off.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``.
    """
    trust.find_holder(tx, caller)


def assume_role(tx: Transaction, caller: Caller, wanted: Wanted) -> Granted:
    """A session of a role that trusts the caller.

    Raises ``InvalidRequest``, ``ResourceTagInvalid``, ``MalformedPolicyDocument``, ``PolicyTooLarge``,
    ``SessionTooLarge``, ``AccessDenied``, ``CredentialsUnknown``, ``AccountSwitchedOff``.
    """
    _check_wanted(wanted)
    row = _find_role(tx, wanted.role)
    about: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (wanted.name,)}
    if wanted.external_id is not None:
        about["sts:externalid"] = (wanted.external_id,)
    if wanted.tags:
        about |= trust.tag_facts("aws:requesttag/", dict(wanted.tags))
        about["aws:tagkeys"] = tuple(key for key, _ in wanted.tags)
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if wanted.tags else [])]
    if not caller.is_trusted:
        trust.require_caller_trust(tx, caller, wanted.role, row, actions, about)
    if row is None:
        raise NoSuchEntity(kind="role", name=str(wanted.role))
    chained = caller.session is not None and caller.session.role_arn is not None
    seconds = _role_seconds(wanted, row, is_chained=chained)
    return _grant(tx, wanted, row, seconds, {})


def assume_role_with_web_identity(
    tx: Transaction,
    facts: RequestFacts,
    provider: IdentityProvider,
    claims: Mapping[str, Any],
    wanted: Wanted,
) -> Granted:
    """A session of a role that trusts a web identity, whose claims were proven.

    Raises what ``assume_role`` raises for what is asked, ``AccessDenied``.
    """
    _check_wanted(wanted)
    row = _find_role(tx, wanted.role)
    about = {"sts:rolesessionname": (wanted.name,), **claim_facts(provider.issuer, claims)}
    region = tx.settings.region
    trust.require_identity_trust(row, wanted.role, provider.arn, facts, region, about)
    assert row is not None  # no role, no trust
    seconds = _role_seconds(wanted, row, is_chained=False)
    return _grant(tx, wanted, row, seconds, {"aws:federatedprovider": provider.arn})


def get_trusted_provider(tx: Transaction, account_id: RegistryId, issuer: str) -> IdentityProvider:
    """The account's provider of an issuer, by its URL without scheme. Raises ``WebIdentityInvalid``."""
    try:
        return identity_providers.get_provider(tx, account_id, issuer)
    except NoSuchEntity:
        raise WebIdentityInvalid(
            text=f"No OpenIDConnect provider found in your account for https://{issuer[:255]}"
        ) from None


def claim_facts(issuer: str, claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Claims as condition keys: the issuer, a colon and the claim, in small letters.

    Texts, numbers and truths, and lists of texts; what has members of its own is no key. Keys know no capitals, so a
    claim whose name has some is left out where it could be taken for another.
    """
    names = Counter(name.lower() for name in claims)
    facts = {}
    for name, value in claims.items():
        is_clear = ":" not in name and (name == name.lower() or names[name.lower()] == 1)
        texts = _claim_texts(value)
        if texts and is_clear:
            facts[f"{issuer}:{name}".lower()] = texts
    return facts


def _claim_texts(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str | int | float):
        return (str(value),)
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return ()


def get_session_token(tx: Transaction, caller: Caller, seconds: int | None) -> Granted:
    """A session of the user or root itself. Raises ``InvalidRequest``, ``AccessDenied``, ``CredentialsUnknown``."""
    if caller.session is not None:
        raise AccessDenied(
            principal=caller.principal_arn,
            action="sts:GetSessionToken",
            resource="*",
            reason="because it is a session already",
        )
    asked = DEFAULT_OWN_SECONDS if seconds is None else seconds
    _check_seconds(asked, LONGEST_OWN_SECONDS)
    if not caller.is_trusted:
        trust.find_holder(tx, caller)
    lasting = min(asked, ROOT_SECONDS) if caller.principal_arn.endswith(":root") else asked
    session = Session("", tx.now, tx.now + lasting * _MICROSECONDS, unique_id=caller.unique_id)
    key = caller.access_key_id
    return Granted(caller.account_id, caller.principal_arn, session, key, caller.key_created_at)


def _find_role(tx: Transaction, role: RoleArn) -> PrincipalRow | None:
    """The role, if it is there at this path in an account that is not switched off."""
    account = accounts.find_account(tx, role.account_id)
    row = principals.find_principal(tx, role.account_id, "role", role.name)
    return (
        row if account is not None and account.is_active and row is not None and row.path == role.path else None
    )


def _role_seconds(wanted: Wanted, row: PrincipalRow, *, is_chained: bool) -> int:
    seconds = DEFAULT_SESSION if wanted.seconds is None else wanted.seconds
    if seconds > row.max_session_seconds:
        if wanted.seconds is None:
            return row.max_session_seconds
        raise InvalidRequest(
            text="The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if is_chained and seconds > CHAINED_SECONDS:
        raise InvalidRequest(
            text="The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    return seconds


def _grant(
    tx: Transaction, wanted: Wanted, row: PrincipalRow, seconds: int, facts: Mapping[str, str]
) -> Granted:
    narrowing = _narrowing(tx, wanted)
    session = Session(
        name=wanted.name,
        unique_id=row.unique_id,
        issued_at=tx.now,
        expires_at=tx.now + seconds * _MICROSECONDS,
        role_arn=str(wanted.role),
        policies=narrowing.policies,
        tags=narrowing.tags,
        facts=facts,
    )
    arn = wanted.role.session_arn(wanted.name)
    return Granted(wanted.role.account_id, arn, session, packed_percent=narrowing.percent)


def _narrowing(tx: Transaction, wanted: Wanted) -> _Narrowing:
    if wanted.policy is not None:
        policy_texts.check(wanted.policy, Kind.IDENTITY, MAX_POLICY, "a session policy")
    for arn in wanted.policy_arns:
        try:
            policies.get_policy(tx, wanted.role.account_id, str(PolicyArn.parse(arn)))
        except NoSuchEntity as error:
            raise InvalidRequest(
                text=f"ARN {arn[:300]} is not that of a policy of the role's account or of AWS"
            ) from error
    own = () if wanted.policy is None else (wanted.policy,)
    narrowing = _Narrowing((*own, *wanted.policy_arns), check_resource_tags(wanted.tags))
    if (narrowing.percent or 0) > 100:
        raise SessionTooLarge(percent=narrowing.percent)
    return narrowing


def _check_wanted(wanted: Wanted) -> None:
    """What needs nothing to be read. Raises ``InvalidRequest``."""
    _check_text("roleSessionName", wanted.name, _NAME)
    if wanted.external_id is not None:
        _check_text("externalId", wanted.external_id, _EXTERNAL_ID)
    if wanted.seconds is not None:
        _check_seconds(wanted.seconds, LONGEST_SESSION)
    if len(wanted.policy_arns) > MAX_POLICY_ARNS:
        raise invalid("policyArns", "Member must have length less than or equal to 10")
    keys = {key.lower() for key, _ in wanted.tags}
    if len(wanted.tags) > MAX_TAGS or len(keys) < len(wanted.tags):
        raise invalid("tags", "Member must have length less than or equal to 50, each key once")


def _check_text(name: str, value: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(value):
        raise invalid(name, f"Member must satisfy regular expression pattern: {form.pattern}")


def _check_seconds(seconds: int, longest: int) -> None:
    if not SHORTEST_SESSION <= seconds <= longest:
        bound = (
            f"greater than or equal to {SHORTEST_SESSION}"
            if seconds < SHORTEST_SESSION
            else f"less than or equal to {longest}"
        )
        raise invalid("durationSeconds", f"Member must have value {bound}")


def invalid(name: str, constraint: str) -> InvalidRequest:
    """STS's sentence for a parameter that fails a constraint."""
    return InvalidRequest(
        text=f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}"
    )
