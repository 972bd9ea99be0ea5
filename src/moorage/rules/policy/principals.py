"""The elements Principal and NotPrincipal, and how far whoever asks is meant by them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from moorage.rules.policy.invalid import PolicyInvalid
from moorage.rules.policy.request import Principal, PrincipalKind

_ROOT: Final = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")
_IDENTITY: Final = re.compile(
    r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:user|role)/[!-)+->@-~]+"
    r"|sts::[0-9]{12}:(?:assumed-role/[\w+=,.@-]+/[\w+=,.@-]+|federated-user/[\w+=,.@-]+))",
    re.ASCII,
)
_SERVICE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_FEDERATED: Final = re.compile(r"[!-)+->@-~]{1,512}")
_KINDS: Final = ("AWS", "Service", "Federated")


class Grade(IntEnum):
    """How far a statement means whoever asks; what is allowed to the one is not always allowed to the other."""

    NOT = 0
    #: The account is meant: it may, and its own policies have to say who in it.
    ACCOUNT = 1
    #: Everybody, or the role of the session: allowed, within permission boundary and session policies.
    GRANTED = 2
    #: The user or the session itself: neither a boundary nor a session policy has to allow it as well.
    DIRECT = 3


# Members of an enumeration take ten times as long to look up as names of a module, which every request would feel.
NOT: Final = Grade.NOT
ACCOUNT: Final = Grade.ACCOUNT
GRANTED: Final = Grade.GRANTED
DIRECT: Final = Grade.DIRECT
_ROOT_KIND: Final = PrincipalKind.ROOT


@dataclass(frozen=True, slots=True)
class Named:
    """Whom an element names: everybody, accounts by number, identities by ARN, services, federated providers."""

    is_everybody: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    services: frozenset[str]
    federated: frozenset[str]

    def grade(self, principal: Principal) -> Grade:
        """How far Principal with these names means the one who asks."""
        if principal.arn in self.arns:
            return DIRECT
        account = principal.account_id
        if not account:
            return self._grade_stranger(principal)
        if account in self.accounts and principal.kind is _ROOT_KIND:
            return DIRECT
        if self.is_everybody or principal.role_arn in self.arns:
            return GRANTED
        return ACCOUNT if account in self.accounts else NOT

    def _grade_stranger(self, principal: Principal) -> Grade:
        """Services, web identities and the anonymous belong to no account."""
        names = {PrincipalKind.SERVICE: self.services, PrincipalKind.WEB_IDENTITY: self.federated}
        if principal.arn in names.get(principal.kind, ()):
            return DIRECT
        return GRANTED if self.is_everybody else NOT

    def excepts(self, principal: Principal, *, from_deny: bool) -> bool:
        """Whether NotPrincipal with these names leaves out the one who asks.

        From an Allow it leaves out whomever Principal would mean. From a Deny only who is named itself: an account
        there is its root alone, as in AWS, where a user and its account have to be named.
        """
        grade = self.grade(principal)
        return grade > ACCOUNT if from_deny else grade > NOT


def compile_named(value: object) -> Named:
    """Read Principal or NotPrincipal. Raises ``PolicyInvalid``."""
    if value == "*":
        value = {"AWS": "*"}
    if not isinstance(value, dict) or not value:
        raise PolicyInvalid("a principal is * or an object of AWS, Service and Federated")
    unknown = set(value) - {*_KINDS}
    if unknown:
        raise PolicyInvalid(f"there is no kind of principal {min(unknown)[:100]!a}")
    given = {kind: list(_texts(value[kind])) for kind in _KINDS if kind in value}
    aws = [text for text in given.get("AWS", []) if text != "*"]
    accounts = {text: _account(text) for text in aws}
    return Named(
        is_everybody="*" in given.get("AWS", []),
        accounts=frozenset(account for account in accounts.values() if account),
        arns=frozenset(_check(_IDENTITY, text) for text, account in accounts.items() if not account),
        services=frozenset(_check(_SERVICE, text) for text in given.get("Service", [])),
        federated=frozenset(_check(_FEDERATED, text) for text in given.get("Federated", [])),
    )


def _texts(value: object) -> Iterator[str]:
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise PolicyInvalid("a list of principals is empty")
    for text in texts:
        if not isinstance(text, str):
            raise PolicyInvalid("a principal is no text")
        yield text


def _account(text: str) -> str:
    """The number of the account that is named by it or by the ARN of its root; empty for anything else."""
    if len(text) == 12 and text.isascii() and text.isdigit():
        return text
    found = _ROOT.fullmatch(text)
    return found[1] if found else ""


def _check(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise PolicyInvalid(f"there is no principal {text[:100]!a}")
    return text
