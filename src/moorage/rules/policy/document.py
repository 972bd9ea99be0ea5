"""From the text of a policy to what can be judged by: IAM's grammar, strictly read.

Source: "Grammar of the IAM JSON policy language". Beyond it, an empty list of statements is accepted, as ECR does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from moorage.domain import json_document
from moorage.domain.json_document import JsonInvalid
from moorage.rules import wildcards
from moorage.rules.policy import actions, conditions, patterns
from moorage.rules.policy.invalid import PolicyInvalid
from moorage.rules.policy.principals import DIRECT, Grade, Named, compile_named
from moorage.rules.policy.request import Request
from moorage.rules.policy.statements import Actions, Resources, Statement

__all__ = ["Kind", "Policy", "PolicyInvalid", "parse"]


class Kind(Enum):
    """What a policy is attached to, which decides what it may say."""

    #: Of a user or role; permission boundaries and session policies too. No Principal.
    IDENTITY = "identity"
    #: Of one repository: Principal is needed, Resource is not.
    REPOSITORY = "repository"
    #: Of a registry: Principal and Resource.
    REGISTRY = "registry"
    #: Of a role, who may assume it: Principal, no Resource.
    TRUST = "trust"

    # There is one object of each, and every request looks policies up by text and kind.
    __hash__ = object.__hash__


_ECR: Final = {Kind.REPOSITORY, Kind.REGISTRY}
_VERSIONS: Final = {"2008-10-17", "2012-10-17"}
_POLICY_KEYS: Final = {"Version", "Id", "Statement"}
_STATEMENT_KEYS: Final = {
    *(
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ),
}
_ACTION: Final = re.compile(r"\*|[a-z0-9-]+:[a-z0-9*?]+")
_SID: Final = re.compile(r"[A-Za-z0-9]*")

#: How many actions a policy remembers its statements for; there are fewer, but who asks is not ours to trust.
_MOST_ACTIONS: Final = 256

#: Twice the characters of the longest policies of ECR and of roles.
_LONGEST_KEPT: Final = 20_480

_Chosen = tuple[tuple[Statement, ...], tuple[Statement, ...]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, compiled."""

    kind: Kind
    statements: tuple[Statement, ...]
    #: Whether it can deny anything.
    denies: bool
    _by_action: dict[str, _Chosen] = field(default_factory=dict, compare=False, repr=False)

    def denial(self, request: Request) -> Statement | None:
        """The first Deny that applies."""
        denies, _ = self._by_action.get(request.action) or self._choose(request.action)
        for statement in denies:
            if statement.grade(request):
                return statement
        return None

    def grant(self, request: Request) -> tuple[Statement, Grade] | None:
        """The Allow that applies and means the principal most directly, with how directly that is."""
        _, allows = self._by_action.get(request.action) or self._choose(request.action)
        best: tuple[Statement, Grade] | None = None
        for statement in allows:
            grade = statement.grade(request)
            if grade and (best is None or grade > best[1]):
                best = statement, grade
                if grade is DIRECT:
                    break
        return best

    def _choose(self, action: str) -> _Chosen:
        """The statements that cover an action, Denies and Allows."""
        covering = [one for one in self.statements if one.actions.cover(action.lower())]
        chosen = (
            tuple(one for one in covering if not one.is_allow),
            tuple(one for one in covering if one.is_allow),
        )
        if len(self._by_action) < _MOST_ACTIONS:
            self._by_action[action] = chosen
        return chosen

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """The condition keys as written that are not known, so that what rests on them cannot be judged."""
        written = [one for statement in self.statements for one in statement.conditions if not one.is_known]
        return tuple(dict.fromkeys(condition.key for condition in written))

    @property
    def principal_arns(self) -> frozenset[str]:
        """The users, roles and sessions that it names."""
        named = [statement.principals for statement in self.statements if statement.principals]
        return frozenset().union(*(one.arns for one in named))


def parse(text: str | bytes, kind: Kind) -> Policy:
    """Read a policy; the caller bounds its size. Raises ``PolicyInvalid``.

    The same text is compiled once, if it is no longer than policies with anything to say: what is kept stays small,
    however much white space somebody puts into them.
    """
    return (_kept if len(text) <= _LONGEST_KEPT else _compile)(text, kind)


@lru_cache(maxsize=2048)
def _kept(text: str | bytes, kind: Kind) -> Policy:
    return _compile(text, kind)


