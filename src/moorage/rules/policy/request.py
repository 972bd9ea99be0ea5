"""What is asked of the policies: who, which action, on what, under which circumstances."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol


class PrincipalKind(Enum):
    """What asks, in the words of ``aws:PrincipalType``."""

    ROOT = "Account"
    USER = "User"
    SESSION = "AssumedRole"
    SERVICE = "Service"
    WEB_IDENTITY = "FederatedUser"
    ANONYMOUS = "Anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    ``arn`` is the account's root, the user's, or the role session's (``arn:aws:sts::…:assumed-role/role/session``,
    whose role is ``role_arn``); for a web identity it is its provider, for a service its host name, and ``*`` for
    anonymous. ``user_id`` is what ``aws:userid`` says; ``account_id`` is empty for whoever has none.
    """

    kind: PrincipalKind
    arn: str
    account_id: str = ""
    user_id: str = ""
    role_arn: str = ""


#: Whoever proves nothing.
ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "*", user_id="anonymous")


class Context(Protocol):
    """The condition keys of a request, asked for one by one, so that only what a policy needs is computed.

    Keys are in small letters: ``aws:sourceip``, ``aws:resourcetag/team``. The keys of the principal itself
    (``aws:principalarn``, ``-account``, ``-type``, ``aws:userid``, ``aws:username``) are not asked for. A ``dict``
    will do.
    """

    def get(self, key: str, /) -> tuple[str, ...] | None:
        """The values of the key, or None if the request has it not. No value at all is like not having it."""


class Request(NamedTuple):
    """One action on one resource.

    ``action`` is written as AWS writes it, ``resource`` an ARN, or ``*`` for actions that have none; ``account_id``
    is the account that owns the resource.
    """

    principal: Principal
    action: str
    resource: str
    account_id: str
    context: Context

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key in small letters; None or none if the request has it not."""
        about_principal = _ABOUT_PRINCIPAL.get(key)
        if about_principal is None:
            return self.context.get(key)
        value = about_principal(self.principal)
        return (value,) if value else None


def is_about_principal(key: str) -> bool:
    """Whether a condition key in small letters is told by who asks, and by nothing else."""
    return key in _ABOUT_PRINCIPAL


def _principal_arn(principal: Principal) -> str:
    """A session goes by its role, as in AWS."""
    if principal.kind is PrincipalKind.SESSION:
        return principal.role_arn
    return principal.arn if principal.kind in {PrincipalKind.ROOT, PrincipalKind.USER} else ""


def _username(principal: Principal) -> str:
    """Only users have a name; it is what follows their path."""
    return principal.arn.rpartition("/")[2] if principal.kind is PrincipalKind.USER else ""


_ABOUT_PRINCIPAL = {
    "aws:principalarn": _principal_arn,
    "aws:principalaccount": lambda principal: principal.account_id,
    "aws:principaltype": lambda principal: principal.kind.value,
    "aws:userid": lambda principal: principal.user_id,
    "aws:username": _username,
}
