"""How the commands' changes are told to the audit: as calls of IAM, by whoever typed them.

Names, parameters and answers are those of the IAM API and of CloudTrail's records of it; what IAM has no action for is
named here (docs/audit.md).
"""

import os
import pwd
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import moorage
from moorage.domain import audit
from moorage.domain.audit import Elements, Note, Operator
from moorage.domain.caller import RegistryKey, RequestFacts
from moorage.domain.iam import PrincipalKind

Result = TypeVar("Result")

#: AWS keeps accounts in this service.
ORGANIZATIONS: Final = "organizations.amazonaws.com"

NOTHING: Final[Elements] = {}


def _nothing(_result: object) -> Elements:
    return NOTHING


@dataclass(frozen=True)
class Change(Generic[Result]):
    """One change, before it is made. ``parameters`` may hold no secret.

    ``answer`` makes the record's response elements of what the use case returns, ``learned`` further parameters that are
    only known by then. ``region`` is given where it is about one.
    """

    event: str
    parameters: Mapping[str, Any]
    answer: Callable[[Result], Elements] = field(default=_nothing)
    learned: Callable[[Result], Elements] = field(default=_nothing)
    source: str = audit.IAM
    region: str = ""

    def note(self, registry: RegistryKey) -> Note:
        """What is known of it so far; ``registry`` is the account that it is made in, and the server's own region."""
        now = time.time_ns() // 1000
        agent = f"moorage/{moorage.__version__}"
        facts = RequestFacts(str(uuid.uuid4()), "json", socket.gethostname(), False, agent, now)
        where = RegistryKey(registry.registry_id, self.region or registry.region)
        note = Note(facts, self.event, self.source, operator=operator(), registry=where)
        note.add(**self.parameters)
        return note


def operator() -> Operator:
    """Who runs this command, as the system knows them: variables of the environment prove nothing."""
    user_id = os.getuid()
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:  # In a container, say.
        name = str(user_id)
    return Operator(name, f"uid:{user_id}")


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
