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
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections, and wait for those there are to end: their client is closed before."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with self._listener, contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._target.hostname, self._target.port))
                for run, pair in ((self._forward, (client, server)), (_copy, (server, client))):
                    self._threads.append(threading.Thread(target=run, args=pair))
                    self._threads[-1].start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """As ``_copy``, but for the word."""
        with client:
            while data := _receive(client):
                is_cut = self.is_armed and self._word in data
                if is_cut:
                    self.is_armed = False
                    _end(client, socket.SHUT_RDWR)
                if self._is_heard or not is_cut:
                    server.sendall(data)
            _end(server, socket.SHUT_WR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Give on what one side says until it ends; each thread closes the side that it reads."""
    with source, contextlib.suppress(OSError):
        while data := _receive(source):
            target.sendall(data)
    _end(target, socket.SHUT_WR)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _end(side: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(how)
