"""The tiny application served in a thread of the test process, with a protocol of the test's own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from moorage.cli.certificates import KeyPair, make_server
from moorage.config import Settings
from tests.server import tiny_app

PATIENCE = 10.0


@dataclass(frozen=True)
class Tiny:
    """Where it listens, and how to have it stop, as by a signal."""

    port: int
    stop: Callable[[], None]


@contextmanager
def served(
    directory: Path, protocol: type[asyncio.Protocol], authority: KeyPair | None = None
) -> Iterator[Tiny]:
    """Serve until the end, unless it is stopped before; TLS with a certificate of the authority, if there is one."""
    certificate = directory / "certificate.pem"
    if authority is not None:
        made = make_server(authority, ["localhost"])
        certificate.write_bytes(made.key_pem() + made.certificate_pem())
    config = uvicorn.Config(
        tiny_app.build_app(Settings(data_dir=directory, log_level="error")),
        loop="uvloop",
        http=protocol,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate if authority else None,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})

    def stop() -> None:
        server.should_exit = True

    thread.start()
    try:
        yield Tiny(listener.getsockname()[1], stop)
    finally:
        stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
