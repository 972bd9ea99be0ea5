"""How the commands' changes are told to the audit: as calls of IAM, by whoever typed them.

Names, parameters and answers are those of the IAM API and of CloudTrail's records of it; what IAM has no action for is
named here (docs/audit.md).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from moorage.domain import audit
from moorage.domain.arn import RepositoryArn
from moorage.domain.audit import Elements, Note
from moorage.domain.caller import RegistryKey
from moorage.domain.iam import PrincipalKind
from moorage.domain.names import RepositoryName
from moorage.services import operators

Result = TypeVar("Result")

NOTHING: Final[Elements] = {}


def _nothing(_result: object) -> Elements:
    return NOTHING


@dataclass(frozen=True)
class Change(Generic[Result]):
    """One change, before it is made. ``parameters`` may hold no secret.

    ``answer`` makes the record's response elements of what the use case returns, ``learned`` further parameters that are
    only known by then. ``region`` and ``repository`` are given where it is about one.
    """

    event: str
    parameters: Mapping[str, Any]
    answer: Callable[[Result], Elements] = field(default=_nothing)
    learned: Callable[[Result], Elements] = field(default=_nothing)
    source: str = audit.IAM
    region: str = ""
    repository: RepositoryName | None = None

    def note(self, registry: RegistryKey) -> Note:
        """What is known of it so far; ``registry`` is the account that it is made in, and the server's own region."""
        where = RegistryKey(registry.registry_id, self.region or registry.region)
        note = operators.note(self.event, self.source, where, **self.parameters)
        if self.repository is not None:
            note.repositories = [RepositoryArn(where.region, where.registry_id, self.repository)]
        return note


def named(kind: PrincipalKind, name: str, /, **more: Any) -> dict[str, Any]:
    """Parameters of a call about a user or role."""
    return {f"{kind}Name": name, **more}


def tagged(pairs: Iterable[tuple[str, str]]) -> list[Elements]:
    """Tags as IAM's requests have them."""
    return [{"key": key, "value": value} for key, value in pairs]


def shown(document: Mapping[str, Any]) -> Elements:
    """An answer of ``cli.answers`` with its members named as CloudTrail names them; policies stay what they are."""
    return {
        _small(name): value if name.endswith("Document") else _shown(value) for name, value in document.items()
    }


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return shown(value)
    return [_shown(one) for one in value] if isinstance(value, list) else value


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
