"""Clients that connect to a TLS port and do not finish the handshake, over real sockets."""

import asyncio
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import uvloop

from moorage.cli.certificates import make_authority, make_server
from moorage.web.accepting import Acceptor
from moorage.web.descriptors import HANDSHAKES
from tests.server.test_accepting import Greeter

PATIENCE = 10.0
#: The record of a handshake that says how long it is, and not one byte more.
BEGUN = b"\x16\x03\x01\x02\x00"


class Door:
    """A TLS port, open for the time of a ``play``."""

    def __init__(self, directory: Path) -> None:
        authority = make_authority()
        made = make_server(authority, ["127.0.0.1"])
        (directory / "cert.pem").write_bytes(made.certificate_pem())
        (directory / "key.pem").write_bytes(made.key_pem())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
        self._trusting = ssl.create_default_context(cadata=authority.certificate_pem().decode())
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=HANDSHAKES)

    def come(self, data: bytes) -> socket.socket:
        """A client that has said this and says no more."""
        client = socket.create_connection(self.listener.getsockname(), timeout=PATIENCE)
        client.sendall(data)
        return client

    def greet(self) -> bytes:
        """What a client hears that does all it should."""
        with self._trusting.wrap_socket(self.come(b""), server_hostname="127.0.0.1") as client:
            client.sendall(b"hello")
            return client.recv(100)

    def play(self, stack: ExitStack, begun: list[bytes], handshake_seconds: float) -> tuple[list[bytes], bytes]:
        """What the clients that never finish read in the end, and what an honest one does that comes behind them."""

        async def run() -> tuple[list[bytes], bytes]:
            acceptor = Acceptor(
                [self.listener],
                Greeter,
                self._context,
                0,
                lambda: None,
                handshake_seconds=handshake_seconds,
            )
            clients = [stack.enter_context(await asyncio.to_thread(self.come, data)) for data in begun]
            greeting = await asyncio.to_thread(self.greet)
            told = [await asyncio.to_thread(_end_of, client) for client in clients[:2]]
            acceptor.close()
            await acceptor.wait_closed()
            return told, greeting

        with self.listener:
            return uvloop.run(run())


def _end_of(client: socket.socket) -> bytes:
    """Until the server ends the connection; raises ``TimeoutError`` when it does not."""
    told = b""
    try:
        while piece := client.recv(4096):
            told += piece
    except ConnectionResetError:
        pass
    return told


def test_who_does_not_finish_the_handshake_in_time_is_let_go(tmp_path: Path) -> None:
    """Silent or stopped in the middle of it; others are served meanwhile."""
    with ExitStack() as stack:
        told, greeting = Door(tmp_path).play(stack, [b"", BEGUN], handshake_seconds=1.5)
    assert told == [b"", b""]
    assert greeting == b"let in"


def test_the_oldest_handshakes_make_room_when_there_are_too_many(tmp_path: Path) -> None:
    """Long before their time is over: descriptors are not used up, and an honest client is served."""
    with ExitStack() as stack:
        told, greeting = Door(tmp_path).play(stack, [BEGUN] * (HANDSHAKES + 1), handshake_seconds=600)
    assert told == [b"", b""]
    assert greeting == b"let in"
