"""What should come of a request, by the slow evaluator of the policy engine's own tests; nothing here asks the product."""

from dataclasses import dataclass, field
from typing import Any

from tests.unit.rules.policy.reference import Question, answer

Json = dict[str, Any]

#: The only actions that a registry's policy of the first scope is about.
NARROW = {"ecr:ReplicateImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"}


@dataclass(frozen=True)
class Who:
    """Who asks: the ways in which a policy may call them, what condition keys say, and their own policies."""

    name: str
    names: dict[str, str]
    keys: dict[str, list[str]]
    identity: list[Json] = field(default_factory=list)
    boundary: Json | None = None
    session: list[Json] = field(default_factory=list)
    #: Whether their credentials are good at all.
    is_somebody: bool = True

    @property
    def is_anonymous(self) -> bool:
        """Whether they show nothing."""
        return "account" not in self.names


@dataclass(frozen=True)
class World:
    """The policies of the repositories, by name, and of their registry."""

    name: str
    repositories: dict[str, Json] = field(default_factory=dict)
    registry: Json | None = None
    is_narrow: bool = False


@dataclass(frozen=True)
class Asked:
    """An action on a repository by name, or on none, with the condition keys that the operation brings along."""

    action: str
    resource: str
    repository: str | None
    keys: dict[str, list[str]] = field(default_factory=dict)


def is_allowed(who: Who, world: World, asked: Asked, owner: str, facts: dict[str, list[str]]) -> bool:
    """Whether it should be let through."""
    if not who.is_somebody:
        return False
    of_repository = [world.repositories[asked.repository]] if asked.repository in world.repositories else []
    has_registry = world.registry and (asked.action in NARROW or not world.is_narrow)
    of_registry = [world.registry] if has_registry and world.registry else []
    ways = [[*of_repository, *of_registry]]
    if who.is_anonymous:
        # A registry's policy never opens anything to everybody.
        ways.append(of_repository)
    return all(answer(_question(who, asked, owner, facts, resources)) for resources in ways)


def _question(
    who: Who, asked: Asked, owner: str, facts: dict[str, list[str]], resources: list[Json]
) -> Question:
    return Question(
        names=who.names,
        context=facts | who.keys | asked.keys,
        action=asked.action,
        resource=asked.resource,
        owner=owner,
        identity=who.identity,
        boundary=who.boundary,
        session=who.session,
        resources=resources,
    )
