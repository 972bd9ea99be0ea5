"""Stands between a client and its PostgreSQL server, and cuts the connection at a word that the client says."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Relays connections until somebody says ``word``; then that connection ends, before or after the server heard it.

    ``is_heard``: the server gets the word and does what it says, but its answer is lost.
    """

    def __init__(self, url: str, word: bytes, *, is_heard: bool) -> None:
        self._target = urlsplit(url)
        self._word = word
        self._is_heard = is_heard
        self.is_armed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(self._target._replace(netloc=f"moorage@127.0.0.1:{port}"))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._target.hostname, self._target.port))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.is_armed and self._word in data:
                    self.is_armed = False
                    client.shutdown(socket.SHUT_RDWR)
                    if self._is_heard:
                        server.sendall(data)
                        server.settimeout(5)
                        server.shutdown(socket.SHUT_WR)
                    break
                server.sendall(data)
            else:
                server.shutdown(socket.SHUT_RDWR)
                return
        if not self._is_heard:
            server.close()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
