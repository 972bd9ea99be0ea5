"""A bound on the connections of a process, so that neither its descriptors nor its memory run out."""

import asyncio
from math import inf
from typing import ClassVar, cast

from moorage.web.descriptors import SPARE_CONNECTIONS
from moorage.web.http import CROWD
from moorage.web.repeats import RepeatingProtocol
from moorage.web.shortcut import Shortcut
from moorage.web.unread import Unread

#: For those who are even more: nobody has the time to read what they want.
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"retry-after: 5\r\nconnection: close\r\n\r\ntoo many connections\n"
)


#: Of the places, the part that is made free at once: looking for the idle takes a look at all.
_FREED_PART = 16

#: Seconds that a connection must have been idle for to lose its place, and until the next look when none was.
LEAST_IDLE_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.1


class CrowdedProtocol(RepeatingProtocol):
    """A connection that knows whether it is one too many: then its request is read, to be told so in its own words.

    Those that have been idle for longest make room first, as they would anyway when their time is over. Health can be
    asked for all the same, once. Beyond ``SPARE_CONNECTIONS`` of that kind nothing is read any more; twice as many
    beyond, counted with those that are on their way out, are cut off without a word.
    """

    #: A subclass says how many.
    most_connections = 0
    least_idle_seconds = LEAST_IDLE_SECONDS
    #: Of a process, by the loop's clock: no sooner is it worth looking for idle connections.
    look_at = 0.0
    #: Of a process: those that made room, until they are gone.
    leaving: ClassVar["set[CrowdedProtocol]"] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        connections = self._server_state.connections
        if len(connections) > self.most_connections:
            self._make_room()
        crowd = len(connections)
        if crowd + len(self.leaving) > self.most_connections + 2 * SPARE_CONNECTIONS:
            transport.abort()
        elif crowd > self.most_connections + SPARE_CONNECTIONS:
            transport.write(_FULL)
            self.transport.close()
        if crowd > self.most_connections:
            self._scope["extensions"] = {CROWD: {}}

    def connection_lost(self, exc: Exception | None) -> None:
        """It has no descriptor any more."""
        self.leaving.discard(self)
        super().connection_lost(exc)

    @property
    def idle_since(self) -> float:
        """When it became idle by the loop's clock; infinite while it is not."""
        return inf if self._idle.since is None or self.is_ending else self._idle.since

    def _make_room(self) -> None:
        now, kind = self.loop.time(), type(self)
        if now < kind.look_at:
            return
        connections = cast("set[CrowdedProtocol]", self._server_state.connections)
        before = now - self.least_idle_seconds
        idle = sorted((one for one in connections if one.idle_since <= before), key=lambda one: one.idle_since)
        for one in idle[: max(1, self.most_connections // _FREED_PART)]:
            one.end()
            connections.discard(one)
            self.leaving.add(one)
        if not idle:
            kind.look_at = now + _LOOK_AGAIN_SECONDS


def bounded(
    connections: int,
    idle_seconds: float = LEAST_IDLE_SECONDS,
    shortcut: Shortcut | None = None,
    unread: Unread | None = None,
) -> type[CrowdedProtocol]:
    """The protocol of a process that has so many connections at most; who was idle for so long may lose its place."""
    return type(
        "BoundedProtocol",
        (CrowdedProtocol,),
        {
            "most_connections": connections,
            "least_idle_seconds": idle_seconds,
            "shortcut": shortcut,
            "unread": unread,
            "leaving": set(),
        },
    )
