"""A bound on the connections of a process, so that neither its descriptors nor its memory run out."""

import asyncio

from moorage.web.descriptors import SPARE_CONNECTIONS
from moorage.web.http import CROWD
from moorage.web.protocol import BoundedProtocol

#: For those who are even more: nobody has the time to read what they want.
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"retry-after: 5\r\nconnection: close\r\n\r\ntoo many connections\n"
)


class CrowdedProtocol(BoundedProtocol):
    """A connection that knows whether it is one too many: then its request is read, to be told so in its own words.

    Health can be asked for all the same. Beyond ``SPARE_CONNECTIONS`` of that kind nothing is read any more.
    """

    #: A subclass says how many.
    most_connections = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        crowd = len(self._server_state.connections)
        if crowd > self.most_connections + SPARE_CONNECTIONS:
            transport.write(_FULL)
            self.transport.close()
        if crowd > self.most_connections:
            self._scope["extensions"] = {CROWD: {}}


def bounded(connections: int) -> type[CrowdedProtocol]:
    """The protocol of a process that has so many connections at most."""
    return type("BoundedProtocol", (CrowdedProtocol,), {"most_connections": connections})
