"""How a decision came about, statement by statement: for people, and slower than the decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from moorage.rules.policy.decision import Attached, Layer, Policies
from moorage.rules.policy.request import Request
from moorage.rules.policy.statements import Obstacle, Statement

#: Condition keys that are missing only where nobody has made the request.
_OF_EVERY_REQUEST: Final = ("aws:SourceIp", "aws:UserAgent")
_LOWERED: Final = frozenset(map(str.lower, _OF_EVERY_REQUEST))


@dataclass(frozen=True, slots=True)
class Line:
    """One statement and what it came to.

    ``unmet`` are its conditions that were not met, operator and key; ``unknown`` the keys, as written, that there are
    not, where what it came to rests on them.
    """

    layer: Layer
    policy: str
    statement: str
    effect: str
    obstacle: Obstacle | None
    unmet: tuple[str, ...]
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        applies = "applies" if self.obstacle is None else f"does not apply: {self.obstacle.value}"
        unmet = f" ({', '.join(self.unmet)})" if self.unmet else ""
        return (
            f"{self.layer.value} {self.policy}, {self.effect} {self.statement}: {applies}{unmet}{self._doubt()}"
        )

    def _doubt(self) -> str:
        """That it was not judged by what its author meant."""
        if not self.unknown:
            return ""
        outcome = f"so the {self.effect} {'applies' if self.obstacle is None else 'does not'}"
        return f"; there is no such condition key: {', '.join(self.unknown)} cannot be judged, {outcome}"


def explain(request: Request, policies: Policies) -> list[Line]:
    """Every statement of every policy that was looked at, in order."""
    return [line for layer, attached in policies.by_layer() for line in _lines(layer, attached, request)]


def not_given(request: Request, policies: Policies) -> tuple[str, ...]:
    """The keys that every real request has and this one has not, where a statement waits for no other thing."""
    return tuple(
        key
        for key in _OF_EVERY_REQUEST
        if not request.values(key.lower())
        and any(
            _waits_for(key.lower(), statement, request)
            for _, attached in policies.by_layer()
            for statement in attached.policy.statements
        )
    )


def _waits_for(name: str, statement: Statement, request: Request) -> bool:
    """Whether it is this key that decides about a statement, which otherwise could apply."""
    if statement.obstacle(request) not in {None, Obstacle.CONDITION}:
        return False
    others = [one for one in statement.conditions if one.name not in _LOWERED]
    # What cannot be judged keeps an Allow from applying, whatever else there is.
    hopeless = {False, None} if statement.is_allow else {False}
    is_asked = any(one.name == name for one in statement.conditions)
    return is_asked and not any(one.holds(request) in hopeless for one in others)


def _lines(layer: Layer, attached: Attached, request: Request) -> Iterator[Line]:
    for statement in attached.policy.statements:
        obstacle = statement.obstacle(request)
        unmet = statement.unmet(request) if obstacle is Obstacle.CONDITION else ()
        # Of a Deny that applies all conditions count; of one that does not, another condition than these decided.
        resting = statement.conditions if obstacle is None else unmet
        yield Line(
            layer,
            attached.name,
            statement.label,
            "Allow" if statement.is_allow else "Deny",
            obstacle,
            tuple(f"{condition.operator} {condition.key}" for condition in unmet),
            tuple(dict.fromkeys(condition.key for condition in resting if not condition.is_known)),
        )
