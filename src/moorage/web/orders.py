"""What a child process works with, and the socket pair by which it and the supervisor see that the other lives."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from moorage.config import Settings
from moorage.web.shares import Shares

_READY = b"ready"


@dataclass(frozen=True, slots=True)
class Orders:
    """A child's slot, its number there, the settings, the listening sockets and who else accepts on them."""

    name: str
    number: int
    settings: Settings
    sockets: tuple[socket.socket, ...]
    shares: Shares
    control: socket.socket

    def ready(self) -> None:
        """Tell the supervisor that this process does its work from now on."""
        with contextlib.suppress(ConnectionError):  # the watcher hears of a supervisor that is gone
            self.control.sendall(_READY)

    def watch_parent(self, on_gone: Callable[[], None]) -> None:
        """Call ``on_gone`` from a thread of its own when the supervisor is no more."""
        threading.Thread(target=self._watch, args=(on_gone,), name="watch-parent", daemon=True).start()

    def _watch(self, on_gone: Callable[[], None]) -> None:
        try:
            while self.control.recv(64):
                continue
        except ConnectionError:
            pass
        on_gone()
