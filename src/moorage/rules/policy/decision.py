"""The decision over all policies that apply to a request.

An explicit Deny in any of them wins. Otherwise, within one account, the principal's own policies or a policy of the
resource have to allow; across accounts both. A permission boundary and session policies have to allow as well,
except where a policy of the resource in the same account names the user (no boundary needed) or the role session
(neither needed) itself. A policy that names the principal's account only lets that account's own policies decide.
The root of an account may do everything in it that no policy denies.
Source: "Policy evaluation logic" and its pages on one account, on several, and on explicit and implicit denies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from moorage.rules.policy import actions
from moorage.rules.policy.document import Policy
from moorage.rules.policy.principals import ACCOUNT, DIRECT, Grade
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


# Looked up by every request; members of an enumeration take long to look up.
_IDENTITY: Final = Layer.IDENTITY
_BOUNDARY: Final = Layer.BOUNDARY
_SESSION: Final = Layer.SESSION
_RESOURCE: Final = Layer.RESOURCE


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

    def by_layer(self) -> list[tuple[Layer, Attached]]:
        """Each policy with the layer that it belongs to."""
        found = [(_IDENTITY, one) for one in self.identity]
        if self.boundary:
            found.append((_BOUNDARY, self.boundary))
        if self.session:
            found += [(_SESSION, one) for one in self.session]
        if self.resource:
            found.append((_RESOURCE, self.resource))
        if self.registry:
            found.append((_RESOURCE, self.registry))
        return found


class Decision(NamedTuple):
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


class _Grant(NamedTuple):
    """What a layer allows: by which statement of which policy, and how directly."""

    name: str
    statement: Statement
    grade: Grade


def decide(request: Request, policies: Policies) -> Decision:
    """Whether the principal may."""
    for layer, (name, policy) in policies.by_layer():
        if policy.denies:
            denial = policy.denial(request)
            if denial is not None:
                return Decision(False, layer, request.action, name, denial)
    return _weigh(request, policies)


def _weigh(request: Request, policies: Policies) -> Decision:
    """Nothing denies: what has to allow, and does it? Nothing is looked for that does not matter."""
    principal = request.principal
    if not principal.account_id:
        # Services, web identities and the anonymous have no policies of their own.
        return _decision(request, _RESOURCE, _grant_of_resources(request, policies))
    is_home = principal.account_id == request.account_id
    own = _best(policies.identity, request)
    if is_home and own and not policies.boundary and not policies.session:
        return _decision(request, _IDENTITY, own)
    resource = _grant_of_resources(request, policies)
    if is_home and resource and resource.grade is DIRECT and _is_enough(principal.kind, policies):
        return _decision(request, _RESOURCE, resource)
    if not own and principal.kind is not PrincipalKind.ROOT and not (is_home and _is_granted(resource)):
        return _decision(request, _IDENTITY, None)
    if policies.boundary and not policies.boundary.policy.grant(request):
        return _decision(request, _BOUNDARY, None)
    if policies.session and not _best(policies.session, request):
        return _decision(request, _SESSION, None)
    if not is_home or (_is_granted(resource) and not own):
        return _decision(request, _RESOURCE, resource)
    return _decision(request, _IDENTITY, own) if own else Decision(True, Layer.ROOT, request.action)


def _grant_of_resources(request: Request, policies: Policies) -> _Grant | None:
    """The most direct grant of the repository's and the registry's policies."""
    if request.action in actions.IDENTITY_ONLY:
        return None
    return _best([one for one in (policies.resource, policies.registry) if one], request)


def _best(attached: Sequence[Attached], request: Request) -> _Grant | None:
    """The most direct grant of these policies."""
    best: _Grant | None = None
    for name, policy in attached:
        granted = policy.grant(request)
        if granted and (best is None or granted[1] > best.grade):
            best = _Grant(name, *granted)
            if best.grade is DIRECT:
                break
    return best


def _is_granted(resource: _Grant | None) -> bool:
    """Whether a policy of the resource means more than the account of the principal."""
    return resource is not None and resource.grade is not ACCOUNT


def _is_enough(kind: PrincipalKind, policies: Policies) -> bool:
    """Whether being named itself frees this principal of boundary and session policies."""
    return kind is PrincipalKind.SESSION or not policies.session


def _decision(request: Request, layer: Layer, grant: _Grant | None) -> Decision:
    """What this layer comes to: allowed by the grant, or denied for want of one."""
    if grant is None:
        return Decision(False, layer, request.action)
    return Decision(True, layer, request.action, grant.name, grant.statement)


def decide_trust(request: Request, policies: Policies) -> Decision:
    """Whether the principal may assume a role, whose own policy, ``policies.resource``, always has to allow it.

    Otherwise as ``decide``: named itself, or by a role or ``*`` in the same account, that is enough; by its account,
    or from another one, the principal's own policies have to allow as well.
    """
    decision = decide(request, policies)
    trust = policies.resource.policy.grant(request) if policies.resource else None
    if decision.is_allowed and trust is None:
        return Decision(False, Layer.TRUST, request.action)
    if decision.layer is Layer.RESOURCE:
        return Decision(decision.is_allowed, Layer.TRUST, decision.action, decision.policy, decision.statement)
    return decision
