"""Listening addresses: how they are written, bound, and whether only this machine reaches them."""

import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

#: As many as Linux grants by default (``net.core.somaxconn``); beyond, clients are let wait for a second and more.
BACKLOG = 4096

#: So long the kernel keeps a connection on which nothing came. Handed over before its request, it would be let in
#: unseen, and under load the requests of all of them would then come in one turn of the loop. To the client, a probe
#: that only connects for one, the connection stands at once (tcp(7), TCP_DEFER_ACCEPT).
SILENT_SECONDS = 3

_logger = structlog.get_logger()


class ListenError(Exception):
    """An address cannot be listened on; the text says what to do: ``fact``, and ``advice`` where there is one apart."""

    def __init__(self, fact: str, advice: str = "") -> None:
        super().__init__(f"{fact}; {advice}" if advice else fact)
        self.fact = fact
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as a name or an IP address without brackets, and a port; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it. A name other than ``localhost`` is taken for reachable."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class AddressTaken(ListenError):
    """Somebody listens there already."""

    def __init__(self, address: Address) -> None:
        super().__init__(
            f"{address} is taken by another program", "stop that one or choose another port with --listen"
        )
        self.address = address


def parse_address(text: str) -> Address:
    """Read ``host:port`` or ``[host]:port``. Raises ``ListenError``."""
    host, _, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"listen: {text!r} needs brackets around its IPv6 address, as in [::1]:5050")
    if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ListenError(f"listen: {text!r} is not of the form host:port, as 127.0.0.1:5050 is")
    return Address(host, int(port))


def without_port(host: str) -> str:
    """A host name without the port behind it; an IPv6 address keeps its brackets."""
    return re.sub(r":[0-9]+$", "", host)


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """Listen on every address. A machine without IPv6 may lack ``[::1]``, as long as another address is there.

    Raises ``ListenError``; then nothing is bound.
    """
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            bound = _bind_one(address, is_optional=address.host == "::1" and len(addresses) > 1)
            if bound is not None:
                sockets.append(bound)
    except ListenError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def bound_addresses(sockets: Sequence[socket.socket]) -> tuple[str, ...]:
    """The addresses really bound, with the port that 0 became."""
    return tuple(str(Address(*bound.getsockname()[:2])) for bound in sockets)


def _bind_one(address: Address, *, is_optional: bool) -> socket.socket | None:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ListenError(
            f"{address}: the name does not resolve ({error.strerror}); use an IP address"
        ) from error
    try:
        return _open(family, kind, protocol, where)
    except OSError as error:
        if is_optional and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            _logger.warning("address_unavailable", address=str(address), reason="this machine has no IPv6")
            return None
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(address) from error
        raise ListenError(*_explain(address, error)) from error


def _open(family: int, kind: int, protocol: int, where: object) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
        bound.bind(where)  # type: ignore[arg-type] # whatever getaddrinfo gave
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _explain(address: Address, error: OSError) -> tuple[str, str]:
    """What is wrong, and what to do."""
    match error.errno:
        case errno.EACCES:
            return f"{address} may not be bound by this user", "choose a port above 1023 with --listen"
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine", "choose one that is with --listen"
        case _:
            return f"{address} cannot be listened on: {error.strerror}", ""
