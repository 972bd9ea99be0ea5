"""The condition keys of a request, each told when a policy asks for it."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from moorage.domain.caller import Caller, RegistryKey, RequestFacts, Session
from moorage.metadata import repositories
from moorage.metadata.transaction import Transaction
from moorage.services import applied
from moorage.services.applied import Identity, Tags


class TimeMatters(Exception):
    """What was decided for good would depend on the time (``Caller.is_lasting``)."""


class RequestContext:
    """``rules.policy.request.Context`` of one request.

    ``about`` are the keys that the operation brought along. The tags of the repository are read when they are asked
    for, in the request's own transaction.
    """

    __slots__ = ("_about", "_caller", "_identity", "_registry", "_repository_id", "_tags", "_tx", "asked")

    def __init__(
        self,
        tx: Transaction,
        caller: Caller,
        registry: RegistryKey,
        repository_id: int | None,
        about: Mapping[str, tuple[str, ...]],
        identity: Identity | None,
    ) -> None:
        self._tx = tx
        self._caller = caller
        self._registry = registry
        self._repository_id = repository_id
        self._about = about
        self._identity = identity
        self._tags: Tags | None = None
        #: Keys that somebody wanted to know.
        self.asked: set[str] = set()

    def get(self, key: str, /) -> tuple[str, ...] | None:
        """See ``Context``."""
        self.asked.add(key)
        found = self._about.get(key)
        if found is not None:
            return found
        family, slash, tag = key.partition("/")
        if not slash:
            return self._of_session(key) if key not in _FACTS else self._of_request(key)
        if family == "aws:principaltag":
            return None if self._identity is None else self._identity.tags.get(tag)
        return self._resource_tags().get(tag) if family in _RESOURCE_TAGS else None

    def _of_request(self, key: str) -> tuple[str, ...] | None:
        caller = self._caller
        if key in _OF_TIME and caller.is_lasting:
            raise TimeMatters
        return _given(_FACTS[key](caller.request, self._registry.region, caller.session))

    def _of_session(self, key: str) -> tuple[str, ...] | None:
        """What a session was given when it began."""
        session = self._caller.session
        return None if session is None else _given(session.facts.get(key, ""))

    def _resource_tags(self) -> Tags:
        if self._tags is None:
            found = (
                {}
                if self._repository_id is None
                else repositories.list_resource_tags(self._tx, self._repository_id)
            )
            self._tags = applied.by_small_letters(found)
        return self._tags


def circumstances(facts: RequestFacts, region: str, session: Session | None) -> dict[str, tuple[str, ...]]:
    """What is known of a request whoever makes it, and since when its session lasts; ``region`` is the one asked."""
    told = {key: tell(facts, region, session) for key, tell in _FACTS.items()}
    return {key: (value,) for key, value in told.items() if value}


def iso(micros: int) -> str:
    """A time in microseconds as IAM writes times, to the second."""
    return dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _given(text: str) -> tuple[str, ...] | None:
    return (text,) if text else None


_RESOURCE_TAGS: Final = frozenset({"aws:resourcetag", "ecr:resourcetag"})
_OF_TIME: Final = frozenset({"aws:currenttime", "aws:epochtime"})
#: What each key says of a request to a region in a session; nothing is said by an empty text. Times are to the second.
_FACTS: Final[Mapping[str, Callable[[RequestFacts, str, Session | None], str]]] = {
    "aws:currenttime": lambda facts, _region, _session: iso(facts.received_at),
    "aws:epochtime": lambda facts, _region, _session: str(facts.received_at // 1_000_000),
    "aws:requestedregion": lambda _facts, region, _session: region,
    "aws:securetransport": lambda facts, _region, _session: "true" if facts.is_tls else "false",
    "aws:sourceip": lambda facts, _region, _session: facts.source_ip,
    "aws:tokenissuetime": lambda _facts, _region, session: "" if session is None else iso(session.issued_at),
    "aws:useragent": lambda facts, _region, _session: facts.user_agent,
}