def _compile(text: str | bytes, kind: Kind) -> Policy:
    content = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    try:
        members = json_document.load_object(content)
    except JsonInvalid as error:
        raise PolicyInvalid(error.reason) from error
    _check_keys(members, _POLICY_KEYS)
    version = members.get("Version", "2008-10-17")
    if not isinstance(version, str) or version not in _VERSIONS:
        raise PolicyInvalid("the Version is neither 2012-10-17 nor 2008-10-17")
    if not isinstance(members.get("Id", ""), str):
        raise PolicyInvalid("the Id is no text")
    statements = tuple(
        _statement(number, one, kind, with_variables=version == "2012-10-17")
        for number, one in enumerate(_statements(members), start=1)
    )
    if kind is Kind.IDENTITY:
        _check_sids(statements)
    return Policy(kind, statements, not all(statement.is_allow for statement in statements))


def _check_keys(members: dict[str, object], known: set[str]) -> None:
    unknown = set(members) - known
    if unknown:
        raise PolicyInvalid(f"{min(unknown)[:100]!a} has no meaning here")


def _statements(members: dict[str, object]) -> Iterator[dict[str, object]]:
    if "Statement" not in members:
        raise PolicyInvalid("there is no Statement")
    given = members["Statement"]
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict):
            raise PolicyInvalid("a statement is no object")
        yield one


def _check_sids(statements: tuple[Statement, ...]) -> None:
    """In policies of users and roles a Sid is a word, and used once; elsewhere it is any text."""
    sids = [statement.sid for statement in statements if statement.sid]
    if len(set(sids)) < len(sids):
        raise PolicyInvalid("a Sid is used twice")
    for sid in sids:
        if not _SID.fullmatch(sid):
            raise PolicyInvalid(f"the Sid {sid[:100]!a} has characters other than letters and digits")


def _statement(number: int, members: dict[str, object], kind: Kind, *, with_variables: bool) -> Statement:
    _check_keys(members, _STATEMENT_KEYS)
    sid, effect = members.get("Sid", ""), members.get("Effect")
    if not isinstance(sid, str):
        raise PolicyInvalid("a Sid is no text")
    if not isinstance(effect, str) or effect not in {"Allow", "Deny"}:
        raise PolicyInvalid("an Effect is neither Allow nor Deny")
    return Statement(
        number,
        sid,
        effect == "Allow",
        _actions(members, kind),
        _resources(members, kind, with_variables=with_variables),
        _principals(members, kind),
        "NotPrincipal" in members,
        conditions.compile_block(
            members.get("Condition", {}), with_variables=with_variables, with_claims=kind is Kind.TRUST
        ),
    )


def _one_of(members: dict[str, object], name: str) -> str | None:
    """Which of an element and its opposite there is, for there may be one only."""
    found = [one for one in (name, f"Not{name}") if one in members]
    if len(found) > 1:
        raise PolicyInvalid(f"a statement has both {name} and Not{name}")
    return found[0] if found else None


def _texts(members: dict[str, object], name: str) -> list[str]:
    value = members[name]
    given: list[object] = value if isinstance(value, list) else [value]
    texts = [text for text in given if isinstance(text, str)]
    if not texts or len(texts) < len(given):
        raise PolicyInvalid(f"{name} is neither a text nor a list of some")
    return texts


def _actions(members: dict[str, object], kind: Kind) -> Actions:
    name = _one_of(members, "Action")
    if name is None:
        raise PolicyInvalid("a statement has no Action")
    written = _texts(members, name)
    for text in written:
        _check_action(text, kind)
    texts = [text.lower() for text in written]
    with_wildcards = tuple(text for text in texts if "*" in text or "?" in text)
    return Actions(frozenset(texts) - {*with_wildcards}, with_wildcards, name == "NotAction")


def _check_action(text: str, kind: Kind) -> None:
    """Of ECR's own policies, each action has to mean one of ECR's."""
    lowered = text.lower()
    is_known = kind not in _ECR or any(
        wildcards.matches(lowered, action, question_mark=True) for action in actions.LOWERED
    )
    if not _ACTION.fullmatch(lowered) or not is_known:
        raise PolicyInvalid(f"there is no action {text[:100]!a}")


def _resources(members: dict[str, object], kind: Kind, *, with_variables: bool) -> Resources | None:
    name = _one_of(members, "Resource")
    if name is None:
        if kind in {Kind.IDENTITY, Kind.REGISTRY}:
            raise PolicyInvalid("a statement has no Resource")
        return None
    if kind is Kind.TRUST:
        raise PolicyInvalid(f"the policy of a role has no {name}")
    matches = [patterns.resource(text, with_variables=with_variables) for text in _texts(members, name)]
    return Resources(tuple(matches), name == "NotResource")


def _principals(members: dict[str, object], kind: Kind) -> Named | None:
    name = _one_of(members, "Principal")
    if kind is Kind.IDENTITY:
        if name:
            raise PolicyInvalid(f"the policy of a user or role has no {name}")
        return None
    if name is None:
        raise PolicyInvalid("a statement has no Principal")
    return compile_named(members[name])
