"""What the supervisor tells a child process, over a socket pair that also shows each that the other lives.

Settings carry secrets: they go neither into arguments nor into the environment.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.config import Settings

#: Names the inherited descriptor of the socket pair in a child's environment.
CONTROL_VARIABLE = "MOORAGE_CONTROL_DESCRIPTOR"

_READY = b"ready"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a child works with: its slot's name, its number there, the settings, the listening sockets."""

    name: str
    number: int
    settings: Settings
    sockets: tuple[socket.socket, ...]
    control: socket.socket

    def ready(self) -> None:
        """Tell the supervisor that this process does its work from now on."""
        self.control.sendall(_READY)

    def watch_parent(self, on_gone: Callable[[], object]) -> None:
        """Call ``on_gone`` from a thread of its own when the supervisor is no more."""
        threading.Thread(target=self._watch, args=(on_gone,), name="watch-parent", daemon=True).start()

    def _watch(self, on_gone: Callable[[], object]) -> None:
        try:
            while self.control.recv(64):
                continue
        except ConnectionError:
            pass
        on_gone()


def send(
    control: socket.socket, name: str, number: int, settings: Settings, descriptors: Sequence[int]
) -> None:
    """Give a child its orders. Raises ``OSError`` when it is gone already."""
    orders = {
        "name": name,
        "number": number,
        "settings": settings.model_dump(mode="json"),
        "descriptors": list(descriptors),
    }
    body = json.dumps(orders).encode()
    control.sendall(len(body).to_bytes(4, "big") + body)


def receive() -> Orders:
    """Read this process's orders. Raises ``RuntimeError`` in a process that no supervisor started."""
    descriptor = os.environ.pop(CONTROL_VARIABLE, "")
    if not descriptor:
        raise RuntimeError("this program is started by moorage serve, not by hand")
    control = socket.socket(fileno=int(descriptor))
    control.setblocking(True)
    body = _read_exactly(control, int.from_bytes(_read_exactly(control, 4), "big"))
    orders: dict[str, Any] = json.loads(body)
    return Orders(
        name=orders["name"],
        number=orders["number"],
        settings=Settings(**orders["settings"]),
        sockets=tuple(socket.socket(fileno=descriptor) for descriptor in orders["descriptors"]),
        control=control,
    )


def _read_exactly(control: socket.socket, length: int) -> bytes:
    pieces = b""
    while len(pieces) < length:
        piece = control.recv(length - len(pieces))
        if not piece:
            raise RuntimeError("the supervisor is gone")
        pieces += piece
    return pieces
