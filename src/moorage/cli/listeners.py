"""On which addresses a process listens, as Linux tells it under ``/proc``."""

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.web.listen import Address

#: In ``/proc/net/tcp`` (proc_pid_net(5)), state of a socket that listens, and where address and inode stand.
_LISTENS: Final = "0A"
_ADDRESS, _STATE, _INODE = 1, 3, 9

#: An IP address as it is usually written, and a port.
Place = tuple[str, int]


def find_listeners(process_id: int) -> frozenset[Place]:
    """Where the process listens. Raises ``OSError`` for one that is not there or belongs to another user."""
    process = Path(f"/proc/{process_id}")
    own = set()
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            own.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a machine without IPv6
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[_STATE] == _LISTENS and f"socket:[{fields[_INODE]}]" in own:
                    found.add(_read_place(fields[_ADDRESS]))
    return frozenset(found)


def place_of(address: Address) -> Place:
    """The place that ``listen`` would bind. Raises ``OSError`` for a name that does not resolve."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return str(found[0][4][0]), address.port


def _read_place(text: str) -> Place:
    """The kernel writes an address as words of 32 bits in the machine's order, all in hexadecimal."""
    words, _, port = text.partition(":")
    packed = b"".join(
        socket.htonl(int(words[start : start + 8], 16)).to_bytes(4, "big") for start in range(0, len(words), 8)
    )
    return str(ipaddress.ip_address(packed)), int(port, 16)
