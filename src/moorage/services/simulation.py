"""What the policies would say to a request that nobody makes: for people who want to know why.

Keys, tokens and whether an account is switched on are not asked: whose request it is is taken as given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import ANONYMOUS, Caller, RegistryKey, RequestFacts, Session
from moorage.domain.errors import ArnInvalid, InvalidRequest, NoSuchEntity, RepositoryNameInvalid
from moorage.domain.iam import principal_arn
from moorage.domain.names import RegistryId, RepositoryName
from moorage.metadata import asked, principals
from moorage.metadata.accounts import KeyState
from moorage.metadata.principals import PrincipalRow
from moorage.metadata.transaction import Transaction
from moorage.rules.policy import actions
from moorage.rules.policy.decision import Decision
from moorage.rules.policy.explanation import Line, explain, not_given
from moorage.services import access

#: The name of the session that a role is simulated in.
_SESSION_NAME: Final = "simulation"
#: The server's own setting may be another, from its environment or file.
_CLOSED: Final = "because pulls without credentials are off: anonymous_pull, as this command finds it set"
_ACTIONS: Final = {f"ecr:{name}".lower(): f"ecr:{name}" for name in actions.NAMES}


@dataclass(frozen=True, slots=True)
class Simulation:
    """The decision, what was asked as it was understood, and every statement that was looked at."""

    principal: str
    action: str
    resource: str
    decision: Decision
    lines: list[Line]
    #: Condition keys that were not given, though every real request has them, and that statements ask for.
    not_given: tuple[str, ...]
    #: Whether the repository is there; None where none is named.
    resource_exists: bool | None
    #: Whether it comes without credentials where that is off, so that it is denied though policies allow it.
    is_closed: bool = False

    @property
    def is_allowed(self) -> bool:
        """What would come of it."""
        return self.decision.is_allowed and not self.is_closed

    @property
    def reason(self) -> str:
        """Why, as the clause that ends a refusal."""
        return _CLOSED if self.is_closed else self.decision.reason


def simulate(
    tx: Transaction,
    account_id: RegistryId,
    principal: str,
    action: str,
    resource: str,
    context: Mapping[str, str],
) -> Simulation:
    """Decide on a request of a principal: ``root``, ``user/NAME``, ``role/NAME`` of the account, an ARN of any of
    these, or ``anonymous``.

    ``resource`` is a repository by its name or ARN, or ``*``; ``context`` are condition keys, in small letters, that the
    request has.
    Raises ``NoSuchEntity`` for the principal, ``InvalidRequest`` for whatever cannot be understood.
    """
    name_of_action = _read_action(action)
    registry, name = _read_resource(tx, account_id, resource)
    row = None if principal == ANONYMOUS else _find(tx, account_id, principal)
    caller = _caller(tx, row, registry)
    standing = asked.ask_repository(tx, caller, registry, name or "").standing._replace(key=_key(row))
    about = {key: (value,) for key, value in context.items()}
    question = access.question(tx, standing, caller, name_of_action, registry, name, about)
    decision = access.decide_on(question, caller)
    is_closed = caller.is_anonymous and decision.is_allowed and not tx.settings.anonymous_pull
    lines = explain(question.request, question.policies)
    missing = not_given(question.request, question.policies)
    exists = None if name is None else standing.repository_id is not None
    arn = caller.principal_arn
    resource_arn = question.request.resource
    return Simulation(arn, name_of_action, resource_arn, decision, lines, missing, exists, is_closed)


def _read_action(action: str) -> str:
    found = _ACTIONS.get(action.lower())
    if found is not None:
        return found
    text = f"There is no action {action[:100]!a} of ECR"
    if action.lower().startswith("sts:"):
        raise InvalidRequest(text=f"{text}; who may assume a role, which trust policies say, is not simulated")
    near = actions.nearest(action[:100])
    raise InvalidRequest(text=f"{text}; did you mean {' or '.join(near)}?" if near else text)


def _read_resource(
    tx: Transaction, account_id: RegistryId, resource: str
) -> tuple[RegistryKey, RepositoryName | None]:
    default = RegistryKey(account_id, tx.settings.region)
    if resource == "*":
        return default, None
    try:
        if not resource.startswith("arn:"):
            return default, RepositoryName.parse(resource)
        arn = RepositoryArn.parse(resource)
    except (ArnInvalid, RepositoryNameInvalid) as error:
        raise InvalidRequest(text=f"{resource[:300]!a} is neither a repository nor *") from error
    return RegistryKey(arn.registry_id, arn.region), arn.repository_name


def _find(tx: Transaction, account_id: RegistryId, principal: str) -> PrincipalRow:
    account, resource = str(account_id), principal
    if principal.startswith("arn:"):
        parts = principal.split(":", 5)
        account, resource = (parts[4], parts[5]) if len(parts) == 6 else ("", "")
    kind, _, rest = resource.partition("/")
    name = rest.rpartition("/")[2] or kind
    if kind == "assumed-role":
        kind, name = "role", rest.partition("/")[0]
    row = principals.find_principal(tx, account, kind, name)
    if row is None:
        raise NoSuchEntity(kind="principal", name=principal[:300])
    return row


def _key(row: PrincipalRow | None) -> KeyState | None:
    if row is None:
        return None
    return KeyState(row.account_id, row.kind, 1, 1, row.id, row.policy_epoch, row.unique_id, 0)


def _caller(tx: Transaction, row: PrincipalRow | None, registry: RegistryKey) -> Caller:
    """Whoever it is, asking now and without any network; a role asks in a session."""
    facts = RequestFacts("", "json", "", is_tls=True, user_agent="", received_at=tx.now)
    if row is None:
        return Caller(ANONYMOUS, ANONYMOUS, "", registry.region, facts)
    account, arn = RegistryId(row.account_id), principal_arn(row.account_id, row.kind, row.path, row.name)
    if row.kind != "role":
        return Caller(account, arn, "", registry.region, facts, unique_id=row.unique_id)
    session = Session(_SESSION_NAME, tx.now, tx.now, arn, unique_id=row.unique_id)
    in_session = f"arn:aws:sts::{account}:assumed-role/{row.name}/{_SESSION_NAME}"
    return Caller(account, in_session, "", registry.region, facts, session=session, unique_id=row.unique_id)
