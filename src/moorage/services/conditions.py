"""The condition keys of a request, each told when a policy asks for it."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from moorage.domain.caller import Caller, RegistryKey
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
            read = _FACTS.get(key)
            return self._of_session(key) if read is None else read(self)
        if family == "aws:principaltag":
            return None if self._identity is None else self._identity.tags.get(tag)
        return self._resource_tags().get(tag) if family in _RESOURCE_TAGS else None

    def _of_session(self, key: str) -> tuple[str, ...] | None:
        """What a session was given when it began."""
        session = self._caller.session
        return None if session is None else _given(session.facts.get(key, ""))

    def token_issue_time(self) -> tuple[str, ...] | None:
        """When the session began; whoever has none has not this key."""
        session = self._caller.session
        return None if session is None else (iso(session.issued_at),)

    def _resource_tags(self) -> Tags:
        if self._tags is None:
            found = (
                {}
                if self._repository_id is None
                else repositories.list_resource_tags(self._tx, self._repository_id)
            )
            self._tags = applied.by_small_letters(found)
        return self._tags

    def current_time(self) -> tuple[str, ...]:
        """When the request came, to the second, as IAM writes times."""
        return (iso(self._received_at()),)

    def epoch_time(self) -> tuple[str, ...]:
        """When the request came, in seconds."""
        return (str(self._received_at() // 1_000_000),)

    def _received_at(self) -> int:
        if self._caller.is_lasting:
            raise TimeMatters
        return self._caller.request.received_at

    def secure_transport(self) -> tuple[str, ...]:
        """Whether the client's own connection is encrypted."""
        return ("true" if self._caller.request.is_tls else "false",)

    def source_ip(self) -> tuple[str, ...] | None:
        """Where the client is."""
        return _given(self._caller.request.source_ip)

    def user_agent(self) -> tuple[str, ...] | None:
        """What the client says it is."""
        return _given(self._caller.request.user_agent)

    def requested_region(self) -> tuple[str, ...]:
        """Where the registry is that is asked."""
        return (self._registry.region,)


def iso(micros: int) -> str:
    """A time in microseconds as IAM writes times, to the second."""
    return dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _given(text: str) -> tuple[str, ...] | None:
    return (text,) if text else None


_RESOURCE_TAGS: Final = frozenset({"aws:resourcetag", "ecr:resourcetag"})
_FACTS: Final[Mapping[str, Callable[[RequestContext], tuple[str, ...] | None]]] = {
    "aws:currenttime": RequestContext.current_time,
    "aws:epochtime": RequestContext.epoch_time,
    "aws:requestedregion": RequestContext.requested_region,
    "aws:securetransport": RequestContext.secure_transport,
    "aws:sourceip": RequestContext.source_ip,
    "aws:tokenissuetime": RequestContext.token_issue_time,
    "aws:useragent": RequestContext.user_agent,
}
