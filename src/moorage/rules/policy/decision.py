"""The decision over all policies that apply to a request.

An explicit Deny in any of them wins. Otherwise, within one account, the principal's own policies or a policy of the
resource have to allow; across accounts both. A permission boundary and session policies have to allow as well,
except where a policy of the resource in the same account names the user (no boundary needed) or the role session
(neither needed) itself. A policy that names the principal's account only lets that account's own policies decide.
The root of an account may do everything in it that no policy denies.
Source: "Policy evaluation logic" and its pages on one account, on several, and on explicit and implicit denies.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from moorage.rules.policy import actions
from moorage.rules.policy.document import Policy
from moorage.rules.policy.principals import Grade
from moorage.rules.policy.request import PrincipalKind, Request
from moorage.rules.policy.statements import Statement


class Layer(Enum):
    """Where a policy comes from, in the words of AWS's messages."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"
    #: Root needs no policy in its account.
    ROOT = "root"


class Attached(NamedTuple):
    """A policy and the name it goes by in explanations."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Policies:
    """All that applies to a request. ``resource`` and ``registry`` are the repository's and its registry's.

    A session is bounded by ``session`` only if there are any; several of them, and several of ``identity``, add up.
    """

    identity: tuple[Attached, ...] = ()
    boundary: Attached | None = None
    session: tuple[Attached, ...] = ()
    resource: Attached | None = None
    registry: Attached | None = None

    def of_resources(self) -> tuple[Attached, ...]:
        """The repository's and the registry's, as far as there are any."""
        return tuple(one for one in (self.resource, self.registry) if one)


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of it, and by which statement of which policy; by none if nothing allows."""

    is_allowed: bool
    #: What allowed or denied; where nothing did, the layer that would have had to allow.
    layer: Layer
    action: str
    policy: str = ""
    statement: Statement | None = None

    @property
    def reason(self) -> str:
        """The clause that ends AWS's message of a refusal; of what is allowed, why it is."""
        if self.is_allowed:
            return f"allowed {_by(self.layer)}"
        if self.statement:
            return f"with an explicit deny in {_an(self.layer.value)}"
        return f"because no {self.layer.value} allows the {self.action} action"


def _by(layer: Layer) -> str:
    return "as the account's root" if layer is Layer.ROOT else f"by {_an(layer.value)}"


def _an(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


class _Found(NamedTuple):
    """What a layer says: the statement that decides it, and in which policy."""

    layer: Layer
    name: str
    statement: Statement
    grade: Grade


def decide(request: Request, policies: Policies) -> Decision:
    """Whether the principal may."""
    identity = _judge(Layer.IDENTITY, policies.identity, request)
    if identity and not identity.statement.is_allow:
        return _decision(request, identity)
    boundary = _judge(Layer.BOUNDARY, (policies.boundary,), request) if policies.boundary else None
    if boundary and not boundary.statement.is_allow:
        return _decision(request, boundary)
    session = _judge(Layer.SESSION, policies.session, request)
    if session and not session.statement.is_allow:
        return _decision(request, session)
    resource = _judge(Layer.RESOURCE, policies.of_resources(), request)
    if resource and not resource.statement.is_allow:
        return _decision(request, resource)
    if request.action in actions.IDENTITY_ONLY:
        resource = None
    return _weigh(request, policies, identity, boundary, session, resource)


def _judge(layer: Layer, attached: tuple[Attached, ...], request: Request) -> _Found | None:
    """The Deny of any of these policies, else the Allow that grants most, else None."""
    best: _Found | None = None
    for name, policy in attached:
        judged = policy.judge(request)
        if judged is None:
            continue
        statement, grade = judged
        if not statement.is_allow:
            return _Found(layer, name, statement, grade)
        if best is None or grade > best.grade:
            best = _Found(layer, name, statement, grade)
    return best


def _weigh(
    request: Request,
    policies: Policies,
    identity: _Found | None,
    boundary: _Found | None,
    session: _Found | None,
    resource: _Found | None,
) -> Decision:
    """Nothing denies: what has to allow, and does it?"""
    principal = request.principal
    is_home = principal.account_id == request.account_id
    if not principal.account_id:
        return _of_strangers(request, resource)
    if is_home and resource and resource.grade is Grade.DIRECT and _is_enough(principal.kind, policies):
        return _decision(request, resource)
    grants = identity or (resource if is_home and resource and resource.grade >= Grade.GRANTED else None)
    if grants is None and principal.kind is not PrincipalKind.ROOT:
        return Decision(False, Layer.IDENTITY, request.action)
    if policies.boundary and not boundary:
        return Decision(False, Layer.BOUNDARY, request.action)
    if policies.session and not session:
        return Decision(False, Layer.SESSION, request.action)
    if not is_home:
        return _decision(request, resource) if resource else Decision(False, Layer.RESOURCE, request.action)
    return _decision(request, grants) if grants else Decision(True, Layer.ROOT, request.action)


def _is_enough(kind: PrincipalKind, policies: Policies) -> bool:
    """Whether being named itself frees this principal of boundary and session policies."""
    return kind is PrincipalKind.SESSION or not policies.session


def _of_strangers(request: Request, resource: _Found | None) -> Decision:
    """Services, web identities and the anonymous have no policies of their own."""
    return _decision(request, resource) if resource else Decision(False, Layer.RESOURCE, request.action)


def decide_trust(request: Request, policies: Policies) -> Decision:
    """Whether the principal may assume a role, whose own policy, ``policies.resource``, always has to allow it.

    Otherwise as ``decide``: named itself, or by a role or ``*`` in the same account, that is enough; by its account,
    or from another one, the principal's own policies have to allow as well.
    """
    decision = decide(request, policies)
    trust = policies.resource.policy.judge(request) if policies.resource else None
    if decision.is_allowed and trust is None:
        return Decision(False, Layer.TRUST, request.action)
    if decision.layer is Layer.RESOURCE:
        return Decision(decision.is_allowed, Layer.TRUST, decision.action, decision.policy, decision.statement)
    return decision


def _decision(request: Request, found: _Found) -> Decision:
    return Decision(found.statement.is_allow, found.layer, request.action, found.name, found.statement)
