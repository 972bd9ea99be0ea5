"""One statement of a policy against one request."""

from dataclasses import dataclass
from enum import Enum

from moorage.rules import wildcards
from moorage.rules.policy.conditions import Condition, Presence
from moorage.rules.policy.patterns import Match
from moorage.rules.policy.principals import DIRECT, GRANTED, NOT, Grade, Named
from moorage.rules.policy.request import Request


class Obstacle(Enum):
    """Why a statement does not apply: the first thing that does not fit."""

    ACTION = "another action"
    PRINCIPAL = "another principal"
    RESOURCE = "another resource"
    CONDITION = "a condition is not met"


@dataclass(frozen=True, slots=True)
class Actions:
    """Action or, negated, NotAction: patterns in small letters."""

    names: frozenset[str]
    patterns: tuple[str, ...]
    is_negated: bool

    def cover(self, action: str) -> bool:
        """Whether the element means an action, given in small letters."""
        found = action in self.names or any(
            wildcards.matches(pattern, action, question_mark=True) for pattern in self.patterns
        )
        return found is not self.is_negated


@dataclass(frozen=True, slots=True)
class Resources:
    """Resource or, negated, NotResource."""

    matches: tuple[Match, ...]
    is_negated: bool

    def cover(self, request: Request, *, in_allow: bool) -> bool:
        """Whether the element means the request's resource.

        A pattern whose variable has no value matches nothing; an Allow of everything but such a pattern allows
        nothing, as that exception cannot be told.
        """
        is_open = False
        for match in self.matches:
            found = match(request.resource, request)
            if found:
                return not self.is_negated
            is_open = is_open or found is None
        return self.is_negated and not (is_open and in_allow)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, compiled. ``number`` counts from one; ``sid`` may be empty."""

    number: int
    sid: str
    is_allow: bool
    actions: Actions
    #: None covers every resource, as in a policy that belongs to one.
    resources: Resources | None
    #: None means whoever the policy is attached to.
    principals: Named | None
    excludes_principals: bool
    conditions: tuple[Condition | Presence, ...]

    @property
    def label(self) -> str:
        """Its Sid, or its place."""
        return self.sid or f"#{self.number}"

    def grade(self, request: Request) -> Grade:
        """How far it applies to a request for an action that it covers; NOT if it does not."""
        grade = DIRECT if self.principals is None else self._grade(request, self.principals)
        if not grade or (self.resources and not self.resources.cover(request, in_allow=self.is_allow)):
            return NOT
        for condition in self.conditions:
            holds = condition.holds(request)
            # What cannot be told counts against whoever asks.
            if not holds and (self.is_allow or holds is not None):
                return NOT
        return grade

    def _grade(self, request: Request, named: Named) -> Grade:
        if not self.excludes_principals:
            return named.grade(request.principal)
        excepted = named.excepts(request.principal, from_deny=not self.is_allow)
        return NOT if excepted else GRANTED

    def obstacle(self, request: Request) -> Obstacle | None:
        """Why it does not apply to a request, or None if it does."""
        if not self.actions.cover(request.action.lower()):
            return Obstacle.ACTION
        if self.principals is not None and not self._grade(request, self.principals):
            return Obstacle.PRINCIPAL
        if self.resources and not self.resources.cover(request, in_allow=self.is_allow):
            return Obstacle.RESOURCE
        return None if self.grade(request) else Obstacle.CONDITION

    def unmet(self, request: Request) -> tuple[Condition | Presence, ...]:
        """The conditions that keep it from applying."""
        wanted = {True} if self.is_allow else {True, None}
        return tuple(condition for condition in self.conditions if condition.holds(request) not in wanted)
